"""Module 5: a TensorIR schedule by hand.

Shapes: C (m, n) is the sum over k of A (m, k) · B (k, n)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator

from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.deploy_schedule_trial import outcome
from breakthrough.exercises.deploy_schedule_wrong import MISCONCEPTIONS
from breakthrough.exercises.exercise import Case, Exercise

TIMED = (256, 256, 256)


def schedule(sch: Any) -> None:
    """Reorder the loops of a matrix product until it is fast; what it computes stays the same.

    Why:    the plain loops wait: each sum is one long chain of additions, and B is read down its columns. A compiler
            may not change that order by itself; a schedule may, and TVM proves that the answer stays the same
    Shapes: sch is a tvm.s_tir.Schedule of C[i, j] = sum over k of A[i, k] · B[k, j], float32, with the loops i, j, k
            around the block "C". m, n and k may be anything, and need not be multiples of your tiles
    Units:  asked for are four things, and each is looked at. Tiles: rows and columns are both cut (sch.split with
            [None, size], which watches the edges), and the order of the loops is row tiles, column tiles, k, rows
            of the tile, columns of the tile (sch.reorder; k may be cut as well), so that each number loaded serves
            the whole tile. Vectors: columns, which lie side by side in memory, are vectorized (sch.vectorize; rows
            may be unrolled, sch.unroll). The start taken out: the zeros of a sum are written before its loop, not
            asked for in it (sch.decompose_reduction, the last step: after it loops can be neither reordered nor
            vectorized). Speed: at 256³ at least 5 times as fast as the plain loops, on one thread (parallel
            loops run one after the other); being fast without the other three is not enough
    """
    block = sch.get_sblock("C")
    i, j, k = sch.get_loops(block)
    i_tile, i_in = sch.split(i, [None, 4])
    j_tile, j_in = sch.split(j, [None, 64])
    sch.reorder(i_tile, j_tile, k, i_in, j_in)
    sch.unroll(i_in)
    sch.vectorize(j_in)
    sch.decompose_reduction(block, k)


def _summed_aside(sch):
    """The tile is summed up in a buffer of its own, and written to C when it is complete."""
    block = sch.get_sblock("C")
    written = sch.cache_write(block, 0, "local")
    i, j, k = sch.get_loops(block)
    (i0, i1), (j0, j1) = (sch.split(loop, factors=[None, size]) for loop, size in ((i, 4), (j, 32)))
    sch.reorder(i0, j0, k, i1, j1)
    sch.reverse_compute_at(written, j0)
    sch.vectorize(sch.get_loops(written)[-1])
    sch.vectorize(j1)
    sch.unroll(i1)
    sch.decompose_reduction(block, k)


def _on_all_threads(sch):
    """Vectors of 16 within the tile, the depth cut as well, and the tiles spread over threads."""
    c = sch.get_sblock("C")
    y, x, d = sch.get_loops(c)
    y0, y1 = sch.split(y, [None, 8])
    x0, x1, x2 = sch.split(x, [None, 2, 16])
    d0, d1 = sch.split(d, [None, 4])
    sch.reorder(y0, x0, d0, d1, y1, x1, x2)
    sch.vectorize(x2)
    sch.unroll(x1)
    sch.parallel(sch.fuse(y0, x0))
    sch.decompose_reduction(c, d0)


def _depth_cut(sch):
    """Narrow tiles of six rows, the depth cut in eights and unrolled by the compiler."""
    product = sch.get_sblock("C")
    loops = dict(zip("ijk", sch.get_loops(product)))
    parts = {name: sch.split(loops[name], factors=[None, size]) for name, size in (("k", 8), ("j", 32), ("i", 6))}
    order = [parts["i"][0], parts["j"][0], *parts["k"], parts["i"][1], parts["j"][1]]
    sch.reorder(*order)
    sch.vectorize(order[-1])
    sch.unroll(order[-2])
    sch.decompose_reduction(product, order[2])


def _cases(generator: Generator) -> Iterator[Case]:
    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    def case(label: str, m: int, k: int, n: int, timed: bool = False) -> Case:
        return Case(f"{label}: ({m}, {k}) @ ({k}, {n})", ((m, k, n), draw(0, 2**31), timed))

    yield case("whole tiles", 64, 64, 64)
    yield case("ragged", 2 * draw(20, 40) + 1, 2 * draw(20, 40) + 1, 2 * draw(20, 60) + 1)
    yield case("smaller than a tile", draw(2, 4), draw(2, 8), draw(3, 8))
    yield case("one row", 1, draw(30, 60), draw(65, 100))
    yield case("many tiles", draw(290, 320), draw(9, 20), draw(550, 600))
    yield case("timed", *TIMED, timed=True)


EXERCISES = (
    Exercise(
        name="deploy.schedule",
        title="A TensorIR schedule that keeps the answer",
        points=10,
        minutes=60,
        difficulty=3,
        reference=schedule,
        cases=_cases,
        call=outcome,
        expected=Outcome(),
        compare=by_fault,
        alternatives=(_summed_aside, _on_all_threads, _depth_cut),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Think of deploy.tile, with registers for the fast memory. A small tile of C is summed up; for each step of k, a few numbers of A and a run of B are loaded, and every pair of them is used. The run of B is a vector, because its numbers lie side by side. `print(sch.mod.script())` shows the loops after every step.",
            "block \"C\" with loops i (m), j (n), k → split i into i_tile, i_in (4) and j into j_tile, j_in (64): the order is i_tile, j_tile, k, i_in, j_in; i_in is unrolled, j_in a vector; the start of the sum moves before k",
            "block = the block named \"C\"; i, j, k = its loops\nsplit i by [None, a few], split j by [None, some vectors' worth]\nreorder: both outer parts, k, both inner parts\nunroll the rows within, vectorize the columns within\nlast: decompose_reduction of the block at k",
        ),
    ),
)
