"""Module 5: wrong ways to keep an accumulator from overflowing, for deploy.accumulate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from breakthrough.exercises.exercise import Misconception

TOPS = tuple(range(127, 0, -1))
Sums = tuple[Any, Any]  # the least and the largest, of every top at once
Bound = Callable[[Tensor, int, int], Sums]  # codes (..., K), low, high → sums (...)
Fits = Callable[[Tensor, int, int, int], Tensor]


def _ends(codes: Tensor, low: int, high: int) -> Sums:
    return torch.minimum(codes * low, codes * high).sum(-1), torch.maximum(codes * low, codes * high).sum(-1)


def _signed(bits: int) -> Sums:
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _within(limit: Callable[[int], Sums] = _signed, bound: Bound = _ends) -> Fits:
    """Whether a bound on the sums keeps within limits."""

    def fits(codes, low, high, bits):
        (least, most), (bottom, top) = bound(codes, low, high), limit(bits)
        return (least >= bottom) & (most <= top)

    return fits


def _always(codes: Tensor, *_: int) -> Tensor:
    return torch.ones(codes.shape[:-1], dtype=torch.bool)


def _wrong(
    fits: Fits = _within(), tops: Iterable[float] = TOPS, whole: Callable[[Tensor], Tensor] = torch.round, size: Callable[[Tensor], Tensor] = lambda w: w.abs().amax(1),
    scale: Callable[[Tensor, Tensor], Any] = lambda size, top: size / top, guard: float = 1.0, dtype: torch.dtype = torch.int8,
) -> Callable[..., tuple[Tensor, Tensor]]:  # fmt: skip
    """An answer that differs in what is given. Of the tops the first that fits is taken, else the last."""

    def answer(w, low, high, bits):
        largest, order = size(w).double(), torch.tensor(list(tops), dtype=torch.float64)
        levels = whole(w.double()[:, None] / (largest.clamp(min=1e-30)[:, None] / order)[..., None])  # (O, tops, K)
        good = fits(levels, low, high, bits)  # (O, tops)
        first = torch.where(good.any(1), good.int().argmax(1), len(order) - 1)
        codes = levels[torch.arange(len(w)), first]
        scales = torch.where(w.any(1), scale(largest, order[first]), guard).float()
        return codes.to(torch.int64).to(dtype), scales

    return answer


def _cut_by_the_type(w: Tensor, low: int, high: int, bits: int) -> tuple[Tensor, Tensor]:
    """Codes in float32, cut by the cast alone: the largest, 127 but for rounding, becomes 126 here and there."""
    codes, scales = torch.zeros(w.shape, dtype=torch.int8), torch.ones(len(w))
    for channel in w.any(1).nonzero().flatten():
        for top in TOPS:
            scale = w[channel].abs().max() / top
            cut = (w[channel] / scale).to(torch.int8)
            least, most = _ends(cut.long(), low, high)
            if -(2 ** (bits - 1)) <= least and most < 2 ** (bits - 1):
                codes[channel], scales[channel] = cut, scale
                break
    return codes, scales


def _bounds(*bounds: Bound) -> dict[str, Any]:
    answers = [_wrong(_within(bound=bound)) for bound in bounds]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _limits(*limits: Callable[[int], Sums]) -> dict[str, Any]:
    answers = [_wrong(_within(limit)) for limit in limits]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _even(value: Any) -> Sums:
    return -value, value


def _reach(low: int, high: int) -> int:
    return max(-low, high)


def _sum_first(codes: Tensor, low: int, high: int) -> Sums:
    both = codes.sum(-1) * low, codes.sum(-1) * high
    return torch.minimum(*both), torch.maximum(*both)


def _in_int8(codes: Tensor, low: int, high: int) -> tuple[Tensor, Tensor]:
    def times(end: int) -> Tensor:
        return (codes.long() * end).to(torch.int8)  # what int8 · int8 leaves in int8

    return torch.minimum(times(low), times(high)).sum(-1), torch.maximum(times(low), times(high)).sum(-1)


def _one_top(pick: Callable[..., Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Scales of their own, but one top for all channels."""

    def answer(w, low, high, bits):
        own = w[w.any(1)]
        tops = torch.round(own.abs().amax(1) / _wrong()(own, low, high, bits)[1])
        return _wrong(tops=(float(pick(tops)),))(w, low, high, bits)

    return answer


def _one_scale(w: Tensor, low: int, high: int, bits: int) -> tuple[Tensor, Tensor]:
    def all_fit(codes: Tensor, *how: int) -> Tensor:
        return _within()(codes, *how).all(0).expand(codes.shape[:-1])

    codes, scales = _wrong(all_fit, size=lambda w: w.abs().max().expand(len(w)), guard=0.0)(w, low, high, bits)
    return codes, torch.full((len(w),), float(scales.max()))


def _before_rounding(whole_top: bool, guard: float = 1.0) -> Callable[..., tuple[Tensor, Tensor]]:
    """top from the sums of the weights themselves, as if rounding changed nothing."""

    def answer(w, low, high, bits):
        codes, scales = torch.zeros(w.shape, dtype=torch.int8), torch.full((len(w),), guard)
        for o, row in enumerate(w.double()):
            if row.any():
                least, most = map(float, _ends(row / row.abs().max(), low, high))
                top = min(127.0, (2 ** (bits - 1) - 1) / max(most, 1e-9), 2 ** (bits - 1) / max(-least, 1e-9))
                top = float(int(top)) if whole_top else top
                codes[o], scales[o] = torch.round(row / row.abs().max() * top).to(torch.int8), float(row.abs().max() / top)
        return codes, scales

    return answer


def _cut_to_a_share(w: Tensor, low: int, high: int, bits: int) -> tuple[Tensor, Tensor]:
    codes, scales = _wrong(_always)(w, low, high, bits)
    share = min(127, (2 ** (bits - 1) - 1) // (w.shape[1] * _reach(low, high)))
    return codes.clamp(-share, share), scales


def _raises(error: Exception) -> Callable[..., tuple[Tensor, Tensor]]:
    def answer(w, low, high, bits):
        if not w.any(1).all():
            raise error
        return _wrong()(w, low, high, bits)

    return answer


MISCONCEPTIONS = (
    Misconception(
        "the sum not looked at",
        _wrong(_always),
        "These are the absmax codes up to 127, whether or not their sum fits: the sum was not looked at, or the least was taken for the largest (low and high exchanged), so that all seems to fit. With 16 bits, three products of 127 · 127 are too many already.",
        variants=(_wrong(_within(bound=lambda codes, low, high: _ends(codes, low, high)[::-1])), _wrong(_within(bound=lambda codes, low, high: _even(codes.abs().amax(-1) * _reach(low, high)))),),
    ),
    Misconception(
        "weights that cancel",
        says="The weights were added up with their signs, as if all inputs were alike: an input may have its own sign at every weight, so nothing need cancel; add up the worst product of each.",
        **_bounds(_sum_first, lambda codes, low, high: (codes.sum(-1) * low, codes.sum(-1) * high), lambda codes, low, high: _even(codes.sum(-1).abs() * _reach(low, high))),
    ),
    Misconception(
        "every weight the largest",
        says="Every weight was taken to be as large as the largest: that always fits, but wastes codes; add up the codes that the channel has.",
        **_bounds(lambda codes, low, high: _even(codes.shape[-1] * codes.abs().amax(-1) * _reach(low, high)), lambda codes, low, high: (codes.shape[-1] * codes.abs().amax(-1) * low, codes.shape[-1] * codes.abs().amax(-1) * high)),
    ),
    Misconception(
        "the usual input",
        says="That is how large the sum usually gets, for inputs that have nothing to do with the weights: asked for is every input, the worst one too, in which each product has its largest size.",
        **_bounds(
            lambda codes, low, high: _even(codes.square().sum(-1).sqrt() * _reach(low, high)),
            lambda codes, low, high: _even(codes.abs().sum(-1) * _reach(low, high) / 2),
            lambda codes, low, high: _even(codes.square().sum(-1).sqrt() * _reach(low, high) / 3**0.5),
            lambda codes, low, high: _even(3 * codes.square().sum(-1).sqrt() * _reach(low, high) / 3**0.5),
        ),
    ),
    Misconception(
        "as if every input had both signs",
        says="Inputs that never fall below `low` were taken to reach as far below zero as above: from 0 on, weights above zero and weights below zero never work in the same direction.",
        **_bounds(lambda codes, low, high: _even(codes.abs().sum(-1) * _reach(low, high)), lambda codes, low, high: _even(codes.abs().sum(-1) * high)),
    ),
    Misconception(
        "as if no input were below zero",
        says="Inputs below zero were forgotten: `low` times a weight below zero is a product above zero, and adds to the largest sum.",
        **_bounds(lambda codes, low, high: (codes.clamp(max=0).sum(-1) * high, codes.clamp(min=0).sum(-1) * high), lambda codes, low, high: (_ends(codes, low, high)[0], codes.clamp(min=0).sum(-1) * high)),
    ),
    Misconception(
        "taken away, not added",
        says="The products of codes below zero were taken away: `low` times such a code has its sign already, so it is added.",
        **_bounds(lambda codes, low, high: (codes.clamp(min=0).sum(-1) * low - codes.clamp(max=0).sum(-1) * high, codes.clamp(min=0).sum(-1) * high - codes.clamp(max=0).sum(-1) * low)),
    ),
    Misconception(
        "only the largest sum",
        says="Only the largest sum was looked at: the least has to fit too, at −2^(bits − 1); with mostly negative weights or inputs from 0 on it is the larger one in size.",
        **_bounds(lambda codes, low, high: (0 * codes.sum(-1), _ends(codes, low, high)[1])),
    ),
    Misconception(
        "only weights above zero",
        says="Only codes above zero were added up: one below zero, times the smallest input, adds to the largest sum too.",
        **_bounds(lambda codes, low, high: (0 * codes.sum(-1), codes.clamp(min=0).sum(-1) * high), lambda codes, low, high: (codes.clamp(min=0).sum(-1) * low, codes.clamp(min=0).sum(-1) * high)),
    ),
    Misconception(
        "the largest, not the largest in size",
        _wrong(size=lambda w: w.amax(1)),
        "max(w) was taken for max|w|: a weight far below zero gets a code below −127 then, which wraps around in int8.",
    ),
    Misconception(
        "from 128 down",
        _wrong(tops=range(128, 0, -1)),
        "The search began at 128, which is no int8: it is stored as −128; begin at 127.",
        variants=(_wrong(tops=range(255, 0, -1)),),
    ),
    Misconception(
        "without the sign bit",
        says="2^bits was taken for the limit: one of the bits is the sign, so sums reach from −2^(bits − 1) to 2^(bits − 1) − 1.",
        **_limits(lambda bits: (-(2**bits), 2**bits - 1), lambda bits: (-(2**bits), 2**bits), lambda bits: (-(2**bits) + 1, 2**bits - 1)),
    ),
    Misconception(
        "one too many",
        says="The largest sum was let up to 2^(bits − 1): with 8 bits 128 does not fit, only −128 does.",
        **_limits(lambda bits: _even(2 ** (bits - 1))),
    ),
    Misconception(
        "as far down as up",
        says="The least sum was held at −(2^(bits − 1) − 1): one more fits on that side, −128 with 8 bits.",
        **_limits(lambda bits: _even(2 ** (bits - 1) - 1), lambda bits: (-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 2), lambda bits: (-(2 ** (bits - 1)) + 1, 2 ** (bits - 1))),
    ),
    Misconception(
        "checked in 8 bits",
        says="Product and sum were computed in int8 while checking, where 100 · 127 wraps to −100: make the codes int64 before they are multiplied.",
        **_bounds(_in_int8),
    ),
    Misconception(
        "checked before rounding",
        _before_rounding(True),
        "top was worked out from the weights before they were rounded: rounding can make the sum larger, or smaller; check the codes themselves.",
        variants=(_before_rounding(False),),
    ),
    Misconception(
        "halved until it fits",
        _wrong(tops=(127, 63, 31, 15, 7, 3, 1)),
        "The codes were halved, a whole bit at a time, until the sum fitted: every top between 127 and 1 is allowed, and the largest that fits is wanted.",
        variants=(_wrong(tops=[127 / 2**k for k in range(7)]), _wrong(tops=(127, 64, 32, 16, 8, 4, 2, 1))),
    ),
    Misconception(
        "from the small end",
        _wrong(tops=TOPS[::-1]),
        "The search began at 1 and stopped at the first top that fits, the smallest: begin at 127.",
    ),
    Misconception(
        "one top for the layer",
        _one_top(min),
        "All channels were given the same top: each has a sum of its own, so a small channel may have larger codes than a large one.",
        variants=(_one_top(max),),
    ),
    Misconception(
        "one scale for the layer",
        _one_scale,
        "One scale was made for the whole layer: every output channel has its own sum, and its own scale.",
        variants=(_wrong(size=lambda w: w.abs().max().expand(len(w))),),
    ),
    Misconception(
        "cut off to fit",
        _cut_to_a_share,
        "Large codes were cut off so that the sum fits: the largest weights are wrong by much then; make the scale larger, and all codes smaller.",
    ),
    Misconception(
        "the scale left behind",
        _wrong(scale=lambda size, top: size / 127),
        "The codes were made smaller, but the scale is that of codes up to 127: codes · scale is no longer w; it is max|w[o]| / top.",
    ),
    Misconception(
        "the scale upside down",
        _wrong(scale=lambda size, top: top / size),
        "That scale is top / max|w[o]|, by which weights are multiplied: asked for is the step, by which codes are.",
    ),
    Misconception(
        "cut, not rounded",
        _wrong(whole=torch.trunc),
        "Codes were cut off after the point: torch.round takes the nearest whole number.",
        variants=(_wrong(whole=torch.floor), _wrong(whole=torch.ceil), _cut_by_the_type),
    ),
    Misconception(
        "zeros divided by zero",
        _wrong(guard=0.0),
        "A channel of zeros has max|w[o]| = 0, and 0 / 0 is no number: give it codes 0 and any scale above 0, such as 1.",
        variants=(_raises(ZeroDivisionError("float division by zero")), _raises(ValueError("cannot convert float NaN to integer"))),
    ),
    Misconception(
        "wider than a byte",
        _wrong(dtype=torch.int64),
        "The codes are right, but not stored as int8: in any other type they take more than a byte each.",
        variants=(_wrong(dtype=torch.int32), _wrong(dtype=torch.int16), _wrong(dtype=torch.float32), _wrong(dtype=torch.float64)),
    ),
)
