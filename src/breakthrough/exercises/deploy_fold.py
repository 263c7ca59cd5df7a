"""Module 5: BatchNorm folded into the convolution before it.

Shapes: O output channels, I input channels, k the kernel's side
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from breakthrough.exercises.compare import close
from breakthrough.exercises.deploy_fold_wrong import MISCONCEPTIONS
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.seeds import torch_generator


def fold(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that computes what conv and then bn compute, after training.

    Why:    a trained BatchNorm multiplies every channel by a number and adds one, which the convolution can do
            by itself: the net computes the same without reading and writing all activations once more
    Shapes: conv.weight (O, I / groups, k, k), conv.bias (O,) or None → weight as conv.weight, bias (O,)
    Units:  in eval mode, channel by channel: bn(y) = γ · (y − mean) / √(variance + ε) + β, with γ bn.weight, β bn.bias,
            mean bn.running_mean, variance bn.running_var and ε bn.eps. A conv.bias of None is a bias of zeros.
            conv and bn stay as they are. float32
    """
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)  # type: ignore[operator, arg-type]  # it was trained  # (O,)
    bias = conv.bias if conv.bias is not None else torch.zeros_like(bn.running_mean)  # type: ignore[arg-type]  # it was trained
    return conv.weight * scale[:, None, None, None], bn.bias + (bias - bn.running_mean) * scale  # type: ignore[operator]  # it was trained


def _as_matrices(conv, bn):
    """BatchNorm as a diagonal matrix, multiplied from the left."""
    deviation = bn.running_var.add(bn.eps).sqrt()
    diagonal = torch.diag(bn.weight.detach() / deviation)
    rows = diagonal @ conv.weight.detach().flatten(1)
    shift = bn.bias.detach() - diagonal @ bn.running_mean
    return rows.view_as(conv.weight), shift if conv.bias is None else shift + diagonal @ conv.bias.detach()


def _channel_by_channel(conv, bn):
    weight, bias = conv.weight.detach().clone(), bn.bias.detach().clone()
    for o in range(conv.out_channels):
        factor = float(bn.weight[o]) / (float(bn.running_var[o]) + bn.eps) ** 0.5
        weight[o] *= factor
        bias[o] += factor * ((0.0 if conv.bias is None else float(conv.bias[o])) - float(bn.running_mean[o]))
    return weight, bias


@torch.no_grad()
def _asked(conv, bn):
    """BatchNorm asked what it makes of 0 and of 1."""
    both = torch.stack([torch.zeros_like(bn.running_mean), torch.ones_like(bn.running_mean)])  # (2, O)
    shift, one = F.batch_norm(both, bn.running_mean, bn.running_var, bn.weight, bn.bias, False, 0.0, bn.eps)
    bias = 0 if conv.bias is None else conv.bias
    return torch.einsum("oikl,o->oikl", conv.weight, one - shift), shift + (one - shift) * bias


def _pair(generator: Generator, inputs: int, outputs: int, k: int = 3, groups: int = 1, bias: bool = True, eps: float = 1e-3, low: float = 0.05) -> Case:
    """A convolution and its BatchNorm as training may leave them; variances from `low` on."""
    conv: Any
    bn: Any
    with torch.device("meta"):  # no initial values: those would come from the global generator
        conv = nn.Conv2d(inputs, outputs, k, groups=groups, bias=bias)
        bn = nn.BatchNorm2d(outputs, eps=eps)
    conv, bn = conv.to_empty(device="cpu"), bn.to_empty(device="cpu").eval()

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(outputs, generator=generator)

    sign = 1.0 - 2.0 * (torch.rand(outputs, generator=generator) < 0.2)
    with torch.no_grad():
        conv.weight.copy_(torch.randn(conv.weight.shape, generator=generator))
        if bias:
            conv.bias.copy_(uniform(0.4, 1.4))
        bn.weight.copy_(uniform(0.6, 1.8) * sign)
        bn.bias.copy_(uniform(-1.2, -0.3))
        bn.running_mean.copy_(uniform(0.3, 1.5))
        bn.running_var.copy_(uniform(low, 4 * low + 0.5))
        bn.num_batches_tracked.fill_(100)
    return Case("", (conv, bn))


def _by_hand() -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv, bn = _pair(torch_generator(0), 1, 1, 1, eps=0.01).args
    with torch.no_grad():
        for tensor, value in ((conv.weight, 2.0), (conv.bias, 1.0), (bn.weight, 3.0), (bn.bias, 0.5), (bn.running_mean, 4.0), (bn.running_var, 0.24)):
            tensor.fill_(value)
    return conv, bn


def _with_dead_channels(conv: nn.Conv2d, bn: Any) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """One channel switched off by γ = 0, one that never changed: its variance is 0."""
    with torch.no_grad():
        bn.weight[1], bn.running_var[2] = 0.0, 0.0
    return conv, bn


def _cases(generator: Generator) -> Iterator[Case]:
    yield Case("1 × 1, by hand: the scale is 3 / √0.25 = 6", _by_hand())
    yield Case("3 × 3, 4 channels to 4", _pair(generator, 4, 4).args)
    yield Case("3 × 3, 5 channels to 8, ε = 1e-5", _pair(generator, 5, 8, eps=1e-5).args)
    yield Case("depthwise, 6 channels", _pair(generator, 6, 6, groups=6).args)
    yield Case("2 groups, small variances, so that ε counts", _pair(generator, 6, 4, groups=2, low=2e-4).args)
    yield Case("a convolution without bias", _pair(generator, 3, 5, 1, bias=False).args)
    yield Case("a channel with γ = 0 and one with variance 0", _with_dead_channels(*_pair(generator, 2, 4).args))


EXERCISES = (
    Exercise(
        name="deploy.fold",
        title="Folding BatchNorm into a convolution",
        points=5,
        minutes=30,
        difficulty=1,
        reference=fold,
        cases=_cases,
        compare=close(rtol=1e-4, atol=1e-5, parts=("the weight", "the bias")),
        alternatives=(_as_matrices, _channel_by_channel, _asked),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "After training, BatchNorm is a straight line in each channel: times a number, plus a number. A convolution is a weighted sum plus a bias. Put the sum into the line and multiply out: what stands before x is the new weight, what stands alone is the new bias.",
            "scale = γ / √(variance + ε) (O,); the output channel is the first dimension of conv.weight, so scale[:, None, None, None] (O, 1, 1, 1) multiplies it; the bias is (O,) throughout",
            "scale = gamma / sqrt(variance + eps)\nbias = conv.bias, or zeros where it is None\nweight = conv.weight · scale, channel by channel of the output\nbias = beta + (bias − mean) · scale\nreturn weight, bias",
        ),
    ),
)
