"""The schedule of integer products: a block of sums held in registers over the whole reduction, by one instruction."""

from __future__ import annotations

from itertools import product
from typing import Any

from breakthrough.deploy.instructions import Instruction, register
from breakthrough.deploy.integer_kernels import PAD, ROWS, SUM

SPARE = 6  # registers for weights and activations on their way
MOST = 24  # candidates
BYTES = 64  # of zeros stored at once


def fits(sch: Any) -> bool:
    """Whether a loop nest has an integer product in it."""
    from tvm.s_tir import ScheduleError

    try:
        sch.get_sblock(SUM)
    except ScheduleError:
        return False
    return True


def params(sch: Any, instruction: Instruction) -> list[dict[str, int]]:
    """Blocks of rows × pixels × vectors of outputs, those first that load least for a product."""
    spatial = _spatial(sch, sch.get_sblock(SUM))
    outputs = spatial[-1] // instruction.lanes
    height, width = (spatial[-3] if len(spatial) == 4 else 1), spatial[-2]
    found = []
    for rows, pixels, vecs in product(_divisors(height, 4), _divisors(width, 24), _divisors(outputs, 6)):
        held = rows * pixels * vecs
        if held <= instruction.registers - SPARE:
            cost = max(1.0, 8 / held, (rows * pixels + vecs) / held / 0.75)
            found.append((cost, held, {"rows": rows, "pixels": pixels, "vecs": vecs}))
    return [one for *_, one in sorted(found, key=lambda f: f[:2])][:MOST]


def schedule(sch: Any, instruction: Instruction, rows: int, pixels: int, vecs: int) -> None:
    """Tile, hold the sums in registers, replace the inner loops by the instruction, rescale on the way out."""
    sums, blocks = sch.get_sblock(SUM), _blocks(sch)
    names = [str(sch.get(block).name_hint) for block in blocks]
    if ROWS in names:
        sch.compute_inline(sch.get_sblock(ROWS))
    after = blocks[names.index(SUM) + 1 :]
    whole = _spatial(sch, after[-1])[-1] % instruction.lanes == 0
    for block in after[:-1] if whole else after[1:-1]:
        sch.compute_inline(block)
    last = after[-1] if whole else after[0]  # outputs that fill no vector are cut off in a loop of their own
    *outer, o = sch.get_loops(last)
    o0, o1, o2 = sch.split(o, [None, vecs, instruction.lanes])
    tiled = outer[-2:] if len(outer) == 3 and _rank(sch) == 4 else outer[-1:]
    halves = [sch.split(loop, [None, size]) for loop, size in zip(tiled, (rows, pixels)[-len(tiled) :])]
    outside = [*outer[: len(outer) - len(tiled)], *(a for a, _ in halves)]
    sch.reorder(*outside, o0, *(b for _, b in halves), o1, o2)
    sch.vectorize(o2)
    for loop in (*(b for _, b in halves), o1):
        sch.unroll(loop)
    sch.set_scope(sums, 0, "local")
    sch.compute_at(sums, o0, preserve_unit_loops=True)
    _products(sch, sums, instruction)
    _pad(sch, names)


def _products(sch: Any, sums: Any, instruction: Instruction) -> None:
    """The reduction outside, the block of sums inside and unrolled, its innermost loops the instruction's."""
    rank = _rank(sch)
    loops = sch.get_loops(sums)
    count = 8 if rank == 4 else rank + 2  # spatial ones of the block, then the reduction
    *spatial, o = loops[-count:][:rank]
    *reduction, k = loops[-count:][rank:]
    o1, o2 = sch.split(o, [None, instruction.lanes])
    sch.reorder(*reduction, *spatial, o1, o2, k)
    for loop in (*spatial, o1):
        sch.unroll(loop)
    init = sch.decompose_reduction(sums, reduction[0])
    zeros = sch.get_loops(init)
    sch.vectorize(zeros[-1])
    for loop in zeros[-rank - 1 : -1]:
        sch.unroll(loop)
    sch.tensorize(o2, register(instruction))


def _pad(sch: Any, names: list[str]) -> None:
    """The zero everywhere, then the numbers over it: both without a question for each of them."""
    if PAD in names:
        pad = sch.get_sblock(PAD)
        loops = sch.get_loops(pad)
        zeros = sch.decompose_padding(pad, loops[0])
        sch.vectorize(sch.split(sch.fuse(*sch.get_loops(zeros)), [None, BYTES])[1])
        sch.vectorize(sch.get_loops(pad)[-1])


def _rank(sch: Any) -> int:
    return len(_spatial(sch, sch.get_sblock(SUM)))


def _spatial(sch: Any, block: Any) -> list[int]:
    axes = [axis for axis in sch.get(block).iter_vars if int(axis.iter_type) == 0]
    return [int(axis.dom.extent) if hasattr(axis.dom.extent, "value") else 1 for axis in axes]


def _blocks(sch: Any) -> list[Any]:
    return list(sch.get_child_blocks(sch.get_sblock("root")))


def _divisors(number: int, most: int) -> list[int]:
    return [d for d in range(1, min(number, most) + 1) if number % d == 0]
