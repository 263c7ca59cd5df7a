"""The exercise: one idea that carries the course. An exercise is data; everything else is derived.

`check`, diagnosis, hints, the gate, the examiner, specimens and printed minutes all read these fields.
"""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch

from breakthrough import learner as learners
from breakthrough.errors import ConfigError, UnknownNameError, expected, unknown
from breakthrough.exercises.compare import Compare, Difference, close

LADDER = ("concept", "shapes", "pseudocode", "solution")
TOLD_TO_MYPY = re.compile(r"  # type[:] ignore\[[^]]*\]  # [^#\n]*?(?=  #|$)", re.MULTILINE)  # no part of an answer
ROOMS = ("start", "moe", "scenes", "federated", "quant", "deploy", "capstone")  # files of this folder that define EXERCISES, in course order


@dataclass(frozen=True)
class Case:
    """One input: what it is about, and the arguments of the answer.

    `look` makes what is judged of an output, where that is more than the output itself.
    """

    label: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    look: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that people give, and the one sentence that helps whoever gave it.

    Most are recognised by their outputs; `variants` are other ways to make the same mistake. `seen`
    recognises one whose outputs vary: it gets the wanted output and the wrong one, and is asked when no
    output matches. `detect` recognises one that outputs do not show, such as a loop that is right but
    slow: it gets the learner's answer, and is asked only when all outputs are right.
    """

    name: str
    answer: Any
    says: str
    detect: Callable[[Any], Difference | None] | None = None
    variants: tuple[Any, ...] = ()
    seen: Callable[[Any, Any], bool] | None = None


def call_directly(answer: Any, case: Case) -> Any:
    """Call the answer with the case's arguments."""
    output = answer(*case.args, **case.kwargs)
    return case.look(output) if case.look else output


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Units: `minutes` of a learner's time; `difficulty` from 1 to 3
    Raises: ConfigError when a field is missing or out of range
    """

    name: str
    title: str
    points: int
    minutes: int
    difficulty: int
    reference: Any
    cases: Callable[[torch.Generator], Iterable[Case]]
    misconceptions: tuple[Misconception, ...]
    hints: tuple[str, ...]
    alternatives: tuple[Any, ...] = ()
    compare: Compare = close()
    expected: Any = None  # the output of a right answer, where running the reference would take long
    call: Callable[[Any, Case], Any] = call_directly
    question: bool = False
    asks: str = ""  # what a question asks, in Markdown, as this learner gets it
    draw: Callable[[str], Exercise] | None = None  # the same question as drawn for a learner
    lesson: bool = False  # stands in a lesson, which goes on when an answer is missing or wrong
    training: bool = False  # takes longer than a second: it measures a trained artifact
    artifact: str = ""  # the kind of the artifact that is measured
    patience_s: float = 120.0  # how long one call may take before it counts as endless

    def __post_init__(self) -> None:
        room, dot, short = self.name.partition(".")
        if not (room and dot and short):
            raise ConfigError(expected("an exercise name `room.short`", repr(self.name)))
        if len(self.hints) != len(LADDER) - 1:
            raise ConfigError(expected(f"{len(LADDER) - 1} hints for {self.name}", len(self.hints)))
        if self.points < 1 or self.minutes < 1 or self.difficulty not in (1, 2, 3):
            raise ConfigError(expected(f"points, minutes and a difficulty of 1–3 for {self.name}", self))

    @property
    def limit_s(self) -> float | None:
        """How long one call may take; what trains may take as long as it likes."""
        return None if self.training else self.patience_s

    @property
    def room(self) -> str:
        """The room the exercise belongs to: `moe` of `moe.route`."""
        return self.name.partition(".")[0]

    @property
    def grade_id(self) -> str:
        """The name as a grade id. nbgrader's lab extension refuses dots."""
        return self.name.replace(".", "-")

    def redraw(self, learner: str) -> Exercise:
        """The question as a learner gets it: same name and points, other parameters. Other exercises are the same for all.

        Raises: InputError when it is no learner's id; the empty one is the standard learner's
        """
        if self.draw is None:
            return self
        return self.draw(learners.cleaned(learner) if learner else learners.STANDARD)

    def hint(self, level: int) -> str:
        """The hint of a level, 1 (concept) to 4 (solution, the source of the reference).

        Raises: UnknownNameError for another level
        """
        if not 1 <= level <= len(LADDER):
            raise UnknownNameError(expected(f"a level from 1 to {len(LADDER)}", level))
        return self.hints[level - 1] if level <= len(self.hints) else source(self.reference)


def source(answer: Any) -> str:
    """The source text of a reference: code for a function or class, else its printed value."""
    if callable(answer):
        return TOLD_TO_MYPY.sub("", textwrap.dedent(inspect.getsource(answer))).rstrip()
    return str(answer)


@cache
def bank(room: str) -> Mapping[str, Exercise]:
    """The exercises of a room, by name, in course order.

    Raises: UnknownNameError for a room without exercises
    """
    if room not in ROOMS:
        raise unknown("room with exercises", room, ROOMS)
    module = importlib.import_module(f"breakthrough.exercises.{room}")
    return {exercise.name: exercise for exercise in module.EXERCISES}


def load(name: str) -> Exercise:
    """The exercise of a name.

    Raises: UnknownNameError with the nearest names there are
    """
    room = name.partition(".")[0]
    if room in ROOMS and name in bank(room):
        return bank(room)[name]
    raise unknown("exercise", name, [exercise.name for exercise in every()])


def every() -> Iterator[Exercise]:
    """All exercises in course order."""
    for room in ROOMS:
        yield from bank(room).values()
