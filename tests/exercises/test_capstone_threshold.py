"""What the gate does not see of capstone.threshold: what it is worth on the line."""

from __future__ import annotations

import math

import numpy as np
import torch

from breakthrough.exercises import judge, load

EXERCISE = load("capstone.threshold")


def test_on_the_line_it_costs_what_it_says_and_less_than_half_or_most_right():
    draw = np.random.default_rng(0)
    rate, miss, alarm = 1 / 200, 60.0, 1.0

    def scores(faulty):
        return 1 / (1 + np.exp(1.0 - 2.2 * faulty - 1.1 * draw.standard_normal(len(faulty))))

    def cost(at):
        faulty = draw.random(60_000) < rate
        stopped = scores(faulty) >= at
        return 1000 * np.mean(miss * (faulty & ~stopped) + alarm * (stopped & ~faulty))

    faulty = np.arange(4_000) % 2 == 0
    at, promised = EXERCISE.reference(scores(faulty), faulty, rate, miss, alarm)
    balanced = EXERCISE.reference(scores(faulty), faulty, 0.5, miss, alarm)[0]
    assert abs(cost(at) - promised) < 0.1 * promised
    assert cost(at) < 0.9 * cost(0.5) < cost(balanced)


def test_the_last_hint_runs_among_the_labs_imports():
    names = {"math": math, "np": np, "torch": torch}
    exec(EXERCISE.hint(4), names)
    assert judge(EXERCISE, names["threshold"], 0).status == "passed"
