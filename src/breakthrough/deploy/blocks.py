"""What the schedule rules share: blocks and loops of a nest, joining its ends, padding, the lengths of vectors."""

from __future__ import annotations

from math import ceil, prod
from typing import Any

DATA_PARALLEL, REDUCTION = 0, 2  # TVM's kinds of iteration



def is_plain(sch: Any) -> bool:
    """Whether a loop nest is made of blocks that schedules can move; a hand-written one is not."""
    body = sch.mod["main"].body
    return hasattr(body, "block") and str(body.block.name_hint) == "root"


def is_static(sch: Any) -> bool:
    """Whether all loops have known extents."""
    return all(hasattr(sch.get(loop).extent, "value") for block in blocks_of(sch) for loop in sch.get_loops(block))


def work(sch: Any) -> int:
    """The steps of all loops."""
    return sum(product_of(extents(sch, block)) for block in blocks_of(sch))


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


def gather_ends(sch: Any, block: Any, vec: int) -> Any:
    """Join a block with all that comes before and after it; the block that stores its result.

    What is larger than the block's result (a factor for each channel, multiplied with all pixels) stays a
    loop nest of its own, after it.
    """
    blocks = blocks_of(sch)
    at = [name_of(sch, b) for b in blocks].index(name_of(sch, block))
    for other in blocks[:at]:
        if name_of(sch, other) != "pad":
            attempt(sch.compute_inline, other)
    after, size = blocks[at + 1 :], product_of(split_extents(sch, block)[0])
    same = next((i for i, b in enumerate(after) if product_of(extents(sch, b)) != size), len(after))
    for other in after[: max(0, same - 1)]:
        sch.compute_inline(other)
    store = sch.cache_write(block, 0, "local")
    for other in after[:same][-1:]:
        sch.reverse_compute_inline(other)
    for other in after[same:-1]:
        attempt(sch.compute_inline, other)
    if same < len(after) and extents(sch, after[-1])[-1] % vec == 0:
        sch.vectorize(sch.split(sch.get_loops(after[-1])[-1], [None, vec])[1])
    return store


def store_in_vectors(sch: Any, store: Any, vec: int, tiled: int) -> None:
    """Write a block of results vector by vector, all loops unrolled; those over a batch of any size stay loops."""
    loops = sch.get_loops(store)
    many, one = sch.split(loops[-1], [None, vec])
    sch.vectorize(one)
    for loop in (*loops[-1 - tiled : -1], many):
        unroll(sch, loop)


def unroll(sch: Any, loop: Any) -> None:
    """Unroll a loop whose length is known; one over a batch of any size stays as it is."""
    from tvm import tirx

    if isinstance(sch.get(loop).extent, tirx.IntImm):
        sch.unroll(loop)


def pad_in_vectors(sch: Any, at: Any, vec: int) -> None:
    """Zeros and pictures written apart, both in vectors."""
    found = [block for block in blocks_of(sch) if name_of(sch, block) == "pad"]
    for pad in found:
        if at is not None:
            sch.compute_at(pad, at)
        loops = sch.get_loops(pad)
        rest = loops[-3] if len(loops) >= 3 else loops[0]
        zeros = sch.decompose_padding(pad, rest)
        for block in (zeros, pad):
            line = sch.fuse(*sch.get_loops(block)[-2:])
            sch.vectorize(sch.split(line, [None, vec])[1])


def blocks_of(sch: Any) -> list[Any]:
    """The blocks of a nest, in the order in which they run."""
    return list(sch.get_child_blocks(sch.get_sblock("root")))


def name_of(sch: Any, block: Any) -> str:
    """A block's name."""
    return str(sch.get(block).name_hint)


def reduces(sch: Any, block: Any) -> bool:
    """Whether a block sums, or takes a maximum, over some axis."""
    return any(int(axis.iter_type) == REDUCTION for axis in sch.get(block).iter_vars)


def anchor(sch: Any) -> Any:
    """The first block that reduces: where the time goes."""
    return next(block for block in blocks_of(sch) if reduces(sch, block))


def extents(sch: Any, block: Any) -> list[Any]:
    """The extents of a block's loops; that of an unknown batch counts as one."""
    found = [sch.get(loop).extent for loop in sch.get_loops(block)]
    return [int(extent) if hasattr(extent, "value") else 1 for extent in found]


def split_extents(sch: Any, block: Any) -> tuple[list[int], list[int]]:
    """The extents of a block's own axes, and of those it reduces over."""
    kinds = [int(axis.iter_type) for axis in sch.get(block).iter_vars]
    sizes = extents(sch, block)
    spatial = [size for size, kind in zip(sizes, kinds) if kind == DATA_PARALLEL]
    return spatial, [size for size, kind in zip(sizes, kinds) if kind == REDUCTION]


def product_of(sizes: list[int]) -> int:
    """The product of some extents; 1 of none."""
    return prod(sizes)


def by_columns(sch: Any, block: Any) -> bool:
    """Whether the last axis of the result is the last of an operand too, so that vectors load it at once."""
    stmt = sch.get(block)
    if len(stmt.writes) != 1 or not stmt.iter_vars:
        return False
    spatial = [axis.var for axis in stmt.iter_vars if int(axis.iter_type) == DATA_PARALLEL]
    last = stmt.writes[0].region[-1].min if stmt.writes[0].region else None
    return bool(spatial) and any(
        read.region and read.region[-1].min.same_as(last) for read in stmt.reads if last is not None
    )


def attempt(step: Any, block: Any) -> None:
    """A step that may be refused: some blocks cannot be inlined."""
    from tvm.s_tir import ScheduleError

    try:
        step(block)
    except ScheduleError:
        return
