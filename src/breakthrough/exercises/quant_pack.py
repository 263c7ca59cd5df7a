"""Module 4: two 4-bit codes in a byte.

Shapes: N codes
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import Difference, close
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.quant_pack_wrong import MISCONCEPTIONS

PACKED, UNPACKED = "the packed bytes", "the unpacked codes"


class Nibbles:
    """Two 4-bit codes a byte.

    Why:    the smallest thing that memory holds is a byte: 4-bit codes stored one a byte save nothing over 8 bits
    Units:  codes are 0 … 15. Of a byte's codes the first is in the high four bits, the second in the low four
    """

    def pack(self, codes: Tensor) -> Tensor:
        """The codes as bytes; after an odd number of them the last four bits are 0.

        Shapes: codes (N,) uint8, N ≥ 1 → (⌈N / 2⌉,) uint8
        """
        even = F.pad(codes, (0, len(codes) % 2))
        return even[0::2] << 4 | even[1::2]

    def unpack(self, packed: Tensor, count: int) -> Tensor:
        """The codes of the bytes, `count` of them.

        Shapes: packed (⌈count / 2⌉,) uint8 → (count,) uint8
        """
        return torch.stack([packed >> 4, packed & 15], dim=1).flatten()[:count]


class _ByArithmetic:
    def pack(self, codes):
        rest = codes.new_zeros(len(codes) % 2)
        pairs = torch.cat([codes, rest]).reshape(-1, 2)  # (⌈N / 2⌉, 2)
        return pairs[:, 0] * 16 + pairs[:, 1]

    def unpack(self, packed, count):
        codes = packed.new_zeros(2 * len(packed))
        codes[::2] = packed // 16
        codes[1::2] = packed % 16
        return codes[:count]


class _ByteByByte:
    def pack(self, codes):
        values = codes.tolist() + [0] * (len(codes) % 2)
        return torch.tensor([16 * a + b for a, b in zip(values[::2], values[1::2])], dtype=torch.uint8, device=codes.device)

    def unpack(self, packed, count):
        digits = "".join(f"{byte:02x}" for byte in packed.tolist())
        return torch.tensor([int(digit, 16) for digit in digits[:count]], dtype=torch.uint8, device=packed.device)


class _BitByBit:
    def pack(self, codes):
        bits = np.unpackbits(codes.cpu().numpy()).reshape(-1, 8)[:, 4:]  # (N, 4): the high four are 0
        return torch.from_numpy(np.packbits(bits.ravel())).to(codes.device)  # packbits fills the last byte with zeros

    def unpack(self, packed, count):
        bits = np.unpackbits(packed.cpu().numpy()).reshape(-1, 4)
        codes = (bits @ np.array([8, 4, 2, 1])).astype(np.uint8)
        return torch.from_numpy(codes[:count]).to(packed.device)


def _there_and_back(answer: Any, case: Case) -> Any:
    """What pack makes of codes, and unpack of bytes that are packed rightly: each on its own.

    Raises: InputError for an answer that is no class with both methods
    """
    if not callable(answer):
        raise InputError(expected("the class itself", type_of(answer), "passing it without calling it"))
    made = answer()
    if made is None or not all(hasattr(made, name) for name in ("pack", "unpack")):
        raise InputError(expected("a class with the methods pack and unpack", type_of(made)))
    (codes,) = case.args
    mine, bytes_ = codes.clone(), Nibbles().pack(codes)
    theirs = bytes_.clone()
    out = {PACKED: made.pack(mine), UNPACKED: made.unpack(theirs, len(codes))}
    if out[PACKED] is None or out[UNPACKED] is None:
        return None
    out["the inputs are left as they were"] = torch.equal(mine, codes) and torch.equal(theirs, bytes_)
    return out


def _bit_by_bit(want: Any, got: Any) -> Difference | None:
    """Bytes exactly; a wrong dtype is named where the values are right in it."""
    return close(rtol=0, atol=0, dtype=False)(want, got) or close(rtol=0, atol=0)(want, got)


def _cases(generator: Generator):
    def draw(size):
        codes = torch.randint(16, (size,), generator=generator, dtype=torch.uint8)
        codes[0], codes[-1] = codes[0] % 7 + 9, codes[-1] % 6 + 9  # never 0, and with their highest bit
        return codes

    yield Case("three codes, by hand", (torch.tensor([10, 3, 12], dtype=torch.uint8),))
    yield Case("64 codes", (draw(64),))
    yield Case("33 codes", (draw(33),))
    yield Case("every pair of codes", (torch.cartesian_prod(*[torch.arange(16, dtype=torch.uint8)] * 2).flatten(),))
    yield Case("two codes", (draw(2),))
    yield Case("one code", (draw(1),))
    yield Case("every second of 34, not contiguous", (draw(34)[::2],))


EXERCISES = (
    Exercise(
        name="quant.pack",
        title="Two codes in a byte",
        points=4,
        minutes=25,
        difficulty=1,
        reference=Nibbles,
        cases=_cases,
        compare=_bit_by_bit,
        call=_there_and_back,
        alternatives=(_ByArithmetic, _ByteByByte, _BitByBit),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "A byte has eight bits, a code four. Written in hexadecimal a byte is two digits, and every digit is a code: moving a code one digit to the left multiplies it by 16, which is a shift by four bits.",
            "pack: codes (N,) → with a 0 behind if N is odd (2M,) → [0::2] (M,) << 4, | [1::2] (M,) → (M,) uint8; unpack: packed (M,) → packed >> 4 and packed & 15, side by side (M, 2) → flatten (2M,) → the first count",
            "pack: if the number of codes is odd, put a 0 behind\n      return every first << 4 | every second\nunpack: high = packed >> 4, low = packed & 15\n        side by side, in one line, the first count of them",
        ),
    ),
)
