"""What every way of storing numbers in fewer bits has in common.

A format is a frozen dataclass that turns a tensor into named parts (codes, scales, …) and back. The
parts are all that is stored: their bytes are the bytes of the weight, and their names its keys in a
safetensors file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass
from typing import Any, ClassVar, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor

from breakthrough.errors import DtypeError, InputError, ShapeError, expected

FLOATS = (torch.float32, torch.bfloat16, torch.float16)


@runtime_checkable
class Format(Protocol):
    """One way to store a tensor. `kind` names it in files; the fields are plain data.

    Units:  bits of one code, without scales
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def kind(self) -> str:
        """Its name in files."""
        ...

    @property
    def bits(self) -> int:
        """Of one code, without scales."""
        ...

    def quantize(self, x: Tensor) -> Quantized:
        """A tensor's parts.

        Raises: InputError for NaN, infinities, no elements; ShapeError, DtypeError for what does not fit
        """
        ...

    def dequantize(self, parts: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The tensor that the parts stand for, of a shape and dtype."""
        ...


class Coined(Format, Protocol):
    """A format that can round by a coin."""

    @property
    def seed(self) -> int:
        """Of its coin."""
        ...


def by_coin(format: Format | None) -> TypeGuard[Coined]:
    """Whether a format rounds up or down by a coin: `rounding` is "random"."""
    return getattr(format, "rounding", "nearest") == "random"


@dataclass(frozen=True, eq=False)
class Quantized:
    """A tensor in a format.

    Shapes: `shape` is the tensor's own, `dtype` what it was and what `dequantize` gives unless told otherwise
    """

    format: Format
    parts: Mapping[str, Tensor]
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        """The bytes of all parts, scales included."""
        return sum(part.numel() * part.element_size() for part in self.parts.values())

    @property
    def bits_per_weight(self) -> float:
        """All stored bits over the number of weights."""
        return 8 * self.nbytes / torch.Size(self.shape).numel()

    def dequantize(self, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor that is stored, nearly."""
        return self.format.dequantize(self.parts, self.shape, dtype or self.dtype)

    def map(self, change: Callable[[Tensor], Tensor]) -> Quantized:
        """The same with every part changed: moved to a device, copied."""
        return Quantized(self.format, {name: change(part) for name, part in self.parts.items()}, self.shape, self.dtype)

    def to(self, device: torch.device | str) -> Quantized:
        """The same on a device."""
        return self.map(lambda part: part.to(device))


def described(format: Format) -> dict[str, Any]:
    """A format as plain data, fit for JSON: its kind and its fields."""
    return {"kind": format.kind, **asdict(format)}


def check_numbers(x: Tensor) -> Tensor:
    """A tensor that can be quantized, as it came.

    Raises: DtypeError when it is not floating point; ShapeError when it is empty; InputError for NaN and
            infinities
    """
    if x.dtype not in FLOATS:
        raise DtypeError(expected("float32, bfloat16 or float16", x.dtype, "x.float()"))
    if not x.numel():
        raise ShapeError(expected("at least one number", f"an empty tensor of shape {tuple(x.shape)}"))
    if not all(map(math.isfinite, torch.stack(x.detach().aminmax()).tolist())):  # NaN and infinities come through; one pass
        bad = int((~torch.isfinite(x)).sum())
        raise InputError(expected("finite numbers", f"{bad} NaN or infinite of {x.numel()}", "finding where they arise before storing them"))
    return x
