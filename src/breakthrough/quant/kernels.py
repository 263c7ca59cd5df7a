"""Products with a quantized weight that need no dequantized copy of it.

Shapes: x (…, in), a weight (out, in) → (…, out)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from breakthrough.quant import bnb
from breakthrough.quant.affine import Affine
from breakthrough.quant.linear import Product
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.outliers import mixed_matmul
from breakthrough.quant.schemes import Scheme
from breakthrough.quant.weights import QuantWeight

INT8_ROWS = 32  # with more rows torch's int8 kernel takes longer than to convert the codes first
INT8_COLUMNS = 32  # it reads past the end of rows that are no whole number of its steps


def product(scheme: Scheme) -> Product | None:
    """The product that serves a scheme's linear layers, or None where the weight is dequantized for it."""
    if scheme.threshold is not None:
        return Mixed(scheme.threshold)
    form = scheme.format
    if isinstance(form, Affine) and form.bits == 8 and form.symmetric and form.axis == 0:
        return int8_codes
    return four_bit_row if isinstance(form, FourBit) and not form.levels else None


@dataclass(frozen=True)
class Mixed:
    """LLM.int8: activations in int8 too, but for the columns with an outlier.

    Source: Dettmers et al. 2022
    """

    threshold: float

    def __call__(self, x: Tensor, weight: QuantWeight) -> Tensor | None:
        """The product; with the activations as they are where a gradient is wanted, which rounded ones do not have."""
        if _gradient_wanted(x):
            return int8_codes(x, weight)
        parts = weight.stored.parts
        return mixed_matmul(x, parts["codes"], parts["scale"], self.threshold)


def int8_codes(x: Tensor, weight: QuantWeight) -> Tensor | None:
    """The product with int8 codes, then with the scale of each output: on the CPU, where it spares most of the work.

    Codes are exact in bfloat16 and float32: the float weight's rounding gives way to one of the product. In
    float16 that could pass the largest number. In float32 for bfloat16 too, for a bias to be added before it is rounded.
    """
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.bfloat16) or not _as_stored(x, weight):
        return None
    parts = weight.stored.parts
    codes = parts["codes"]
    if _int8_kernel_serves(x, codes):
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        found = torch._weight_int8pack_mm(rows, codes, rows.new_ones(len(codes))).view(*x.shape[:-1], len(codes))
    else:
        found = F.linear(x, codes.to(x.dtype))
    return found * parts["scale"]


def _int8_kernel_serves(x: Tensor, codes: Tensor) -> bool:
    """Whether torch's own kernel for int8 weights is there and the faster: few rows in bfloat16."""
    if x.dtype != torch.bfloat16 or _gradient_wanted(x) or torch.compiler.is_compiling():
        return False
    fits = 0 < x.numel() <= INT8_ROWS * x.shape[-1] and x.shape[-1] % INT8_COLUMNS == 0 and codes.is_contiguous()
    return fits and hasattr(torch, "_weight_int8pack_mm")


def _as_stored(x: Tensor, weight: QuantWeight) -> bool:
    """Whether a product with the codes stands for one with the weight: its dtype, no float copy held, no autocast."""
    return x.dtype == weight.dtype and not weight.is_held and not torch.is_autocast_enabled(x.device.type)


def _gradient_wanted(x: Tensor) -> bool:
    return torch.is_grad_enabled() and x.requires_grad


def four_bit_row(x: Tensor, weight: QuantWeight) -> Tensor | None:
    """bitsandbytes' product of one row with 4-bit codes on a GPU, where a token's time is the weight's bytes."""
    if not x.is_cuda or x.numel() != x.shape[-1] or x.dtype != weight.dtype or _gradient_wanted(x) or x.shape[-1] % weight.format.block:
        return None
    kernels = bnb.kernels(x.device)
    if kernels is None:
        return None
    form, parts = weight.format, weight.stored.parts
    codes, absmax = parts["codes"].view(-1, 1), form.absmax(parts)
    return kernels.gemv_4bit(x, codes, weight.layout.matrix_shape, absmax, form.codebook(x.device), form.block)
