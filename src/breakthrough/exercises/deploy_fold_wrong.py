"""Module 5: wrong ways to fold BatchNorm into a convolution, for deploy.fold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from breakthrough.exercises.exercise import Misconception


def _scale(bn: Any) -> Tensor:
    return bn.weight / torch.sqrt(bn.running_var + bn.eps)


def _own(conv: Any, bn: Any) -> Tensor:
    return torch.zeros_like(bn.running_mean) if conv.bias is None else conv.bias


def _shift(b: Tensor, scale: Tensor, bn: Any) -> Tensor:
    return bn.bias + (b - bn.running_mean) * scale


def _along_the_output(conv: Any, scale: Tensor) -> Tensor:
    return conv.weight * scale.view(-1, 1, 1, 1)


def _wrong(
    scale: Callable[..., Tensor] = _scale, own: Callable[..., Any] = _own, shift: Callable[..., Tensor] = _shift,
    weight: Callable[..., Tensor] = _along_the_output,
) -> Callable[..., tuple[Tensor, Tensor]]:  # fmt: skip
    """A fold that differs in what is given."""

    def answer(conv, bn):
        factor = scale(bn)
        return weight(conv, factor), shift(own(conv, bn), factor, bn)

    return answer


def _shifts(*shifts: Callable[..., Tensor]) -> dict[str, Any]:
    """The answer and variants of a misconception about the bias."""
    answers = [_wrong(shift=shift) for shift in shifts]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _scales(*scales: Callable[..., Tensor]) -> dict[str, Any]:
    answers = [_wrong(scale=scale) for scale in scales]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _none_left_in(conv: Any, bn: Any) -> Tensor | None:
    return conv.bias


def _stated_bias(conv: Any, bn: Any) -> Tensor:
    return conv.bias.detach()


def _inputs(conv: Any, scale: Tensor) -> Tensor:
    return conv.weight * scale.view(1, -1, 1, 1)


def _last(conv: Any, scale: Tensor) -> Tensor:
    return conv.weight * scale


def _weight_only(conv: Any, bn: Any) -> tuple[Tensor, Tensor]:
    return conv.weight * _scale(bn).view(-1, 1, 1, 1), _own(conv, bn)


def _no_bias(conv: Any, bn: Any) -> tuple[Tensor, None]:
    return _along_the_output(conv, _scale(bn)), None


def _no_bias_where_none_was(conv: Any, bn: Any) -> tuple[Tensor, Tensor | None]:
    return _along_the_output(conv, _scale(bn)), None if conv.bias is None else _shift(conv.bias, _scale(bn), bn)


def _norm_before(conv: Any, bn: Any) -> tuple[Tensor, Tensor]:
    scale = _scale(bn)
    weight = conv.weight * scale.view(1, -1, 1, 1)
    return weight, _own(conv, bn) + (conv.weight * (bn.bias - bn.running_mean * scale).view(1, -1, 1, 1)).sum((1, 2, 3))


def _statistics_of_the_weight(conv: Any, bn: Any) -> tuple[Tensor, Tensor]:
    flat = conv.weight.flatten(1)
    scale = bn.weight / torch.sqrt(flat.var(1, unbiased=False) + bn.eps)
    return conv.weight * scale.view(-1, 1, 1, 1), bn.bias + (_own(conv, bn) - flat.mean(1)) * scale


def _in_place(conv: Any, bn: Any) -> tuple[Tensor, Tensor]:
    weight, bias = _wrong()(conv, bn)
    conv.weight.data.copy_(weight.detach())
    return conv.weight, bias


def _in_place_both(conv: Any, bn: Any) -> tuple[Tensor, Tensor]:
    weight, bias = _wrong()(conv, bn)
    conv.weight.data.copy_(weight.detach())
    conv.bias = torch.nn.Parameter(bias.detach())
    return conv.weight, conv.bias


MISCONCEPTIONS = (
    Misconception(
        "ε left out",
        says="ε is missing: BatchNorm divides by √(variance + ε), and where a channel hardly varies, ε is most of that.",
        **_scales(lambda bn: bn.weight / torch.sqrt(bn.running_var), lambda bn: bn.weight / bn.running_var.clamp(min=1e-12).sqrt()),
    ),
    Misconception(
        "ε outside the root",
        says="ε was added to the deviation: it belongs under the root, √(variance + ε).",
        **_scales(lambda bn: bn.weight / (torch.sqrt(bn.running_var) + bn.eps)),
    ),
    Misconception(
        "another ε",
        says="ε was written down as a number: this layer has its own, bn.eps (1e-5 in torch, 1e-3 in MobileNetV3).",
        **_scales(
            lambda bn: bn.weight / torch.sqrt(bn.running_var + 1e-5),
            lambda bn: bn.weight / torch.sqrt(bn.running_var + 1e-3),
            lambda bn: bn.weight / torch.sqrt(bn.running_var + 1e-6),
            lambda bn: bn.weight / torch.sqrt(bn.running_var + 1e-8),
        ),
    ),
    Misconception(
        "divided by the variance",
        says="This divides by the variance: BatchNorm divides by its root, √(variance + ε).",
        **_scales(lambda bn: bn.weight / (bn.running_var + bn.eps), lambda bn: bn.weight / bn.running_var),
    ),
    Misconception(
        "multiplied by the deviation",
        says="This multiplies by the deviation √(variance + ε): BatchNorm divides by it.",
        **_scales(lambda bn: bn.weight * torch.sqrt(bn.running_var + bn.eps), lambda bn: torch.sqrt(bn.running_var + bn.eps) / bn.weight),
    ),
    Misconception(
        "γ left out",
        says="γ (bn.weight) is missing from the scale: after dividing by the deviation, BatchNorm multiplies by it.",
        **_scales(lambda bn: 1 / torch.sqrt(bn.running_var + bn.eps)),
    ),
    Misconception(
        "the convolution's bias lost",
        says="The convolution's own bias was lost: BatchNorm is applied to the sum that includes it, so it is (bias − mean) that is scaled.",
        **_shifts(lambda b, scale, bn: bn.bias - bn.running_mean * scale),
    ),
    Misconception(
        "the convolution's bias not scaled",
        says="The convolution's bias was added unscaled: it goes through BatchNorm with the rest of the sum, so it is multiplied by the scale too.",
        **_shifts(lambda b, scale, bn: bn.bias - bn.running_mean * scale + b),
    ),
    Misconception(
        "the mean not scaled",
        says="The mean was subtracted unscaled: BatchNorm subtracts it before it divides by the deviation and multiplies by γ.",
        **_shifts(lambda b, scale, bn: bn.bias + b * scale - bn.running_mean, lambda b, scale, bn: bn.bias + b - bn.running_mean),
    ),
    Misconception(
        "the mean left out",
        says="The mean is missing from the bias: BatchNorm subtracts it from every channel first.",
        **_shifts(lambda b, scale, bn: bn.bias + b * scale, lambda b, scale, bn: bn.bias + b, lambda b, scale, bn: bn.bias),
    ),
    Misconception(
        "the mean added",
        says="The sign of the mean is wrong: BatchNorm subtracts it, so the new bias has (bias − mean) · scale.",
        **_shifts(lambda b, scale, bn: bn.bias + (b + bn.running_mean) * scale, lambda b, scale, bn: bn.bias + (bn.running_mean - b) * scale),
    ),
    Misconception(
        "β left out",
        says="β (bn.bias) is missing: BatchNorm adds it at the end, unscaled.",
        **_shifts(lambda b, scale, bn: (b - bn.running_mean) * scale, lambda b, scale, bn: b * scale),
    ),
    Misconception(
        "β scaled too",
        says="β was multiplied by the scale: BatchNorm adds it last, as it is.",
        **_shifts(lambda b, scale, bn: (b - bn.running_mean + bn.bias) * scale),
    ),
    Misconception(
        "only the weight",
        _weight_only,
        "Only the weight was folded: the bias takes part too, β + (bias − mean) · scale.",
    ),
    Misconception(
        "along the input channels",
        _wrong(weight=_inputs),
        "The scale was laid along another dimension: BatchNorm has one number for each output channel, the first dimension of conv.weight.",
        variants=(_wrong(weight=_last), _norm_before),
    ),
    Misconception(
        "not every convolution has a bias",
        _wrong(own=_none_left_in),
        "conv.bias is None in a convolution made with bias=False, as most before a BatchNorm are: take zeros then.",
        variants=(_wrong(own=_stated_bias), _wrong(own=_none_left_in, shift=lambda b, scale, bn: bn.bias + scale * b - scale * bn.running_mean), _wrong(own=_none_left_in, shift=lambda b, scale, bn: b * scale + bn.bias - scale * bn.running_mean)),
    ),
    Misconception(
        "no bias afterwards",
        _no_bias,
        "The one convolution always has a bias: where conv.bias is None it is β − mean · scale. Return that, never None.",
        variants=(_no_bias_where_none_was,),
    ),
    Misconception(
        "statistics of the weight",
        _statistics_of_the_weight,
        "Mean and variance were taken of the weights: BatchNorm's are those of the activations in training, in bn.running_mean and bn.running_var.",
    ),
    Misconception(
        "the layer itself changed",
        _in_place,
        "The numbers are right, but conv itself was changed, so whoever applies bn to it afterwards normalises twice: make new tensors.",
        variants=(_in_place_both,),
    ),
)
