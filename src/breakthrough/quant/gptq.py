"""GPTQ: round a weight column by column, and let the columns that are left make up for each error.

Shape legend: G separate weights in one tensor, N outputs, K inputs (columns).

What is kept small is not W − Q but (W − Q) x over the inputs x that were seen, tr((W − Q) H (W − Q)ᵀ).
When column j has been rounded to Q_j, the best that the columns after it can do is to move by
−(W_j − Q_j) / U_jj · U_j, where U is the upper Cholesky factor of H⁻¹ (U' U = H⁻¹): each of its rows is
what the inverse Hessian says once the columns before are fixed. So one factorization serves all columns,
and all rows of W are rounded at once.

The grid does not move on the way: the scales are those that the format stores, themselves rounded, and a
column goes to the levels that will be read back.
"""

from __future__ import annotations

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, ShapeError, expected
from breakthrough.quant.grid import Grid, check_levelled, fit, grid_of, store
from breakthrough.quant.hessian import Hessian
from breakthrough.quant.quantized import Format, Quantized, check_numbers

BLOCK = 64  # columns whose errors are carried beyond the block in one product


def gptq(
    weight: Tensor,
    hessian: Hessian,
    format: Format,
    *,
    damp: float = 0.01,
    sort: bool = True,
    clip: bool = False,
) -> Quantized:
    """A weight in a format, rounded for its outputs: never further off on the inputs seen than by rounding.

    Columns that met no input are rounded to the nearest level. `sort` takes the columns with the largest
    inputs first, while many are left to make up for them. `clip` chooses each scale by what it loses, weighted
    with the inputs, instead of by the largest number: a gain where many numbers share a scale and levels are
    few (a quarter to a half of the rise in perplexity at 3 bits a channel), none in blocks of 64 at 4 bits.

    Shapes: weight (…) with its inputs along `hessian.axis`
    Units:  damp is added to the Hessian's diagonal, as a share of its mean
    Raises: ShapeError when the Hessian is of another weight; ConfigError for damp ≤ 0 or a format without levels
    Source: Frantar et al. 2023, arXiv 2210.17323
    """
    if damp <= 0:
        raise ConfigError(expected("damp above 0", damp))
    levelled = check_levelled(format)
    w = check_numbers(weight).detach().float()
    rows, matrix = hessian.rows(w), damped(hessian.matrix, damp)
    scales = fit(levelled, w, _importance(hessian, matrix, w) if clip else None)
    grid = grid_of(levelled, scales, weight).map(hessian.rows)  # (G, N, K)
    rounded = sweep_columns(rows, matrix, grid, sort)
    codes = hessian.restore(grid.codes(_no_worse(rows, rounded, grid, hessian)), w.shape)
    return _better(w, hessian, store(levelled, scales, codes, weight), format.quantize(weight.detach()))


def damped(matrix: Tensor, damp: float) -> Tensor:
    """A Hessian that can be inverted: a share of the diagonal's mean added to it, 1 where no input came.

    Shapes: (G, K, K) → (G, K, K), float64
    """
    out = matrix.double().clone()
    diagonal = out.diagonal(dim1=-2, dim2=-1)  # a view
    dead = diagonal == 0
    diagonal += damp * diagonal.mean(-1, keepdim=True)
    diagonal[dead] = 1.0
    return out


def inverse_factor(matrix: Tensor) -> Tensor:
    """The upper Cholesky factor U of the inverse: U' U = H⁻¹. Shapes: (…, K, K) → (…, K, K)."""
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
    return torch.linalg.cholesky(inverse, upper=True)


def sweep_columns(rows: Tensor, matrix: Tensor, grid: Grid, sort: bool = False) -> Tensor:
    """GPTQ's own pass: every column rounded in turn, its error carried to those after it.

    Shapes: rows (G, N, K), matrix (G, K, K), a grid over (G, N, K) → (G, N, K) of values on the grid
    Raises: ShapeError when they do not fit each other
    """
    if rows.ndim != 3 or matrix.shape != (rows.shape[0], rows.shape[2], rows.shape[2]):
        raise ShapeError(expected("rows (G, N, K) and a matrix (G, K, K)", f"{tuple(rows.shape)} and {tuple(matrix.shape)}"))
    if not sort:
        return _sweep(rows, matrix, grid)
    order = matrix.diagonal(dim1=-2, dim2=-1).argsort(dim=-1, descending=True, stable=True)  # (G, K)
    there = order[:, None].expand_as(rows)
    back = order.argsort(-1)[:, None].expand_as(rows)
    turned = matrix.gather(1, order[:, :, None].expand_as(matrix)).gather(2, order[:, None].expand_as(matrix))
    moved = _sweep(rows.gather(-1, there), turned, grid.map(lambda x: x.gather(-1, there)))
    return moved.gather(-1, back)


def _sweep(rows: Tensor, matrix: Tensor, grid: Grid) -> Tensor:
    factor = inverse_factor(matrix).to(rows.dtype)  # (G, K, K)
    left, out = rows.clone(), torch.empty_like(rows)
    for start in range(0, rows.shape[-1], BLOCK):
        end = min(start + BLOCK, rows.shape[-1])
        errors = torch.empty_like(left[..., start:end])
        for j in range(start, end):
            column = left[..., j]  # (G, N)
            out[..., j] = grid.nearest(column, j)
            error = (column - out[..., j]) / factor[:, j, j, None]
            left[..., j + 1 : end] -= error[..., None] * factor[:, None, j, j + 1 : end]
            errors[..., j - start] = error
        left[..., end:] -= errors @ factor[:, start:end, end:]
    return out


def _no_worse(rows: Tensor, rounded: Tensor, grid: Grid, hessian: Hessian) -> Tensor:
    """Each output as rounded, or as plain rounding to the same grid has it where that is better."""
    plain = grid.nearest(rows)
    better = hessian.row_errors(rows - plain) < hessian.row_errors(rows - rounded)  # (G, N)
    return torch.where(better[..., None], plain, rounded)


def _better(w: Tensor, hessian: Hessian, new: Quantized, plain: Quantized) -> Quantized:
    # scales that were chosen a group at a time can be worse together: rounding remains the floor
    errors = (hessian.error(w, one.dequantize(torch.float32)) for one in (new, plain))
    return new if next(errors) <= next(errors) else plain


def _importance(hessian: Hessian, matrix: Tensor, w: Tensor) -> Tensor:
    """How much an error in each number of a weight costs by itself. Shapes: (G, K, K) → as the weight."""
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)[:, None]  # (G, 1, K)
    return hessian.restore(diagonal.expand_as(hessian.rows(w)), w.shape)
