"""Module 4: a scale and a zero point, for numbers that do not lie evenly about zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.quant_affine_wrong import MISCONCEPTIONS
from breakthrough.exercises.quant_inputs import BACK, CODES, SCALE, ZERO, coded, drawn_steps, looked


def affine(x: Tensor, bits: int = 8) -> tuple[Tensor, Tensor, int, Tensor]:
    """Spread 2^bits codes over the range of a tensor, with one of them exactly on zero; and go back.

    Why:    what a ReLU lets through is never below zero, so half of an absmax grid would lie idle. And zeros,
            of padding or of a mask, have to come back as zeros: a little more would add up over thousands
    Shapes: x (...) float32 → codes (...) uint8, scale (), zero, back (...) float32
    Units:  the range runs from the smallest number of x to the largest, and is widened to include 0 where it
            does not. scale is the step with which the codes 0 … 2^bits − 1 reach from end to end; bits is
            1 … 8. zero, a whole number, is the code of 0.0: as many steps as the range reaches below 0,
            rounded. The code of a number is zero plus its distance from 0 in steps, rounded; a code that
            rounding puts beyond 0 … 2^bits − 1 is held at the end. back is what the codes stand for. Of all
            zeros the scale is any finite number above 0. x has at least one number, all finite
    """
    most = 2**bits - 1
    low, high = x.min().clamp(max=0), x.max().clamp(min=0)
    scale = torch.where(high > low, (high - low) / most, torch.ones_like(high))
    zero = int(torch.round(-low / scale))
    codes = (torch.round(x / scale) + zero).clamp(0, most)
    return codes.to(torch.uint8), scale, zero, (codes - zero) * scale


def _as_torch_has_it(x, bits=8):
    most = 2**bits - 1
    ends = torch.cat([x.flatten(), x.new_zeros(1)]).aminmax()
    scale = float(ends.max - ends.min) / most or 1.0
    zero = round(-float(ends.min) / scale)
    back = torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, most)
    return (back / scale).round().add(zero).byte(), scale, zero, back


def _number_by_number(x, bits=8):
    numbers = x.double().flatten().tolist()
    low, high = min(0.0, *numbers, 0.0), max(0.0, *numbers, 0.0)
    scale = (high - low) / (2**bits - 1) if high != low else 0.5
    zero = round(-low / scale)
    codes = [min(max(round(number / scale) + zero, 0), 2**bits - 1) for number in numbers]
    back = torch.tensor([(code - zero) * scale for code in codes], device=x.device).reshape(x.shape)
    return torch.tensor(codes, dtype=torch.uint8, device=x.device).reshape(x.shape), torch.tensor(scale), torch.tensor(zero), back


def _in_numpy(x, bits=8):
    numbers = x.cpu().numpy()
    ends = np.append(numbers, np.float32(0))
    scale = np.float32(np.ptp(ends) / (2**bits - 1)) or np.float32(1)
    zero = int(np.rint(-ends.min() / scale))
    codes = np.clip(np.rint(numbers / scale) + zero, 0, 2**bits - 1).astype(np.uint8)
    back = scale * (codes.astype(np.int16) - zero)
    return torch.from_numpy(codes).to(x.device), torch.tensor(scale), zero, torch.from_numpy(back.astype(np.float32)).to(x.device)


def _drawn(generator: Generator, below: int, bits: int, size: int = 40) -> Tensor:
    """Numbers that reach `below` steps below zero and a bit, and have the rest of 2^bits − 1 steps above it.

    Every one is clearly nearer to one step than to the next. Where zero lies beyond an end, half of the range is empty.
    """
    most = 2**bits - 1
    step = float(drawn_steps(generator, 1))
    bit = (0.15 + 0.25 * float(torch.rand((), generator=generator))) * (-1) ** int(torch.randint(2, (), generator=generator))
    bit = bit if 0 < below < most else 0.0
    low, high = -below - bit, most - below - bit  # in steps
    first, last = (most // 2 if below == 0 else low), (high if below < most else -(most // 2))
    levels = torch.randint(round(first), round(last) + 1, (size,), generator=generator).double()
    levels = (levels + 0.8 * torch.rand(size, generator=generator, dtype=torch.float64) - 0.4).clamp(first, last)
    levels[0], levels[1] = (low if below else first), (high if below < most else last)
    return (levels[torch.randperm(size, generator=generator)] * step).float()


def _wraps_at_the_end(found: dict[str, Any]) -> str:
    codes = found[CODES]
    wrapped = hasattr(codes, "numel") and codes.numel() == 6 and float(codes[-1]) in (0.0, 256.0)
    return f"the largest number got the code {float(codes[-1]):g}: round(253.5) + 2 is 256, held at 255" if wrapped else ""


def _no_range(found: dict[str, Any]) -> str:
    scale = found[SCALE]
    far = isinstance(scale, float) and not 0.25 < scale * 255 / 0.7 < 4
    return f"the scale of equal numbers is {scale:.3g}, expected 0.7 / 255: the range includes 0" if far else ""


def _cases(generator: Generator):
    parts = (CODES, SCALE, ZERO, BACK)
    look = looked(*parts)
    yield Case("2 bits, by hand: the scale is 1", (torch.tensor([-1.0, 0.2, 0.7, 2.0]), 2), look=look)
    below = int(torch.randint(30, 100, (), generator=generator))
    yield Case("8 bits, mostly above zero", (_drawn(generator, below, 8),), look=look)
    yield Case("4 bits, mostly below, not contiguous", (_drawn(generator, 11, 4).reshape(5, 8).t(), 4), look=look)
    yield Case("6 bits, none below zero", (_drawn(generator, 0, 6), 6), look=look)
    yield Case("8 bits, all below zero", (_drawn(generator, 255, 8), 8), look=look)
    yield Case("three times 0.7", (torch.full((3,), 0.7), 8), look=looked(*parts, aside=_no_range))
    ends = torch.tensor([-1.5, 0.0, 7.2, -0.8, 100.3, 253.5])
    yield Case("halves at both ends: the scale is 1", (ends, 8), look=looked(*parts, aside=_wraps_at_the_end))
    yield Case("all zeros", (torch.zeros(2, 4), 8), look=looked(*parts, zeros=(0,)))
    yield Case("the codes' dtype", (_drawn(generator, 60, 8),), look=looked(*parts, dtypes=True))


EXERCISES = (
    Exercise(
        name="quant.affine",
        title="A zero point, and a range that includes zero",
        points=5,
        minutes=30,
        difficulty=1,
        reference=affine,
        cases=_cases,
        compare=coded(),
        alternatives=(_as_torch_has_it, _number_by_number, _in_numpy),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Lay a ruler with marks 0 … 2^bits − 1 along the numbers, its ends on the smallest and the largest. Then shift it by less than a step, so that one mark falls exactly on zero. For that, zero has to lie under the ruler at all.",
            "low = min(smallest, 0), high = max(largest, 0) (); scale = (high − low) / (2^bits − 1) (), 1 where that is 0; zero = round(−low / scale), an int; codes = round(x / scale) + zero, held within 0 … 2^bits − 1 (...) uint8; back = (codes − zero) · scale (...) float32",
            "low, high = the smallest and the largest of x, and 0\nscale = (high − low) / (2^bits − 1), or 1 when high = low\nzero = −low / scale, rounded\ncodes = x / scale, rounded, plus zero, held within 0 and 2^bits − 1\nback = (codes − zero) · scale, before codes become uint8\nreturn codes as uint8, scale, zero, back",
        ),
    ),
)
