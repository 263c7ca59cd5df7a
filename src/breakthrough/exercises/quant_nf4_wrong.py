"""Module 4: wrong levels, and wrong ways to find the nearest, for quant.nf4."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from breakthrough.exercises.exercise import Misconception
from breakthrough.exercises.quant_inputs import LEVELS

OFFSET = 0.9677083  # the outermost quantile: the mean of 1 − 1/32 and 1 − 1/30


def _quantile(p: Tensor) -> Tensor:
    return torch.special.ndtri(p.double())


def _sides(above: int, below: int, offset: float = OFFSET, largest: Callable = lambda levels: levels.max()) -> Tensor:
    """So many levels above and below 0, and 0."""
    up = _quantile(torch.linspace(0.5, offset, above + 1)[1:])
    down = -_quantile(torch.linspace(0.5, offset, below + 1)[1:])
    levels = torch.cat([down, torch.zeros(1), up]).sort().values
    return (levels / largest(levels)).float()


def _normed(levels: Tensor) -> Tensor:
    return (levels / levels.abs().max()).float()


RIGHT = _sides(8, 7)
# wrong levels, by the name of the mistake
WRONG_LEVELS = {
    "no level at zero": (
        _normed(_quantile(torch.linspace(1 - OFFSET, OFFSET, 16))),
        _normed(_quantile((torch.arange(16) + 0.5) / 16)),
        _normed(_quantile(torch.arange(1, 17) / 17)),
        _normed(_quantile(torch.linspace(1 / 32, 31 / 32, 16))),
    ),
    "sides exchanged": (_sides(7, 8),),
    "not sixteen": (
        _sides(7, 7),
        _sides(8, 8),
        torch.cat([-_sides(8, 8)[9:].flip(0), _sides(8, 8)[9:]]),
        torch.cat([_sides(8, 7)[:8], _sides(8, 7)[7:]]),
    ),
    "zero twice": (torch.cat([_sides(7, 7)[:8], _sides(7, 7)[7:]]),),
    "even levels": (torch.linspace(-1, 1, 16), torch.cat([torch.linspace(-1, 0, 8), torch.linspace(0, 1, 9)[1:]]), torch.arange(-8, 8) / 8.0, torch.arange(-7, 9) / 8.0),
    "probabilities for quantiles": (
        torch.cat([-torch.linspace(0.5, OFFSET, 8)[1:].flip(0), torch.zeros(1), torch.linspace(0.5, OFFSET, 9)[1:]]) / OFFSET,
    ),
    "not divided by the largest": (_sides(8, 7, largest=lambda levels: 1.0),),
    "another outermost quantile": tuple(_sides(8, 7, offset) for offset in (1 - 1 / 32, 1 - 1 / 30, 0.99, 0.975, 0.95, 0.9375, 0.999)),
    "infinite ends": (
        _sides(8, 7, 1.0),
        torch.tensor([math.nan, *[0.0] * 14, math.nan]),
        torch.tensor([-math.inf, *_quantile(torch.arange(1, 15) / 16).tolist(), math.inf]),
        torch.tensor([-1.0, *[0.0] * 14, 1.0]),
    ),
    "not sorted": (
        torch.cat([RIGHT[8:], RIGHT[:7].flip(0), RIGHT[7:8]]),
        torch.cat([RIGHT[8:].flip(0), torch.zeros(1), RIGHT[:7].flip(0)]),
        torch.cat([RIGHT[7:], RIGHT[:7].flip(0)]),
        torch.cat([RIGHT[:7].flip(0), RIGHT[7:]]),
        RIGHT.flip(0),
    ),
}


def _has(*wrong: Tensor) -> Callable[[Any, Any], bool]:
    """Whether an output's levels are of the wrong ones, whatever else it holds."""

    def seen(want: Any, got: Any) -> bool:
        levels = got.get(LEVELS) if isinstance(got, dict) else None
        if not isinstance(levels, Tensor):
            return False
        return any(levels.shape == one.shape and torch.allclose(levels.cpu(), one, rtol=1e-5, atol=1e-5, equal_nan=True) for one in wrong)

    return seen


def _nearest(levels: Tensor, scaled: Tensor) -> Tensor:
    return (scaled[:, None] - levels).abs().argmin(1)


def _largest(piece: Tensor) -> Tensor:
    return piece.abs().max()


def _wrong(
    levels: Tensor = RIGHT, cut: Callable = lambda flat, block, x: flat.split(block), largest: Callable = _largest,
    code: Callable = _nearest, out: Callable = lambda scale: scale, back: Callable = lambda value, scale: value * scale,
    guard: bool = True,
) -> Any:  # fmt: skip
    """A wrong answer: the right one but for what is given."""

    def answer(x, block):
        codes, scales, values = [], [], []
        table = levels.to(x.device)
        for piece in cut(x.flatten(), block, x):
            scale = largest(piece)
            scale = torch.where(scale == 0, torch.ones_like(scale), scale) if guard else scale
            codes.append(code(table, piece / scale))
            scales.append(out(scale))
            values.append(back(table[codes[-1].long().clamp(0, len(table) - 1)], scale))
        stored = torch.cat(codes).to(torch.uint8).reshape(x.shape)
        return table, stored, torch.stack(scales), torch.cat(values).reshape(x.shape)

    return answer


def _ways(*parts: dict[str, Any]) -> dict[str, Any]:
    ways = [_wrong(**part) for part in parts]
    return {"answer": ways[0], "variants": tuple(ways[1:])}


def _levels(name: str, says: str) -> Misconception:
    """A misconception about the levels: recognised by them, whatever is made of the numbers."""
    ways = WRONG_LEVELS[name]
    guards = (True, False) if name == "infinite ends" else (True,)  # NaN leaves nothing else to go by
    return Misconception(name, says=says, seen=_has(*ways), **_ways(*({"levels": way, "guard": guard} for way in ways for guard in guards)))


def _next_below(levels, scaled):
    return (torch.searchsorted(levels, scaled, right=True) - 1).clamp(0, 15)


def _next_above(levels, scaled):
    return torch.searchsorted(levels, scaled).clamp(0, 15)


def _as_if_even(levels, scaled):
    return torch.round((scaled + 1) / 2 * 15)


def _as_if_even_cut(levels, scaled):
    return ((scaled + 1) / 2 * 15).long()


def _by_probability(levels, scaled):
    return torch.round(torch.special.ndtr(scaled) * 15)


def _first_midpoint(levels, scaled):
    return torch.bucketize(scaled, (levels[1:] + levels[:-1]) / 2) + 1


def _rows(flat, block, x):
    return [piece for row in x.reshape(-1, x.shape[-1]) for piece in row.split(block)]


def _still_wide(dtype: torch.dtype) -> Any:
    def answer(x, block):
        levels, codes, scales, back = _wrong()(x, block)
        return levels, codes.to(dtype), scales, back

    return answer


def _values_for_codes(x, block):
    levels, codes, scales, back = _wrong()(x, block)
    return levels, levels[codes.long()], scales, back


def _flat(x, block):
    levels, codes, scales, back = _wrong()(x, block)
    return levels, codes.flatten(), scales, back.flatten()


MISCONCEPTIONS = (
    _levels("no level at zero", "Sixteen quantiles that are even on both sides leave no level at 0, and every weight that is 0 would come back as something else: take the two sides apart, with 0 between them."),
    _levels("sides exchanged", "There are eight levels below zero and seven above: it is the other way round, eight above."),
    _levels("not sixteen", "There are not sixteen levels, the 16 values of four bits: eight above zero, seven below and 0, which both halves share, once."),
    _levels("zero twice", "Zero is there twice, so one code is wasted: both halves begin at 0.5, whose quantile is 0; the side above has eight levels beside it."),
    _levels("even levels", "These levels are evenly spaced, the grid of int4: NF4's stand at quantiles of the normal distribution, crowded around zero."),
    _levels("probabilities for quantiles", "These are evenly spaced probabilities themselves: the levels are where the normal distribution reaches them, its inverse, torch.special.ndtri."),
    _levels("not divided by the largest", "The levels reach to ±1.85, the quantile of 0.9677: divide all of them by the largest, so that they end at ±1 as x / scale does."),
    _levels("another outermost quantile", "The outermost probability is not 0.9677083, halfway between 1 − 1/32 and 1 − 1/30: all levels depend on it, as they are divided by its quantile."),
    _levels("infinite ends", "The quantile of probability 1 is infinite, so all other levels are pressed to 0: the steps end at 0.9677083."),
    _levels("not sorted", "The levels are right but not in ascending order: the code is a place in the ascending list, −1 first."),
    Misconception(
        "the level below",
        says="searchsorted and bucketize say between which two levels a number lies, and one of the two was taken always: the nearer is found by comparing with the midpoints between levels.",
        **_ways({"code": _next_below}, {"code": _next_above}),
    ),
    Misconception(
        "codes as if even",
        says="The code was computed as if the levels were evenly spaced: NF4 has no formula for it; compare each number with all levels, or with their midpoints.",
        **_ways({"code": _as_if_even}, {"code": _as_if_even_cut}, {"code": _by_probability}),
    ),
    Misconception("codes from 1", says="The codes are one too high: places are counted from 0, and −1 has the code 0.", **_ways({"code": _first_midpoint}, {"code": lambda levels, scaled: _nearest(levels, scaled) + 1})),
    Misconception("one scale", says="There is one scale for the whole tensor: each block of consecutive numbers has its own.", **_ways({"cut": lambda flat, block, x: [flat]})),
    Misconception("anew in every row", says="The blocks begin anew in every row: they are cut from x.flatten(), on across the ends of rows.", **_ways({"cut": _rows})),
    Misconception("the largest with its sign", says="This takes the largest number of a block, not the largest in size: one further below zero lies beyond −1 then; take abs() first.", **_ways({"largest": torch.Tensor.max})),
    Misconception(
        "a step for the scale",
        says="The scale is not the block's largest |x|: the levels reach from −1 to 1 already, so nothing is divided by 7, 8, 15 or 127.",
        **_ways(*({"largest": lambda piece, n=n: piece.abs().max() / n} for n in (7, 8, 15, 16, 127)), *({"out": lambda scale, n=n: scale / n} for n in (7, 8, 15, 127))),
    ),
    Misconception(
        "the standard deviation",
        says="The numbers were divided by their standard deviation: a block's scale is its largest |x|, so that nothing lies beyond ±1.",
        **_ways({"largest": lambda piece: piece.std(correction=0)}, {"largest": lambda piece: piece.square().mean().sqrt()}, {"largest": lambda piece: piece.std()}),
    ),
    Misconception("back without the scale", says="Levels, codes and scales are right, but back is the levels themselves: multiply each by the scale of its block.", **_ways({"back": lambda value, scale: value}, {"back": lambda value, scale: value / scale})),
    Misconception("levels for codes", says="The codes are the levels themselves, as floats: stored is each one's place in the list, 0 … 15, or nothing is saved.", answer=_values_for_codes),
    Misconception("in one line", says="The values are right but in one line: give codes and back the shape of x again.", answer=_flat),
    Misconception("zeros divided by zero", says="A block of nothing but zeros has the scale 0: 0 / 0 is no number, and has no nearest level. Give it another scale, such as 1.", **_ways({"guard": False})),
    Misconception("wider than a byte", says="The codes are right, but each takes more than a byte, as argmin gives int64: make them uint8.", answer=_still_wide(torch.int64), variants=(_still_wide(torch.float32), _still_wide(torch.int32))),
)
