"""Module 4: what the judges of training set-ups do where the answer is, when that is another process.

An optimizer and the net that it moves cannot be handed over: they are made and run there, and what is seen is told.
"""

from __future__ import annotations

from typing import Any

from breakthrough.exercises.exercise import Case
from breakthrough.exercises.quant_bytes_trial import step_of
from breakthrough.exercises.quant_mend_trial import outcome, trajectory

trained = trajectory


def counted(answer: Any, args: tuple[Any, ...]) -> dict[str, Any] | None:
    """What an answer counts of a step, and the steps that it took."""
    return step_of(answer, Case("", tuple(args)))


def mended(answer: Any, args: tuple[Any, ...]) -> tuple[str, str, str, str]:
    """What is wrong with a training set-up."""
    found = outcome(answer, Case("", tuple(args)))
    return found.fault, found.text, found.expected, found.got
