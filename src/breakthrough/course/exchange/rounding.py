"""Normal variables known only by their rounding: the chance of a level, and a draw of what was rounded.

The normal distribution comes from a table (steps of 0.001 between -9 and 9, straight lines between), so that numpy is all
that is needed; bins above the mean are mirrored below it, where small chances keep their digits.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

END, STEPS = 9.0, 18_000


@cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    grid = np.linspace(-END, END, STEPS + 1)
    return grid, np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in grid])


def edges(scores: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Between which values a score was before it was rounded; the outer levels reach to infinity.

    Shapes: any → two of the same
    Units:  scores from 0 to 1, one of `levels` steps
    """
    half = 0.5 / (levels - 1)
    low = np.where(scores < half, -np.inf, scores - half)
    return low, np.where(scores > 1 - half, np.inf, scores + half)


class Cut:
    """Standard normal variables between `low` and `high`: their `chance`, and draws."""

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        grid, below = _table()
        with np.errstate(invalid="ignore"):
            mirrored = low + high > 0
        self.sign = np.where(mirrored, -1.0, 1.0)
        self.start = np.interp(np.where(mirrored, -high, low), grid, below, left=0.0)
        self.chance = np.interp(np.where(mirrored, -low, high), grid, below) - self.start
        self.low, self.high = low, high

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """One value of each; of the shape of `low`."""
        grid, below = _table()
        share = self.start + generator.random(self.start.shape) * self.chance
        return np.clip(self.sign * np.interp(share, below, grid), self.low, self.high)
