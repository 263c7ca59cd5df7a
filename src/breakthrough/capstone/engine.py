"""Stages made in the order they allow: by Ray on this machine or on a cluster, or one by one in this process.

Why Ray: it is here already, for Flower's simulation runs on it; it starts on a laptop without a server of its own and
takes a cluster's address without a change to a stage; it keeps cores from being given out twice and starts a worker
again that died. What it lacks, remembering what was made, is `keys`: two hundred lines of Hamilton's or redun's cache, or
DVC's, know files or Python values; artifacts here know their own content already. On a cluster the store is a folder that
all machines see.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from breakthrough import artifacts, devices
from breakthrough.artifacts import Artifact
from breakthrough.capstone import keys
from breakthrough.capstone.order import PROGRESS, Order
from breakthrough.capstone.spec import Spec
from breakthrough.capstone.stages import Stage, after, before_the_end, graph, leading_to, perform
from breakthrough.cluster import start_ray
from breakthrough.errors import BreakthroughError, expected
from breakthrough.optional import require
from breakthrough.scenes.disk import alone

WORK, LOOK_S = "work", 0.5


@dataclass
class Built:
    """What a run did: the artifact of every stage, and which of them were made now, in s."""

    artifacts: dict[str, Artifact] = field(default_factory=dict)
    made_s: dict[str, float] = field(default_factory=dict)


def run(
    spec: Spec,
    profile: str,
    store: Path,
    *,
    workers: int | None = None,
    address: str | None = None,
    begin: str | None = None,
    until: str | None = None,
    here: bool = False,
    watch: Watch | None = None,
) -> Built:
    """Make what is not there of a line's stages.

    `begin` makes a stage and all that hangs on it again. `until` ends with a stage. With `here` stages are made one by
    one in this process; else by Ray, on a cluster where `address` says which.

    Units:  workers are stages at a time on this machine, by default one per core
    Raises: UnknownNameError for a stage that is not there; InputError when another run holds the store;
            BreakthroughError when a stage fails: what is finished stays
    """
    stages, watch = graph(spec), watch or Watch()
    again = after(stages, begin) if begin else set()
    wanted = leading_to(stages, until) if until else set(stages)
    store = store.resolve()
    with alone(store):
        _sweep(store)
        state = _State(spec, profile, store, {name: stages[name] for name in stages if name in wanted}, again, watch)
        makers = _Here() if here else _Ray(workers or devices.cores(), address)
        with makers, watch:
            state.work(makers)
        shutil.rmtree(store / WORK, ignore_errors=True)  # what runs with other settings left unfinished
    return Built({name: state.found[name] for name in stages if name in wanted}, state.made_s)


class Watch:
    """Whoever looks on: told of stages that were there, begun, how far, made."""

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to end."""

    def plan(self, stages: Mapping[str, Stage]) -> None:
        """These will be looked at."""

    def kept(self, stage: Stage, artifact: Artifact) -> None:
        """One that is there already."""

    def begun(self, stage: Stage) -> None:
        """One that is being made."""

    def at(self, running: Mapping[str, float]) -> None:
        """How far those are that are being made, from 0 to 1."""

    def made(self, stage: Stage, artifact: Artifact, seconds: float) -> None:
        """One that was made."""


class _State:
    """Which stages are done, and which may begin."""

    def __init__(self, spec: Spec, profile: str, store: Path, stages: Mapping[str, Stage], again: set[str], watch: Watch) -> None:
        self.plain, self.profile, self.store = json.loads(json.dumps(spec.to_dict())), profile, store
        self.stages, self.again, self.watch = stages, again, watch
        self.before = before_the_end(stages)
        self.found: dict[str, Artifact] = {}
        self.made_s: dict[str, float] = {}

    def work(self, makers: Any) -> None:
        """Look for every stage whose inputs are there, and have made what is missing."""
        waiting = dict(self.stages)
        running: dict[Any, tuple[Stage, Order, float]] = {}
        self.watch.plan(self.stages)
        while waiting or running:
            ready = [stage for stage in waiting.values() if all(need in self.found for need in stage.needs)]
            ready.sort(key=lambda stage: -self.before[stage.name])  # what most waits for goes first
            for stage in ready[: makers.most - len(running)]:
                order = self._wanted(waiting.pop(stage.name))
                if order is None:
                    break  # what it led to may be looked at now
                self.watch.begun(stage)
                running[makers.start(order)] = (stage, order, time.monotonic())
            else:
                for handle, folder in makers.finished(list(running), LOOK_S):
                    stage, order, began_s = running.pop(handle)
                    self._keep(stage, order, artifacts.load(folder), time.monotonic() - began_s)
                self.watch.at({stage.name: progress(order.work) for stage, order, _ in running.values()})

    def _wanted(self, stage: Stage) -> Order | None:
        """The order for a stage that has to be made; None where it is there, and found."""
        inputs = {name: self.found[name] for name in stage.needs}
        key = stage.key(inputs)
        there = None if stage.name in self.again else keys.find(self.store, key)
        if there is not None:
            self.found[stage.name] = there
            self.watch.kept(stage, there)
            return None
        told = {"stage": stage.name, "key": key, "settings": dict(stage.settings), "code": stage.kind.code,
                "inputs": {name: one.digest for name, one in inputs.items()}}  # fmt: skip
        folders = {name: str(one.folder) for name, one in inputs.items()}
        return Order(stage.name, self.profile, self.plain, folders, str(self.store / WORK / key), str(self.store), told)

    def _keep(self, stage: Stage, order: Order, made: Artifact, seconds: float) -> None:
        keys.keep(self.store, order.told["key"], stage.name, made)
        shutil.rmtree(order.work, ignore_errors=True)
        self.found[stage.name], self.made_s[stage.name] = made, seconds
        self.watch.made(stage, made, seconds)


class _Here:
    """Makes a stage when its end is asked for, in this process."""

    most = 1

    def __enter__(self) -> _Here:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is left running."""

    def start(self, order: Order) -> str:
        """Take an order."""
        return order.to_json()

    def finished(self, handles: list[str], wait_s: float) -> Iterator[tuple[str, str]]:
        """Make what was ordered."""
        yield from ((order, perform(order)) for order in handles)


class _Ray:
    """Ray tasks; Ray is started when there is something to make, and shares out its cores."""

    def __init__(self, workers: int, address: str | None) -> None:
        self.most = 1000 if address else workers
        self.workers, self.address, self.ours = workers, address, False
        self.task: Any = None

    def __enter__(self) -> _Ray:
        return self

    def __exit__(self, *error: object) -> None:
        if self.ours:
            require("ray", "stages in parallel").shutdown()

    def start(self, order: Order) -> Any:
        """Give an order to Ray."""
        if self.task is None:
            self.task = self._begin()
        return self.task.options(name=order.stage).remote(order.to_json())

    def finished(self, handles: list[Any], wait_s: float) -> Iterator[tuple[Any, str]]:
        """Those that have ended by now.

        Raises: BreakthroughError for one that failed
        """
        ray = require("ray", "stages in parallel")
        done, _ = ray.wait(handles, num_returns=1, timeout=wait_s)
        for handle in done:
            try:
                yield handle, ray.get(handle)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause if isinstance(error.cause, BaseException) else error
                if isinstance(cause, BreakthroughError):
                    raise BreakthroughError(str(cause)) from error
                raise
            except ray.exceptions.RayError as error:
                said = " ".join(str(error).split())[:300]
                raise BreakthroughError(expected("a stage that ends", f"a worker that did not: {said}", "the same command, which goes on")) from error

    def _begin(self) -> Any:
        ray = require("ray", "stages in parallel")
        if not ray.is_initialized():
            self.ours = True
            start_ray(self.workers, self.address)
        gpus = 1 / self.workers if devices.choose().type == "cuda" else 0
        return ray.remote(num_cpus=1, num_gpus=gpus, max_retries=1)(perform)


def progress(work: Path) -> float:
    """How far a stage says it is, from 0 to 1."""
    try:
        done, total = json.loads((work / PROGRESS).read_text())
        return done / total
    except (OSError, ValueError, ZeroDivisionError):
        return 0.0


def _sweep(store: Path) -> None:
    """Remove what killed runs were writing."""
    for part in store.glob("*/.writing-*"):
        shutil.rmtree(part, ignore_errors=True)
