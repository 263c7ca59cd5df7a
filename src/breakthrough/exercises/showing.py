"""Showing that an answer is wrong by one input: one of your own, or one that the exercise draws.

An input of one's own has to be one that all right answers take. Where they differ among themselves, more than one output is
right, or it lies outside of what is asked: then it shows a mistake only when the work's output is none of theirs.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from breakthrough.devices import threads
from breakthrough.errors import InputError, expected, unknown
from breakthrough.exercises.calling import Attempt, attempt, raised, unchanged, wanted
from breakthrough.exercises.exercise import Case, Exercise, call_directly
from breakthrough.seeds import torch_generator

PATIENCE_S = 10.0  # for one call
# what is judged of an output hangs on the arguments here: the function that says so, and whether it takes them
_JUDGED = {
    "deploy.batch": ("deploy_batch_trial", "looked"),
    "capstone.interval": ("capstone_interval", "_looked"),
    "capstone.threshold": ("capstone_threshold", "looked"),
    "capstone.trace": ("capstone_trace", "_named"),
}


@dataclass(frozen=True)
class Input:
    """An input that an exercise draws: named by its label and the seed, so that anybody can draw it again."""

    exercise: str
    label: str
    seed: int
    args: tuple[Any, ...]

    def __repr__(self) -> str:
        """Short: the arguments may be large."""
        return f"Input({self.exercise!r}, {self.label!r}, seed={self.seed})"


@dataclass(frozen=True)
class Shown:
    """What came of running one input: whether it shows a mistake, and in a sentence why (not)."""

    usable: bool
    differs: bool
    says: str


def inputs(exercise: Exercise, seed: int = 0) -> dict[str, Input]:
    """The inputs that an exercise draws with a seed, by label."""
    return {case.label: Input(exercise.name, case.label, seed, tuple(copy.deepcopy(case.args))) for case in _cases(exercise, seed)}


def plain(exercise: Exercise, evidence: Any) -> Any:
    """Evidence without objects of ours: the arguments as a tuple, or the name of a drawn input as a dict.

    Raises: InputError for anything else, and for another number of arguments than the exercise has
    """
    if isinstance(evidence, Input):
        if evidence.exercise != exercise.name:
            raise InputError(expected(f"an input of {exercise.name}", evidence.exercise, f'desk.inputs("{exercise.name}")'))
        return {"input": evidence.label, "seed": evidence.seed}
    if isinstance(evidence, Mapping) and set(evidence) == {"input", "seed"}:
        return dict(evidence)
    if not isinstance(evidence, tuple):
        hint = f'a tuple, (…, …) or (…,), or one of desk.inputs("{exercise.name}")'
        raise InputError(expected(f"the arguments of {exercise.name} as a tuple", type(evidence).__name__, hint))
    parameters = inspect.signature(exercise.reference).parameters.values()
    least, most = sum(one.default is one.empty for one in parameters), len(parameters)
    if not least <= len(evidence) <= most:
        names = ", ".join(one.name for one in parameters)
        raise InputError(expected(f"the arguments of {exercise.name}, ({names})", f"a tuple of {len(evidence)}"))
    return evidence


def usable(exercise: Exercise, evidence: Any) -> Shown:
    """Whether an input may show anything: all right answers take it."""
    exercise, (case, own) = _patient(exercise), _case(exercise, evidence)
    with threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _wanted(exercise, case, own)[1]


def shows(exercise: Exercise, answer: Callable[..., Any], evidence: Any) -> Shown:
    """Whether an answer goes wrong on an input, right answers and this one run on copies of it."""
    exercise, (case, own) = _patient(exercise), _case(exercise, evidence)
    with threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right, found = _wanted(exercise, case, own)
        if not found.usable:
            return found
        got = attempt(exercise, answer, case)
        if got.error is not None:
            return Shown(True, True, f"it raises {raised(got.error).text}")
        differences = [exercise.compare(want, got.output) for want in right]
        difference = differences[0] if all(differences) else None
        same = None if difference else _left_alone(exercise, case, got)
    if difference:
        return Shown(True, True, difference.text)
    if same:
        return Shown(True, True, same)
    return Shown(True, False, "the work gives the right output on this input")


def _wanted(exercise: Exercise, case: Case, own: bool) -> tuple[list[Any], Shown]:
    """The outputs of right answers, the reference's first, each that is another once; and whether the input may show anything."""
    first = attempt(exercise, exercise.reference, case)
    if first.error is not None:
        return [], Shown(False, False, f"a right answer raises on this input: {raised(first.error).text}")
    outputs = [wanted(exercise, case)]
    for right in (exercise.reference, *exercise.alternatives) if own else (exercise.reference,):
        got = attempt(exercise, right, case)
        if got.error is not None:
            return [], Shown(False, False, f"a right answer raises on this input: {raised(got.error).text}")
        if all(exercise.compare(want, got.output) for want in outputs):
            outputs.append(got.output)
    if len(outputs) > 1:
        return outputs, Shown(True, False, "right answers differ among themselves on this input, so it counts only if the work's output is none of theirs")
    return outputs, Shown(True, False, "right answers agree on this input")


def _left_alone(exercise: Exercise, case: Case, got: Attempt) -> str:
    if exercise.call is call_directly and not unchanged(case, got.case):
        return "it changes its own input"
    return ""


def _patient(exercise: Exercise) -> Exercise:
    return dataclasses.replace(exercise, patience_s=min(exercise.patience_s, PATIENCE_S))


def _case(exercise: Exercise, evidence: Any) -> tuple[Case, bool]:
    """The case that evidence stands for, and whether it is the reviewer's own."""
    evidence = plain(exercise, evidence)
    if isinstance(evidence, dict):
        if not isinstance(evidence["seed"], int) or not isinstance(evidence["input"], str):
            raise InputError(expected("the label and the seed of a drawn input", evidence))
        drawn = {case.label: case for case in _cases(exercise, evidence["seed"])}
        if evidence["input"] not in drawn:
            raise unknown(f"input of {exercise.name}", evidence["input"], drawn)
        return drawn[evidence["input"]], False
    return Case("your input", evidence, look=_look(exercise, evidence)), True


def _look(exercise: Exercise, args: tuple[Any, ...]) -> Callable[[Any], Any] | None:
    if exercise.name in _JUDGED:
        file, name = _JUDGED[exercise.name]
        makes = getattr(importlib.import_module(f"breakthrough.exercises.{file}"), name)
        return makes(args[0]) if exercise.name == "capstone.trace" else makes(*args)
    return next(iter(_cases(exercise, 0))).look


def _cases(exercise: Exercise, seed: int) -> list[Case]:
    return list(exercise.cases(torch_generator(seed, exercise.name)))
