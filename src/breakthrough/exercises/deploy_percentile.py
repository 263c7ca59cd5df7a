"""Module 5: a percentile of few latencies, with an interval that says how little they tell."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.compare import close
from breakthrough.exercises.deploy_percentile_wrong import MISCONCEPTIONS, PARTS, chances
from breakthrough.exercises.exercise import Case, Exercise


def percentile(latencies_s: list[float], percent: float, confidence: float = 0.95) -> tuple[float, float, float]:
    """A percentile of measured latencies, and the bounds between which the true one lies.

    Why:    of 50 runs the slowest is often called their p99; but six times in ten none of 50 runs is as slow as the
            true p99, so nothing that was measured bounds it
    Units:  seconds. latencies_s: n runs, n ≥ 1, in any order; 0 < percent < 100; 0 < confidence < 1. A run's rank counts
            from 1, the fastest. The percentile is the run of rank n · percent / 100, rounded up to a whole number.
            Let N be how many of the n runs are at most the true percentile. Each run is one of them with the chance
            percent / 100, whatever the others are, so N is binomial. Each bound may err with a chance of
            risk = (1 − confidence) / 2:
            low is the run of the largest rank r with P(N < r) ≤ risk, or 0.0 where no rank has it;
            high is the run of the smallest rank r with P(N ≥ r) ≤ risk, or math.inf where no rank has it.
            n is at most 600. Returned: percentile, low, high
    """
    runs, n, p, risk = sorted(latencies_s), len(latencies_s), percent / 100, (1 - confidence) / 2
    chance = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]  # P(N = k)
    lower = [rank for rank in range(1, n + 1) if sum(chance[:rank]) <= risk]
    upper = [rank for rank in range(1, n + 1) if sum(chance[rank:]) <= risk]
    low = runs[max(lower) - 1] if lower else 0.0
    high = runs[min(upper) - 1] if upper else math.inf
    return runs[math.ceil(n * percent / 100) - 1], low, high


def _by_numpy(latencies_s, percent, confidence=0.95):
    runs, n = np.sort(np.asarray(latencies_s)), len(latencies_s)
    k = np.arange(n + 1)
    logs = np.array([math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in k])
    chance = np.exp(logs + k * np.log(percent / 100) + (n - k) * np.log1p(-percent / 100))
    below = np.cumsum(chance)  # P(N ≤ k)
    above = np.cumsum(chance[::-1])[::-1]  # P(N ≥ k)
    padded = np.concatenate([[0.0], runs, [np.inf]])  # by rank
    risk = (1 - confidence) / 2
    low = padded[np.count_nonzero(below[:-1] <= risk)]
    high = padded[n + 1 - np.count_nonzero(above[1:] <= risk)]
    return np.quantile(runs, percent / 100, method="inverted_cdf"), low, high


def _by_walking(latencies_s, percent, confidence=0.95):
    """Exactly, in fractions; the upper bound by turning the runs round."""
    runs, n, p = sorted(latencies_s), len(latencies_s), Fraction(str(percent)) / 100
    risk = (1 - confidence) / 2

    def rank(p: Fraction) -> int:
        chance = [float(math.comb(n, k) * p**k * (1 - p) ** (n - k)) for k in range(n)]
        return bisect_right(list(accumulate(chance)), risk)

    below, above = rank(p), rank(1 - p)
    return runs[-(-n * p // 1) - 1], runs[below - 1] if below else 0.0, runs[-above] if above else float("inf")


def _run_by_run(latencies_s, percent, confidence=0.95):
    """The chances of N grow with each run by one convolution; ranks are walked to, not searched."""
    p, chance = percent / 100, np.ones(1)
    for _ in latencies_s:
        chance = np.convolve(chance, [1 - p, p])
    n, risk, ordered = len(latencies_s), (1 - confidence) / 2, sorted(latencies_s)
    low = high = 0
    below, above = chance[0], chance[-1]
    while low < n and below <= risk:
        low += 1
        below += chance[low]
    while high < n and above <= risk:
        high += 1
        above += chance[n - high]
    rank = next(r for r in range(1, n + 1) if 100 * r >= n * percent)
    return ordered[rank - 1], ([0.0] + ordered)[low], ([math.inf] + ordered[::-1])[high]


def _clear(n: int, percent: float, confidence: float) -> bool:
    """Whether no rounding error can decide: neither of the percentile's rank nor of the bounds'."""
    exact = math.ceil(n * Fraction(str(percent)) / 100)
    ways = {math.ceil(n * percent / 100), math.ceil(percent / 100 * n), exact}
    tails = list(accumulate(chances(n, percent / 100)))
    risk = (1 - confidence) / 2
    return len(ways) == 1 and all(abs(tail - risk) > 1e-7 and abs(1 - tail - risk) > 1e-7 for tail in tails)


def _runs(generator: Generator, n: int) -> list[float]:
    """Latencies as they come: a few milliseconds, with a tail."""
    drawn = torch.randn(n, generator=generator, dtype=torch.float64).abs() + 0.3 * torch.rand(n, generator=generator, dtype=torch.float64)
    return (0.004 * torch.exp(0.8 * drawn)).tolist()


def _cases(generator: Generator) -> Iterator[Case]:
    def between(low: int, high: int, percent: float, confidence: float = 0.95, step: int = 1) -> int:
        while True:
            n = low + step * int(torch.randint((high - low) // step + 1, (), generator=generator))
            if _clear(n, percent, confidence):
                return n

    def case(label: str, n: int, *how: float) -> Case:
        return Case(label.format(n), (_runs(generator, n), *how))

    yield Case("5 runs, the median at 90%: ranks 3, 1 and 5", ([0.009, 0.004, 0.021, 0.006, 0.005], 50, 0.9))
    yield case("{} runs, the median", between(24, 40, 50), 50)
    yield case("{} runs, p99: too few for an upper bound", between(40, 60, 99), 99)
    yield case("{} runs, p99", between(420, 500, 99), 99)
    yield case("{} runs, p90: a whole rank", between(150, 190, 90, step=10), 90)
    yield case("{} runs, p95 at 99%", 118, 95, 0.99)  # where a normal curve errs by a rank, however its ranks are rounded
    yield case("{} runs, p10: too few for a lower bound", between(7, 19, 10), 10)
    yield case("{} runs, p75 at 99%: a quarter beyond a whole rank", between(63, 91, 75, 0.99, step=4), 75, 0.99)
    yield case("{} runs, p99.9 at 80%", between(110, 140, 99.9, 0.8), 99.9, 0.8)
    yield case("one run, p75", 1, 75)
    yield case("one run, p99: the lower bound has the last rank", 1, 99)
    yield case("two runs, p99.5: the lower bound has the last rank", 2, 99.5)
    yield case("two runs, p1: the upper bound has the first rank", 2, 1)
    yield case("{} runs, p60 at 40%", between(24, 40, 60, 0.4), 60, 0.4)


EXERCISES = (
    Exercise(
        name="deploy.percentile",
        title="A percentile that is right for few samples",
        points=5,
        minutes=30,
        difficulty=2,
        reference=percentile,
        cases=_cases,
        compare=close(rtol=1e-9, atol=0.0, parts=PARTS),
        alternatives=(_by_numpy, _by_walking, _run_by_run),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Throw a coin for every run that shows heads, a run not above the true percentile, with the chance percent / 100. If fewer than r coins show heads, the run of rank r lies above the true percentile. So the runs' own order bounds it, whatever their distribution; and where even all heads is likely, no run bounds it from above.",
            "runs sorted, ranks 1 … n, so rank r is runs[r − 1]; chance[k] = C(n, k) · p^k · (1 − p)^(n − k), k = 0 … n; P(N < r) = sum(chance[:r]), P(N ≥ r) = sum(chance[r:]); math.comb(n, k) is C(n, k)",
            "runs = the latencies, sorted (a new list)\nchance = for k in 0 … n: C(n, k) · p^k · (1 − p)^(n − k)\nrisk = (1 − confidence) / 2\nlow = runs at the largest rank r with sum(chance[:r]) ≤ risk, or 0.0\nhigh = runs at the smallest rank r with sum(chance[r:]) ≤ risk, or infinity\nreturn runs at rank ⌈n · percent / 100⌉, low, high",
        ),
    ),
)
