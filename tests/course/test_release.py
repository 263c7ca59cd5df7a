import json
import os
import subprocess
import sys

import pytest
from toy_course import DOUBLE, lab_cells, notebook, write_notebook

from breakthrough.course import notebooks, release
from breakthrough.errors import NotebookError


@pytest.fixture
def toy(course):
    return course.find("toy")


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_release_has_no_solution_and_locked_checks_with_points(course, toy):
    [done] = release.release(course)
    lab = notebooks.read(course.lab(toy))
    text = json.dumps(lab)
    assert done.files == ("01_toy.ipynb",) and done.differ == ("labs/01_toy/01_toy.ipynb",)
    assert "SOLUTION" not in text and "twice the same" not in text and "one of two parts" not in text
    assert text.count("raise NotImplementedError()") == 2
    graded = [cell["metadata"]["nbgrader"] for cell in lab["cells"] if cell["metadata"].get("nbgrader", {}).get("grade")]
    assert [(meta["grade_id"], meta["points"], meta["locked"]) for meta in graded] == [("toy-double", 40, True), ("toy-half", 30, True)]
    assert "parameters" in notebooks.tags(lab["cells"][2])


def test_a_second_release_is_byte_identical_and_leaves_nothing_behind(course, course_folder):
    release.release(course)
    first = tree(course_folder)
    [again] = release.release(course)
    assert again.differ == () and tree(course_folder) == first
    assert not [name for name in first if name.endswith(".db")]
    assert {name.split(os.sep)[0] for name in first} == {"course.yml", "notebooks", "solutions", "labs"}


def test_check_compares_and_writes_nothing(course, toy):
    [missing] = release.release(course, check=True)
    assert missing.differ == ("labs/01_toy/01_toy.ipynb",) and not course.lab(toy).exists()
    release.release(course)
    assert release.release(course, check=True)[0].differ == ()
    course.lab(toy).write_text(course.lab(toy).read_text() + " ")
    assert release.release(course, check=True)[0].differ == ("labs/01_toy/01_toy.ipynb",)


def test_a_file_that_the_master_no_longer_has_is_out_of_step_and_removed(course, toy):
    release.release(course)
    extra = course.lab(toy).parent / "old.csv"
    extra.write_text("1")
    assert release.release(course, check=True)[0].differ == ("labs/01_toy/old.csv",)
    release.release(course)
    assert not extra.exists()


def test_files_beside_the_master_are_released_with_it(course, toy):
    (course.solution(toy).parent / "data.csv").write_text("1,2\n")
    release.release(course)
    assert (course.lab(toy).parent / "data.csv").read_text() == "1,2\n"


def test_a_learners_work_is_kept_before_it_is_replaced(course, course_folder, toy):
    release.release(course)
    course.lab(toy).write_text("my work")
    [done] = release.release(course)
    assert (course_folder / done.kept).read_text() == "my work"


def test_a_master_without_ids_is_refused(course, toy):
    path = course.solution(toy)
    made = json.loads(path.read_text())
    del made["cells"][3]["id"]
    path.write_text(json.dumps(made))
    with pytest.raises(NotebookError, match=r"none in cells \[4\]"):
        release.release(course)


def test_a_missing_master_is_named(course, toy):
    course.solution(toy).unlink()
    with pytest.raises(NotebookError, match=r"01_toy\.ipynb"):
        release.release(course)


def test_a_solution_outside_a_solution_cell_is_refused(course, toy):
    # nbgrader clears solution cells only: markers in a plain cell would reach the learner
    write_notebook(course.solution(toy), *lab_cells(), ("code", DOUBLE.replace("double", "again")))
    with pytest.raises(NotebookError, match="Solution region detected in a non-solution cell"):
        release.release(course)
    assert not course.lab(toy).exists()


LEAK = "    return x + x  # twice the same"


@pytest.mark.parametrize(("kind", "source"), [("code", LEAK.strip()), ("markdown", f"for example\n{LEAK}"), ("raw", LEAK)])
def test_the_scan_finds_solution_lines_anywhere(kind, source):
    master = notebook(*lab_cells())
    assert any("twice the same" in found for found in release.scan(master, notebook((kind, source))))


def test_the_scan_finds_markers_and_outputs():
    lab = notebook(("code", "### BEGIN HIDDEN TESTS"), ("code", "1"))
    lab["cells"][1]["execution_count"] = 3
    found = list(release.scan(notebook(*lab_cells()), lab))
    assert len(found) == 2 and "HIDDEN" in found[0] and "outputs in cell 2" in found[1]


def test_lines_that_say_nothing_or_stand_outside_are_no_leak():
    code = "import torch.nn.functional\ndef f(x):\n    ### BEGIN SOLUTION\n    return x\n    import torch.nn.functional\n    ### END SOLUTION"
    assert list(release.solution_lines(notebook(("code", code)))) == []


def validate(path):
    done = subprocess.run([sys.executable, "-m", "nbgrader", "validate", str(path)], capture_output=True, text=True, cwd=path.parent)
    return done.stdout + done.stderr


def test_stock_nbgrader_validates_a_released_lab(course, toy):
    release.release(course)
    untouched = validate(course.lab(toy))
    assert "failed" in untouched.lower() or "NotImplementedError" in untouched
    solved = json.loads(course.lab(toy).read_text())
    for cell, body in zip([c for c in solved["cells"] if c["metadata"].get("nbgrader", {}).get("solution")], ("2 * x", "x / 2"), strict=True):
        name = "double" if "double" in "".join(cell["source"]) else "half"
        cell["source"] = f"def {name}(x):\n    return {body}"
    course.lab(toy).write_text(json.dumps(solved))
    assert "Success" in validate(course.lab(toy))
