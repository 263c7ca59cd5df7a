"""Training on one node: some passes over its own data, from the weights it was sent.

The same function, on all data at once, is the centralised control.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from breakthrough import devices
from breakthrough.errors import InputError, expected
from breakthrough.federated.plan import Plan
from breakthrough.federated.tasks import Data, Task, task_of
from breakthrough.federated.vectors import State
from breakthrough.seeds import torch_generator

CLIP = 1.0  # the largest norm of a gradient: skewed data give steep ones


@dataclass(frozen=True)
class Passes:
    """Some passes over the data of a node, of `steps` batches at most, where that is not 0.

    Units:  average is the decay of the running mean of the weights, which the model ends with, 0 for none; proximal is FedProx's μ; the weight of half the squared distance to the weights it began with
    Source: Li et al. 2020 (FedProx)
    """

    epochs: int
    batch_size: int
    lr: float
    momentum: float = 0.9
    proximal: float = 0.0
    steps: int = 0
    average: float = 0.0


def fit(task: Task, model: nn.Module, data: Data, passes: Passes, generator: torch.Generator) -> float:
    """Train in place and return the mean loss of a step, without the proximal term.

    Units:  nats
    Raises: InputError when the loss is no longer finite
    """
    mean = _train(task, model, data, passes, task.optimizer(model, passes.lr, passes.momentum), generator)
    if not math.isfinite(mean):
        raise InputError(expected("a finite loss", mean, "a smaller lr"))
    return mean


def proximal_term(model: nn.Module, anchor: list[Tensor], strength: float) -> Tensor | float:
    """μ/2 · ‖w − w₀‖² over the parameters: it pulls a node back to the weights it was sent."""
    if not strength:
        return 0.0
    squares = [(now - then).square().sum() for now, then in zip(model.parameters(), anchor)]
    return strength / 2 * torch.stack(squares).sum()


def _train(task: Task, model: nn.Module, data: Data, passes: Passes, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> float:
    """Make the passes with an optimizer as it stands, and return the mean loss of a step, finite or not."""
    anchor = [weight.detach().clone() for weight in model.parameters()] if passes.proximal else []
    model.train()
    total, steps, mean = torch.zeros((), device=_device(model)), 0, _Mean(model, passes.average)
    for chosen in islice(_batches(len(data), passes, generator), passes.steps or None):
        loss = task.loss(model, data, chosen, generator)
        total, steps = total + loss.detach(), steps + 1
        _step(model, optimizer, loss + proximal_term(model, anchor, passes.proximal))
        mean.add(steps)
    mean.put()
    return float(total) / max(1, steps)


class _Mean:
    """The running mean of a model's weights: what is left of the last steps' noise averages out."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.now = [x for x in model.state_dict().values() if x.is_floating_point()] if decay else []
        self.mean = [x.clone() for x in self.now]

    def add(self, step: int) -> None:
        """The weights after a step; the mean of few steps forgets where it began."""
        if self.now:
            torch._foreach_lerp_(self.mean, self.now, 1 - min(self.decay, step / (step + 10)))

    def put(self) -> None:
        """Let the model have the mean."""
        for now, mean in zip(self.now, self.mean):
            now.copy_(mean)


def _batches(count: int, passes: Passes, generator: torch.Generator) -> Iterator[Tensor]:
    for _ in range(passes.epochs):
        yield from torch.randperm(count, generator=generator).split(passes.batch_size)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()


def state_of(model: nn.Module) -> dict[str, np.ndarray]:
    """A model's parameters and buffers as numpy arrays, copied."""
    return {name: x.detach().cpu().numpy().copy() for name, x in model.state_dict().items()}


def load_state(model: nn.Module, state: State) -> None:
    """Put numpy arrays into a model.

    Raises: RuntimeError of torch when they are another model's
    """
    model.load_state_dict({name: torch.from_numpy(np.array(x)) for name, x in state.items()})


def train_round(plan: Plan, state: State, data: Data, name: int, number: int, proximal: float = 0.0) -> tuple[dict[str, np.ndarray], float]:
    """What a node does in a round: from the weights it was sent to its own, and the mean loss.

    Everything drawn comes from the seed, the node's name and the round's number.
    """
    task = task_of(plan.task, plan.task_options)
    model = task.model(plan.seed).to(devices.choose())
    load_state(model, state)
    passes = Passes(plan.epochs, plan.batch_size, plan.lr_of(number), plan.momentum, proximal, plan.steps, plan.average)
    loss = fit(task, model, data, passes, torch_generator(plan.seed, "node", name, "round", number))
    return state_of(model), loss


def initial_state(plan: Plan) -> dict[str, np.ndarray]:
    """The weights that round 1 begins with."""
    return state_of(task_of(plan.task, plan.task_options).model(plan.seed))


def centralised(plan: Plan, data: Data, on_pass: Callable[[int, nn.Module], object] | None = None) -> nn.Module:
    """The control: all data in one place, the same model, optimizer, schedule and number of passes.

    The optimizer keeps its state from pass to pass, as one would train; rounds cannot.
    """
    task = task_of(plan.task, plan.task_options)
    model = task.model(plan.seed).to(devices.choose())
    generator = torch_generator(plan.seed, "central")
    optimizer = task.optimizer(model, plan.lr, plan.momentum)
    bases = [group["lr"] for group in optimizer.param_groups]
    for number in range(1, plan.rounds + 1):
        for group, base in zip(optimizer.param_groups, bases):
            group["lr"] = base * plan.lr_of(number) / plan.lr
        passes = Passes(plan.epochs, plan.batch_size, plan.lr_of(number), plan.momentum, steps=plan.steps, average=plan.average)
        _train(task, model, data, passes, optimizer, generator)
        if on_pass:
            on_pass(number, model)
    return model


def scorer(plan: Plan, tests: Mapping[str, Data]) -> Callable[[State], dict[str, float]]:
    """A function that scores weights on test sets, by name: `accuracy`, or `night/accuracy` for a set called night."""
    task = task_of(plan.task, plan.task_options)
    model = task.model(plan.seed).to(devices.choose())

    def score(state: State) -> dict[str, float]:
        load_state(model, state)
        model.eval()
        found = {name: task.score(model, data) for name, data in tests.items()}
        return {f"{name}/{key}" if name else key: x for name, scores in found.items() for key, x in scores.items()}

    return score


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
