"""Module 5: a tiled product tried on memory that counts, for deploy.tile.

Shapes: a (m, k), b (k, n), c (m, n)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.deploy_memory import Refused, Slow
from breakthrough.exercises.exercise import Case


def outcome(answer: Any, case: Case) -> Outcome:
    """The first thing that goes wrong when two matrices in slow memory are multiplied.

    Raises: InputError for what is no function
    """
    if not callable(answer):
        raise InputError(expected("your function", type_of(answer), 'check("deploy.tile", tiled)'))
    left, right, tile = case.args
    a, b = Slow(left, tile * tile, "a"), Slow(right, tile * tile, "b")
    c = Slow.empty((len(left), right.shape[1]), tile * tile, "c")
    try:
        given = answer(a, b, c, tile)
    except Refused as refused:
        return Outcome(refused.fault, str(refused), refused.want, refused.got)
    except ValueError as error:
        if "broadcast" in str(error) or "matmul" in str(error):  # numpy's words for tiles that do not fit
            return Outcome("tiles do not fit", f"numpy says: {error}")
        raise
    return _stored(given, c) or _values(left, right, c, tile) or _traffic(left, right, a, b, c, tile) or Outcome()


def _stored(given: Any, c: Slow) -> Outcome | None:
    if not c.stored:
        got = "nothing" if given is None else f"{type_of(given)}, returned"
        return Outcome("not stored", "nothing was ever stored in c", "c[rows, columns] = the tile", got)
    if c.loaded:
        text = f"{c.loaded:,} numbers were loaded from c, where sums were not complete"
        return Outcome("sums in slow memory", text, "0 numbers loaded from c", f"{c.loaded:,}")
    return None


def _wrong_products(a: np.ndarray, b: np.ndarray, tile: int) -> Iterator[tuple[str, np.ndarray]]:
    """Products that people compute, and what each is called."""
    (m, k), n = a.shape, b.shape[1]
    last, whole = (k - 1) // tile * tile, k // tile * tile
    if last:
        yield "overwritten", a[:, last:] @ b[last:]
        yield "first part of the depth", a[:, :tile] @ b[:tile]
    yield "depth cut off", a[:, :whole] @ b[:whole]
    if m == k == n and m % tile == 0:  # where a tile may be turned round and still fit
        parts = [slice(start, start + tile) for start in range(0, m, tile)]
        left, right = (np.block([[x[i, j].T for j in parts] for i in parts]) for x in (a, b))
        for other in (a @ b.T, a.T @ b, b @ a, left @ b, a @ right):
            yield "turned round", other
        yield "number by number", np.block([[sum(a[i, d] * b[d, j] for d in parts) for j in parts] for i in parts])


def _values(left: np.ndarray, right: np.ndarray, c: Slow, tile: int) -> Outcome | None:
    """What is wrong with the numbers; these are whole, so that nothing is rounded."""
    want, got = left @ right, c.peek()
    wrong = ~(want == got)
    if not wrong.any():
        return None
    at = tuple(int(place) for place in np.argwhere(wrong)[0])
    seen = {"expected": f"{want[at]:g} at {at}", "got": f"{got[at]:g}"}
    text = f"{int(wrong.sum())} of {wrong.size} numbers of c are wrong, the first at {at}"
    missing = np.isnan(got)
    if missing.any():
        inside = missing[: len(got) // tile * tile, : got.shape[1] // tile * tile].any()
        return Outcome("never written" if inside else "edges left out", f"{int(missing.sum())} of {wrong.size} numbers of c were never stored", **seen)
    for fault, other in _wrong_products(left, right, tile):
        if np.array_equal(got, other) and not np.array_equal(other, want):
            return Outcome(fault, text, **seen)
    if _carried_over(want, got, c):
        return Outcome("not set to zero", text, **seen)
    return Outcome("another product", text, **seen)


def _carried_over(want: np.ndarray, got: np.ndarray, c: Slow) -> bool:
    """Whether each tile holds what was stored before it as well."""
    total: Any = 0.0
    for box in c.order:
        if np.shape(total) not in ((), want[box].shape):
            return False
        total = total + want[box]
        if not np.array_equal(got[box], total):
            return False
    return len(c.order) > 1


def _traffic(left: np.ndarray, right: np.ndarray, a: Slow, b: Slow, c: Slow, tile: int) -> Outcome | None:
    """Whether each block was moved as often as tiling asks for."""
    (m, k), n = left.shape, right.shape[1]
    if c.stored > m * n:
        return Outcome("stored too often", f"{c.stored:,} numbers were stored in a c of {m * n:,}", f"{m * n:,}", f"{c.stored:,}")
    asked = {"a": (a, m * k * -(-n // tile)), "b": (b, k * n * -(-m // tile))}
    for name, (memory, most) in asked.items():
        seen = {"expected": f"{most:,} numbers of {name}", "got": f"{memory.loaded:,}"}
        if memory.loaded > most:
            alone = memory.largest == 1 < tile and max(m, k, n) > 1
            flat = len(c.order) > -(-m // tile) * -(-n // tile)  # more stores than c has tiles
            fault = "one at a time" if alone else "rows and columns" if flat else "loaded too often"
            return Outcome(fault, f"{memory.loaded / most:.3g} times as many numbers of {name} were loaded as tiles need", **seen)
        if memory.loaded < most:
            return Outcome("kept too much", f"fewer numbers of {name} were loaded than one tile of it at a time takes", **seen)
    return None
