"""A small cohort for tests: two students, a lab with two checks, an essay and a task, and records made by hand."""

import json
import shutil
from pathlib import Path

import pytest
from toy_course import COURSE, DOUBLE, HALF, PARAMETERS, check_meta, lab_cells, notebook, solution_meta, write_notebook

from breakthrough.course import syllabus
from breakthrough.grading import cohort as cohorts, releasing, setting_up
from breakthrough.grading.records import ADDED, ANSWER, CHECK, GIVEN, PASSED, WRONG, Graded, Mark, Program, ProgramCell

MODULE = "01_toy"
STUDENTS = "id,first_name,last_name,email,lms_user_id\nada,Ada,Lovelace,ada@x.org,901\nbob,Bob,Müller,bob@x.org,902\n"
ESSAY = {"nbgrader": {"schema_version": 3, "grade_id": "toy-essay", "solution": True, "grade": True, "locked": False, "task": False, "points": 5}}
TASK = {"nbgrader": {"schema_version": 3, "grade_id": "toy-task", "solution": False, "grade": False, "locked": True, "task": True, "points": 4}}
MASTER = (*lab_cells(), ("markdown", "Why?", ESSAY), ("markdown", "Draw it.", TASK))
CARD = '<div style="border:1px solid #009e73;padding:.6em"><b style="color:#009e73">sign</b> {text}</div>'


def write_project(folder: Path) -> Path:
    """A course's project with one lab."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "course.yml").write_text(COURSE)
    write_notebook(folder / "solutions" / MODULE / f"{MODULE}.ipynb", *MASTER)
    return folder


@pytest.fixture(scope="session")
def cohort_template(tmp_path_factory):
    """A cohort that was set up and released once, to be copied."""
    root = tmp_path_factory.mktemp("cohort")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREAKTHROUGH_SEEDS", str(root / "seeds"))
        (root / "students.csv").write_text(STUDENTS)
        course = syllabus.load(write_project(root / "project"))
        made = setting_up.init(root / "cohort", course, students_csv=root / "students.csv")
        releasing.release(made.cohort, MODULE)
    return root


@pytest.fixture
def cohort(cohort_template, tmp_path, monkeypatch):
    """A fresh cohort in the current folder, with two students and the toy lab released."""
    for name in ("cohort", "seeds"):
        shutil.copytree(cohort_template / name, tmp_path / name)
    (tmp_path / "seeds").chmod(0o700)
    monkeypatch.setenv("BREAKTHROUGH_SEEDS", str(tmp_path / "seeds"))
    monkeypatch.chdir(tmp_path / "cohort")
    return cohorts.find()


def mark(exercise, passed=True, **fields):
    """A mark with its card."""
    of = {"toy.double": 40, "toy.half": 30}[exercise]
    status, points = (PASSED, of) if passed else (WRONG, 0)
    word = f"{exercise} {status}"
    return Mark(**{"exercise": exercise, "status": status, "points": points, "of": of, "plain": word, "html": CARD.format(text=word), **fields})


def graded(cohort, student="ada", *, double=True, half=True, outputs=None, answer="def double(x):\n    return 2 * x", manual=None, **fields):
    """A graded submission of the toy lab, made by hand."""
    cells = (
        ProgramCell("cell-01", lab_cells()[1][1], GIVEN),
        ProgramCell("cell-02", PARAMETERS[1], GIVEN),
        ProgramCell("cell-04", answer, ANSWER, "toy.double"),
        ProgramCell("cell-05", 'check("toy.double", double)', CHECK, "toy.double", "double"),
        ProgramCell("mine", "print(double(2))", ADDED),
        ProgramCell("cell-07", "def half(x):\n    return x / 2", ANSWER, "toy.half"),
        ProgramCell("cell-08", 'check("toy.half", half)', CHECK, "toy.half", "half"),
    )
    text = {"toy-essay": "Because *twice* is twice."} if manual is None else manual
    shown = {"mine": ({"output_type": "stream", "name": "stdout", "text": "4\n"},)} if outputs is None else outputs
    values = dict(
        student=student, module=MODULE, marks=(mark("toy.double", double), mark("toy.half", half)), submission_hash=f"hash of {student}",
        release_hash=releasing.latest(cohort, MODULE), tier="bubblewrap", seed_id="abc", program=Program(cells, text), outputs=shown, graded_s=1.0,
    )
    return Graded(**{**values, **fields})


def submit(cohort, student="ada", time="2026-01-02 03:04:05.000000 UTC"):
    """A submission as nbgrader's collector leaves it."""
    folder = cohort.submitted(student, MODULE)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{MODULE}.ipynb").write_text(json.dumps(notebook(*lab_cells(DOUBLE, HALF))))
    (folder / "timestamp.txt").write_text(time)
    (folder / "submission_secret.txt").write_text("0" * 128)
    return folder


__all__ = ["ESSAY", "MODULE", "check_meta", "cohort", "cohort_template", "graded", "mark", "solution_meta", "submit", "write_project"]
