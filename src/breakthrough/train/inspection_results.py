"""What inspectors trained on several sets, with several seeds, can do on several others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from breakthrough import files
from breakthrough.errors import unknown
from breakthrough.train.comparison import Estimate, estimate
from breakthrough.train.inspection import Score
from breakthrough.train.inspector import Inspector


@dataclass(frozen=True)
class InspectionRun:
    """One training and its measurements.

    Units:  train_s is CPU seconds of training on a CPU, device seconds on CUDA; losses as in Training
    """

    seed: int
    train_s: float
    losses: tuple[float, ...]
    scores: Mapping[str, Score]
    weights: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return {**self.__dict__, "scores": {name: x.confusion for name, x in self.scores.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> InspectionRun:
        """The run that `to_dict` wrote."""
        scores = {name: Score(tuple(map(tuple, table))) for name, table in data["scores"].items()}
        return cls(**{**data, "losses": tuple(data["losses"]), "scores": scores})


@dataclass(frozen=True)
class Inspections:
    """Inspectors trained on several sets, over seeds.

    Shapes: runs has one InspectionRun per seed for every training set; sizes its number of pictures
    """

    classes: tuple[str, ...]
    tests: tuple[str, ...]
    device: str
    seeds: tuple[int, ...]
    sizes: Mapping[str, int]
    runs: Mapping[str, tuple[InspectionRun, ...]]

    def accuracy(self, name: str, test: str) -> Estimate:
        """The share of a test set named rightly after training on a set, over seeds.

        Raises: UnknownNameError for a set that is not there
        """
        return estimate(score.accuracy for score in self._scores(name, test))

    def difference(self, name: str, other: str, test: str) -> Estimate:
        """Accuracy after training on one set minus that on another, paired by seed."""
        pairs = zip(self._scores(name, test), self._scores(other, test))
        return estimate(a.accuracy - b.accuracy for a, b in pairs)

    def recall(self, name: str, test: str) -> dict[str, Estimate]:
        """Of each class the share that was found, over seeds."""
        columns = zip(*(score.recall for score in self._scores(name, test)))
        return {label: estimate(column) for label, column in zip(self.classes, columns)}

    def confusion(self, name: str, test: str) -> np.ndarray:
        """What was said for what there was, summed over seeds.

        Shapes: → (C, C), rows the truth
        """
        return np.sum([score.confusion for score in self._scores(name, test)], axis=0)

    def train_s(self, name: str) -> Estimate:
        """Training time over seeds.

        Units:  CPU seconds on a CPU, device seconds on CUDA
        """
        return estimate(run.train_s for run in self.runs[name])

    def inspector(self, name: str, seed: int | None = None) -> Inspector:
        """A trained inspector, on the CPU; of the first seed by default.

        Raises: UnknownNameError for a set or seed that is not there; ArtifactError when its file is gone
        """
        if name not in self.runs:
            raise unknown("training set", name, self.runs)
        found = {run.seed: run.weights for run in self.runs[name]}
        seed = self.seeds[0] if seed is None else seed
        if seed not in found:
            raise unknown("seed", str(seed), map(str, found))
        return Inspector.load(found[seed])

    def summary(self) -> dict[str, Any]:
        """Every figure as plain data, without the confusion matrices."""
        table = {
            name: {test: self.accuracy(name, test).to_dict() for test in self.tests} for name in self.runs
        }
        return {"device": self.device, "seeds": list(self.seeds), "sizes": dict(self.sizes), "accuracy": table}

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        runs = {name: [run.to_dict() for run in runs] for name, runs in self.runs.items()}
        return {**self.__dict__, "sizes": dict(self.sizes), "runs": runs}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Inspections:
        """The inspections that `to_dict` wrote."""
        runs = {name: tuple(map(InspectionRun.from_dict, x)) for name, x in data["runs"].items()}
        lists = {name: tuple(data[name]) for name in ("classes", "tests", "seeds")}
        return cls(**{**data, **lists, "runs": runs})

    def save(self, path: str | Path) -> None:
        """Write them as JSON."""
        files.write_text(Path(path), json.dumps(self.to_dict()))

    @classmethod
    def load(cls, path: str | Path) -> Inspections:
        """Read what `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    def _scores(self, name: str, test: str) -> list[Score]:
        if name not in self.runs:
            raise unknown("training set", name, self.runs)
        if test not in self.tests:
            raise unknown("test set", test, self.tests)
        return [run.scores[test] for run in self.runs[name]]
