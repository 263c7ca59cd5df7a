"""The schedule rules: for each kind of loop nest, the numbers to choose and the schedule that they make.

On one core a loop nest is fast when its inner loops live in registers: a block of outputs (pixels × vectors
of channels) is accumulated over the whole reduction, so that every value loaded is used many times.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import ceil
from typing import Any

MOST = 48  # candidates of one task
CONTRACTIONS = ("conv", "matmul", "T_matmul", "T_batch_matmul", "T_dense")
TINY_WORK = 12288  # steps of a chain of operators that is not worth a schedule
DATA_PARALLEL, REDUCTION = 0, 2  # TVM's kinds of iteration


def is_plain(sch: Any) -> bool:
    """Whether a loop nest is made of blocks that schedules can move; a hand-written one is not."""
    body = sch.mod["main"].body
    return hasattr(body, "block") and str(body.block.name_hint) == "root"


def rule_of(sch: Any) -> str | None:
    """The rule that fits a loop nest."""
    blocks = _blocks(sch)
    names = {_name(sch, block) for block in blocks}
    reductions = [block for block in blocks if _reduces(sch, block)]
    if "winograd" in names:
        return "winograd"
    if "depthwise" in names and len(reductions) == 1:
        return "depthwise"
    if "normalized" in names and "spread" in names:
        return "channel_norm"
    if len(reductions) == 1 and _by_columns(sch, reductions[0]):
        return "contraction"
    if not reductions:
        return "elementwise"
    return "tiny" if work(sch) <= TINY_WORK else None


def is_static(sch: Any) -> bool:
    """Whether all loops have known extents."""
    return all(hasattr(sch.get(loop).extent, "value") for block in _blocks(sch) for loop in sch.get_loops(block))


def work(sch: Any) -> int:
    """The steps of all loops."""
    return sum(_size(_extents(sch, block)) for block in _blocks(sch))


# contraction: convolutions, matrix products, sums over pixels


def contraction_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """Blocks of rows × pixels × vectors that fit the registers, those with the fewest loads first."""
    block = _anchor(sch)
    spatial, reduced = _split_extents(sch, block)
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
                if _size(spatial) > held * vec and _size(reduced) * channels > 4096:
                    found.append((score * 1.01, abs(held - 16), -rows * pixels, {**params, "weights_outer": 0}))
    return [params for *_, params in sorted(found, key=lambda f: f[:3])][:MOST]


def contraction(sch: Any, rows: int, pixels: int, vecs: int, vec: int, weights_outer: int) -> None:
    """Accumulate a block of outputs in registers over the whole reduction."""
    block = _anchor(sch)
    store = _gather_ends(sch, block, vec)
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
    _store_vectors(sch, store, vec, len(inner))
    _pad(sch, sch.get_loops(block)[0] if len(spatial) > 3 else None, vec)
    init = sch.decompose_reduction(block, reduced[0])
    sch.vectorize(sch.get_loops(init)[-1])


def _score(pixels: int, vecs: int, full: float) -> float:
    """Cycles for each multiply-add of a full vector: loads, the latency of the sum, unused lanes."""
    held = pixels * vecs
    return max(1.0, 8 / held, (pixels + vecs) / held) / full


# depthwise convolutions


def depthwise_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """Blocks of pixels × vectors, the fullest registers first."""
    spatial, _ = _split_extents(sch, _anchor(sch))
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
    block = _anchor(sch)
    store = _gather_ends(sch, block, vec)
    n, h, w, c, i, j = sch.get_loops(block)
    c0, c1, c2 = sch.split(c, [None, vecs, vec])
    w0, w1 = sch.split(w, [None, pixels])
    outer = [n, c0, h, w0] if weights_outer else [n, h, w0, c0]
    sch.reorder(*outer, i, j, w1, c1, c2)
    sch.reverse_compute_at(store, outer[-1])
    sch.vectorize(c2)
    for loop in (j, w1, c1):
        sch.unroll(loop)
    _store_vectors(sch, store, vec, 1)
    _pad(sch, n, vec)
    init = sch.decompose_reduction(block, i)
    sch.vectorize(sch.get_loops(init)[-1])


# normalization over pixels


def channel_norm_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """How many channels go through together."""
    channels = _extents(sch, sch.get_sblock("normalized"))[-1]
    found = []
    for vec in vectors(channels, machine.lanes):
        for vecs in divisors(channels // vec, 8):
            found.append((abs(vecs * vec - 4 * machine.lanes), abs(vec - machine.lanes), {"vecs": vecs, "vec": vec}))
    return [params for *_, params in sorted(found, key=lambda f: f[:2])][:MOST]


def channel_norm(sch: Any, vecs: int, vec: int) -> None:
    """Three passes over a few channels at a time, while they are in the first cache."""
    blocks = _blocks(sch)
    for block in blocks[[_name(sch, b) for b in blocks].index("normalized") : -1]:
        sch.compute_inline(block)
    last = _blocks(sch)[-1]
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
    extents = _extents(sch, _blocks(sch)[-1])
    total, last = _size(extents), extents[-1] if extents else 1
    one = [{"fused": 1, "vec": vec} for vec in vectors(total, 2 * machine.lanes)[:3]]
    own = [{"fused": 0, "vec": vec} for vec in vectors(last, 2 * machine.lanes)[:3]]
    return [*own, *one, {"fused": 0, "vec": 1}] if last >= machine.lanes else [{"fused": 0, "vec": 1}, *one, *own]


def elementwise(sch: Any, fused: int, vec: int) -> None:
    """One loop nest for the whole chain, its last axis in vectors."""
    for block in _blocks(sch)[:-1]:
        _try(sch.compute_inline, block)
    loops = sch.get_loops(_blocks(sch)[-1])
    if loops and vec > 1:
        last = sch.fuse(*loops) if fused else loops[-1]
        sch.vectorize(sch.split(last, [None, vec])[1])


def tiny_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """Nothing to choose but whether to inline."""
    return [{"inline": 1}, {"inline": 0}]


def tiny(sch: Any, inline: int) -> None:
    """A chain of tiny operators: what costs is the call, not the loops."""
    for block in _blocks(sch)[:-1] if inline else ():
        _try(sch.compute_inline, block)


# Winograd


def winograd_params(sch: Any, machine: Any) -> list[dict[str, int]]:
    """Blocks of tiles × vectors of the products, and the vectors of the transforms."""
    _, _, tiles, outputs, _ = _extents(sch, sch.get_sblock("winograd"))
    inputs = _extents(sch, sch.get_sblock("input_tiles"))[3]
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
    blocks = _blocks(sch)
    after = blocks[[_name(sch, b) for b in blocks].index("picture") :]
    for block in after[:-1]:
        sch.compute_inline(block)
    last = _blocks(sch)[-1]
    loops = sch.get_loops(last)
    sch.vectorize(sch.split(loops[-1], [None, vec])[1])
    _pad(sch, None, before)
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
    _store_vectors(sch, store, vec, 1)
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


# what the rules share


def divisors(number: int, most: int) -> list[int]:
    """The divisors of a number up to a limit."""
    return [d for d in range(1, min(number, most) + 1) if number % d == 0]


def vectors(extent: int, lanes: int) -> list[int]:
    """The vector lengths for an axis, the fullest first: none may leave a rest."""
    usable = [d for d in divisors(extent, 2 * lanes) if d % 4 == 0]
    if not usable:
        return [extent] if extent <= lanes else [max(divisors(extent, lanes))]

    def waste(vec: int) -> tuple[bool, float, int]:
        return vec % 8 != 0, ceil(vec / lanes) * lanes / vec, abs(vec - lanes)

    return sorted(usable, key=waste)[:3]


def filled(vec: int, lanes: int) -> float:
    """The share of its registers that a vector fills; lengths that are no whole octets cost moves besides."""
    return vec / (ceil(vec / lanes) * lanes) * (1.0 if vec % 8 == 0 else 0.4)


def _gather_ends(sch: Any, block: Any, vec: int) -> Any:
    """Join a block with all that comes before and after it; the block that stores its result.

    What is larger than the block's result (a factor for each channel, multiplied with all pixels) stays a
    loop nest of its own, after it.
    """
    blocks = _blocks(sch)
    at = [_name(sch, b) for b in blocks].index(_name(sch, block))
    for other in blocks[:at]:
        if _name(sch, other) != "pad":
            _try(sch.compute_inline, other)
    after, size = blocks[at + 1 :], _size(_split_extents(sch, block)[0])
    same = next((i for i, b in enumerate(after) if _size(_extents(sch, b)) != size), len(after))
    for other in after[: max(0, same - 1)]:
        sch.compute_inline(other)
    store = sch.cache_write(block, 0, "local")
    for other in after[:same][-1:]:
        sch.reverse_compute_inline(other)
    for other in after[same:-1]:
        _try(sch.compute_inline, other)
    if same < len(after) and _extents(sch, after[-1])[-1] % vec == 0:
        sch.vectorize(sch.split(sch.get_loops(after[-1])[-1], [None, vec])[1])
    return store


def _store_vectors(sch: Any, store: Any, vec: int, tiled: int) -> None:
    loops = sch.get_loops(store)
    many, one = sch.split(loops[-1], [None, vec])
    sch.vectorize(one)
    for loop in (*loops[-1 - tiled : -1], many):
        sch.unroll(loop)


def _pad(sch: Any, at: Any, vec: int) -> None:
    """Zeros and pictures written apart, both in vectors."""
    found = [block for block in _blocks(sch) if _name(sch, block) == "pad"]
    for pad in found:
        if at is not None:
            sch.compute_at(pad, at)
        loops = sch.get_loops(pad)
        rest = loops[-3] if len(loops) >= 3 else loops[0]
        zeros = sch.decompose_padding(pad, rest)
        for block in (zeros, pad):
            line = sch.fuse(*sch.get_loops(block)[-2:])
            sch.vectorize(sch.split(line, [None, vec])[1])


def _blocks(sch: Any) -> list[Any]:
    return list(sch.get_child_blocks(sch.get_sblock("root")))


def _name(sch: Any, block: Any) -> str:
    return str(sch.get(block).name_hint)


def _reduces(sch: Any, block: Any) -> bool:
    return any(int(axis.iter_type) == REDUCTION for axis in sch.get(block).iter_vars)


def _anchor(sch: Any) -> Any:
    return next(block for block in _blocks(sch) if _reduces(sch, block))


def _extents(sch: Any, block: Any) -> list[Any]:
    """The extents of a block's loops; that of an unknown batch counts as one."""
    extents = [sch.get(loop).extent for loop in sch.get_loops(block)]
    return [int(extent) if hasattr(extent, "value") else 1 for extent in extents]


def _split_extents(sch: Any, block: Any) -> tuple[list[int], list[int]]:
    kinds = [int(axis.iter_type) for axis in sch.get(block).iter_vars]
    extents = _extents(sch, block)
    spatial = [extent for extent, kind in zip(extents, kinds) if kind == DATA_PARALLEL]
    return spatial, [extent for extent, kind in zip(extents, kinds) if kind == REDUCTION]


def _size(extents: list[int]) -> int:
    size = 1
    for extent in extents:
        size *= extent
    return size


def _by_columns(sch: Any, block: Any) -> bool:
    """Whether the last axis of the result is the last of an operand too, so that vectors load it at once."""
    stmt = sch.get(block)
    if len(stmt.writes) != 1 or not stmt.iter_vars:
        return False
    spatial = [axis.var for axis in stmt.iter_vars if int(axis.iter_type) == DATA_PARALLEL]
    last = stmt.writes[0].region[-1].min if stmt.writes[0].region else None
    return bool(spatial) and any(
        read.region and read.region[-1].min.same_as(last) for read in stmt.reads if last is not None
    )


def _try(step: Any, block: Any) -> Iterator[None] | None:
    """A step that may be refused: some blocks cannot be inlined."""
    from tvm.s_tir import ScheduleError

    try:
        step(block)
    except ScheduleError:
        return None
    return None
