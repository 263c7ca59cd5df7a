"""Module 4: LLM.int8's product, the outlier columns kept aside.

Shapes: T tokens, d the width, o outputs
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.quant_outlier_wrong import MISCONCEPTIONS


def mixed_product(x: Tensor, w: Tensor, threshold: float) -> Tensor:
    """Multiply x by wᵀ in 8 bits, all but the columns of x that hold an outlier.

    Why:    in large language models a few columns of the activations are twenty times as large as the rest.
            One such number sets the scale of its row, and the others round to nothing
    Shapes: x (T, d), w (o, d), both of one float dtype → (T, o) of that dtype
    Units:  a column of x is an outlier when |value| ≥ threshold for any token. Each row of w has one scale, its
            largest |value| / 127, over all columns: w is stored before any x comes. Each row of x has one, its
            largest |value| / 127 over the columns that are no outliers. A scale that would be 0 is 1.
            Codes are value / scale, rounded to the nearest (halves to even), int8. Columns that are no outliers:
            codes times codes, summed up exactly, times both scales (int32 holds the sum; so does float64, and
            torch multiplies no int32 matrices on a GPU). Outlier columns: the numbers of x and w as they are.
            The result is the sum of both. All columns may be outliers, or none
    Source: Dettmers et al. 2022, arXiv:2208.07339
    """

    def codes(rows: Tensor) -> tuple[Tensor, Tensor]:  # (n, d) → (n, d) int8, (n, 1)
        scale = rows.abs().amax(dim=1, keepdim=True) / 127
        scale = torch.where(scale == 0, 1, scale)
        return (rows / scale).round().to(torch.int8), scale

    outlier = (x.abs() >= threshold).any(dim=0)  # (d,)
    x_codes, x_scale = codes(x.masked_fill(outlier, 0))  # zeros add nothing to the product
    w_codes, w_scale = codes(w)
    product = x_codes.double() @ w_codes.double().T  # (T, o), exact as int32 is, and on a GPU too
    return product.to(x.dtype) * x_scale * w_scale.T + x[:, outlier] @ w[:, outlier].T


def _by_columns(x, w, threshold):
    biggest = x.abs().max(0).values
    keep, aside = (biggest < threshold).nonzero()[:, 0], (biggest >= threshold).nonzero()[:, 0]
    out = torch.einsum("td,od->to", x[:, aside], w[:, aside])
    if not len(keep):
        return out
    sx, sw = x[:, keep].abs().amax(1) / 127, w.abs().amax(1) / 127
    sx[sx == 0], sw[sw == 0] = 1.0, 1.0
    codes = torch.round(x[:, keep] / sx[:, None]).int(), torch.round(w / sw[:, None])[:, keep].int()
    return out + (codes[0][:, None] * codes[1]).sum(-1) * torch.outer(sx, sw)


def _number_by_number(x, w, threshold):
    d, tiny = x.shape[1], 1e-30
    aside = [any(abs(float(v)) >= threshold for v in x[:, j]) for j in range(d)]
    rest = torch.stack([torch.zeros_like(x[:, j]) if aside[j] else x[:, j] for j in range(d)], dim=1)
    sx, sw = (torch.tensor([float(row.abs().max()) / 127 or tiny for row in m], dtype=x.dtype) for m in (rest, w))
    out = x.new_zeros(len(x), len(w))
    for t in range(len(x)):
        for o in range(len(w)):
            total = int((torch.round(rest[t] / sx[t]).int() * torch.round(w[o] / sw[o]).int()).sum())
            exact = sum(float(x[t, j]) * float(w[o, j]) for j in range(d) if aside[j])
            out[t, o] = total * float(sx[t]) * float(sw[o]) + exact
    return out


def _in_numpy(x, w, threshold):
    a, b = x.cpu().numpy(), w.cpu().numpy()
    high = np.abs(a).max(axis=0) >= threshold
    rest = np.where(high, a.dtype.type(0), a)

    def stored(rows):
        steps = np.abs(rows).max(axis=1) / a.dtype.type(127)
        steps[steps == 0] = 1
        return np.rint(rows / steps[:, None]).astype(np.int64), steps

    (left, left_steps), (right, right_steps) = stored(rest), stored(b)
    out = (left @ right.T) * np.outer(left_steps, right_steps) + np.compress(high, a, axis=1) @ np.compress(high, b, axis=1).T
    return torch.from_numpy(out.astype(a.dtype)).to(x.device)


def _rows(n: int, d: int, generator: Generator, dtype: torch.dtype, free: Tensor | None = None) -> Tensor:
    """Rows whose numbers lie clearly nearer to one code than to the next; each has a largest, of either sign.

    `free` are the columns where the largest may stand. Shapes: → (n, d)
    """
    free = torch.arange(d) if free is None else free
    codes = torch.randint(-126, 127, (n, d), generator=generator)
    codes = codes + 0.8 * torch.rand(n, d, generator=generator, dtype=torch.float64) - 0.4
    places = free[torch.randint(len(free), (n,), generator=generator)]
    codes[torch.arange(n), places] = 127.0 * (1 - 2 * torch.randint(2, (n,), generator=generator)).double()
    return (codes * (0.5 + torch.rand(n, 1, generator=generator)) / 127).to(dtype)


def _case(label: str, sizes: tuple[int, int, int], aside: int, threshold: float, generator: Generator, dtype=torch.float32) -> Case:
    """x and w with `aside` outlier columns: one is large at a single token and negative there."""
    tokens, d, outputs = sizes
    order = torch.randperm(d, generator=generator)
    x = _rows(tokens, d, generator, dtype, order[aside:] if aside < d else None)
    w = _rows(outputs, d, generator, dtype)
    if aside:  # an output whose largest weight stands in an outlier column
        w[:1] = _rows(1, d, generator, dtype, order[:aside])
    for i, j in enumerate(order[:aside].tolist()):
        rows = slice(None) if i % 2 else int(torch.randint(tokens, (), generator=generator))
        large = threshold * (1.5 + 5 * torch.rand(tokens, generator=generator, dtype=dtype))
        x[rows, j] = large[rows] if i % 2 else -large[rows]
    return Case(label, (x, w, threshold))


def _cases(generator: Generator) -> Iterator[Case]:
    yield Case(
        "by hand: one token, one outlier",
        (torch.tensor([[1.27, -0.3, 20.0]]), torch.tensor([[0.5, 1.27, 0.25], [-2.54, 0.6, 1.0]]), 6.0),
    )
    yield _case("12 tokens, 40 wide, 3 outliers", (12, 40, 7), 3, 6.0, generator)
    yield _case("no outliers", (5, 24, 6), 0, 6.0, generator)
    exact = _case("a column that reaches the threshold exactly", (6, 16, 5), 1, 2.0, generator)
    x = exact.args[0]
    column = int(x.abs().amax(0).argmax())
    x[:, column] = x[:, column].clamp(-1, 1)
    x[-1, column] = -2.0
    yield exact
    x, w, threshold = _case("a row of zeros", (5, 20, 4), 2, 6.0, generator).args
    x[2], w[1] = 0.0, 0.0
    yield Case("a token of zeros, an output of zeros", (x, w, threshold))
    yield _case("every column is an outlier", (3, 2, 4), 2, 0.4, generator)
    yield _case("float64, 8 outliers", (7, 48, 5), 8, 3.5, generator, torch.float64)


EXERCISES = (
    Exercise(
        name="quant.outlier",
        title="Outliers kept aside: LLM.int8's product",
        points=6,
        minutes=35,
        difficulty=2,
        reference=mixed_product,
        cases=_cases,
        compare=close(rtol=1e-4, atol=2e-5),
        alternatives=(_by_columns, _number_by_number, _in_numpy),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Two products, added up: a narrow one in floating point over the few loud columns, a wide one in 8 bits over all others. What was kept aside must have no say in the scales of x, and must not be counted a second time.",
            "|x| ≥ threshold (T, d) bool → any over the tokens → outlier (d,); x without the outlier columns → largest of each row (T, 1) → codes (T, d) int8; w → largest of each row (o, 1) → codes (o, d) int8; codes as int32 or float64 → (T, o), times (T, 1), times (1, o); x[:, outlier] (T, a) times w[:, outlier]ᵀ (a, o)",
            "outlier = for each column: any |x| ≥ threshold\nrest = x with its outlier columns set to 0\nfor rest and for w: scale = largest |value| of each row / 127, 1 where that is 0\n                    codes = round(value / scale) as int8\ninside = (codes of rest) times (codes of w) transposed, in int32 or float64, times both scales\nreturn inside + x[:, outlier] times w[:, outlier] transposed",
        ),
    ),
)
