"""Submissions become the released lab with the learner's sources, whatever happened to the file."""

import json
import random

import honest
import pytest
from solved_labs import COURSE, LABS, as_bytes, cell_of, code, grade_id, insert_after, master_answers, released, solved

from breakthrough.course import notebooks
from breakthrough.errors import NotebookError
from breakthrough.grading.normalize import normalize
from breakthrough.grading.records import ADDED, ANSWER, CHECK, GIVEN

LAB = COURSE.lab(honest.MODULE)
labs = pytest.mark.parametrize("module", LABS, ids=lambda module: module.id)
slips = pytest.mark.parametrize("slip", honest.every(), ids=lambda slip: slip.name)


def hand_in(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def program_of(tmp_path, notebook):
    return normalize(LAB, hand_in(tmp_path, {honest.NAME: notebook if isinstance(notebook, bytes) else as_bytes(notebook)}))


def answers(program):
    found = {}
    for cell in program.cells:
        if cell.kind == ANSWER:
            found.setdefault(cell.id, []).append(cell.source.strip())
    return found


def source(program, name):
    return next(cell.source for cell in program.cells if cell.id == name)


@labs
def test_a_solved_lab_gives_the_solved_answers(tmp_path, module):
    program = normalize(COURSE.lab(module), hand_in(tmp_path, {f"{module.id}.ipynb": as_bytes(solved(module))}))
    lab = [cell for cell in released(module)["cells"] if cell["cell_type"] == "code"]
    assert [cell.id for cell in program.cells] == [cell["id"] for cell in lab]
    assert answers(program) == {name: [text.strip()] for name, text in master_answers(module).items()}
    assert program.notes == () and not any(cell.kind == ADDED for cell in program.cells)
    assert [(cell.exercise, cell.variable) for cell in program.checks] == [
        notebooks.check_calls(cell["source"])[0][:2] for cell in lab if cell["metadata"].get("nbgrader", {}).get("grade")]
    assert [cell.exercise for cell in program.checks] == list(module.exercises)


@labs
def test_an_untouched_lab_gives_its_stubs_and_says_so(tmp_path, module):
    program = normalize(COURSE.lab(module), hand_in(tmp_path, {f"{module.id}.ipynb": as_bytes(released(module))}))
    assert all("NotImplementedError" in texts[0] for texts in answers(program).values())
    assert [note for note in program.notes if "not answered" in note] == [f"{name}: not answered" for name in answers(program)]


@slips
def test_an_honest_slip_keeps_the_answers(tmp_path, slip):
    program = normalize(LAB, hand_in(tmp_path, slip.make(released(honest.MODULE), solved(honest.MODULE))))
    assert [cell.source for cell in program.checks] == [f'check("{cell.exercise}", {cell.variable})' for cell in program.checks]
    assert [cell.exercise for cell in program.checks] == list(honest.MODULE.exercises)
    assert len({cell.id for cell in program.cells}) == len(program.cells)
    if slip.same:
        assert answers(program) == {name: [text.strip()] for name, text in master_answers(honest.MODULE).items()}


@pytest.mark.parametrize("seed", range(12))
def test_slips_in_any_combination_keep_the_answers(tmp_path, seed):
    """Cells shuffled, some of them doubled, given ones dropped, others retyped, half of the metadata gone."""
    draw, notebook = random.Random(seed), solved(honest.MODULE)
    cells = []
    for cell in notebook["cells"]:
        answer = grade_id(cell).endswith("-answer")
        if answer and draw.random() < 0.3:
            cell["cell_type"] = draw.choice(["markdown", "raw"])
        if draw.random() < 0.5:
            cell["metadata"] = {}
        elif draw.random() < 0.5:
            cell["id"] = f"new-{len(cells)}"
        copies = draw.choice([1, 1, 2]) if answer else draw.choice([0, 1, 1, 2])
        cells += [dict(cell) for _ in range(copies)] + [code(f"mine_{len(cells)} = 1")] * (draw.random() < 0.2)
    draw.shuffle(cells)
    program = program_of(tmp_path, notebook | {"cells": cells})
    assert {name: texts[-1] for name, texts in answers(program).items()} == {name: text.strip() for name, text in master_answers(honest.MODULE).items()}
    order = [cell.id for cell in program.cells if cell.kind in (GIVEN, ANSWER, CHECK)]
    assert order == [cell["id"] for cell in released(honest.MODULE)["cells"] if cell["cell_type"] == "code"]


def test_the_learners_own_cells_keep_their_place(tmp_path):
    notebook = solved(honest.MODULE)
    insert_after(notebook, "moe-route-answer", code("first = 1"), code("second = 2"))
    notebook["cells"].insert(0, code("before = 0"))
    program = program_of(tmp_path, notebook)
    sources = [cell.source for cell in program.cells]
    assert sources[0] == "before = 0"
    at = sources.index("first = 1")
    assert sources[at + 1] == "second = 2" and program.cells[at - 1].id == "moe-route-answer" and program.cells[at + 2].id == "moe-route"
    assert [cell.kind for cell in program.cells[at : at + 2]] == [ADDED, ADDED]


def test_a_given_cell_that_was_edited_is_the_learners_in_its_place(tmp_path):
    notebook = solved(honest.MODULE)
    cell_of(notebook, "imports")["source"] += "\nimport numpy as np"
    program = program_of(tmp_path, notebook)
    [imports] = [cell for cell in program.cells if cell.id == "imports"]
    assert program.cells.index(imports) == 1 and imports.kind == ADDED and imports.source.endswith("import numpy as np")  # after the panel
    assert sum(cell.id.startswith("imports") for cell in program.cells) == 1 and "imports: edited" in program.notes


def test_spaces_and_comments_are_no_edit(tmp_path):
    notebook = solved(honest.MODULE)
    cell_of(notebook, "imports")["source"] += "  \n# my imports\n\n"
    program = program_of(tmp_path, notebook)
    assert [cell.kind for cell in program.cells if cell.id == "imports"] == [GIVEN] and program.notes == ()


def test_another_magic_is_an_edit(tmp_path):
    notebook = solved(honest.MODULE)
    cell = cell_of(notebook, "imports")
    cell["source"] = cell["source"].replace("%matplotlib inline", "%matplotlib widget")
    assert [one.kind for one in program_of(tmp_path, notebook).cells if one.id == "imports"] == [ADDED]


def test_an_edited_cell_without_any_name_is_known_by_its_lines(tmp_path):
    notebook = solved(honest.MODULE)
    for cell in notebook["cells"]:
        cell["metadata"] = {}
        del cell["id"]
    cell = next(cell for cell in notebook["cells"] if cell["source"].startswith("fair = torch.randn"))
    cell["source"] = cell["source"].replace("2000", "500")
    program = program_of(tmp_path, notebook)
    assert "500" in source(program, "s4-picture") and "s4-picture: edited" in program.notes
    assert not any("torch.randn(2000, 8" in cell.source for cell in program.cells)


def test_both_of_two_different_answers_run_the_later_one_last(tmp_path):
    notebook = solved(honest.MODULE)
    mine = cell_of(notebook, "moe-cost-answer")
    insert_after(notebook, "moe-cost-answer", dict(mine, id="later", source="def cost(*sizes):\n    return sizes"))
    program = program_of(tmp_path, notebook)
    mine_all = [cell for cell in program.cells if cell.exercise == "moe.cost" and cell.kind == ANSWER]
    assert [cell.source.split("(")[1].strip()[:6] for cell in mine_all] == ["d_mode", "*sizes"]
    assert any("2 cells have this name" in note for note in program.notes)


def test_a_deleted_answer_is_its_stub_again(tmp_path):
    notebook = solved(honest.MODULE)
    notebook["cells"].remove(cell_of(notebook, "moe-combine-answer"))
    program = program_of(tmp_path, notebook)
    assert source(program, "moe-combine-answer") == cell_of(released(honest.MODULE), "moe-combine-answer")["source"]
    assert "moe-combine-answer: deleted" in program.notes


def test_nothing_that_a_submission_says_of_itself_is_believed(tmp_path):
    notebook = released(honest.MODULE)
    forged = {"grade": True, "solution": True, "locked": True, "points": 100, "schema_version": 3, "grade_id": "moe-everything"}
    for cell in notebook["cells"]:
        cell["metadata"]["tags"] = ["skip-execution", "remove_cell"]
    cell_of(notebook, "moe-route")["source"] = "check = lambda *_: None"
    notebook["cells"].append(code("points = 100", nbgrader=forged, tags=["parameters"]))
    program = program_of(tmp_path, notebook)
    assert source(program, "moe-route") == 'check("moe.route", route)'
    assert [cell.kind for cell in program.cells if cell.source == "points = 100"] == [ADDED]
    assert len(program.checks) == 12


def test_code_that_a_learner_wrote_into_a_check_is_kept_before_it(tmp_path):
    notebook = solved(honest.MODULE)
    cell_of(notebook, "moe-cost")["source"] = "def extra():\n    return 1\n\n\ncheck('moe.cost', cost)"
    program = program_of(tmp_path, notebook)
    places = {cell.id: place for place, cell in enumerate(program.cells)}
    before = program.cells[places["moe-cost"] - 1]
    assert before.kind == ADDED and "def extra" in before.source


def test_manual_answers_are_texts_by_grade_id(tmp_path):
    manual = {"grade": True, "solution": True, "locked": False, "points": 3, "schema_version": 3, "grade_id": "essay", "task": False}
    lab = released(honest.MODULE)
    text = {"cell_type": "markdown", "id": "essay", "metadata": {"nbgrader": manual}, "source": "YOUR ANSWER HERE"}
    lab["cells"].append(text)
    path = tmp_path / "release" / honest.NAME
    hand_in(path.parent, {honest.NAME: as_bytes(lab)})
    lab["cells"][-1] = text | {"source": "Because *sparse*."}
    program = normalize(path, hand_in(tmp_path / "one", {honest.NAME: as_bytes(lab)}))
    assert program.manual == {"essay": "Because *sparse*."}
    lab["cells"].pop()
    assert normalize(path, hand_in(tmp_path / "two", {honest.NAME: as_bytes(lab)})).manual == {"essay": ""}


def test_another_modules_notebook_is_said_to_be_that(tmp_path):
    program = program_of(tmp_path, solved(LABS[1]))
    assert any("another module" in note for note in program.notes)
    assert all("NotImplementedError" in texts[0] for texts in answers(program).values())


def test_of_several_notebooks_the_named_one_counts_and_others_are_named(tmp_path):
    files = {honest.NAME: as_bytes(solved(honest.MODULE)), "old.ipynb": b"{", ".hidden.ipynb": b"x"}
    program = normalize(LAB, hand_in(tmp_path, files))
    assert program.notes == ("not looked at: 'old.ipynb'",) and "NotImplementedError" not in source(program, "moe-route-answer")


def test_two_notebooks_that_are_equally_likely_are_told(tmp_path):
    one = as_bytes(solved(honest.MODULE))
    program = normalize(LAB, hand_in(tmp_path, {"a.ipynb": one, "b.ipynb": one, "c.ipynb": b"not json"}))
    assert "though 'b.ipynb' has as much" in program.notes[0]


def test_a_thousand_doubled_answers_are_all_there(tmp_path):
    notebook = released(honest.MODULE)
    cell = cell_of(notebook, "moe-route-answer")
    notebook["cells"] += [dict(cell, source=f"def route(a, b):\n    return {n}") for n in range(1000)]
    notebook["cells"] += [code(f"x_{n} = {n}" * 20) for n in range(2000)]
    program = program_of(tmp_path, notebook)
    assert len(answers(program)) == 14 + 999


def test_the_refusal_of_bad_files_is_one_sentence(tmp_path):
    with pytest.raises(NotebookError, match="one file .*got 1 other files"):
        normalize(LAB, hand_in(tmp_path, {"notes.txt": b"1"}))
    with pytest.raises(NotebookError) as caught:
        normalize(LAB, hand_in(tmp_path / "two", {"a.ipynb": b"[", "b.ipynb": json.dumps([1]).encode()}))
    assert "\n" not in str(caught.value)
