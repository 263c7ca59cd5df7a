"""Module 5: wrong tiled products, for deploy.tile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from breakthrough.exercises.exercise import Misconception


def _starts(size, tile):
    return range(0, size, tile)


def _whole_only(size, tile):
    return range(0, size - tile + 1, tile)


def _first_only(size, tile):
    return range(0, 1)


def _held(start, tile, size):
    return slice(start, min(start + tile, size))


def _free(start, tile, size):
    return slice(start, start + tile)


def _zeros(rows, columns, tile):
    return np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=np.float32)


def _full(rows, columns, tile):
    return np.zeros((tile, tile), dtype=np.float32)


def _product(a, b, rows, depth, columns):
    return a[rows, depth] @ b[depth, columns]


def _wrong(
    rows: Callable = _starts, columns: Callable = _starts, depths: Callable = _starts, end: Callable = _held, end_depth: Callable | None = None,
    empty: Callable = _zeros, product: Callable = _product, add: Callable = lambda total, part: total + part, once: bool = True,
) -> Callable[..., None]:  # fmt: skip
    """A tiled product that differs in what is given; without `once` every part of a sum is stored."""

    def answer(a, b, c, tile):
        (m, k), n = a.shape, b.shape[1]
        for i in rows(m, tile):
            for j in columns(n, tile):
                high, wide = end(i, tile, m), end(j, tile, n)
                total = empty(high, wide, tile)
                for d in depths(k, tile):
                    total = add(total, product(a, b, high, (end_depth or end)(d, tile, k), wide))
                    if not once:
                        c[high, wide] = total
                if once:
                    c[high, wide] = total

    return answer


def _into_c(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    for i in range(0, m, tile):
        for j in range(0, n, tile):
            high, wide = _held(i, tile, m), _held(j, tile, n)
            c[high, wide] = _zeros(high, wide, tile)
            for d in range(0, k, tile):
                c[high, wide] += _product(a, b, high, _held(d, tile, k), wide)


def _into_nan(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    for d in range(0, k, tile):
        for i in range(0, m, tile):
            for j in range(0, n, tile):
                high, wide = _held(i, tile, m), _held(j, tile, n)
                c[high, wide] += _product(a, b, high, _held(d, tile, k), wide)


def _never_reset(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    total = 0.0
    for i in range(0, m, tile):
        for j in range(0, n, tile):
            high, wide = _held(i, tile, m), _held(j, tile, n)
            for d in range(0, k, tile):
                total = total + _product(a, b, high, _held(d, tile, k), wide)
            c[high, wide] = total


def _reset_by_row(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    total = np.zeros((tile, tile))
    for i in range(0, m, tile):
        for j in range(0, n, tile):
            for d in range(0, k, tile):
                total += a[i : i + tile, d : d + tile] @ b[d : d + tile, j : j + tile]
            c[i : i + tile, j : j + tile] = total


def _one_by_one(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    for i in range(m):
        for j in range(n):
            c[i, j] = sum(a[i, d] * b[d, j] for d in range(k))


def _one_by_one_in_tiles(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    for i in range(0, m, tile):
        for j in range(0, n, tile):
            total = np.zeros((min(tile, m - i), min(tile, n - j)))
            for d in range(0, k, tile):
                for y in range(i, min(i + tile, m)):
                    for x in range(j, min(j + tile, n)):
                        for z in range(d, min(d + tile, k)):
                            total[y - i, x - j] += a[y, z] * b[z, x]
            c[i : i + tile if i + tile < m else m, j : min(j + tile, n)] = total


def _row_by_row(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    for i in range(m):
        for j in range(0, n, tile):
            wide = _held(j, tile, n)
            c[i, wide] = sum(a[i, _held(d, tile, k)] @ b[_held(d, tile, k), wide] for d in range(0, k, tile))


def _dots(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    for i in range(m):
        for j in range(n):
            c[i, j] = sum(a[i, _held(d, tile, k)] @ b[_held(d, tile, k), j] for d in range(0, k, tile))


def _panels(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    for i in range(0, m, tile):
        for j in range(0, n, tile):
            c[i : min(i + tile, m), j : min(j + tile, n)] = a[i : min(i + tile, m), :] @ b[:, j : min(j + tile, n)]


def _numpy(a, b, c, tile):
    c[:, :] = a[:, :] @ b[:, :]


def _operator(a, b, c, tile):
    c[:, :] = a @ b


def _row_kept(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    for i in range(0, m, tile):
        high = _held(i, tile, m)
        left = [a[high, _held(d, tile, k)] for d in range(0, k, tile)]
        for j in range(0, n, tile):
            wide = _held(j, tile, n)
            c[high, wide] = sum(part @ b[_held(d, tile, k), wide] for part, d in zip(left, range(0, k, tile)))


def _returned(a, b, c, tile):
    (m, k), n = a.shape, b.shape[1]
    out = np.zeros((m, n))
    for i in range(0, m, tile):
        for j in range(0, n, tile):
            high, wide = _held(i, tile, m), _held(j, tile, n)
            out[high, wide] = sum(_product(a, b, high, _held(d, tile, k), wide) for d in range(0, k, tile))
    return out


def _twice(a, b, rows, depth, columns):
    parts = a[rows, depth] @ b[depth, columns]
    return parts if a[rows, depth].any() or b[depth, columns].any() else 0 * parts


def _padded(a, b, c, tile):
    """Tiles of full size in fast memory, filled with zeros, and stored as they are."""
    (m, k), n = a.shape, b.shape[1]
    for i in range(0, m, tile):
        for j in range(0, n, tile):
            total = np.zeros((tile, tile), dtype=np.float32)
            for d in range(0, k, tile):
                left, right = np.zeros((2, tile, tile), dtype=np.float32)
                block = a[_held(i, tile, m), _held(d, tile, k)]
                left[: block.shape[0], : block.shape[1]] = block
                block = b[_held(d, tile, k), _held(j, tile, n)]
                right[: block.shape[0], : block.shape[1]] = block
                total += left @ right
            c[_held(i, tile, m), _held(j, tile, n)] = total


def _of(*ways: Any) -> dict[str, Any]:
    return {"answer": ways[0], "variants": ways[1:]}


MISCONCEPTIONS = (
    Misconception(
        "beyond the edge",
        says="A tile reaches beyond the matrix: the last one in a row or column is smaller where the size is no multiple of tile, so end at min(i + tile, m).",
        **_of(_wrong(end=_free), _wrong(end=_free, empty=_full), _wrong(end_depth=_free)),
    ),
    Misconception(
        "another shape",
        says="The block to store has another shape than its place in c: at an edge the sum is smaller than tile × tile too; give it as many rows and columns as the tile really has.",
        **_of(_padded),
    ),
    Misconception(
        "tiles do not fit",
        says="The shapes of two tiles do not fit together: with the rows of a and the columns of b, the depth in between has to be the same slice for both, and the sum as large as the tile of c.",
        **_of(_wrong(empty=_full, add=lambda total, part: np.add(total, part, out=total))),
    ),
    Misconception(
        "edges left out",
        says="The edges of c were never stored: with only whole tiles, what is left of m and n is lost; let the loops run over range(0, m, tile), which has a last, smaller one.",
        **_of(_wrong(rows=_whole_only, columns=_whole_only), _wrong(rows=_whole_only), _wrong(columns=_whole_only), _wrong(rows=_whole_only, columns=_whole_only, depths=_whole_only)),
    ),
    Misconception(
        "never written",
        says="Some tiles of c were never stored: two loops have to go over all its tiles, range(0, m, tile) and range(0, n, tile).",
        **_of(_wrong(rows=_first_only), _wrong(columns=_first_only), _wrong(rows=lambda size, tile: range(size // tile))),
    ),
    Misconception(
        "depth cut off",
        says="What is left of the depth was left out: k need not be a multiple of tile, and its last, smaller tile is part of every sum.",
        **_of(_wrong(depths=_whole_only)),
    ),
    Misconception(
        "overwritten",
        says="Only the last tile of the depth is in the result: each part has to be added to the sum, +=, not put in its place.",
        **_of(_wrong(add=lambda total, part: part)),
    ),
    Misconception(
        "first part of the depth",
        says="Only the first tile of the depth is in the result: a third loop has to go over all of k.",
        **_of(_wrong(depths=_first_only)),
    ),
    Misconception(
        "not set to zero",
        says="Each tile still has the sum of those before it: begin with zeros for every tile of c.",
        **_of(_never_reset, _reset_by_row),
    ),
    Misconception(
        "turned round",
        says="That is another product: a's tile is at rows and depth, b's at depth and columns, and nothing is transposed.",
        **_of(_wrong(product=lambda a, b, r, d, w: a[r, d] @ b[w, d].T), _wrong(product=lambda a, b, r, d, w: a[d, r].T @ b[d, w]), _wrong(product=lambda a, b, r, d, w: a[r, d] @ b[d, w].T)),
    ),
    Misconception(
        "number by number",
        says="The tiles were multiplied number by number, with *: a tile of c takes matrix products of tiles, @.",
        **_of(_wrong(product=lambda a, b, r, d, w: a[r, d] * b[d, w])),
    ),
    Misconception(
        "sums in slow memory",
        says="The sum was kept in c, with a load and a store for every part of it: keep it in a variable, and store it once.",
        **_of(_into_c, _into_nan),
    ),
    Misconception(
        "stored too often",
        says="A tile of c was stored before it was complete: store it once, behind the loop over the depth.",
        **_of(_wrong(once=False)),
    ),
    Misconception(
        "not stored",
        says="Nothing was stored in c: the result goes to slow memory, c[rows, columns] = total; what is returned is not looked at.",
        **_of(_returned, lambda a, b, c, tile: None),
    ),
    Misconception(
        "more than a block",
        says="That does not fit into fast memory: it holds tile × tile numbers of each matrix. Load blocks, a[rows, depth], with the depth cut into tiles as well; np.asarray(a) or a @ b takes all of it.",
        **_of(_panels, _numpy, _operator),
    ),
    Misconception(
        "one at a time",
        says="Every number was loaded anew for every multiplication: load a tile of each with slices, and use all of its numbers before it is dropped.",
        **_of(_one_by_one, _one_by_one_in_tiles),
    ),
    Misconception(
        "rows and columns",
        says="The tiles are flat: a single row or column of numbers is used far less often than a square tile; cut rows, columns and depth by tile.",
        **_of(_row_by_row, _dots),
    ),
    Misconception(
        "loaded too often",
        says="A tile was loaded more than once for the same tile of c: every a[...] costs, so load it once into a variable.",
        **_of(_wrong(product=_twice)),
    ),
    Misconception(
        "kept too much",
        says="More than a tile was kept in fast memory, as fewer were loaded than one at a time takes: load tiles of a and b where they are used, and drop them.",
        **_of(_row_kept),
    ),
)
