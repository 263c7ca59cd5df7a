"""A federation small enough to be attacked many times: all clients of a round are one batched computation.

Shape legend: K clients, n samples of each, D parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from breakthrough.errors import InputError, ShapeError, expected
from breakthrough.federated.privacy import private_mean


@dataclass(frozen=True)
class Passes:
    """How the federation trains.

    Units:  steps are local, each on all of a client's samples; clip is an L2 norm, noise its multiplier
            (of the sum of all clients), as in `privacy`; without a clip nothing is clipped and no noise added
    Raises: InputError for noise without a clip
    """

    rounds: int = 60
    steps: int = 3
    lr: float = 0.2
    clip: float | None = None
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.noise and not self.clip:
            raise InputError(expected("a clip to go with the noise", self.clip, "clip=0.2"))


def federate(model: nn.Module, x: Tensor, y: Tensor, passes: Passes, generator: np.random.Generator) -> nn.Module:
    """Train the model in place by federated averaging, each client the same weight; returns it.

    Shapes: x (K, n, …), y (K, n)
    Raises: ShapeError when x and y do not fit together
    """
    for _ in range(passes.rounds):
        updates = local_updates(model, x, y, passes.steps, passes.lr)  # (K, D)
        if passes.clip:
            mean = torch.from_numpy(private_mean(list(updates.cpu().numpy()), passes.clip, passes.noise, len(x), generator))
        else:
            mean = updates.mean(0)
        _add(model, mean.to(updates))
    return model


def local_updates(model: nn.Module, x: Tensor, y: Tensor, steps: int, lr: float) -> Tensor:
    """What every client sends: its weights after some local steps minus the model's.

    Shapes: x (K, n, …), y (K, n) → (K, D), in the order of the model's parameters
    Raises: ShapeError when x and y do not fit together
    """
    if x.ndim < 3 or y.shape != x.shape[:2]:
        raise ShapeError(expected("x (K, n, …) and y (K, n)", f"{tuple(x.shape)} and {tuple(y.shape)}"))
    start = {name: p.detach() for name, p in model.named_parameters()}
    slope = vmap(grad(lambda weights, x, y: F.cross_entropy(functional_call(model, weights, (x,)), y)))
    weights = {name: p.expand(len(x), *p.shape) for name, p in start.items()}
    for _ in range(steps):
        slopes = slope(weights, x, y)
        weights = {name: w - lr * slopes[name] for name, w in weights.items()}
    return torch.cat([(w - start[name]).flatten(1) for name, w in weights.items()], 1)


def mislabel(y: np.ndarray, share: float, classes: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a share is wrong, as in any real set, and which those are.

    A net can only know such a label by heart, so these samples betray membership first.

    Shapes: y (N,) → labels (N,), wrong (N,) bool
    """
    wrong = generator.random(len(y)) < share
    return np.where(wrong, (y + generator.integers(1, classes, len(y))) % classes, y), wrong


@torch.no_grad()
def _add(model: nn.Module, vector: Tensor) -> None:
    start = 0
    for p in model.parameters():
        p.add_(vector[start : start + p.numel()].view_as(p))
        start += p.numel()
