"""Module 4: GPTQ, the error of a column carried on to those not yet quantized.

Shapes: o outputs, d inputs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Generator, Tensor

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception


def gptq(w: Tensor, hessian: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Quantize a weight column by column, and let the columns that are left make good each one's error.

    Why:    rounding each weight for itself forgets that inputs go together: what one column does too much its
            neighbours can do too little, and on the data the layer then answers nearly as before
    Shapes: w (o, d), hessian (d, d) = X Xᵀ of the inputs, positive definite, both float64; scale (o, 1)
            → (o, d), the quantized weights as numbers: code · scale
    Units:  codes are round(weight / scale) within −n … n, n = 2^(bits − 1) − 1. U is the upper triangular factor of
            H⁻¹ = UᵀU with a positive diagonal. For the columns j = 0, 1, …: quantize column j as it is by now;
            e = (column j − quantized column j) / U[j, j]; from each later column k take e · U[j, k]. w and
            hessian stay as they were
    Source: Frantar et al. 2022, arXiv:2210.17323
    """
    n = 2 ** (bits - 1) - 1
    upper = torch.linalg.cholesky(torch.linalg.inv(hessian), upper=True)  # (d, d)
    left, out = w.clone(), torch.zeros_like(w)
    for j in range(w.shape[1]):
        out[:, j] = (left[:, j] / scale[:, 0]).round().clamp(-n, n) * scale[:, 0]
        error = (left[:, j] - out[:, j]) / upper[j, j]  # (o,)
        left[:, j + 1 :] -= torch.outer(error, upper[j, j + 1 :])
    return out


def _inverse_each_time(w, hessian, scale, bits):
    """The same from the inverse of what is left of the Hessian, computed anew for every column."""
    n, columns, done = 2 ** (bits - 1) - 1, w.clone(), []
    for j in range(w.shape[1]):
        inverse = torch.linalg.inv(hessian[j:, j:])
        column = columns[:, :1]
        done.append(torch.clamp(torch.round(column / scale), -n, n) * scale)
        columns = columns[:, 1:] - (column - done[-1]) / inverse[0, 0] * inverse[0:1, 1:]
    return torch.cat(done, dim=1)


def _eliminated(w, hessian, scale, bits):
    """One inverse, from which each column is eliminated when it is done; all in one matrix."""
    n, q, inverse = 2 ** (bits - 1) - 1, w.clone(), hessian.inverse()
    for j in range(q.shape[1]):
        before = q[:, j].clone()
        rounded = (before / scale.squeeze(1)).round().clip(-n, n) * scale.squeeze(1)
        q += (rounded - before)[:, None] * (inverse[j] / inverse[j, j])[None, :]
        inverse = inverse - inverse[:, j : j + 1] @ inverse[j : j + 1, :] / inverse[j, j]
        q[:, j] = rounded
    return q


def _looking_back(w, hessian, scale, bits):
    """Nothing is taken from later columns: each one sums up what the errors before it have left for it."""
    n, weights, step = 2 ** (bits - 1) - 1, w.cpu().numpy(), scale.cpu().numpy()[:, 0]
    lower = np.linalg.cholesky(np.linalg.inv(hessian.cpu().numpy()))  # Uᵀ
    errors, out = np.zeros_like(weights), np.zeros_like(weights)
    for j in range(weights.shape[1]):
        now = weights[:, j] - errors[:, :j] @ lower[j, :j]
        out[:, j] = np.clip(np.rint(now / step), -n, n) * step
        errors[:, j] = (now - out[:, j]) / lower[j, j]
    return torch.from_numpy(out).to(w.device)


def _factor(hessian: Tensor) -> Tensor:
    return torch.linalg.cholesky(torch.linalg.inv(hessian), upper=True)


def _clamped(x: Tensor, n: int) -> Tensor:
    return x.round().clamp(-n, n)


def _wrong(
    factor: Callable[[Tensor], Tensor] = _factor,
    share: Callable[[Tensor, int], Tensor] = lambda u, j: u[j] / u[j, j],
    codes: Callable[[Tensor, int], Tensor] = _clamped,
    error: Callable[..., Tensor] = lambda now, done, original: now - done,
    order: Callable[[int], range] = range,
    later: bool = True,
    largest: Callable[[int], int] = lambda bits: 2 ** (bits - 1) - 1,
    finish: Callable[[Tensor, Tensor], Tensor] = lambda out, scale: out,
    sign: float = 1.0,
) -> Callable[..., Tensor]:
    """A GPTQ that differs in what is given; `share` is what each column gets of the error of column j."""

    def answer(w, hessian, scale, bits):
        u, now, n, done = factor(hessian), w.clone(), largest(bits), []
        out = torch.zeros_like(w)
        for j in order(w.shape[1]):
            out[:, j] = codes(now[:, j] / scale[:, 0], n) * scale[:, 0]
            done.append(j)
            moved = torch.outer(error(now[:, j], out[:, j], w[:, j]), share(u, j)) * sign
            if later:
                moved[:, done] = 0
            now -= moved
            if not later:  # also the columns that are done move
                out -= moved
        return finish(out, scale)

    return answer


def _reverse_factor(hessian: Tensor) -> Tensor:
    return torch.linalg.inv(torch.linalg.cholesky(hessian)).T


NEVER = _wrong(share=lambda u, j: torch.zeros_like(u[j]))


def _problem(outputs: int, d: int, generator: Generator, together: float) -> tuple[Tensor, Tensor]:
    """A weight and the Hessian of inputs that go together. Shapes: → (o, d), (d, d)"""
    mix = torch.eye(d, dtype=torch.float64) + together * torch.randn(d, d, generator=generator, dtype=torch.float64) / d**0.5
    x = mix @ torch.randn(d, 4 * d, generator=generator, dtype=torch.float64)
    return torch.randn(outputs, d, generator=generator, dtype=torch.float64), x @ x.T / (4 * d) + 0.01 * torch.eye(d)


def _cases(generator: Generator) -> Iterator[Case]:
    def case(label, outputs, d, bits, together=1.5, reach=1.0):
        w, hessian = _problem(outputs, d, generator, together)
        scale = reach * w.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        return Case(label, (w, hessian, scale, bits))

    one = torch.ones(1, 1, dtype=torch.float64)
    by_hand = torch.tensor([[0.6, 0.6]]).double(), torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double()
    yield Case("two columns, by hand", (*by_hand, one, 3))
    yield case("6 × 12, 4 bits", 6, 12, 4)
    yield case("3 × 20, 3 bits, inputs that go together much", 3, 20, 3, together=4.0)
    yield case("5 × 10, 4 bits, clipped", 5, 10, 4, reach=0.4)
    w, hessian, scale, bits = case("", 4, 7, 3).args
    yield Case("inputs that have nothing in common", (w, torch.diag(hessian.diag()), scale, bits))
    yield case("one column", 3, 1, 4)
    yield case("one output, 2 bits", 1, 16, 2)


EXERCISES = (
    Exercise(
        name="quant.gptq",
        title="GPTQ: one column's error, carried on",
        points=7,
        minutes=45,
        difficulty=3,
        reference=gptq,
        cases=_cases,
        compare=close(rtol=1e-6, atol=1e-6, dtype=False),
        alternatives=(_inverse_each_time, _eliminated, _looking_back),
        misconceptions=(
            Misconception(
                "nothing carried on",
                NEVER,
                "Every column was rounded as it came: quantize what is left of it after the earlier errors were taken off. With a lower triangular factor nothing stands right of the diagonal; transpose it.",
            ),
            Misconception(
                "the Hessian itself",
                _wrong(factor=lambda h: torch.linalg.cholesky(h, upper=True)),
                "The error was shared out by the Hessian: how the others make it good stands in its inverse.",
                variants=(_wrong(factor=lambda h: h), _wrong(factor=lambda h: h, share=lambda u, j: -u[j] / u[j, j])),
            ),
            Misconception(
                "the inverse not updated",
                _wrong(factor=torch.linalg.inv),
                "One inverse served all columns, but a column that is done can move no more: take the Cholesky factor's row, or eliminate the column from the inverse.",
            ),
            Misconception(
                "the factor's inverse",
                _wrong(factor=_reverse_factor),
                "That is the inverse of H's factor, not the factor of H's inverse: it is triangular too, but it belongs to the opposite order; invert first, then factor.",
            ),
            Misconception(
                "the wrong way",
                _wrong(sign=-1.0),
                "The error was added to the later columns: with e = (column − quantized) / U[j, j] it has to be taken off them.",
            ),
            Misconception(
                "not divided by the diagonal",
                _wrong(share=lambda u, j: u[j]),
                "The error was not divided by U[j, j], so the others make good too much or too little of it.",
                variants=(_wrong(share=lambda u, j: u[j] / u[j, j] ** 2), _wrong(factor=torch.linalg.inv, share=lambda u, j: u[j])),
            ),
            Misconception(
                "columns that are done",
                _wrong(factor=torch.linalg.inv, later=False),
                "Columns that were quantized moved again, off their grid: only those right of j may change, [:, j + 1:].",
            ),
            Misconception(
                "error of the original",
                _wrong(error=lambda now, done, original: original - done),
                "The error was measured from the weight as it came: measure it from the column as it is by now, or what earlier columns handed on is lost.",
            ),
            Misconception(
                "from the end",
                _wrong(order=lambda d: range(d - 1, -1, -1), factor=lambda h: torch.flip(_factor(torch.flip(h, (0, 1))), (0, 1))),
                "The columns went from the last to the first: the result depends on the order, and here it is 0, 1, 2, ….",
            ),
            Misconception(
                "not clipped",
                _wrong(codes=lambda x, n: x.round()),
                "Codes run beyond −n … n: what a column takes over from the others may push it off the grid, so clamp, and carry on what was cut off.",
                variants=(_wrong(codes=lambda x, n: x.round(), share=lambda u, j: torch.zeros_like(u[j])),),
            ),
            Misconception(
                "one code more below",
                _wrong(codes=lambda x, n: x.round().clamp(-n - 1, n)),
                "−2^(bits − 1) is a code of two's complement, but this grid is symmetric: from −n to n, n = 2^(bits − 1) − 1.",
                variants=(_wrong(largest=lambda bits: 2 ** (bits - 1)),),
            ),
            Misconception(
                "codes as they are",
                _wrong(finish=lambda out, scale: out / scale),
                "The codes came out: multiply them by the scale again.",
            ),
            Misconception(
                "rounded down",
                _wrong(codes=lambda x, n: x.floor().clamp(-n, n)),
                "The weights were rounded down or cut off: take round().",
                variants=(_wrong(codes=lambda x, n: x.trunc().clamp(-n, n)),),
            ),
        ),
        hints=(
            "Quantize one weight, and the layer's answer is off by a known amount. The best that the others can do about it, in the sense of least squares on the data, stands in a row of the inverse Hessian, divided by its diagonal; and whoever is done must not move again.",
            "hessian (d, d) → inverse (d, d) → upper factor U (d, d); w → a copy (o, d); for column j: (o,) / (o,) → codes (o,) → times scale (o,); error (o,) / U[j, j] (); outer product with U[j, j + 1:] (d − j − 1,) → (o, d − j − 1), taken off the columns right of j",
            "U = upper Cholesky factor of the inverse of hessian\nleft = a copy of w\nfor j = 0 … d − 1:\n    q[:, j] = round(left[:, j] / scale), clamped to −n … n, times scale\n    e = (left[:, j] − q[:, j]) / U[j, j]\n    left[:, j + 1:] −= e outer U[j, j + 1:]\nreturn q",
        ),
    ),
)
