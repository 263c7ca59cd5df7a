"""A product of 8-bit integers with the columns of outliers kept aside: LLM.int8.

Shape legend: T rows (tokens), d inputs, O outputs, K columns kept aside
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, DtypeError, ShapeError, expected
from breakthrough.quant.bnb import kernels
from breakthrough.quant.quantized import check_numbers

THRESHOLD = 6.0  # where the paper found outliers to begin
HIGHEST = 127


class Decomposed(NamedTuple):
    """Activations in int8, a scale a row, and the columns that stay as they were.

    Shapes: codes (T, d) int8, 0 in the columns kept aside; scale (T,) float32; columns (K,) int64, ascending
    """

    codes: Tensor
    scale: Tensor
    columns: Tensor


def outlier_columns(x: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """The columns in which some magnitude reaches the threshold; none for a threshold of 0.

    Shapes: x (T, d) → (K,) int64, ascending
    """
    _check_threshold(threshold)
    if not threshold:
        return torch.empty(0, dtype=torch.int64, device=x.device)
    return (x.abs() >= threshold).any(0).nonzero().flatten()


def decompose(x: Tensor, threshold: float = THRESHOLD) -> Decomposed:
    """Round rows of activations to int8, each by its largest magnitude below the threshold.

    Shapes: x (T, d) → codes (T, d), scale (T,), columns (K,)
    Raises: ShapeError, DtypeError, InputError for what is no finite matrix; ConfigError for a negative threshold
    Source: Dettmers et al. 2022, LLM.int8(), section 3
    """
    if x.dim() != 2:
        raise ShapeError(expected("rows of activations (T, d)", tuple(x.shape), "x.flatten(0, -2)"))
    check_numbers(x)
    columns = outlier_columns(x, threshold)
    if len(columns):  # only the outliers themselves leave the row's absmax, as in bitsandbytes
        x = x.masked_fill(x.abs() >= threshold, 0)
    absmax = x.abs().amax(1).float()  # (T,)
    codes = (x * (HIGHEST / absmax)[:, None]).nan_to_num_(0).round_().to(torch.int8)
    return Decomposed(codes.index_fill_(1, columns, 0), absmax / HIGHEST, columns)


def mixed_matmul(x: Tensor, codes: Tensor, scale: Tensor, threshold: float = THRESHOLD, bias: Tensor | None = None) -> Tensor:
    """x · Wᵀ with W in int8, a scale a row: integers times integers, and the outliers' columns in x's own precision.

    Shapes: x (…, d), codes (O, d) int8, scale (O,) → (…, O) of x's dtype
    Raises: ShapeError, DtypeError when they do not fit; InputError for NaN and infinities
    Source: Dettmers et al. 2022, LLM.int8(), eq. 8
    """
    _check_weight(x, codes, scale)
    rows = x.reshape(-1, x.shape[-1])
    if not len(rows):
        return x.new_zeros(*x.shape[:-1], len(codes))
    kept = decompose(rows, threshold)
    y = integer_product(kept.codes, codes) * (kept.scale[:, None] * scale)  # (T, O) float32
    if len(kept.columns):
        aside = codes[:, kept.columns].to(x.dtype) * scale.to(x.dtype)[:, None]  # (O, K)
        y = y + rows[:, kept.columns] @ aside.t()
    y = y if bias is None else y + bias
    return y.to(x.dtype).view(*x.shape[:-1], len(codes))


def integer_product(a: Tensor, b: Tensor) -> Tensor:
    """a · bᵀ of 8-bit integers, exactly.

    Shapes: a (T, d) int8, b (O, d) int8 → (T, O) int32
    """
    exact = a.is_cuda or torch.backends.cpu.get_cpu_capability() == "AVX512"  # elsewhere bitsandbytes sums in float32
    if exact and (fast := kernels(a.device)):
        return fast.int8_linear_matmul.default(a, b)
    return (a.double() @ b.double().t()).to(torch.int32)


def _check_threshold(threshold: float) -> None:
    if not (math.isfinite(threshold) and threshold >= 0):
        raise ConfigError(expected("a threshold of 0 (no outliers) or more", threshold, f"{THRESHOLD}"))


def _check_weight(x: Tensor, codes: Tensor, scale: Tensor) -> None:
    if codes.dtype != torch.int8:
        raise DtypeError(expected("a weight in int8", codes.dtype, "Affine(bits=8, axis=0).quantize(weight)"))
    if codes.dim() != 2 or x.dim() < 1 or x.shape[-1] != codes.shape[1]:
        raise ShapeError(expected("x (…, d) and a weight (O, d)", f"{tuple(x.shape)} and {tuple(codes.shape)}"))
    if tuple(scale.shape) != (len(codes),):
        raise ShapeError(expected(f"a scale for each of {len(codes)} rows", tuple(scale.shape), "Affine(bits=8, axis=0)"))
