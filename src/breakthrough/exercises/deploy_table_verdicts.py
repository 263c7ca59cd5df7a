"""Module 5: ways to say from pairs of runs which of two is faster: the right one, and wrong ones of deploy.table."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist, fmean, median, stdev

HOLDS, NOT, OPEN, UNFAIR = "holds", "does not hold", "not shown", "unfair"
Verdict = Callable[[list[float], list[float]], str]  # seconds that count, of one and of other


def ratios_of(mine: list[float], theirs: list[float]) -> list[float]:
    """Other's seconds / one's, pair by pair."""
    return [b / a for a, b in zip(mine, theirs)]


def middle(mine: list[float], theirs: list[float]) -> float:
    """The median of the pairs' ratios."""
    return median(ratios_of(mine, theirs))


def tail(n: int, wins: int) -> float:
    """The chance that a fair coin wins as often or more."""
    return sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n


def coin(risk: float = 0.025, wins: Callable[[int], int] = lambda wins: wins, other_side: str = NOT) -> Verdict:
    """The right verdict, and some that differ in what is given."""

    def verdict(mine, theirs):
        ratios = ratios_of(mine, theirs)
        n, won = len(ratios), sum(ratio > 1 for ratio in ratios)
        if tail(n, wins(won)) <= risk:
            return HOLDS
        return other_side if tail(n, wins(n - won)) <= risk else OPEN

    return verdict


def one_side_strict(side: str) -> Verdict:
    """W itself not counted, on one of the two sides: P(B > W), or P(B < W)."""

    def verdict(mine, theirs):
        ratios = ratios_of(mine, theirs)
        n, won = len(ratios), sum(ratio > 1 for ratio in ratios)
        if tail(n, won + (side == HOLDS)) <= 0.025:
            return HOLDS
        return NOT if tail(n, n - won + (side == NOT)) <= 0.025 else OPEN

    return verdict


def ratio_of(summary: Callable[[list[float]], float]) -> Callable[..., float]:
    """The ratio of two averages."""
    return lambda mine, theirs: summary(theirs) / summary(mine)


def larger(summary: Callable[..., float]) -> Verdict:
    """Whether an average is above 1: never open."""
    return lambda mine, theirs: HOLDS if summary(mine, theirs) > 1 else NOT


def most_pairs(mine: list[float], theirs: list[float]) -> str:
    """Whether more than half of the pairs are won."""
    ratios = ratios_of(mine, theirs)
    return HOLDS if 2 * sum(ratio > 1 for ratio in ratios) > len(ratios) else NOT


def all_pairs(mine: list[float], theirs: list[float]) -> str:
    """Whether all pairs are won, or all lost."""
    ratios = ratios_of(mine, theirs)
    return HOLDS if min(ratios) > 1 else NOT if max(ratios) < 1 else OPEN


def bell(mine: list[float], theirs: list[float]) -> str:
    """The normal curve in place of the coin."""
    ratios = ratios_of(mine, theirs)
    z = (2 * sum(ratio > 1 for ratio in ratios) - len(ratios)) / math.sqrt(len(ratios))
    return HOLDS if z > 1.96 else NOT if z < -1.96 else OPEN


def mean_ratio(mine: list[float], theirs: list[float]) -> str:
    """Whether the mean ratio is above 1 by twice its error."""
    ratios = ratios_of(mine, theirs)
    half = NormalDist().inv_cdf(0.975) * stdev(ratios) / math.sqrt(len(ratios))
    return HOLDS if fmean(ratios) - half > 1 else NOT if fmean(ratios) + half < 1 else OPEN


def apart(mine: list[float], theirs: list[float], half: Callable[[list[float]], float], summary: Callable = fmean) -> str:
    """Whether two intervals, one for each row, lie apart."""
    (low, high), (their_low, their_high) = ((summary(row) - half(row), summary(row) + half(row)) for row in (mine, theirs))
    return HOLDS if high < their_low else NOT if low > their_high else OPEN


def _median_bounds(row: list[float]) -> tuple[float, float]:
    runs, n = sorted(row), len(row)
    rank = sum(tail(n, n - k) <= 0.025 for k in range(n))
    return (runs[rank - 1], runs[n - rank]) if rank else (0.0, math.inf)


def medians_apart(mine: list[float], theirs: list[float]) -> str:
    """Whether the intervals of the two medians lie apart."""
    (low, high), (their_low, their_high) = _median_bounds(mine), _median_bounds(theirs)
    return HOLDS if high < their_low else NOT if low > their_high else OPEN


def welch(mine: list[float], theirs: list[float]) -> str:
    """Whether the means differ by twice their common error."""
    error = math.sqrt(stdev(mine) ** 2 / len(mine) + stdev(theirs) ** 2 / len(theirs))
    t = (fmean(theirs) - fmean(mine)) / error
    return HOLDS if t > 1.96 else NOT if t < -1.96 else OPEN


def at_least(gain: float) -> Verdict:
    """Whether the gain is large enough."""
    return lambda mine, theirs: HOLDS if middle(mine, theirs) > gain else NOT if middle(mine, theirs) < 1 / gain else OPEN


def turned(mine: list[float], theirs: list[float]) -> str:
    """The right verdict of the other row."""
    return coin()(theirs, mine)
