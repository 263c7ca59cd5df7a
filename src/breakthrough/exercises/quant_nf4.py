"""Module 4: NF4's sixteen levels, from the quantiles of the normal distribution, and the nearest of them.

Shapes: N numbers, B = ⌈N / block⌉ blocks
"""

from __future__ import annotations

import math
from bisect import bisect
from statistics import NormalDist

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.quant_inputs import BACK, CODES, LEVELS, SCALES, coded, looked
from breakthrough.exercises.quant_nf4_wrong import MISCONCEPTIONS, OFFSET


def nf4(x: Tensor, block: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Store a tensor as the nearest of sixteen levels that stand as normally distributed weights do; and go back.

    Why:    trained weights crowd around zero, where evenly spaced levels are too few, and hardly any reach the
            ends, where they are too many. With levels at the normal distribution's quantiles all are used
    Shapes: x (...), N numbers → levels (16,), ascending; codes as x, uint8; scales (B,); back as x, float32
    Units:  with q(p) the quantile of the standard normal distribution: above 0 stand eight levels, q(p) for p in
            nine even steps from 0.5 to 0.9677083, without 0.5 itself; below 0 stand seven, −q(p) for p in eight
            such steps; and there is 0. All are divided by the largest, so that they run from −1 to 1.
            Blocks are `block` consecutive numbers of x.flatten(), the last may be shorter. A block's scale is its
            largest |x|, or for a block of zeros any finite number above 0. A number's code is the place,
            0 … 15, of the level that is nearest to x / scale; back is the level times the scale.
            Levels and back are right to 10⁻⁵. x is float32, all finite
    Source: Dettmers, Pagnoni, Holtzman, Zettlemoyer 2023, arXiv:2305.14314
    """
    above = torch.special.ndtri(torch.linspace(0.5, OFFSET, 9)[1:])
    below = -torch.special.ndtri(torch.linspace(0.5, OFFSET, 8)[1:])
    levels = torch.cat([below, torch.zeros(1), above]).sort().values
    levels = (levels / levels.max()).to(x.device)  # (16,)

    flat = x.flatten()
    rows = F.pad(flat, (0, -len(flat) % block)).reshape(-1, block)  # (B, block)
    scales = rows.abs().amax(dim=1, keepdim=True)
    scales = torch.where(scales > 0, scales, torch.ones_like(scales))  # (B, 1)
    codes = torch.bucketize(rows / scales, (levels[1:] + levels[:-1]) / 2)  # how many midpoints lie below
    back = (levels[codes] * scales).flatten()[: len(flat)].reshape(x.shape)
    return levels, codes.to(torch.uint8).flatten()[: len(flat)].reshape(x.shape), scales.flatten(), back


def _by_distance(x, block):
    normal = NormalDist()
    share = OFFSET - 0.5
    above = [normal.inv_cdf(0.5 + share * i / 8) for i in range(1, 9)]
    below = [normal.inv_cdf(0.5 - share * i / 7) for i in range(1, 8)]
    levels = torch.tensor(sorted([*below, 0.0, *above]), device=x.device) / above[-1]
    codes: list[Tensor] = []
    scales: list[Tensor] = []
    back: list[Tensor] = []
    for piece in x.reshape(-1).split(block):
        scale = piece.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
        code = (piece[:, None] / scale - levels).abs().argmin(1)
        codes, scales, back = [*codes, code], [*scales, scale], [*back, levels[code] * scale]
    return levels, torch.cat(codes).byte().reshape(x.shape), torch.stack(scales), torch.cat(back).reshape(x.shape)


def _number_by_number(x, block):
    steps = torch.cat([torch.linspace(1 - OFFSET, 0.5, 8), torch.linspace(0.5, OFFSET, 9)[1:]]).double()
    quantiles = (2 * steps - 1).erfinv()
    levels = (quantiles / quantiles.abs().max()).tolist()
    between = [(a + b) / 2 for a, b in zip(levels, levels[1:])]
    numbers = x.flatten().tolist()
    scales = [max(map(abs, numbers[i : i + block])) or 1.0 for i in range(0, len(numbers), block)]
    codes = [bisect(between, number / scales[i // block]) for i, number in enumerate(numbers)]
    back = [levels[code] * scales[i // block] for i, code in enumerate(codes)]
    made = [torch.tensor(values, device=x.device) for values in (levels, codes, scales, back)]
    return made[0], made[1].to(torch.uint8).reshape(x.shape), made[2], made[3].reshape(x.shape)


def _by_thresholds(x, block):
    """Quantiles by halving, from the error function; a code is how many of the fifteen middles lie below."""

    def quantile(p):
        low, high = 0.0, 8.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if (1 + math.erf(middle / math.sqrt(2))) / 2 < p else (low, middle)
        return low

    up, down = ([quantile(0.5 + (OFFSET - 0.5) * i / n) for i in range(n + 1)] for n in (8, 7))
    levels = x.new_tensor([*(-q for q in reversed(down[1:])), *up]) / up[-1]
    at = torch.arange(x.numel(), device=x.device).div(block, rounding_mode="floor")
    scales = torch.stack([part.abs().max() for part in x.flatten().split(block)])
    scales = scales + (scales == 0)
    unit = x.flatten() / scales[at]
    codes = sum((unit > (a + b) / 2).int() for a, b in zip(levels, levels[1:]))
    return levels, codes.to(torch.uint8).view(x.shape), scales, (levels[codes] * scales[at]).view(x.shape)


def _clear(x: Tensor, block: int) -> Tensor:
    """With numbers moved that lie on a level, or halfway between two: to a quarter of the way."""
    levels, codes, scales, back = nf4(x, block)
    scale = scales.repeat_interleave(block)[: x.numel()]
    scaled = x.flatten() / scale
    marks = torch.cat([levels, (levels[1:] + levels[:-1]) / 2]).sort().values  # (31,)
    distance, nearest = (scaled[:, None] - marks).abs().min(1)
    quarter = (marks[nearest.clamp(max=29)] + marks[nearest.clamp(max=29) + 1]) / 2
    moved = torch.where((distance < 2e-3) & (scaled.abs() < 0.99) & (scaled != 0), quarter * scale, x.flatten())
    return moved.reshape(x.shape)


def _cases(generator: Generator):
    parts = (LEVELS, CODES, SCALES, BACK)
    look = looked(*parts)

    def draw(*shape, block=64):
        x = torch.randn(*shape, generator=generator)
        size = 10 ** (2 * torch.rand(-(-x.numel() // block), generator=generator) - 3)
        x = x * size.repeat_interleave(block)[: x.numel()].reshape(shape)
        x.view(-1)[-1] = -1.1 * x.abs().max()  # what is left over has the largest of all, below zero
        return _clear(x, block)

    yield Case("6 numbers in fours, by hand: the scales are 2 and 5", (torch.tensor([1.0, -2.0, 0.1, 0.7, 5.0, -2.5]), 4), look=look)
    yield Case("(5, 26) in blocks of 64: 64, 64 and 2", (draw(5, 26), 64), look=look)
    yield Case("(4, 32) in blocks of 32, evenly", (draw(4, 32, block=32), 32), look=look)
    yield Case("not contiguous, (9, 11) in blocks of 16", (draw(9, 11, block=16).t().contiguous().t(), 16), look=look)
    yield Case("one number, below zero", (-torch.rand(1, generator=generator) - 0.1, 64), look=look)
    empty = draw(50, block=8)
    empty[16:24] = 0
    yield Case("a block of zeros", (empty.reshape(5, 10), 8), look=looked(*parts, zeros=(2,)))
    yield Case("the codes' dtype", (draw(3, 40, block=32), 32), look=looked(*parts, dtypes=True))


EXERCISES = (
    Exercise(
        name="quant.nf4",
        title="NF4's sixteen levels",
        points=6,
        minutes=40,
        difficulty=2,
        reference=nf4,
        cases=_cases,
        compare=coded(atol=1e-5),
        alternatives=(_by_distance, _number_by_number, _by_thresholds),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Pour a thousand normal numbers into sixteen bins that hold equally many: the bins are narrow in the middle and wide outside. Quantiles say where. A grid that is even on both sides has no level at 0, so one side gets seven levels, the other eight, and 0 stands between them.",
            "torch.linspace(0.5, 0.9677083, 9)[1:] (8,) → torch.special.ndtri (8,); the same with 8 → (7,), negative; with 0: levels (16,), sorted, over their maximum; x → rows of block (B, block), padded by zeros; scales (B, 1); x / scale against the 15 midpoints between levels → codes (B, block); levels[codes] · scales → back",
            "above = quantiles of 9 even steps from 0.5 to 0.9677083, without the first\nbelow = minus the quantiles of 8 such steps, without the first\nlevels = below, 0 and above, sorted, divided by the largest\nfor each block: scale = its largest |x|, or 1 when that is 0\n    code = for each x / scale, where |x / scale − level| is least\n    back = levels[code] · scale\nreturn levels, codes as uint8, scales, back; codes and back in the shape of x",
        ),
    ),
)
