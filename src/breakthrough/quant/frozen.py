"""Weights that are stored in few bits and no longer trained: read when they are used, kept by nobody.

Shape legend: B rows, I inputs, O outputs
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from breakthrough.quant.quantized import Format, Quantized


@dataclass(frozen=True)
class _AsItIs:
    """No format: the one part is the weight itself."""

    kind: ClassVar[str] = "as_it_is"
    bits: int

    def quantize(self, x: Tensor) -> Quantized:
        return Quantized(self, {"weight": x}, tuple(x.shape), x.dtype)

    def dequantize(self, parts: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return parts["weight"].to(dtype)


class FrozenWeight(nn.Module):
    """A weight in a format, or in its own dtype without one. Its parts are buffers, whose dtypes a cast leaves alone.

    Shapes: forward is x (…, I) → (…, O) by a weight (O, I)
    Raises: InputError, ShapeError, DtypeError for what the format does not take
    """

    def __init__(self, weight: Tensor, format: Format | None = None) -> None:
        super().__init__()
        stored = (format or _as_it_is(weight.dtype)).quantize(weight.detach())
        self.format, self.shape, self.dtype, self.names = format, stored.shape, stored.dtype, tuple(stored.parts)
        for name, part in stored.parts.items():
            self.register_buffer(name, part)

    @property
    def stored(self) -> Quantized:
        """What is stored: without a format its one part is the weight itself."""
        parts = {name: getattr(self, name) for name in self.names}
        return Quantized(self.format or _as_it_is(self.dtype), parts, self.shape, self.dtype)

    def dequantize(self, dtype: torch.dtype | None = None) -> Tensor:
        """The weight, nearly. Shapes: → (O, I)."""
        return self.stored.dequantize(dtype)

    def forward(self, x: Tensor) -> Tensor:
        return FrozenLinear.apply(x, self)

    def extra_repr(self) -> str:
        return f"{self.shape}, {self.format or self.dtype}"

    def _apply(self, fn: Any, recurse: bool = True) -> FrozenWeight:
        stored = self.stored
        super()._apply(fn, recurse)
        if self.format is not None:  # a cast of scales would make another weight: only the device may change
            for name, part in stored.to(getattr(self, self.names[0]).device).parts.items():
                setattr(self, name, part)
        self.dtype = fn(torch.empty(0, dtype=self.dtype)).dtype
        return self


def _as_it_is(dtype: torch.dtype) -> _AsItIs:
    return _AsItIs(8 * dtype.itemsize)


class FrozenLinear(torch.autograd.Function):
    """x Wᵀ for a weight that is not trained. Forwards and backwards the weight is read anew; nothing is saved.

    Shapes: x (…, I), weight (O, I) → (…, O)
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: FrozenWeight) -> Tensor:
        ctx.weight = weight
        return F.linear(x, weight.dequantize(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad @ ctx.weight.dequantize(grad.dtype), None
