"""Module 5: wrong ways to fuse a softmax with a weighted sum, for deploy.fuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from breakthrough.exercises.deploy_fuse_trial import online, own_blocks, undivided, way
from breakthrough.exercises.exercise import Misconception


def _parts(x, block):
    n = x.shape[0]
    return [x[i : min(i + block, n)] for i in range(0, n, block)]


def _three_passes(scores, values, block):
    n = scores.shape[0]
    spans = [slice(i, min(i + block, n)) for i in range(0, n, block)]
    largest = max(scores[span].max() for span in spans)
    total = sum(np.exp(scores[span] - largest).sum() for span in spans)
    return sum(np.exp(scores[span] - largest) / total @ values[span] for span in spans)


def _two_passes(scores, values, block):
    n = scores.shape[0]
    spans = [slice(i, min(i + block, n)) for i in range(0, n, block)]
    largest = max(scores[span].max() for span in spans)
    total, summed = 0.0, 0.0
    for span in spans:
        weights = np.exp(scores[span] - largest)
        total, summed = total + weights.sum(), summed + weights @ values[span]
    return summed / total


def _loaded_twice(scores, values, block):
    n, largest, total, summed = scores.shape[0], -np.inf, 0.0, 0.0
    for i in range(0, n, block):
        j = min(i + block, n)
        new = max(largest, scores[i:j].max())
        if new == -np.inf:
            continue
        weights = np.exp(scores[i:j] - new)
        total, summed = total * np.exp(largest - new) + weights.sum(), summed * np.exp(largest - new) + weights @ values[i:j]
        largest = new
    return summed / total


def _at_once(scores, values, block):
    s = scores[:]
    weights = np.exp(s - s.max())
    return weights @ values[:] / weights.sum()


def _as_arrays(scores, values, block):
    weights = np.exp(np.asarray(scores) - np.max(scores))
    return weights @ np.asarray(values) / weights.sum()


def _collected(scores, values, block):
    numbers, rows = _parts(scores, block), _parts(values, block)
    numbers, rows = np.concatenate(numbers), np.concatenate(rows)
    weights = np.exp(numbers - numbers.max())
    return weights @ rows / weights.sum()


def _scores_collected(scores, values, block):
    numbers = _parts(scores, block)
    largest = max(s.max() for s in numbers)
    total = sum(np.exp(s - largest).sum() for s in numbers)
    n = scores.shape[0]
    return sum(np.exp(s - largest) @ values[i : min(i + block, n)] for i, s in zip(range(0, n, block), numbers)) / total


def _free_ends(scores, values, block):
    n, largest, total, summed = scores.shape[0], -np.inf, 0.0, 0.0
    for i in range(0, n, block):
        s, v = scores[i : i + block], values[i : i + block]
        new = max(largest, s.max())
        weights = np.exp(s - new)
        total, summed = total * np.exp(largest - new) + weights.sum(), summed * np.exp(largest - new) + weights @ v
        largest = new
    return summed / total


def _plain_exp(scores, values, block):
    n, total, summed = scores.shape[0], 0.0, np.zeros(values.shape[1])
    for i in range(0, n, block):
        weights, v = np.exp(scores[i : min(i + block, n)]), values[i : min(i + block, n)]
        total, summed = total + weights.sum(), summed + weights @ v
    return summed / total


def _math_exp(scores, values, block):
    n, total, summed = scores.shape[0], 0.0, 0.0
    for i in range(0, n, block):
        for s, row in zip(scores[i : min(i + block, n)].tolist(), values[i : min(i + block, n)]):
            total, summed = total + math.exp(s), summed + math.exp(s) * row
    return summed / total


def _weights_only(scores, values, block):
    return np.exp(np.concatenate(_parts(scores, block)))


def _a_column(scores, values, block):
    return online(scores, values, block)[:, None]


def _none(scores, values, block):
    online(scores, values, block)


def _of(*ways: Any) -> dict[str, Any]:
    return {"answer": ways[0], "variants": ways[1:]}


def _last(results, totals, sizes):
    return results[-1]


MISCONCEPTIONS = (
    Misconception(
        "neither shrunk",
        says="The maximum moved on, but the sums stayed relative to the old one: multiply both by exp(old − new) before the block is added.",
        **_of(way(shrink_total=False, shrink_sum=False), way(shrink_total=False, shrink_sum=False, running=False)),
    ),
    Misconception(
        "the total not shrunk",
        says="The sum of the weights stayed relative to the old maximum: it shrinks by exp(old − new) as the weighted rows do.",
        **_of(way(shrink_total=False)),
    ),
    Misconception(
        "the sum not shrunk",
        says="The weighted rows stayed relative to the old maximum: they shrink by exp(old − new) as the sum of the weights does.",
        **_of(way(shrink_sum=False)),
    ),
    Misconception(
        "shrunk the wrong way",
        says="The factor is upside down: with a larger maximum the old sums count for less, exp(old − new), never for more.",
        **_of(way(turned=True), way(turned=True, start=0.0)),
    ),
    Misconception(
        "a softmax for each block",
        says="Each block got a softmax of its own, and they were averaged or added: a block of low scores counts for less than one of high scores; keep the two sums apart until the end.",
        **_of(
            own_blocks(lambda results, totals, sizes: np.mean(results, axis=0)),
            own_blocks(lambda results, totals, sizes: np.sum(results, axis=0)),
            own_blocks(lambda results, totals, sizes: sizes @ np.array(results) / sizes.sum()),
        ),
    ),
    Misconception(
        "not divided",
        says="The weighted rows were never divided: a softmax's weights sum up to 1, so divide by the sum of all weights at the end.",
        **_of(lambda scores, values, block: undivided(np.concatenate(_parts(scores, block)), np.concatenate(_parts(values, block)), block)),
    ),
    Misconception(
        "the end left out",
        says="The last, shorter block is missing: go over range(0, n, block), and end each slice at min(i + block, n).",
        **_of(way(tail=False)),
    ),
    Misconception(
        "the last block only",
        says="Only the last block is in the result: add each block to what was summed up before, and keep the new maximum for the next (largest = new).",
        **_of(own_blocks(_last)),
    ),
    Misconception(
        "the maximum from zero",
        says="The running maximum began at 0, which is larger than all scores when these lie far below: exp gives 0 for all of them; begin at −∞.",
        **_of(way(start=0.0)),
    ),
    Misconception(
        "the block's own maximum",
        says="The maximum was taken of the block alone: after a block with the largest score, exp(old − new) overflows; keep the larger of the block's and the one so far.",
        **_of(way(running=False)),
    ),
    Misconception(
        "nothing minus nothing",
        says="A block of −∞ alone was met before any finite score: −∞ − −∞ is no number; such a block changes nothing, so go on with the next.",
        **_of(way(guard=False)),
    ),
    Misconception(
        "a block with some −∞ left out",
        says="A block in which some scores are −∞ was left out whole: only these count for nothing, the others do; go on with the next only where all are −∞.",
        **_of(way(any_masked=True)),
    ),
    Misconception(
        "overflow",
        says="exp of the scores themselves was taken: beyond 88 that is infinite in float32, and far below 0 it is 0; subtract the largest so far first.",
        **_of(_plain_exp, _math_exp),
    ),
    Misconception(
        "beyond the edge",
        says="The last block reaches beyond the end: n need not be a multiple of block, so end the slice at min(i + block, n).",
        **_of(_free_ends),
    ),
    Misconception(
        "more than a block",
        says="All was loaded at once, and does not fit into fast memory: that holds `block` scores and their rows; load x[i:j] block by block.",
        **_of(_at_once, _as_arrays),
    ),
    Misconception(
        "more than one pass",
        says="Numbers were loaded more than once, for the maximum, the sum or the weights apart: keep a running maximum and put the sums right when it moves.",
        **_of(_two_passes, _three_passes, _loaded_twice),
    ),
    Misconception(
        "kept in fast memory",
        says="The blocks were loaded once, but all of them kept: that takes room that grows with n; keep the maximum and the two sums, and drop the block.",
        **_of(_collected, _scores_collected),
    ),
    Misconception(
        "another shape",
        says="The result has another shape: it is one weighted sum of the rows, d numbers.",
        **_of(_a_column, _weights_only),
    ),
    Misconception(
        "nothing returned",
        says="Nothing came back: return the weighted rows divided by the sum of the weights.",
        **_of(_none),
    ),
)
