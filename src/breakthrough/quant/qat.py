"""Quantization-aware training: compute with rounded weights, and learn as if they had not been rounded.

Rounding is a staircase: its slope is 0 nearly everywhere, so nothing is learned through it. The
straight-through estimator pretends that the slope is 1: the loss is that of the rounded weights, its
gradient goes to the weights before rounding, which move until they fall on another step.

Shape legend: B groups that share a scale, n numbers in each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from breakthrough.errors import ConfigError, ShapeError, expected, unknown
from breakthrough.quant import grouping
from breakthrough.quant.grid import check_levelled
from breakthrough.quant.quantized import Format, Quantized

START = 4.0  # of a learned range before the sigmoid: 98% of the largest number


class _StraightThrough(torch.autograd.Function):
    """What comes out is `rounded`, to the last bit; its gradient goes to x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rounded: Tensor) -> Tensor:
        return rounded.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def straight_through(x: Tensor, rounded: Tensor) -> Tensor:
    """The rounded numbers, with the gradient of those before rounding.

    Shapes: two of one shape → the same
    Raises: ShapeError when they are not of one shape
    Source: Bengio et al. 2013, arXiv 1308.3432
    """
    if x.shape != rounded.shape:
        raise ShapeError(expected(f"rounded numbers of shape {tuple(x.shape)}", tuple(rounded.shape)))
    return _StraightThrough.apply(x, rounded.detach())


def fake_quantize(x: Tensor, format: Format) -> Tensor:
    """What a tensor will be when it has been stored and read, with the gradient of the tensor itself.

    Raises: what the format raises
    """
    return straight_through(x, format.quantize(x.detach()).dequantize())


class FakeQuant(nn.Module):
    """A weight's rounding as a parametrization: the module that owns the weight computes with the rounded one.

    Ranges are observed, from the largest number of each group at every step, or learned: a share of it for
    each group, whose gradient weighs what is cut off against the finer steps for the rest.

    Shapes: weight → the same
    Raises: ConfigError for a format that cannot be learned in
    Source: Esser et al. 2020, arXiv 1902.08153, for the gradient of a learned range
    """

    def __init__(self, format: Format, weight: Tensor, learn_range: bool = False) -> None:
        super().__init__()
        self.format = check_levelled(format)
        self.share: nn.Parameter | None = None
        if learn_range:
            groups = self.format.groups(weight.detach())
            self.share = nn.Parameter(torch.full((len(groups), 1), START, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        if self.share is None:
            return fake_quantize(weight, self.format)
        rows, bound = self._rows(weight, self.share)
        inside = (rows / bound).clamp(-1, 1)  # (B, n)
        rounded = self.format.groups(self.stored(weight).dequantize(torch.float32)) / bound
        return self._whole(straight_through(inside, rounded) * bound, weight).to(weight.dtype)

    def stored(self, weight: Tensor) -> Quantized:
        """The weight as it will be stored: what `forward` computes, in its parts."""
        if self.share is None:
            return self.format.quantize(weight.detach())
        rows, bound = self._rows(weight.detach(), self.share)
        cut = torch.minimum(torch.maximum(rows, -bound), bound)
        return self.format.quantize(self._whole(cut.detach(), weight).to(weight.dtype))

    def _rows(self, weight: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """The groups and their range. Shapes: → (B, n), (B, 1)."""
        rows = self.format.groups(weight.float())
        largest = rows.detach().abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        return rows, torch.sigmoid(share) * largest

    def _whole(self, rows: Tensor, like: Tensor) -> Tensor:
        return grouping.whole(rows, tuple(like.shape), getattr(self.format, "axis", None))


def prepare(model: nn.Module, formats: Mapping[str, Format], learn_range: bool = False) -> nn.Module:
    """Let a model compute with rounded weights from now on, in place; then make the optimizer and train.

    A weight is rounded each time it is asked for; in `torch.nn.utils.parametrize.cached()` once a step.

    Raises: UnknownNameError for a name that is no parameter; ConfigError for one that is prepared already
    """
    parameters = dict(model.named_parameters())
    for name in formats:
        if f"{_split(name)[0]}.parametrizations.{_split(name)[1]}.original".lstrip(".") in parameters:
            raise ConfigError(expected("weights that are not prepared yet", name, "convert(model) first"))
        if name not in parameters:
            raise unknown("parameter", name, parameters)
    for name, format in formats.items():
        owner, short = _split(name)
        wrap = FakeQuant(format, parameters[name], learn_range)
        parametrize.register_parametrization(model.get_submodule(owner), short, wrap, unsafe=True)
    return model


def convert(model: nn.Module) -> dict[str, Quantized]:
    """End the training: every prepared weight in its format, and the model a plain one with the rounded weights.

    Raises: ConfigError when no weight is prepared
    """
    found = list(_prepared(model))
    if not found:
        raise ConfigError(expected("a prepared model", "no weight that is rounded", "prepare(model, formats)"))
    stored = {}
    for name, owner, short, wrap in found:
        wraps: Any = owner.parametrizations  # one ParametrizationList for each name
        stored[name] = wrap.stored(wraps[short].original)
        parametrize.remove_parametrizations(owner, short, leave_parametrized=False)
        with torch.no_grad():
            getattr(owner, short).copy_(stored[name].dequantize())
    return stored


def _prepared(model: nn.Module) -> Iterator[tuple[str, nn.Module, str, FakeQuant]]:
    for path, owner in model.named_modules():
        if not parametrize.is_parametrized(owner):
            continue
        for short, wraps in owner.parametrizations.items():
            if isinstance(wraps[0], FakeQuant):
                yield f"{path}.{short}".lstrip("."), owner, short, wraps[0]


def _split(name: str) -> tuple[str, str]:
    owner, _, short = name.rpartition(".")
    return owner, short
