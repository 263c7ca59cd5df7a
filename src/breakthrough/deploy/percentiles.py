"""Percentiles with intervals from order statistics: no distribution is assumed, and none is printed that n runs cannot bound.

How many of n values lie below the true p-quantile is binomial with p, whatever the values are distributed like. So two
of the sorted values enclose it with a known probability. The highest value of too few runs encloses nothing: then there
is no such percentile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from breakthrough.errors import InputError, expected

LEVEL = 0.95


@dataclass(frozen=True)
class Quantile:
    """A percentile of a sample, and the values between which that of the population lies.

    Units:  those of the values; `p` is a share from 0 to 1
    """

    p: float
    value: float
    low: float
    high: float


def quantile(values: Sequence[float] | np.ndarray, p: float, level: float = LEVEL) -> Quantile | None:
    """The nearest-rank percentile with its interval; None where no value lies surely enough above, or below.

    The interval takes the values for independent. Runs that follow each other are not quite: slow phases of a machine
    last longer than one of them, and the true interval is wider.

    Units:  half of 1 − level may fail on either side
    Raises: InputError for p or level outside 0 to 1, or without values
    """
    if not (0 < p < 1 and 0 < level < 1) or not len(values):
        raise InputError(expected("values, and p and level between 0 and 1", f"{len(values)} values, p = {p}, level = {level}"))
    ranks = interval_ranks(len(values), p, level)
    if ranks is None:
        return None
    ordered = np.sort(np.asarray(values, dtype=float))
    low, middle, high = (float(ordered[rank - 1]) for rank in (ranks[0], math.ceil(p * len(ordered)), ranks[1]))
    return Quantile(p, middle, low, high)


def interval_ranks(n: int, p: float, level: float = LEVEL) -> tuple[int, int] | None:
    """The ranks, counted from 1, of the sorted values that enclose the p-quantile; None where n is too small."""
    below = np.cumsum(np.exp(_log_binomial(n, p)))  # below[k]: at most k of n values lie under the quantile
    tail = (1 - level) / 2
    low = int(np.searchsorted(below, tail, side="right"))  # the largest r with P(fewer than r below) ≤ tail
    high = int(np.searchsorted(below, 1 - tail)) + 1  # the least s with P(fewer than s below) ≥ 1 − tail
    return (low, high) if low >= 1 and high <= n else None


def least_runs(p: float, level: float = LEVEL) -> int:
    """So many values bound the p-quantile: 6 the median, 36 p90, 368 p99."""
    outside = max(p, 1 - p)
    return math.ceil(math.log((1 - level) / 2) / math.log(outside))


def _log_binomial(n: int, p: float) -> np.ndarray:
    """The logarithm of the probability of k out of n, k = 0 … n."""
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))
    k = np.arange(n + 1)
    return logs[n] - logs[k] - logs[n - k] + k * math.log(p) + (n - k) * math.log1p(-p)
