"""Module 5: a matrix product by tiles, right at ragged edges.

Shapes: m rows of a, n columns of b, k the depth that is summed over
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import product

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.deploy_memory import Slow
from breakthrough.exercises.deploy_tile_trial import outcome
from breakthrough.exercises.deploy_tile_wrong import MISCONCEPTIONS
from breakthrough.exercises.exercise import Case, Exercise


def tiled(a: Slow, b: Slow, c: Slow, tile: int) -> None:
    """Multiply two matrices tile by tile, c = a @ b, with little traffic to slow memory.

    Why:    a number that was loaded in a tile is used `tile` times before it is dropped, so that there is that
            much less to load; and no matrix is made up of whole tiles alone
    Shapes: a (m, k), b (k, n), c (m, n), in slow memory: .shape is free, a[i:i2, j:j2] loads a block as a numpy
            array, c[i:i2, j:j2] = block stores one of the same shape. m, n, k are 1 or more, and need not be
            multiples of tile. A slice must end within the matrix
    Units:  fast memory holds one tile of each, tile × tile numbers; at the edges tiles are smaller. For every tile
            of c the tiles of a and b that it needs are loaded once, which makes m · k · ⌈n / tile⌉ numbers of a and
            k · n · ⌈m / tile⌉ of b. A tile of c is summed up in fast memory and stored once, when it is complete;
            nothing is loaded from c, which holds NaN at first. The numbers are float32
    """
    (m, k), n = a.shape, b.shape[1]
    for i in range(0, m, tile):
        rows = slice(i, min(i + tile, m))
        for j in range(0, n, tile):
            columns = slice(j, min(j + tile, n))
            total = np.zeros((rows.stop - i, columns.stop - j), dtype=np.float32)
            for d in range(0, k, tile):
                depth = slice(d, min(d + tile, k))
                total += a[rows, depth] @ b[depth, columns]
            c[rows, columns] = total


def _cut(size, tile):
    return [slice(start, stop) for start, stop in zip(range(0, size, tile), [*range(tile, size, tile), size])]


def _columns_first(a, b, c, tile):
    for columns in _cut(c.shape[1], tile):
        for rows in _cut(c.shape[0], tile):
            parts = (a[rows, depth].astype(np.float64) @ b[depth, columns] for depth in _cut(b.shape[0], tile))
            c[rows, columns] = sum(parts)


def _written_out(a, b, c, tile):
    """Every multiplication in Python, from tiles that were loaded; counted in tiles, from the last to the first."""
    (m, k), n = a.shape, b.shape[1]
    for block in reversed(range(-(-m // tile) * -(-n // tile))):
        i, j = (tile * t for t in divmod(block, -(-n // tile)))
        height, width = min(tile, m - i), min(tile, n - j)
        total = [[0.0] * width for _ in range(height)]
        for d in range(-(-k // tile)):
            stop = min(tile * d + tile, k)
            left, right = a[i : i + height, tile * d : stop], b[tile * d : stop, j : j + width]
            for y in range(height):
                for x in range(width):
                    total[y][x] += sum(float(left[y, z]) * float(right[z, x]) for z in range(left.shape[1]))
        c[i : i + height, j : j + width] = np.array(total)


def _by_einsum(a, b, c, tile):
    starts = [range(0, size, tile) for size in (a.shape[0], b.shape[1], a.shape[1])]
    for top, left in product(starts[0], starts[1]):
        bottom, right = min(top + tile, a.shape[0]), min(left + tile, b.shape[1])

        def share(at, top=top, left=left, bottom=bottom, right=right):
            end = min(at + tile, a.shape[1])
            return np.einsum("mk,kn->mn", a[top:bottom, at:end], b[at:end, left:right])

        c[top:bottom, left:right] = reduce(np.add, map(share, starts[2]))


def _cases(generator: Generator) -> Iterator[Case]:
    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    def case(label: str, m: int, k: int, n: int, tile: int) -> Case:
        a, b = (torch.randint(-4, 5, shape, generator=generator).float() for shape in ((m, k), (k, n)))
        return Case(f"{label}: ({m}, {k}) @ ({k}, {n}), tile {tile}", (a.numpy(), b.numpy(), tile))

    yield case("whole tiles", 8, 8, 8, 4)
    yield case("whole tiles, not square", 8, 16, 12, 4)
    yield case("ragged rows", 4 * draw(2, 4) + draw(1, 4), 8, 12, 4)
    yield case("ragged columns", 8, 12, 4 * draw(2, 4) + draw(1, 4), 4)
    yield case("ragged depth", 8, 4 * draw(2, 4) + draw(1, 4), 12, 4)
    yield case("ragged everywhere", 5 * draw(2, 4) + draw(1, 5), 5 * draw(2, 4) + draw(1, 5), 5 * draw(2, 4) + draw(1, 5), 5)
    yield case("a tile larger than all", 3, 5, 2, 8)
    yield case("one row", 1, 13, 7, 4)
    yield case("tiles of one number", 3, 4, 2, 1)


EXERCISES = (
    Exercise(
        name="deploy.tile",
        title="A tiled loop nest, right at ragged edges",
        points=7,
        minutes=40,
        difficulty=2,
        reference=tiled,
        cases=_cases,
        call=outcome,
        expected=Outcome(),
        compare=by_fault,
        alternatives=(_columns_first, _written_out, _by_einsum),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Three loops as ever, but each goes from tile to tile. Inside stands a small matrix product of two blocks, added to a block of c that stays in fast memory until its sum is complete. At the edges a block ends where the matrix does.",
            "for a tile of c: rows i : min(i + tile, m), columns j : min(j + tile, n), total (rows, columns) of zeros; for each depth d : min(d + tile, k): a[rows, depth] (rows, depth) @ b[depth, columns] (depth, columns) → (rows, columns), added to total",
            "for i from 0 to m in steps of tile, and for j from 0 to n in steps of tile:\n    rows, columns = slices that end at the matrix's edge\n    total = zeros as large as this tile\n    for d from 0 to k in steps of tile:\n        total += tile of a times tile of b\n    store total into c",
        ),
    ),
)
