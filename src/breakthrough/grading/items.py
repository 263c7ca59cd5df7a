"""Item analysis: what a cohort's records and logs say of every exercise, without a name."""

from __future__ import annotations

import csv
import io
import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough import events, files
from breakthrough.course.progress import PAUSE_S
from breakthrough.errors import InputError, expected
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.gradebook import graded_of
from breakthrough.grading.records import NOT_ATTEMPTED, Graded, Mark

LONGEST_LOG = 5_000_000  # bytes: a log is the learner's own file
COLUMNS = ("exercise", "submissions", "attempted", "passed", "discrimination", "logs", "hints", "minutes", "attempts", "marks_per_attempt", "misconceptions")


@dataclass(frozen=True)
class Item:
    """One exercise in one cohort; none where there is nothing to say it from.

    `discrimination` is the correlation of passing it with the score of the rest of the lab; hints, minutes, attempts
    and marks per attempt are means over the logs that were handed in.

    Units: `attempted` and `passed` are shares of the submissions; minutes in minutes
    """

    exercise: str
    submissions: int
    attempted: float
    passed: float
    discrimination: float | None
    misconceptions: Mapping[str, int]
    logs: int = 0
    hints: float | None = None
    minutes: float | None = None
    attempts: float | None = None
    marks_per_attempt: float | None = None


@dataclass(frozen=True)
class Work:
    """One learner's work on one exercise, from their log.

    Units: minutes in minutes; `points` is the best score
    """

    hints: int
    minutes: float
    attempts: int
    points: float


def analyse(cohort: Cohort, module: str) -> list[Item]:
    """The items of a module, in the lab's order; submissions that could not be read do not count.

    Raises: InputError when nothing is graded
    """
    graded = [one for one in graded_of(cohort, module) if not one.refused]
    if not graded:
        raise InputError(expected(f"graded submissions of {module}", "none", f"breakthrough cohort grade {module}"))
    names = list(dict.fromkeys(mark.exercise for one in graded for mark in one.marks))
    logs = [log for one in graded if (log := log_of(cohort.submitted(one.student, module)))]
    work = [_work(log, names) for log in logs]
    return [_item(name, graded, [one[name] for one in work if name in one]) for name in names]


def to_csv(path: Path, items: Sequence[Item]) -> None:
    """Write the items as a table."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in items:
        met = "; ".join(f"{name} {count}" for name, count in item.misconceptions.items())
        writer.writerow([met if name == "misconceptions" else _cell(getattr(item, name)) for name in COLUMNS])
    files.write_text(path, text.getvalue())


def discrimination(passed: Sequence[bool], rest: Sequence[float]) -> float | None:
    """The point-biserial correlation of passing with the rest score; none when either does not vary."""
    try:
        return statistics.correlation([float(one) for one in passed], rest)
    except statistics.StatisticsError:
        return None


def _item(name: str, graded: Sequence[Graded], work: Sequence[Work]) -> Item:
    marks = {one.student: mark for one in graded for mark in one.marks if mark.exercise == name}
    chosen = [one for one in graded if one.student in marks]
    mine = [marks[one.student] for one in chosen]
    rest = [one.points - mark.points for one, mark in zip(chosen, mine, strict=True)]
    return Item(
        name, len(mine), _share(mark.status != NOT_ATTEMPTED for mark in mine), _share(mark.passed for mark in mine),
        discrimination([mark.passed for mark in mine], rest), dict(_misconceptions(mine).most_common()), len(work),
        _mean(one.hints for one in work), _mean(one.minutes for one in work), _mean(one.attempts for one in work),
        _mean(one.points / one.attempts for one in work if one.attempts))


def _misconceptions(marks: Iterable[Mark]) -> Counter[str]:
    return Counter(mark.diagnosis or mark.kind for mark in marks if not mark.passed and (mark.diagnosis or mark.kind))


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The log that was handed in with a submission, by time; empty when there is none, or it is too large."""
    path = folder / events.FILE
    if not path.is_file() or path.stat().st_size > LONGEST_LOG:
        return []
    named = (event for event in events.read(folder) if isinstance(event.get("exercise"), str) and math.isfinite(event["time_s"]))
    return sorted(named, key=lambda event: event["time_s"])


def _work(log: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Work]:
    """What a log says of each exercise in it: time between two events counts for the later one, unless it was a break."""
    minutes: Counter[str] = Counter()
    for before, event in itertools.pairwise(log):
        gap_s = event["time_s"] - before["time_s"]
        minutes[event["exercise"]] += gap_s / 60 if gap_s < PAUSE_S else 0
    return {name: _work_on([event for event in log if event["exercise"] == name], minutes[name])
            for name in names if any(event["exercise"] == name for event in log)}


def _work_on(own: Sequence[Mapping[str, Any]], minutes: float) -> Work:
    checks = [event for event in own if event["kind"] == "check" and event.get("status") != NOT_ATTEMPTED]
    points = [event.get("points") for event in checks]
    best = max((float(one) for one in points if isinstance(one, int | float) and math.isfinite(one)), default=0.0)
    levels = {str(event.get("level")) for event in own if event["kind"] == "hint"}
    return Work(len(levels), minutes, len(checks), best)


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return statistics.fmean(listed) if listed else None


def _share(values: Iterable[bool]) -> float:
    return statistics.fmean(map(float, values))


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
