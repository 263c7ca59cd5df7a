"""A learner's progress, from the event log: points against 70/20/10, attempts, hints, time, what next."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from breakthrough import events
from breakthrough.course import grade, syllabus
from breakthrough.course.grade import Grade, Score
from breakthrough.course.schema import KINDS, Module, Split, Syllabus
from breakthrough.pictures import describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAUSE_S = 15 * 60  # a longer gap between two events is a break, not work
COLOURS = {"lab": "#0072b2", "exchange": "#e69f00", "lesson": "#009e73"}  # Okabe and Ito: colour-blind safe


@dataclass(frozen=True)
class ModuleProgress:
    """How far one module is.

    Units: `earned` and `module.points` in points; `planned_min` and `spent_min` in minutes
    """

    module: Module
    scores: Mapping[str, Score]  # by kind
    attempts: int
    hints: int
    planned_min: float
    spent_min: float

    @property
    def earned(self) -> Split:
        """The points earned by kind."""
        return Split(**{kind: score.earned for kind, score in self.scores.items()})


@dataclass(frozen=True)
class Progress:
    """How far the learner is, and the next thing to do."""

    course: Syllabus
    modules: tuple[ModuleProgress, ...]
    next: str
    unknown: tuple[str, ...] = ()  # exercises in the log that course.yml does not name: not counted

    @property
    def earned(self) -> Split:
        """The points earned in all modules."""
        return Split(**{kind: sum(getattr(m.earned, kind) for m in self.modules) for kind in KINDS})

    @property
    def of(self) -> Split:
        """The points there are in the modules that are built."""
        return Split(**{kind: sum(getattr(m.module.points, kind) for m in self.modules) for kind in KINDS})

    @property
    def grade(self) -> Grade:
        """The grade so far."""
        return grade.of(self.course, {one.module.id: one.scores for one in self.modules})


def measure(course: Syllabus | None = None, log: Iterable[Mapping[str, Any]] | None = None) -> Progress:
    """Measure progress from a log, the learner's own when none is given.

    An exercise counts with its best score: what was passed once stays passed.
    """
    course = course or syllabus.load()
    homes = {name: m.id for m in course.built for name in (*m.exercises, *m.questions)}
    every = list(events.read() if log is None else log)
    named = [event for event in every if isinstance(event.get("exercise"), str)]
    seen = [event for event in named if event["exercise"] in homes]
    best: dict[str, float] = {}
    for event in seen:
        points = event.get("points")
        if event["kind"] == "check" and is_amount(points):
            best[event["exercise"]] = max(points, best.get(event["exercise"], 0))
    spent = spent_min(seen, homes)
    reviewed = _reviewed(course, every)
    modules = tuple(_of_module(module, seen, best, reviewed.get(module.id), spent.get(module.id, 0.0)) for module in course.built)
    unknown = {event["exercise"] for event in named} - set(course.exercises)
    return Progress(course, modules, _next(course, _passed(seen), reviewed), tuple(sorted(unknown)))


def spent_min(seen: Iterable[Mapping[str, Any]], homes: Mapping[str, str]) -> dict[str, float]:
    """An estimate of the minutes spent in each home of exercises, such as a module.

    The time between two events counts for the later one, unless it was a break.
    """
    spent: dict[str, float] = {}
    ordered = sorted(seen, key=lambda event: event["time_s"])
    for before, event in itertools.pairwise(ordered):
        gap = event["time_s"] - before["time_s"]
        if gap < PAUSE_S:
            home = homes[event["exercise"]]
            spent[home] = spent.get(home, 0.0) + gap / 60
    return spent


def is_amount(value: Any) -> TypeGuard[float]:
    """Whether something in a log can be an amount of points."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def next_exercise(course: Syllabus) -> str | None:
    """The exercise or question to do next according to the learner's own log; none when all are passed."""
    passed = _passed([event for event in events.read() if isinstance(event.get("exercise"), str)])
    return next((name for name in course.exercises if name not in passed), None)


def figure(progress: Progress | None = None) -> Figure:
    """Draw the points earned of those there are, by module and by kind, against the course's shape.

    Units: points on the left, per cent of the earned points on the right
    """
    from matplotlib.figure import Figure

    progress = progress or measure()
    drawn = Figure(figsize=(9, 1.6 + 0.5 * len(progress.modules)), layout="constrained")
    left, right = drawn.subplots(1, 2, width_ratios=(3, 2))
    _draw_points(left, progress)
    _draw_shape(right, progress)
    found = progress.grade
    missing = f", {found.open_percent:.0f}% not there yet" if not found.whole else ""
    drawn.suptitle(f"Grade so far: {found.percent:.1f}%{missing}\nNext: {progress.next}", fontsize="medium", x=0.01, ha="left")
    said = (
        f"Left stacked bars: points earned of those there are in {len(progress.modules)} modules, {progress.earned.total:g} of {progress.of.total:g}. Right bars: how the earned points are shared, with the course's aim as a line. "
         f"Grade so far {found.percent:.1f}%; next is {progress.next}."
    )
    return describe(drawn, said)


def _of_module(module: Module, seen: list[Mapping[str, Any]], best: Mapping[str, float], reviewed: float | None,
               spent: float) -> ModuleProgress:
    own = [event for event in seen if event["exercise"] in (*module.exercises, *module.questions)]
    checked = [event for event in own if event["kind"] == "check" and event.get("status") != "not attempted"]
    hints = len({(event["exercise"], str(event.get("level"))) for event in own if event["kind"] == "hint"})
    scores = {
        "lab": _score(module.points.lab, module.exercises, best, checked),
        "exchange": Score(reviewed or 0.0, 0.0 if reviewed is None else module.points.exchange, module.points.exchange),
        "lesson": _score(module.points.lesson, module.questions, best, checked)}
    return ModuleProgress(module, scores, len(checked), hints, 60 * module.hours.total, spent)


def _score(of: float, names: tuple[str, ...], best: Mapping[str, float], checked: list[Mapping[str, Any]]) -> Score:
    """What was earned, and what was attempted: an exercise that nobody tried is open, not failed."""
    worth = {event["exercise"]: event["of"] for event in checked if event["exercise"] in names and is_amount(event.get("of"))}
    earned = min(of, sum(best.get(name, 0) for name in names))
    tried = set(names) <= {event["exercise"] for event in checked}
    return Score(earned, of if tried else min(of, max(earned, sum(worth.values()))), of)


def _reviewed(course: Syllabus, every: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The points of the best review of each module; none where nothing was reviewed."""
    worth = {module.id: module.points.exchange for module in course.built}
    found: dict[str, float] = {}
    for event in every:
        module, points = event.get("module"), event.get("points")
        if event["kind"] == "exchange" and isinstance(module, str) and module in worth and is_amount(points):
            found[module] = max(found.get(module, 0.0), min(points, worth[module]))
    return found


def _passed(seen: list[Mapping[str, Any]]) -> set[str]:
    return {event["exercise"] for event in seen if event["kind"] == "check" and event.get("status") == "passed"}


def _next(course: Syllabus, passed: set[str], reviewed: Mapping[str, float]) -> str:
    for module in course.built:
        for name in module.questions:
            if name not in passed:
                return f"{name}, in {course.lesson(module).relative_to(course.root)}"
        for name in module.exercises:
            if name not in passed:
                return f"{name}, in {course.lab(module).relative_to(course.root)}"
        if module.points.exchange and module.id not in reviewed:
            return f"three works to review: breakthrough exchange solo {module.id}, or your cohort's round"
    planned = [module for module in course.modules if not module.built]
    return f"all is done; {planned[0].id} is in preparation" if planned else "all is done"


def _draw_points(axes: Any, progress: Progress) -> None:
    names = [one.module.id for one in progress.modules]
    start = [0.0] * len(names)
    for kind, hatch in zip(KINDS, ("", "//", ".."), strict=True):
        there = [getattr(one.module.points, kind) for one in progress.modules]
        earned = [getattr(one.earned, kind) for one in progress.modules]
        axes.barh(names, there, left=start, color=COLOURS[kind], alpha=0.2, hatch=hatch, edgecolor="white")
        axes.barh(names, earned, left=start, color=COLOURS[kind], height=0.5, label=kind)
        start = [a + b for a, b in zip(start, there, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("points (pale: still to earn)")
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)


def _draw_shape(axes: Any, progress: Progress) -> None:
    earned = progress.earned
    for row, kind in enumerate(KINDS):
        share = 100 * getattr(earned, kind) / earned.total if earned.total else 0.0
        axes.barh([row], [share], color=COLOURS[kind], height=0.5)
        wanted = getattr(progress.course.shape, kind)
        axes.plot([wanted, wanted], [row - 0.35, row + 0.35], color="black", linewidth=2)
    axes.set_yticks(range(len(KINDS)), KINDS)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the points earned (line: the aim)")
