"""The drawings of lab 06: they say what they were given."""

from __future__ import annotations

import math

import numpy as np
import pytest

from breakthrough.capstone import lab_figures as figures

FEATURES = ("brightness", "contrast")


def words(figure) -> str:
    figure.canvas.draw()
    legends = [text for legend in (*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())) for text in legend.get_texts()]
    own = [text for axes in figure.axes for text in (*axes.texts, axes.title, *axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label)]
    return "\n".join(text.get_text() for text in (*legends, *own))


def test_shares_stand_in_rows_with_their_intervals() -> None:
    figure = figures.draw_shares({"scratch": {"synthetic": (0.5, 0.4, 0.6), "traced": (1.0, 0.8, 1.0)}, "cap": {"synthetic": (0.9, 0.8, 0.95)}}, 0.995)
    assert all(name in words(figure) for name in ("scratch", "cap", "synthetic", "traced", "99.5%"))
    spans = [segment[:, 0].tolist() for each in figure.axes[0].collections for segment in each.get_segments()]
    assert pytest.approx([40, 60]) in spans and pytest.approx([80, 100]) in spans


def test_a_goal_may_be_left_out() -> None:
    assert "%" not in figures.draw_shares({"a": {"b": (0.5, 0.4, 0.6)}}).legends[0].get_texts()[0].get_text()


def test_a_way_that_allows_no_error_is_named() -> None:
    ways = {"wide": lambda right, n: (n / (n + 4), 1.0, 1), "sure": lambda right, n: (1.0, 1.0, 1)}
    figure = figures.draw_enough(ways, 0.995, (3, 30, 300))
    assert "sure: 0 for every number" in words(figure) and "wide: 0" not in words(figure)
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([400 / 7, 400 / 34, 400 / 304])


def test_costs_mark_the_chosen_threshold_even_beyond_all() -> None:
    grid = np.array([0.0, 1.0, 2.0])
    figure = figures.draw_costs(grid, {"often": np.array([5.0, 1.0, 9.0]), "never": np.array([9.0, 5.0, 3.0])}, {"often": (1.0, 1.0), "never": (math.inf, 2.0)})
    assert "often: from 1.00, 1 €" in words(figure) and "never: nothing is stopped, 2 €" in words(figure)
    marks = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert marks[0].get_xdata()[0] == 1 and 2 < marks[1].get_xdata()[0] < 3


def test_a_grid_shows_each_state_and_leaves_out_what_is_not_there() -> None:
    states = {"lamp": {"train": "run", "net": "follows, but need not"}, "short": {"train": "stays"}}
    figure = figures.draw_grid(states, figures.RUN, {"lamp": "3 s", "short": "0 s"})
    told = words(figure)
    assert "lamp\n3 s" in told and "follows, but need not" in told
    assert [text.get_text() for text in figure.axes[0].texts] == ["run", "–", "", ""]


def test_promises_are_means_with_bands() -> None:
    figure = figures.draw_promise({10: [1, 3], 20: [2, 4]}, {10: [5, 7], 20: [4, 6]})
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines] == [[2, 3], [6, 5]]


def test_a_watch_names_the_alarm_and_marks_what_is_above() -> None:
    distances = np.array([[0.1, 0.2], [0.9, 0.1]])
    figure = figures.draw_watch({"north": (distances, 0.5, (20, 0)), "east": (distances[:1], 0.5, None)}, FEATURES, 10)
    told = words(figure)
    assert "limit 0.50: alarm after 20: brightness" in told and "limit 0.50: no alarm" in told
    assert [text.get_text() for text in figure.axes[0].texts] == ["×"] and not figure.axes[1].texts


def test_a_watch_without_a_whole_window_is_drawn() -> None:
    assert "limit inf: no alarm" in words(figures.draw_watch({"short": (np.zeros((0, 2)), math.inf, None)}, FEATURES, 10))


def test_canaries_stand_where_they_were_decided() -> None:
    figure = figures.draw_canaries({"better": {"yours": [("promote", 120), ("go on", 400)], "peeking": [("roll back", 50)]}}, 400)
    points = {(x, line.get_marker()) for line in figure.axes[0].lines for x in line.get_xdata()}
    assert {(120, "^"), (400, "o"), (50, "v")} <= points
    assert "better: yours" in words(figure)


def test_pictures_stand_in_named_rows() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    figure = figures.draw_pictures({"before": [image, image], "after": [image]}, ["scratch", "cap"])
    assert sum(len(axes.images) for axes in figure.axes) == 3 and "before" in words(figure) and "cap" in words(figure)
