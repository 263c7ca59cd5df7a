"""Module 4: wrong ways to lay a grid with a zero point, for quant.affine."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch

from breakthrough.exercises.exercise import Misconception


def _ends(x):
    return min(x.min().item(), 0.0), max(x.max().item(), 0.0)


def _own_ends(x):
    return x.min().item(), x.max().item()


def _step(low, high, bits):
    return (high - low) / (2**bits - 1)


def _zero(low, high, step, bits):
    return round(-low / step)


def _codes(x, step, zero, low):
    return torch.round(x / step) + zero


def _held(codes, bits):
    return codes.clamp(0, 2**bits - 1)


def _free(codes, bits):
    return codes


def _back(codes, stored, step, zero, low):
    return (codes - zero) * step


def _wrapped(codes, stored, step, zero, low):
    return (stored - torch.tensor(zero).to(stored.dtype)) * step if zero == int(zero) else _back(codes, stored, step, zero, low)


def _unsigned(codes):
    return codes.to(torch.uint8)


def _wrong(ends=_ends, step=_step, zero=_zero, codes=_codes, hold=_held, back=_back, fit=_unsigned, guard=True) -> Any:
    """A wrong answer: the right one but for what is given."""

    def answer(x, bits=8):
        low, high = ends(x)
        scale = step(low, high, bits) or (1.0 if guard else 0.0)
        # without a guard torch would divide 0 by 0 and go on; Python raises
        at = zero(low, high, scale, bits) if scale else 0
        levels = hold(codes(x, scale, at, low), bits)
        stored = fit(levels)
        return stored, scale, at, back(levels, stored, scale, at, low).float()

    return answer


HOLDS = (_held, _free)


def _ways(*parts: dict[str, Any], holds: tuple = (_held,), backs: tuple = (_back, _wrapped)) -> dict[str, Any]:
    """The answer and variants of a misconception: held or not, back in floats or in uint8. What a part says comes first."""
    ways = [_wrong(**{"hold": hold, "back": back, **part}) for part, hold, back in product(parts, holds, backs)]
    return {"answer": ways[0], "variants": tuple(ways[1:])}


def _zero_within(low, high, step, bits):
    return max(0, min(2**bits - 1, round(-low / step)))


def _zero_as_it_is(low, high, step, bits):
    return -low / step


def _zero_cut(low, high, step, bits):
    return int(-low / step)


def _zero_other_sign(low, high, step, bits):
    return round(low / step)


def _from_low(x, step, zero, low):
    return torch.round((x - low) / step)


def _back_from_low(codes, stored, step, zero, low):
    return codes * step + low


def _back_of_stored(codes, stored, step, zero, low):
    return stored * step


def _plus_zero(codes, stored, step, zero, low):
    return (codes + zero) * step


def _zero_after(codes, stored, step, zero, low):
    return codes * step - zero


def _trunc(x, step, zero, low):
    return torch.trunc(x / step) + zero


def _trunc_all(x, step, zero, low):
    return torch.trunc(x / step + zero)


def _floor(x, step, zero, low):
    return torch.floor(x / step) + zero


def _minus_zero(x, step, zero, low):
    return torch.round(x / step) - zero


def _without_zero(x, step, zero, low):
    return torch.round(x / step)


def _evenly(x):
    top = x.abs().max().item()
    return -top, top


def _middle(low, high, step, bits):
    return 2 ** (bits - 1)


def _eight(low, high, bits):
    return (high - low) / 255


def _hold_eight(codes, bits):
    return codes.clamp(0, 255)


def _signed(x, bits=8):
    codes, scale, zero, back = _wrong()(x, bits)
    half = 2 ** (bits - 1)
    return (codes.int() - half).to(torch.int8), scale, zero - half, back


def _still_floats(x, bits=8):
    codes, scale, zero, back = _wrong()(x, bits)
    return codes.float(), scale, zero, back


def _no_guard(x, bits=8):
    codes, scale, zero, back = _wrong()(x, bits)
    return codes, scale if (x != 0).any() else 0.0, zero, back


def _raises(x, bits=8):
    if not (x != 0).any():
        raise ZeroDivisionError("float division by zero")
    return _wrong()(x, bits)


def _raises_for_nan(x, bits=8):
    if not (x != 0).any():
        raise ValueError("cannot convert float NaN to integer")
    return _wrong()(x, bits)


MISCONCEPTIONS = (
    Misconception(
        "a range without zero",
        says="The range was taken from the smallest to the largest number as they are: where all lie on one side of 0, no code stands for 0.0 then; widen it to include 0.",
        **_ways({"ends": _own_ends}, {"ends": _own_ends, "zero": _zero_within}, holds=HOLDS, backs=(_back,)),
    ),
    Misconception(
        "always from zero",
        says="The range was begun at 0, so numbers below zero all became 0: it begins at the smallest number where that is below 0.",
        **_ways({"ends": lambda x: (0.0, x.max().item())}, {"ends": lambda x: (0.0, max(x.max().item(), 0.0))}, {"ends": lambda x: (0.0, x.abs().max().item())}, holds=HOLDS),
    ),
    Misconception(
        "as far below as above",
        says="The grid reaches as far below zero as above, as absmax has it: here it ends where the numbers do, or at 0, and zero takes whichever code falls there.",
        **_ways({"ends": _evenly}, {"ends": _evenly, "zero": _middle}),
    ),
    Misconception(
        "2^bits steps",
        says="The range was divided by 2^bits: between 2^bits codes lie 2^bits − 1 steps.",
        **_ways({"step": lambda low, high, bits: (high - low) / 2**bits}),
    ),
    Misconception(
        "always 8 bits",
        says="This lays out 256 codes whatever `bits` says: with 4 bits there are 16, 0 … 15.",
        **_ways({"step": _eight, "hold": _hold_eight}, {"step": _eight, "hold": _free}, {"step": _eight}),
    ),
    Misconception(
        "zero is no whole number",
        says="zero was not rounded, so 0.0 falls between two codes and does not come back as 0.0: make it a whole number, and count the numbers' steps from there.",
        **_ways({"zero": _zero_as_it_is}, {"zero": _zero_as_it_is, "codes": lambda x, step, zero, low: torch.round(x / step + zero)}, backs=(_back,)),
    ),
    Misconception(
        "measured from the smallest",
        says="The steps were counted from the smallest number, so the grid begins exactly there and misses 0.0 by part of a step: count from 0, and add the whole number zero.",
        **_ways({"codes": _from_low}, {"codes": _from_low, "back": _back_from_low}, {"codes": _from_low, "back": _back_from_low, "zero": lambda low, high, step, bits: low}),
    ),
    Misconception(
        "zero with the other sign",
        says="zero has the wrong sign: a range that reaches below 0 has codes to spare there, so the code of 0.0 is −low / scale, not below 0.",
        **_ways(
            {"zero": _zero_other_sign},
            {"zero": _zero_other_sign, "codes": _minus_zero, "back": _plus_zero},
            {"zero": _zero_other_sign, "codes": _minus_zero, "back": _back_of_stored},
            holds=HOLDS,
        ),
    ),
    Misconception(
        "zero cut off",
        says="zero was cut off, not rounded: the grid is shifted by up to a whole step then, and an end of the range falls off it.",
        **_ways({"zero": _zero_cut}, holds=HOLDS),
    ),
    Misconception(
        "zero taken off",
        says="zero was subtracted where the codes are made: it is the code of 0.0, so a number's steps are added to it; it comes off on the way back.",
        **_ways({"codes": _minus_zero}, {"codes": _minus_zero, "back": _plus_zero}, holds=HOLDS),
    ),
    Misconception(
        "zero not added",
        says="The codes are the steps from 0.0 without zero added, so all numbers below 0 are lost or wrap: uint8 begins at 0.",
        **_ways({"codes": _without_zero}, {"codes": _without_zero, "back": _back_of_stored}, {"codes": _without_zero, "back": lambda codes, stored, step, zero, low: codes * step}, holds=HOLDS),
    ),
    Misconception(
        "cut off",
        says="The steps were cut off, not rounded, as `.to(torch.uint8)` does: the error is up to a whole step then; use torch.round first.",
        **_ways({"codes": _trunc}, {"codes": _trunc_all}, {"codes": _floor}),
    ),
    Misconception(
        "wraps on the way back",
        says="On the way back `codes - zero` was computed in uint8, where 3 − 5 is 254: make the codes floats or int32 before zero is taken off.",
        **_ways({}, {"ends": _own_ends}, {"ends": _own_ends, "zero": _zero_within}, holds=HOLDS, backs=(_wrapped,)),
    ),
    Misconception(
        "zero left in",
        says="Codes, scale and zero are right, but on the way back zero was not taken off, or not as a code: it is (codes − zero) · scale, so that the code zero gives 0.0.",
        **_ways({"back": _back_of_stored}, {"back": _plus_zero}, {"back": _zero_after}, {"back": _back_from_low}, backs=(_back,)),
    ),
    Misconception(
        "not held at the ends",
        says="With a half of a step at both ends, both can round upwards, and the largest number gets the code 2^bits, which wraps to 0: hold the codes within 0 … 2^bits − 1.",
        answer=_wrong(hold=_free),
    ),
    Misconception(
        "signed codes",
        says="These are codes from −2^(bits − 1) on, as int8: just as good, but asked for are codes from 0 on, as uint8.",
        answer=_signed,
    ),
    Misconception(
        "zeros divided by zero",
        says="Of all zeros the range is empty and the scale 0: 0 / 0 is no number. Give zeros another scale, such as 1.",
        answer=_no_guard,
        variants=(_raises, _raises_for_nan),
    ),
    Misconception(
        "still floats",
        says="The codes are whole numbers but still stored as floats, four bytes each: nothing is saved before they are uint8.",
        answer=_still_floats,
    ),
)
