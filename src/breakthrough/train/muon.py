"""Muon for the weights of convolutions, AdamW for the rest, as one optimizer.

A step of Muon has the direction of the gradient's running mean with every singular value made 1: rare
directions are learned as fast as common ones. A rare thing, like a scratch a pixel wide, is what
an inspector has to learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough.errors import ConfigError, expected

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic x → ax + bx³ + cx⁵, steep at 0, near 1 from 0.7 to 1.2
ROUNDS = 4


class Muon(torch.optim.Optimizer):
    """Muon for some weights, flattened to matrices, and AdamW for the rest.

    Units:  lr is the size of a Muon step's singular values, lr_rest AdamW's rate; a schedule scales
            both through each group's `scale`; weight_decay is AdamW's
    Raises: ConfigError for a rate or decay below 0
    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        rest: Iterable[nn.Parameter],
        lr: float,
        lr_rest: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0 or lr_rest < 0 or weight_decay < 0:
            raise ConfigError(expected("rates and decay of at least 0", (lr, lr_rest, weight_decay)))
        groups = [{"params": list(weights), "lr": lr, "muon": True}, {"params": list(rest), "lr": lr_rest, "muon": False}]
        groups = [group for group in groups if group["params"]]
        super().__init__(groups, {"momentum": momentum, "weight_decay": weight_decay, "scale": 1.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._muon if group["muon"] else self._adamw
            for weight in group["params"]:
                if weight.grad is not None:
                    update(weight, weight.grad, group)
        return loss

    def _muon(self, weight: Tensor, grad: Tensor, group: dict) -> None:
        state = self.state[weight]
        if not state:
            state["mean"] = torch.zeros_like(weight)
        mean = state["mean"].mul_(group["momentum"]).add_(grad)
        step = orthogonal(grad.add(mean, alpha=group["momentum"]).flatten(1))  # Nesterov's look ahead
        rows, columns = step.shape
        weight.add_(step.view_as(weight), alpha=-group["lr"] * group["scale"] * max(1, rows / columns) ** 0.5)

    def _adamw(self, weight: Tensor, grad: Tensor, group: dict) -> None:
        state = self.state[weight]
        if not state:
            state |= {"mean": torch.zeros_like(weight), "square": torch.zeros_like(weight), "step": torch.zeros(())}
        state["step"] += 1
        rate, steps = group["lr"] * group["scale"], float(state["step"])
        mean, square = state["mean"].lerp_(grad, 0.1), state["square"].lerp_(grad * grad, 0.001)
        weight.mul_(1 - rate * group["weight_decay"])
        spread = (square / (1 - 0.999**steps)).sqrt_().add_(1e-8)
        weight.addcdiv_(mean, spread, value=-rate / (1 - 0.9**steps))


def orthogonal(matrix: Tensor, rounds: int = ROUNDS) -> Tensor:
    """The matrix with its singular values brought near 1, by matrix products alone.

    Shapes: (R, C) → (R, C)
    Source: Jordan et al. 2024: Newton–Schulz iteration with a quintic
    """
    a, b, c = COEFFICIENTS
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        square = x @ x.T
        x = torch.addmm(x, b * square + c * square @ square, x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x
