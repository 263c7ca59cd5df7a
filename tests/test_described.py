"""Figures can be read by everyone: described in words, in colours that every eye tells apart, with letters that stand out."""

import ast
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from figure_eyes import APART, faults, least_apart

from breakthrough import pictures
from breakthrough.course import notebooks
from breakthrough.errors import InputError

SRC = Path(__file__).parents[1] / "src" / "breakthrough"
PALETTE = dict(zip(("sky", "orange", "green", "purple", "yellow", "blue", "red", "slate"), pictures.COLOURS))


def a_line(text="A line that rises from 1 to 2"):
    figure = pictures.new_figure(2, 1)
    figure.subplots().plot([1, 2], label="a")
    return pictures.describe(figure, text)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(PALETTE, 2)))
def test_colours_are_told_apart_by_every_eye(one, other):
    assert least_apart(PALETTE[one], PALETTE[other]) > APART


def test_red_and_green_of_screens_would_not_pass():
    assert least_apart("#d62728", "#7f6a00") < APART < least_apart(pictures.BLUE, pictures.ORANGE)


def test_what_cannot_be_read_or_told_apart_is_found():
    figure = pictures.new_figure(2, 1)
    axes = figure.subplots()
    axes.plot([1, 2], color=pictures.PURPLE, label="a")
    axes.plot([2, 1], color=pictures.GREY, label="b")
    axes.text(0, 0, "small", fontsize=7)
    axes.text(0, 1, "pale", color=pictures.ORANGE)
    assert [said.split(":")[0] for said in faults(figure)] == ["7 points", "contrast 2.3", "lines 'a' and 'b'"]
    axes.lines[1].set_linestyle("--")
    assert len(faults(figure)) == 2


@pytest.mark.parametrize("ground", [*pictures.COLOURS, pictures.INK, pictures.PALE, "white", "black"])
def test_letters_can_be_read_on_every_colour(ground):
    assert pictures.contrast(pictures.ink_on(ground), ground) >= pictures.READABLE


@pytest.mark.parametrize("colour", [*pictures.COLOURS, pictures.INK])
def test_a_colour_is_darkened_until_its_letters_can_be_read(colour):
    from matplotlib.colors import to_rgb

    for ground in ("white", pictures.PALE):
        assert pictures.contrast(pictures.readable(colour, ground), ground) >= pictures.READABLE
    assert np.argmax(to_rgb(pictures.readable(colour))) == np.argmax(to_rgb(colour))


def test_contrast_is_wcags():
    assert pictures.contrast("black", "white") == pytest.approx(21)
    assert pictures.contrast("#777777") == pytest.approx(4.48, abs=0.005)  # the grey that just fails


def test_a_description_is_kept_in_one_line_and_cut_where_it_is_long():
    assert pictures.description(a_line("A line\n  that rises, from 1 to 2")) == "A line that rises, from 1 to 2"
    assert pictures.description(pictures.new_figure(1, 1)) == ""
    long = pictures.description(a_line("word " * 200))
    assert long.endswith("word…") and len(long) <= pictures.LONGEST
    with pytest.raises(InputError, match="20 characters"):
        a_line("too short")


def test_curves_are_read_from_the_figure():
    figure = pictures.new_figure(2, 1)
    left, right = figure.subplots(1, 2)
    left.plot([1, 5, 3], label="loss")
    left.axhline(2, ls="--", label="a goal is no curve")
    right.plot([2, 2])
    right.set_ylabel("height")
    assert pictures.description(pictures.describe(figure, "Two charts of lines.", curves=True)) == "Two charts of lines. loss from 1 to 3; height 2."


def test_words_for_sentences():
    assert pictures.listed(["a"]) == "a" and pictures.listed([]) == ""
    assert pictures.listed(["a", "b", "c"]) == "a, b and c"
    assert pictures.amounts({"a": 1, "b": 2.5}, "{:.1f}%") == "a 1.0% and b 2.5%"
    assert pictures.trends({"a": [1, 9, 2], "b": []}) == "a from 1 to 2; b empty"


def test_a_notebook_shows_the_words_beside_the_picture():
    from IPython.core.formatters import DisplayFormatter

    data, metadata = DisplayFormatter().format(a_line())
    output = {"data": data, "metadata": metadata}
    assert data["text/plain"] == "A line that rises from 1 to 2" and len(data["image/png"]) > 100
    assert metadata["image/png"]["alt"] == notebooks.alt(output) == "A line that rises from 1 to 2"


def test_words_of_an_output():
    assert notebooks.alt({"data": {"text/plain": ["a dot\n", "and a line"]}}) == "a dot and a line"
    assert notebooks.alt({"data": {"text/plain": "<Figure size 1x1>"}, "metadata": {"needs_background": "light"}}) == ""


def drawing_functions():
    """Public functions of the library that say they return a Figure, by file and name."""
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.returns is not None and "Figure" in ast.unparse(node.returns) and not node.name.startswith("_"):
                yield str(path.relative_to(SRC)), node


DRAWING = {(path, node.name): node for path, node in drawing_functions()}
NEITHER = {("pictures.py", "new_figure"), ("pictures.py", "describe")}


@pytest.mark.parametrize(("path", "name"), sorted(DRAWING.keys() - NEITHER))
def test_a_function_that_draws_describes_what_it_drew(path, name):
    """By `describe`, or by returning what another of them returned."""
    node = DRAWING[path, name]
    described = {part.func.id for part in ast.walk(node) if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)}
    assert "describe" in described or described & {other for at, other in DRAWING if at == path} - {"new_figure"}


def test_there_are_functions_that_draw():
    assert len(DRAWING) > 90


def test_jupyterlab_finds_what_brings_the_words_into_the_page():
    folder = SRC / "course" / "lab" / "labextensions" / "breakthrough-figures"
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    build = package["jupyterlab"]["_build"]
    entry = (folder / build["load"]).read_text(encoding="utf-8")
    assert f'window._JUPYTERLAB["{package["name"]}"]' in entry and build["extension"] in entry
    wanted = {"package.json", "install.json", build["load"]}
    pyproject = (SRC.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'"src/breakthrough/course/lab/labextensions/breakthrough-figures/{name}"' in pyproject for name in wanted)
