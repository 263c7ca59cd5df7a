"""One submission's lines in nbgrader's gradebook, in one transaction, by nbgrader's own rules.

The rules are those of its `Autograde`, `SaveAutoGrades` and `AssignLatePenalties`, which open the database and commit
once for every cell. A manual score stays, and asks for a look again when the submission or its score changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough.course.notebooks import Notebook
from breakthrough.errors import InputError, expected
from breakthrough.grading.records import Graded


@dataclass(frozen=True)
class Layout:
    """What the gradebook has of one lab: its cells by their ids, those with points, and those with comments."""

    module: str
    assignment_id: str
    notebook_id: str
    names: dict[str, str]
    maximum: dict[str, float]
    commented: tuple[str, ...]


def layout(gradebook: Any, module: str) -> Layout:
    """Read what the gradebook has of a lab.

    Raises: InputError when it has none
    """
    from nbgrader.api import MissingEntry

    try:
        found = gradebook.find_notebook(module, module)
    except MissingEntry:
        hint = f"breakthrough cohort release {module}"
        raise InputError(expected(f"{module} with its cells in the gradebook", "none", hint)) from None
    graded, commented = (*found.grade_cells, *found.task_cells), (*found.solution_cells, *found.task_cells)
    names = {cell.id: cell.name for cell in (*graded, *commented)}
    return Layout(module, found.assignment.id, found.id, names, {cell.id: cell.max_score for cell in graded}, tuple(cell.id for cell in commented))


def check(there: Layout, graded: Graded, notebook: Notebook) -> None:
    """Check that the gradebook's cells are those of this notebook, and that the marks can be.

    Raises: InputError when it has others, or a mark has more points than there are
    """
    here = _by_name(notebook)
    missing = sorted(set(there.names.values()) - set(here))
    if missing:
        hint = f"breakthrough cohort release {graded.module}"
        raise InputError(expected(f"a release with the gradebook's cells of {graded.module}", f"one without {', '.join(missing)}", hint))
    for mark in graded.marks:
        if mark.exercise.replace(".", "-") not in here or not 0 <= mark.points <= mark.of:
            what = f"a mark of 0 to {mark.of:g} points for a check of {graded.module}"
            raise InputError(expected(what, f"{mark.points:g} for {mark.exercise} of {graded.student}", "grading it again"))


def put(gradebook: Any, config: Any, there: Layout, graded: Graded, notebook: Notebook, submitted: Path, before: Graded | None) -> None:
    """Write a submission's grades, comments, time and late penalty; all of it is there afterwards, or nothing.

    The points in the notebook become the gradebook's, as nbgrader has it when a lab was released again.
    """
    session = gradebook.db
    try:
        submission, row = _submission(session, there, graded)
        if (timestamp := _timestamp(submitted)) is not None:
            submission.timestamp = timestamp
        session.flush()
        _grades(session, there, row.id, notebook, unchanged=before is not None and before.submission_hash == graded.submission_hash)
        _late_penalty(session, config, submission, row)
        session.commit()
    except BaseException:
        session.rollback()
        raise


def _submission(session: Any, there: Layout, graded: Graded) -> tuple[Any, Any]:
    """The submission's rows, made like `Gradebook.add_submission` when there are none, without committing."""
    from nbgrader import api

    if session.get(api.Student, graded.student) is None:
        session.add(api.Student(id=graded.student))
    names = {"assignment_id": there.assignment_id, "student_id": graded.student}
    found = session.query(api.SubmittedAssignment).filter_by(**names).one_or_none()
    if found is not None:
        return found, session.query(api.SubmittedNotebook).filter_by(assignment_id=found.id, notebook_id=there.notebook_id).one()
    found = api.SubmittedAssignment(**names)
    row = api.SubmittedNotebook(notebook_id=there.notebook_id, assignment=found)
    row.grades = [api.Grade(cell_id=cell) for cell in there.maximum]
    row.comments = [api.Comment(cell_id=cell) for cell in there.commented]
    session.add_all((found, row))
    return found, row


def _grades(session: Any, there: Layout, row: str, notebook: Notebook, *, unchanged: bool) -> None:
    from nbformat import from_dict
    from nbgrader import api, utils

    cells = _by_name(notebook)
    for grade in session.query(api.Grade).filter_by(notebook_id=row):
        cell = cells[there.names[grade.cell_id]]
        _rescale(cell, there.maximum[grade.cell_id])
        node = from_dict(cell)
        score = None if utils.is_task(node) else utils.determine_grade(node)[0]
        changed = not unchanged or grade.auto_score != score
        grade.auto_score = score
        if changed or grade.manual_score is None:
            grade.needs_manual_grade = grade.manual_score is not None or score is None
    for comment in session.query(api.Comment).filter_by(notebook_id=row):
        node = from_dict(cells[there.names[comment.cell_id]])
        untouched = not utils.is_task(node) and node.metadata.nbgrader.get("checksum") == utils.compute_checksum(node)
        comment.auto_comment = "No response." if untouched else None
    session.flush()


def _by_name(notebook: Notebook) -> dict[str, dict[str, Any]]:
    return {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in notebook["cells"] if "nbgrader" in cell["metadata"]}


def _rescale(cell: dict[str, Any], maximum: float) -> None:
    """Give a cell the gradebook's points, and a partial score its share of them."""
    info = cell["metadata"]["nbgrader"]
    before, info["points"] = float(info.get("points", maximum)), maximum
    for output in cell.get("outputs", []):
        if output["output_type"] == "execute_result" and before and before != maximum:
            output["data"]["text/plain"] = f"{float(output['data']['text/plain']) * maximum / before:g}"


def _late_penalty(session: Any, config: Any, submission: Any, row: Any) -> None:
    """What nbgrader's plugin takes off, its own or the one that the configuration names."""
    from nbgrader.preprocessors import AssignLatePenalties

    row.late_submission_penalty = None
    late_s = submission.total_seconds_late
    if late_s <= 0:
        return
    step = AssignLatePenalties(config=config)
    step.init_plugin()
    session.refresh(row, ["score"])
    penalty = step.plugin_inst.late_submission_penalty(submission.student_id, row.score, late_s)
    if penalty is not None:
        row.late_submission_penalty = step._check_late_penalty(row, penalty)


def _timestamp(submitted: Path) -> Any:
    from nbgrader.utils import parse_utc

    path = submitted / "timestamp.txt"
    text = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    try:
        return parse_utc(text) if text else None
    except (ValueError, OverflowError):
        return None
