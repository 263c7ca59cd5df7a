import json

import pytest
from toy_course import PARAMETERS, cell, notebook

from breakthrough.course import shape

CARD = "# Title\n\nHours: 1. Points: 9 points. Prerequisites: none. In: nothing. Out: nothing. Claims: C01."
KIND = shape.Kind((3, 6), outputs_kept=True)
LAB = shape.Kind((3, 6), outputs_kept=False)


def good(*more):
    made = notebook(("markdown", CARD), PARAMETERS, ("code", "x = 1"), *more)
    for number, one in enumerate(made["cells"]):
        if one["cell_type"] == "code":
            one["execution_count"] = number
    return made


def faults(tmp_path, made, kind=KIND):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(made))
    return shape.faults(path, kind)


def test_a_good_notebook_has_no_faults(tmp_path):
    assert faults(tmp_path, good()) == []


def only(tmp_path, made, said, kind=KIND):
    found = faults(tmp_path, made, kind)
    assert len(found) == 1 and said in found[0], found


def test_too_few_and_too_many_cells(tmp_path):
    only(tmp_path, good(*[("markdown", "x")] * 4), "expected 3 to 6 cells, got 7")


def test_a_long_cell(tmp_path):
    only(tmp_path, good(("code", "x = 1\n" * 46)), "cell 4: expected 45 lines of code or fewer, got 46")


def test_a_long_median(tmp_path):
    made = good(("code", "x = 1\n" * 13), ("code", "x = 1\n" * 13), ("code", "x = 1\n" * 13))
    only(tmp_path, made, "expected a median code cell of 12 lines or fewer, got 13")


def test_too_many_words(tmp_path):
    only(tmp_path, good(("markdown", "word " * 4001)), "expected 4000 words or fewer")


def test_ids_are_there_and_unique(tmp_path):
    made = good()
    made["cells"][2]["id"] = made["cells"][1]["id"]
    only(tmp_path, made, "expected ids to be unique")
    del made["cells"][2]["id"]
    only(tmp_path, made, "expected an id in every cell, got 1 without")


def test_an_old_format(tmp_path):
    only(tmp_path, good() | {"nbformat_minor": 4}, "expected format 4.5 or newer, got 4.4")


def test_a_misspelled_tag(tmp_path):
    only(tmp_path, good(("markdown", "x", {"tags": ["anwser"]})), "got 'anwser'")  # codespell:ignore anwser


def test_code_that_is_no_python(tmp_path):
    only(tmp_path, good(("code", "def (")), "cell 4: expected Python")


@pytest.mark.parametrize("source", ['PROFILE = "tiny"\nSEED = 0', "SEED = 0", 'PROFILE = "quick"\nSEED = 1'])
def test_other_parameters(tmp_path, source):
    made = good()
    made["cells"][1]["source"] = source
    only(tmp_path, made, "expected the parameters")


def test_no_parameters_cell_or_two(tmp_path):
    made = good()
    made["cells"][1]["metadata"] = {}
    only(tmp_path, made, "expected one cell tagged parameters, got 0")


def test_a_title_card_that_lacks_something(tmp_path):
    made = good()
    made["cells"][0]["source"] = CARD.replace("Prerequisites: none. ", "")
    only(tmp_path, made, "got none of prerequisites")
    made["cells"][0]["source"] = "no title"
    made["cells"][0]["source"] += "\n\n# a title below"
    only(tmp_path, made, "expected a title card first")


@pytest.mark.parametrize("link", ["none.ipynb", "../none/", "none.png", "#no-such-heading"])
def test_a_dead_link(tmp_path, link):
    only(tmp_path, good(("markdown", f"[see]({link}) and ![a picture of two lines](a.ipynb)")), "cell 4: expected a link to a")


def test_live_links_and_code_that_looks_like_one(tmp_path):
    text = "## The `load` of it\n[a](a.ipynb) [b](#The-load-of-it) [c](https://example.org) `x[0](none)`\n```\n[d](none)\n```"
    assert faults(tmp_path, good(("markdown", text))) == []


def test_a_lesson_keeps_outputs_and_they_are_good(tmp_path):
    made = good()
    made["cells"][2]["execution_count"] = None
    only(tmp_path, made, "expected its outputs to be kept")
    made["cells"][2] |= {"execution_count": 3, "outputs": [{"output_type": "error", "ename": "E", "evalue": "", "traceback": []}]}
    only(tmp_path, made, "expected no error in the outputs, got E")
    made["cells"][2]["metadata"] = {"tags": ["raises-exception"]}
    assert faults(tmp_path, made) == []
    made["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stderr", "text": "careful"}]
    only(tmp_path, made, "expected nothing on stderr")


def test_a_lab_keeps_none(tmp_path):
    made = good()
    made["cells"][1]["execution_count"] = None
    only(tmp_path, made, "cell 3: expected no outputs", kind=LAB)


def test_a_cell_helper_makes_what_nbformat_accepts():
    import nbformat

    nbformat.validate(nbformat.from_dict(notebook(("markdown", "a"), ("code", "b"))))
    assert cell("code", "x", 1)["outputs"] == []


def picture(words, **metadata):
    return {"output_type": "display_data", "data": {"image/png": "aGk=", "text/plain": words}, "metadata": metadata}


def test_a_figure_without_words_and_two_with_the_same(tmp_path):
    made = good()
    cell = next(one for one in made["cells"] if one["cell_type"] == "code")
    cell["outputs"] = [picture("A line that rises from 1 to 2"), picture("<Figure size 1x1>", **{"image/png": {"alt": "Bars of one, two and three"}})]
    assert faults(tmp_path, made) == []
    cell["outputs"].append(picture("<Figure size 1x1>"))
    only(tmp_path, made, "expected a picture with a description")
    cell["outputs"][-1] = picture("A line that rises from 1 to 2")
    only(tmp_path, made, "expected a description of its own")


@pytest.mark.parametrize(("text", "said"), [("#### deep", "left out"), ("# Second title", "first level"), ("[here](a.ipynb)", "where it leads")])
def test_headings_out_of_order_and_empty_links(tmp_path, text, said):
    only(tmp_path, good(("markdown", text)), said)
