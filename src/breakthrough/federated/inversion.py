"""What one update says about the pictures it was made from: gradient inversion.

The attacker knows the model, the weights before the step and the update; it looks for pictures whose own
update would point the same way. Only the direction counts, so the learning rate and a clip hide nothing.

Shape legend: V victims attacked at once, B pictures of each, C classes, H × W pixels, D parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from breakthrough.errors import InputError, ShapeError, expected, unknown

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Recipe:
    """How long and how the attacker looks.

    Units:  rate is in pixel values, 0 to 1, a step; smooth weighs total variation, the mean difference of neighbours
    Raises: InputError when a number is out of range
    """

    steps: int = 300
    rate: float = 0.05
    smooth: float = 0.01

    def __post_init__(self) -> None:
        if self.steps < 1 or self.rate <= 0 or self.smooth < 0:
            raise InputError(expected("steps ≥ 1, rate > 0 and smooth ≥ 0", self, "Recipe()"))


@dataclass(frozen=True)
class Found:
    """Pictures the attacker found, the labels it took, and how far their update is from the one it saw.

    Shapes: pictures (V, B, …), labels (V, B), distance (V,)
    Units:  distance is 1 − cosine: 0 is the same direction, 1 is at right angles
    """

    pictures: Tensor
    labels: Tensor
    distance: Tensor


def gradients(model: nn.Module, x: Tensor, y: Tensor, loss: Loss = F.cross_entropy) -> Tensor:
    """The gradient of every victim's mean loss, as vectors in the order of the model's parameters.

    Shapes: x (V, B, …), y (V, B) → (V, D); differentiable in x
    Raises: ShapeError when x and y do not fit together
    """
    if x.ndim < 3 or y.shape != x.shape[:2]:
        raise ShapeError(expected("x (V, B, …) and y (V, B)", f"{tuple(x.shape)} and {tuple(y.shape)}", "x[None], y[None] for one victim"))
    weights = {name: p.detach() for name, p in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def of(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return loss(functional_call(model, {**weights, **buffers}, (x,)), y)

    found = vmap(grad(of), in_dims=(None, 0, 0))(weights, x, y)
    return torch.cat([g.flatten(1) for g in found.values()], 1)  # (V, D)


def part(model: nn.Module, seen: Tensor, name: str) -> Tensor:
    """The part of seen vectors that belongs to one parameter.

    Shapes: seen (V, D) → (V, shape of the parameter)
    Raises: UnknownNameError when the model has no such parameter; ShapeError as `invert`
    """
    _fits(model, seen)
    start = 0
    for other, p in model.named_parameters():
        if other == name:
            return seen[:, start : start + p.numel()].unflatten(1, p.shape)
        start += p.numel()
    raise unknown("parameter", name, [other for other, _ in model.named_parameters()])


def linear_leak(weight_gradient: Tensor, bias_gradient: Tensor) -> Tensor:
    """The input of a linear layer, exactly, from the gradient of one picture: a row of weights over its bias.

    Every row of the weight's gradient is the input times the gradient of that row's bias. Of several
    pictures, it is a mix of their inputs.

    Shapes: weight (O, I), bias (O,) → (I,)
    Raises: InputError when no bias has a gradient
    Source: Phong et al. 2017, "Privacy-preserving deep learning: revisited and enhanced"
    """
    row = bias_gradient.abs().argmax()  # the largest divides with the least rounding
    if not bias_gradient[row]:
        raise InputError(expected("a bias with a gradient", "zeros", "a picture that makes a unit of this layer fire"))
    return weight_gradient[row] / bias_gradient[row]


def read_labels(model: nn.Module, seen: Tensor, count: int, picture: Tensor, bias: str) -> Tensor:
    """The labels of a batch, from the gradient of the last bias: p̄ − (how often each label occurs) / B.

    p̄ is what the model says of `picture`, any ordinary one; the unknown scale is the largest that leaves
    no label rarer than never.

    Shapes: seen (V, D), picture (…) → (V, count), in ascending order
    Source: Zhao et al. 2020 (iDLG) for one picture, where the label's is the one entry below 0
    """
    g = part(model, seen, bias)  # (V, C)
    with torch.no_grad():
        p = model(picture[None]).softmax(1)  # (1, C)
    scale = (g / p).amax(1, keepdim=True).clamp_min(1e-12 * g.abs().amax().clamp_min(1e-30))
    left = count * (p - g / scale)  # (V, C): how often each label is expected
    labels = torch.empty(len(g), count, dtype=torch.long, device=g.device)
    for i in range(count):
        labels[:, i] = left.argmax(1)
        left[torch.arange(len(g)), labels[:, i]] -= 1
    return labels.sort(1).values


def invert(model: nn.Module, seen: Tensor, labels: Tensor, shape: tuple[int, ...], recipe: Recipe, generator: torch.Generator,
           loss: Loss = F.cross_entropy) -> Found:
    """Pictures whose gradient points where the seen vector points, for several victims at once.

    `seen` is a gradient, or an update with its sign turned: the local weights before minus after. After
    several local steps it is a gradient only roughly, and the attack is the weaker for it.

    Shapes: seen (V, D), labels (V, B), shape of one picture (channels, H, W), pixels from 0 to 1
    Raises: ShapeError when the vectors are not of this model, or labels not of these victims
    Source: Geiping et al. 2020, "Inverting gradients": cosine distance, total variation, Adam on signs
    """
    _fits(model, seen)
    if labels.ndim != 2 or len(labels) != len(seen):
        raise ShapeError(expected(f"labels ({len(seen)}, B)", tuple(labels.shape)))
    start = torch.rand((*labels.shape, *shape), generator=generator).to(seen.device)
    x = (0.25 + 0.5 * start).requires_grad_()
    adam = torch.optim.Adam([x], recipe.rate)
    drops = [round(recipe.steps * share) for share in (3 / 8, 5 / 8, 7 / 8)]
    schedule = torch.optim.lr_scheduler.MultiStepLR(adam, drops, 0.3)
    for _ in range(recipe.steps):
        far = _distance(gradients(model, x, labels, loss), seen)
        goal = (far + recipe.smooth * _variation(x)).sum()
        x.grad = torch.autograd.grad(goal, x)[0].sign()
        adam.step()
        schedule.step()
        x.data.clamp_(0, 1)
    with torch.no_grad():
        far = _distance(gradients(model, x, labels, loss), seen)
    return Found(x.detach(), labels, far.detach())


def _distance(guessed: Tensor, seen: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(guessed, seen, dim=1, eps=1e-12)  # (V,)


def _variation(x: Tensor) -> Tensor:
    rows, columns = (x.diff(dim=-2).abs(), x.diff(dim=-1).abs())
    return rows.flatten(1).mean(1) + columns.flatten(1).mean(1)  # (V,)


def _fits(model: nn.Module, seen: Tensor) -> None:
    size = sum(p.numel() for p in model.parameters())
    if seen.ndim != 2 or seen.shape[1] != size:
        raise ShapeError(expected(f"vectors (V, {size}): the parameters of this model", tuple(seen.shape), "leaving buffers out of the vector"))
