"""Several codes in one byte, the first in the highest bits, as bitsandbytes lays them out.

Shape legend: N codes, P = 8 / bits codes in a byte
"""

from __future__ import annotations

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, DtypeError, InputError, ShapeError, expected

WIDTHS = (1, 2, 4)


def width(bits: int) -> int:
    """The bits that a code of so many bits takes in memory: 1, 2, 4 or 8.

    Raises: ConfigError for fewer than 1 bit or more than 8
    """
    if not 1 <= bits <= 8:
        raise ConfigError(expected("1 to 8 bits", bits))
    return next(w for w in (*WIDTHS, 8) if bits <= w)


def pack(codes: Tensor, bits: int = 4, fill: int = 0) -> Tensor:
    """Put 8 / bits codes into every byte; `fill` completes the last one.

    Shapes: codes (N,) uint8 → (⌈N / P⌉,) uint8
    Raises: DtypeError when the codes are not uint8; ShapeError when they are not in one row; InputError for a code
            that needs more bits
    """
    _check_row(codes)
    _check_width(bits)
    if codes.numel() and int(codes.max()) >> bits:
        raise InputError(expected(f"codes of {bits} bits, below {1 << bits}", int(codes.max())))
    return _packed(codes, bits, fill)


def _packed(codes: Tensor, bits: int, fill: int) -> Tensor:
    per_byte = 8 // bits
    codes = torch.nn.functional.pad(codes, (0, -len(codes) % per_byte), value=fill)
    packed = codes[::per_byte] << (8 - bits)
    for place in range(1, per_byte):
        packed |= codes[place::per_byte] << (8 - bits * (place + 1))
    return packed


def unpack(packed: Tensor, count: int, bits: int = 4) -> Tensor:
    """The codes that were packed, without what completes the last byte.

    Shapes: packed (⌈N / P⌉,) uint8 → (N,) uint8
    Raises: DtypeError, ShapeError as `pack`; ShapeError when there are not as many bytes as `count` codes take
    """
    _check_row(packed)
    _check_width(bits)
    if len(packed) != -(-count * bits // 8):
        raise ShapeError(expected(f"{-(-count * bits // 8)} bytes for {count} codes of {bits} bits", len(packed)))
    codes = torch.empty(len(packed), 8 // bits, dtype=torch.uint8, device=packed.device)  # (bytes, P)
    for place in range(8 // bits):
        torch.bitwise_and(packed >> (8 - bits * (place + 1)), (1 << bits) - 1, out=codes[:, place])
    return codes.view(-1)[:count]


def _check_row(codes: Tensor) -> None:
    if codes.dtype != torch.uint8:
        raise DtypeError(expected("codes as uint8", codes.dtype, "codes.to(torch.uint8)"))
    if codes.dim() != 1:
        raise ShapeError(expected("codes in one row (N,)", tuple(codes.shape), "codes.flatten()"))


def _check_width(bits: int) -> None:
    if bits not in WIDTHS:
        raise ConfigError(expected(f"a width of {', '.join(map(str, WIDTHS))} bits", bits))
