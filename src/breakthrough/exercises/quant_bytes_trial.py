"""Module 4: small nets and optimizers for quant.bytes, each with something that is easily counted wrong.

Shapes: B samples, d the width, C classes
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough.elsewhere import Elsewhere
from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.exercise import Case
from breakthrough.seeds import torch_generator

C = 4
LEFT_OVER = 1000.0  # far beyond any gradient of these nets
Net = Callable[[int], nn.Module]
Maker = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


class Tied(nn.Module):
    """An embedding whose weight is the head's too."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.embedding, self.norm, self.head = nn.Embedding(C, d), nn.LayerNorm(d), nn.Linear(d, C, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.embedding(x)))  # (B, C)


class Gated(nn.Module):
    """Two thirds of what a layer gives are read, as views; the rest stays in memory with them."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Linear(d, C)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)  # (B, 3d)
        d = self.b.in_features
        return self.out(h[:, :d].square() + self.b(h[:, d : 2 * d]))  # views of one storage


class Coded(torch.optim.Optimizer):
    """Signs of the gradient as uint8 codes, with one table that all parameters share."""

    def __init__(self, params: list[nn.Parameter], lr: float = 0.01) -> None:
        super().__init__(params, {"lr": lr})
        self.table = torch.linspace(-1, 1, 256)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move every parameter by lr against its gradient's sign."""
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                codes = (p.grad.sign() * 127 + 128).to(torch.uint8)
                self.state[p] = {"step": 1, "codes": codes, "table": self.table, "largest": p.grad.abs().max()}
                p -= group["lr"] * self.table[codes.long()]


def _frozen(d: int) -> nn.Module:
    net = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, C))
    net[0].requires_grad_(False)
    return net


@dataclass(frozen=True)
class Recipe:
    """A net and its optimizer; `tokens` when x is made of classes, not of numbers."""

    net: Net
    optimizer: Maker
    dtype: torch.dtype = torch.float32
    tokens: bool = False


RECIPES = {
    "two layers, AdamW": Recipe(lambda d: nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, C)), lambda p: torch.optim.AdamW(p, 1e-3)),
    "the head is the embedding, Adam": Recipe(Tied, lambda p: torch.optim.Adam(p, 1e-3), tokens=True),
    "first layer frozen, SGD with momentum": Recipe(_frozen, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    "BatchNorm, plain SGD": Recipe(
        lambda d: nn.Sequential(nn.Linear(d, d), nn.BatchNorm1d(d), nn.Tanh(), nn.Linear(d, C)), lambda p: torch.optim.SGD(p, 0.1)
    ),
    "bfloat16, AdamW": Recipe(
        lambda d: nn.Sequential(nn.Linear(d, d), nn.SiLU(), nn.Linear(d, C)), lambda p: torch.optim.AdamW(p, 1e-3), torch.bfloat16
    ),
    "views of one tensor, 8-bit codes with a shared table": Recipe(Gated, Coded),
}


def step_of(answer: Any, case: Case) -> dict[str, Any] | None:
    """What an answer counts on a fresh net, and whether it took the one step.

    Raises: InputError for what is no function, or counts that are no dict
    """
    if not callable(answer):
        raise InputError(expected("your function", type_of(answer), 'check("quant.bytes", count_bytes)'))
    if isinstance(answer, Elsewhere):  # nets and optimizers do not cross
        return answer.there("breakthrough.exercises.quant_there:counted")(answer, case.args)
    recipe, seed, batch, width = RECIPES[case.args[0]], *case.args[1:]
    generator = torch_generator(seed)
    with torch.random.fork_rng(devices=[]):
        model = recipe.net(width).to(recipe.dtype)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(0.3 * torch.randn(p.shape, generator=generator))
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer, steps = recipe.optimizer(parameters), []
    for p in parameters:  # as an earlier step leaves them
        p.grad = torch.full_like(p, LEFT_OVER)
    optimizer.register_step_pre_hook(lambda *_: steps.append(any(p.grad is not None and p.grad.max() > LEFT_OVER / 2 for p in parameters)))
    x = torch.randn(batch, width, generator=generator).to(recipe.dtype)
    y = torch.randint(C, (batch,), generator=generator)
    counted = answer(model, optimizer, torch.randint(C, (batch,), generator=generator) if recipe.tokens else x, y)
    if counted is None:
        return None
    if not isinstance(counted, dict):
        raise InputError(expected("a dict with weights, gradients, state and activations", type_of(counted)))
    return {**counted, "steps of the optimizer": len(steps), "steps with an earlier step's gradients": sum(steps)}
