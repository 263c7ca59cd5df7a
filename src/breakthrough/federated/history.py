"""What a federated run did, round by round: plain data for figures, checkpoints and reports."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.errors import ArtifactError, expected, unknown


@dataclass(frozen=True)
class Round:
    """One round.

    `names` took part to the end; `lost` maps those that did not to the reason.

    Units:  loss in nats, the nodes' mean; up_bytes from all nodes together; scores from 0 to 1 or in nats,
            measured by the server after the round; local are the nodes' own, weighted
    """

    number: int
    names: tuple[int, ...]
    lost: dict[str, str]
    loss: float
    weight: float
    up_bytes: int
    seconds: float
    scores: dict[str, float] = field(default_factory=dict)
    local: dict[str, float] = field(default_factory=dict)
    clipped: float = 0.0


@dataclass(frozen=True)
class History:
    """All rounds of a run, from the first."""

    rounds: tuple[Round, ...] = ()

    def __len__(self) -> int:
        return len(self.rounds)

    def add(self, one: Round) -> History:
        """This history and one round more."""
        return History((*self.rounds, one))

    def series(self, score: str = "accuracy") -> list[float]:
        """A score after every round; `loss` is the nodes' training loss.

        Raises: UnknownNameError for a score that was not measured
        """
        if score == "loss":
            return [one.loss for one in self.rounds]
        for one in self.rounds:
            if score not in one.scores:
                raise unknown("score", score, (*one.scores, "loss"))
        return [one.scores[score] for one in self.rounds]

    def last(self, score: str = "accuracy", over: int = 1) -> float:
        """A score at the end: the mean over the last rounds."""
        found = self.series(score)[-over:]
        return sum(found) / len(found)

    def to_list(self) -> list[dict[str, Any]]:
        """Plain data that `from_list` reads, fit for JSON."""
        return [asdict(one) for one in self.rounds]

    @classmethod
    def from_list(cls, data: Iterable[dict[str, Any]]) -> History:
        """The history that `to_list` wrote."""
        return cls(tuple(Round(**{**one, "names": tuple(one["names"])}) for one in data))

    def save(self, path: Path) -> None:
        """Write the history as JSON."""
        files.write_text(path, json.dumps(self.to_list(), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> History:
        """Read what `save` wrote.

        Raises: ArtifactError when it is not there or something else
        """
        try:
            return cls.from_list(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ArtifactError(expected(f"the history of a run in {path}", repr(error))) from error
