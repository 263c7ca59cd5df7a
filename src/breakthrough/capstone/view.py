"""One domain of a line, read for its shares: which answers are right, of which factory, of which class.

The version that is served is the last of VERSIONS.

Shape legend: N pictures of a domain, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from breakthrough.capstone.decision import Told, odds
from breakthrough.capstone.line import VERSIONS, Line
from breakthrough.errors import ShapeError, expected, unknown
from breakthrough.quant.inspecting import Share, share

FIRST, SERVED = VERSIONS[0], VERSIONS[-1]
SOUND = "none"  # the class of a part without a defect


@dataclass(frozen=True, eq=False)
class View:
    """One domain of a line, read for its shares.

    Raises: ShapeError when scores, factories and pictures are not of the same number
    """

    line: Line
    domain: str

    def __post_init__(self) -> None:
        """Refuse what does not belong together."""
        wanted, names = (len(self.labels), len(self.classes)), f"{self.domain} pictures"
        for version, scores in self.line.scores[self.domain].items():
            if np.shape(scores) != wanted:
                raise ShapeError(expected(f"scores of {version} for {names} of shape {wanted}", np.shape(scores)))
        if np.shape(self.owner) != wanted[:1]:
            raise ShapeError(expected(f"a factory for each of {wanted[0]} {names}", np.shape(self.owner)))
        if SOUND not in self.classes:
            raise unknown("class", SOUND, self.classes)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of scores."""
        return self.line.sets[self.domain].classes

    @property
    def labels(self) -> np.ndarray:
        """What every picture shows. Shapes: → (N,)."""
        return self.line.sets[self.domain].labels

    @property
    def owner(self) -> np.ndarray:
        """Whose picture each is, a number into the factories. Shapes: → (N,)."""
        return self.line.factory[self.domain]

    @property
    def sound(self) -> int:
        """The number of the class without a defect."""
        return self.classes.index(SOUND)

    def said(self, version: str = SERVED) -> np.ndarray:
        """The class that a version names. Shapes: → (N,)."""
        return self.line.scores[self.domain][version].argmax(1)

    def right(self, version: str = SERVED) -> np.ndarray:
        """Which pictures a version names rightly. Shapes: → (N,) bool."""
        return self.said(version) == self.labels

    @cached_property
    def told(self) -> Told:
        """The served version's scores of a defect."""
        return Told(odds(self.line.scores[self.domain][SERVED], self.sound), self.labels != self.sound)

    def factories(self) -> Iterator[tuple[str, np.ndarray]]:
        """Every factory's name and which pictures are its."""
        return ((name, self.owner == place) for place, name in enumerate(self.line.spec.names))

    def kinds(self) -> Iterator[tuple[str, np.ndarray]]:
        """Every class and which pictures show it."""
        return ((name, self.labels == place) for place, name in enumerate(self.classes))

    def recall(self, mine: np.ndarray | None = None) -> dict[str, Share]:
        """Of each class, the share that was named so; `mine` leaves only some pictures."""
        mine = np.ones(len(self.labels), bool) if mine is None else mine
        return {name: share(self.right()[shown & mine]) for name, shown in self.kinds()}

    def precision(self) -> dict[str, Share]:
        """Of what was named as each class, the share that is of it."""
        return {name: share(self.right()[self.said() == place]) for place, name in enumerate(self.classes)}

    def confusion(self) -> np.ndarray:
        """Pictures by what they show and by what was said. Shapes: → (C, C)."""
        count = len(self.classes)
        return np.bincount(self.labels * count + self.said(), minlength=count * count).reshape(count, count)

    def detection(self, mine: np.ndarray | None = None) -> dict[str, Share]:
        """Any defect or none, as the likeliest class says: recall of defects, and the rate of false alarms."""
        mine = np.ones(len(self.labels), bool) if mine is None else mine
        stopped, faulty = self.said() != self.sound, self.told.faulty
        return {"recall": share(stopped[faulty & mine]), "false_alarms": share(stopped[~faulty & mine])}
