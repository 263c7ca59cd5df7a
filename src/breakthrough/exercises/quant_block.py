"""Module 4: a scale for every block of consecutive numbers, whatever is left over at the end.

Shapes: N numbers, B = ⌈N / block⌉ blocks
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.quant_absmax import absmax
from breakthrough.exercises.quant_block_wrong import MISCONCEPTIONS
from breakthrough.exercises.quant_inputs import BACK, CODES, SCALES, coded, drawn_levels, drawn_steps, looked


def blockwise(x: Tensor, block: int) -> tuple[Tensor, Tensor, Tensor]:
    """Store a tensor as 8-bit whole numbers, with a scale for every `block` of them; and go back.

    Why:    an outlier coarsens the grid of its own block and no other. At 64 numbers to a block a float32
            scale costs half a bit a number
    Shapes: x (...), N numbers → codes as x, int8; scales (B,) with B = ⌈N / block⌉; back as x, float32
    Units:  blocks are consecutive numbers of x.flatten(), across the ends of rows; the last one is shorter when
            block does not divide N. Within a block as for one scale: the largest |x| gets 127 or −127, the
            others the nearest code. Of a block of all zeros the scale is any finite number above 0. back is
            codes · scale. x is float32, N at least 1, all finite
    """
    flat = x.flatten()
    rows = F.pad(flat, (0, -len(flat) % block)).reshape(-1, block)  # (B, block); zeros are no block's largest
    largest = rows.abs().amax(dim=1, keepdim=True)  # (B, 1)
    scales = torch.where(largest > 0, largest / 127, torch.ones_like(largest))
    codes = torch.round(rows / scales)
    back = codes * scales

    def cut(padded: Tensor) -> Tensor:
        return padded.flatten()[: len(flat)].reshape(x.shape)

    return cut(codes).to(torch.int8), scales.flatten(), cut(back)


def _piece_by_piece(x, block):
    pieces = [absmax(piece) for piece in x.reshape(-1).split(block)]
    codes = torch.cat([codes for codes, _ in pieces]).view(x.shape)
    back = torch.cat([codes * scale for codes, scale in pieces]).view(x.shape)
    return codes, torch.stack([scale for _, scale in pieces]), back


def _by_number_of_block(x, block):
    flat = x.reshape(-1)
    home = torch.arange(len(flat), device=x.device) // block  # (N,)
    largest = flat.new_zeros(int(home[-1]) + 1).scatter_reduce(0, home, flat.abs(), "amax")
    scales = largest.masked_fill(largest == 0, 1.0) / 127
    codes = (flat / scales[home]).round()
    return codes.char().reshape(x.shape), scales, (codes * scales[home]).reshape(x.shape)


def _in_numpy(x, block):
    flat = x.cpu().numpy().ravel()
    largest = np.maximum.reduceat(np.abs(flat), np.arange(0, flat.size, block))
    scales = np.where(largest == 0, np.float32(1), largest / np.float32(127))
    each = np.repeat(scales, block)[: flat.size]
    codes = np.rint(flat / each)
    made = codes.astype(np.int8).reshape(x.shape), scales, (codes * each).reshape(x.shape)
    return tuple(torch.from_numpy(part).to(x.device) for part in made)


def _drawn(generator: Generator, size: int, block: int) -> Tensor:
    """Numbers whose blocks have sizes of their own."""
    pieces = []
    for start in range(0, size, block):
        piece = drawn_levels(generator, 1, min(block, size - start)) * drawn_steps(generator, 1)
        pieces.append(piece.flatten())
    return torch.cat(pieces).float()


def _cases(generator: Generator):
    parts = (CODES, SCALES, BACK)
    look = looked(*parts)
    by_hand = torch.tensor([0.5, -63.5, 10.0, 4.0, 6.0, -254.0, 0.75])
    yield Case("7 numbers in threes, by hand: the scales are 0.5, 2 and 0.75 / 127", (by_hand, 3), look=look)
    yield Case("(5, 26) in blocks of 64: 64, 64 and 2", (_drawn(generator, 130, 64).reshape(5, 26), 64), look=look)
    yield Case("(8, 24) in blocks of 64, evenly", (_drawn(generator, 192, 64).reshape(8, 24), 64), look=look)
    transposed = _drawn(generator, 90, 16).reshape(6, 15)
    yield Case("not contiguous, (6, 15) in blocks of 16", (transposed.t().contiguous().t(), 16), look=look)
    yield Case("10 numbers, a block of 64", (_drawn(generator, 10, 64), 64), look=look)
    yield Case("one number", (_drawn(generator, 1, 32), 32), look=look)
    yield Case("(2, 3, 7) in blocks of 4", (_drawn(generator, 42, 4).reshape(2, 3, 7), 4), look=look)
    empty = _drawn(generator, 44, 8)
    empty[8:16], empty[40:] = 0, 0
    yield Case("two blocks of zeros", (empty.reshape(4, 11), 8), look=looked(*parts, zeros=(1, 5)))
    yield Case("the codes' dtype", (_drawn(generator, 50, 16).reshape(5, 10), 16), look=looked(*parts, dtypes=True))


EXERCISES = (
    Exercise(
        name="quant.block",
        title="Blocks, with a ragged tail",
        points=5,
        minutes=30,
        difficulty=2,
        reference=blockwise,
        cases=_cases,
        compare=coded(),
        alternatives=(_piece_by_piece, _by_number_of_block, _in_numpy),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Cut the numbers, laid out in one line, into pieces of `block`; the last piece is what remains. Every piece is an absmax of its own. To do all at once, fill the last piece up with zeros: they change no largest number, and are cut off again.",
            "x (...) → flatten (N,) → padded by −N % block zeros → (B, block); largest (B, 1) → scales (B, 1), 1 where that is 0; codes, back (B, block) → flatten, the first N → the shape of x; scales → (B,)",
            "flat = x in one line\npad it with zeros to a multiple of block, fold to rows of block\nscales = the largest |row| of each row / 127, or 1 where that is 0\ncodes = rows / scales, rounded\nback = codes · scales\nboth: in one line again, the first N, in the shape of x\nreturn codes as int8, scales in one line, back",
        ),
    ),
)
