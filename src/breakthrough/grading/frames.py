"""What a frame on the wire may have; the error for one that is none."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from breakthrough.errors import BreakthroughError, expected

HEAD = struct.Struct("<QI")  # bytes of the frame after the head, bytes of its JSON
TENSORS = ("float16", "float32", "float64", "bfloat16", "uint8", "int8", "int16", "int32", "int64", "bool", "complex64", "complex128", "uint16", "uint32", "uint64")


class WireError(BreakthroughError):
    """Bytes that are no frame, or a value beyond what may cross."""


@dataclass(frozen=True)
class Limits:
    """What a frame may have. Units: bytes of all, and of its JSON; `parts` are values of any kind."""

    bytes: int = 256 << 20
    json_bytes: int = 32 << 20
    parts: int = 2_000_000


def safe_name(name: object, otherwise: str) -> str:
    """The letters and digits of a class's name that came over the wire, 80 at most; `otherwise` where there are none."""
    return "".join(c for c in str(name)[:80] if c.isidentifier() or c.isdigit()) or otherwise


def head(data: bytes, limits: Limits) -> tuple[int, int]:
    """Bytes that follow a frame's head, and how many of them are JSON.

    Raises: WireError when that is more than the limits allow
    """
    total, text = HEAD.unpack(data)
    if total > limits.bytes or text > min(total, limits.json_bytes):
        raise WireError(expected(f"a value of up to {limits.bytes >> 20} MiB, {limits.json_bytes >> 20} MiB without its arrays", f"{total:,} bytes, {text:,} without"))
    return total, text


