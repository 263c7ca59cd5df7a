"""Module 5: a fused softmax tried on memory that counts, for deploy.fuse.

Shapes: scores (n,), values (n, d)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.deploy_memory import Refused, Slow
from breakthrough.exercises.exercise import Case

RTOL, ATOL = 1e-4, 1e-4
ALIVE = 2  # of the blocks loaded earlier: the one before, and one more for who loads ahead
SPREAD = 80.0  # exp of scores this far from 0 is soon infinite, or 0, in float32
Array = np.ndarray
Way = Callable[[Array, Array, int], Array]


def outcome(answer: Any, case: Case) -> Outcome:
    """The first thing that goes wrong when scores and values in slow memory are combined.

    Raises: InputError for what is no function, or for a result that is no array of numbers
    """
    if not callable(answer):
        raise InputError(expected("your function", type_of(answer), 'check("deploy.fuse", fused)'))
    numbers, rows, block = case.args
    scores, values = Slow(numbers, block, "scores"), Slow(rows, block * rows.shape[1], "values")
    try:
        with np.errstate(all="ignore"):  # numbers tell what went wrong
            out = answer(scores, values, block)
    except Refused as refused:
        return Outcome(refused.fault, str(refused), refused.want, refused.got)
    except OverflowError as error:
        return Outcome("overflow", f"Python says: {error}")
    if out is None:
        return Outcome("nothing returned", "None came back: is there a `return`?", f"an array of shape ({rows.shape[1]},)", "None")
    return _values(numbers, rows, block, _array(out)) or _traffic(scores, values) or Outcome()


def _array(out: Any) -> Array:
    try:
        return np.asarray(out, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(expected("an array of numbers", type_of(out))) from None


def right(scores: Array, values: Array, block: int = 0) -> Array:
    """All at once, in float64.

    Shapes: scores (n,), values (n, d) → (d,)
    """
    weights = np.exp(scores.astype(np.float64) - scores.max())
    return weights @ values / weights.sum()


def online(scores: Array, values: Array, block: int, *, shrink_total: bool = True, shrink_sum: bool = True, turned: bool = False,
           running: bool = True, start: float = -np.inf, guard: bool = True, any_masked: bool = False, tail: bool = True, dtype: type = np.float32) -> Array:  # fmt: skip
    """One pass, with what is not so left out.

    Shapes: scores (n,), values (n, d) → (d,)
    """
    n = scores.shape[0]
    largest, total = start, 0.0
    summed: Array = np.zeros(values.shape[1], dtype=dtype)
    for i in range(0, n if tail else n // block * block, block):
        s: Array = scores[i : min(i + block, n)].astype(dtype)
        v = values[i : min(i + block, n)]
        if any_masked and np.isneginf(s).any():
            continue
        new = max(largest, s.max()) if running else s.max()
        if guard and new == -np.inf:
            continue
        shrink = np.exp((new - largest) if turned else (largest - new))
        weights = np.exp(s - new)
        total = (shrink if shrink_total else 1) * total + weights.sum()
        summed = (shrink if shrink_sum else 1) * summed + weights @ v
        largest = new
    return summed / total


def way(**left_out: Any) -> Way:
    """`online` with that left out, as an answer."""
    return lambda scores, values, block: online(scores, values, block, **left_out)


def own_blocks(finish: Callable[[list[Array], list[float], Array], Array]) -> Way:
    """Each block with a softmax of its own, and something made of the blocks' results.

    `finish` gets the results, the sums of exp(score − the block's maximum), and the number of scores in each.
    """

    def answer(scores, values, block):
        n, results, totals, sizes = scores.shape[0], [], [], []
        for i in range(0, n, block):
            s, v = scores[i : min(i + block, n)], values[i : min(i + block, n)]
            weights = np.exp(s - s.max())
            results.append(weights @ v / weights.sum())
            totals.append(weights.sum())
            sizes.append(len(s))
        return finish(results, totals, np.array(sizes))

    return answer


def undivided(scores: Array, values: Array, block: int) -> Array:
    """The sum of weighted rows, not divided by the weights.

    Shapes: scores (n,), values (n, d) → (d,)
    """
    numbers, rows = (x[0:0] if x.shape[0] == 0 else _loaded(x, block) for x in (scores, values))
    return np.exp(numbers - numbers.max()) @ rows


def _loaded(x: Any, block: int) -> Array:
    if isinstance(x, np.ndarray):
        return x
    n = x.shape[0]
    return np.concatenate([x[i : min(i + block, n)] for i in range(0, n, block)])


WRONG: tuple[tuple[str, Way], ...] = (
    ("neither shrunk", way(shrink_total=False, shrink_sum=False)),
    ("neither shrunk", way(shrink_total=False, shrink_sum=False, running=False)),
    ("the total not shrunk", way(shrink_total=False)),
    ("the sum not shrunk", way(shrink_sum=False)),
    ("shrunk the wrong way", way(turned=True, start=0.0)),
    ("a softmax for each block", own_blocks(lambda results, totals, sizes: np.mean(results, axis=0))),
    ("a softmax for each block", own_blocks(lambda results, totals, sizes: np.sum(results, axis=0))),
    ("a softmax for each block", own_blocks(lambda results, totals, sizes: sizes @ np.array(results) / sizes.sum())),
    ("not divided", undivided),
    ("the end left out", way(tail=False)),
    ("the last block only", own_blocks(lambda results, totals, sizes: results[-1])),
    ("the maximum from zero", way(start=0.0)),
    ("the block's own maximum", way(running=False)),
    ("a block with some −∞ left out", way(any_masked=True)),
)


def _near(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=RTOL, atol=ATOL, equal_nan=True))


def _values(scores: Array, values: Array, block: int, out: Array) -> Outcome | None:
    """What is wrong with the numbers."""
    want = right(scores, values)
    if out.shape != want.shape:
        return Outcome("another shape", f"the result has the shape {out.shape}, not {want.shape}", str(want.shape), str(out.shape))
    if _near(out, want):
        return None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        at = int(np.argmax(~np.isclose(out, want, rtol=RTOL, atol=ATOL)))
        seen = {"expected": f"{want[at]:.6g} at {at}", "got": f"{out[at]:.6g}"}
        text = f"the result is NaN at {at}" if np.isnan(out[at]) else f"the result is off at {at}, by {abs(out[at] - want[at]):.3g}"
        if np.isnan(out).any():
            return Outcome(_no_number(scores, values, block), text, **seen)
        for fault, wrong in WRONG:
            other = np.asarray(wrong(scores, values, block), dtype=np.float64)
            if _near(out, other) and not _near(other, want):
                return Outcome(fault, text, **seen)
    return Outcome("another result", text, **seen)


def _no_number(scores: Array, values: Array, block: int) -> str:
    """What makes NaN of such scores: only what an answer has not met in the cases before."""
    if 0 < np.ptp(scores) < np.inf and np.isnan(online(scores, values, block, running=False)).any():
        return "the block's own maximum"  # whose exp(old − new) grows without end when the largest is past
    finite = scores[np.isfinite(scores)]
    if len(finite) < len(scores):
        return "nothing minus nothing"
    if finite.max() > SPREAD:
        return "overflow"
    return "the maximum from zero" if finite.max() < -SPREAD else "shrunk the wrong way"  # by exp(new − −∞)


def _traffic(scores: Slow, values: Slow) -> Outcome | None:
    for name, memory in (("scores", scores), ("values", values)):
        size = int(np.prod(memory.shape))
        seen = {"expected": f"{size:,} numbers of {name}", "got": f"{memory.loaded:,}"}
        if memory.loaded > size:
            return Outcome("more than one pass", f"{name} were loaded {memory.loaded / size:.3g} times over", **seen)
        if memory.alive > ALIVE:
            return Outcome("kept in fast memory", f"{memory.alive} blocks of {name} loaded earlier were still kept", f"{ALIVE} or fewer", str(memory.alive))
    return None
