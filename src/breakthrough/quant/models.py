"""The models that the study quantizes: a dense and a sparse byte-level decoder, trained here, kept on disk.

Both learn the standard library's source, module 1's corpus, from the same batches for one seed. They are
kept by what they were made of, so that a study, a lab and a benchmark train each only once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from breakthrough import artifacts, devices
from breakthrough.digests import digest_of
from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.moe import MoEConfig
from breakthrough.seeds import torch_generator
from breakthrough.train import checkpoint, corpus
from breakthrough.train.language import ByteLM, LanguageConfig
from breakthrough.train.loop import TrainConfig, train
from breakthrough.workers import Job, run_all

ARCHITECTURES = ("dense", "moe")
SEEDS = (0, 1, 2)
REPORT_STEPS = 10  # how often a worker says how far it is


@dataclass(frozen=True)
class BasePlan:
    """The two models of one profile, of equal active FLOPs but for the router, and their training."""

    name: str
    dense: LanguageConfig
    moe: LanguageConfig
    training: TrainConfig

    def config(self, architecture: str) -> LanguageConfig:
        """The shape of one of them.

        Raises: UnknownNameError for an architecture that is not one of the two
        """
        if architecture not in ARCHITECTURES:
            raise unknown("architecture", architecture, ARCHITECTURES)
        return getattr(self, architecture)


def _plan(name: str, shape: LanguageConfig, mixture: MoEConfig, training: TrainConfig) -> BasePlan:
    return BasePlan(name, replace(shape, ffn=mixture.top_k * mixture.d_hidden), replace(shape, ffn=mixture), training)


# `quick` takes 12 and 15 CPU seconds a model, `full` 6 CPU minutes
BASES = {
    "tiny": _plan(
        "tiny",
        LanguageConfig(d_model=32, n_layers=2, n_heads=2, context=32),
        MoEConfig(32, 43, 8, 2),
        TrainConfig(steps=80, batch_size=8, lr=4e-3, warmup=10, eval_every=40, eval_windows=64),
    ),
    "quick": _plan(
        "quick",
        LanguageConfig(d_model=64, n_layers=2, n_heads=4, context=64),
        MoEConfig(64, 85, 16, 2),
        TrainConfig(steps=400, batch_size=32, lr=4e-3, warmup=50, eval_every=100, eval_windows=256),
    ),
    "full": _plan(
        "full",
        LanguageConfig(d_model=192, n_layers=4, n_heads=6, context=128),
        MoEConfig(192, 256, 8, 2),
        TrainConfig(steps=1200, batch_size=16, lr=2e-3, warmup=100, eval_every=100, eval_windows=256),
    ),
}


def runs_folder() -> Path:
    """Where the room keeps what took long: models, studies, measurements."""
    return artifacts.store() / "runs" / "quant"


def plan_of(profile: BasePlan | str) -> BasePlan:
    """A plan by its name.

    Raises: UnknownNameError for a name that is not in BASES
    """
    if isinstance(profile, BasePlan):
        return profile
    if profile not in BASES:
        raise unknown("profile", profile, BASES)
    return BASES[profile]


def base_model(
    profile: BasePlan | str = "quick",
    architecture: str = "dense",
    seed: int = 0,
    *,
    folder: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> ByteLM:
    """One trained model, on the device, in evaluation mode; trained now when it is not there yet.

    Raises: UnknownNameError for a profile or architecture that does not exist
    """
    return base_models(profile, (seed,), architectures=(architecture,), folder=folder, device=device, progress=progress)[architecture, seed]


def base_models(
    profile: BasePlan | str = "quick",
    seeds: Sequence[int] = SEEDS,
    *,
    architectures: Sequence[str] = ARCHITECTURES,
    workers: int | None = None,
    folder: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> dict[tuple[str, int], ByteLM]:
    """The trained models by architecture and seed, on the device, in evaluation mode.

    What is missing is trained, each model in a process of one thread; half-finished ones go on where they were.

    Units:  workers are processes: one per core by default, one on CUDA; a single one is this process
    Raises: UnknownNameError for a profile or architecture that does not exist; ConfigError without seeds
    """
    paths = train_bases(profile, seeds, architectures=architectures, workers=workers, folder=folder, device=device, progress=progress)
    place = devices.choose(device)
    return {key: ByteLM.from_files(*checkpoint.load_model(path)).to(place).eval() for key, path in paths.items()}


def train_bases(
    profile: BasePlan | str = "quick",
    seeds: Sequence[int] = SEEDS,
    *,
    architectures: Sequence[str] = ARCHITECTURES,
    workers: int | None = None,
    folder: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> dict[tuple[str, int], Path]:
    """Train what is missing; the checkpoints by architecture and seed.

    Raises: UnknownNameError for a profile or architecture that does not exist; ConfigError without seeds
    """
    plan, place = plan_of(profile), devices.choose(device).type
    if not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError(expected("at least one seed, each once", list(seeds)))
    keys = [(architecture, seed) for seed in seeds for architecture in architectures]
    jobs = {key: _job(plan, *key, place, Path(folder or runs_folder() / "models").resolve()) for key in keys}
    left = [job for job in jobs.values() if not _finished(job)]
    run_jobs(train_job, left, workers, place, bar={"total": sum(job["training"]["steps"] for job in left), "unit": "step", "desc": "training"}, progress=progress)
    return {key: Path(job["path"]) for key, job in jobs.items()}


def run_jobs(
    function: Callable[[Job, Callable[[int], None]], Any], jobs: list[Job], workers: int | None, device: str, *, bar: Mapping[str, Any], progress: bool
) -> None:
    """Call a module's function on the jobs that are left, under a bar: in processes of one thread, or here when one is enough.

    Units:  workers by default one per core, one on CUDA; `bar` has tqdm's total, unit and desc
    """
    if not jobs:
        return
    workers = workers or (1 if device == "cuda" else devices.cores())
    with tqdm(**bar, disable=not progress, file=sys.stdout, mininterval=1) as shown:

        def report(done: int) -> None:
            shown.update(done)

        if workers > 1:
            run_all(f"{function.__module__}:{function.__name__}", jobs, workers, report)
            return
        with devices.threads(1):
            for job in jobs:
                function(job, report)


def train_job(job: Job, report: Callable[[int], None]) -> float:
    """Train one model from its checkpoint, where there is one; its validation loss in nats per byte."""
    told, steps = _step_of(job), job["training"]["steps"]
    report(told)

    def on_step(step: int, loss: torch.Tensor) -> None:
        nonlocal told
        if step - told >= REPORT_STEPS or step == steps:
            report(step - told)
            told = step

    model = ByteLM(LanguageConfig.from_dict(job["model"]), torch_generator(job["seed"], "model")).to(devices.choose(job["device"]))
    config, generator = TrainConfig(**job["training"]), torch_generator(job["seed"], "batches")
    history = train(model, corpus.load(), config, generator, on_step, checkpoint=job["path"])
    return history.last.valid_loss


def _job(plan: BasePlan, architecture: str, seed: int, device: str, folder: Path) -> Job:
    facts = {"model": plan.config(architecture).to_dict(), "training": asdict(plan.training), "seed": seed, "device": device}
    digest = digest_of([facts, corpus.load().digest, torch.__version__], 12)
    name = f"{architecture}-{seed}"
    return facts | {"name": f"{plan.name} {name}", "path": str(folder / plan.name / f"{name}-{digest}.safetensors")}


def _finished(job: Job) -> bool:
    return _step_of(job) >= job["training"]["steps"]


def _step_of(job: Job) -> int:
    return _facts(Path(job["path"])).get("step", 0)


def _facts(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself; nothing when there is none. A damaged one is an error of `train`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {}).get("facts", "{}"))
    except (SafetensorError, OSError):
        return {}
