"""Train a byte-level model and measure it on the way.

Shape legend: B windows in a batch, T bytes of context, E experts.

After the warm-up the learning rate is constant, so that every prefix of a run is a fair run of
that length: one run answers for every budget below its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

from breakthrough.errors import ConfigError, InputError, expected
from breakthrough.train import checkpoint as files, corpus as text
from breakthrough.train.history import History, Point

if TYPE_CHECKING:
    from breakthrough.train.corpus import Corpus
    from breakthrough.train.language import ByteLM

EVAL_CHUNK = 64  # windows evaluated at once: bounds the memory, changes no result


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Units:  balance and z weigh the routing losses; bias_rate is the step of loss-free balancing,
            0 for none; clip bounds the norm of the gradient
    Raises: ConfigError for a number out of range
    """

    steps: int = 1000
    batch_size: int = 16
    lr: float = 3e-3
    warmup: int = 50
    weight_decay: float = 0.1
    clip: float = 1.0
    balance: float = 0.01
    z: float = 0.001
    bias_rate: float = 0.0
    eval_every: int = 100
    eval_windows: int = 128

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name in ("steps", "batch_size", "lr", "clip", "eval_every", "eval_windows"):
            if getattr(self, name) <= 0:
                raise ConfigError(expected(f"{name} above 0", getattr(self, name)))
        for name in ("warmup", "weight_decay", "balance", "z", "bias_rate"):
            if getattr(self, name) < 0:
                raise ConfigError(expected(f"{name} of at least 0", getattr(self, name)))


def train(
    model: ByteLM,
    corpus: Corpus,
    config: TrainConfig,
    generator: torch.Generator,
    on_step: Callable[[int, Tensor], None] | None = None,
    *,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> History:
    """Train a model in place, on the device it is on.

    The run can be stopped at any time and goes on from its checkpoint, written at every
    evaluation, to the same result; a finished run can be continued with a larger `steps`.

    Units:  on_step gets the step, from 1, and the training loss in nats per byte, as a tensor: to
            read it makes a GPU wait
    Raises: InputError when the loss is no longer finite; ArtifactError when the checkpoint is of
            another run
    """
    run = _Run(model, corpus, config, generator)
    if checkpoint and Path(checkpoint).exists():
        run.resume(checkpoint)
    bar = tqdm(total=config.steps, initial=run.step, disable=not progress, file=sys.stdout)
    with bar:
        while run.step < config.steps:
            run.advance(on_step, bar)
            run.evaluate()
            bar.set_postfix_str(f"valid {run.history.last.valid_loss:.3f} nats/byte")
            if checkpoint:
                run.save(checkpoint)
    return run.history


class _Run:
    """A training run between two evaluations."""

    def __init__(
        self, model: ByteLM, corpus: Corpus, config: TrainConfig, generator: torch.Generator
    ) -> None:
        self.model, self.config, self.generator = model, config, generator
        self.device = model.embedding.weight.device
        self.digest = corpus.digest
        window = model.config.context + 1
        data = text.to_tensor(corpus.train, self.device)
        self.batches = text.batches(data, config.batch_size, window, generator)
        valid = text.to_tensor(corpus.valid, self.device)
        self.valid = text.fixed_windows(valid, config.eval_windows, window)
        self.optimizer = make_optimizer(model, config)
        self.history = History()
        self.step, self.train_s, self.wall_s, self.train_loss = 0, 0.0, 0.0, 0.0

    def advance(self, on_step: Callable[[int, Tensor], None] | None, bar: tqdm) -> None:
        """Train up to the next evaluation; the clocks run in here."""
        first, config = self.step, self.config
        last = min(config.steps, (first // config.eval_every + 1) * config.eval_every)
        self.model.train()
        total = torch.zeros((), device=self.device)
        wall, used = time.perf_counter(), clock_s(self.device)
        for self.step in range(first + 1, last + 1):
            loss = train_step(self.model, self.optimizer, next(self.batches), config, self.step)
            total += loss
            bar.update()
            if on_step:
                on_step(self.step, loss)
        self.train_s += clock_s(self.device) - used
        self.wall_s += time.perf_counter() - wall
        self.train_loss = float(total) / (last - first)

    def evaluate(self) -> None:
        """Add a point to the history."""
        wall = time.perf_counter()
        loss, load, dropped = evaluate(self.model, self.valid)
        if not (loss < float("inf")):  # also true of NaN
            got = f"{loss} at step {self.step}"
            raise InputError(expected("a finite loss", got, "a smaller lr"))
        self.wall_s += time.perf_counter() - wall
        tokens = self.step * self.config.batch_size * self.model.config.context
        times = (round(self.train_s, 4), round(self.wall_s, 4))
        losses = (self.train_loss, loss)
        self.history.points.append(Point(self.step, tokens, *times, *losses, load, dropped))

    def save(self, path: str | Path) -> None:
        facts = self.identity() | {"step": self.step, "history": self.history.to_list()}
        files.save(path, self.model, self.optimizer, self.generator, facts)

    def resume(self, path: str | Path) -> None:
        facts = files.restore(path, self.model, self.optimizer, self.generator, self.identity())
        self.history = History.from_list(facts["history"])
        self.step = facts["step"]
        self.train_s, self.wall_s = self.history.last.train_s, self.history.last.wall_s

    def identity(self) -> dict[str, Any]:
        """What has to be equal for one run to go on as the other. Its length may differ."""
        config = {k: v for k, v in asdict(self.config).items() if k != "steps"}
        return {"model": self.model.config.to_dict(), "training": config, "corpus": self.digest}


def make_optimizer(model: ByteLM, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over all parameters. Source: Loshchilov and Hutter 2019."""
    decay = config.weight_decay
    return torch.optim.AdamW(
        model.parameters(), lr=config.lr, betas=(0.9, 0.95), weight_decay=decay, fused=True
    )


def train_step(
    model: ByteLM,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    config: TrainConfig,
    step: int,
) -> Tensor:
    """One step of training, `step` counted from 1.

    Shapes: tokens (B, T + 1) → scalar
    Units:  the loss without the routing losses, in nats per byte
    """
    for group in optimizer.param_groups:
        group["lr"] = config.lr * min(1.0, step / max(1, config.warmup))
    loss, routed = model.loss(tokens)
    objective = loss
    for stats in routed:
        objective = objective + config.balance * stats.balance_loss + config.z * stats.z_loss
    optimizer.zero_grad()
    objective.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    optimizer.step()
    if config.bias_rate:
        for layer, stats in zip(model.sparse_layers(), routed, strict=True):
            layer.update_bias(stats.load, config.bias_rate)
    return loss.detach()


@torch.no_grad()
def evaluate(
    model: ByteLM, windows: Tensor
) -> tuple[float, tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """The loss on windows, and for every sparse block the load of its experts and what it dropped.

    Shapes: windows (n, T + 1) → nats per byte, shares (blocks, E), shares (blocks,)
    """
    was_training = model.training
    model.eval()
    total, loads, drops = 0.0, [], []  # the lists: one entry per chunk, of one per block
    for chunk in windows.split(EVAL_CHUNK):
        loss, routed = model.loss(chunk)
        total += float(loss) * len(chunk)
        loads.append([stats.load.double().cpu() for stats in routed])
        drops.append([int(stats.dropped) for stats in routed])
    model.train(was_training)
    kept = [torch.stack(rows).sum(0) for rows in zip(*loads, strict=True)]  # one (E,) per block
    over = [sum(rows) for rows in zip(*drops, strict=True)]
    load = tuple(tuple((block / block.sum()).tolist()) for block in kept)
    dropped = tuple(n / (n + float(block.sum())) for n, block in zip(over, kept, strict=True))
    return total / len(windows), load, dropped


def clock_s(device: torch.device) -> float:
    """The clock that training is measured by.

    Units:  CPU seconds of this process on a CPU, wall seconds of the finished work on CUDA
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()
