"""The schedule rules: for each kind of loop nest, the numbers to choose and the schedule that they make.

On one core a loop nest is fast when its inner loops live in registers: a block of outputs (pixels × vectors
of channels) is accumulated over the whole reduction, so that every value loaded is used many times.
"""

from __future__ import annotations

from itertools import product
from math import ceil
from typing import Any

from breakthrough.deploy.blocks import (
    DATA_PARALLEL,
    REDUCTION,
    anchor,
    attempt,
    blocks_of,
    by_columns,
    divisors,
    extents,
    filled,
    gather_ends,
    name_of,
    pad_in_vectors,
    product_of,
    reduces,
    split_extents,
    store_in_vectors,
    vectors,
    work,
)

MOST = 48  # candidates of one task
TINY_WORK = 65536  # steps of a chain of operators that is not worth a schedule


def rule_of(sch: Any) -> str | None:
    """The rule that fits a loop nest."""
    blocks = blocks_of(sch)
    names = {name_of(sch, block) for block in blocks}
    reductions = [block for block in blocks if reduces(sch, block)]
    if "winograd" in names:
        return "winograd"
    if "depthwise" in names and len(reductions) == 1:
        return "depthwise"
    if "normalized" in names and "spread" in names:
        return "channel_norm"
    if len(reductions) == 1 and by_columns(sch, reductions[0]):
        return "contraction"
    if not reductions:
        return "elementwise"
    return "tiny" if work(sch) <= TINY_WORK else None


# contraction: convolutions, matrix products, sums over pixels


def contraction_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """Blocks of rows × pixels × vectors that fit the registers, those with the fewest loads first."""
    block = anchor(sch)
    spatial, reduced = split_extents(sch, block)
    channels, width = spatial[-1], spatial[-2] if len(spatial) > 1 else 1
    height = spatial[-3] if len(spatial) > 3 else 1
    found = []
    for vec, rows, pixels in product(vectors(channels, machine.lanes), divisors(height, 4), divisors(width, 16)):
        each = ceil(vec / machine.lanes)
        for vecs in divisors(channels // vec, 24):
            held = rows * pixels * vecs * each
            if held <= machine.registers - 4 or (rows * pixels == 1 and held <= machine.registers - 2):
                score = _score(rows * pixels, vecs * each, filled(vec, machine.lanes))
                params = {"rows": rows, "pixels": pixels, "vecs": vecs, "vec": vec}
                found.append((score, abs(held - 16), -rows * pixels, {**params, "weights_outer": 1}))
                if product_of(spatial) > held * vec and product_of(reduced) * channels > 4096:
                    found.append((score * 1.01, abs(held - 16), -rows * pixels, {**params, "weights_outer": 0}))
    return [params for *_, params in sorted(found, key=lambda f: f[:3])][:MOST]


def contraction(sch: Any, rows: int, pixels: int, vecs: int, vec: int, weights_outer: int) -> None:
    """Accumulate a block of outputs in registers over the whole reduction."""
    block = anchor(sch)
    store = gather_ends(sch, block, vec)
    loops = sch.get_loops(block)
    kinds = [int(axis.iter_type) for axis in sch.get(block).iter_vars]
    spatial = [loop for loop, kind in zip(loops, kinds) if kind == DATA_PARALLEL]
    reduced = [loop for loop, kind in zip(loops, kinds) if kind == REDUCTION]
    o0, o1, o2 = sch.split(spatial[-1], [None, vecs, vec])
    outer, inner = list(spatial[:-3]) if len(spatial) > 3 else list(spatial[: max(0, len(spatial) - 2)]), []
    tiled = spatial[-3:-1] if len(spatial) > 3 else spatial[-2:-1]
    over = []
    for loop, size in zip(tiled, (rows, pixels) if len(tiled) == 2 else (pixels,)):
        a, b = sch.split(loop, [None, size])
        over.append(a)
        inner.append(b)
    outer += [o0, *over] if weights_outer else [*over, o0]
    sch.reorder(*outer, *reduced, *inner, o1, o2)
    sch.reverse_compute_at(store, outer[-1])
    sch.vectorize(o2)
    for loop in (*inner, o1):
        sch.unroll(loop)
    store_in_vectors(sch, store, vec, len(inner))
    pad_in_vectors(sch, sch.get_loops(block)[0] if len(spatial) > 3 else None, vec)
    init = sch.decompose_reduction(block, reduced[0])
    sch.vectorize(sch.get_loops(init)[-1])


def _score(pixels: int, vecs: int, full: float) -> float:
    """Cycles for each multiply-add of a full vector: loads, the latency of the sum, unused lanes."""
    held = pixels * vecs
    return max(1.0, 8 / held, (pixels + vecs) / held) / full


# depthwise convolutions


def depthwise_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """Blocks of pixels × vectors, the fullest registers first."""
    spatial, _ = split_extents(sch, anchor(sch))
    found = []
    for vec, pixels in product(vectors(spatial[-1], machine.lanes), divisors(spatial[-2], 8)):
        each = ceil(vec / machine.lanes)
        for vecs in divisors(spatial[-1] // vec, 8):
            held = pixels * vecs * each
            if held <= machine.registers // 2:
                score = max(1.0, 8 / held) / (filled(vec, machine.lanes))
                for outer in (1, 0):
                    params = {"pixels": pixels, "vecs": vecs, "vec": vec, "weights_outer": outer}
                    found.append((score, held, params))
    return [params for *_, params in sorted(found, key=lambda f: f[:2])][:MOST]


def depthwise(sch: Any, pixels: int, vecs: int, vec: int, weights_outer: int) -> None:
    """Accumulate a block of outputs in registers over the window."""
    block = anchor(sch)
    store = gather_ends(sch, block, vec)
    n, h, w, c, i, j = sch.get_loops(block)
    c0, c1, c2 = sch.split(c, [None, vecs, vec])
    w0, w1 = sch.split(w, [None, pixels])
    outer = [n, c0, h, w0] if weights_outer else [n, h, w0, c0]
    sch.reorder(*outer, i, j, w1, c1, c2)
    sch.reverse_compute_at(store, outer[-1])
    sch.vectorize(c2)
    for loop in (j, w1, c1):
        sch.unroll(loop)
    store_in_vectors(sch, store, vec, 1)
    pad_in_vectors(sch, n, vec)
    init = sch.decompose_reduction(block, i)
    sch.vectorize(sch.get_loops(init)[-1])


# normalization over pixels


def channel_norm_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """How many channels go through together."""
    channels = extents(sch, sch.get_sblock("normalized"))[-1]
    found = [
        (abs(vecs * vec - 4 * machine.lanes), abs(vec - machine.lanes), {"vecs": vecs, "vec": vec})
        for vec in vectors(channels, machine.lanes)
        for vecs in divisors(channels // vec, 8)
    ]
    return [params for *_, params in sorted(found, key=lambda f: f[:2])][:MOST]


def channel_norm(sch: Any, vecs: int, vec: int) -> None:
    """Three passes over a few channels at a time, while they are in the first cache."""
    blocks = blocks_of(sch)
    for block in blocks[[name_of(sch, b) for b in blocks].index("normalized") : -1]:
        sch.compute_inline(block)
    last = blocks_of(sch)[-1]
    n, h, w, c = sch.get_loops(last)
    c0, c1, c2 = sch.split(c, [None, vecs, vec])
    sch.reorder(n, c0, h, w, c1, c2)
    sch.vectorize(c2)
    sch.unroll(c1)
    for name in ("factor", "spread", "mean", "total"):
        block = sch.get_sblock(name)
        sch.set_scope(block, 0, "local")
        sch.compute_at(block, c0)
        loops = sch.get_loops(block)[2:]
        a, b = sch.split(loops[0], [None, vec])
        sch.reorder(*loops[1:], a, b)
        sch.vectorize(b)
        sch.unroll(a)
    for name in ("spread", "total"):
        block = sch.get_sblock(name)
        init = sch.decompose_reduction(block, sch.get_loops(block)[2])
        sch.vectorize(sch.get_loops(init)[-1])


# elementwise and shuffling


def elementwise_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """The last axis in vectors, with all axes made one or not."""
    sizes = extents(sch, blocks_of(sch)[-1])
    total, last = product_of(sizes), sizes[-1] if sizes else 1
    one = [{"fused": 1, "vec": vec} for vec in vectors(total, 2 * machine.lanes)[:3]]
    own = [{"fused": 0, "vec": vec} for vec in vectors(last, 2 * machine.lanes)[:3]]
    return [*own, *one, {"fused": 0, "vec": 1}] if last >= machine.lanes else [{"fused": 0, "vec": 1}, *one, *own]


def elementwise(sch: Any, fused: int, vec: int) -> None:
    """One loop nest for the whole chain, its last axis in vectors."""
    for block in blocks_of(sch)[:-1]:
        attempt(sch.compute_inline, block)
    loops = sch.get_loops(blocks_of(sch)[-1])
    if loops and vec > 1:
        last = sch.fuse(*loops) if fused else loops[-1]
        sch.vectorize(sch.split(last, [None, vec])[1])


def tiny_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """Nothing to choose but whether to inline."""
    return [{"inline": 1}, {"inline": 0}]


def tiny(sch: Any, inline: int) -> None:
    """A chain of tiny operators: what costs is the call, not the loops."""
    for block in blocks_of(sch)[:-1] if inline else ():
        attempt(sch.compute_inline, block)


# Winograd


def winograd_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """Blocks of tiles × vectors of the products, and the vectors of the transforms."""
    _, _, tiles, outputs, _ = extents(sch, sch.get_sblock("winograd"))
    inputs = extents(sch, sch.get_sblock("input_tiles"))[3]
    found = []
    for vec, pixels in product(vectors(outputs, machine.lanes), divisors(tiles, 16)):
        each = ceil(vec / machine.lanes)
        for vecs in divisors(outputs // vec, 8):
            held = pixels * vecs * each
            if held <= machine.registers - 4:
                score = _score(pixels, vecs * each, filled(vec, machine.lanes))
                for before in vectors(inputs, machine.lanes)[:2]:
                    params = {"pixels": pixels, "vecs": vecs, "vec": vec, "before": before}
                    found.append((score + (before != machine.lanes) / 8, -vecs * vec, params))
    return [params for *_, params in sorted(found, key=lambda f: f[:2])][:MOST]


def winograd(sch: Any, pixels: int, vecs: int, vec: int, before: int) -> None:
    """Transform tiles in registers, multiply in blocks, transform back in registers."""
    blocks = blocks_of(sch)
    after = blocks[[name_of(sch, b) for b in blocks].index("picture") :]
    for block in after[:-1]:
        sch.compute_inline(block)
    last = blocks_of(sch)[-1]
    loops = sch.get_loops(last)
    sch.vectorize(sch.split(loops[-1], [None, vec])[1])
    pad_in_vectors(sch, None, before)
    _transform(sch, "input_tiles", "input_rows", before, tile_first=False)
    product_ = sch.get_sblock("winograd")
    store = sch.cache_write(product_, 0, "local")
    a, b, q, o, c = sch.get_loops(product_)
    q0, q1 = sch.split(q, [None, pixels])
    o0, o1, o2 = sch.split(o, [None, vecs, vec])
    sch.reorder(a, b, o0, q0, c, q1, o1, o2)
    sch.reverse_compute_at(store, q0)
    sch.vectorize(o2)
    for loop in (q1, o1):
        sch.unroll(loop)
    store_in_vectors(sch, store, vec, 1)
    init = sch.decompose_reduction(product_, c)
    sch.vectorize(sch.get_loops(init)[-1])
    _transform(sch, "output_tiles", "output_rows", vec, tile_first=True)


def _transform(sch: Any, second: str, first: str, vec: int, *, tile_first: bool) -> None:
    """One tile's transform for one vector of channels: both products unrolled, the first kept in registers."""
    block, rows = sch.get_sblock(second), sch.get_sblock(first)
    loops = sch.get_loops(block)
    q, a, b, c, k = loops if tile_first else (loops[2], loops[0], loops[1], *loops[3:])
    c0, c1 = sch.split(c, [None, vec])
    sch.reorder(q, c0, a, b, k, c1)
    sch.vectorize(c1)
    sch.set_scope(rows, 0, "local")
    sch.compute_at(rows, c0)
    for loop in (a, b, k):
        sch.unroll(loop)
    a1, b1, c2, k1 = sch.get_loops(rows)[-4:]
    sch.reorder(a1, b1, k1, c2)
    sch.vectorize(c2)
    for loop in (a1, b1, k1):
        sch.unroll(loop)
    for block_, loop in ((rows, k1), (block, k)):
        init = sch.decompose_reduction(block_, loop)
        sch.vectorize(sch.get_loops(init)[-1])
