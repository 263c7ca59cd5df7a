"""Shares with their uncertainty, and differences that are paired by picture."""

import math

import numpy as np
import pytest

from breakthrough.errors import ShapeError, UnknownNameError
from breakthrough.federated.scoring import Scores, Share
from breakthrough.seeds import numpy_generator

LABELS = np.array([0, 0, 1, 1, 2, 2, 2, 2])
OWNER = np.array([0, 0, 0, 0, 1, 1, 1, 1])
SAID = {"a": np.array([0, 0, 1, 0, 2, 2, 0, 0]), "b": np.array([0, 1, 0, 0, 2, 2, 0, 0]), "c": LABELS}
SCORES = Scores(LABELS, OWNER, ("x", "y", "z", "never"), ("east", "west", "nowhere"), SAID)


def test_shares_are_counts():
    assert SCORES.accuracy("a").value == 5 / 8 and SCORES.accuracy("a").n == 8
    assert SCORES.accuracy("a", "east").value == 3 / 4 and SCORES.accuracy("a", "west").value == 1 / 2
    assert {name: share.value for name, share in SCORES.recall("a").items()} == {"x": 1, "y": 1 / 2, "z": 1 / 2}
    assert SCORES.mean(("a", "b", "c")).value == pytest.approx((5 + 3 + 8) / 24)
    assert SCORES.majority() == 1 / 2
    assert math.isnan(SCORES.accuracy("a", "nowhere").value) and SCORES.accuracy("a", "nowhere").n == 0


def test_the_interval_holds_the_true_share_as_often_as_it_says():
    draw, truth, n = numpy_generator(0), 0.6, 200
    held = 0
    for _ in range(400):
        labels = np.zeros(n, int)
        said = (draw.random(n) > truth).astype(int)
        share = Scores(labels, labels, ("x", "y"), ("all",), {"m": said}).accuracy("m")
        held += abs(share.value - truth) <= share.half
    assert 0.92 <= held / 400 <= 0.98


def test_a_difference_is_paired_so_common_difficulty_falls_out():
    found = SCORES.difference("a", "b")
    assert found.value == pytest.approx(2 / 8)
    apart = math.hypot(SCORES.accuracy("a").half, SCORES.accuracy("b").half)
    assert found.half < apart
    assert SCORES.difference("a", "b", "west").value == 0


def test_few_pictures_all_right_are_not_certain():
    assert SCORES.accuracy("c").value == 1 and SCORES.accuracy("c").half > 0.1


def test_what_does_not_fit_is_refused():
    assert str(Share(0.612, 0.068, 196)) == "61.2 ± 6.8"
    for ask in (lambda: SCORES.accuracy("d"), lambda: SCORES.accuracy("a", "north"), lambda: SCORES.difference("a", "d")):
        with pytest.raises(UnknownNameError):
            ask()
    with pytest.raises(ShapeError, match="said|a of shape"):
        Scores(LABELS, OWNER, ("x",), ("east",), {"a": LABELS[:3]})
