"""A lab in Chinese is graded as the English one: the same program comes out of it, cell by cell."""

import json

import pytest

from breakthrough.course import notebooks, syllabus
from breakthrough.course.translation import making, sources
from breakthrough.grading.names import alike
from breakthrough.grading.normalize import normalize
from breakthrough.grading.records import ADDED, ANSWER, CHECK

COURSE = syllabus.load()
BEGUN = [source for source in sources.sources(COURSE, "zh") if source.kind == sources.LAB and source.catalogue.is_file()]


def solutions(source):
    """The masters' sources of all answers, by grade id."""
    cells = notebooks.code_cells(notebooks.read(source.path))
    return {notebooks.grade_id(cell): cell["source"] for cell in cells if "### BEGIN SOLUTION" in cell["source"]}


def handed_in(folder, notebook, answers):
    """A submission: a notebook with the code of answers behind what its stubs say."""
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        answer = answers.get(notebooks.grade_id(cell))
        if answer:
            cell["source"] = cell["source"].replace("raise NotImplementedError()", "pass") + "\n\n" + answer if "def " in answer or "class " in answer else answer
    folder.mkdir(parents=True)
    (folder / "lab.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=BEGUN, ids=lambda source: source.name)
def source(request):
    return request.param


@pytest.fixture(scope="module")
def made(source):
    """The Chinese lab as its file has it."""
    return json.dumps(making.notebook(COURSE, source, "zh"))


def programs(tmp_path, source, made, answers):
    lab = COURSE.lab(COURSE.find(source.module))
    english = normalize(lab, handed_in(tmp_path / "en", notebooks.read(lab), answers))
    return english, normalize(lab, handed_in(tmp_path / "zh", json.loads(made), answers))


def test_a_solved_lab_gives_the_same_program(tmp_path, source, made):
    english, chinese = programs(tmp_path, source, made, solutions(source))
    turned, *rest = [cell for cell in chinese.cells if cell.id == "language-zh"]
    assert turned.kind == ADDED and rest == []
    ours = [cell for cell in chinese.cells if cell.id != "language-zh"]
    assert [(cell.id, cell.kind, cell.exercise) for cell in ours] == [(cell.id, cell.kind, cell.exercise) for cell in english.cells]
    assert all(alike(mine.source, theirs.source) for mine, theirs in zip(ours, english.cells, strict=True))
    assert [cell.source for cell in ours if cell.kind == CHECK] == [cell.source for cell in english.cells if cell.kind == CHECK]
    assert sum(cell.kind == ANSWER for cell in ours) >= len(solutions(source)) > 0
    assert chinese.notes == english.notes


def test_an_untouched_lab_has_answered_nothing(tmp_path, source, made):
    english, chinese = programs(tmp_path, source, made, {})
    assert chinese.notes == english.notes
    assert sum("not answered" in note for note in chinese.notes) == len(solutions(source))


def test_an_answer_with_other_code_is_no_longer_the_stub():
    assert alike('def f(x):\n    """Says this."""\n    return x', 'def f(x):\n    """说这个。"""\n    return x  # 还回来')
    assert not alike('def f(x):\n    """Says this."""\n    return x', 'def f(x):\n    """说这个。"""\n    return 2 * x')
