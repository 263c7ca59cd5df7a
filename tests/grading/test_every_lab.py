"""The solved lab of every module in the real sandbox, and untouched; with what its cells import and nothing more."""

import pytest
from solved_labs import COURSE, LABS, as_bytes, points, released, solved

from breakthrough.course import notebooks
from breakthrough.grading import grade, run, sandbox
from breakthrough.grading.grade import Rules, Task
from breakthrough.grading.visible import EXERCISES, imported

labs = pytest.mark.parametrize("module", LABS, ids=lambda module: module.id)


@labs
def test_a_solved_lab_earns_what_answers_can_and_an_untouched_one_nothing(module, tmp_path):
    grader = run.Grader(Rules(7, "tests", sandbox.require_sandbox(unsandboxed=True)))
    try:
        whole, empty = (graded(grader, module, notebook, tmp_path) for notebook in (solved(module), released(module)))
    finally:
        grader.close()
    earned = {mark.exercise: mark.points for mark in whole.marks if mark.points}
    assert earned == points(module), [mark.plain for mark in whole.marks if not mark.passed]
    assert [(mark.exercise, mark.points) for mark in empty.marks] == [(name, 0) for name in module.exercises]
    assert {mark.status for mark in empty.marks} == {"not attempted"}, [mark.plain for mark in empty.marks]


def graded(grader, module, notebook, folder):
    (folder / f"{module.id}.ipynb").write_bytes(as_bytes(notebook))
    found = grader.grade(Task("ada", module.id, folder, COURSE.lab(module)))
    assert not found.failure, found.failure
    return found


@labs
def test_whatever_of_the_exercises_a_lab_imports_is_seen_in_the_sandbox_unless_it_holds_references(module):
    seen = {path.stem for path in grade.material(COURSE.lab(module))}
    sources = [cell["source"] for cell in notebooks.code_cells(released(module))]
    wanted = {name.split(".")[2] for source in sources for name in imported(source) if name.startswith("breakthrough.exercises.")}
    wanted = {name for name in wanted if (EXERCISES / f"{name}.py").is_file()}
    assert wanted <= seen
    assert all("EXERCISES = (" not in (EXERCISES / f"{name}.py").read_text() for name in seen)


def test_magics_hide_no_imports():
    assert "breakthrough.exercises.quant_mend_wrong" in imported("%matplotlib inline\n!ls\nfrom breakthrough.exercises import quant_mend_wrong")
    assert imported("%time x = 1\n?x\nfrom os import path") == {"os", "os.path"}
