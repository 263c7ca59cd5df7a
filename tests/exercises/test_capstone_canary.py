"""Module 6's capstone.canary: what the reference promises holds, and what peeking costs."""

from __future__ import annotations

import random
from statistics import fmean

import numpy as np
import pytest

from breakthrough.exercises import judge, load
from breakthrough.exercises.capstone_canary import EVEN, FACTORIES, HARD, RATES, canary
from breakthrough.exercises.capstone_canary_wrong import peeking


def streams(count, n, share, times=1.0):
    """Streams of a line on which the new model errs `times` as often as the old one."""
    draw = random.Random(0)
    for _ in range(count):
        stream = []
        for _ in range(n):
            factory = draw.choice(FACTORIES)
            model = "new" if draw.random() < share[factory] else "old"
            stream.append((factory, model, draw.random() >= RATES[factory] * (times if model == "new" else 1)))
        yield stream


def decided(answer, count, n, share, alpha=0.05, times=1.0):
    return [answer(stream, share, alpha)[0] for stream in streams(count, n, share, times)]


@pytest.mark.parametrize("share", [EVEN, HARD], ids=["even", "hard"])
def test_a_verdict_is_rarely_wrong_however_often_one_looks(share):
    found = decided(canary, 2000, 400, share)
    # alpha for each verdict, and 3 standard errors of 2,000 streams
    for verdict in ("promote", "roll back"):
        assert found.count(verdict) / 2000 <= 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5


def test_a_fixed_test_asked_again_and_again_errs_far_more_often():
    found = decided(peeking, 100, 400, EVEN)
    assert 1 - found.count("go on") / 100 > 0.2
    hard = decided(peeking, 40, 400, HARD)
    assert hard.count("roll back") / 40 > 0.9  # where the new model gets the hard pictures, it is always guilty


def test_a_difference_is_found_whoever_gets_the_hard_pictures():
    assert decided(canary, 100, 1500, HARD, times=0.4).count("promote") > 90
    assert decided(canary, 100, 1500, HARD, times=2.0).count("roll back") > 90


def test_the_evidence_is_fair_where_there_is_no_difference():
    s, t = 0.3, np.array([0.5, 2.0])
    assert np.allclose(s * t / (s * t + 1 - s) + (1 - s) / (s * t + 1 - s), 1)  # its mean after one error


# first attempts, as a beginner writes them


def by_rates(stream, share, alpha, ratio=2.0):
    new = [not right for _, model, right in stream if model == "new"]
    old = [not right for _, model, right in stream if model == "old"]
    if not new or not old:
        return "go on", len(stream)
    if fmean(new) == fmean(old):
        return "go on", len(stream)
    return ("promote" if fmean(new) < fmean(old) else "roll back"), len(stream)


def ztest(stream, share, alpha, ratio=2.0):
    for n in range(30, len(stream) + 1):
        new = [not right for _, model, right in stream[:n] if model == "new"]
        old = [not right for _, model, right in stream[:n] if model == "old"]
        error = (np.var(new) / max(len(new), 1) + np.var(old) / max(len(old), 1)) ** 0.5 if new and old else 0
        if error and abs(fmean(new) - fmean(old)) > 1.96 * error:
            return ("promote" if fmean(new) < fmean(old) else "roll back"), n
    return "go on", len(stream)


def all_inspections(stream, share, alpha, ratio=2.0):
    better = worse = 1.0
    for i, (factory, model, right) in enumerate(stream):
        s = share[factory]
        for_better, for_worse = (s / ratio) / (s / ratio + 1 - s), s * ratio / (s * ratio + 1 - s)
        if model == "new" and not right:
            better, worse = better * for_better / s, worse * for_worse / s
        if better >= 1 / alpha:
            return "promote", i + 1
        if worse >= 1 / alpha:
            return "roll back", i + 1
    return "go on", len(stream)


@pytest.mark.parametrize(("answer", "mistake"), [
    (by_rates, "the lower rate wins"), (ztest, "a fixed test, again and again"), (all_inspections, "only the new model's errors"),
], ids=lambda value: getattr(value, "__name__", ""))  # fmt: skip
def test_a_first_attempt_is_named_for_its_main_mistake(answer, mistake):
    for seed in range(3):
        verdict = judge(load("capstone.canary"), answer, seed)
        assert verdict.diagnosis and verdict.diagnosis.name == mistake
