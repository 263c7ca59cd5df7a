"""What a training run measured, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

DEAD_SHARE = 0.01  # an expert with less than this part of an even share of the load is dead


@dataclass(frozen=True)
class Point:
    """One evaluation on the fixed validation windows.

    Shapes: load has one row per sparse block, one number per expert, and sums to 1 in each row
    Units:  losses in nats per byte; train_s is seconds spent in training steps alone: CPU seconds
            on a CPU (whatever else the machine does), device seconds on CUDA; wall_s includes
            evaluation; dropped is a share of the choices made
    """

    step: int
    tokens: int
    train_s: float
    wall_s: float
    train_loss: float
    valid_loss: float
    load: tuple[tuple[float, ...], ...] = ()
    dropped: tuple[float, ...] = ()

    @property
    def load_cv(self) -> tuple[float, ...]:
        """Coefficient of variation of the load, per sparse block: 0 is even."""
        return tuple(float(np.std(row) / np.mean(row)) for row in self.load)

    @property
    def dead(self) -> tuple[int, ...]:
        """Experts that get next to nothing to do, per sparse block."""
        return tuple(sum(x < DEAD_SHARE / len(row) for x in row) for row in self.load)


@dataclass
class History:
    """The evaluations of one run, in the order of steps."""

    points: list[Point] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    @property
    def last(self) -> Point:
        """The latest evaluation."""
        return self.points[-1]

    def column(self, name: str) -> np.ndarray:
        """One quantity over the evaluations. Shapes: (points,), or (points, blocks)."""
        return np.array([getattr(point, name) for point in self.points])

    def loss_at(self, step: float) -> float:
        """The validation loss at a step, on the line between the evaluations around it."""
        return float(np.interp(step, self.column("step"), self.column("valid_loss")))

    def to_list(self) -> list[dict[str, Any]]:
        """Plain data that `from_list` reads, fit for JSON."""
        return [asdict(point) for point in self.points]

    @classmethod
    def from_list(cls, data: Iterable[Mapping[str, Any]]) -> History:
        """The history that `to_list` wrote."""
        return cls([_point(item) for item in data])


def _point(item: Mapping[str, Any]) -> Point:
    load = tuple(tuple(row) for row in item["load"])  # JSON knows lists only
    return Point(**{**item, "load": load, "dropped": tuple(item["dropped"])})
