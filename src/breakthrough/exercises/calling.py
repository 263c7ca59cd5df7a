"""Calling an answer: on a copy of its case, with whatever it raises kept as an outcome."""

from __future__ import annotations

import copy
import traceback
from dataclasses import dataclass
from typing import Any

from breakthrough.errors import BreakthroughError, own_frames
from breakthrough.exercises.compare import Difference, same
from breakthrough.exercises.exercise import Case, Exercise


@dataclass
class Attempt:
    """One call: what came out, or what was raised, and the inputs as the call left them."""

    output: Any = None
    error: BaseException | None = None
    case: Case | None = None


def attempt(exercise: Exercise, answer: Any, case: Case) -> Attempt:
    """Call an answer on a copy of a case; whatever it raises is an outcome."""
    mine = copy.deepcopy(case)
    try:
        return Attempt(exercise.call(answer, mine), None, mine)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a learner's code may raise anything
        return Attempt(None, error, mine)


def wanted(exercise: Exercise, case: Case) -> Any:
    """The output of a right answer."""
    if exercise.expected is not None:
        return exercise.expected
    return exercise.call(exercise.reference, copy.deepcopy(case))


def unchanged(case: Case, after: Case | None) -> bool:
    """Whether a call left its inputs as they were."""
    return after is None or (same(case.args, after.args) and same(dict(case.kwargs), dict(after.kwargs)))


def raised(error: BaseException) -> Difference:
    """An error as a difference. The course's own messages need no name of a class before them."""
    name, text = type(error).__name__, str(error)
    if isinstance(error, BreakthroughError) and text:
        return Difference("raised", text)
    return Difference("raised", f"{name}: {text}" if text else name)


def own_traceback(error: BaseException) -> str:
    """The learner's own lines of a traceback; empty when none of them is theirs."""
    frames = own_frames(error)
    if not frames:
        return ""
    return "".join(traceback.format_list(frames) + traceback.format_exception_only(error)).rstrip()
