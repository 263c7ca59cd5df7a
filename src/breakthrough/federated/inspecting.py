"""The inspector as a federated task: pictures, and what every pixel of them shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from breakthrough.seeds import torch_generator
from breakthrough.train.cells import cell_loss
from breakthrough.train.inspection import evaluate, logits
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.pictures import Augmentation, Augmenter, Pictures
from breakthrough.train.recipe import Recipe, make_optimizer

CELLS = 10.0  # the weight of the cells' loss against the pictures'
BALANCE = 0.01  # that of the experts' load
REST = 1 / 30  # the rate of norms, biases and the last layer, in parts of the convolutions'


@dataclass(frozen=True)
class InspectorTask:
    """Train an `Inspector` on `Pictures`, altered a little in every batch.

    With `noise_once`, batches share one pool of noise, each beginning somewhere in it: a tenth of the time is drawing it.
    """

    config: Mapping[str, Any] = field(default_factory=dict, hash=False)
    augmentation: Mapping[str, Any] = field(default_factory=lambda: {"noise": 0.0}, hash=False)
    noise_once: bool = False

    def model(self, seed: int) -> Inspector:
        """A new inspector; equal seeds give equal weights."""
        return Inspector(InspectorConfig.from_dict(self.config), torch_generator(seed, "inspector"))

    def optimizer(self, model: Inspector, lr: float, momentum: float) -> torch.optim.Optimizer:
        """Muon for the convolutions, AdamW for the rest: the optimizer that inspectors are trained with."""
        return make_optimizer(model, Recipe(lr=lr, lr_rest=lr * REST))

    def load(self, path: str | Path) -> Pictures:
        """The pictures in a file."""
        return Pictures.load(path)

    def loss(self, model: Inspector, data: Pictures, chosen: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of a batch: the pictures', and that of their cells where it is known what they show.

        Units:  nats
        """
        device, index = model.head.weight.device, chosen.numpy()
        images = torch.from_numpy(np.ascontiguousarray(data.images[index])).to(device)
        parts = None if data.parts is None else torch.from_numpy(np.ascontiguousarray(data.parts[index])).to(device)
        labels = torch.from_numpy(data.labels[index]).to(device)
        how = Augmentation(**self.augmentation)
        augmenter = _augmenter(how) if self.noise_once else Augmenter(how, generator)
        x, parts = augmenter(images, parts, generator)
        cells = model.cells(x)
        loss = F.cross_entropy(model.gather(cells), labels, label_smoothing=0.05)
        loss = loss if parts is None else loss + CELLS * cell_loss(cells, parts, len(model.config.classes))
        return loss + BALANCE * model.balance_loss() if model.config.experts else loss

    @torch.no_grad()
    def score(self, model: Inspector, data: Pictures) -> dict[str, float]:
        """Accuracy from 0 to 1, the mean loss in nats, and the recall of every class there is."""
        found = evaluate(model, data)
        loss = F.cross_entropy(logits(model, data.images).cpu(), torch.from_numpy(data.labels))
        recall = {f"recall {n}": r for n, r in zip(data.classes, found.recall) if r == r}
        return {"accuracy": found.accuracy, "loss": float(loss), **recall}


@cache
def _augmenter(how: Augmentation) -> Augmenter:
    return Augmenter(how, torch_generator(0, "noise"))
