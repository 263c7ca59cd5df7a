"""A learner's progress, from the event log: points against 70/20/10, attempts, hints, time, what next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakthrough import events
from breakthrough.course import syllabus
from breakthrough.course.schema import KINDS, Module, Split, Syllabus

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
    earned: Split
    attempts: int
    hints: int
    planned_min: float
    spent_min: float


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
        if event["kind"] == "check" and isinstance(points, (int, float)) and math.isfinite(points):
            best[event["exercise"]] = max(points, best.get(event["exercise"], 0))
    spent = _spent_min(seen, homes)
    reviewed = _reviewed(every)
    modules = tuple(_of_module(module, seen, best, reviewed.get(module.id, 0.0), spent.get(module.id, 0.0)) for module in course.built)
    unknown = {event["exercise"] for event in named} - set(course.exercises)
    return Progress(course, modules, _next(course, _passed(seen)), tuple(sorted(unknown)))


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
    drawn.suptitle(f"Next: {progress.next}", fontsize="medium", x=0.01, ha="left")
    return drawn


def _reviewed(every: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The points of each module's best review: the first score of its specimens, or of a later set."""
    best: dict[str, float] = {}
    for event in every:
        module, points = event.get("module"), event.get("points")
        if event["kind"] == "exchange" and isinstance(module, str) and isinstance(points, (int, float)) and math.isfinite(points):
            best[module] = max(points, best.get(module, 0.0))
    return best


def _of_module(module: Module, seen: list[Mapping[str, Any]], best: Mapping[str, float], reviewed: float, spent: float) -> ModuleProgress:
    own = [event for event in seen if event["exercise"] in (*module.exercises, *module.questions)]
    earned = Split(
        lab=min(module.points.lab, sum(best.get(name, 0) for name in module.exercises)),
        exchange=min(module.points.exchange, max(reviewed, 0.0)),
        lesson=min(module.points.lesson, sum(best.get(name, 0) for name in module.questions)),
    )
    attempts = sum(event["kind"] == "check" and event.get("status") != "not attempted" for event in own)
    hints = len({(event["exercise"], str(event.get("level"))) for event in own if event["kind"] == "hint"})
    return ModuleProgress(module, earned, attempts, hints, 60 * module.hours.total, spent)


def _passed(seen: list[Mapping[str, Any]]) -> set[str]:
    return {event["exercise"] for event in seen if event["kind"] == "check" and event.get("status") == "passed"}


def _spent_min(seen: list[Mapping[str, Any]], homes: Mapping[str, str]) -> dict[str, float]:
    """An estimate: the time between two events counts for the later one, unless it was a break."""
    spent: dict[str, float] = {}
    ordered = sorted(seen, key=lambda event: event["time_s"])
    for before, event in zip(ordered, ordered[1:], strict=False):
        gap = event["time_s"] - before["time_s"]
        if gap < PAUSE_S:
            home = homes[event["exercise"]]
            spent[home] = spent.get(home, 0.0) + gap / 60
    return spent


def _next(course: Syllabus, passed: set[str]) -> str:
    for module in course.built:
        for name in module.questions:
            if name not in passed:
                return f"{name}, in {course.lesson(module).relative_to(course.root)}"
        for name in module.exercises:
            if name not in passed:
                return f"{name}, in {course.lab(module).relative_to(course.root)}"
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
