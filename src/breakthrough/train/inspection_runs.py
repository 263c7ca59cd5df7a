"""Many inspectors, one a training set and a seed, each measured on every test set.

Sets go to the workers as files named by their content, so a set is written once, and a run that is
finished is known again by what it was made of. A test set that is new costs its evaluation only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from breakthrough import devices, files
from breakthrough.digests import digest_of
from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.seeds import torch_generator
from breakthrough.train.inspection import evaluate, fit
from breakthrough.train.inspection_results import InspectionRun, Inspections
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.pictures import Pictures
from breakthrough.train.recipe import RECIPES, Recipe
from breakthrough.workers import Job, run_all

SEEDS = (0, 1, 2)
FOLDER = Path("build/experiments/inspection")
REPORT_STEPS = 10  # how often a worker says how far it is


def inspect(
    training: Mapping[str, Pictures],
    tests: Mapping[str, Pictures],
    recipe: Recipe | str = "quick",
    seeds: Sequence[int] = SEEDS,
    *,
    model: InspectorConfig | None = None,
    workers: int | None = None,
    folder: str | Path = FOLDER,
    device: str | None = None,
    progress: bool = True,
) -> Inspections:
    """Train on every set with every seed and measure on every test set, or do what is left of it.

    Units:  workers are processes of one thread; by default one per core, and one on CUDA; the bar
            counts training steps
    Raises: ConfigError for no sets, no seeds, or sets of different classes; UnknownNameError for an
            unknown recipe; BreakthroughError when a run fails
    """
    recipe, model = _recipe(recipe), model or _model(training)
    _check(training, tests, model, seeds)
    place, where = devices.choose(device).type, Path(folder).resolve()
    paths = {x.digest: _written(x, where) for x in (*training.values(), *tests.values())}
    jobs = [
        _job(where, paths, data, tests, model, recipe, seed, place)
        for data in training.values() for seed in seeds
    ]  # fmt: skip
    workers = min(workers or (1 if place == "cuda" else devices.cores()), len(jobs))
    with tqdm(total=len(jobs) * recipe.steps, disable=not progress, file=sys.stdout, unit="step", mininterval=2) as bar:
        found = iter(_finish(jobs, workers, bar))
    digests = {name: test.digest for name, test in tests.items()}
    runs = {name: tuple(_named(next(found), digests) for _ in seeds) for name in training}
    sizes = {name: len(data) for name, data in training.items()}
    return Inspections(model.classes, tuple(tests), place, tuple(seeds), sizes, runs)


def inspect_run(job: Job, report: Callable[[int], None]) -> dict[str, Any]:
    """Train one inspector, unless it is there, and measure it on the tests it was not yet measured on."""
    path = Path(job["path"])
    run = _kept(job) or _train(job, report)
    model = Inspector.load(run["weights"]).to(devices.choose(job["device"]))
    for digest, test in job["tests"].items():
        if digest not in run["scores"]:
            run["scores"][digest] = evaluate(model, Pictures.load(test)).confusion
    files.write_text(path, json.dumps(run))
    return run


def _train(job: Job, report: Callable[[int], None]) -> dict[str, Any]:
    path, seed, recipe = Path(job["path"]), job["seed"], Recipe.from_dict(job["recipe"])
    config, device = InspectorConfig.from_dict(job["model"]), devices.choose(job["device"])
    model = Inspector(config, torch_generator(seed, "inspector")).to(device)
    told = 0

    def on_step(step: int) -> None:
        nonlocal told
        if step - told >= REPORT_STEPS or step == recipe.steps:
            report(step - told)
            told = step

    part, weights = path.with_suffix(".part.safetensors"), path.with_suffix(".safetensors")
    found = fit(model, Pictures.load(job["pictures"]), recipe, seed, on_step, checkpoint=part)
    model.save(weights)
    part.unlink(missing_ok=True)
    result = {"seed": seed, "train_s": found.train_s, "losses": found.losses, "weights": str(weights)}
    return result | {"scores": {}}


def _recipe(recipe: Recipe | str) -> Recipe:
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise unknown("recipe", recipe, RECIPES)
        return RECIPES[recipe]
    return recipe


def _model(training: Mapping[str, Pictures]) -> InspectorConfig:
    classes = [data.classes for data in training.values()]
    return InspectorConfig(classes=classes[0]) if classes else InspectorConfig()


def _check(
    training: Mapping[str, Pictures],
    tests: Mapping[str, Pictures],
    model: InspectorConfig,
    seeds: Sequence[int],
) -> None:
    if not training or not tests:
        got = f"{len(training)} and {len(tests)}"
        raise ConfigError(expected("at least one training set and one test set", got))
    if not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError(expected("at least one seed, each once", list(seeds)))
    for name, data in (*training.items(), *tests.items()):
        if data.classes != model.classes:
            raise ConfigError(expected(f"{name} to have the classes {model.classes}", data.classes))


def _written(data: Pictures, where: Path) -> str:
    path = where / "sets" / f"{data.digest}.npz"
    if not path.exists():
        data.save(path)
    return str(path)


def _job(
    where: Path,
    paths: Mapping[str, str],
    data: Pictures,
    tests: Mapping[str, Pictures],
    model: InspectorConfig,
    recipe: Recipe,
    seed: int,
    device: str,
) -> Job:
    facts = {"model": model.to_dict(), "recipe": recipe.to_dict(), "seed": seed, "device": device}
    name = f"run-{digest_of([facts, data.digest, torch.__version__], 16)}.json"
    wanted = {test.digest: paths[test.digest] for test in tests.values()}
    return facts | {"pictures": paths[data.digest], "tests": wanted, "path": str(where / name)}


def _finish(jobs: list[Job], workers: int, bar: tqdm) -> list[dict[str, Any]]:
    """Run the jobs that are not done yet; the results of all, in the order of jobs."""
    found = {job["path"]: _kept(job) for job in jobs}
    unique = {job["path"]: job for job in jobs}  # two sets may hold the same pictures
    left = [job for path, job in unique.items() if not _measured(found[path], job)]
    trained = sum(found[job["path"]] is not None for job in jobs)
    steps = bar.total or 0
    bar.update(trained * steps // len(jobs))
    if left:
        results = run_all(f"{__name__}:inspect_run", left, min(workers, len(left)), bar.update)
        found |= {job["path"]: result for job, result in zip(left, results)}
    bar.update(steps - bar.n)
    return [result for job in jobs if (result := found[job["path"]]) is not None]


def _kept(job: Job) -> dict[str, Any] | None:
    path = Path(job["path"])
    weights = path.with_suffix(".safetensors")
    if not (path.exists() and weights.exists()):
        return None
    return {**json.loads(path.read_text(encoding="utf-8")), "weights": str(weights)}


def _measured(run: dict[str, Any] | None, job: Job) -> bool:
    return run is not None and set(job["tests"]) <= set(run["scores"])


def _named(run: dict[str, Any], digests: Mapping[str, str]) -> InspectionRun:
    scores = {name: run["scores"][digest] for name, digest in digests.items()}
    return InspectionRun.from_dict({**run, "scores": scores})
