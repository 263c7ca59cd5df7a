"""A linear layer whose weight is quantized, and the kernels that take it as it is.

Shapes: x (…, in) → (…, out)
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough.quant.weights import QuantWeight

Product = Callable[[Tensor, QuantWeight], Tensor | None]


class QuantLinear(nn.Module):
    """A linear layer on a quantized weight.

    `product` computes x·Wᵀ from the parts, in x's dtype or a wider one, or gives None for an x that it has no
    kernel for; then, and without a product, the weight is dequantized first. GPT-2's linear layers keep their weight (in, out):
    `weight` then shows it so.

    Shapes: (…, in) → (…, out)
    """

    bias: nn.Parameter | None

    def __init__(self, weight: QuantWeight, bias: nn.Parameter | None, product: Product | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.layout.matrix_shape
        self.weight_stored = weight
        self.register_parameter("bias", bias)
        self.product = product

    @property
    def weight(self) -> Tensor:
        """The weight, dequantized, the way round that the layer had it."""
        return self.weight_stored()

    def forward(self, x: Tensor) -> Tensor:
        y = self.product(x, self.weight_stored) if self.product else None
        if y is None:
            weight = self.weight.t() if self.weight_stored.layout.swapped else self.weight
            return F.linear(x, weight, self.bias)
        return (y if self.bias is None else y + self.bias).to(x.dtype)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
