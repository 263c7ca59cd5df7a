"""Module 5: schedules that TVM refuses, or that gain nothing, for deploy.schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from breakthrough.exercises.exercise import Misconception


def _tiled(
    rows: int = 4, columns: int = 64, order: str = "itjtk", inner: tuple[str, str] = ("i", "j"), vector: str = "j", unroll: str = "i",
    start: str = "k", split: Callable[..., Any] = lambda sch, loop, size: sch.split(loop, [None, size]),
) -> Callable[[Any], None]:  # fmt: skip
    """A schedule with tiles that differs in what is given; "" leaves a step out."""

    def answer(sch):
        block = sch.get_sblock("C")
        i, j, k = sch.get_loops(block)
        (it, ii), (jt, jj) = split(sch, i, rows), split(sch, j, columns)
        loops = {"i": ii, "j": jj, "k": k, "it": it}
        if order == "itjtk":
            sch.reorder(it, jt, k, *(loops[name] for name in inner))
        elif order == "rows outside":
            sch.reorder(it, jt, ii, k, jj)
        elif order == "k last":
            sch.reorder(it, jt, ii, jj, k)
        if unroll:
            sch.unroll(loops[unroll])
        if vector:
            sch.vectorize(loops[vector])
        if start:
            sch.decompose_reduction(block, loops[start])

    return answer


def _nothing(sch):
    pass


def _looked_only(sch):
    sch.get_loops(sch.get_sblock("C"))


def _on_a_copy(sch):
    _tiled()(sch.copy())


def _get_block(sch):
    i, j, k = sch.get_loops(sch.get_block("C"))
    sch.vectorize(j)


def _other_block(sch):
    sch.get_loops(sch.get_sblock("matmul"))


def _parallel_sum(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    sch.parallel(k)


def _sum_in_vectors(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    sch.vectorize(sch.split(k, [None, 8])[1])


def _vectors_last(sch):
    block = sch.get_sblock("C")
    i, j, k = sch.get_loops(block)
    (it, ii), (jt, jj) = sch.split(i, [None, 4]), sch.split(j, [None, 64])
    sch.reorder(it, jt, k, ii, jj)
    sch.decompose_reduction(block, k)
    sch.vectorize(jj)


def _order_last(sch):
    block = sch.get_sblock("C")
    i, j, k = sch.get_loops(block)
    (it, ii), (jt, jj) = sch.split(i, [None, 4]), sch.split(j, [None, 64])
    sch.decompose_reduction(block, k)
    sch.reorder(it, jt, k, ii, jj)


def _threads_last(sch):
    _tiled()(sch)
    sch.parallel(sch.get_loops(sch.get_sblock("C_update"))[0])


def _used_again(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    sch.split(j, [None, 64])
    sch.reorder(i, k, j)


def _counted(sch, loop, size):
    return sch.split(loop, [4, size])


def _counted_far(sch, loop, size):
    """As many tiles as the timed size needs, or some more."""
    return sch.split(loop, [64 if size == 4 else 8, size])


def _unwatched(sch, loop, size):
    return sch.split(loop, [None, size], disable_predication=True)


def _reordered(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    sch.reorder(i, k, j)


def _reordered_with_vectors(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    sch.reorder(i, k, j)
    sch.vectorize(j)


def _columns_only(sch):
    block = sch.get_sblock("C")
    i, j, k = sch.get_loops(block)
    jt, jj = sch.split(j, [None, 16])
    sch.reorder(i, jt, k, jj)
    sch.vectorize(jj)
    sch.decompose_reduction(block, k)


def _threads_only(sch):
    sch.parallel(sch.get_loops(sch.get_sblock("C"))[0])


def _unrolled_sum(sch):
    sch.unroll(sch.split(sch.get_loops(sch.get_sblock("C"))[2], [None, 8])[1])


def _split_only(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    sch.split(i, [None, 8])
    sch.split(j, [None, 8])


def _all_unrolled(sch):
    for loop in sch.get_loops(sch.get_sblock("C")):
        sch.unroll(loop)


def _all_in_one_vector(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    sch.reorder(k, i, j)
    sch.vectorize(sch.fuse(i, j))


def _turned(sch):
    sch.transform_layout("C", ("write", 0), lambda i, j: (j, i))


def _bound(sch):
    sch.bind(sch.get_loops(sch.get_sblock("C"))[0], "threadIdx.x")


def _of(*ways: Any) -> dict[str, Any]:
    return {"answer": ways[0], "variants": ways[1:]}


MISCONCEPTIONS = (
    Misconception(
        "nothing scheduled",
        says="The loops are as they were: take steps on `sch` itself, the schedule that is given; a copy of it is not looked at.",
        **_of(_nothing, _looked_only, _on_a_copy),
    ),
    Misconception(
        "an older name",
        says="`get_block` is the name of older versions: in this TVM a block of TensorIR is fetched with sch.get_sblock(\"C\").",
        **_of(_get_block),
    ),
    Misconception(
        "no such block",
        says="There is no block of that name: the block is called \"C\", as its output is; `print(sch.mod.script())` shows it.",
        **_of(_other_block),
    ),
    Misconception(
        "sum in vectors",
        says="A loop that is summed over was vectorized, or made parallel: its turns all add to the same number and cannot run side by side; take a loop over columns, or over rows.",
        **_of(_sum_in_vectors, _parallel_sum, _tiled(vector="k", inner=("i", "j"))),
    ),
    Misconception(
        "started too early",
        says="decompose_reduction came too early: after it there are two nests, whose loops cannot be reordered together, vectorized or made parallel; let it be the last step.",
        **_of(_vectors_last, _threads_last, _order_last),
    ),
    Misconception(
        "started too deep",
        says="The sum's start has to stand before all of its loops: give decompose_reduction the outermost loop over k, or one further out.",
        **_of(_tiled(start="i"), _tiled(start="j")),
    ),
    Misconception(
        "a loop that is gone",
        says="A loop was used that is there no more: split and fuse replace a loop by new ones, so go on with those that they return.",
        **_of(_used_again),
    ),
    Misconception(
        "counts for sizes",
        says="A split's factors do not cover the loop: they fit one size of the matrix only; with None for the outer one, TVM finds how many tiles there are.",
        **_of(_tiled(split=_counted, rows=8), _tiled(split=_counted_far)),
    ),
    Misconception(
        "a number for factors",
        says="split takes a list of factors, the outer one first: [None, 4] makes tiles of 4, and TVM finds how many there are.",
        **_of(_tiled(split=lambda sch, loop, size: sch.split(loop, size))),
    ),
    Misconception(
        "edges not watched",
        says="disable_predication leaves out the test for the edge, and where tiles do not divide the matrix, memory beyond it is written: leave that test in.",
        **_of(_tiled(split=_unwatched)),
    ),
    Misconception(
        "another function",
        says="The function takes or gives something else now: the layout of its arrays belongs to whoever calls it; cut and reorder loops only.",
        **_of(_turned),
    ),
    Misconception(
        "bound to a GPU",
        says="sch.bind gives a loop to the threads of a GPU: on a CPU the rows or tiles are spread with sch.parallel, and what is timed here is one thread.",
        **_of(_bound),
    ),
    Misconception(
        "too many copies",
        says="Unrolled loops and long vectors are written out by the compiler, copy by copy, and the copies multiply: unroll a few rows, and keep vectors to some dozens of numbers. Did a split get [4, None]? That makes 4 tiles; [None, 4] makes tiles of 4.",
        **_of(_all_unrolled, _all_in_one_vector),
    ),
    Misconception(
        "vectors down the rows",
        says="Rows were vectorized: numbers of one column lie a whole row apart in memory, so each is fetched for itself; vectorize columns, which lie side by side.",
        **_of(_tiled(rows=16, columns=4, inner=("j", "i"), vector="i", unroll="j")),
    ),
    Misconception(
        "sum innermost",
        says="The sum is still the innermost loop, one long chain of additions that wait for each other: reorder, so that the tile's rows and columns stand within the loop over k.",
        **_of(_threads_only, _split_only, _unrolled_sum, _tiled(order="", vector="", unroll="", start=""), _tiled(order="k last", vector="", unroll="", start="")),
    ),
    Misconception(
        "no vectors",
        says="No columns are vectorized: whether the compiler does it by itself is luck; tell it, with sch.vectorize of the innermost loop over columns.",
        **_of(_tiled(vector=""), _reordered, _tiled(vector="", unroll="", start="")),
    ),
    Misconception(
        "no tile of rows and columns",
        says="Within the loop over k there are not both rows and columns of a tile, so a run of B that is loaded serves one row only: split both i and j, and reorder to i_tile, j_tile, k, i_in, j_in. Speed alone is not what is asked.",
        **_of(_columns_only, _reordered_with_vectors, _tiled(rows=1), _tiled(order="rows outside")),
    ),
    Misconception(
        "start inside",
        says="Every step of the sum still asks whether it is the first one: take the start out of the loop, with decompose_reduction at k, as the last step.",
        **_of(_tiled(start="")),
    ),
    Misconception(
        "no faster",
        says="There are tiles and vectors, but they are so small that nothing is gained: a vector is 4 to 16 numbers, and a tile some vectors wide and a few rows high.",
        **_of(_tiled(rows=2, columns=2)),
    ),
)
