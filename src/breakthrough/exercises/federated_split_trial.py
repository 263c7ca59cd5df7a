"""Module 3: what holds for a Dirichlet partition, by counting and by statistics over many draws.

Shapes: N samples of C classes, K parts, S draws
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import Outcome

MANY = 50  # draws from which statistics say something
# limits that right answers keep by five standard errors and more
LINKED = 0.16  # correlation of two classes' shares
FACTOR = 2.0  # between the α asked for and the one seen
CROWDED = 3.0  # times a part's mean share, with 10 samples of a class for 10 parts

Draw = list[np.ndarray]


def try_out(answer: Any, labels: np.ndarray, parts: int, alphas: tuple[float, ...], seed: int, draws: int) -> Outcome:
    """The first thing that is wrong with a partition: lost samples before chance, chance before shares.

    Raises: InputError for what is no partition at all
    """
    if not callable(answer):
        raise InputError(expected("your function", type_of(answer), 'check("federated.split", split)'))

    def once(alpha: float, more: int = 0) -> Draw | Outcome:
        given = labels.copy()
        try:
            dealt = answer(given, parts, alpha, np.random.default_rng(seed + more))
        except ValueError as error:
            if len(labels) or "concatenate" not in str(error):
                raise
            return Outcome("nothing to join", f"without samples: {error}", f"{parts} empty arrays", "ValueError")
        if not np.array_equal(given, labels):
            return Outcome("input changed", "labels are no longer as they were")
        return _validated(dealt, labels, parts)

    seen: dict[float, list[Draw]] = {alpha: [] for alpha in alphas}
    for alpha in alphas:
        for more in range(draws):
            dealt = once(alpha, more)
            if isinstance(dealt, Outcome):
                return dealt
            if found := _counted(dealt, labels):
                return found
            seen[alpha].append(dealt)
    return _chance(seen[alphas[0]], lambda: once(alphas[0]), labels) or _statistics(seen, labels, parts) or Outcome()


def _validated(dealt: Any, labels: np.ndarray, parts: int) -> Draw | Outcome:
    if dealt is None:
        raise InputError(expected(f"a list of {parts} index arrays", "None", "a `return` at the end"))
    if not isinstance(dealt, (list, tuple)) or len(dealt) != parts:
        got = f"{len(dealt)}" if isinstance(dealt, (list, tuple)) else type_of(dealt)
        raise InputError(expected(f"a list of {parts} index arrays", got))
    arrays = [np.array(part, dtype=np.int64) if isinstance(part, (list, tuple)) and not len(part) else np.asarray(part) for part in dealt]
    for array in arrays:
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise InputError(expected("each part as whole numbers in one dimension", f"{array.dtype} of shape {array.shape}"))
    if any(array.dtype.kind not in "iu" for array in arrays):
        return Outcome("float when empty", "an empty part is an array of floats, which cannot index", "int64", "float64")
    return arrays


def _counted(dealt: Draw, labels: np.ndarray) -> Outcome | None:
    """Whether every index is there exactly once."""
    every, times = np.unique(np.concatenate(dealt), return_counts=True)
    if len(every) and (every.min() < 0 or every.max() >= len(labels)):
        return Outcome("indices out of range", "there is no such sample", f"0 to {len(labels) - 1}", str(every[[0, -1]]))
    if times.sum() == len(labels) > 50 and np.array_equal(every, np.unique(labels)):
        return Outcome("labels instead of indices", "the parts hold labels, not where the samples stand")
    lost = np.setdiff1d(np.arange(len(labels)), every)
    twice = int((times > 1).sum())
    if twice:
        return Outcome("in several parts", f"samples that are dealt more than once: {twice} of {len(labels)}", "0", str(twice))
    if not len(lost):
        return None
    whole = not np.isin(labels[lost], labels[every]).any()  # classes that are missing altogether
    text = f"samples that are in no part: {len(lost)} of {len(labels)}"
    return Outcome("classes counted" if whole and len(labels) > 50 else "cut one by one", text, "0", str(len(lost)))


def _chance(draws: list[Draw], again: Callable[[], Any], labels: np.ndarray) -> Outcome | None:
    """Whether the generator decides everything, the samples of a class too."""
    if len(draws) < 2:
        return None
    repeated = again()
    if isinstance(repeated, Outcome) or not _alike(draws[0], repeated):
        return Outcome("global random", "the same generator gave two different splits")
    if all(_alike(draws[0], other) for other in draws[1:]):
        return Outcome("own seed", f"{len(draws)} generators gave the same split")
    if all(_in_rows(dealt, labels) for dealt in draws):
        return Outcome("not shuffled", "within every class, the parts get stretches of neighbouring samples")
    return None


def _alike(one: Draw, other: Draw) -> bool:
    return all(np.array_equal(np.sort(a), np.sort(b)) for a, b in zip(one, other))


def _in_rows(dealt: Draw, labels: np.ndarray) -> bool:
    part = np.empty(len(labels), np.int64)
    for k, indices in enumerate(dealt):
        part[indices] = k
    steps = [np.diff(part[labels == kind]) for kind in np.unique(labels)]
    return all((step >= 0).all() or (step <= 0).all() for step in steps)


def _statistics(seen: dict[float, list[Draw]], labels: np.ndarray, parts: int) -> Outcome | None:
    if any(len(draws) < MANY for draws in seen.values()):
        return None
    kinds = np.unique(labels)
    shares = {alpha: np.array([_shares(dealt, labels, kinds) for dealt in draws]) for alpha, draws in seen.items()}  # (S, C, K)
    if len(shares) > 1:
        return _linked(shares[min(shares)]) or _concentration(shares, parts)
    crowd = next(iter(shares.values())).mean(axis=(0, 1)) * parts  # (K,), 1 each when all parts are alike
    if 1 / CROWDED < crowd.min() and crowd.max() < CROWDED:
        return None
    fault = "the rest to the last" if int(crowd.argmax()) == parts - 1 else "parts are not alike"
    text = f"over many draws part {int(crowd.argmax())} gets {crowd.max():.1f} times its turn"
    return Outcome(fault, text, "as much for each part, on average", ", ".join(f"{c:.1f}" for c in crowd))


def _shares(dealt: Draw, labels: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Shapes: → (C, K)."""
    counts = np.array([[(labels[indices] == kind).sum() for indices in dealt] for kind in kinds])
    return counts / counts.sum(axis=1, keepdims=True)


def _linked(shares: np.ndarray) -> Outcome | None:
    """Whether what a part gets of one class says what it gets of another."""
    off = shares - shares.mean(axis=0)  # (S, C, K)
    together = np.einsum("sck,sdk->cd", off, off) / len(off)
    between = together[~np.eye(len(together), dtype=bool)].mean() / max(np.diag(together).mean(), 1e-12)
    if abs(between) <= LINKED:
        return None
    fault = "one draw for all classes" if between > 0 else "classes of a part"
    return Outcome(fault, "a part's shares of two classes go together, over many draws", "correlation 0", f"{between:.2f}")


def _concentration(shares: dict[float, np.ndarray], parts: int) -> Outcome | None:
    """Whether the shares are as unequal as Dir(α, …, α) makes them: variance (K − 1) / K² / (Kα + 1)."""
    got = {}
    for alpha, drawn in shares.items():
        variance = ((drawn - 1 / parts) ** 2).mean()
        got[alpha] = max(((parts - 1) / parts**2 / max(variance, 1e-9) - 1) / parts, 1e-6)

    def fits(wanted: Callable[[float], float]) -> bool:
        return all(1 / FACTOR < got[alpha] / wanted(alpha) < FACTOR for alpha in got)

    if fits(lambda alpha: alpha):
        return None
    low, high = got[min(got)], got[max(got)]
    if fits(lambda alpha: alpha / parts):
        fault = "α shared out"
    elif high < low / FACTOR:
        fault = "α upside down"
    else:
        fault = "α not used" if high < FACTOR * low else "another α"
    text = "the shares are as unequal as another α makes them"
    return Outcome(fault, text, _shown({alpha: alpha for alpha in got}), _shown(got))


def _shown(alphas: dict[float, float]) -> str:
    return ", ".join(f"α ≈ {min(seen, 999):.2g} for {asked:g}" for asked, seen in alphas.items())
