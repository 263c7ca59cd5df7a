"""Products with a quantized weight that need no dequantized copy of it.

Shapes: x (…, in), a weight (out, in) → (…, out)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from breakthrough.quant import bnb
from breakthrough.quant.linear import Product
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.outliers import mixed_matmul
from breakthrough.quant.schemes import Scheme
from breakthrough.quant.weights import QuantWeight


def product(scheme: Scheme) -> Product | None:
    """The product that serves a scheme's linear layers, or None where the weight is dequantized for it."""
    if scheme.threshold is not None:
        return Mixed(scheme.threshold)
    return four_bit_row if isinstance(scheme.format, FourBit) and not scheme.format.levels else None


@dataclass(frozen=True)
class Mixed:
    """LLM.int8: activations in int8 too, but for the columns with an outlier.

    Source: Dettmers et al. 2022
    """

    threshold: float

    def __call__(self, x: Tensor, weight: QuantWeight) -> Tensor | None:
        """The product; None where a gradient is wanted, which rounded activations do not have."""
        if torch.is_grad_enabled() and x.requires_grad:
            return None
        parts = weight.stored.parts
        return mixed_matmul(x, parts["codes"], parts["scale"], self.threshold)


def four_bit_row(x: Tensor, weight: QuantWeight) -> Tensor | None:
    """bitsandbytes' product of one row with 4-bit codes on a GPU, where a token's time is the weight's bytes."""
    wanted = torch.is_grad_enabled() and x.requires_grad
    if not x.is_cuda or x.numel() != x.shape[-1] or x.dtype != weight.dtype or wanted or x.shape[-1] % weight.format.block:
        return None
    kernels = bnb.kernels(x.device)
    if kernels is None:
        return None
    form, parts = weight.format, weight.stored.parts
    codes, absmax = parts["codes"].view(-1, 1), form.absmax(parts)
    return kernels.gemv_4bit(x, codes, weight.layout.matrix_shape, absmax, form.codebook(x.device), form.block)
