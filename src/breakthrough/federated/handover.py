"""The federated inspector as an artifact: what module 3 hands to the modules after it.

    model.safetensors, config.json   the inspector, as `train.inspector.load_inspector` reads it
    split.npz                        who held what: `picture` (L,) numbers in the dataset, `factory` (L,) numbers
                                     into `names` (K,)
    history.json                     the federated run, round by round
    control.safetensors              the same model trained on all pictures in one place
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import save_file

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError, InputError, expected
from breakthrough.federated.history import History
from breakthrough.federated.training import CENTRAL, FEDERATED, Federation
from breakthrough.train.inspector import CONFIG, KIND, WEIGHTS, Inspector, load_inspector

SPLIT, HISTORY, CONTROL = "split.npz", "history.json", "control.safetensors"


@dataclass(frozen=True, eq=False)
class Split:
    """Which factory held which picture: pairs, so that what is held twice or by nobody can be seen.

    Shapes: picture (L,) int64 numbers in the dataset, factory (L,) int64 numbers into names
    Raises: InputError for numbers that do not fit together
    """

    picture: np.ndarray
    factory: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what is no list of pairs."""
        fits = self.picture.ndim == 1 and self.picture.shape == self.factory.shape and len(self.names) > 0
        if not fits or {self.picture.dtype.kind, self.factory.dtype.kind} - set("iu"):
            what = "a picture's and a factory's number in each of L pairs, and the factories' names"
            raise InputError(expected(what, f"{self.picture.shape} and {self.factory.shape}, {len(self.names)} names"))
        if len(self.picture) and not (self.picture.min() >= 0 and 0 <= self.factory.min() <= self.factory.max() < len(self.names)):
            raise InputError(expected(f"numbers of pictures from 0, of factories from 0 to {len(self.names) - 1}", self.factory.max()))

    @classmethod
    def of(cls, held: Mapping[str, np.ndarray]) -> Split:
        """The pairs of lists of pictures, one a factory."""
        parts = [np.asarray(part, np.int64) for part in held.values()]
        factory = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return cls(np.concatenate(parts), factory, tuple(held))

    @property
    def held(self) -> dict[str, np.ndarray]:
        """The pictures of each factory."""
        return {name: self.picture[self.factory == i] for i, name in enumerate(self.names)}

    def save(self, path: Path) -> None:
        """Write it as npz."""
        np.savez_compressed(path, picture=self.picture, factory=self.factory, names=np.array(self.names))

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what `save` wrote.

        Raises: ArtifactError when the file holds no such split
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                return cls(data["picture"], data["factory"], tuple(map(str, data["names"])))
        except (OSError, EOFError, KeyError, ValueError, TypeError, BadZipFile, InputError) as error:
            raise ArtifactError(expected(f"who holds which picture in {path}", repr(error))) from error


@dataclass(frozen=True, eq=False)
class Handed:
    """A federated inspector that was handed over, on the CPU.

    `scenes` is the id of the dataset that it learned from, "" when none is named.
    """

    model: Inspector
    control: Inspector
    split: Split
    history: History
    metrics: Mapping[str, Any]
    scenes: str


def save_federated(federation: Federation, *, metrics: Mapping[str, Any] | None = None, staff: bool = False) -> Artifact:
    """Save a federated inspector, its control, its split and its history as an artifact; written aside."""
    config, weights = federation.model.to_files()
    _, control = federation.control.to_files()
    files = {
        WEIGHTS: lambda path: save_file(weights, path),
        CONFIG: lambda path: path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8"),
        SPLIT: Split.of(federation.held).save,
        HISTORY: federation.history.save,
        CONTROL: lambda path: save_file(control, path),
    }
    told = told_of(federation) | dict(metrics or {})
    return artifacts.save(KIND, files, metrics=told, parents=(federation.scenes,), profile=federation.profile, staff=staff)


def load_federated(artifact: Artifact | str | Path) -> Handed:
    """What `save_federated` saved, its files verified.

    Raises: ArtifactError when a file is missing, altered, or not what its name says
    """
    found = artifacts.load(artifact.folder if isinstance(artifact, Artifact) else artifact)
    model = load_inspector(found)
    try:
        control = Inspector.from_files(found.path(CONFIG), found.path(CONTROL))
    except (SafetensorError, ValueError) as error:
        raise ArtifactError(expected(f"the weights of the control in {found.path(CONTROL)}", repr(error))) from error
    split, history = Split.load(found.path(SPLIT)), History.load(found.path(HISTORY))
    return Handed(model, control, split, history, found.metrics, next(iter(found.parents), ""))


def told_of(federation: Federation) -> dict[str, Any]:
    """The figures of a federation as plain data: from 0 to 1, `half` is that of an interval of 95%."""
    scores, plan = federation.scores, federation.plan
    alone = {name: asdict(scores.accuracy(name)) for name in federation.alone}
    return {
        "accuracy": scores.accuracy(FEDERATED).value,
        "test": len(scores.labels),
        FEDERATED: asdict(scores.accuracy(FEDERATED)),
        CENTRAL: asdict(scores.accuracy(CENTRAL)),
        "alone": asdict(scores.mean(tuple(federation.alone))),
        "each alone": alone,
        "lost": asdict(federation.lost),
        "recall": {name: share.value for name, share in scores.recall(FEDERATED).items()},
        "rounds": len(federation.history),
        "passes": plan.rounds * plan.epochs,
        "strategy": plan.strategy,
        "protection": plan.protection,
        "skew": f"feature: {federation.by}",
        "factories": {name: len(part) for name, part in federation.held.items()},
        "profile": federation.profile,
    }
