"""What `breakthrough.exercises` is inside the sandbox: checks and hints that say nothing. Answers and cases are outside."""

from __future__ import annotations

from typing import Any


def check(name: str, answer: Any, *, seed: int | None = None) -> None:
    """Nothing: the examiner asks for answers from outside."""


def hint(name: str, level: int | None = None) -> None:
    """Nothing: hints are the learner's own."""
