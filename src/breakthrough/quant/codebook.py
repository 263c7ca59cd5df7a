"""Nearest levels of a codebook: numbers scaled into [−1, 1] become the number of the level beside them.

Shape legend: K levels, ascending
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, expected
from breakthrough.quant.grouping import coins

TABLE = 65536  # entries of the table by which bitsandbytes looks levels up on the CPU


def midpoints(levels: Tensor) -> Tensor:
    """Where one level ends and the next begins. Shapes: levels (K,) → (K − 1,)."""
    return (levels[:-1] + levels[1:]) / 2


def nearest(scaled: Tensor, levels: Tensor) -> Tensor:
    """The number of the nearest level; on a midpoint the lower one, as bitsandbytes' portable code decides.

    Shapes: scaled of any shape, levels (K,) → uint8, the shape of scaled
    """
    bounds = midpoints(levels)
    if len(bounds) > 16:
        return torch.bucketize(scaled, bounds, out_int32=True).to(torch.uint8)
    codes = torch.zeros(scaled.shape, dtype=torch.uint8, device=scaled.device)
    for bound in bounds.tolist():  # a code is the number of midpoints below; for few levels faster than to search
        codes += scaled > bound
    return codes


def looked_up(scaled: Tensor, levels: Tensor) -> Tensor:
    """The number of the level nearest to one of 65,536 even steps from −1 to 1: bitsandbytes' code on the CPU.

    Levels that stand closer than a step of 3·10⁻⁵ are confused; and since 0 lies between two steps, a 0 comes back
    as the level nearest to +1.5·10⁻⁵.

    Shapes: scaled of any shape, levels (K,) → uint8, the shape of scaled
    """
    steps = 2 * torch.arange(TABLE, dtype=torch.float32, device=scaled.device) / (TABLE - 1) - 1
    table = nearest(steps, levels)
    place = (scaled.clamp(-1, 1) + 1) * 0.5 * (TABLE - 1) + 0.5
    return table[place.nan_to_num(0).to(torch.int32)]


def coin_tossed(scaled: Tensor, levels: Tensor, seed: int) -> Tensor:
    """The level below or above by a fair coin; a number that is a level stays there.

    Shapes: scaled of any shape, levels (K,) → uint8, the shape of scaled
    """
    above = torch.bucketize(scaled, levels).clamp(max=len(levels) - 1)
    below = (above - 1).clamp(min=0)
    stays = (levels[above] == scaled) | (scaled > levels[-1]) | coins(scaled, seed)
    return torch.where(stays, above, below).to(torch.uint8)


def check_levels(levels: tuple[float, ...], count: int) -> tuple[float, ...]:
    """Levels of a reader's own, ascending, none beyond −1 and 1; an empty tuple stands for the format's.

    Raises: ConfigError
    """
    levels = tuple(float(level) for level in levels)
    if levels and (len(levels) != count or not all(map(math.isfinite, levels))):
        raise ConfigError(expected(f"{count} finite levels", f"{len(levels)}: {levels[:4]}…"))
    if levels and (list(levels) != sorted(levels) or max(map(abs, levels)) > 1):
        raise ConfigError(expected("ascending levels from −1 to 1", f"{levels[:4]}…", "sorted(levels), divided by the largest magnitude"))
    return levels
