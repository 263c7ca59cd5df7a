"""Module 5: a softmax and the weighted sum behind it, fused into one pass.

Shapes: n scores and rows, d numbers a row
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.deploy_fuse_trial import outcome
from breakthrough.exercises.deploy_fuse_wrong import MISCONCEPTIONS
from breakthrough.exercises.deploy_memory import Slow
from breakthrough.exercises.exercise import Case, Exercise


def fused(scores: Slow, values: Slow, block: int) -> np.ndarray:
    """Compute softmax(scores) @ values in one pass: every number is loaded once.

    Why:    one operator after another reads the scores three times (their maximum, their sum, their weights) and
            writes the weights between; fused, there is nothing between. The arithmetic is no less
    Shapes: scores (n,), values (n, d), in slow memory: .shape is free, x[i:j] loads a block as a numpy array
            → (d,). n need not be a multiple of block. A slice must end within the array
    Units:  fast memory holds `block` scores and as many rows of values at a time. What is kept from block to block
            does not grow with n. Scores may be far from 0, where exp overflows in float32 or gives 0 for all, and
            may be −∞, whose row then counts for nothing; one at least is finite. Right to 10⁻⁴
    Source: Milakov, Gimelshein 2018, arXiv:1805.02867
    """
    n, d = values.shape
    largest, total, summed = -np.inf, 0.0, np.zeros(d, dtype=np.float32)
    for i in range(0, n, block):
        j = min(i + block, n)
        s, v = scores[i:j], values[i:j]  # (block,), (block, d)
        new = max(largest, s.max())
        if new == -np.inf:
            continue  # nothing has counted so far: −∞ − −∞ is no number
        shrink, weights = np.exp(largest - new), np.exp(s - new)  # what was summed up was relative to the old maximum
        total, summed = shrink * total + weights.sum(), shrink * summed + weights @ v
        largest = new
    return summed / total


def _logarithms(scores, values, block):
    """A running mean and the logarithm of the weights so far; each block's own mean moves it by its share."""
    n = scores.shape[0]
    mean, log_total = np.zeros(values.shape[1]), -math.inf
    for i in range(0, n, block):
        s, v = scores[i : min(i + block, n)].astype(np.float64), values[i : min(i + block, n)]
        if np.all(s == -np.inf):
            continue
        own = s.max() + np.log(np.exp(s - s.max()).sum())
        both = np.logaddexp(log_total, own)
        mean = mean * np.exp(log_total - both) + np.exp(s - both) @ v
        log_total = both
    return mean


def _row_by_row(scores, values, block):
    """Plain Python numbers, and a very low number in place of −∞ to start from."""
    largest, total, summed = -1e30, 0.0, [0.0] * values.shape[1]
    for i in range(0, len(scores), block):
        j = min(i + block, len(scores))
        for s, row in zip(scores[i:j].tolist(), values[i:j].tolist()):
            if s > largest:
                shrink, largest = math.exp(max(largest - s, -745.0)), s
                total, summed = total * shrink, [each * shrink for each in summed]
            weight = math.exp(s - largest)
            total, summed = total + weight, [each + weight * x for each, x in zip(summed, row)]
    return np.array(summed) / total


def _merged(scores, values, block):
    """Each block by itself, in powers of two; then what has come so far and the block become one."""

    def alone(i):
        j = min(i + block, len(scores))
        s, v = scores[i:j] / math.log(2), values[i:j]
        top = max(float(s.max()), -1e30)  # of a block of −∞ all weights are 0
        weights = np.exp2(s.astype(float) - top)
        return top, weights.sum(), np.einsum("n,nd->d", weights, v)

    def merge(one, other):
        top = max(one[0], other[0])
        left, right = 2.0 ** max(one[0] - top, -1100), 2.0 ** max(other[0] - top, -1100)
        return top, left * one[1] + right * other[1], left * one[2] + right * other[2]

    _, total, summed = reduce(merge, map(alone, range(0, len(scores), block)))
    return summed / total


def _cases(generator: Generator) -> Iterator[Case]:
    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    def case(label: str, scores: torch.Tensor, d: int, block: int) -> Case:
        values = torch.randn(len(scores), d, generator=generator) + 1
        return Case(f"{label}: {len(scores)} scores, {d} wide, blocks of {block}", (scores.float().numpy(), values.numpy(), block))

    def scores(n: int, spread: float = 1.5) -> torch.Tensor:
        return spread * torch.randn(n, generator=generator)

    rising = torch.arange(16.0) / 2 + scores(16, 0.3)
    yield case("the largest comes last", rising, 3, 4)
    yield case("the largest comes first", rising.flip(0), 3, 4)
    yield case("a ragged end", scores(4 * draw(3, 6) + draw(1, 4)), 5, 4)
    yield case("scores around 1,000", 1000 + scores(21), 4, 5)
    yield case("scores around −1,000", -1000 + scores(22), 4, 5)
    high = torch.tensor([500.0, 499.0, 498.0] + [0.0] * 3 + [1.0] * 2)
    yield case("the largest far above all later blocks", high + scores(8, 0.1), 3, 3)
    spread = scores(24, 60.0)
    yield case("scores far apart", spread, 3, 7)
    masked = scores(30)
    masked[draw(7, 12) :: 3] = -torch.inf
    yield case("−∞ among them", masked, 4, 6)
    first = scores(18)
    first[:10] = -torch.inf
    yield case("−∞ in the first blocks", first, 4, 4)
    yield case("a block larger than all", scores(5), 2, 8)
    yield case("one score", scores(1), 3, 4)


EXERCISES = (
    Exercise(
        name="deploy.fuse",
        title="A fused operator: one pass instead of three",
        points=6,
        minutes=35,
        difficulty=2,
        reference=fused,
        cases=_cases,
        call=outcome,
        expected=Outcome(),
        compare=by_fault,
        alternatives=(_logarithms, _row_by_row, _merged),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "A softmax needs the largest score, and the largest may come last. So work with the largest so far. When a larger one turns up, all that was summed up was too large by the same factor, exp(old − new): two running sums can be put right at once.",
            "largest (), total (), summed (d,) are all that is kept; a block: s (block,), v (block, d); new = larger of largest and max of s (); weights = exp(s − new) (block,); total · exp(largest − new) + sum of weights; summed · exp(largest − new) + weights @ v (d,); at the end summed / total",
            "largest, total, summed = −∞, 0, zeros\nfor each block of scores s and rows v, the last one shorter:\n    new = the larger of largest and max(s)\n    if new is −∞: go on with the next block\n    shrink, weights = exp(largest − new), exp(s − new)\n    total = shrink · total + sum of weights\n    summed = shrink · summed + weights @ v\n    largest = new\nreturn summed / total",
        ),
    ),
)
