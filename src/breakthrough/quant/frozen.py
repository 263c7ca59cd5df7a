"""Weights that are stored in few bits and no longer trained: read when they are used, kept by nobody.

Shape legend: B rows, I inputs, O outputs
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from breakthrough.quant.quantized import Format, Quantized


class FrozenWeight(nn.Module):
    """A weight in a format, or in its own dtype without one. Its parts are buffers, whose dtypes a cast leaves alone.

    Shapes: forward is x (…, I) → (…, O) by a weight (O, I)
    Raises: InputError, ShapeError, DtypeError for what the format does not take
    """

    def __init__(self, weight: Tensor, format: Format | None = None) -> None:
        super().__init__()
        weight = weight.detach()
        stored = Quantized(None, {"weight": weight}, tuple(weight.shape), weight.dtype) if format is None else format.quantize(weight)
        self.format, self.shape, self.dtype, self.names = format, stored.shape, stored.dtype, tuple(stored.parts)
        for name, part in stored.parts.items():
            self.register_buffer(name, part)

    @property
    def stored(self) -> Quantized:
        """What is stored: without a format its one part is the weight itself."""
        return Quantized(self.format, {name: getattr(self, name) for name in self.names}, self.shape, self.dtype)

    def dequantize(self, dtype: torch.dtype | None = None) -> Tensor:
        """The weight, nearly. Shapes: → (O, I)."""
        return self.weight.to(dtype or self.dtype) if self.format is None else self.stored.dequantize(dtype)

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
