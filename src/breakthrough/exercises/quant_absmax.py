"""Module 4: one scale for a tensor, from its largest number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.quant_inputs import CODES, SCALE, coded, drawn_levels, drawn_steps, looked
from breakthrough.exercises.quant_otherwise import absmax_in_numpy


def absmax(x: Tensor) -> tuple[Tensor, Tensor]:
    """Store a tensor as 8-bit whole numbers and one scale.

    Why:    a whole number takes one byte where a float32 takes four, and all that is lost is half a step
            at the most; the step is as fine as the largest number allows
    Shapes: x (...) floating point → codes (...) int8, scale ()
    Units:  scale is the step between two codes, so that x ≈ codes · scale, and the largest |x| gets 127 or
            −127; −128 stays unused. A number's code is that of the nearest step; halfway between two,
            the even one, as torch.round has it. Computed in float32 whatever the dtype of x. Of all
            zeros the scale is any finite number above 0. x has at least one number, all finite
    """
    x = x.float()
    largest = x.abs().max()
    scale = torch.where(largest > 0, largest / 127, torch.ones_like(largest))
    return torch.round(x / scale).to(torch.int8), scale


def _in_float64(x):
    wide = x.detach().cpu().double()
    step = max(abs(value) for value in wide.flatten().tolist()) / 127 or 1.0
    return (wide / step).round().clamp(-127, 127).to(torch.int8).to(x.device), step


def _by_norm(x):
    x = x.to(torch.float32)
    top = torch.linalg.vector_norm(x, float("inf"))
    codes = x if top == 0 else x * (127 / top)
    return codes.round().char(), (top / 127).clamp(min=torch.finfo(torch.float32).tiny)


def _nearest(levels):
    return torch.round(levels)


def _int8(codes):
    return codes.to(torch.int8)


def _held(low):
    return lambda codes: codes.clamp(low, 127).to(torch.int8)


def _largest(x):
    return x.abs().max()


def _as_it_is(x):
    return x


def _wrong(
    largest=_largest, step=lambda top: top / 127, levels=lambda x, step: x / step, rounded=_nearest, fit=_int8,
    out=lambda top, step: step, cast=torch.Tensor.float,
) -> Any:  # fmt: skip
    """A wrong answer: the right one but for what is given, and without a scale for zeros."""

    def answer(x):
        x = cast(x)
        top = largest(x)
        scale = step(top)
        return fit(rounded(levels(x, scale))), out(top, scale)

    return answer


def _ways(*parts: dict[str, Any]) -> dict[str, Any]:
    ways = [_wrong(**part) for part in parts]
    return {"answer": ways[0], "variants": tuple(ways[1:])}


def _half_up(levels):
    return torch.floor(levels + 0.5)


def _half_away(levels):
    return torch.sign(levels) * torch.floor(levels.abs() + 0.5)


def _plus(eps):
    return lambda top: top / 127 + eps


def _top_plus(eps):
    return lambda top: (top + eps) / 127


def _at_least(eps):
    return lambda top: (top / 127).clamp(min=eps)


def _top_at_least(eps):
    return lambda top: top.clamp(min=eps) / 127


EPSILONS = tuple(
    {"step": way(eps)} for eps in (1e-8, 1e-6, 1e-5) for way in (_plus, _top_plus, _at_least, _top_at_least)
)
FITS = (_int8, _held(-127), _held(-128))


def _over_rows(x):
    return x.abs().amax(-1, keepdim=True)


def _per_row(x):
    x = x.float()
    scale = _over_rows(x) / 127
    return torch.round(x / scale).to(torch.int8), scale


def _own_dtype(x):
    largest = x.abs().max()
    scale = torch.where(largest > 0, largest / 127, torch.ones_like(largest))
    return torch.round(x / scale).to(torch.int8), scale


def _own_dtype_by_item(x):
    scale = x.abs().max().item() / 127 or 1.0
    return torch.round(x / scale).to(torch.int8), scale


def _a_part(n: int) -> Callable[[Any], Any]:
    return lambda top: top / n


def _floats(x):
    return _wrong(fit=_as_it_is)(x)


MISCONCEPTIONS = (
    Misconception(
        "the largest with its sign",
        says="This takes the largest number, not the largest in size: a number further below zero than that gets a code beyond 127 and wraps; take abs() first.",
        **_ways(*({"largest": lambda x: x.max(), "fit": fit} for fit in FITS)),
    ),
    Misconception(
        "128 steps",
        says="The largest number was given the code 128, which int8 does not have: it ends at 127, so divide the largest |x| by 127.",
        **_ways(*({"step": lambda top: top / 128, "fit": fit} for fit in FITS)),
    ),
    Misconception(
        "a step of the whole range",
        says="The step was taken as the range over 255 or 256: codes −127 … 127 have 254 steps from end to end and 127 on either side of zero, so the step is the largest |x| / 127.",
        **_ways(
            *({"step": lambda top: 2 * top / 255, "fit": fit} for fit in FITS),
            *({"largest": lambda x: x.max() - x.min(), "step": _a_part(n), "fit": fit} for n in (254, 255) for fit in FITS),
        ),
    ),
    Misconception(
        "half of the codes",
        says="The step is twice as coarse as it need be: the largest |x| is spread over 127 steps, not over 255, as the codes run to 127 on either side.",
        **_ways({"step": lambda top: 2 * top / 127}, {"step": lambda top: 2 * top / 128}, {"step": lambda top: top / 63}, {"step": lambda top: top / 64}),
    ),
    Misconception(
        "cut off",
        says="The numbers were cut off, not rounded, as `.to(torch.int8)` does: the error is up to a whole step then; use torch.round first.",
        **_ways({"rounded": torch.trunc}, {"rounded": torch.floor}, {"rounded": torch.ceil}),
    ),
    Misconception(
        "halves away from the even",
        says="Numbers halfway between two codes went up, or away from zero: over many numbers that leans to one side; torch.round takes the even one.",
        **_ways({"rounded": _half_up}, {"rounded": _half_away}),
    ),
    Misconception(
        "the scale upside down",
        says="The codes are right, but the scale is 127 / the largest, what they were multiplied by: asked for is what gives x back when the codes are multiplied by it.",
        **_ways({"step": lambda top: 127 / top, "levels": lambda x, step: x * step}),
    ),
    Misconception(
        "the largest for the scale",
        says="The codes are right, but what comes with them is the largest number, not the step: codes · scale has to give x, so divide it by 127.",
        **_ways({"out": lambda top, step: top}),
    ),
    Misconception(
        "multiplied by the step",
        says="The numbers were multiplied by the step where they have to be divided by it: how many steps fit into x?",
        **_ways({"levels": lambda x, step: x * step}),
    ),
    Misconception(
        "divided by the largest",
        says="The numbers were divided by the largest, which leaves them within ±1, and rounding leaves −1, 0 and 1: divide by the largest / 127.",
        **_ways({"step": lambda top: top}, {"step": lambda top: top, "out": lambda top, step: top / 127}),
    ),
    Misconception(
        "a scale for every row",
        says="Every row got a scale of its own: here one scale serves the whole tensor, so take the largest over all of it.",
        answer=_per_row,
    ),
    Misconception(
        "an epsilon",
        says="Something small was added to the scale, or it was held above that, so that zeros do not divide by 0: numbers as small as that lose all their digits; treat a largest of exactly 0 apart.",
        **_ways(*EPSILONS, *({**way, "cast": _as_it_is} for way in EPSILONS)),
    ),
    Misconception(
        "16 bits",
        says="This was computed in the dtype of x: bfloat16 keeps 8 binary digits, too few for a scale and for codes up to 127; make it x.float() first.",
        answer=_own_dtype,
        variants=(_own_dtype_by_item, _wrong(cast=_as_it_is), _wrong(cast=_as_it_is, largest=lambda x: x.abs().max().item())),
    ),
    Misconception(
        "zeros divided by zero",
        says="Of all zeros the largest is 0, and so is the scale: 0 / 0 is no number, and which code it becomes is chance. Give zeros another scale, such as 1.",
        answer=_wrong(),
        variants=(lambda x: (_wrong()(x)[0], torch.where(_largest(x) > 0, _largest(x.float()) / 127, 0.0)),),
    ),
    Misconception(
        "still floats",
        says="The codes are whole numbers but still stored as floats, four bytes each: nothing is saved before they are int8.",
        answer=_floats,
        variants=(lambda x: (_nearest(absmax(x)[0].float()), absmax(x)[1]),),
    ),
)


def _inexact(x: Tensor):
    """Whatever is wrong with numbers of 16 bits is set aside: rounded twice, every mistake looks different."""
    codes, scale = absmax(x)

    def aside(found: dict[str, Any]) -> str:
        theirs, step = found[CODES], found[SCALE]
        right = isinstance(theirs, Tensor) and theirs.shape == codes.shape and torch.equal(theirs.cpu(), codes.double())
        right = right and isinstance(step, float) and abs(step - scale.item()) <= 1e-5 * scale.item()
        return "" if right else "codes or scale of bfloat16 numbers differ from those of x.float()"

    return aside


def _tiny(step: float):
    def aside(found: dict[str, Any]) -> str:
        scale = found[SCALE]
        far = isinstance(scale, float) and not step / 20 < scale < 20 * step
        return f"of numbers this small the scale is {scale:.3g}, expected {step:.3g}" if far else ""

    return aside


def _cases(generator: Generator):
    look = looked(CODES, SCALE)

    def draw(rows, size, low=1e-4, high=3e-2):
        step = drawn_steps(generator, 1, low, high)
        levels = drawn_levels(generator, 1, rows * size)
        return (levels * step).float().reshape(rows, size), float(step)

    halves = torch.tensor([-63.5, 0.25, 0.75, 1.25, -0.25, -1.75, 10.0, 40.0])
    yield Case("halves, by hand: the scale is 0.5", (halves,), look=look)
    yield Case("64 numbers", (draw(1, 64)[0][0],), look=look)
    yield Case("not contiguous, of shape (15, 6)", (draw(6, 15)[0].t(),), look=look)
    yield Case("one number", (-draw(1, 1)[0][0].abs(),), look=look)
    brain = _clear_bfloat16(draw(16, 16)[0])
    yield Case("256 numbers of bfloat16", (brain,), look=looked(CODES, SCALE, aside=_inexact(brain)))
    small, step = draw(4, 8, 1e-14, 1e-13)
    yield Case("numbers around 1e-12", (small,), look=looked(CODES, SCALE, aside=_tiny(step)))
    yield Case("all zeros", (torch.zeros(3, 5),), look=looked(CODES, SCALE, zeros=(0,)))
    yield Case("the codes' dtype", (draw(3, 7)[0],), look=looked(CODES, SCALE, dtypes=True))


def _clear_bfloat16(x: Tensor) -> Tensor:
    """As bfloat16, with zero for those that have come near a half of a step."""
    x = x.bfloat16()
    levels = x.double() / (x.double().abs().max() / 127)
    near = (levels - levels.floor() - 0.5).abs() < 0.05
    return torch.where(near, torch.zeros_like(x), x)


EXERCISES = (
    Exercise(
        name="quant.absmax",
        title="Absmax: a scale and a grid",
        points=4,
        minutes=20,
        difficulty=1,
        reference=absmax,
        cases=_cases,
        compare=coded(),
        alternatives=(_in_float64, _by_norm, absmax_in_numpy),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Think of a ruler with 127 marks on either side of zero, stretched until its end lies on the number that is furthest out. Every number is written down as its nearest mark; the distance between marks gives the numbers back.",
            "x (...) → float32 → abs → max () → / 127 = scale (), or 1 where that is 0; x / scale (...) → torch.round → int8 (...)",
            "x as float32\nlargest = the maximum of |x|\nscale = largest / 127, or 1 when largest is 0\ncodes = x / scale, rounded, as int8\nreturn codes, scale",
        ),
    ),
)
