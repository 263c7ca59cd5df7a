"""Grades out of the gradebook: a table for people, and one in the words of LTI for a learning platform."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.errors import InputError, expected
from breakthrough.grading import course_config, students
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.gradebook import read_record
from breakthrough.grading.students import Student

NONE, COLLECTED, TO_READ, GRADED = "no submission", "collected", "to be read", "graded"
# activityProgress and gradingProgress of LTI's Assignment and Grade Services 2.0
LTI = {NONE: ("Initialized", "NotReady"), COLLECTED: ("Submitted", "Pending"), TO_READ: ("Completed", "PendingManual"), GRADED: ("Completed", "FullyGraded")}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Result:
    """One student's result of one module, late penalty taken off.

    Units: `points` of `of`; `graded_s` is seconds since 1970
    """

    student: Student
    module: str
    state: str
    points: float
    of: float
    late_penalty: float = 0.0
    graded_s: float | None = None


def results(cohort: Cohort, modules: Sequence[str]) -> list[Result]:
    """The results of these modules, every student's, by name and then by module.

    Raises: InputError for a module that the gradebook has not
    """
    with course_config.gradebook(cohort) as gradebook:
        known = {assignment.name: assignment.max_score for assignment in gradebook.assignments}
        for module in modules:
            if module not in known:
                raise InputError(expected("a module of the gradebook", module, " or ".join(known)))
        submissions = {module: _submissions(gradebook, module) for module in modules}
        return [_result(cohort, student, module, known[module], submissions[module])
                for student in students.of(gradebook) for module in modules]


def write_csv(path: Path, found: Sequence[Result]) -> int:
    """Write a table with a row for every student; how many rows."""
    modules = list(dict.fromkeys(one.module for one in found))
    rows: dict[str, list[Result]] = {}
    for one in found:
        rows.setdefault(one.student.id, []).append(one)
    header = [*students.COLUMNS, *(f"{module}{more}" for module in modules for more in ("", "_max", "_late", "_state")), "total", "total_max"]
    _write(path, header, (_row(many) for many in rows.values()))
    return len(rows)


def write_lti_csv(path: Path, found: Sequence[Result]) -> tuple[int, list[str]]:
    """Write a row for every result, named as LTI names a score; how many rows, and the students without a user id there."""
    header = ["userId", "resourceId", "scoreGiven", "scoreMaximum", "timestamp", "activityProgress", "gradingProgress"]
    rows = [_lti_row(one) for one in found if one.student.lms_user_id]
    _write(path, header, rows)
    return len(rows), sorted({one.student.id for one in found if not one.student.lms_user_id})


def _submissions(gradebook: Any, module: str) -> dict[str, tuple[float, float, bool]]:
    """Score, late penalty and whether people have to read it, by student."""
    return {
        row.student_id: (row.score, row.late_submission_penalty or 0.0, bool(row.needs_manual_grade))
        for row in gradebook.assignment_submissions(module)}


def _result(cohort: Cohort, student: Student, module: str, of: float, submissions: dict[str, tuple[float, float, bool]]) -> Result:
    if student.id not in submissions:
        state = COLLECTED if cohort.submitted(student.id, module).is_dir() else NONE
        return Result(student, module, state, 0.0, of)
    score, penalty, to_read = submissions[student.id]
    record = read_record(cohort.record(student.id, module))
    return Result(student, module, TO_READ if to_read else GRADED, max(0.0, score - penalty), of, penalty, record.graded_s if record else None)


def _row(many: Sequence[Result]) -> list[Any]:
    student = many[0].student
    scores = [value for one in many for value in (f"{one.points:g}", f"{one.of:g}", f"{one.late_penalty:g}", one.state)]
    identity = [getattr(student, name) or "" for name in students.COLUMNS]
    return [*identity, *scores, f"{sum(one.points for one in many):g}", f"{sum(one.of for one in many):g}"]


def _lti_row(one: Result) -> list[str]:
    score = [f"{one.points:g}", f"{one.of:g}"] if one.state in (TO_READ, GRADED) else ["", ""]
    when = datetime.fromtimestamp(one.graded_s, UTC) if one.graded_s is not None else datetime.now(UTC)
    stamp = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [one.student.lms_user_id or "", one.module, *score, stamp, *LTI[one.state]]


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_no_formula(value) for value in row] for row in rows)
    files.write_text(path, text.getvalue())


def _no_formula(value: str) -> str:
    # a name that begins so is a formula to a spreadsheet, and learners choose their names
    return f"'{value}" if value.startswith(_FORMULA) and not _is_number(value) else value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
