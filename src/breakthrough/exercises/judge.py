"""Judging an answer: run the cases, name the mistake.

The order of questions is the order in which a person would debug: was it attempted, can it be called,
did it raise, is it the right kind of thing, are the values right, did it leave its inputs alone, does
it say the same twice.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import secrets
import time
import warnings
from dataclasses import dataclass
from typing import Any

import torch

from breakthrough.devices import threads
from breakthrough.elsewhere import Elsewhere
from breakthrough.errors import type_of
from breakthrough.exercises.calling import Attempt, EndlessError, attempt, own_traceback, raised, unchanged, wanted
from breakthrough.exercises.compare import Difference
from breakthrough.exercises.diagnosis import MAIN, Finding, diagnose
from breakthrough.exercises.exercise import Case, Exercise, Misconception, call_directly
from breakthrough.seeds import torch_generator

PASSED, WRONG, NOT_ATTEMPTED = "passed", "wrong", "not attempted"
ENDLESS = "endless"


@dataclass(frozen=True)
class Verdict:
    """What `judge` found.

    `kind` names the sort of failure: not-callable, signature, raised, endless, missing, type, shape,
    dtype, device, nan, value, measured, mutated, random or slow. `also` is a smaller fault beside the named one.

    Units: `seconds` of judging
    """

    exercise: Exercise
    status: str
    seed: int | None
    kind: str = ""
    diagnosis: Misconception | None = None
    difference: Difference | None = None
    case: str = ""
    also: str = ""
    traceback: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def points(self) -> int:
        """The points earned."""
        return self.exercise.points if self.status == PASSED else 0


class _Failure(Exception):
    def __init__(self, kind: str, difference: Difference, case: str = "", trace: str = "") -> None:
        super().__init__(difference.text)
        self.kind, self.difference, self.case, self.trace = kind, difference, case, trace


class _NotAttempted(Exception):
    pass


def judge(exercise: Exercise, answer: Any, seed: int | None = None) -> Verdict:
    """Run an exercise's cases on an answer and name the mistake.

    Inputs are drawn afresh each time unless a seed is given. Nothing reaches stderr; warnings are kept.
    """
    seed = secrets.randbits(32) if seed is None else seed
    started = time.perf_counter()
    # one thread: the inputs are small, and on a busy machine a second thread mostly waits
    with threads(1), _quiet() as caught:
        status, failure, found = _judge(exercise, answer, seed)
    return Verdict(
        exercise=exercise,
        status=status,
        seed=seed,
        kind=failure.kind if failure else "",
        diagnosis=found.misconception,
        difference=failure.difference if failure else None,
        case=failure.case if failure else "",
        also=found.also,
        traceback=failure.trace if failure else "",
        warnings=tuple(dict.fromkeys(str(w.message) for w in caught)),
        seconds=time.perf_counter() - started,
    )


def _judge(exercise: Exercise, answer: Any, seed: int) -> tuple[str, _Failure | None, Finding]:
    if answer is None:
        return NOT_ATTEMPTED, None, Finding()
    try:
        _check_callable(exercise, answer)
        cases = list(exercise.cases(torch_generator(seed, exercise.name)))
        outcomes = [_check_case(exercise, answer, case) for case in cases]
        _check_device(exercise, answer, cases)
        # an artifact is a file, the same twice; what is tried out elsewhere is called many times already
        if not exercise.training and (exercise.expected is None or not isinstance(answer, Elsewhere)):
            _check_repeats(exercise, answer, cases[0], outcomes[0])
    except _NotAttempted:
        return NOT_ATTEMPTED, None, Finding()
    except _Failure as failure:
        if failure.kind == ENDLESS:  # to find out more, it would have to be called again
            return WRONG, failure, Finding()
        measured = exercise.expected is not None  # then the comparison names the misconception itself
        found = Finding(_named(exercise, failure)) if measured else diagnose(exercise, answer, seed)
        if found.difference and failure.difference.kind not in MAIN:  # show what the diagnosis is about
            failure = _Failure(found.difference.kind, found.difference, found.case, failure.trace)
        return WRONG, failure, found
    slow = ((m, m.detect(answer)) for m in exercise.misconceptions if m.detect)
    misconception, difference = next(((m, d) for m, d in slow if d), (None, None))
    if misconception and difference:
        return WRONG, _Failure(difference.kind, difference), Finding(misconception)
    return PASSED, None, Finding()


def _check_callable(exercise: Exercise, answer: Any) -> None:
    if exercise.call is not call_directly or callable(answer):
        return
    text = f"the answer is {type_of(answer)}, not a function: pass it without calling it"
    raise _Failure("not-callable", Difference("type", text, "a function", type(answer).__name__))


def _check_case(exercise: Exercise, answer: Any, case: Case) -> Attempt:
    want = wanted(exercise, case)
    _check_signature(exercise, answer, case)
    outcome = attempt(exercise, answer, case)
    if outcome.error is not None:
        raise _raised(outcome.error, case)
    difference = exercise.compare(want, outcome.output)
    if difference:
        if difference.kind in ("value", "nan"):  # random numbers look like wrong ones
            _check_repeats(exercise, answer, case, outcome)
        raise _Failure(difference.kind, difference, case.label)
    if exercise.call is call_directly and not unchanged(case, outcome.case):
        text = "the answer changed its own input: work on a copy (no in-place methods, no `x[...] =`)"
        raise _Failure("mutated", Difference("mutated", text), case.label)
    return outcome


def _check_signature(exercise: Exercise, answer: Any, case: Case) -> None:
    if exercise.call is not call_directly:
        return
    try:
        inspect.signature(answer).bind(*case.args, **case.kwargs)
    except TypeError as error:
        want = str(inspect.signature(exercise.reference))
        got = str(inspect.signature(answer))
        raise _Failure("signature", Difference("type", f"the arguments do not fit: {error}", want, got)) from None
    except ValueError:  # some builtins have no signature
        return


def _raised(error: BaseException, case: Case) -> Exception:
    # the released stub is a bare `raise NotImplementedError()`; torch's own carry a message
    if type(error) is NotImplementedError and not error.args:
        return _NotAttempted()
    kind = ENDLESS if isinstance(error, EndlessError) else "raised"
    return _Failure(kind, raised(error), case.label, own_traceback(error))


def _check_repeats(exercise: Exercise, answer: Any, case: Case, first: Attempt) -> None:
    second = attempt(exercise, answer, case)
    differs = second.error is not None or exercise.compare(first.output, second.output)
    if differs:
        text = "the same input gave two different outputs: does the answer draw random numbers or keep state?"
        raise _Failure("random", Difference("random", text), case.label)


def _check_device(exercise: Exercise, answer: Any, cases: list[Case]) -> None:
    """On a machine with CUDA the first case is run there too."""
    if not torch.cuda.is_available() or exercise.call is not call_directly:
        return
    moved = Case(f"{cases[0].label}, on CUDA", *_to_cuda((cases[0].args, dict(cases[0].kwargs))))
    outcome = attempt(exercise, answer, moved)
    if outcome.error is not None:
        raise _raised(outcome.error, moved)
    difference = exercise.compare(exercise.call(exercise.reference, copy.deepcopy(moved)), outcome.output)
    if difference:
        raise _Failure(difference.kind, difference, moved.label)


def _to_cuda(value: Any) -> Any:
    if isinstance(value, (torch.Tensor, torch.nn.Module)):
        return copy.deepcopy(value).cuda()
    if isinstance(value, dict):
        return {key: _to_cuda(part) for key, part in value.items()}
    return type(value)(map(_to_cuda, value)) if type(value) in (tuple, list) else value


def _named(exercise: Exercise, failure: _Failure) -> Misconception | None:
    """The misconception that the comparison named."""
    return next((m for m in exercise.misconceptions if m.name == failure.difference.fault), None)


@contextlib.contextmanager
def _quiet():
    """Keep stderr silent and collect warnings, so that a stock nbgrader run never takes points for one."""
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("always")
        yield caught


