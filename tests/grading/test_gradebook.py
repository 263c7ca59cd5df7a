"""The one writer of grades: nbgrader's own rules and formats, each submission whole or not at all."""

import importlib
import json
import multiprocessing
import os
import signal

import pytest
from toy_cohort import MODULE, cohort, cohort_template, graded, mark, submit  # noqa: F401

from breakthrough.errors import InputError, NotebookError
from breakthrough.grading import cohort as cohorts, course_config, releasing
from breakthrough.grading.gradebook import GradebookWriter, graded_of, read_record
from breakthrough.grading.records import Program


def write(cohort, *many):
    with GradebookWriter(cohort) as writer:
        for one in many:
            writer.write(one)


def scores(cohort, student="ada"):
    """auto, manual and needs_manual_grade by cell, as nbgrader's gradebook has them."""
    with course_config.gradebook(cohort) as book:
        row = book.find_submission_notebook(MODULE, MODULE, student)
        return {grade.name: (grade.auto_score, grade.manual_score, grade.needs_manual_grade) for grade in row.grades}


def executed(cohort, student="ada"):
    return json.loads((cohort.autograded(student, MODULE) / f"{MODULE}.ipynb").read_text())


def stock_points(cohort, student="ada"):
    """What nbgrader's own determine_grade reads from the executed notebook."""
    import nbformat
    from nbgrader.utils import determine_grade, is_grade

    made = nbformat.read(cohort.autograded(student, MODULE) / f"{MODULE}.ipynb", as_version=4)
    nbformat.validate(made)
    return {cell.metadata.nbgrader.grade_id: determine_grade(cell)[0] for cell in made.cells if is_grade(cell)}


def test_marks_notebook_and_record_say_the_same(cohort):
    submit(cohort)
    one = graded(cohort, half=False)
    write(cohort, one)
    assert scores(cohort) == {
        "toy-double": (40, None, False), "toy-half": (0, None, False), "toy-essay": (None, None, True), "toy-task": (None, None, True)}
    assert stock_points(cohort) == {"toy-double": 40, "toy-half": 0, "toy-essay": None}
    assert read_record(cohort.record("ada", MODULE)) == one
    assert graded_of(cohort, MODULE) == [one]
    with course_config.gradebook(cohort) as book:
        assert str(book.find_submission(MODULE, "ada").timestamp) == "2026-01-02 03:04:05"


def test_a_part_of_the_points_is_read_by_nbgrader_as_that_part(cohort):
    write(cohort, graded(cohort, marks=(mark("toy.double", points=12.5, status="wrong"), mark("toy.half"))))
    assert stock_points(cohort)["toy-double"] == scores(cohort)["toy-double"][0] == 12.5


def test_the_executed_notebook_is_the_release_with_the_submissions_sources(cohort):
    write(cohort, graded(cohort))
    cells = executed(cohort)["cells"]
    release = json.loads(cohort.released(MODULE, releasing.latest(cohort, MODULE)).read_text())["cells"]
    assert [cell["id"] for cell in cells if cell["id"] != "mine"] == [cell["id"] for cell in release]
    by_id = {cell["id"]: cell for cell in cells}
    assert [cell["id"] for cell in cells].index("mine") == [cell["id"] for cell in cells].index("cell-05") + 1
    assert by_id["cell-04"]["source"] == "def double(x):\n    return 2 * x"
    assert by_id["cell-05"]["source"] == 'check("toy.double", double)'
    assert by_id["mine"]["outputs"][0]["text"] == "4\n"
    assert by_id["cell-09"]["source"] == "Because *twice* is twice."


def test_a_changed_check_cell_keeps_the_released_source(cohort):
    from dataclasses import replace

    one = graded(cohort)
    cells = tuple(replace(cell, source="pass") if cell.kind == "check" else cell for cell in one.program.cells)
    write(cohort, replace(one, program=Program(cells)))
    assert "pass" not in {cell["source"] for cell in executed(cohort)["cells"]}


def test_an_untouched_essay_is_no_response_and_zero_as_nbgrader_has_it(cohort):
    write(cohort, graded(cohort, manual={"toy-essay": "YOUR ANSWER HERE"}))
    assert scores(cohort)["toy-essay"] == (0, None, False)
    with course_config.gradebook(cohort) as book:
        assert book.find_comment("toy-essay", MODULE, MODULE, "ada").auto_comment == "No response."
        assert book.find_comment("toy-double-answer", MODULE, MODULE, "ada").auto_comment is None


def grade_by_hand(cohort, points, comment):
    with course_config.gradebook(cohort) as book:
        grade = book.find_grade("toy-essay", MODULE, MODULE, "ada")
        grade.manual_score, grade.needs_manual_grade = points, False
        book.find_comment("toy-essay", MODULE, MODULE, "ada").manual_comment = comment
        book.db.commit()


def test_a_manual_grade_stays_and_asks_for_a_look_when_the_submission_changed(cohort):
    write(cohort, graded(cohort))
    grade_by_hand(cohort, 3, "nearly")
    write(cohort, graded(cohort))
    assert scores(cohort)["toy-essay"] == (None, 3, False)
    write(cohort, graded(cohort, submission_hash="another"))
    assert scores(cohort)["toy-essay"] == (None, 3, True)
    with course_config.gradebook(cohort) as book:
        assert book.find_comment("toy-essay", MODULE, MODULE, "ada").comment == "nearly"
        assert book.find_submission(MODULE, "ada").score == 73


@pytest.mark.parametrize(("method", "time", "penalty"), [
    ("zero", "2026-01-02 03:04:05 UTC", 70), ("zero", "2025-12-31 03:04:05 UTC", None), ("none", "2026-01-02 03:04:05 UTC", None)])
def test_late_work_is_penalised_by_nbgraders_plugin(cohort, method, time, penalty):
    config = cohort.folder / "nbgrader_config.py"
    config.write_text(config.read_text() + f'\nc.LateSubmissionPlugin.penalty_method = "{method}"\n')
    with course_config.gradebook(cohort) as book:
        book.update_or_create_assignment(MODULE, duedate="2026-01-01 00:00:00")
    submit(cohort, time=time)
    write(cohort, graded(cohort))
    with course_config.gradebook(cohort) as book:
        assert book.find_submission_notebook(MODULE, MODULE, "ada").late_submission_penalty == penalty


def test_a_student_that_nobody_listed_is_added_like_nbgrader_does(cohort):
    write(cohort, graded(cohort, "eve"))
    assert scores(cohort, "eve")["toy-double"] == (40, None, False)


def test_a_refused_submission_gets_zero_and_says_why(cohort):
    write(cohort, graded(cohort, marks=(), program=Program(()), refused="no notebook: not JSON"))
    assert stock_points(cohort) == {"toy-double": 0, "toy-half": 0, "toy-essay": 0}
    assert "not JSON" in executed(cohort)["cells"][0]["outputs"][0]["text"]


@pytest.mark.parametrize(("fields", "error"), [
    ({"failure": "the examiner died"}, InputError),
    ({"marks": ()}, NotebookError),
    ({"marks": (mark("toy.double", points=41), mark("toy.half"))}, InputError),
    ({"release_hash": "0" * 64}, InputError),
    ({"student": "../ada"}, InputError),
])
def test_what_cannot_be_is_refused_and_nothing_is_written(cohort, fields, error):
    with pytest.raises(error, match="expected"):
        write(cohort, graded(cohort, **fields))
    assert not list(cohort.records.glob("*/*")) and not list((cohort.folder / "autograded").glob("*/*"))
    with course_config.gradebook(cohort) as book:
        assert book.assignment_submissions(MODULE) == []


def test_one_writer_at_a_time(cohort):
    with GradebookWriter(cohort), pytest.raises(InputError, match="one writer"):
        GradebookWriter(cohort).__enter__()
    write(cohort, graded(cohort))


# where a writer is killed: the step after which nothing more of it happens
KILLED_AFTER = {
    "writing down": ("breakthrough.grading.gradebook.GradebookWriter._write", "before"),
    "the gradebook": ("breakthrough.grading.entries.put", "after"),
    "half of the gradebook": ("breakthrough.grading.entries._late_penalty", "before"),
    "the notebook": ("breakthrough.files.replace_folder", "after"),
    "the old notebook is away": ("shutil.rmtree", "before"),
}


def die_writing(target, when, one):
    """Write, and kill this process at the step; it runs in a process of its own."""
    path, _, name = target.rpartition(".")
    try:
        owner = importlib.import_module(path)
    except ImportError:
        owner = getattr(importlib.import_module(path.rpartition(".")[0]), path.rpartition(".")[2])
    real = getattr(owner, name)

    def last(*args, **kwargs):
        if when == "after":
            real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    with GradebookWriter(cohorts.find()) as writer:
        setattr(owner, name, last)
        writer.write(one)


@pytest.mark.parametrize("step", KILLED_AFTER)
def test_a_kill_leaves_nothing_half_and_the_next_run_finishes_it(cohort, step):
    submit(cohort)
    write(cohort, graded(cohort, double=False, half=False))
    again = graded(cohort, half=False, submission_hash="another")
    killed = multiprocessing.get_context("fork").Process(target=die_writing, args=(*KILLED_AFTER[step], again))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    with GradebookWriter(cohort) as writer:
        assert writer.finished == (f"{MODULE}/ada",)
    assert scores(cohort)["toy-double"] == (40, None, False) and stock_points(cohort)["toy-double"] == 40
    assert read_record(cohort.record("ada", MODULE)) == again
    assert [path.name for path in (cohort.folder / "autograded" / "ada").iterdir()] == [MODULE]
    assert [path.name for path in (cohort.records / MODULE).iterdir()] == ["ada.json"]
    with GradebookWriter(cohort) as writer:
        assert writer.finished == ()


def test_a_kill_while_writing_down_changes_nothing(cohort):
    write(cohort, graded(cohort))
    (cohort.records / MODULE / "..ada.77.part.pending").write_text('{"student": "ada", "mod')
    with GradebookWriter(cohort) as writer:
        assert writer.finished == ()
    assert [path.name for path in (cohort.records / MODULE).iterdir()] == ["ada.json"]


def test_a_score_follows_when_a_lab_was_released_with_other_points(cohort):
    old = releasing.latest(cohort, MODULE)
    master = cohort.source / MODULE / f"{MODULE}.ipynb"
    master.write_text(master.read_text().replace('"points": 40', '"points": 20'))
    releasing.release(cohort, MODULE)
    write(cohort, graded(cohort, release_hash=old, marks=(mark("toy.double", points=30, status="wrong"), mark("toy.half"))))
    assert scores(cohort)["toy-double"][0] == stock_points(cohort)["toy-double"] == 15
