"""Module 4: wrong ways to pack codes and to unpack them, for quant.pack."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
import torch.nn.functional as F

from breakthrough.exercises.exercise import Misconception

# wrong ways to pack: codes → bytes


def _even(codes):
    return F.pad(codes, (0, len(codes) % 2))


def _pack(codes):
    even = _even(codes)
    return even[0::2] << 4 | even[1::2]


def _low_first(codes):
    even = _even(codes)
    return even[1::2] << 4 | even[0::2]


def _halves(codes):
    first, second = _even(codes).chunk(2)
    return first << 4 | second


def _halves_low_first(codes):
    first, second = _even(codes).chunk(2)
    return second << 4 | first


def _precedence(codes):
    even = _even(codes)
    return even[0::2] << 4 + even[1::2]


def _unpadded(codes):
    return codes[0::2] << 4 | codes[1::2]


def _unpadded_sum(codes):
    return (codes[0::2] << 4) + codes[1::2]


def _unpadded_product(codes):
    return codes[0::2] * 16 + codes[1::2]


def _unpadded_rows(codes):
    pairs = codes.reshape(-1, 2)
    return pairs[:, 0] << 4 | pairs[:, 1]


def _unpadded_view(codes):
    pairs = codes.view(-1, 2)
    return pairs[:, 0] << 4 | pairs[:, 1]


def _last_lost(codes):
    pairs = codes[: len(codes) // 2 * 2].reshape(-1, 2)
    return pairs[:, 0] << 4 | pairs[:, 1]


def _last_low(codes):
    packed = _pack(codes)
    if len(codes) % 2:
        packed[-1] = codes[-1]
    return packed


def _last_twice(codes):
    packed = _pack(codes)
    if len(codes) % 2:
        packed[-1] = codes[-1] << 4 | codes[-1]
    return packed


def _shifted(by):
    def pack(codes):
        even = _even(codes)
        return even[0::2] << by | even[1::2]

    return pack


def _and(codes):
    even = _even(codes)
    return even[0::2] << 4 & even[1::2]


def _one_each(codes):
    return codes.clone()


def _high_each(codes):
    return codes << 4


def _wide(codes):
    return _pack(codes).long()


# wrong ways to unpack: bytes, count → codes


def _unpack(packed, count):
    return _pairs(packed >> 4, packed & 15, count)


def _pairs(high, low, count):
    return torch.stack([high, low], 1).flatten()[:count]


def _unpack_low_first(packed, count):
    return _pairs(packed & 15, packed >> 4, count)


def _unpack_halves(packed, count):
    return torch.cat([packed >> 4, packed & 15])[:count]


def _unpack_halves_low_first(packed, count):
    return torch.cat([packed & 15, packed >> 4])[:count]


def _unmasked(packed, count):
    return _pairs(packed >> 4, packed, count)


def _unshifted(packed, count):
    return _pairs(packed & 240, packed & 15, count)


def _both_masked(packed, count):
    return _pairs((packed >> 4) & 15, (packed << 4) & 240, count)


def _masked_high(packed, count):
    return _pairs((packed & 15) >> 4, packed & 15, count)


def _all_of_them(packed, count):
    return torch.stack([packed >> 4, packed & 15], 1).flatten()


def _pairs_kept(packed, count):
    return torch.stack([packed >> 4, packed & 15], 1)


def _wide_codes(packed, count):
    return _unpack(packed, count).long()


def _three_bits(packed, count):
    return _pairs(packed >> 4, packed & 7, count)


def _two_masks(packed, count):
    return _pairs(packed >> 4, packed & 16, count)


def _made(pack: Any, unpack: Any) -> type:
    """A class of a way to pack and a way to unpack."""

    class Wrong:
        def pack(self, codes):
            return pack(codes)

        def unpack(self, packed, count):
            return unpack(packed, count)

    return Wrong


UNPACKINGS = (_unpack, _unpack_low_first, _unpack_halves, _unmasked)


def _packing(*ways: Any) -> dict[str, Any]:
    """The answer and variants of a misconception in packing, with a right way to unpack and wrong ones."""
    pairs = [_made(*pair) for pair in product(ways, UNPACKINGS)]
    return {"answer": pairs[0], "variants": tuple(pairs[1:])}


def _unpacking(*ways: Any) -> dict[str, Any]:
    """The answer and variants of a misconception in unpacking."""
    return {"answer": _made(_pack, ways[0]), "variants": tuple(_made(_pack, way) for way in ways[1:])}


MISCONCEPTIONS = (
    Misconception("low four bits first", says="The first code of a pair is in the low four bits: it belongs in the high ones, so shift it to the left by 4, and not the second.", **_packing(_low_first)),
    Misconception("halves", says="The first half of the codes was paired with the second half: a byte holds two neighbours, codes[0::2] and codes[1::2].", **_packing(_halves, _halves_low_first)),
    Misconception("addition before the shift", says="In Python + binds more tightly than <<, so `a << 4 + b` shifts by 4 + b: write (a << 4) + b, or a << 4 | b.", **_packing(_precedence)),
    Misconception(
        "an odd number",
        says="After an odd number of codes the last one has no partner, and two slices of different lengths cannot be combined: give it a 0 beside it.",
        **_packing(_unpadded, _unpadded_sum, _unpadded_product, _unpadded_rows, _unpadded_view),
    ),
    Misconception("the last code lost", says="The last of an odd number of codes is gone: there are ⌈N / 2⌉ bytes, not N // 2, and the last one is half empty.", **_packing(_last_lost)),
    Misconception(
        "the last byte",
        says="After an odd number of codes the last byte is wrong: the code belongs in its high four bits like every first of a pair, and the low four bits are 0.",
        **_packing(_last_low, _last_twice),
    ),
    Misconception("shifted by another number", says="The first code was shifted by something else than 4 bits: by 8 it leaves the byte, by less it runs into the second code.", **_packing(*map(_shifted, (8, 2, 3, 5)))),
    Misconception("and for or", says="& keeps the bits that both have, and the two codes have none in common once one is shifted: combine them with | or +.", **_packing(_and)),
    Misconception("one a byte", says="There is still one code a byte: two of them have to share one, so half as many bytes come out.", **_packing(_one_each, _high_each)),
    Misconception("unpacked low four bits first", says="Packing is right; unpacking gives the low four bits first: the first code of a byte is in the high ones.", **_unpacking(_unpack_low_first)),
    Misconception(
        "unpacked in halves",
        says="Packing is right; unpacking gives all high codes and then all low ones: the two codes of a byte are neighbours, so stack them side by side before flattening.",
        **_unpacking(_unpack_halves, _unpack_halves_low_first),
    ),
    Misconception("not masked", says="The low code still has the high one above it: & 15 keeps the low four bits only.", **_unpacking(_unmasked, _two_masks)),
    Misconception("not shifted back", says="The high code is still 16 times too large, or gone: shift it to the right by 4, and mask afterwards, if at all.", **_unpacking(_unshifted, _both_masked, _masked_high)),
    Misconception("three bits", says="& 7 keeps three bits: codes up to 15 have four, so it is & 15.", **_unpacking(_three_bits)),
    Misconception(
        "filling left in",
        says="The 0 that filled up the last byte came out as a code: `count` says how many there were, so cut there.",
        **_unpacking(_all_of_them, _pairs_kept),
    ),
    Misconception(
        "wider than a byte",
        says="The values are right, but each takes more than a byte: keep them uint8, or nothing is saved.",
        answer=_made(_wide, _unpack),
        variants=(_made(_wide, _wide_codes), _made(_pack, _wide_codes)),
    ),
)
