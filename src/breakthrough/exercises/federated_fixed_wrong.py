"""Module 3: wrong fixed-point codecs, for federated.fixed.

Shapes: D entries of an update
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from breakthrough.exercises.exercise import Misconception


def _room(bits, parties):
    return (2**bits - 1) // (2 * parties)


def _scaled(x, n, limit):
    return x.astype(np.float64) / (limit / n)


def _nearest(levels, n):
    return np.clip(np.rint(levels), -n, n).astype(np.int64) + n


def _to_uint32(codes, bits):
    return codes.astype(np.uint32)


def _less_n_each(total, count, n, parties, bits):
    return total.astype(np.int64) - count * n


def _made(
    room: Callable = _room, scaled: Callable = _scaled, codes: Callable = _nearest, fit: Callable = _to_uint32,
    signed: Callable = _less_n_each, finish: Callable = lambda x, count: x,
) -> type:  # fmt: skip
    """A wrong codec: the right one but for what is given."""

    class Wrong:
        def __init__(self, limit, parties, bits):
            self.limit, self.parties, self.bits, self.n = limit, parties, bits, room(bits, parties)

        def encode(self, x):
            return fit(codes(scaled(x, self.n, self.limit), self.n), self.bits)

        def decode(self, total, count):
            levels = signed(total, count, self.n, self.parties, self.bits)
            return finish(levels * (self.limit / self.n), count)

    return Wrong


def _not_clipped(levels, n):
    return np.rint(levels).astype(np.int64) + n


def _not_clipped_floor(levels, n):
    return np.floor(levels + 0.5).astype(np.int64) + n


def _cut_off(levels, n):
    return np.clip(np.trunc(levels), -n, n).astype(np.int64) + n


def _rounded_down(levels, n):
    return np.clip(np.floor(levels), -n, n).astype(np.int64) + n


def _rounded_up(levels, n):
    return np.clip(np.ceil(levels), -n, n).astype(np.int64) + n


def _without_offset(levels, n):
    return np.clip(np.rint(levels), -n, n).astype(np.int64)


def _negative_lost(levels, n):
    return np.clip(np.rint(levels), 0, n).astype(np.int64)


def _own_largest(x, n, limit):
    largest = float(np.abs(x).max())
    return x.astype(np.float64) / ((largest or 1.0) / n)


def _in_float32(x, n, limit):
    return x.astype(np.float32) / np.float32(limit / n)


def _as_it_is(x, n, limit):
    return x / (limit / n)  # float32 stays float32


def _nearest_float32(levels, n):
    shifted = np.clip(np.rint(levels), -n, n) + levels.dtype.type(n)  # float32 keeps 24 bits of a code
    return shifted.astype(np.int64)


def _as_it_comes(**given) -> tuple[type, ...]:
    """The same mistake by whoever did not make float64 of float32 first: two that are often made together."""
    return (_made(scaled=_as_it_is, codes=_nearest_float32, **given),)


def _one_too_many(bits, parties):
    return 2**bits // (2 * parties)


def _less_n_once(total, count, n, parties, bits):
    return total.astype(np.int64) - n


def _still_in(total, count, n, parties, bits):
    return total.astype(np.int64)


def _unsigned(total, count, n, parties, bits):
    return total - np.uint32(count * n)


def _half_range(bits, parties):
    return (2**bits - 1) // (4 * parties)


def _wrapped(codes, bits):
    return (codes % 2**bits).astype(np.uint32)


def _twos_complement(total, count, n, parties, bits):
    signed = total.astype(np.int64)
    return np.where(signed >= 2 ** (bits - 1), signed - 2**bits, signed)


MISCONCEPTIONS = (
    Misconception(
        "room for one party",
        _made(room=lambda bits, parties: (2**bits - 1) // 2),
        "The codes fill all bits, so the sum of two already wraps: the room has to be shared among the parties, a 1/parties of it for each.",
    ),
    Misconception(
        "twice too many",
        _made(room=lambda bits, parties: (2**bits - 1) // parties),
        "The largest code is 2n, not n, for codes run from −limit to limit: `parties` times 2n has to stay below 2^bits.",
    ),
    Misconception(
        "one too many",
        _made(room=_one_too_many),
        "With everyone at the limit the sum is 2^bits exactly, which wraps to 0: the largest number of `bits` bits is 2^bits − 1.",
        variants=_as_it_comes(room=_one_too_many),
    ),
    Misconception(
        "half the range unused",
        _made(room=_half_range),
        "The steps are twice as coarse as they need be, half of the range is never used: n is (2^bits − 1) // (2 · parties), and the codes run to 2n.",
    ),
    Misconception(
        "cut off",
        _made(codes=_cut_off),
        "The numbers were cut off, not rounded, as `astype` does: the error then doubles and leans to one side, so it does not average out; use rint first.",
        variants=(_made(codes=_rounded_down), _made(codes=_rounded_up)),
    ),
    Misconception(
        "not clipped",
        _made(codes=_not_clipped),
        "Numbers beyond ±limit got codes beyond 0 … 2n: one of them makes the whole sum wrap; clip before they become whole numbers.",
        variants=(_made(codes=_not_clipped_floor), _made(codes=_not_clipped, fit=_wrapped)),
    ),
    Misconception(
        "own scale",
        _made(scaled=_own_largest),
        "The step was taken from the update's own largest number: then everybody has another step, and codes of different steps cannot be added.",
    ),
    Misconception(
        "in float32",
        _made(scaled=_in_float32, codes=_nearest_float32),
        "This was computed in float32, which keeps 24 bits: codes of 32 bits lose their last ones, and the largest wraps to 0; make it float64 first.",
        variants=(_made(scaled=_as_it_is, codes=_nearest_float32),),
    ),
    Misconception(
        "offset of one",
        _made(signed=_less_n_once),
        "n was taken off once, but each of the `count` codes in the sum brought its own: take off count · n.",
        variants=_as_it_comes(signed=_less_n_once),
    ),
    Misconception(
        "offset of all parties",
        _made(signed=lambda total, count, n, parties, bits: total.astype(np.int64) - parties * n),
        "n was taken off for all parties, also for those that did not come: only `count` codes are in the sum.",
    ),
    Misconception(
        "offset forgotten",
        _made(signed=_still_in),
        "The offset is still in the sum: zero has the code n, so the sum of `count` codes is count · n too high.",
        variants=_as_it_comes(signed=_still_in),
    ),
    Misconception(
        "unsigned minus",
        _made(signed=_unsigned),
        "The offset was taken off in uint32, where a negative sum wraps to some 4 billion: make the sum int64 or float64 first.",
        variants=_as_it_comes(signed=_unsigned),
    ),
    Misconception(
        "sum read as signed",
        _made(signed=lambda total, count, n, parties, bits: _twos_complement(total, count, n, parties, bits) - count * n),
        "The sum was read as a signed number, so large ones became negative: codes are never below 0, and the sign comes back when count · n is taken off.",
    ),
    Misconception(
        "two's complement",
        _made(codes=_without_offset, fit=_wrapped, signed=_twos_complement),
        "These are signed numbers in two's complement: they add just as well, but here −limit is to have the code 0 and zero the code n, so add n.",
        variants=(_made(codes=_without_offset, fit=lambda codes, bits: codes, signed=_twos_complement),),
    ),
    Misconception(
        "negative numbers lost",
        _made(codes=_negative_lost, signed=_still_in),
        "Everything below zero became 0: shift by n first, so that −limit has the code 0, and then make the codes unsigned.",
    ),
    Misconception(
        "a mean",
        _made(finish=lambda x, count: x / count),
        "This is the mean: what is asked for is the sum, and who weights it does so later.",
    ),
)
