"""Train an inspector on one set of pictures and measure it on others.

Shape legend: N pictures of a set, C classes.
"""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from breakthrough.errors import ConfigError, InputError, expected
from breakthrough.seeds import torch_generator
from breakthrough.train import checkpoint as files
from breakthrough.train.cells import cell_loss
from breakthrough.train.inspector import Inspector
from breakthrough.train.loop import clock_s
from breakthrough.train.pictures import Augmenter, Pictures, to_input
from breakthrough.train.recipe import Recipe, make_optimizer, one_cycle

EVAL_CHUNK = 256  # pictures evaluated at once: bounds the memory, changes no result


@dataclass(frozen=True)
class Score:
    """How an inspector did on a set.

    Shapes: confusion (C, C): rows are what it was, columns what was said; pictures
    """

    confusion: tuple[tuple[int, ...], ...]

    @property
    def accuracy(self) -> float:
        """The share of pictures that were named rightly."""
        table = np.array(self.confusion)
        return float(np.trace(table) / table.sum())

    @property
    def recall(self) -> tuple[float, ...]:
        """Of each class, the share that was found; NaN for a class without pictures."""
        table = np.array(self.confusion)
        with np.errstate(invalid="ignore"):
            return tuple((np.diag(table) / table.sum(1)).tolist())


@dataclass(frozen=True)
class Training:
    """What a training took.

    Units:  train_s is CPU seconds of training on a CPU, device seconds on CUDA; losses are means of
            the training loss since the entry before, in nats, one each save_every steps
    """

    steps: int
    train_s: float
    losses: tuple[float, ...]


def fit(
    model: Inspector,
    pictures: Pictures,
    recipe: Recipe,
    seed: int,
    on_step: Callable[[int], None] | None = None,
    *,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> Training:
    """Train an inspector in place, on the device it is on; it ends with the averaged weights.

    Everything drawn in a step comes from the seed and the step's number, so a run that is stopped
    goes on from its checkpoint to the same result.

    Raises: ConfigError for other classes; InputError when the loss is no longer finite;
            ArtifactError when the checkpoint is of another run
    """
    run = _Run(model, pictures, recipe, seed)
    if checkpoint and Path(checkpoint).exists():
        run.resume(checkpoint)
    bar = tqdm(total=recipe.steps, initial=run.step, disable=not progress, file=sys.stdout, unit="step", mininterval=2)
    with bar:
        while run.step < recipe.steps:
            run.advance(on_step, bar)
            bar.set_postfix_str(f"loss {run.losses[-1]:.3f} nats")
            if checkpoint:
                run.save(checkpoint)
    model.load_state_dict(run.averaged.state_dict())
    return Training(run.step, round(run.train_s, 4), tuple(run.losses))


@torch.no_grad()
def evaluate(model: Inspector, pictures: Pictures) -> Score:
    """Measure an inspector on a set, unaltered.

    Raises: ConfigError when the set has other classes than the inspector
    """
    _same_classes(model, pictures)
    said = logits(model, pictures.images).argmax(1).cpu().numpy()
    count = len(pictures.classes)
    table = np.bincount(pictures.labels * count + said, minlength=count * count)
    return Score(tuple(map(tuple, table.reshape(count, count).tolist())))


@torch.no_grad()
def logits(model: nn.Module, images: np.ndarray) -> Tensor:
    """An inspector's scores for pictures, in chunks.

    Shapes: images (N, H, W, 3) uint8 → (N, C), on the inspector's device
    """
    head: Any = model.head
    was_training, device = model.training, head.weight.device
    model.eval()
    chunks = torch.from_numpy(np.ascontiguousarray(images)).split(EVAL_CHUNK)
    found = torch.cat([model(to_input(chunk.to(device))) for chunk in chunks])
    model.train(was_training)
    return found


class _Run:
    """A training run between two checkpoints."""

    def __init__(self, model: Inspector, pictures: Pictures, recipe: Recipe, seed: int) -> None:
        _same_classes(model, pictures)
        self.model, self.recipe, self.seed, self.digest = model, recipe, seed, pictures.digest
        self.device = model.head.weight.device
        self.images = torch.from_numpy(np.ascontiguousarray(pictures.images)).to(self.device)
        self.labels = torch.from_numpy(pictures.labels).to(self.device)
        self.parts = None
        if pictures.parts is not None and recipe.cells:
            self.parts = torch.from_numpy(np.ascontiguousarray(pictures.parts)).to(self.device)
        self.augment = Augmenter(recipe.augmentation, torch_generator(seed, "noise"))
        self.optimizer = make_optimizer(model, recipe)
        self.averaged = copy.deepcopy(model)
        self.both = nn.ModuleDict({"now": model, "averaged": self.averaged})
        self.step, self.train_s = 0, 0.0
        self.losses: list[float] = []
        self._epoch, self._order = -1, torch.empty(0)

    def advance(self, on_step: Callable[[int], None] | None, bar: tqdm) -> None:
        """Train up to the next checkpoint; the clock runs in here."""
        first, every = self.step, self.recipe.save_every
        last = min(self.recipe.steps, (first // every + 1) * every)
        self.model.train()
        total, begin = torch.zeros((), device=self.device), clock_s(self.device)
        for self.step in range(first + 1, last + 1):
            total += self._step()
            bar.update()
            if on_step:
                on_step(self.step)
        self.losses.append(float(total) / (last - first))
        self.train_s += clock_s(self.device) - begin
        if not math.isfinite(self.losses[-1]):
            raise InputError(expected("a finite loss", f"{self.losses[-1]} by step {last}", "a smaller lr"))

    def _step(self) -> Tensor:
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["scale"] = one_cycle(self.step, recipe)
        chosen = self._indices()
        y, parts = self.labels[chosen], None if self.parts is None else self.parts[chosen]
        x, parts = self.augment(self.images[chosen], parts, torch_generator(self.seed, "step", self.step))
        cells = self.model.cells(x)
        loss = F.cross_entropy(self.model.gather(cells), y, label_smoothing=recipe.label_smoothing)
        if parts is not None:
            loss = loss + recipe.cells * cell_loss(cells, parts, len(self.model.config.classes))
        if self.model.config.experts:
            loss = loss + recipe.balance * self.model.balance_loss()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimizer.step()
        self._average()
        return loss.detach()

    @torch.no_grad()
    def _average(self) -> None:
        # a short run's mean must forget where it began: the decay grows to its value
        decay = min(self.recipe.average, self.step / (self.step + 10))
        floats = (list(self.averaged.state_dict().values()), list(self.model.state_dict().values()))
        pairs = [(a, b) for a, b in zip(*floats) if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - decay)

    def _indices(self) -> Tensor:
        """The pictures of this step: every epoch has its own order, the odd ones out are left."""
        count, size = len(self.labels), min(self.recipe.batch_size, len(self.labels))
        epoch, place = divmod(self.step - 1, count // size)
        if epoch != self._epoch:
            draw = torch_generator(self.seed, "epoch", epoch)
            self._epoch, self._order = epoch, torch.randperm(count, generator=draw).to(self.device)
        return self._order[place * size : (place + 1) * size]

    def save(self, path: str | Path) -> None:
        facts = self.identity() | {"step": self.step, "losses": self.losses, "train_s": self.train_s}
        files.save(path, self.both, self.optimizer, torch_generator(self.seed), facts)

    def resume(self, path: str | Path) -> None:
        facts = files.restore(path, self.both, self.optimizer, torch_generator(self.seed), self.identity())
        self.step, self.train_s, self.losses = facts["step"], facts["train_s"], facts["losses"]

    def identity(self) -> dict[str, Any]:
        """What has to be equal for one run to go on as the other."""
        facts = {"model": self.model.config.to_dict(), "recipe": self.recipe.to_dict(), "seed": self.seed, "pictures": self.digest}
        return json.loads(json.dumps(facts))  # as it is read back: lists, no tuples


def _same_classes(model: Inspector, pictures: Pictures) -> None:
    if model.config.classes != pictures.classes:
        what = f"pictures of the inspector's classes {model.config.classes}"
        raise ConfigError(expected(what, pictures.classes))
