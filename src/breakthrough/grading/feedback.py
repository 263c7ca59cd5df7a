"""Feedback for learners: one page a submission, where nbgrader looks for it. Nothing on it can run."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.course import notebooks
from breakthrough.course.grade import Grade
from breakthrough.course.notebooks import Cell, check_id
from breakthrough.errors import InputError, NotebookError, expected
from breakthrough.grading import course_config, grades, students as listed
from breakthrough.grading.clean_html import clean
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.executed import without_seed
from breakthrough.grading.gradebook import KEPT, graded_of
from breakthrough.grading.peers import anonymous, letters
from breakthrough.grading.peers.letters import Letter
from breakthrough.grading.records import ANSWER, Graded, Mark
from breakthrough.language import counted

TEMPLATE = "feedback.html.j2"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Scored:
    """One graded cell as the gradebook has it: people may have changed its score, or written to it.

    Units: `points` of `of`
    """

    name: str
    points: float
    of: float
    comment: str
    pending: bool


@dataclass(frozen=True)
class Shown:
    """One output as the page shows it: text, clean HTML, or a picture's data with words for who does not see it."""

    kind: str
    content: str
    alt: str = ""


def write(cohort: Cohort, module: str, students: Sequence[str] = ()) -> list[Path]:
    """Write the feedback of a module's graded submissions, of all when no student is named; the pages.

    Raises: InputError when none is graded, or one of the named is not
    """
    graded = [one for one in graded_of(cohort, module) if not students or one.student in students]
    missing = sorted(set(students) - {one.student for one in graded})
    if missing or not graded:
        got = f"none for {', '.join(missing)}" if missing else "none"
        raise InputError(expected(f"graded submissions of {module}", got, f"breakthrough cohort grade {module}"))
    found = {one.student.id: one.grade for one in grades.graded(cohort, [module])}
    with course_config.gradebook(cohort) as gradebook:
        round_ = letters.open_letters(cohort, module, anonymous.people(listed.of(gradebook)))
        return [_write(cohort, gradebook, one, found.get(one.student), round_.to(one.student) if round_ else None) for one in graded]


def render(graded: Graded, cells: Sequence[Cell], scores: dict[str, Scored], late_penalty: float, grade: Grade | None = None,
           letter: Letter | None = None) -> str:
    """The page as text: only what the learner may know, and all of it cleaned or escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    jinja = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
                        trim_blocks=True, lstrip_blocks=True)
    jinja.filters.update(
        plain=lambda number: f"{number:g}", counted=counted, cleaned=lambda text: Markup(clean(without_seed(text)) or ""), seedless=without_seed,
        shown=lambda cell: list(_shown(cell)), when=lambda time_s: time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(time_s)))
    answers = {cell.exercise.replace(".", "-"): cell for cell in graded.program.cells if cell.kind == ANSWER}
    rows = [(mark, _scored(mark, scores), answers.get(check_id(mark.exercise))) for mark in graded.marks]
    checks = {check_id(mark.exercise) for mark in graded.marks}
    return jinja.get_template(TEMPLATE).render(
        graded=graded, rows=rows, grade=grade, letter=letter,
        written=[(cell, scores[name]) for name, cell in _named(cells) if name in scores and name not in checks],
        rest=[cell for cell in cells if cell["cell_type"] == "code" and notebooks.grade_id(cell).removesuffix("-answer") not in checks],
        total=max(0.0, sum(score.points for score in scores.values()) - late_penalty), late_penalty=late_penalty,
        of=sum(score.of for score in scores.values()), outputs=dict(_named(cells)))


def _write(cohort: Cohort, gradebook: Any, graded: Graded, grade: Grade | None, letter: Letter | None) -> Path:
    folder = cohort.autograded(graded.student, graded.module)
    try:
        cells = notebooks.read(folder / f"{graded.module}.ipynb")["cells"]
    except NotebookError:
        raise InputError(expected(f"the graded notebook of {graded.student}", "none", f"breakthrough cohort regrade {graded.module}")) from None
    row = gradebook.find_submission_notebook(graded.module, graded.module, graded.student)
    page = render(graded, cells, _scores(row), row.late_submission_penalty or 0.0, grade, letter)
    target = cohort.feedback(graded.student, graded.module)
    with files.folder_aside(target) as made:
        (made / f"{graded.module}.html").write_text(page, encoding="utf-8")
        for name in KEPT:  # nbgrader releases feedback by them
            if (folder / name).is_file():
                shutil.copyfile(folder / name, made / name)
            else:
                (made / name).write_text(secrets.token_hex(64) if "secret" in name else "", encoding="utf-8")
    return target / f"{graded.module}.html"


def _scores(row: Any) -> dict[str, Scored]:
    comments = {comment.name: comment.comment or "" for comment in row.comments}
    scores = {
        grade.name: Scored(grade.name, grade.score, grade.max_score, comments.get(grade.name, ""), bool(grade.needs_manual_grade))
        for grade in row.grades}
    for name, comment in comments.items():  # comments stand at the answer, scores at the check
        check = name.removesuffix("-answer")
        if check != name and check in scores and comment:
            scores[check] = Scored(check, scores[check].points, scores[check].of, comment, scores[check].pending)
    return scores


def _scored(mark: Mark, scores: dict[str, Scored]) -> Scored:
    name = check_id(mark.exercise)
    return scores.get(name) or Scored(name, mark.points, mark.of, "", False)


def _named(cells: Sequence[Cell]) -> Iterator[tuple[str, Cell]]:
    return ((notebooks.grade_id(cell), cell) for cell in cells if notebooks.grade_id(cell))


def _shown(cell: Cell) -> Iterator[Shown]:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        picture = next((mime for mime in ("image/png", "image/jpeg") if mime in data), None)
        if output["output_type"] == "stream":
            yield Shown("text", _ANSI.sub("", output["text"]))
        elif output["output_type"] == "error":
            yield Shown("text", _ANSI.sub("", "\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}"))
        elif picture:
            yield Shown("picture", f"data:{picture};base64," + re.sub(r"\s+", "", data[picture]), notebooks.alt(output) or "a picture that the cell showed, without a description")
        elif html := clean(data.get("text/html", "")):
            yield Shown("html", html)
        elif data.get("text/plain"):
            yield Shown("text", _ANSI.sub("", data["text/plain"]))
