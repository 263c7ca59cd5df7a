"""The federated inspector: four factories, one model, and what it is measured against.

Module 2's training pictures are shared out by what they show, so each factory has a light of its own. Two
controls, of the same model, passes, optimizer and schedule: all pictures in one place, which is what
federation has to come near; and each factory alone, which is what it has to beat.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tqdm import tqdm

from breakthrough import artifacts, devices
from breakthrough.artifacts import Artifact
from breakthrough.digests import digest_of
from breakthrough.errors import unknown
from breakthrough.federated import checkpoint
from breakthrough.federated.factories import Shared, from_scenes
from breakthrough.federated.history import History
from breakthrough.federated.local import centralised, load_state, scorer
from breakthrough.federated.plan import Plan
from breakthrough.federated.scoring import Scores, Share
from breakthrough.federated.simulation import ENGINES, Job, place, simulate
from breakthrough.federated.tasks import task_of
from breakthrough.scenes.handover import load_scenes
from breakthrough.train.inspection import logits
from breakthrough.train.inspector import Inspector
from breakthrough.train.pictures import Pictures
from breakthrough.workers import run_all

FEDERATED, CENTRAL = "federated", "central"
SET, EXPERTS = "pictures", 4
_PLAN = Plan(task="inspector", data=SET, batch_size=16, lr=0.3, lr_end=0.02, task_options={"config": {"experts": EXPERTS}})

# `tiny` takes 6 to 10 CPU seconds; `quick` 86 s on two busy cores, Ray and the controls included; `full` is for a GPU, not yet timed
PLANS: Mapping[str, Plan] = {
    "tiny": replace(_PLAN, rounds=4, epochs=5, batch_size=11),
    "quick": replace(_PLAN, rounds=15, epochs=2),
    "full": replace(_PLAN, rounds=40, epochs=1, batch_size=32),
}


@dataclass(frozen=True, eq=False)
class Federation:
    """A federated inspector, its controls, and how all were measured.

    `control` learned from all pictures in one place, `alone` each from one factory's. `held` are the
    pictures of each factory by their numbers in the dataset. `scores` knows the models by "federated",
    "central" and the factories' names.
    """

    model: Inspector
    control: Inspector
    alone: Mapping[str, Inspector]
    history: History
    held: Mapping[str, np.ndarray]
    scores: Scores
    plan: Plan
    profile: str
    scenes: str
    by: str

    @property
    def lost(self) -> Share:
        """The accuracy lost against central training, with the half of its interval of 95%; negative is a gain."""
        return self.scores.difference(CENTRAL, FEDERATED)

    def __str__(self) -> str:
        rows = {FEDERATED: self.scores.accuracy(FEDERATED), CENTRAL: self.scores.accuracy(CENTRAL)}
        rows |= {f"{name} alone": self.scores.accuracy(name) for name in self.alone}
        rows |= {"lost against central": self.lost}
        wide = max(map(len, rows))
        return "\n".join(f"{name:{wide}}  {share} points" for name, share in rows.items())


def train_inspector(
    scenes: Artifact | str | Path,
    profile: str = "quick",
    *,
    engine: str | None = None,
    by: str = "light",
    seed: int = 0,
    plan: Plan | None = None,
    folder: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Federation:
    """Federate an inspector over four factories and train its controls, or do what is left of it.

    The federated run goes on from its last whole round, the controls from those that are finished. Engine
    "ray" is Flower's simulation, "local" runs the same apps and the controls in this process; by default
    "local" for `tiny`, for Ray takes longer to start than that to train. A plan of one's own replaces the
    profile's.

    Units:  workers are processes for the controls, by default one per core and one on CUDA; bars count rounds
            and passes
    Raises: UnknownNameError for an unknown profile or engine; errors of `from_scenes` and `simulate`
    """
    if profile not in PLANS:
        raise unknown("profile", profile, PLANS)
    engine = engine or ("local" if profile == "tiny" else "ray")
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    here = engine == "local"
    plan = replace(plan or PLANS[profile], data=SET, seed=seed)
    shared = from_scenes(scenes, by)
    sites = {name: shared.train.take(part) for name, part in zip(shared.names, shared.partition.parts)}
    home = _home(folder, plan, [*sites.values(), shared.test])
    data = place(home / "data", {SET: list(sites.values())})
    score = scorer(plan, {"": shared.test})
    job = Job(plan, score, home / FEDERATED)
    engine = "local" if _finished(plan, home / FEDERATED) else engine  # nothing to start Ray for
    with devices.threads(1):  # small nets: a second thread mostly waits
        trained = simulate({FEDERATED: job}, data, len(sites), engine=engine, progress=progress)[FEDERATED]
        controls = _controls(plan, {CENTRAL: shared.train, **sites}, home, here, workers, progress)
    model = _model(plan)
    load_state(model, trained.weights)
    found = artifacts.load(scenes.folder if isinstance(scenes, Artifact) else scenes)
    said = {name: answers(one, shared.test) for name, one in {FEDERATED: model, **controls}.items()}
    scores = Scores(shared.test.labels, shared.test_owner, shared.test.classes, shared.names, said)
    control = controls.pop(CENTRAL)
    return Federation(model, control, controls, trained.history, _held(found, shared), scores, plan, profile, found.id, by)


def answers(model: Inspector, pictures: Pictures) -> np.ndarray:
    """What an inspector says of pictures.

    Shapes: → (M,) numbers of classes
    """
    return logits(model, pictures.images).argmax(1).cpu().numpy()


def control_run(job: dict[str, Any], report: Callable[[int], object]) -> None:
    """Train one control on the pictures in a file, unless it is there."""
    if not Path(job["path"]).exists():
        with devices.threads(1):
            _train_control(Plan.from_dict(job["plan"]), Pictures.load(job["pictures"]), Path(job["path"]), report)


def _train_control(plan: Plan, pictures: Pictures, path: Path, report: Callable[[int], object]) -> None:
    model = centralised(plan, pictures, on_pass=lambda number, model: report(plan.epochs))
    cast(Inspector, model).save(path)  # the plan's task is the inspector


def _controls(plan: Plan, sets: Mapping[str, Pictures], home: Path, here: bool, workers: int | None, progress: bool) -> dict[str, Inspector]:
    """All controls, in this process or in workers."""
    paths = {name: home / "controls" / f"{i}.safetensors" for i, name in enumerate(sets)}
    jobs = list(_jobs(plan, sets, paths, home))
    total = plan.rounds * plan.epochs * len(sets)
    with tqdm(total=total, desc="controls", disable=not progress, file=sys.stdout, unit="pass", mininterval=2) as bar:
        bar.update(total - plan.rounds * plan.epochs * len(jobs))
        if here:
            for job in jobs:
                control_run(job, bar.update)
        elif jobs:
            default = 1 if devices.choose().type == "cuda" else devices.cores()
            run_all(f"{__name__}:control_run", jobs, workers or default, bar.update)
    return {name: Inspector.load(path) for name, path in paths.items()}


def _jobs(plan: Plan, sets: Mapping[str, Pictures], paths: Mapping[str, Path], home: Path) -> Iterator[dict[str, Any]]:
    for i, (name, pictures) in enumerate(sets.items()):
        if not paths[name].exists():
            kept = home / "controls" / f"{i}.npz"
            pictures.save(kept)
            yield {"name": name, "plan": plan.to_dict(), "pictures": str(kept), "path": str(paths[name])}


def _finished(plan: Plan, folder: Path) -> bool:
    kept = checkpoint.restore(folder, plan)
    return kept is not None and len(kept[2]) >= plan.rounds


def _home(folder: str | Path | None, plan: Plan, sets: Sequence[Pictures]) -> Path:
    """A folder of its own for every plan and every split of pictures, so that one run never goes on as another."""
    facts = [plan.to_json(), [one.digest for one in sets], torch.__version__]
    name = digest_of(facts, 16)
    return Path(folder or artifacts.store() / "runs" / "federated").resolve() / name


def _held(scenes: Artifact, shared: Shared) -> dict[str, np.ndarray]:
    train = np.flatnonzero(load_scenes(scenes).part == 0)
    return {name: train[part] for name, part in zip(shared.names, shared.partition.parts)}


def _model(plan: Plan) -> Inspector:
    return cast(Inspector, task_of(plan.task, plan.task_options).model(plan.seed))  # the plan's task is the inspector
