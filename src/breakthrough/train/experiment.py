"""The experiment of lab 01: does a sparse model of equal active FLOPs beat a dense one?

Three arms, the same batches for all arms of one seed:

- `moe`: sparse blocks with a load-balance loss;
- `dense`: the baseline, with the same active FLOPs per token, trained for as many steps, and on
  until it has had as much training time as the sparse model: its slower steps are paid for;
- `control`: the sparse model without load balancing, which should collapse.

How much slower a sparse step is, is measured first, with steps of both models taken in turn:
a neighbour on the machine slows both, and the median over pairs does not see it. It is measured
on as many workers at once as will train, because they share caches and memory.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from breakthrough import devices, files
from breakthrough.digests import digest_of
from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.seeds import torch_generator
from breakthrough.train import checkpoint, corpus as text
from breakthrough.train.comparison import Comparison
from breakthrough.train.history import History
from breakthrough.train.language import ByteLM, LanguageConfig
from breakthrough.train.loop import TrainConfig, clock_s, make_optimizer, train, train_step
from breakthrough.train.profiles import PROFILES, Profile, arms, model_cost
from breakthrough.workers import Job, run_all

SEEDS = (0, 1, 2)
FOLDER = Path("build/experiments")
REPORT_STEPS = 10  # how often a worker says how far it is


def compare(
    profile: str = "quick",
    seeds: Sequence[int] = SEEDS,
    workers: int | None = None,
    *,
    folder: str | Path = FOLDER,
    device: str | None = None,
    progress: bool = True,
) -> Comparison:
    """Run the experiment, or what is left of it: finished and half-finished runs are kept.

    Units:  workers are processes of one thread; by default one per core, and one on CUDA
    Raises: ConfigError for an unknown profile or no seeds; BreakthroughError when a run fails
    """
    plan, place = _plan(profile, seeds), devices.choose(device).type
    workers = min(workers or (1 if place == "cuda" else devices.cores()), 3 * len(seeds))
    where = Path(folder).resolve() / profile
    where.mkdir(parents=True, exist_ok=True)
    ratio = time_ratio(plan, where, place, workers)
    jobs = _jobs(plan, seeds, where, place, ratio)
    total = sum(job["training"]["steps"] for job in jobs)
    with tqdm(total=total, disable=not progress, file=sys.stdout, unit="step") as bar:
        runs = _finish(jobs, workers, bar)
    return Comparison(
        profile=profile,
        device=place,
        seeds=tuple(seeds),
        steps=plan.training.steps,
        control_steps=plan.control_steps,
        time_ratio=ratio,
        costs={arm: model_cost(model) for arm, (model, _) in arms(plan).items()},
        runs={arm: tuple(r for j, r in zip(jobs, runs) if j["arm"] == arm) for arm in arms(plan)},
    )


def trained(
    profile: str = "quick",
    arm: str = "moe",
    seed: int = 0,
    *,
    folder: str | Path = FOLDER,
    device: str | None = None,
) -> ByteLM:
    """A model as `compare` left it, rebuilt on the CPU.

    Raises: ArtifactError when that run is not in the folder
    """
    where = Path(folder).resolve() / profile
    plan = _plan(profile, [seed])
    if arm not in arms(plan):
        raise unknown("arm", arm, arms(plan))
    jobs = _jobs(plan, [seed], where, devices.choose(device).type, ratio=1.0)
    path = next(Path(job["path"]) for job in jobs if job["arm"] == arm)
    return ByteLM.from_files(*checkpoint.load_model(path.with_suffix(".safetensors")))


def time_ratio(plan: Profile, where: Path, device: str, workers: int) -> float:
    """The time of a sparse training step over that of a dense one; measured once, then kept.

    Units:  at least 1: a sparse step that is faster is no reason to train the baseline for less
    """
    models = [arms(plan)[arm][0].to_dict() for arm in ("moe", "dense")]
    job = {"models": models, "training": asdict(plan.training), "device": device,
           "warm": plan.warm, "pairs": plan.pairs, "with_tests": plan.with_tests}
    file = where / f"time-ratio-{_fingerprint(job, workers)}.json"
    if not file.exists():
        ratios = run_all(f"{__name__}:measure_ratio", [job] * workers, workers)
        _write(file, {"ratios": ratios})
    return max(1.0, median(json.loads(file.read_text(encoding="utf-8"))["ratios"]))


def measure_ratio(job: Job, report: Callable[[int], None]) -> float:
    """Train both models in turn, a step each, and take the median of the ratios of their times."""
    config, device = TrainConfig(**job["training"]), devices.choose(job["device"])
    data = text.to_tensor(text.load(with_tests=job["with_tests"]).train, device)
    runs = [_stepper(LanguageConfig.from_dict(m), config, data, device) for m in job["models"]]
    ratios = []
    for step in range(1, job["warm"] + job["pairs"] + 1):
        times = []
        for advance in runs:
            begin = clock_s(device)
            advance(step)
            times.append(clock_s(device) - begin)
        ratios.append(times[0] / times[1])
    return median(ratios[job["warm"] :])


def train_run(job: Job, report: Callable[[int], None]) -> list[dict[str, Any]]:
    """Train one arm with one seed, from its checkpoint where there is one; its history as data."""
    device, path = devices.choose(job["device"]), Path(job["path"])
    seed, config = job["seed"], LanguageConfig.from_dict(job["model"])
    model = ByteLM(config, torch_generator(seed, "model")).to(device)

    told = 0

    def on_step(step: int, loss: torch.Tensor) -> None:
        nonlocal told
        if step - told >= REPORT_STEPS or step == job["training"]["steps"]:
            report(step - told)
            told = step

    history = train(
        model,
        text.load(with_tests=job["with_tests"]),
        TrainConfig(**job["training"]),
        torch_generator(seed, "batches"),
        on_step,
        checkpoint=path.with_suffix(".safetensors"),
    )
    _write(path, history.to_list())
    return history.to_list()


def _plan(profile: str, seeds: Sequence[int]) -> Profile:
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    if not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError(expected("at least one seed, each once", list(seeds)))
    return PROFILES[profile]


def _jobs(
    plan: Profile, seeds: Sequence[int], where: Path, device: str, ratio: float
) -> list[Job]:
    jobs = []
    for arm, (model, training) in arms(plan).items():
        config = asdict(training)
        if arm == "dense":  # whole evaluations, so that equal time lies between two of them
            intervals = math.ceil(config["steps"] * ratio / training.eval_every)
            config["steps"] = intervals * training.eval_every
        for seed in seeds:
            job = {"arm": arm, "seed": seed, "model": model.to_dict(), "training": config}
            job |= {"device": device, "with_tests": plan.with_tests}
            name = f"{arm}-{seed}-{_fingerprint(job)}.json"
            jobs.append(job | {"path": str(where / name)})
    return jobs


def _finish(jobs: list[Job], workers: int, bar: tqdm) -> list[History]:
    """Run the jobs whose history is not there yet; the histories of all, in the order of jobs."""
    found = {job["path"]: _kept(job) for job in jobs}
    left = [job for job in jobs if found[job["path"]] is None]
    bar.update(sum(job["training"]["steps"] for job in jobs if job not in left))
    if left:
        results = run_all(f"{__name__}:train_run", left, workers, bar.update)
        found |= {job["path"]: result for job, result in zip(left, results)}
    return [History.from_list(found[job["path"]] or []) for job in jobs]


def _kept(job: Job) -> list[dict[str, Any]] | None:
    path = Path(job["path"])
    if not path.exists():
        return None
    history = json.loads(path.read_text(encoding="utf-8"))
    return history if history[-1]["step"] >= job["training"]["steps"] else None


def _stepper(
    config: LanguageConfig, training: TrainConfig, data: torch.Tensor, device: torch.device
) -> Callable[[int], Tensor]:
    model = ByteLM(config, torch_generator(0, "model")).to(device)
    generator = torch_generator(0, "batches")
    batches = text.batches(data, training.batch_size, config.context + 1, generator)
    optimizer = make_optimizer(model, training)
    return lambda step: train_step(model, optimizer, next(batches), training, step)


def _fingerprint(job: Job, *more: object) -> str:
    """What makes two runs the same but for their length: a finished one can be continued."""
    training = {k: v for k, v in job["training"].items() if k != "steps"}
    corpus = text.load(with_tests=job["with_tests"]).digest
    facts = [{**job, "training": training}, corpus, torch.__version__, *more]
    return digest_of(facts, 12)


def _write(path: Path, data: object) -> None:
    files.write_text(path, json.dumps(data))
