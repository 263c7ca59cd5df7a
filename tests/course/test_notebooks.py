import json

import pytest

from breakthrough.course import notebooks
from breakthrough.errors import NotebookError


def shown(**data):
    return {"output_type": "display_data", "metadata": {}, "data": data}


def check(name, points, status="passed", text="card"):
    record = {"exercise": name, "status": status, "points": points, "of": 5, "diagnosis": None}
    return shown(**{notebooks.CHECK_MIME: record, "text/plain": text})


def executed(*outputs):
    return {"cells": [{"cell_type": "code", "source": "", "metadata": {}, "outputs": list(outputs)}]}


def test_the_best_result_of_an_exercise_counts():
    found = notebooks.checks(executed(check("a.b", 0, "wrong"), check("a.b", 5), check("a.b", 0, "wrong")))
    assert found["a.b"]["points"] == 5 and found["a.b"]["status"] == "passed"


def test_what_a_failed_check_says_is_the_first_line_of_its_card():
    found = notebooks.checks(executed(check("a.b", 0, "wrong", "The sum runs over tokens\nmore")))
    assert found["a.b"]["says"] == "The sum runs over tokens"


def test_the_last_record_of_a_claim_counts():
    first, last = ({"claim": "C01", "verdict": verdict} for verdict in ("holds", "does not hold"))
    found = notebooks.claims(executed(shown(**{notebooks.CLAIM_MIME: first}), shown(**{notebooks.CLAIM_MIME: last})))
    assert found == {"C01": last}


def test_other_outputs_are_no_scores():
    outputs = [{"output_type": "stream", "name": "stdout", "text": "5 points"}, shown(**{"text/html": "<b>5</b>"})]
    assert notebooks.checks(executed(*outputs)) == {}


def test_sources_given_as_lines_are_joined(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["a\n", "b"]}]}))
    assert notebooks.read(path)["cells"][0]["source"] == "a\nb"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": 3}', '{"cells": [{}]}', "\xff"])
def test_what_is_no_notebook_is_one_clear_error(tmp_path, content):
    path = tmp_path / "a.ipynb"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(NotebookError, match=r"a\.ipynb"):
        notebooks.read(path)


def test_a_missing_notebook_is_named(tmp_path):
    with pytest.raises(NotebookError, match="no such file"):
        notebooks.read(tmp_path / "none.ipynb")


def answer(source, *tags):
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}}


def test_answers_are_filled_before_the_check_and_the_source_stays():
    cell = answer('answer_x = None  # your answer\ncheck("moe.q_x", answer_x)', "answer")
    assert notebooks.fill_answers([cell]) == ["moe.q_x"]
    lines = cell["source"].splitlines()
    assert (lines[0], lines[2]) == ("answer_x = None  # your answer", 'check("moe.q_x", answer_x)')
    assert lines[1].startswith("answer_x = ") and "'moe.q_x'" in lines[1]


def test_a_filled_answer_passes_the_engine():
    cell = answer('from breakthrough.exercises import check\nsoftmax = None\ncheck("start.softmax", softmax)', "answer")
    notebooks.fill_answers([cell])
    scope = {}
    exec(cell["source"], scope)  # raises when the answer is wrong
    assert callable(scope["softmax"])


def test_cells_without_the_tag_stay():
    cell = answer('x = None\ncheck("moe.q_x", x)')
    assert notebooks.fill_answers([cell]) == [] and "exercises" not in cell["source"]


@pytest.mark.parametrize("source", ["answer = None", 'check("a.b", x)\ncheck("a.c", x)', "check(x)", "def (", ""])
def test_an_answer_cell_of_another_form_is_refused(source):
    with pytest.raises(NotebookError, match="answer cell"):
        notebooks.fill_answers([answer(source, "answer")])


def test_magics_do_not_hinder_parsing():
    assert notebooks.check_calls('%matplotlib inline\n!ls\ncheck("a.b", f)') == [("a.b", "f", 3)]
