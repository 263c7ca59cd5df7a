"""Products with a quantized weight that need no dequantized copy of it.

Shapes: x (…, in), a weight (out, in) → (…, out)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from breakthrough.quant import bnb
from breakthrough.quant.affine import is_int8_by_row
from breakthrough.quant.linear import Product
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.outliers import mixed_matmul
from breakthrough.quant.quantized import Format
from breakthrough.quant.schemes import Scheme
from breakthrough.quant.weights import QuantWeight

INT8_ROWS = 32  # with more rows torch's int8 kernel takes longer than to convert the codes first
FOUR_BIT_ROWS = 64  # with more rows its kernel takes longer than to write the weight out first
FOUR_BIT_OUTPUTS = 32  # that it computes at once
INT8_COLUMNS = 32  # it reads past the end of rows that are no whole number of its steps


def product(scheme: Scheme) -> Product | None:
    """The product that serves a scheme's linear layers, or None where the weight is dequantized for it."""
    if scheme.threshold is not None:
        return Mixed(scheme.threshold)
    return int8_codes if is_int8_by_row(scheme.format) else four_bit_codes if _four_bit(scheme.format) else None


@dataclass(frozen=True)
class Mixed:
    """LLM.int8: activations in int8 too, but for the columns with an outlier.

    Source: Dettmers et al. 2022
    """

    threshold: float

    def __call__(self, x: Tensor, weight: QuantWeight) -> Tensor | None:
        """The product; with the activations as they are where a gradient is wanted, which rounded ones do not have."""
        if _gradient_wanted(x) or not is_int8_by_row(weight.format):
            return int8_codes(x, weight)
        parts = weight.stored.parts
        return mixed_matmul(x, parts["codes"], parts["scale"], self.threshold)


def int8_codes(x: Tensor, weight: QuantWeight) -> Tensor | None:
    """The product with int8 codes, then with the scale of each output: on the CPU, where it spares most of the work.

    Codes are exact in bfloat16 and float32: the float weight's rounding gives way to one of the product. In
    float16 that could pass the largest number. In float32 for bfloat16 too, for a bias to be added before it is rounded.
    """
    floats = x.dtype in (torch.float32, torch.bfloat16)
    if x.device.type != "cpu" or not floats or not _as_stored(x, weight) or not is_int8_by_row(weight.format):
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


def _four_bit(form: Format | None) -> TypeGuard[FourBit]:
    return isinstance(form, FourBit) and not form.levels


def _as_stored(x: Tensor, weight: QuantWeight) -> bool:
    """Whether a product with the codes stands for one with the weight: its dtype, no float copy held, no autocast."""
    return x.dtype == weight.dtype and not weight.is_held and not torch.is_autocast_enabled(x.device.type)


def _gradient_wanted(x: Tensor) -> bool:
    return torch.is_grad_enabled() and x.requires_grad


def four_bit_codes(x: Tensor, weight: QuantWeight) -> Tensor | None:
    """bitsandbytes' product with 4-bit codes: of one row on a GPU, of some rows in bfloat16 on a CPU that has it."""
    form = weight.format
    if not _four_bit(form) or x.dtype != weight.dtype or _gradient_wanted(x):
        return None
    if form.block not in bnb.FOUR_BIT_BLOCKS or x.shape[-1] % form.block:
        return None
    if x.is_cuda:
        return _four_bit_row(x, weight, form)
    return _four_bit_rows(x, weight, form) if x.device.type == "cpu" else None


def _four_bit_row(x: Tensor, weight: QuantWeight, form: FourBit) -> Tensor | None:
    """One row on a GPU, where a token's time is the weight's bytes."""
    kernels = bnb.kernels(x.device)
    if x.numel() != x.shape[-1] or kernels is None:
        return None
    parts = weight.stored.parts
    codes, absmax = parts["codes"].view(-1, 1), form.absmax(parts)
    return kernels.gemv_4bit(x, codes, weight.layout.matrix_shape, absmax, form.codebook(x.device), form.block)


def _four_bit_rows(x: Tensor, weight: QuantWeight, form: FourBit) -> Tensor | None:
    """Rows in bfloat16 on the CPU, with a second copy of the codes in the kernel's order and absmax in bfloat16."""
    if torch.compiler.is_compiling():  # the number of rows is not known then
        return None
    outputs, inputs = weight.layout.matrix_shape
    fits = x.dtype == torch.bfloat16 and outputs % FOUR_BIT_OUTPUTS == 0 and 0 < x.numel() <= FOUR_BIT_ROWS * inputs
    if not fits or not _as_stored(x, weight) or not bnb.multiplies_four_bits() or (kernels := bnb.kernels(x.device)) is None:
        return None
    parts = weight.arranged(_by_outputs)
    rows = x.reshape(-1, inputs).contiguous()
    found = kernels.gemv_4bit(rows, parts["codes"], (outputs, inputs), parts["absmax"], form.codebook(x.device), form.block)
    return found.view(*x.shape[:-1], outputs)


def _by_outputs(weight: QuantWeight) -> dict[str, Tensor]:
    """4-bit codes as the CPU's kernel reads them: of 32 outputs, two inputs at a time.

    Shapes: codes (out · in / 2,) → (out, in / 2) uint8; absmax (out · in / block,) → (in / block, out) bfloat16
    """
    (outputs, inputs), parts = weight.layout.matrix_shape, weight.stored.parts
    codes, together = parts["codes"], FOUR_BIT_OUTPUTS
    pairs = torch.stack((codes >> 4, codes & 15), -1).view(-1, together, inputs // 2, 2)  # (out / 32, 32, in / 2, 2)
    low, high = pairs.transpose(1, 2).reshape(-1, 2, together).unbind(1)
    absmax = cast(FourBit, weight.format).absmax(parts).view(outputs, -1).t()
    return {"codes": (high << 4 | low).view(outputs, inputs // 2), "absmax": absmax.to(torch.bfloat16).contiguous()}
