"""What reviews look like when no effort was made: full marks, one level throughout, or levels drawn one by one.

A habit is kept up to slips. How common each habit is, and the distribution that levels are drawn from, is learned from the
reviews that the model holds for made without effort.
"""

from __future__ import annotations

import numpy as np

SLIP = 0.06  # how often a level strays from its habit
COMMON = (3.0, 1.0, 1.0)  # reviews of each habit seen before, so to speak: full, same, drawn
SEEN = 2.0  # ratings of each level seen before
NEAR = 0.9  # this share of one level, and that level, looks like a habit before anything is known


class Habits:
    """The likelihood of reviews under the habits.

    Shapes: scores (R, J), NaN where a criterion was left out
    """

    def __init__(self, scores: np.ndarray, levels: int) -> None:
        steps = np.round(scores * (levels - 1))
        self.counts = np.stack([(steps == level).sum(1) for level in range(levels)], 1)  # (R, L)
        rated = self.counts.sum(1, keepdims=True)
        kept = self.counts * np.log(1 - SLIP) + (rated - self.counts) * np.log(SLIP / (levels - 1))  # (R, L) to each level
        self.full, self.same = kept[:, -1], np.logaddexp.reduce(kept, axis=1) - np.log(levels)
        self.plain = self.counts.max(1) >= NEAR * rated[:, 0]
        self.common = np.array(COMMON) / sum(COMMON)
        self.levels = np.full(levels, 1 / levels)

    def parts(self) -> np.ndarray:
        """The log-likelihood of each review with each habit, and that habit's share: (R, 3)."""
        drawn = self.counts @ np.log(self.levels)
        return np.stack([self.full, self.same, drawn], 1) + np.log(self.common)

    def likelihood(self) -> np.ndarray:
        """The log-likelihood of each review without effort: (R,)."""
        return np.logaddexp.reduce(self.parts(), axis=1)

    def learn(self, idle: np.ndarray, generator: np.random.Generator) -> None:
        """Draw how common the habits and the levels are, given which reviews were made without effort (R,)."""
        parts, counts = self.parts()[idle], self.counts[idle]
        chances = np.exp(parts - np.logaddexp.reduce(parts, axis=1)[:, None]).cumsum(1)
        habit = (generator.random((len(parts), 1)) > chances[:, :2]).sum(1)
        self.common = generator.dirichlet(np.array(COMMON) + np.bincount(habit, minlength=3)).clip(1e-9)
        self.levels = generator.dirichlet(SEEN + counts[habit == 2].sum(0)).clip(1e-9)
