"""What GPTQ and its kin need of a format: for given scales, the levels of every number, and the nearest of them.

Shape legend: L levels of a format, ascending; B groups that share a scale, n numbers in each
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, expected
from breakthrough.quant.quantized import Format, Quantized

SHARES = tuple(1 - 0.025 * step for step in range(13))  # of a group's range, down to 0.7


@runtime_checkable
class Levelled(Format, Protocol):
    """A format whose numbers go to the levels of their group, by scales that can be given: Affine, FourBit, Blockwise."""

    def groups(self, x: Tensor) -> Tensor:
        """The numbers that share a scale as rows. Shapes: x → (B, n)."""
        ...

    def scales(self, groups: Tensor) -> dict[str, Tensor]:
        """The scales of groups. Shapes: (B, n) → (B,) each."""
        ...

    def encode(self, groups: Tensor, scales: Mapping[str, Tensor]) -> Tensor:
        """The codes of groups. Shapes: (B, n) → (B, n)."""
        ...

    def decode(self, codes: Tensor, scales: Mapping[str, Tensor]) -> Tensor:
        """What codes stand for. Shapes: (B, n) → (B, n)."""
        ...

    def store(self, codes: Tensor, scales: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Quantized:
        """Codes and scales as they are stored."""
        ...


@dataclass(frozen=True, eq=False)
class Grid:
    """The levels that every number of a weight can go to: low + level · span.

    Shapes: levels (L,) from 0 to 1, ascending, numbers (L,) their codes; low and span as the weight
    """

    levels: Tensor
    numbers: Tensor
    low: Tensor
    span: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Grid:
        """The grid of the weight laid out otherwise."""
        return replace(self, low=change(self.low), span=change(self.span))

    def places(self, x: Tensor, column: int | None = None) -> Tensor:
        """The nearest level of each number. Shapes: x as the weight, or as one of its columns → places in `levels`."""
        low, span = self._of(column)
        share = torch.where(span == 0, 0.0, (x - low) / span)
        return torch.bucketize(share.contiguous(), (self.levels[:-1] + self.levels[1:]) / 2)

    def nearest(self, x: Tensor, column: int | None = None) -> Tensor:
        """The value of the nearest level. Shapes: as x."""
        low, span = self._of(column)
        return torch.addcmul(low, self.levels[self.places(x, column)], span)

    def codes(self, x: Tensor) -> Tensor:
        """The codes of the nearest levels. Shapes: as x."""
        return self.numbers[self.places(x)]

    def _of(self, column: int | None) -> tuple[Tensor, Tensor]:
        return (self.low, self.span) if column is None else (self.low[..., column], self.span[..., column])


def check_levelled(format: Format) -> Levelled:
    """A format that can be calibrated, as it came.

    Raises: ConfigError when it has no levels for given scales, and when it rounds by a coin
    """
    if not isinstance(format, Levelled):
        raise ConfigError(expected("a format of levels and scales: Affine, FourBit or Blockwise", format))
    if (rounding := getattr(format, "rounding", "nearest")) != "nearest":
        raise ConfigError(expected("a format that rounds to the nearest level", f"rounding {rounding!r}", "rounding='nearest'"))
    return format


def fit(format: Levelled, weight: Tensor, importance: Tensor | None = None) -> dict[str, Tensor]:
    """The scales of a weight: from the largest numbers, or from what it loses when it is known what matters.

    With `importance`, each group's range is the share of its own that loses least.

    Shapes: weight (…), importance as the weight → the format's scales (B,)
    """
    groups = format.groups(weight.detach().float())
    if importance is None:
        return format.scales(groups)
    matters = format.groups(importance.float())
    low, high = groups.amin(1, keepdim=True).clamp(max=0), groups.amax(1, keepdim=True).clamp(min=0)
    best: dict[str, Tensor] = {}
    least = torch.full((len(groups),), float("inf"), device=groups.device)
    for share in SHARES:
        scales = format.scales(groups.clamp(share * low, share * high))
        off = format.decode(format.encode(groups, scales), scales) - groups
        loss = (off.square() * matters).sum(1)
        better = loss < least
        best = {name: torch.where(better, new, best.get(name, new)) for name, new in scales.items()}
        least = torch.where(better, loss, least)
    return best


def grid_of(format: Levelled, scales: Mapping[str, Tensor], like: Tensor) -> Grid:
    """The levels of every number of a weight whose scales are given, as the format reads them back.

    Scales that are themselves quantized are so here: the lowest and the highest level are stored and read.
    """
    first, last = getattr(format, "lowest", 0), getattr(format, "highest", (1 << format.bits) - 1)
    numbers = torch.arange(first, last + 1, device=like.device)
    unit = {name: torch.zeros_like(part[:1]) if name == "zero" else torch.ones_like(part[:1]) for name, part in scales.items()}
    levels, order = format.decode(numbers[None], unit)[0].sort(stable=True)
    numbers = numbers[order]
    low, high = (store(format, scales, numbers[end].expand(like.shape), like).dequantize(torch.float32) for end in (0, -1))
    return Grid((levels - levels[0]) / (levels[-1] - levels[0]), numbers, low, high - low)


def store(format: Levelled, scales: Mapping[str, Tensor], codes: Tensor, like: Tensor) -> Quantized:
    """Codes that were found by other means than rounding, with their scales, as the format stores them.

    Shapes: codes as the weight `like`
    """
    dtype = torch.int8 if getattr(format, "lowest", 0) < 0 else torch.uint8
    return format.store(format.groups(codes.to(dtype)), scales, tuple(like.shape), like.dtype)
