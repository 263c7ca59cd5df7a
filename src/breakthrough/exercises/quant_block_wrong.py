"""Module 4: wrong ways to cut a tensor into blocks, for quant.block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from breakthrough.exercises.exercise import Misconception
from breakthrough.exercises.quant_block_tails import (
    FOLDS,
    fill,
    fill_always,
    folded,
    of_all,
    of_the_block_before,
    one,
    padded,
    tail_taken,
)

# ways to cut: x, block → the indices into x.flatten() of each block


def _line(x: Tensor) -> Tensor:
    return torch.arange(x.numel())


def _right(x, block):
    return _line(x).split(block)


def _rows_anew(x, block):
    rows = _line(x).reshape(-1, x.shape[-1])
    return [piece for row in rows for piece in row.split(block)]


def _a_row_each(x, block):
    return list(_line(x).reshape(-1, x.shape[-1]))


def _whole(x, block):
    return [_line(x)]


def _even_chunks(x, block):
    return _line(x).chunk(-(-x.numel() // block))


def _even_sections(x, block):
    return _line(x).tensor_split(-(-x.numel() // block))


def _this_many(x, block):
    return _line(x).chunk(block)


def _this_many_sections(x, block):
    return [piece for piece in _line(x).tensor_split(block) if len(piece)]


def _every_nth(x, block):
    blocks = -(-x.numel() // block)
    return [_line(x)[i::blocks] for i in range(blocks)]


def _down_the_columns(x, block):
    order = _line(x).reshape(x.shape)
    return order.permute(*reversed(range(x.ndim))).flatten().split(block)


def _tail_to_the_last(x, block):
    pieces = list(_line(x).split(block))
    if len(pieces) > 1 and len(pieces[-1]) < block:
        pieces[-2:] = [torch.cat(pieces[-2:])]
    return pieces


# wrong answers


def _largest(piece):
    return piece.abs().max()




def _wrong(
    cut: Callable = _right, largest: Callable = _largest, steps: int = 127, rounded: Callable = torch.round,
    low: int | None = None, scale: Callable = lambda step: step, guard: bool = True,
    late: bool = False,
) -> Any:  # fmt: skip
    """A wrong answer: the right one but for what is given. `late` takes back from codes that are not int8 yet."""

    def answer(x, block):
        flat = x.flatten()
        codes, back, scales = torch.zeros_like(flat), torch.zeros_like(flat), []
        for places in cut(x, block):
            step = largest(flat[places]) / steps
            step = torch.where(step == 0, torch.ones_like(step), step) if guard else step
            levels = rounded(flat[places] / step)
            stored = levels.to(torch.int8).float() if low is None else levels.clamp(low, 127)
            codes[places], back[places] = stored, (levels if late else stored) * step
            scales.append(scale(step))
        return codes.reshape(x.shape).to(torch.int8), torch.stack(scales), back.reshape(x.shape)

    return answer


ENDS = ((None, False), (None, True), (-127, False), (-128, False))  # how a code beyond 127 is met


def _ways(*parts: dict[str, Any]) -> dict[str, Any]:
    ways = [_wrong(**part) for part in parts]
    return {"answer": ways[0], "variants": tuple(ways[1:])}


def _scales_repeated(x, block):
    codes, scales, back = _wrong()(x, block)
    return codes, scales.repeat_interleave(block)[: x.numel()].reshape(x.shape), back


def _scales_kept(x, block):
    codes, scales, back = _wrong()(x, block)
    return codes, scales[:, None], back


def _still_floats(x, block):
    codes, scales, back = _wrong()(x, block)
    return codes.float(), scales, back


RIGHT = _wrong()

MISCONCEPTIONS = (
    Misconception(
        "no room for the tail",
        says="The numbers were folded into rows of `block`, which fails when there is a remainder: fill the line up with zeros first, or treat the last, shorter block apart.",
        answer=folded(FOLDS[0]),
        variants=tuple(map(folded, FOLDS[1:])),
    ),
    Misconception(
        "not in one line",
        says="view() cannot lay out a transposed tensor in one line, as its numbers do not stand in that order in memory: flatten() or reshape(-1) copies where that is needed.",
        answer=padded(fill, line=lambda x: x.view(-1)),
        variants=(padded(fill, line=lambda x: x.view(-1), empty=0.0),),
    ),
    Misconception(
        "the tail lost",
        says="There is no block for what is left over at the end: N // block counts the full blocks only, and the last numbers come back as 0; it is ⌈N / block⌉.",
        answer=tail_taken(RIGHT, one, False, False),
        variants=(tail_taken(RIGHT, one, True, False),),
    ),
    Misconception(
        "the tail with another's scale",
        says="The numbers left over have no scale from their own largest: the last block is shorter, but a block like any other.",
        answer=tail_taken(RIGHT, of_the_block_before, False, True),
        variants=(
            tail_taken(RIGHT, of_the_block_before, True, True),
            tail_taken(RIGHT, of_all, True, True),
            tail_taken(RIGHT, one, True, True),
            tail_taken(RIGHT, one, False, True),
            _wrong(_tail_to_the_last),
        ),
    ),
    Misconception(
        "a block too many",
        says="When block divides N there is nothing to fill up, but `block - N % block` adds a whole block of zeros: −N % block gives 0 there.",
        answer=padded(fill_always),
        variants=(padded(fill_always, empty=0.0), padded(fill_always, empty=1 / 127), padded(fill_always, empty=1e-8)),
    ),
    Misconception(
        "padding left in",
        says="The zeros that filled up the last block are still there: take the first N numbers and give them the shape of x again.",
        answer=padded(fill, keep=True),
        variants=(padded(fill_always, keep=True),),
    ),
    Misconception(
        "in one line",
        says="The values are right but in one line: give codes and back the shape of x again.",
        answer=padded(fill, flat=True),
    ),
    Misconception(
        "anew in every row",
        says="The blocks begin anew in every row: they are cut from x.flatten(), on across the ends of rows, so that only the very last is shorter.",
        **_ways({"cut": _rows_anew}, {"cut": _a_row_each}),
    ),
    Misconception(
        "down the columns",
        says="The blocks run down the columns: flatten() lays out row after row, the last dimension first.",
        **_ways({"cut": _down_the_columns}),
    ),
    Misconception(
        "pieces of one size",
        says="The numbers were cut into equal pieces, as chunk() or tensor_split() do: every block but the last has exactly `block` numbers, as split(block) has it.",
        **_ways({"cut": _even_chunks}, {"cut": _even_sections}),
    ),
    Misconception(
        "this many blocks",
        says="`block` was taken for the number of blocks: it is the numbers in each.",
        **_ways({"cut": _this_many}, {"cut": _this_many_sections}),
    ),
    Misconception(
        "every so many",
        says="A block here is every so many numbers, as reshape(block, −1) gives columns: a block is consecutive numbers, a row of reshape(−1, block).",
        **_ways({"cut": _every_nth}),
    ),
    Misconception(
        "one scale",
        says="There is one scale for the whole tensor: every block takes its own from its largest number.",
        **_ways({"cut": _whole}),
    ),
    Misconception(
        "the largest with its sign",
        says="This takes the largest number of a block, not the largest in size: one further below zero than that gets a code beyond 127; take abs() first.",
        **_ways(*({"largest": torch.Tensor.max, "low": low, "late": late} for low, late in ENDS)),
    ),
    Misconception(
        "128 steps",
        says="A block's largest was given the code 128, which int8 does not have: it ends at 127, so divide by 127.",
        **_ways(*({"steps": 128, "low": low, "late": late} for low, late in ENDS)),
    ),
    Misconception(
        "cut off",
        says="The numbers were cut off, not rounded, as `.to(torch.int8)` does: the error is up to a whole step then; use torch.round first.",
        **_ways({"rounded": torch.trunc}, {"rounded": torch.floor}),
    ),
    Misconception(
        "the largest for the scale",
        says="The codes are right, but what comes with them is each block's largest, not its step: divide it by 127.",
        **_ways({"scale": lambda step: step * 127}),
    ),
    Misconception(
        "a scale for every number",
        says="The scales come one a number, or in rows: stored is one a block, in one line (B,), or nothing would be saved.",
        answer=_scales_repeated,
        variants=(_scales_kept,),
    ),
    Misconception(
        "zeros divided by zero",
        says="A block of nothing but zeros has the scale 0: 0 / 0 is no number. Give it another scale, such as 1.",
        **_ways({"guard": False}),
    ),
    Misconception(
        "still floats",
        says="The codes are whole numbers but still stored as floats, four bytes each: nothing is saved before they are int8.",
        answer=_still_floats,
    ),
)
