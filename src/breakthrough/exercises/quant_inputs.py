"""Module 4: numbers that lie clearly nearer to one step of a grid than to the next, and what is judged of codes.

Small faults beside the main one (a scale of 0 for zeros, codes of another dtype) show in cases of their own
and only there, so that they do not hide which mistake matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from breakthrough.exercises.compare import Compare, Difference, close

SCALE, SCALES, ZERO, LEVELS, CODES, BACK = "the scale", "the scales", "zero", "the levels", "the codes", "back"


@dataclass(frozen=True)
class Aside:
    """In place of an output: a fault that says nothing about the main mistake."""

    text: str


def coded(rtol: float = 1e-5, atol: float = 0.0) -> Compare:
    """A comparison of what `looked` shows: whole numbers exactly, others within the tolerances."""
    numbers = close(rtol=rtol, atol=atol)

    def compare(want: Any, got: Any) -> Difference | None:
        found = [one.text for one in (got, want) if isinstance(one, Aside)]
        if found:
            return None if len(found) == 2 else Difference("edge", found[0])
        return numbers(want, got)

    return compare


def looked(
    *parts: str, zeros: Sequence[int] | None = None, dtypes: bool = False, aside: Callable[[dict], str] = lambda found: ""
) -> Callable[[Any], Any]:
    """What is judged of a tuple: its parts by name, scales and levels before codes.

    `zeros` are the places of scales that belong to nothing but zeros: there any finite scale above 0 is right.
    `dtypes` has the codes' dtype judged too. `aside` says what else is wrong but beside the point, if anything.
    """

    def look(output: Any) -> Any:
        if not isinstance(output, (tuple, list)) or len(output) != len(parts):
            return output
        found = {name: _plain(name, value, dtypes) for name, value in zip(parts, output)}
        bad = _scale_of_zeros(found, zeros) if zeros is not None else ""
        bad = bad or aside(found)
        if bad:
            return Aside(bad)
        return {name: found[name] for name in (LEVELS, SCALE, SCALES, ZERO, CODES, BACK) if name in found}

    return look


def _plain(name: str, value: Any, dtypes: bool) -> Any:
    if not isinstance(value, Tensor):
        return value
    if name in (SCALE, ZERO):
        return value.item() if value.numel() == 1 else value
    if name == CODES:
        return value if dtypes else value.double()
    return value.detach().float()


def _scale_of_zeros(found: dict[str, Any], zeros: Sequence[int]) -> str:
    """What is wrong with the scales of zeros; those that are right become 1."""
    name = SCALE if SCALE in found else SCALES
    scales = torch.as_tensor(found[name]).clone() if isinstance(found[name], (Tensor, float, int)) else None
    if scales is None or (zeros and max(zeros) >= scales.numel()):
        return ""  # the comparison says so
    flat = scales.reshape(-1)
    for value in flat.tolist():
        if value == 0 or not math.isfinite(value):
            return f"the scale of nothing but zeros is {value:g}, and zeros are divided by it: any finite number above 0 will do, such as 1"
    for place in zeros:
        if flat[place] < 0:
            return f"the scale of nothing but zeros is {float(flat[place]):g}, expected any finite number above 0, such as 1"
        flat[place] = 1.0
    found[name] = flat[0].item() if name == SCALE else flat.reshape(scales.shape)
    return ""


def drawn_levels(generator: Generator, rows: int, size: int, top: int = 127) -> Tensor:
    """Rows of numbers within 0.4 of a whole one. The largest of a row is ±top, clearly; the rest reach a quarter less."""
    reach = max(3 * top // 4, 1)
    levels = torch.randint(-reach, reach + 1, (rows, size), generator=generator).double()
    levels += torch.rand(rows, size, generator=generator, dtype=torch.float64) * 0.8 - 0.4
    place = torch.randint(size, (rows,), generator=generator)
    sign = 1.0 - 2.0 * torch.randint(2, (rows,), generator=generator)
    sign[0] = -1.0  # of a first row always below zero: the largest number is not the largest in size
    levels[torch.arange(rows), place] = sign.double() * top
    return levels  # (rows, size)


def drawn_steps(generator: Generator, rows: int, low: float = 1e-4, high: float = 3e-2) -> Tensor:
    """A step for every row, evenly in the logarithm."""
    share = torch.rand(rows, 1, generator=generator, dtype=torch.float64)
    return low * (high / low) ** share  # (rows, 1)
