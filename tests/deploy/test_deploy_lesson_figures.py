"""The pictures of lesson 05 say what is so: their numbers are read back out of the drawing."""

import math

import numpy as np
import pytest

from breakthrough.deploy import lesson_figures, queueing
from breakthrough.deploy.queueing import Policy
from breakthrough.deploy.trials import Trials
from breakthrough.errors import InputError

TIMES = {"apart": {1 << 14: 4e-6, 1 << 22: 4e-3}, "fused": {1 << 14: 2e-6, 1 << 22: 1e-3}}


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def words(axes):
    return [text.get_text() for text in axes.texts]


def test_fusion_by_size_is_time_for_a_number():
    (axes,) = lesson_figures.fusion_by_size(TIMES, {"L1": 1 << 15, "L3": 1 << 30}).axes
    assert lines(axes)["fused"].get_ydata() == pytest.approx([2e3 / 4096, 1e6 / (1 << 20)])
    assert words(axes) == ["L1 ends"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["16 KiB", "4 MiB"]


def test_the_best_so_far_and_what_failed():
    (axes,) = lesson_figures.best_so_far([Trials("chance", (3e-5, math.inf, 1e-5))], {"as written": 1e-3}).axes
    step = lines(axes)["chance: 10.0 µs"]
    assert step.get_ydata() == pytest.approx([30, 30, 10])
    assert any("failed" in text for text in words(axes)) and any(text == "as written: 1,000 µs" for text in words(axes))
    with pytest.raises(InputError):
        lesson_figures.best_so_far([Trials("none", (math.inf,))], {})


def test_products_against_the_first():
    panels = lesson_figures.product_times({"float32": {1: 2e-3, 64: 8e-3}, "int8": {1: 1e-3, 64: 1e-3}}).axes
    assert [axes.get_title() for axes in panels] == ["1 row", "64 rows"]
    assert words(panels[1]) == ["1 ×", "8 ×"]
    assert [bar.get_width() for bar in panels[0].patches] == pytest.approx([2, 1])


def test_time_a_picture_and_what_one_hopes_for():
    (axes,) = lesson_figures.time_a_picture({"net": {1: 4e-3, 4: 8e-3}}).axes
    assert lines(axes)["net"].get_ydata() == pytest.approx([4, 2])
    assert axes.lines[1].get_ydata() == pytest.approx([4, 1])


def test_a_bar_of_waiting_and_one_of_computing_for_each_request():
    served = queueing.simulate([0.0, 0.002], Policy(2, 0.01), {1: 0.01, 2: 0.02})
    (axes,) = lesson_figures.timeline({"both": served}).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([2, 20, 0, 20])
    assert "the slowest took 22 ms" in axes.get_title(loc="left")


def test_who_refused_is_drawn_hollow():
    light, heavy = (queueing.simulate(gap * np.arange(100), Policy(), {1: 0.01}, queue=5) for gap in (0.02, 0.005))
    (axes,) = lesson_figures.throughput_and_p99({"net": {"one": [light, heavy]}}, 0.033).axes
    line, whole, hollow = axes.lines[:3]
    assert line.get_xdata() == pytest.approx([light.rate, heavy.rate])
    assert line.get_ydata() == pytest.approx([10, 1e3 * heavy.percentile(0.99)])
    assert (list(whole.get_xdata()), list(hollow.get_xdata())) == ([light.rate], [heavy.rate])
    assert hollow.get_markerfacecolor() == "white"


@pytest.mark.parametrize("draw", [lesson_figures.product_times, lesson_figures.time_a_picture, lambda times: lesson_figures.fusion_by_size(times, {}), lambda times: lesson_figures.throughput_and_p99(times, 1.0)])
def test_nothing_to_draw(draw):
    with pytest.raises(InputError):
        draw({})
