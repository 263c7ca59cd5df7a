"""Grades out of the gradebook: labs, reviews and lessons, and the grade of all three; a table for people, and one in LTI's words."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.course import grade, syllabus
from breakthrough.course.grade import Grade, Score
from breakthrough.course.schema import KINDS, Module, Split, Syllabus
from breakthrough.errors import InputError, expected
from breakthrough.grading import course_config, entered, students
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.gradebook import read_record
from breakthrough.grading.students import Student

NONE, COLLECTED, TO_READ, PART, GRADED = "no submission", "collected", "to be read", "in part", "graded"
# activityProgress and gradingProgress of LTI's Assignment and Grade Services 2.0
LTI = {NONE: ("Initialized", "NotReady"), COLLECTED: ("Submitted", "Pending"), TO_READ: ("Completed", "PendingManual"),
       PART: ("Completed", "Pending"), GRADED: ("Completed", "FullyGraded")}
SCORED = (TO_READ, PART, GRADED)  # states with points
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Result:
    """One student's result of one module's lab, reviews or lesson, late penalty taken off. `module` names the assignment.

    Units: `points` of `of`; `graded_s` is seconds since 1970
    """

    student: Student
    module: str
    state: str
    points: float
    of: float
    late_penalty: float = 0.0
    graded_s: float | None = None


@dataclass(frozen=True)
class Graded:
    """One student: what the gradebook has of every module, lab, reviews and lesson, and the grade of it all."""

    student: Student
    results: tuple[Result, ...]
    grade: Grade


def results(cohort: Cohort, modules: Sequence[str]) -> list[Result]:
    """The results of these modules, every student's, by name and then by module: the lab, then reviews and lesson where there are.

    Raises: InputError for a module that the gradebook has not
    """
    return [result for one in graded(cohort, modules) for result in one.results]


def graded(cohort: Cohort, modules: Sequence[str]) -> list[Graded]:
    """Every student's results of these modules and their grade, by name.

    Raises: InputError for a module that the gradebook has not
    """
    course = syllabus.load(cohort.project)
    with course_config.gradebook(cohort) as gradebook:
        known = {assignment.name: assignment.max_score for assignment in gradebook.assignments}
        for module in modules:
            if module not in known:
                labs = [name for name in known if not name.endswith(("_exchange", "_lesson"))]
                raise InputError(expected("a module of the gradebook", module, " or ".join(labs)))
        submissions = {module: _submissions(gradebook, module) for module in modules}
        others = {name: entered.scores(gradebook, module, kind) for module in modules for kind in KINDS[1:]
                  if (name := entered.assignment_of(module, kind)) in known}
        found = []
        for student in students.of(gradebook):
            many = []
            for module in modules:
                many.append(_result(cohort, student, module, known[module], submissions[module]))
                names = [entered.assignment_of(module, kind) for kind in KINDS[1:]]
                many += [_entered(student, name, known[name], others[name]) for name in names if name in others]
            found.append(Graded(student, tuple(many), _grade(course, modules, many, {name: one.get(student.id) for name, one in others.items()})))
        return found


def write_csv(path: Path, found: Sequence[Graded]) -> int:
    """Write a table with a row for every student; how many rows. What is missing is empty, never a zero."""
    names = list(dict.fromkeys(one.module for many in found for one in many.results))
    header = [*students.COLUMNS, *(f"{name}{more}" for name in names for more in ("", "_max", "_late", "_state")), "total", "total_max",
              "grade_percent", "missing_percent", "missing"]
    _write(path, header, (_row(one) for one in found))
    return len(found)


def _grade(course: Syllabus, modules: Sequence[str], many: Sequence[Result], others: dict[str, Score | None]) -> Grade:
    """The grade over these modules. A lab that only the cohort has counts with its points in the gradebook."""
    by_name = {one.module: one for one in many}
    there = {one.id: one for one in course.built}
    chosen = [there.get(name) or Module.model_construct(id=name, points=Split(lab=by_name[name].of)) for name in modules]
    found: dict[str, dict[str, Score]] = {}
    for module in modules:
        lab = by_name[module]
        read = lab.of if lab.state in (TO_READ, GRADED) else 0.0
        found[module] = {"lab": Score(lab.points if read else 0.0, read, lab.of)}
        for kind in KINDS[1:]:
            score = others.get(entered.assignment_of(module, kind))
            found[module] |= {kind: score} if score else {}
    return grade.of(course, found, chosen)


def _entered(student: Student, name: str, of: float, scores: dict[str, Score]) -> Result:
    score = scores.get(student.id)
    if score is None or score.there <= 0:
        return Result(student, name, NONE, 0.0, of)
    return Result(student, name, GRADED if score.open < 1e-9 else PART, score.earned, of)


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


def _row(one: Graded) -> list[Any]:
    there = [result for result in one.results if result.state in SCORED]
    scores = [value for result in one.results for value in (_points(result), f"{result.of:g}", f"{result.late_penalty:g}", result.state)]
    identity = [getattr(one.student, name) or "" for name in students.COLUMNS]
    sums = [f"{sum(result.points for result in there):g}", f"{sum(result.of for result in one.results):g}"]
    return [*identity, *scores, *sums, f"{one.grade.percent:.2f}", f"{one.grade.open_percent:.2f}", one.grade.missing_line()]


def _points(one: Result) -> str:
    return f"{one.points:g}" if one.state in SCORED else ""


def _lti_row(one: Result) -> list[str]:
    score = [_points(one), f"{one.of:g}" if one.state in SCORED else ""]
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
