"""Module 3: federated inspectors that were handed over with one fault each, for the experiment's misconceptions."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.federated.factories import from_scenes
from breakthrough.federated.handover import HISTORY, SPLIT, Split, save_federated
from breakthrough.federated.history import History
from breakthrough.federated.local import load_state
from breakthrough.federated.simulation import Job, place, simulate
from breakthrough.federated.tasks import task_of
from breakthrough.federated.training import SET, Federation, train_inspector
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.handover import save_scenes
from breakthrough.seeds import torch_generator
from breakthrough.train.inspector import CONFIG, KIND, WEIGHTS, Inspector, InspectorConfig

SMALL = Settings(n=100, ranges="all", shard_images=50, size=32)


@cache
def _home() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="federated-")  # gone when the process ends


def folder() -> Path:
    """Where trainings are kept, until the process ends: what is done is not done twice."""
    return Path(_home().name, "runs")


@cache
def _made() -> Artifact:
    """A small dataset, made once, in a store of its own."""
    with tempfile.TemporaryDirectory() as aside:
        dataset = make(Path(aside) / "scenes", SMALL)
        scene = dataset.arrays().scenes
        place = scene / (scene.max() + 1)
        artifact = save_scenes(dataset, np.searchsorted((0.7, 0.8), place, side="right"), "tiny")
        shutil.copytree(artifact.folder, Path(_home().name, artifact.id))
    return replace(artifact, folder=Path(_home().name, artifact.id))


def scenes() -> Artifact:
    """The small dataset in the present store."""
    made = _made()
    place = artifacts.store() / made.kind / made.id
    if not place.exists():
        shutil.copytree(made.folder, place)
    return replace(made, folder=place)


@cache
def federated(by: str = "light") -> Federation:
    """A small federation, trained once."""
    return train_inspector(_made().folder, "tiny", by=by, folder=folder(), progress=False)


def saved(by: str = "light", metrics: dict[str, Any] | None = None, **changes: Any) -> Artifact:
    """An artifact of a small federation, some of it changed."""
    scenes()
    return save_federated(replace(federated(by), **changes), metrics=metrics)


def by_camera() -> Artifact:
    """Factories that differ in where the camera stands: nothing is wrong with it."""
    return saved(by="camera")


def untrained() -> Artifact:
    """The weights before round 1."""
    plan = federated().plan
    return saved(model=task_of(plan.task, plan.task_options).model(plan.seed))


@cache
def _one_round() -> Inspector:
    shared, plan = from_scenes(_made().folder), replace(federated().plan, rounds=1)
    data = place(Path(_home().name, "one"), {SET: [site.train for site in shared.sites]})
    weights = simulate({"one": Job(plan)}, data, len(shared.names), engine="local", progress=False)["one"].weights
    model = task_of(plan.task, plan.task_options).model(plan.seed)
    load_state(model, weights)
    return cast(Inspector, model)


def stopped() -> Artifact:
    """One round of several."""
    return saved(model=_one_round())


def dense() -> Artifact:
    """A net without experts."""
    model, control = (Inspector(InspectorConfig(), torch_generator(seed)) for seed in (0, 1))
    return saved(model=model, control=control)


def without_control() -> Artifact:
    """A control that nobody trained."""
    plan = federated().plan
    return saved(control=task_of(plan.task, plan.task_options).model(plan.seed + 1))


def alone(which: int) -> Callable[[], Artifact]:
    """The model of one factory that learned alone."""
    return lambda: saved(model=list(federated().alone.values())[which])


def only_one_took_part() -> Artifact:
    """A history in which factory 0 is asked only."""
    rounds = federated().history.rounds
    return saved(history=History(tuple(replace(one, names=(0,)) for one in rounds)))


def of_an_earlier_round() -> Artifact:
    """A history that ends with another accuracy than these weights have."""
    *before, last = federated().history.rounds
    other = replace(last, scores=last.scores | {"accuracy": 1 - last.scores["accuracy"]})
    return saved(history=History((*before, other)))


def split(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Callable[[], Artifact]:
    """An artifact whose factories hold other pictures."""
    return lambda: resaved(lambda files: files | {SPLIT: Split.of(change(dict(federated().held))).save})


def shared(held: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The first factory holds some of the second's pictures too."""
    first, second, *_ = held
    return held | {first: np.concatenate((held[first], held[second][:5]))}


def everything(held: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The last factory holds the pictures for validation and test."""
    rest = np.setdiff1d(np.arange(SMALL.n), np.concatenate(list(held.values())))
    *_, last = held
    return held | {last: np.concatenate((held[last], rest))}


def some_lost(held: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every factory lost some pictures on the way."""
    return {name: part[3:] for name, part in held.items()}


def resaved(change: Callable[[dict[str, Any]], dict[str, Any]], metrics: dict[str, Any] | None = None, **how: Any) -> Artifact:
    """A good artifact's files, changed and saved again."""
    artifact = saved()
    files = {name: artifact.path(name) for name in artifact.files}
    told = artifact.metrics if metrics is None else metrics
    return artifacts.save(how.pop("kind", KIND), change(files), metrics=told, profile="tiny", **{"parents": artifact.parents} | how)


def other_shape(files: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a net with twice the experts."""
    config = json.loads(files[CONFIG].read_text(encoding="utf-8"))
    return files | {CONFIG: lambda path: path.write_text(json.dumps(config | {"experts": 8}))}


def without(name: str) -> Callable[[], Artifact]:
    """An artifact that lacks a file."""
    return lambda: resaved(lambda files: {key: path for key, path in files.items() if key != name})


def junk(name: str) -> Callable[[], Artifact]:
    """An artifact with a file that holds nonsense."""
    return lambda: resaved(lambda files: files | {name: lambda path: path.write_bytes(b"junk")})


def changed() -> Artifact:
    """Weights altered after the artifact was saved."""
    artifact = saved()
    with artifact.path(WEIGHTS).open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    return artifact


def history_as_list() -> Artifact:
    """A history that is no list of rounds."""
    return resaved(lambda files: files | {HISTORY: lambda path: path.write_text('["round 1", "round 2"]')})
