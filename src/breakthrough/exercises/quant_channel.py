"""Module 4: a scale for every channel, on the axis that is asked for.

Shapes: C channels
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.quant_absmax import absmax
from breakthrough.exercises.quant_inputs import CODES, SCALES, coded, drawn_levels, drawn_steps, looked
from breakthrough.exercises.quant_otherwise import per_channel_in_numpy


def per_channel(w: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Store a weight as 8-bit whole numbers, with a scale of its own for every channel along an axis.

    Why:    one channel of large weights would coarsen the grid of all others; with an output channel's own
            scale, the product can be computed with the codes alone and multiplied by the scale afterwards
    Shapes: w (..., C, ...), two dimensions or more, C of them along axis, which may be negative → codes as w,
            int8; scales (1, ..., C, ..., 1), so that codes · scales is w, nearly
    Units:  as for one scale: within a channel the largest |w| gets 127 or −127, the others the nearest code.
            Of a channel of all zeros the scale is any finite number above 0. w is float32, all finite
    """
    others = [dim for dim in range(w.ndim) if dim != axis % w.ndim]
    largest = w.abs().amax(others, keepdim=True)  # (1, ..., C, ..., 1)
    scales = torch.where(largest > 0, largest / 127, torch.ones_like(largest))
    return torch.round(w / scales).to(torch.int8), scales


def _channel_by_channel(w, axis):
    parts = [absmax(part) for part in w.unbind(axis)]
    codes = torch.stack([codes for codes, _ in parts], axis)
    shape = [1] * w.ndim
    shape[axis] = len(parts)
    return codes, torch.stack([scale for _, scale in parts]).reshape(shape)


def _moved_in_front(w, axis):
    rows = w.movedim(axis, 0)  # (C, ...)
    norms = rows.reshape(len(rows), -1).norm(float("inf"), dim=1)
    scales = norms.masked_fill(norms == 0, 127.0).reshape(-1, *[1] * (w.ndim - 1)) / 127
    codes = (rows / scales).round().to(torch.int8)
    return codes.movedim(0, axis), scales.movedim(0, axis)


# wrong ways to find the largest: w, axis → what broadcasts against w, or not


def _others(w, axis):
    return [dim for dim in range(w.ndim) if dim != axis % w.ndim]


def _each(w, axis):
    return w.abs().amax(_others(w, axis), keepdim=True)


def _signed(w, axis):
    return w.amax(_others(w, axis), keepdim=True)


def _along_axis(w, axis):
    return w.abs().amax(axis, keepdim=True)


def _all(w, axis):
    return w.abs().amax().reshape([1] * w.ndim)


def _all_scalar(w, axis):
    return w.abs().max()


def _first(w, axis):
    return _each(w, 0)


def _last(w, axis):
    return _each(w, -1)


def _second(w, axis):
    return _each(w, 1)


def _last_dim(w, axis):
    return w.abs().amax(-1, keepdim=True)


def _first_dim(w, axis):
    return w.abs().amax(0, keepdim=True)


def _one_other(w, axis):
    return w.abs().amax(1 if axis == 0 else 0, keepdim=True)


def _not_kept(w, axis):
    return w.abs().amax(_others(w, axis))


def _along_not_kept(w, axis):
    return w.abs().amax(axis)


def _negative_missed(w, axis):
    return w.abs().amax([dim for dim in range(w.ndim) if dim != axis], keepdim=True)


def _wrong(largest=_each, steps=127, rounded=torch.round, low=None, out=lambda top, scales: scales, finish=lambda w, codes: codes) -> Any:
    """A wrong answer: the right one but for what is given, and without a scale for zeros."""

    def answer(w, axis):
        top = largest(w, axis)
        scales = top / steps
        codes = rounded(w / scales)
        codes = codes if low is None else codes.clamp(low, 127)
        return finish(w, codes.to(torch.int8)), out(top, scales)

    return answer


def _flat_scales(w, axis):
    codes, scales = per_channel(w, axis)
    return codes, scales.flatten()


def _column_of_scales(w, axis):
    codes, scales = per_channel(w, axis)
    return codes, scales.reshape(-1, 1)


def _left_in_front(w, axis):
    codes, scales = per_channel(w.movedim(axis, 0), 0)
    return codes, scales


def _rows_of_channels(w, axis):
    rows = w.movedim(axis, 0).flatten(1)
    return per_channel(rows, 0)


def _reshaped_back(w, axis):
    """Flattened with the channel in front, and given w's shape again without moving it back."""
    codes, _ = _rows_of_channels(w, axis)
    return codes.reshape(w.shape), per_channel(w, axis)[1]


def _still_floats(w, axis):
    codes, scales = per_channel(w, axis)
    return codes.float(), scales




def _ways(*parts: dict[str, Any]) -> dict[str, Any]:
    ways = [_wrong(**part) for part in parts]
    return {"answer": ways[0], "variants": tuple(ways[1:])}


MISCONCEPTIONS = (
    Misconception(
        "along the axis",
        says="The largest was taken along `axis`, which leaves every dimension but that one: a channel's largest is over all the other dimensions, and `axis` is the one to keep.",
        **_ways({"largest": _along_axis}),
    ),
    Misconception(
        "one scale",
        says="There is one scale for the whole tensor: every channel along `axis` gets its own, so keep that dimension when the largest is taken.",
        **_ways({"largest": _all}, {"largest": _all_scalar}),
    ),
    Misconception(
        "the negative axis missed",
        says="A negative axis was compared with dimensions counted from 0 and equals none of them, so all were reduced: axis % w.ndim counts from 0.",
        **_ways({"largest": _negative_missed}),
    ),
    Misconception(
        "always one axis",
        says="The channels are taken along the same dimension whatever `axis` says: the output channels of a transposed convolution are its second dimension.",
        **_ways({"largest": _first}, {"largest": _last}, {"largest": _second}),
    ),
    Misconception(
        "one dimension reduced",
        says="The largest was taken over a single dimension: for a matrix that is all there is beside the channels, but a convolution has three, and a channel is all of them.",
        **_ways({"largest": _one_other}, {"largest": _last_dim}, {"largest": _first_dim}),
    ),
    Misconception(
        "dimensions not kept",
        says="The scales lost their other dimensions, so they line up with the last one of w, whichever that is: a square weight divides without complaint, by the wrong scales; use keepdim=True.",
        **_ways({"largest": _not_kept}, {"largest": _along_not_kept}),
    ),
    Misconception(
        "a list of scales",
        says="The codes are right, but the scales have not the dimensions to be multiplied by them: give them a 1 for every dimension but the channels', as keepdim=True does.",
        answer=_flat_scales,
        variants=(_column_of_scales,),
    ),
    Misconception(
        "channels left in front",
        says="The channels were moved to the front and not back again: codes have the shape of w, in the order of w.",
        answer=_left_in_front,
        variants=(_rows_of_channels, _reshaped_back),
    ),
    Misconception(
        "the largest with its sign",
        says="This takes the largest number of a channel, not the largest in size: one further below zero than that gets a code beyond 127 and wraps; take abs() first.",
        **_ways(*({"largest": _signed, "low": low} for low in (None, -127, -128))),
    ),
    Misconception(
        "128 steps",
        says="A channel's largest was given the code 128, which int8 does not have: it ends at 127, so divide by 127.",
        **_ways(*({"steps": 128, "low": low} for low in (None, -127, -128))),
    ),
    Misconception(
        "cut off",
        says="The numbers were cut off, not rounded, as `.to(torch.int8)` does: the error is up to a whole step then; use torch.round first.",
        **_ways({"rounded": torch.trunc}, {"rounded": torch.floor}),
    ),
    Misconception(
        "the largest for the scale",
        says="The codes are right, but what comes with them is each channel's largest, not its step: codes · scales has to give w, so divide it by 127.",
        **_ways({"out": lambda top, scales: top}),
    ),
    Misconception(
        "zeros divided by zero",
        says="A channel of nothing but zeros has the scale 0: 0 / 0 is no number. Give it another scale, such as 1.",
        **_ways({}),
    ),
    Misconception(
        "still floats",
        says="The codes are whole numbers but still stored as floats, four bytes each: nothing is saved before they are int8.",
        answer=_still_floats,
    ),
)


def _drawn(generator: Generator, shape: tuple[int, ...], axis: int) -> Tensor:
    """A weight whose channels have sizes of their own."""
    channels = shape[axis]
    rest = [size for dim, size in enumerate(shape) if dim != axis % len(shape)]
    levels = drawn_levels(generator, channels, torch.Size(rest).numel())
    rows = (levels * drawn_steps(generator, channels)).float()
    return rows.reshape(channels, *rest).movedim(0, axis)


def _cases(generator: Generator):
    look = looked(CODES, SCALES)
    by_hand = torch.tensor([[0.5, -63.5, 10.0], [4.0, 6.0, -254.0]])
    yield Case("2 × 3, by hand, axis 0: the scales are 0.5 and 2", (by_hand, 0), look=look)
    yield Case("a linear layer (16, 24), axis 0", (_drawn(generator, (16, 24), 0), 0), look=look)
    yield Case("the same, axis 1", (_drawn(generator, (16, 24), 1), 1), look=look)
    yield Case("a square one (12, 12), axis 0", (_drawn(generator, (12, 12), 0), 0), look=look)
    yield Case("a convolution (8, 3, 3, 3), axis 0", (_drawn(generator, (8, 3, 3, 3), 0), 0), look=look)
    yield Case("transposed (3, 8, 2, 3), axis 1", (_drawn(generator, (3, 8, 2, 3), 1), 1), look=look)
    yield Case("experts (3, 5, 4), axis −2", (_drawn(generator, (3, 5, 4), 1), -2), look=look)
    yield Case("one channel (1, 20), axis 0", (_drawn(generator, (1, 20), 0), 0), look=look)
    dead = _drawn(generator, (5, 9), 0)
    dead[3] = 0
    yield Case("a channel of zeros", (dead, 0), look=looked(CODES, SCALES, zeros=(3,)))
    yield Case("the codes' dtype", (_drawn(generator, (4, 6), 0), 0), look=looked(CODES, SCALES, dtypes=True))


EXERCISES = (
    Exercise(
        name="quant.channel",
        title="One scale a channel: which axis?",
        points=4,
        minutes=25,
        difficulty=1,
        reference=per_channel,
        cases=_cases,
        compare=coded(),
        alternatives=(_channel_by_channel, _moved_in_front, per_channel_in_numpy),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "A channel is what is left when you fix one index along `axis`. Its largest number is over everything else: so the dimensions that disappear are all but `axis`.",
            "w (..., C, ...) → abs → amax over all dimensions but axis % w.ndim, keepdim=True (1, ..., C, ..., 1) → / 127, 1 where that is 0 → w / scales (..., C, ...) → torch.round → int8",
            "others = all dimensions but axis, counted from 0\nlargest = the maximum of |w| over others, dimensions kept\nscales = largest / 127, or 1 where largest is 0\nreturn w / scales, rounded, as int8, and scales",
        ),
    ),
)
