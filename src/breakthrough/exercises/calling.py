"""Calling an answer: on a copy of its case, with whatever it raises kept as an outcome."""

from __future__ import annotations

import copy
import operator
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from breakthrough.errors import BreakthroughError, expected, own_frames
from breakthrough.exercises.compare import Difference, same
from breakthrough.exercises.exercise import Case, Exercise

ATOMS = frozenset((type(None), bool, int, float, complex, str, bytes))  # their copies are themselves


@dataclass
class Attempt:
    """One call: what came out, or what was raised, and the inputs as the call left them."""

    output: Any = None
    error: BaseException | None = None
    case: Case | None = None
    _unchanged: bool | None = None

    def unchanged(self, case: Case) -> bool:
        """Whether the call left its inputs as they were in its case; looked at once."""
        if self._unchanged is None:
            self._unchanged = unchanged(case, self.case)
        return self._unchanged


class EndlessError(BreakthroughError):
    """A call that does not end."""


def attempt(exercise: Exercise, answer: Any, case: Case) -> Attempt:
    """Call an answer on a copy of a case; whatever it raises is an outcome, and so is that it does not end."""
    mine = copied(case)
    try:
        with _ended_within(exercise.limit_s):
            return Attempt(exercise.call(answer, mine), None, mine)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a learner's code may raise anything
        return Attempt(None, error, mine)


@contextmanager
def _ended_within(seconds: float | None) -> Iterator[None]:
    """Interrupt a block that takes longer, where that can be done: in the main thread, on systems with alarms."""
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        hint = "printing what the loop waits for: does it change in every round?"
        raise EndlessError(expected(f"an output within {seconds:g} s", "none: the call did not end", hint))

    handler = signal.signal(signal.SIGALRM, stop)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again each second: the answer may catch errors
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def wanted(exercise: Exercise, case: Case) -> Any:
    """The output of a right answer."""
    if exercise.expected is not None:
        return exercise.expected
    return exercise.call(exercise.reference, copied(case))


def copied(case: Case) -> Case:
    """A case with inputs of its own: a deep copy, that takes a third of the time where they are plain data."""
    memo: dict[int, Any] = {}
    args, kwargs = _copied(case.args, memo), _copied(case.kwargs, memo)
    return replace(case, args=args, kwargs=kwargs, look=copy.deepcopy(case.look, memo))


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    """As copy.deepcopy, with its memo: what is one list in a case is one in its copy."""
    kind = type(value)
    if kind in ATOMS:
        return value
    if id(value) in memo:
        return memo[id(value)]
    made: Any
    if kind is list:
        memo[id(value)] = made = []
        made.extend([_copied(one, memo) for one in value])
    elif kind is dict:
        memo[id(value)] = made = {}
        made.update({_copied(key, memo): _copied(one, memo) for key, one in value.items()})
    elif kind is tuple:
        parts = [_copied(one, memo) for one in value]
        made = value if all(map(operator.is_, parts, value)) else tuple(parts)
        made = memo.setdefault(id(value), made)
    else:
        made = copy.deepcopy(value, memo)
    return made


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
    there = getattr(error, "there", None)
    if isinstance(there, str):  # raised in another process, which told them
        return there
    frames = own_frames(error)
    if not frames:
        return ""
    return "".join(traceback.format_list(frames) + traceback.format_exception_only(error)).rstrip()
