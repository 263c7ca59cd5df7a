"""What several inspectors said of the same test pictures: shares with their uncertainty, differences in pairs.

Shape legend: M test pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from breakthrough.errors import ShapeError, expected, unknown

Z95 = 1.96  # of a normal distribution, two-sided


@dataclass(frozen=True)
class Share:
    """A share, or a difference of two, of n pictures.

    Units:  from 0 to 1; half is that of an interval of 95%: what other test pictures might have given
    """

    value: float
    half: float
    n: int

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} ± {100 * self.half:.1f}"


@dataclass(frozen=True, eq=False)
class Scores:
    """The answers of some inspectors to the same test pictures.

    `owner` is the factory whose pictures a test picture looks like, a number into `factories`.

    Shapes: labels (M,), owner (M,), each of said (M,), all whole numbers
    Raises: ShapeError when they are not of the same pictures
    """

    labels: np.ndarray
    owner: np.ndarray
    classes: tuple[str, ...]
    factories: tuple[str, ...]
    said: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        """Refuse answers to other pictures."""
        for name, array in {"owner": self.owner, **self.said}.items():
            if array.shape != self.labels.shape or not len(array):
                raise ShapeError(expected(f"{name} of shape {self.labels.shape}, at least one", array.shape))

    def accuracy(self, model: str, factory: str | None = None) -> Share:
        """The share of pictures that a model named rightly, of all or of those that look like a factory's.

        Raises: UnknownNameError for a model or a factory that is not there
        """
        return _share(self._right(model)[self._of(factory)])

    def difference(self, model: str, other: str, factory: str | None = None) -> Share:
        """The accuracy of a model less that of another, paired by picture: the pictures' own difficulty falls out.

        Raises: UnknownNameError for a model or a factory that is not there
        """
        chosen = self._of(factory)
        return _share(self._right(model)[chosen] - self._right(other)[chosen])

    def mean(self, models: tuple[str, ...], factory: str | None = None) -> Share:
        """The mean accuracy of some models on the same pictures."""
        return _share(np.mean([self._right(name)[self._of(factory)] for name in models], axis=0))

    def recall(self, model: str) -> dict[str, Share]:
        """Of each class that is there, the share that a model found."""
        right = self._right(model)
        return {name: _share(right[self.labels == i]) for i, name in enumerate(self.classes) if (self.labels == i).any()}

    def majority(self) -> float:
        """What saying the most frequent class of these pictures always would score."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    def _right(self, model: str) -> np.ndarray:
        if model not in self.said:
            raise unknown("model", model, self.said)
        return (self.said[model] == self.labels).astype(float)  # (M,)

    def _of(self, factory: str | None) -> np.ndarray:
        if factory is None:
            return np.ones(len(self.labels), bool)
        if factory not in self.factories:
            raise unknown("factory", factory, self.factories)
        return self.owner == self.factories.index(factory)


def _share(values: np.ndarray) -> Share:
    n = len(values)
    if not n:
        return Share(math.nan, math.nan, 0)
    # a share of 0 or 1 of few pictures is not certain: one more picture each way, as Agresti and Coull have it
    spread = float(values.std()) if n > 1 and values.std() > 0 else math.sqrt((n + 1) / (n + 2) ** 2)
    return Share(float(values.mean()), Z95 * spread / math.sqrt(n), n)
