"""Module 6's capstone.drift: quiet shifts stay quiet, and a monitor that takes each look by itself does not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from breakthrough.exercises import judge, load
from breakthrough.exercises.capstone_drift import monitor
from breakthrough.exercises.capstone_drift_wrong import fires_often


def shifts(count, by=0.0):
    """Quiet shifts of 10 windows and 4 features, of which the first moves half way."""
    draw = np.random.default_rng(0)
    for _ in range(count):
        stream = draw.normal(size=(500, 4))
        stream[250:, 0] += by
        yield draw.normal(size=(300, 4)), stream, 50, 0.05


def test_the_distance_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    reference, stream, window, alpha = next(shifts(1))
    stream = np.round(stream, 1)  # with equal values
    distances, *_ = monitor(np.round(reference, 1), stream, window, alpha)
    assert np.allclose(distances[3, 1], stats.ks_2samp(np.round(reference, 1)[:, 1], stream[150:200, 1]).statistic)


def test_a_quiet_shift_is_rarely_disturbed():
    fired = [monitor(*args, 1)[2] is not None for args in shifts(200)]
    assert np.mean(fired) <= 0.05  # the bound is a careful one: few distances come near it
    assert np.mean([fires_often((*args, 1)) for args in shifts(40)]) > 0.5


def test_a_factory_that_moved_is_found_at_once():
    alarms = [monitor(*args)[2] for args in shifts(40, by=1.5)]
    assert alarms.count((350, 0)) > 36


def test_the_limit_turns_the_bound_round():
    limit = monitor(np.zeros((300, 4)), np.zeros((500, 4)), 50, 0.05)[1]
    assert math.isclose(2 * math.exp(-2 * limit**2 / (1 / 50 + 1 / 300)), 0.05 / 40)


# first attempts, as a beginner writes them


def each_alone(reference, stream, window, alpha, streak=2):
    k = len(stream) // window
    limit = math.sqrt(math.log(2 / alpha) / 2 * (1 / window + 1 / len(reference)))
    distances, rows, alarm = [], [0] * reference.shape[1], None
    for i in range(k):
        part, row = stream[i * window : (i + 1) * window], []
        for f in range(reference.shape[1]):
            row.append(max(abs(np.mean(reference[:, f] <= x) - np.mean(part[:, f] <= x)) for x in np.unique(np.r_[reference[:, f], part[:, f]])))
            rows[f] = rows[f] + 1 if row[f] > limit else 0
        distances.append(row)
        if alarm is None and max(rows) >= streak:
            alarm = (i + 1) * window, max((f for f in range(len(row)) if rows[f] >= streak), key=lambda f: row[f])
    return np.array(distances), limit if k else math.inf, alarm


def sigmas(reference, stream, window, alpha, streak=2):
    k, features = len(stream) // window, reference.shape[1]
    limit = math.sqrt(math.log(2 * k * features / alpha) / 2 * (1 / window + 1 / len(reference))) if k else math.inf
    parts = stream[: k * window].reshape(k, window, features)
    distances = abs(parts.mean(1) - reference.mean(0)) / reference.std(0)
    above, alarm = distances > limit, None
    for i in range(streak - 1, k):
        held = above[i - streak + 1 : i + 1].all(0)
        if held.any():
            alarm = (i + 1) * window, int(np.argmax(np.where(held, distances[i], -1)))
            break
    return distances, limit, alarm


@pytest.mark.parametrize(("answer", "mistake"), [(each_alone, "each look by itself"), (sigmas, "means alone")], ids=lambda value: getattr(value, "__name__", ""))
def test_a_first_attempt_is_named_for_its_main_mistake(answer, mistake):
    for seed in range(2):
        verdict = judge(load("capstone.drift"), answer, seed)
        assert verdict.diagnosis and verdict.diagnosis.name == mistake
