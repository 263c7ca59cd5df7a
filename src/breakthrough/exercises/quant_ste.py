"""Module 4: fake quantization, and the gradient that goes straight through the rounding.

Shapes: any shape of weights; scale () or one that broadcasts, such as (o, 1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Generator, Tensor

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception


def fake_quantize(w: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Quantize weights and dequantize them at once, so that a net can be trained with the error of the grid.

    Why:    rounding is flat wherever it is not a jump, so its own gradient is 0 and nothing would be learned; the
            straight-through estimator takes it for the identity
    Shapes: w of any shape, a float dtype; scale () or (o, 1), > 0, no gradient needed → of w's shape and dtype
    Units:  the codes are w / scale, rounded to the nearest (halves to even), within −n … n, n = 2^(bits − 1) − 1;
            the output is code · scale. Its gradient to w is the incoming gradient where −n ≤ w / scale ≤ n, the
            ends included, and 0 beyond: a clipped weight does not move the output. w stays as it was
    Source: Bengio et al. 2013, arXiv:1308.3432
    """
    n = 2 ** (bits - 1) - 1
    x = (w / scale).clamp(-n, n)  # clamp's own gradient is the one asked for: 1 inside, 0 beyond
    codes = x + (x.round() - x).detach()  # the value of round(x), the gradient of x
    return codes * scale


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, scale, bits):
        n = 2 ** (bits - 1) - 1
        ctx.save_for_backward((w / scale).abs() <= n)
        return torch.clamp(torch.round(w / scale), -n, n) * scale

    @staticmethod
    def backward(ctx, gradient):
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


def _by_function(w, scale, bits):
    return _Straight.apply(w, scale, bits)


def _by_mask(w, scale, bits):
    n = 2 ** (bits - 1) - 1
    quantized = (w.detach() / scale).round().clip(-n, n) * scale
    inside = (-n <= w.detach() / scale) & (w.detach() / scale <= n)
    path = torch.where(inside, w, torch.zeros_like(w))
    return quantized + path - path.detach()


def _by_hook(w, scale, bits):
    """The identity on the way back, and a hook on it that stops what was clipped."""
    end = 2 ** (bits - 1) - 1
    steps = (w / scale).detach()
    through = w * 1
    if through.requires_grad:
        through.register_hook(lambda gradient: gradient.masked_fill(steps.abs() > end, 0))
    grid = steps.round().clamp(min=-end, max=end).mul(scale)
    return through + (grid - through).detach()


def _nearest(x: Tensor, n: int) -> Tensor:
    return x.round().clamp(-n, n)


def _inside(x: Tensor, n: int) -> Tensor:
    return x.abs() <= n


def _largest(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def _wrong(
    codes: Callable[[Tensor, int], Tensor] = _nearest,
    passes: Callable[..., Tensor] = lambda gradient, inside, scale: gradient * inside,
    inside: Callable[[Tensor, int], Tensor] = _inside,
    largest: Callable[[int], int] = _largest,
    finish: Callable[[Tensor, Tensor], Tensor] = lambda codes, scale: codes * scale,
) -> Callable[[Tensor, Tensor, int], Tensor]:
    """A fake quantization that differs in what is given."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w, scale, n):
            x = w / scale
            ctx.save_for_backward(inside(x, n), scale)
            return finish(codes(x, n), scale)

        @staticmethod
        def backward(ctx, gradient):
            return passes(gradient, *ctx.saved_tensors) * torch.ones_like(ctx.saved_tensors[0], dtype=gradient.dtype), None, None

    return lambda w, scale, bits: Wrong.apply(w, scale, largest(bits))


def _unit_mistaken(w, scale, bits):
    n = _largest(bits)
    quantized = (w.detach() / scale).round().clamp(-n, n) * scale
    path = w * (w.detach().abs() <= n)
    return quantized + path - path.detach()


def through(answer: Any, case: Case) -> dict[str, Any] | None:
    """What an answer gives, and the gradient that comes back to the weights for a random incoming one.

    Raises: InputError for what is no function of three
    """
    if not callable(answer):
        raise InputError(expected("your function", type_of(answer), 'check("quant.ste", fake_quantize)'))
    start, scale, bits, pull = case.args
    w = start.clone().requires_grad_()
    given = w * 1  # not a leaf: as it comes from a net's parametrization
    out = answer(given, scale, bits)
    if out is None:
        return None
    if not isinstance(out, Tensor):
        raise InputError(expected("a tensor", type_of(out)))
    gradient = torch.zeros_like(w)
    if out.shape == pull.shape and out.requires_grad:
        gradient = torch.autograd.grad((out * pull).sum(), w, allow_unused=True)[0]
        gradient = torch.zeros_like(w) if gradient is None else gradient
    return {"the output": out.detach(), "the gradient": gradient, "w is left as it was": torch.equal(given.detach(), start)}


def _cases(generator: Generator) -> Iterator[Case]:
    def case(label, shape, bits, scale, dtype=torch.float32, extra=()):
        """Codes clearly nearer to one than to the next, inside, at the ends and beyond them."""
        n = 2 ** (bits - 1) - 1
        count = torch.Size(shape).numel()
        x = torch.randint(-n - 3, n + 4, (count,), generator=generator) + 0.8 * torch.rand(count, generator=generator).double() - 0.4
        x[:4] = torch.tensor([n + 0.3, -n - 0.3, n + 1.4, -n - 1.4])
        x[4 : 4 + len(extra)] = torch.tensor(extra).double()
        w = (x.reshape(shape) * scale.double()).to(dtype)
        pull = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        return Case(label, (w, scale.to(dtype), bits, pull))

    def drawn(*shape):
        return 0.05 + torch.rand(shape, generator=generator)

    by_hand = torch.tensor([0.3, -0.9, 1.75, 1.9, -2.5, 0.0])
    yield Case("3 bits, by hand", (by_hand, torch.tensor(0.5), 3, torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])))
    yield case("4 bits, one scale", (40,), 4, drawn())
    yield case("8 bits, a scale for each row", (3, 50), 8, drawn(3, 1) / 50)
    ends = [7.0, -7.0, 0.5, 1.5, -2.5]  # exact, for the scale is a power of 2
    yield case("4 bits, the ends and halves exactly", (6, 8), 4, torch.tensor(0.125), extra=ends)
    yield case("2 bits: −1, 0, 1", (5, 6), 2, drawn())
    yield case("float64, 5 bits, a scale above 1", (2, 3, 9), 5, 1.5 + drawn(), torch.float64)


EXERCISES = (
    Exercise(
        name="quant.ste",
        title="Through the rounding, straight: the gradient",
        points=5,
        minutes=30,
        difficulty=2,
        reference=fake_quantize,
        cases=_cases,
        call=through,
        compare=close(rtol=1e-4, atol=1e-5),
        alternatives=(_by_function, _by_mask, _by_hook),
        misconceptions=(
            Misconception(
                "no gradient",
                _wrong(passes=lambda gradient, inside, scale: gradient * 0),
                "The values are right, but no gradient comes back: that of round() is 0 everywhere, and no_grad or detach() cut it; put the rounding in as x + (x.round() − x).detach().",
            ),
            Misconception(
                "straight beyond the ends",
                _wrong(passes=lambda gradient, inside, scale: gradient),
                "The gradient also reaches clipped weights: they do not move the output, so beyond −n … n it has to be 0; clamp before you detach, or mask it.",
            ),
            Misconception(
                "upside down",
                _wrong(passes=lambda gradient, inside, scale: gradient * ~inside),
                "The mask is upside down: the gradient passes inside the range and is 0 beyond.",
            ),
            Misconception(
                "the ends left out",
                _wrong(inside=lambda x, n: x.abs() < n),
                "A weight exactly at ±n · scale gets no gradient: with a scale from the largest weight that one would never move again; compare with ≤, or round after clamp.",
            ),
            Misconception(
                "judged by the code",
                _wrong(inside=lambda x, n: x.round().abs() <= n),
                "Inside or beyond was decided after rounding, so a weight at n + 0.3 still gets a gradient: here w / scale itself has to lie within −n … n.",
                variants=(lambda w, scale, bits: (w / scale + ((w / scale).round() - w / scale).detach()).clamp(-_largest(bits), _largest(bits)) * scale,),
            ),
            Misconception(
                "judged without the scale",
                _unit_mistaken,
                "w was compared with n, but n is in codes: compare w / scale with n, or w with n · scale.",
            ),
            Misconception(
                "the scale in the gradient",
                _wrong(passes=lambda gradient, inside, scale: gradient * inside * scale),
                "The gradient has the scale as a factor: w is divided by it and multiplied by it, and both cancel.",
                variants=(_wrong(passes=lambda gradient, inside, scale: gradient * inside / scale),),
            ),
            Misconception(
                "incoming gradient lost",
                _wrong(passes=lambda gradient, inside, scale: inside),
                "The mask alone was returned: backward gets the gradient of the loss by the output, and has to multiply that by the mask.",
            ),
            Misconception(
                "not clipped",
                _wrong(codes=lambda x, n: x.round()),
                "Codes run beyond −n … n: clamp them, or the grid has more levels than the bits can name.",
                variants=(_wrong(codes=lambda x, n: x.round(), passes=lambda gradient, inside, scale: gradient), _wrong(codes=lambda x, n: x.round(), passes=lambda gradient, inside, scale: gradient * 0)),
            ),
            Misconception(
                "one code more below",
                _wrong(codes=lambda x, n: x.round().clamp(-n - 1, n), inside=lambda x, n: (x >= -n - 1) & (x <= n)),
                "−2^(bits − 1) is a code of two's complement, but this grid is symmetric: from −n to n, n = 2^(bits − 1) − 1.",
                variants=tuple(
                    _wrong(codes=lambda x, n: x.round().clamp(-n - 1, n), passes=passes)
                    for passes in (lambda g, inside, scale: g, lambda g, inside, scale: g * 0, lambda g, inside, scale: g * inside)
                ),
            ),
            Misconception(
                "too many levels",
                _wrong(largest=lambda bits: 2**bits - 1),
                "n = 2^bits − 1 forgets that one bit is the sign: it is 2^(bits − 1) − 1.",
                variants=(_wrong(largest=lambda bits: 2 ** (bits - 1)), _wrong(largest=lambda bits: 2**bits - 1, passes=lambda g, inside, scale: g)),
            ),
            Misconception(
                "negative numbers lost",
                _wrong(codes=lambda x, n: x.round().clamp(0, n)),
                "Everything below zero became 0: the codes run from −n to n.",
                variants=(_wrong(codes=lambda x, n: x.round().clamp(0, n), inside=lambda x, n: (x >= 0) & (x <= n)),),
            ),
            Misconception(
                "codes as they are",
                _wrong(finish=lambda codes, scale: codes),
                "The codes came out: multiply them by the scale again, so that the output is a weight.",
                variants=(
                    _wrong(finish=lambda codes, scale: codes, passes=lambda g, inside, scale: g * inside / scale),
                    _wrong(finish=lambda codes, scale: codes, passes=lambda g, inside, scale: g * 0),
                ),
            ),
            Misconception(
                "cut off",
                _wrong(codes=lambda x, n: x.trunc().clamp(-n, n)),
                "The numbers were cut off or rounded down: take round().",
                variants=(_wrong(codes=lambda x, n: x.floor().clamp(-n, n)), _wrong(codes=lambda x, n: x.trunc().clamp(-n, n), passes=lambda g, inside, scale: g)),
            ),
            Misconception(
                "halves up",
                _wrong(codes=lambda x, n: (x + 0.5).floor().clamp(-n, n)),
                "Halves were rounded up, which shifts the mean of the weights: round() takes them to the even neighbour.",
            ),
        ),
        hints=(
            "Two functions in one: forwards a staircase, backwards a straight line that ends where the staircase ends. A tensor that is detached has a value and no gradient; so something plus (something else − itself).detach() has the value of the one and the gradient of the other.",
            "w / scale, any shape → clamp to −n … n → x, of the same shape, with a gradient of 1 inside and 0 beyond → x.round() has x's shape and no gradient → times scale, broadcast → w's shape",
            "n = 2 to the power (bits − 1), minus 1\nx = w / scale, clamped to −n … n\ncodes = x + detached(round(x) − x)\nreturn codes · scale",
        ),
    ),
)
