"""Every figure is drawn, says what the facts say, and leaves nothing behind."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from capstone_lines import NAMES, made_line, pictures_of

from breakthrough.capstone import figures, picture_figures
from breakthrough.capstone.facts import facts_of
from breakthrough.capstone.line import DOMAINS, LINE, SYNTHETIC, VERSIONS

CHARTS = (figures.draw_accuracy, figures.draw_recall, figures.draw_gap, figures.draw_confusion, figures.draw_tradeoff, figures.draw_load)


@pytest.fixture(scope="module")
def made():
    line = made_line()
    return line, facts_of(line)


def drawn(figure) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=30, metadata={"Software": None})
    return target.getvalue()


def texts(figure) -> set[str]:
    from matplotlib.text import Text

    return {one.get_text() for one in figure.findobj(Text)}


@pytest.mark.parametrize("draw", CHARTS, ids=lambda draw: draw.__name__)
def test_every_chart_is_drawn_the_same_twice_and_registers_nothing(made, draw):
    import matplotlib.pyplot as plt

    assert drawn(draw(made[1])) == drawn(draw(made[1]))
    assert plt.get_fignums() == []


@pytest.mark.parametrize("without", [0, 2])
def test_charts_are_drawn_without_pictures_of_a_class(without):
    facts = facts_of(made_line(without=without))
    for draw in CHARTS:
        drawn(draw(facts))


def test_charts_are_drawn_of_a_service_without_load(made):
    none = made[1] | {"measured": made[1]["measured"] | {"load": []}}
    drawn(figures.draw_load(none))


def test_dots_stand_at_the_shares_and_reach_over_their_intervals(made):
    _, facts = made
    axes = figures.draw_accuracy(facts).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [*NAMES, "all"]
    for bar, version in zip(axes.containers, VERSIONS, strict=True):
        told = facts["accuracy"][SYNTHETIC][version]
        shares = [*told["factories"].values(), told["all"]]
        assert bar.lines[0].get_xdata() == pytest.approx([100 * one["value"] for one in shares])
        ends = np.array([line[:, 0] for line in bar.lines[2][0].get_segments()])
        assert ends == pytest.approx(np.array([[100 * one["low"], 100 * one["high"]] for one in shares]))


def test_points_of_the_trade_off_lie_on_its_curve(made):
    _, facts = made
    for domain in DOMAINS:
        curve, point = facts["tradeoff"][domain], facts["operating"][domain]
        x, y = point["false_alarms"]["value"], point["recall"]["value"]
        corners = list(zip(curve["false_alarms"], curve["recall"]))
        between = [a <= x <= c and b <= y <= d and (x in (a, c) or y in (b, d)) for (a, b), (c, d) in itertools.pairwise(corners)]
        assert any(between)


def test_the_confusion_has_every_count(made):
    _, facts = made
    found = texts(figures.draw_confusion(facts))
    assert {str(count) for row in facts["confusion"][LINE] for count in row} <= found


def test_names_are_drawn_as_they_are():
    assert figures.literal("a $x$ b") == r"a \$x\$ b" and figures.literal("plain_name") == "plain_name"
    assert figures.words("raised_bolt") == "raised bolt" and figures.words("none") == "no defect"


def test_the_contact_sheet_has_both_domains_of_every_factory(made):
    line, _ = made
    figure = picture_figures.draw_contact_sheet(line)
    assert len(figure.axes) == 2 * len(NAMES) * 5
    assert [len(axes.images) for axes in figure.axes] == [1] * len(figure.axes)
    outlined = [bool(axes.collections) for axes in figure.axes[:5]]
    assert outlined == [False, True, True, True, True]
    empty = picture_figures.draw_contact_sheet(made_line(without=2))
    assert "no picture" in texts(empty)
    drawn(figure), drawn(empty)


def test_wrong_answers_say_what_it_was_and_what_was_said(made):
    line, facts = made
    figure = picture_figures.draw_errors(line, facts, LINE)
    first = facts["errors"][LINE]["shown"][0]
    title = figure.axes[0].get_title()
    assert title.startswith(f"{figures.words(first['was'])}\nsaid: {figures.words(first['said'])}")
    assert np.array_equal(figure.axes[0].images[0].get_array(), line.sets[LINE].images[first["index"]])
    drawn(figure)
    right = {**facts, "errors": {LINE: {"count": 0, "shown": []}}}
    assert "not one" in texts(picture_figures.draw_errors(line, right, LINE))


def test_the_picture_in_the_middle_has_the_median_defect():
    pictures = pictures_of(np.random.default_rng(0))
    parts = np.zeros_like(pictures.parts)
    for index, size in ((1, 9), (6, 1), (11, 4)):
        parts[index, :size, :1] = pictures.labels[index]
    pictures = replace(pictures, parts=parts)
    assert picture_figures.middle_of(pictures, np.array([1, 6, 11])) == 11
    assert picture_figures.middle_of(pictures, np.array([], int)) is None
    assert picture_figures.middle_of(replace(pictures, parts=None), np.array([6, 1])) == 6
    assert picture_figures.defect_of(pictures, 1).sum() == 9 and not picture_figures.defect_of(pictures, 0).any()


def test_a_mask_grows_on_every_side():
    mask = np.zeros((7, 8), bool)
    mask[0, 0] = mask[4, 5] = True
    grown = picture_figures.grown(mask, 1)
    wanted = np.zeros_like(mask)
    wanted[:2, :2] = wanted[3:6, 4:7] = True
    assert np.array_equal(grown, wanted)
