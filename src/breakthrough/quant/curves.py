"""Adam with 8-bit state against Adam with 32-bit state: the same model, seeds and batches, trained from the start.

How far two optimizers lie apart means something only beside how far two seeds do: that is the measure here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from breakthrough import devices, files
from breakthrough.digests import digest_of
from breakthrough.errors import ConfigError, UnknownNameError, expected, unknown
from breakthrough.quant.bnb import bitsandbytes, own_manager
from breakthrough.quant.memory import held, state_bytes
from breakthrough.quant.models import SEEDS, plan_of, run_jobs, runs_folder
from breakthrough.quant.optimizer import AdamW8, grouped
from breakthrough.seeds import torch_generator
from breakthrough.train import corpus
from breakthrough.train.comparison import Estimate, estimate
from breakthrough.train.language import ByteLM, LanguageConfig
from breakthrough.train.loop import TrainConfig, evaluate, make_optimizer, train_step
from breakthrough.workers import Job

BETAS = (0.9, 0.95)
BASE, BITSANDBYTES = "AdamW", "bitsandbytes"
FULL_BYTES = 8  # two means in float32


def _bnb(model: ByteLM, config: TrainConfig) -> torch.optim.Optimizer:
    package = bitsandbytes()
    manager = package.optim.GlobalOptimManager.get_instance()
    manager.register_module_override(model.embedding, "weight", {"optim_bits": 32})
    return package.optim.AdamW8bit(model.parameters(), lr=config.lr, betas=BETAS, weight_decay=config.weight_decay)


OPTIMIZERS: dict[str, Callable[[ByteLM, TrainConfig], torch.optim.Optimizer]] = {
    BASE: make_optimizer,
    "AdamW8": lambda model, config: AdamW8(grouped(model), lr=config.lr, betas=BETAS, weight_decay=config.weight_decay),
    BITSANDBYTES: _bnb,
}


@dataclass(frozen=True)
class Curve:
    """One training run.

    Shapes: steps, losses one an evaluation
    Units:  nats per byte on validation windows; state in bytes, numbers the count of trained weights; `codes_*`
            the same of those weights alone whose state is in 8 bits
    """

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    state: int
    numbers: int
    codes_state: int = 0
    codes_numbers: int = 0


@dataclass(frozen=True)
class Curves:
    """The runs of one model by several optimizers, one a seed each."""

    profile: str
    architecture: str
    seeds: tuple[int, ...]
    runs: Mapping[str, tuple[Curve, ...]]

    def difference(self, optimizer: str, place: int = -1) -> Estimate:
        """The loss by an optimizer minus that by 32-bit AdamW at an evaluation, paired by seed.

        Raises: UnknownNameError for an optimizer that did not run
        """
        if optimizer not in self.runs:
            raise UnknownNameError(expected("an optimizer of the study", repr(optimizer), " or ".join(self.runs)))
        return estimate(a.losses[place] - b.losses[place] for a, b in zip(self.runs[optimizer], self.runs[BASE]))

    def spread(self, place: int = -1) -> float:
        """The standard deviation over seeds of 32-bit AdamW's loss at an evaluation."""
        return stdev(run.losses[place] for run in self.runs[BASE])

    def inside(self, optimizer: str) -> bool:
        """Whether the mean loss lies within the 95% interval over seeds of 32-bit AdamW's at every evaluation."""
        return all(abs(self.difference(optimizer, place).mean) <= self.base(place).half for place in range(len(self.runs[BASE][0].steps)))

    def base(self, place: int = -1) -> Estimate:
        """32-bit AdamW's loss at an evaluation, over seeds."""
        return estimate(run.losses[place] for run in self.runs[BASE])

    def saved(self, optimizer: str, whole: bool = False) -> float:
        """How much smaller an optimizer's state is than 32-bit AdamW's: of the weights with 8-bit state, or of all. A share."""
        run, base = self.runs[optimizer][0], self.runs[BASE][0]
        if whole or not run.codes_numbers:
            return 1 - run.state / base.state
        return 1 - run.codes_state / (FULL_BYTES * run.codes_numbers)

    def __str__(self) -> str:
        """The table: the loss at the end, its difference beside the seeds' spread, the bytes of the state."""
        lines = [f"{self.profile} {self.architecture}, {len(self.seeds)} seeds; seeds' standard deviation at the end {self.spread():.4f}"]
        for name, runs in self.runs.items():
            apart, inside = self.difference(name), "inside" if self.inside(name) else "outside"
            worst = max(abs(self.difference(name, place).mean) / self.spread(place) for place in range(len(runs[0].steps)))
            lines.append(
                f"{name:14} {mean(run.losses[-1] for run in runs):.4f} nats/byte, {apart.mean:+.4f} ± {apart.half:.4f}; "
                f"at most {worst:.2f} of a standard deviation of seeds on the way, {inside} their interval; state {runs[0].state / 1e3:.1f} kB, "
                f"{100 * self.saved(name, whole=True):.1f}% smaller, {100 * self.saved(name):.1f}% where it is in 8 bits"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        runs = {name: [asdict(run) for run in runs] for name, runs in self.runs.items()}
        return {"profile": self.profile, "architecture": self.architecture, "seeds": list(self.seeds), "runs": runs}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Curves:
        """The curves that `to_dict` wrote."""
        runs = {name: tuple(_curve(run) for run in runs) for name, runs in data["runs"].items()}
        return cls(data["profile"], data["architecture"], tuple(data["seeds"]), runs)


def run_curves(
    profile: str = "quick",
    seeds: Sequence[int] = SEEDS,
    *,
    architecture: str = "dense",
    optimizers: Sequence[str] = tuple(OPTIMIZERS),
    folder: str | Path | None = None,
    workers: int | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Curves:
    """Train a profile's model by every optimizer, or what is left of it.

    Units:  workers are processes of one thread, one per core by default, one on CUDA
    Raises: UnknownNameError for what does not exist; ConfigError for fewer than 2 seeds, which have no spread
    """
    plan, place, home = plan_of(profile), devices.choose(device).type, Path(folder or runs_folder()).resolve()
    for name in (BASE, *optimizers):
        if name not in OPTIMIZERS:
            raise unknown("optimizer", name, OPTIMIZERS)
    if len(set(seeds)) < 2:
        raise ConfigError(expected("at least 2 seeds: their spread is the measure", list(seeds)))
    model, names = plan.config(architecture).to_dict(), tuple(dict.fromkeys((BASE, *optimizers)))
    jobs = [_job(name, seed, model, asdict(plan.training), place, home) for name in names for seed in seeds]
    left = [job for job in jobs if not Path(job["path"]).exists()]
    run_jobs(curve_job, left, workers, place, bar={"total": len(left) * plan.training.steps, "unit": "step", "desc": "optimizers"}, progress=progress)
    runs: dict[str, list[Curve]] = {name: [] for name in names}
    for job in jobs:
        runs[job["optimizer"]].append(_curve(json.loads(Path(job["path"]).read_text(encoding="utf-8"))))
    return Curves(plan.name, architecture, tuple(seeds), {name: tuple(found) for name, found in runs.items()})


def curve_job(job: Job, report: Callable[[int], None]) -> None:
    """Train one model by one optimizer; the curve is a file."""
    with own_manager() if job["optimizer"] == BITSANDBYTES else nullcontext():  # it may be told of a net at any step
        curve = _train(job, report)
    files.write_text(Path(job["path"]), json.dumps(asdict(curve)))


def _train(job: Job, report: Callable[[int], None]) -> Curve:
    place, config = devices.choose(job["device"]), TrainConfig(**job["training"])
    model = ByteLM(LanguageConfig.from_dict(job["model"]), torch_generator(job["seed"], "model")).to(place)
    optimizer, length = OPTIMIZERS[job["optimizer"]](model, config), model.config.context + 1
    text = corpus.load()
    batches = corpus.batches(corpus.to_tensor(text.train, place), config.batch_size, length, torch_generator(job["seed"], "batches"))
    windows = corpus.fixed_windows(corpus.to_tensor(text.valid, place), config.eval_windows, length)
    steps, losses = [], []
    for step in range(1, config.steps + 1):
        train_step(model, optimizer, next(batches), config, step)
        report(1)
        if step % config.eval_every == 0 or step == config.steps:
            steps.append(step)
            losses.append(evaluate(model, windows)[0])
    numbers = sum(weight.numel() for weight in model.parameters())
    return Curve(tuple(steps), tuple(losses), state_bytes(optimizer), numbers, *_in_codes(optimizer))


def _in_codes(optimizer: torch.optim.Optimizer) -> tuple[int, int]:
    """The bytes of the state that is in 8 bits, scales included, and how many weights it belongs to."""
    found = {weight: [x for x in state.values() if isinstance(x, torch.Tensor)] for weight, state in optimizer.state.items()}
    codes = {weight: parts for weight, parts in found.items() if any(x.dtype == torch.uint8 for x in parts)}
    return held(x for parts in codes.values() for x in parts), sum(weight.numel() for weight in codes)


def _job(optimizer: str, seed: int, model: dict[str, Any], training: dict[str, Any], device: str, home: Path) -> Job:
    facts = {"optimizer": optimizer, "seed": seed, "model": model, "training": training, "device": device}
    digest = digest_of([facts, corpus.load().digest, torch.__version__], 12)
    return facts | {"name": f"{optimizer}, seed {seed}", "path": str(home / "curves" / f"{optimizer}-{seed}-{digest}.json")}


def _curve(data: Mapping[str, Any]) -> Curve:
    return Curve(**{**data, "steps": tuple(data["steps"]), "losses": tuple(data["losses"])})
