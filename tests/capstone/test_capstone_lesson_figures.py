"""The pictures of lesson 06 say what is so: their numbers are read back out of the drawing."""

import math

import numpy as np
import pytest

from breakthrough.capstone import lesson_figures, spec, stage_figures, stages
from breakthrough.capstone.lesson_figures import Alarms
from breakthrough.capstone.stage_figures import KEPT, MADE
from breakthrough.errors import InputError, ShapeError

GRAPH = stages.graph(spec.PROFILES["tiny"])


def words(axes):
    return [text.get_text() for text in axes.texts]


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_box_for_each_kind_and_a_square_for_each_factory():
    (axes,) = stage_figures.draw_stages(GRAPH).axes
    said = [text for text in words(axes) if text]
    assert {text for text in said if len(text) > 1} == {name.partition(".")[0] for name in GRAPH}
    assert sorted(text for text in said if len(text) == 1) == sorted("nesw" * 3)


def test_a_stage_stands_right_of_what_it_needs_and_no_arrow_says_what_a_longer_way_says():
    (axes,) = stage_figures.draw_stages(GRAPH).axes
    at = {text.get_text(): text.get_position()[0] for text in axes.texts if text.get_text()}
    for name, stage in GRAPH.items():
        assert all(at[need.partition(".")[0]] < at[name.partition(".")[0]] for need in stage.needs)
    assert len([text for text in axes.texts if not text.get_text()]) == 12  # not among them: train to quantized, federated to answers …


def test_colours_tell_what_became_of_a_stage():
    (axes,) = stage_figures.draw_stages(GRAPH, {"train.north": MADE, "train.east": KEPT, "federated": MADE}).axes
    assert labels(axes) == ["made now", "was there", "not asked for"]
    train = next(one for one in axes.collections if len(one.get_offsets()) == 4 and one.get_offsets()[0][0] < 0)
    colours = [tuple(colour) for colour in train.get_facecolors()]
    assert len(set(colours)) == 3 and colours[2] == colours[3] == (1, 1, 1, 1)


def test_the_rule_of_three_is_where_the_marks_are():
    (axes,) = lesson_figures.none_missed((200, 598)).axes
    marks = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert marks == pytest.approx([100 * 3 / 200, 100 * 3 / 598], rel=0.01)
    curve = axes.lines[0]
    assert np.interp(marks[0], curve.get_xdata(), curve.get_ydata()) == pytest.approx(5, abs=0.05)


def test_intervals_that_miss_the_truth_are_counted():
    panels = lesson_figures.draw_intervals({"a": [(0.9, 1.0), (1.0, 1.0), (0.5, 0.6)], "b": [(0.9, 0.99)]}, 0.95).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["a: 2 of 3 miss the truth", "b: 0 of 1 miss the truth"]
    assert [line.get_marker() for line in panels[0].lines[1:6:2]] == ["|", "x", "x"]


def test_coverage_in_per_cent():
    (axes,) = lesson_figures.draw_coverage((10, 100), {"Wald": (0.5, 0.75)}).axes
    assert axes.lines[0].get_ydata() == pytest.approx([50, 75])
    with pytest.raises(ShapeError):
        lesson_figures.draw_coverage((10, 100), {"Wald": (0.5,)})


def test_alarms_by_hand():
    one = Alarms.of(1000, 40, 0.95, 0.025)
    assert one == Alarms(faulty=40, found=38, sound=960, false=24)
    assert one.real == pytest.approx(38 / 62)
    assert math.isnan(Alarms.of(10, 0, 0.9, 0.0).real)
    with pytest.raises(InputError):
        Alarms.of(10, 20, 0.9, 0.1)


def test_every_part_is_a_dot_and_every_alarm_has_a_ring():
    (axes,) = lesson_figures.draw_alarms({"seldom": Alarms.of(100, 10, 0.8, 0.1)}).axes
    assert [len(dots.get_offsets()) for dots in axes.collections] == [90, 10, 8, 9]
    assert labels(axes) == ["10 faulty, 2 of them not found", "8 real alarms", "9 false alarms"]
    assert axes.get_title(loc="left") == "seldom: 47% of alarms are real"


def test_equal_scenes_stand_below_each_other():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] + np.zeros((5, 4, 4, 3), np.uint8)
    figure = lesson_figures.draw_lamps({"old": images, "new": images[:3] + 1}, most=4)
    shown = [int(axes.images[0].get_array()[0, 0, 0]) for axes in figure.axes]
    assert shown == [0, 1, 2, 1, 2, 3]


def test_the_largest_distance_by_hand():
    assert lesson_figures.distance(np.array([1, 2, 3, 4]), np.array([2, 5])) == pytest.approx(0.5)
    assert lesson_figures.distance(np.array([1.0, 1.0]), np.array([1.0])) == 0
    assert lesson_figures.distance(np.array([2, 5]), np.array([1, 2, 3, 4])) == pytest.approx(0.5)


def test_features_stand_below_with_their_distances():
    sets = {"reference": np.array([[1.0], [2], [3], [4]]), "now": np.array([[2.0], [5]])}
    (axes,) = lesson_figures.draw_features(["light"], sets).axes
    assert axes.get_title() == "light" and axes.get_xlabel().endswith("now 50%")
    with pytest.raises(ShapeError):
        lesson_figures.draw_features(["light", "warmth"], sets)


def test_streams_that_crossed_are_counted_and_marked_where_they_did():
    z = np.array([[math.nan, 1.0, 2.5, 0.0], [math.nan, 0.0, 1.0, 1.0], [math.nan, -2.1, 0.0, 3.0]])
    left, right = lesson_figures.draw_looks(z, 1.96, {"test": np.array([0, 0, 0.5, 0.5])}, 0.05).axes
    assert left.get_title(loc="left") == "2 of 3 streams cross 1.96 somewhere"
    assert [tuple(line.get_xydata()[0]) for line in left.lines if line.get_marker() == "x"] == [(3, 2.5), (2, -2.1)]
    assert labels(right) == ["test: 50.0%"]
