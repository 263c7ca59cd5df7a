"""What the gate does not see of capstone.interval: that the interval does what its docstring promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from breakthrough.exercises import judge, load

EXERCISE = load("capstone.interval")
interval = EXERCISE.reference


def test_the_ends_are_where_a_share_stops_being_believable():
    for right, n in ((7, 9), (40, 41), (3, 250)):
        for p in interval(right, n)[:2]:
            assert abs(right / n - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / n), rel=1e-6)


def test_the_number_that_is_enough_is_enough_and_one_fewer_is_not():
    for confidence, claim in ((0.95, 0.995), (0.99, 0.9), (0.8, 0.999)):
        enough = interval(1, 1, confidence, claim)[2]
        assert interval(enough, enough, confidence, claim)[0] > claim >= interval(enough - 1, enough - 1, confidence, claim)[0]


def test_it_holds_a_true_share_near_one_where_the_usual_formula_does_not():
    right = np.random.default_rng(0).binomial(300, 0.995, 4000)
    bounds = {int(k): interval(int(k), 300)[:2] for k in set(right)}
    wilson = np.mean([bounds[int(k)][0] <= 0.995 <= bounds[int(k)][1] for k in right])
    half = 1.96 * np.sqrt(right / 300 * (1 - right / 300) / 300)
    assert wilson > 0.93 and np.mean(abs(right / 300 - 0.995) <= half) < 0.8


def test_the_last_hint_runs_among_the_labs_imports():
    names = {"math": math, "np": np, "torch": torch}
    exec(EXERCISE.hint(4), names)
    assert judge(EXERCISE, names["interval"], 0).status == "passed"
