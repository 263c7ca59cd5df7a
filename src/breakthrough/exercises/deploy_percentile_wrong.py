"""Module 5: wrong percentiles and wrong bounds of them, for deploy.percentile."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from statistics import NormalDist
from typing import Any

import numpy as np

from breakthrough.exercises.exercise import Misconception

PARTS = ("the percentile", "low", "high")
Value = Callable[[list[float], list[float], float], float]  # runs as measured, runs sorted, p
Bounds = Callable[[list[float], float, float], tuple[float, float]]  # runs sorted, p, confidence


@lru_cache(maxsize=512)
def chances(n: int, p: float) -> tuple[float, ...]:
    """The chances of 0 … n heads in n throws of a coin that shows heads with the chance p."""
    return tuple(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1))


@lru_cache(maxsize=512)
def _ranks(n: int, p: float, risk: float) -> tuple[int, int]:
    """The ranks of the bounds: 0 and n + 1 where there is none."""
    below = sum(tail <= risk for tail in list(accumulate(chances(n, p)))[:-1])
    above = sum(tail <= risk for tail in list(accumulate(chances(n, p)[::-1]))[:-1])
    return below, n + 1 - above


def _at(runs: list[float], low: int, high: int) -> tuple[float, float]:
    return runs[low - 1] if low >= 1 else 0.0, runs[high - 1] if high <= len(runs) else math.inf


def _held(runs: list[float], low: float, high: float) -> tuple[float, float]:
    """The same, with ranks beyond the ends held at the ends."""
    first, last = (runs[min(max(int(rank), 1), len(runs)) - 1] for rank in (low, high))
    return first, last


def _right(runs, p, confidence):
    return _at(runs, *_ranks(len(runs), p, (1 - confidence) / 2))


def _clamped(runs, p, confidence):
    return _held(runs, *_ranks(len(runs), p, (1 - confidence) / 2))


def _clamped_above(runs, p, confidence):
    return _right(runs, p, confidence)[0], _clamped(runs, p, confidence)[1]


def _clamped_below(runs, p, confidence):
    return _clamped(runs, p, confidence)[0], _right(runs, p, confidence)[1]


def _with_risk(risk: Callable[[float], float], place: Any = _at) -> Bounds:
    return lambda runs, p, confidence: place(runs, *_ranks(len(runs), p, risk(confidence)))


def _moved(down: int, up: int, place: Any = _at) -> Bounds:
    def bounds(runs, p, confidence):
        low, high = _ranks(len(runs), p, (1 - confidence) / 2)
        return place(runs, low + down, high + up)

    return bounds


def _normal(below: Callable[[float], int], above: Callable[[float], int], place: Any = _held) -> Bounds:
    """Ranks of the normal curve that resembles the binomial."""

    def bounds(runs, p, confidence):
        n, z = len(runs), NormalDist().inv_cdf((1 + confidence) / 2)
        half = z * math.sqrt(n * p * (1 - p))
        return place(runs, below(n * p - half), above(n * p + half))

    return bounds


NORMALS = tuple(
    _normal(below, above, place)
    for below, above in ((math.floor, math.ceil), (round, round), (math.ceil, math.ceil), (math.floor, lambda x: math.ceil(x) + 1), (round, lambda x: round(x) + 1), (int, int), (math.ceil, lambda x: math.floor(x) + 1))
    for place in (_held, _at)
)


def _farthest(below: bool, above: bool) -> Bounds:
    """The first and the last run, where any is safe enough."""

    def bounds(runs, p, confidence):
        low, high = _right(runs, p, confidence)
        return runs[0] if below and low > 0 else low, runs[-1] if above and high < math.inf else high

    return bounds


def _error(center: Callable[[list[float], float], float]) -> Bounds:
    """The mean's standard error, about something."""

    def bounds(runs, p, confidence):
        z, middle = NormalDist().inv_cdf((1 + confidence) / 2), center(runs, p)
        half = z * statistics.stdev(runs) / math.sqrt(len(runs)) if len(runs) > 1 else 0.0
        return middle - half, middle + half

    return bounds


def _nearest(measured, runs, p):
    return runs[math.ceil(len(runs) * (p - 1e-12)) - 1]


def _spread(runs, p, confidence):
    risk = (1 - confidence) / 2
    return float(np.quantile(runs, risk)), float(np.quantile(runs, 1 - risk))


def _spread_by_rank(runs, p, confidence):
    risk = (1 - confidence) / 2
    return _nearest(runs, runs, risk), _nearest(runs, runs, 1 - risk)


def _resampled(runs, p, confidence):
    draw, risk = random.Random(0), (1 - confidence) / 2
    found = sorted(_nearest(None, sorted(draw.choices(runs, k=len(runs))), p) for _ in range(60))
    return found[int(risk * 60)], found[min(int((1 - risk) * 60), 59)]


def _wrong(value: Value = _nearest, bounds: Bounds = _right) -> Callable[..., tuple[float, float, float]]:
    """An answer that differs in what is given."""

    def answer(latencies_s, percent, confidence=0.95):
        runs = sorted(latencies_s)
        return (value(list(latencies_s), runs, percent / 100), *bounds(runs, percent / 100, confidence))

    return answer


def _values(*values: Value) -> dict[str, Any]:
    """The answer and variants of a wrong percentile: with right bounds, and with those that first attempts have."""
    ways = [_wrong(value, bounds) for value in values for bounds in (_right, _clamped, _clamped_above, _with_risk(lambda c: 1 - c), NORMALS[0], NORMALS[2])]
    return {"answer": ways[0], "variants": tuple(ways[1:])}


def _between(*bounds: Bounds) -> dict[str, Any]:
    ways = [_wrong(bounds=each) for each in bounds]
    return {"answer": ways[0], "variants": tuple(ways[1:])}


def _by_numpy(method: Any) -> Value:
    return lambda measured, runs, p: float(np.quantile(runs, p, method=method))


def _index(place: Callable[[int, float], int]) -> Value:
    """By an index from 0, held within the list."""
    return lambda measured, runs, p: runs[min(max(place(len(runs), p + 1e-12), 0), len(runs) - 1)]


def _sigmas(deviation: Callable[[list[float]], float]) -> Value:
    return lambda measured, runs, p: statistics.fmean(runs) + NormalDist().inv_cdf(p) * (deviation(runs) if len(runs) > 1 else 0.0)


def _right_but_for_its_bounds(want: Any, got: Any) -> bool:
    numbers = isinstance(got, (tuple, list)) and len(got) == 3 and all(isinstance(x, (int, float)) for x in got)
    return numbers and math.isclose(want[0], got[0]) and math.isfinite(got[2]) and got[1] <= got[2]


MISCONCEPTIONS = (
    Misconception(
        "between two runs",
        says="The percentile was interpolated between two runs: no request took that long, and near the end, where runs are few, it says too little; take the run of rank n · percent / 100, rounded up.",
        **_values(*map(_by_numpy, ("linear", "hazen", "weibull", "median_unbiased", "interpolated_inverted_cdf"))),
    ),
    Misconception(
        "one rank too far",
        says="The rank was used as an index from 0, or 1 was added to it: where n · percent / 100 is whole, that is the run after the one asked for; rank r is runs[r − 1].",
        **_values(_index(lambda n, p: int(n * p)), _index(lambda n, p: math.ceil(n * (p - 2e-12)))),
    ),
    Misconception(
        "rank rounded down",
        says="n · percent / 100 was rounded down, so less than `percent` of the runs are at most that: round it up.",
        **_values(_index(lambda n, p: int(n * p) - 1), _index(lambda n, p: int((n - 1) * p))),
    ),
    Misconception(
        "rank to the nearest",
        says="n · percent / 100 was rounded to the nearest whole number: the name nearest rank deceives, it is rounded up.",
        **_values(_index(lambda n, p: round(n * p) - 1), _index(lambda n, p: round((n - 1) * p)), _index(lambda n, p: math.floor(n * p + 0.5) - 1)),
    ),
    Misconception(
        "mean and deviations",
        says="That is the mean plus some standard deviations, right for a normal distribution only: latencies have a floor and a long tail; sort the runs and count.",
        **_values(_sigmas(statistics.stdev), _sigmas(statistics.pstdev)),
    ),
    Misconception(
        "the slowest run",
        says="That is the slowest run, whatever `percent`: the percentile is the run of rank n · percent / 100, rounded up.",
        **_values(lambda measured, runs, p: runs[-1]),
    ),
    Misconception(
        "from the slow end",
        says="The ranks were counted from the slowest run: rank 1 is the fastest.",
        **_values(lambda measured, runs, p: _nearest(measured, runs[::-1], p), lambda measured, runs, p: _nearest(measured, runs, 1 - p)),
    ),
    Misconception(
        "not sorted",
        lambda latencies_s, percent, confidence=0.95: (_nearest(None, latencies_s, percent / 100), *_right(latencies_s, percent / 100, confidence)),
        "The runs were taken as they were measured: sort them first (sorted makes a new list).",
        variants=tuple(_wrong(lambda measured, runs, p: _nearest(None, measured, p), bounds) for bounds in (_right, _clamped)),
    ),
    Misconception(
        "a bound where there is none",
        says="Where no rank is safe enough, the slowest or fastest run was given as the bound: the true percentile may well lie beyond it; say math.inf, or 0.0 below.",
        **_between(_clamped_above, _clamped, _clamped_below, _moved(0, 0, lambda runs, low, high: (runs[max(low, 1) - 1], runs[-1] if high > len(runs) else runs[high - 1]))),
    ),
    Misconception(
        "the whole risk on each side",
        says="Each bound was given the whole risk 1 − confidence, so both together err twice as often: it is halved, (1 − confidence) / 2.",
        **_between(_with_risk(lambda c: 1 - c), _with_risk(lambda c: 1 - c, _held)),
    ),
    Misconception(
        "confidence for risk",
        says="confidence was taken for the chance to err: the risk of each bound is (1 − confidence) / 2.",
        **_between(_with_risk(lambda c: c), _with_risk(lambda c: c / 2), _with_risk(lambda c: c, _held), _with_risk(lambda c: c / 2, _held)),
    ),
    Misconception(
        "always 95%",
        says="`confidence` has no effect on the bounds: at 99% they lie further apart than at 80%.",
        **_between(_with_risk(lambda c: 0.025), _with_risk(lambda c: 0.025, _held), _with_risk(lambda c: 0.05)),
    ),
    Misconception(
        "one rank aside",
        says="A bound is one rank beside the one asked for: low belongs to P(N < r), which is sum(chance[:r]), high to P(N ≥ r), which is sum(chance[r:]), and rank r is runs[r − 1].",
        **_between(*(_moved(down, up, place) for down in (-1, 0, 1) for up in (-1, 0, 1) if down or up for place in (_at, _held))),
    ),
    Misconception(
        "the normal curve",
        says="The ranks are those of a normal curve, n · p ± z · √(n · p · (1 − p)): for p99 of few runs it is far from the binomial, and reaches beyond n; add up the binomial's chances.",
        **_between(*NORMALS),
    ),
    Misconception(
        "the mean's error",
        says="That is how well the mean is known, ± z · s / √n: a percentile in the tail is known much worse; use ranks.",
        **_between(_error(lambda runs, p: statistics.fmean(runs)), _error(lambda runs, p: _nearest(None, runs, p)), _error(lambda runs, p: statistics.median(runs))),
    ),
    Misconception(
        "the spread of the runs",
        says="Those bounds hold most of the runs: asked for are bounds of the percentile, which draw together as more is measured.",
        **_between(_spread, _spread_by_rank),
    ),
    Misconception(
        "a fair coin",
        says="The coin was fair: the chance that a run is at most the true percentile is percent / 100, and only for the median one half.",
        **_between(lambda runs, p, confidence: _right(runs, 0.5, confidence)),
    ),
    Misconception(
        "the farthest rank",
        says="Of all ranks that are safe enough the farthest was taken, the fastest or slowest run: low is the largest such rank, high the smallest, so that the bounds are close.",
        **_between(_farthest(True, True), _farthest(False, True), _farthest(True, False)),
    ),
    Misconception(
        "the other tail",
        says="The bounds are those of 100 − percent: the chance that a run is at most the true percentile is percent / 100.",
        **_between(lambda runs, p, confidence: _right(runs, 1 - p, confidence)),
    ),
    Misconception(
        "from resampling",
        _wrong(bounds=_resampled),
        "The percentile is right, its bounds are not: low is the largest rank r with P(N < r) ≤ risk, high the smallest with P(N ≥ r) ≤ risk, N binomial with p = percent / 100. Resampling is no way round it: no sample holds a run slower than the slowest.",
        seen=_right_but_for_its_bounds,
    ),
)
