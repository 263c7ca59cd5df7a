"""Exercises, a bank for each module, and the engine that judges them."""

from breakthrough.exercises.answering import ask, check, hint
from breakthrough.exercises.compare import Difference, close
from breakthrough.exercises.exercise import Case, Exercise, Misconception, bank, every, load
from breakthrough.exercises.judge import Verdict, judge

__all__ = [
    "Case",
    "Difference",
    "Exercise",
    "Misconception",
    "Verdict",
    "ask",
    "bank",
    "check",
    "close",
    "every",
    "hint",
    "judge",
    "load",
]
