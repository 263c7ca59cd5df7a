"""Points that come from no notebook of nbgrader's: reviews, and a lesson's questions. An assignment of their own each.

All of an assignment is written in one transaction. A score that a person has entered stays; what is missing has no
score at all, which is another thing than a zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from breakthrough.course.grade import Score
from breakthrough.course.schema import KINDS
from breakthrough.errors import InputError, expected

Points = Mapping[str, float | None]  # by cell; none where nothing is known


@dataclass(frozen=True)
class Entry:
    """One student's points by cell, and what they are told about each.

    Units: points
    """

    points: Points
    comments: Mapping[str, str]


def assignment_of(module: str, kind: str) -> str:
    """The name of the assignment in the gradebook: the lab has the module's own."""
    if kind not in KINDS:
        raise InputError(expected(f"one of {', '.join(KINDS)}", kind))
    return module if kind == "lab" else f"{module}_{kind}"


def put(gradebook: Any, module: str, kind: str, cells: Mapping[str, float], entries: Mapping[str, Entry]) -> int:
    """Write students' points of a kind, in place of what was written before; how many students have any.

    A student whose points are all missing has no submission there, as nbgrader has it for a lab that was not handed in.

    Units: `cells` the most points of each
    """
    from nbgrader import api

    name = assignment_of(module, kind)
    session = gradebook.db
    try:
        notebook = _notebook(session, gradebook.course_id, name)
        kept = {cell.name: cell for cell in notebook.grade_cells}
        for cell, most in cells.items():
            if cell not in kept:
                kept[cell] = api.GradeCell(name=cell, notebook=notebook, cell_type="markdown", max_score=most)
                session.add(kept[cell])
                session.add(api.SolutionCell(name=cell, notebook=notebook))
            kept[cell].max_score = most
        session.flush()
        comments = {cell.name: cell for cell in notebook.solution_cells}
        rows = {row.student_id: row for row in session.query(api.SubmittedAssignment).filter_by(assignment_id=notebook.assignment_id)}
        for student, entry in entries.items():
            if student in rows or any(value is not None for value in entry.points.values()):
                _enter(session, notebook, rows.get(student), student, entry, {name: kept[name] for name in cells}, comments)
        session.commit()
    except BaseException:
        session.rollback()
        raise
    return sum(any(value is not None for value in entry.points.values()) for entry in entries.values())


def scores(gradebook: Any, module: str, kind: str) -> dict[str, Score]:
    """What is known of every student's points of a kind; nothing for those of whom nothing is."""
    from nbgrader import api

    session = gradebook.db
    cells = (session.query(api.GradeCell.id, api.GradeCell.max_score).join(api.Notebook, api.GradeCell.notebook_id == api.Notebook.id)
             .join(api.Assignment, api.Notebook.assignment_id == api.Assignment.id)
             .filter(api.Assignment.name == assignment_of(module, kind)))
    most = dict(cells)
    found: dict[str, Score] = {}
    rows = (session.query(api.SubmittedAssignment.student_id, api.Grade.cell_id, api.Grade.score, api.Grade.auto_score, api.Grade.manual_score)
            .join(api.SubmittedNotebook, api.SubmittedNotebook.assignment_id == api.SubmittedAssignment.id)
            .join(api.Grade, api.Grade.notebook_id == api.SubmittedNotebook.id).filter(api.Grade.cell_id.in_(most)))
    for student, cell, score, auto, manual in rows:
        before = found.get(student, Score(0.0, 0.0, sum(most.values())))
        known = auto is not None or manual is not None
        found[student] = Score(before.earned + (score if known else 0.0), before.there + (most[cell] if known else 0.0), before.of)
    return found


def _notebook(session: Any, course_id: str, name: str) -> Any:
    from nbgrader import api

    assignment = session.query(api.Assignment).filter_by(name=name, course_id=course_id).one_or_none()
    if assignment is None:
        assignment = api.Assignment(name=name, course_id=course_id)
        session.add(assignment)
        session.flush()
    found = session.query(api.Notebook).filter_by(name=name, assignment_id=assignment.id).one_or_none()
    if found is None:
        found = api.Notebook(name=name, assignment=assignment)
        session.add(found)
        session.flush()
    return found


def _enter(session: Any, notebook: Any, found: Any, student: str, entry: Entry, cells: Mapping[str, Any], solutions: Mapping[str, Any]) -> None:
    from nbgrader import api

    if found is None:
        found = api.SubmittedAssignment(assignment_id=notebook.assignment_id, student_id=student)
        session.add_all((found, api.SubmittedNotebook(notebook_id=notebook.id, assignment=found)))
        session.flush()
    (row,) = found.notebooks
    grades, comments = {one.cell_id: one for one in row.grades}, {one.cell_id: one for one in row.comments}
    for name, points in entry.points.items():
        grade = grades.get(cells[name].id)
        if grade is None:
            grade = api.Grade(cell_id=cells[name].id, notebook=row)
            session.add(grade)
        grade.auto_score, grade.needs_manual_grade = points, False
        comment = comments.get(solutions[name].id)
        if comment is None:
            comment = api.Comment(cell_id=solutions[name].id, notebook=row)
            session.add(comment)
        comment.auto_comment = entry.comments.get(name) or None
