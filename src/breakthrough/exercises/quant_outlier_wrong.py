"""Module 4: wrong mixed products, for quant.outlier.

Shapes: T tokens, d the width, o outputs
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from breakthrough.exercises.exercise import Misconception


def _columns(x, threshold):
    return (x.abs() >= threshold).any(dim=0, keepdim=True).expand_as(x)


def _row_scale(rows):
    scale = rows.abs().amax(dim=1, keepdim=True) / 127
    return torch.where(scale == 0, 1, scale)


def _nearest(rows, scale):
    return (rows / scale).round()


def _exact(a, b):
    return a.to(torch.int64) @ b.to(torch.int64).T


def _rest_of(x, aside):
    return x.masked_fill(aside, 0)


def _wrong(
    aside: Callable[[Tensor, float], Tensor] = _columns, rest: Callable[[Tensor, Tensor], Tensor] = _rest_of,
    x_from: Callable[[Tensor, Tensor], Tensor] = _rest_of, w_from: Callable[[Tensor, Tensor], Tensor] = lambda w, aside: w,
    x_scale: Callable[[Tensor], Tensor] = _row_scale, w_scale: Callable[[Tensor], Tensor] = _row_scale,
    codes: Callable[[Tensor, Tensor], Tensor] = _nearest, product: Callable[[Tensor, Tensor], Tensor] = _exact,
    scaled: Callable[..., Tensor] = lambda y, sx, sw: y * sx * sw.T, outside: Any = lambda x, w, aside: (x * aside) @ w.T,
) -> Callable[[Tensor, Tensor, float], Tensor]:  # fmt: skip
    """A mixed product that differs in what is given; `x_from` and `w_from` are what the scales are taken from."""

    def answer(x, w, threshold):
        loud = aside(x, threshold)  # (T, d)
        sx, sw = x_scale(x_from(x, loud)), w_scale(w_from(w, loud))
        inside = product(codes(rest(x, loud), sx).to(torch.int8), codes(w, sw).to(torch.int8))
        return (scaled(inside, sx, sw) + outside(x, w, loud)).to(x.dtype)

    return answer


def _clipped(rows, scale):
    return (rows / scale).round().clamp(-127, 127)


def _of_all(tensor):
    return (tensor.abs().max() / 127).expand(len(tensor), 1)


def _signed_largest(rows):
    scale = rows.amax(dim=1, keepdim=True) / 127
    return torch.where(scale == 0, 1, scale)


def _divided_by(levels):
    return lambda rows: _row_scale(rows) * 127 / levels


def _per_column(x, w, threshold):
    """Each column of both with a scale of its own, dequantized before the product."""
    loud = _columns(x, threshold)
    rest = x.masked_fill(loud, 0)
    sx, sw = (torch.where(m.abs().amax(0) == 0, 1, m.abs().amax(0) / 127) for m in (rest, w))
    return ((rest / sx).round() * sx) @ ((w / sw).round() * sw).T + (x * loud) @ w.T


def _columns_left(largest: Callable[[Tensor], Tensor], guard: bool) -> Callable[[Tensor, Tensor, float], Tensor]:
    """The columns that are no outliers are cut out, not set to 0: there may be none."""

    def answer(x, w, threshold):
        loud = _columns(x, threshold)[0]
        sx, sw = largest(x[:, ~loud].abs()) / 127, w.abs().amax(1) / 127
        if guard:
            sx, sw = torch.where(sx == 0, 1, sx), torch.where(sw == 0, 1, sw)
        codes = (x[:, ~loud] / sx[:, None]).round(), (w / sw[:, None]).round()[:, ~loud]
        return ((codes[0].double() @ codes[1].double().T) * sx[:, None] * sw + x[:, loud] @ w[:, loud].T).to(x.dtype)

    return answer


def _unguarded(x, w, threshold):
    loud = _columns(x, threshold)
    rest = x.masked_fill(loud, 0)
    sx, sw = (rows.abs().amax(1) / 127 for rows in (rest, w))
    codes = (rest / sx[:, None]).round(), (w / sw[:, None]).round()
    return ((codes[0].double() @ codes[1].double().T) * sx[:, None] * sw + (x * loud) @ w.T).to(x.dtype)


def _amax(rows):
    return rows.amax(1)


def _max(rows):
    return rows.max(1).values


def _any_amax(rows):
    return rows.amax(1) if rows.shape[1] else rows.new_full((len(rows),), 127.0)


def _wrapped(a, b):
    return (a.to(torch.int64) @ b.to(torch.int64).T).to(torch.int8)


MISCONCEPTIONS = (
    Misconception(
        "scale with the outliers in",
        _wrong(x_from=lambda x, aside: x),
        "The scale of x's rows still comes from the outliers, so keeping them aside gained nothing: take the largest |value| of the columns that are left.",
    ),
    Misconception(
        "nothing kept aside",
        _wrong(aside=lambda x, threshold: torch.zeros_like(x, dtype=torch.bool)),
        "All columns went through 8 bits, the outliers too: find the columns with any |value| ≥ threshold and multiply those as they are.",
    ),
    Misconception(
        "outliers dropped",
        _wrong(outside=lambda x, w, aside: 0),
        "The outlier columns are missing from the result: add x[:, outlier] times w[:, outlier]ᵀ.",
    ),
    Misconception(
        "outliers counted twice",
        _wrong(rest=lambda x, aside: x, codes=_clipped),
        "The outlier columns are in both products: set them to 0, or leave them out, before the one in 8 bits.",
        variants=(_wrong(rest=lambda x, aside: x, x_from=lambda x, aside: x), _wrong(rest=lambda x, aside: x)),
    ),
    Misconception(
        "values kept aside",
        _wrong(aside=lambda x, threshold: x.abs() >= threshold),
        "Single values were kept aside: a matrix product needs whole columns, so a column is an outlier for all tokens when it is for any.",
    ),
    Misconception(
        "tokens kept aside",
        _wrong(aside=lambda x, threshold: (x.abs() >= threshold).any(dim=1, keepdim=True).expand_as(x)),
        "Whole tokens were kept aside: `any` has to run over the tokens, dim 0, and to leave one answer a column.",
    ),
    Misconception(
        "for all tokens",
        _wrong(aside=lambda x, threshold: (x.abs() >= threshold).all(dim=0, keepdim=True).expand_as(x)),
        "Only columns that are large at every token were kept aside: one token is enough, any(dim=0), not all.",
    ),
    Misconception(
        "zeros divided by zero",
        _unguarded,
        "A row of zeros has the scale 0, and 0 / 0 is no number: make such a scale 1.",
        variants=(_columns_left(_amax, False), _columns_left(_max, False), _columns_left(_any_amax, False)),
    ),
    Misconception(
        "no column left",
        _columns_left(_amax, True),
        "When every column is an outlier, none is left, and of no numbers there is no largest: set the outlier columns to 0 where they were cut out, or treat that case apart.",
        variants=(_columns_left(_max, True),),
    ),
    Misconception(
        "without the sign",
        _wrong(aside=lambda x, threshold: (x >= threshold).any(dim=0, keepdim=True).expand_as(x)),
        "Large negative numbers were not seen as outliers: compare x.abs() with the threshold.",
    ),
    Misconception(
        "above only",
        _wrong(aside=lambda x, threshold: (x.abs() > threshold).any(dim=0, keepdim=True).expand_as(x)),
        "A column that reaches the threshold exactly is an outlier too: ≥, not >.",
    ),
    Misconception(
        "int8 wraps",
        _wrong(product=_wrapped),
        "The sum was taken in int8, where it wraps beyond 127: make the codes int32 or float64 before they are multiplied.",
    ),
    Misconception(
        "one scale for all",
        _wrong(x_scale=_of_all, w_scale=_of_all),
        "One scale served a whole matrix: each row of x and each row of w has its own, amax(dim=1, keepdim=True) / 127.",
        variants=(_wrong(x_scale=_of_all), _wrong(w_scale=_of_all)),
    ),
    Misconception(
        "a scale for each column",
        _per_column,
        "The scales go along the columns, which are summed over: they cannot be taken out of the sum, so an integer product is not possible; take one for each row, dim 1.",
    ),
    Misconception(
        "w by the columns left",
        _wrong(w_from=lambda w, aside: w.masked_fill(aside[:1], 0)),
        "The scale of w was taken over the columns that are left: w is stored in 8 bits before any x comes, so its scales cannot depend on x's outliers.",
    ),
    Misconception(
        "a scale forgotten",
        _wrong(scaled=lambda y, sx, sw: y * sx),
        "A scale is missing: the product of codes has to be multiplied by the scale of x's row and by that of w's.",
        variants=(_wrong(scaled=lambda y, sx, sw: y * sw.T), _wrong(scaled=lambda y, sx, sw: y)),
    ),
    Misconception(
        "divided by the scales",
        _wrong(scaled=lambda y, sx, sw: y / sx / sw.T),
        "The product was divided by the scales: codes are value / scale, so the way back multiplies.",
    ),
    Misconception(
        "largest without abs",
        _wrong(x_scale=_signed_largest, w_scale=_signed_largest),
        "The scale was taken from the largest value, not the largest |value|: negative numbers beyond it wrap in int8.",
        variants=(_wrong(x_scale=_signed_largest), _wrong(w_scale=_signed_largest)),
    ),
    Misconception(
        "other levels",
        _wrong(x_scale=_divided_by(128), w_scale=_divided_by(128), codes=_clipped),
        "The largest |value| of a row has to get the code 127: divide it by 127, neither by 128 (which int8 has not) nor by 255.",
        variants=(
            _wrong(x_scale=_divided_by(128), w_scale=_divided_by(128)),
            _wrong(x_scale=_divided_by(255), w_scale=_divided_by(255), codes=_clipped),
            _wrong(x_scale=_divided_by(255), w_scale=_divided_by(255)),
        ),
    ),
    Misconception(
        "cut off",
        _wrong(codes=lambda rows, scale: (rows / scale).trunc()),
        "The codes were cut off, not rounded, as `.to(torch.int8)` does: call round() first.",
        variants=(_wrong(codes=lambda rows, scale: (rows / scale).floor()),),
    ),
)
