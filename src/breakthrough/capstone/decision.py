"""Defect or not: how sure the net is of a defect, and from where on the line stops a part.

The score of a picture is the logarithm of the odds of any defect, log p(defect) − log p(none): in the order of the
probability, and still exact where that one rounds to 1. A part is stopped when its score is at least the threshold.

Shape legend: N pictures, C classes, T thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from breakthrough.errors import InputError, expected
from breakthrough.quant.inspecting import Share, share

Cost = Callable[[np.ndarray, np.ndarray], np.ndarray | float]  # recall (T,), false alarms (T,) → cost (T,)


def odds(scores: np.ndarray, sound: int) -> np.ndarray:
    """The log-odds of any defect, from the scores of all classes; `sound` is the class without one.

    Shapes: scores (N, C) → (N,)
    """
    scores = np.asarray(scores, np.float64)
    others = np.delete(scores, sound, 1)  # (N, C − 1)
    best = others.max(1)
    return best + np.log(np.exp(others - best[:, None]).sum(1)) - scores[:, sound]


def probability(value: float) -> float:
    """The probability that log-odds stand for."""
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


@dataclass(frozen=True, eq=False)
class Told:
    """Pictures by the score of a defect, and which have one.

    Shapes: values (N,) log-odds, faulty (N,) bool
    """

    values: np.ndarray
    faulty: np.ndarray

    def rates(self, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Recall of defects and rate of false alarms at thresholds; NaN without such pictures. Shapes: (T,) → (T,), (T,)."""
        found = []
        for mine in (self.values[self.faulty], self.values[~self.faulty]):
            above = len(mine) - np.searchsorted(np.sort(mine), thresholds, "left")
            found.append(above / len(mine) if len(mine) else np.full(len(thresholds), np.nan))
        return found[0], found[1]

    def stopped(self, threshold: float) -> np.ndarray:
        """Which parts are stopped. Shapes: → (N,) bool."""
        return self.values >= threshold

    def at(self, threshold: float) -> tuple[Share, Share]:
        """Recall of defects and rate of false alarms at a threshold, with their intervals."""
        stopped = self.stopped(threshold)
        return share(stopped[self.faulty]), share(stopped[~self.faulty])

    def candidates(self) -> np.ndarray:
        """Every threshold that makes a difference: half-way between neighbours, and beyond both ends. Shapes: → (T,)."""
        values = np.unique(self.values)
        return np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])

    def threshold_for(self, goal: float) -> float:
        """The threshold that stops at least `goal` of these defects, and as few sound parts as that allows.

        Raises: InputError without pictures of both kinds
        """
        self._both()
        places = self.candidates()
        recall, _ = self.rates(places)
        return float(places[recall >= goal - 1e-12].max())

    def cheapest(self, cost: Cost) -> float:
        """The threshold at which a cost of recall and false alarms is lowest on these pictures.

        Raises: InputError without pictures of both kinds
        """
        self._both()
        places = self.candidates()
        return float(places[np.argmin(cost(*self.rates(places)))])

    def curve(self) -> dict[str, list[float]]:
        """Recall against false alarms, from nothing stopped to everything: the corners of the staircase."""
        if not self.faulty.any() or self.faulty.all():
            return {"false_alarms": [], "recall": []}
        recall, alarms = self.rates(np.unique(self.values)[::-1])
        points = np.concatenate([[[0.0, 0.0]], np.stack((alarms, recall), 1)])  # (T, 2)
        moved = np.diff(points, axis=0) != 0
        # a step straight on has no corner behind it; a slanted one, of equal scores, always has
        corner = (moved[1:] != moved[:-1]).any(1) | moved[1:].all(1)
        points = points[np.concatenate([[True], corner, [True]])]
        return {"false_alarms": points[:, 0].tolist(), "recall": points[:, 1].tolist()}

    def _both(self) -> None:
        if not self.faulty.any() or self.faulty.all():
            got = f"{int(self.faulty.sum())} of {len(self.faulty)} faulty"
            raise InputError(expected("pictures of sound and of faulty parts to choose a threshold with", got, "more pictures in the part valid"))
