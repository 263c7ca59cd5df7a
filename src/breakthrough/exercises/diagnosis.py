"""Naming a mistake: which misconception does an answer share?

First an answer has to agree with one on every case. A beginner's answer often has a second, smaller
fault beside the one that matters (NaN for no tokens, float32 whatever the input), so when none agrees,
the cases that show such a fault are set aside and the others decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from breakthrough.exercises.calling import Attempt, attempt, raised, wanted
from breakthrough.exercises.compare import Difference
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.seeds import torch_generator

MAIN = ("value", "shape")  # kinds of difference that tell one mistake from another


@dataclass(frozen=True)
class Finding:
    """A named mistake, where it shows, and in `also` the smaller fault beside it."""

    misconception: Misconception | None = None
    case: str = ""
    difference: Difference | None = None
    also: str = ""


@dataclass(frozen=True)
class _Seen:
    """An answer on one case, against what was wanted."""

    case: Case
    want: Any
    attempt: Attempt
    difference: Difference | None

    @property
    def aside(self) -> bool:
        """Whether what is wrong here says nothing about the main mistake."""
        return self.difference is not None and self.difference.kind not in MAIN


def diagnose(exercise: Exercise, answer: Any, seed: int) -> Finding:
    """The misconception that an answer shares, if any."""
    cases = list(exercise.cases(torch_generator(seed, exercise.name)))
    attempts = [attempt(exercise, answer, case) for case in cases]
    for misconception, wrong in _ways(exercise):
        if all(_alike(exercise, attempt(exercise, wrong, c), a, c) for c, a in zip(cases, attempts)):
            return Finding(misconception)
    return _set_aside(exercise, [_see(exercise, c, a) for c, a in zip(cases, attempts)])


def _ways(exercise: Exercise) -> Iterator[tuple[Misconception, Any]]:
    return ((m, wrong) for m in exercise.misconceptions for wrong in (m.answer, *m.variants))


def _see(exercise: Exercise, case: Case, done: Attempt) -> _Seen:
    want = wanted(exercise, case)
    difference = raised(done.error) if done.error is not None else exercise.compare(want, done.output)
    return _Seen(case, want, done, difference)


def _alike(exercise: Exercise, theirs: Attempt, mine: Attempt, case: Case) -> bool:
    """Whether two answers did the same, right or wrong."""
    if (theirs.error is None) != (mine.error is None):
        return False
    if theirs.error is not None:
        return type(theirs.error) is type(mine.error) and str(theirs.error) == str(mine.error)
    if exercise.compare(theirs.output, mine.output) is not None:
        return False
    return theirs.unchanged(case) == mine.unchanged(case)


def _set_aside(exercise: Exercise, seen: list[_Seen]) -> Finding:
    """The best misconception by the cases that are left when smaller faults are set aside."""
    wrong = [one for one in seen if one.difference and not one.aside]
    if not wrong:
        return Finding()
    scores = [(_score(exercise, way, seen), m) for m, way in _ways(exercise)]
    best, named = max(scores, key=lambda pair: pair[0], default=(0, None))
    if best == 0:
        by_sight = ((m, m.seen) for m in exercise.misconceptions if m.seen)
        named = next((m for m, sees in by_sight if all(sees(one.want, one.attempt.output) for one in wrong)), None)
    if named is None:
        return Finding()
    return Finding(named, wrong[0].case.label, wrong[0].difference, _also(seen))


def _score(exercise: Exercise, way: Any, seen: list[_Seen]) -> int:
    """On how many cases an answer and a misconception agree; 0 when one case speaks against it."""
    agreed = 0
    for one in seen:
        theirs = attempt(exercise, way, one.case)
        alike = theirs.error is None and one.attempt.error is None
        alike = alike and exercise.compare(theirs.output, one.attempt.output) is None
        # where only the misconception has a smaller fault, the case says nothing either
        silent = one.aside or (one.difference is None and _see(exercise, one.case, theirs).aside)
        if not alike and not silent:
            return 0
        agreed += alike
    return agreed


def _also(seen: list[_Seen]) -> str:
    aside = next((one for one in seen if one.aside), None)
    return f"{aside.case.label}: {aside.difference.text}" if aside and aside.difference else ""
