"""Module 5: the FLOPs of a layer, and the bytes that it moves at the least.

Shapes: B pictures or rows, C channels, H × W the picture, n and o the inputs and outputs of a linear layer
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Generator, nn

from breakthrough.exercises.compare import close
from breakthrough.exercises.deploy_flops_wrong import MISCONCEPTIONS
from breakthrough.exercises.exercise import Case, Exercise


def layer_cost(layer: nn.Conv2d | nn.Linear, shape: tuple[int, ...], number_bytes: int = 4) -> tuple[int, int]:
    """Count the FLOPs of a layer's forward pass, and the bytes that it moves at the least.

    Why:    the two numbers say what a layer waits for, its arithmetic or its memory, before anything is measured
    Shapes: shape is that of the input: (B, C, H, W) for an nn.Conv2d, (..., n) for an nn.Linear
    Units:  FLOPs: a multiply-add is 2, and adding a bias is 1 for each number of the output. A window that reaches
            into the padding is counted whole. Bytes: every number of the input, of the weight, of the bias if
            there is one, and of the output is moved once, and takes number_bytes. Of a convolution
            kernel_size, stride, padding, dilation (pairs of ints) and groups may be anything that nn.Conv2d takes
    """
    if isinstance(layer, nn.Linear):
        output = (*shape[:-1], layer.out_features)
    else:
        reach = [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel_size)]
        places = [(size + 2 * p - r) // s + 1 for size, p, r, s in zip(shape[2:], layer.padding, reach, layer.stride)]  # type: ignore[operator]  # padding is pairs here, never a word
        output = (shape[0], layer.out_channels, *places)
    outputs, weights = math.prod(output), layer.weight.numel()
    biases = 0 if layer.bias is None else layer.bias.numel()
    each = weights // len(layer.weight)  # multiply-adds for one number of the output: C / groups · kernel, or n
    flops = 2 * outputs * each + (outputs if biases else 0)
    return flops, number_bytes * (math.prod(shape) + weights + biases + outputs)


def _by_running(layer, shape, number_bytes=4):
    """The output's size from the layer itself, on torch's device without memory."""
    with torch.device("meta"):
        x = torch.empty(shape)
    y = torch.func.functional_call(layer, {name: p.to("meta") for name, p in layer.named_parameters()}, (x,))
    inside = layer.weight[0].numel()
    numbers = x.numel() + y.numel() + sum(p.numel() for p in layer.parameters())
    return y.numel() * (2 * inside + (layer.bias is not None)), numbers * number_bytes


def _by_groups(layer, shape, number_bytes=4):
    """A convolution as many small products, one a group; a linear layer as a convolution of one pixel."""
    if isinstance(layer, nn.Linear):
        rows, window, groups, into, out = math.prod(shape[:-1]), 1, 1, shape[-1], layer.out_features
    else:
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = layer.kernel_size, layer.stride, layer.padding, layer.dilation
        height = math.floor((shape[2] + 2 * ph - dh * (kh - 1) - 1) / sh + 1)
        width = math.floor((shape[3] + 2 * pw - dw * (kw - 1) - 1) / sw + 1)
        rows, window, groups = shape[0] * height * width, kh * kw, layer.groups
        into, out = layer.in_channels, layer.out_channels
    flops = sum(2 * rows * (into // groups) * window * (out // groups) for _ in range(groups))
    weight = window * into * out // groups
    moved = math.prod(shape) + weight + rows * out
    if layer.bias is not None:
        flops, moved = flops + rows * out, moved + out
    return flops, moved * number_bytes


def _by_counting_places(layer, shape, number_bytes=4):
    """Where a window can stand, counted; what it meets there, from the layer's settings."""
    if isinstance(layer, nn.Conv2d):
        numbers, out = shape[0], layer.out_channels
        for axis in (0, 1):
            last = shape[2 + axis] + 2 * layer.padding[axis] - layer.dilation[axis] * (layer.kernel_size[axis] - 1)
            numbers *= len(range(0, last, layer.stride[axis]))
        met = layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]
    else:
        numbers, out, met = 1, layer.out_features, layer.in_features
        for size in shape[:-1]:
            numbers *= size
    each = met + met + (layer.bias is not None)  # products, sums
    stored = sum(value.numel() for value in layer.state_dict().values())
    return numbers * out * each, number_bytes * (torch.Size(shape).numel() + stored + numbers * out)


def _cases(generator: Generator) -> Iterator[Case]:
    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    def conv(label, into, out, kernel, batch=1, size=(9, 12), number_bytes=4, **how):
        with torch.device("meta"):
            made = nn.Conv2d(into, out, kernel, **how).to_empty(device="cpu")
        shape = (batch, into, *size)
        words = ", ".join(f"{name} {value}" for name, value in how.items())
        return Case(f"{label}: Conv2d({into}, {out}, {kernel}{', ' if words else ''}{words}) on {shape}", (made, shape, number_bytes))

    def linear(label, n, o, *rows, number_bytes=4, bias=True):
        with torch.device("meta"):
            made = nn.Linear(n, o, bias=bias).to_empty(device="cpu")
        return Case(f"{label}: Linear({n}, {o}, bias={bias}) on {(*rows, n)}", (made, (*rows, n), number_bytes))

    yield conv("by hand", 2, 3, 3, size=(4, 5))
    yield conv("drawn", draw(3, 9), draw(3, 9), 3, draw(2, 6), (draw(9, 14), draw(15, 20)), padding=1, bias=False)
    yield conv("stride, a window that is not square", draw(2, 7), draw(3, 9), (3, 5), draw(2, 6), (14, 19), stride=(2, 3), padding=(1, 2))
    yield conv("groups", 12, 8, 3, draw(2, 6), (11, 8), groups=4, padding=1)
    channels = draw(5, 20)
    yield conv("depthwise, int8", channels, channels, 5, draw(2, 6), (17, 13), 1, groups=channels, stride=2, padding=2, bias=False)
    yield conv("one pixel at a time, float16", draw(5, 20), draw(5, 20), 1, draw(2, 6), (7, 9), 2)
    yield conv("dilation", draw(2, 6), draw(2, 6), 3, draw(2, 5), (16, 13), dilation=(2, 3), padding=1)
    yield conv("a window of even sides", draw(2, 6), draw(3, 7), (2, 4), draw(2, 5), (10, 13), padding=1)
    made, shape, _ = conv("", 3, 4, 3, 2).args
    yield Case(f"numbers of 4 bytes unless said otherwise: Conv2d(3, 4, 3) on {shape}", (made, shape))
    yield linear("linear", draw(5, 30), draw(31, 60), draw(2, 9))
    yield linear("linear, tokens, float16", draw(5, 30), draw(31, 60), draw(2, 5), draw(6, 9), number_bytes=2)
    yield linear("linear, no bias, one row, int8", draw(5, 30), draw(5, 30), 1, number_bytes=1, bias=False)


EXERCISES = (
    Exercise(
        name="deploy.flops",
        title="FLOPs and bytes of a layer",
        points=4,
        minutes=25,
        difficulty=1,
        reference=layer_cost,
        cases=_cases,
        compare=close(rtol=0, atol=0, parts=("the FLOPs", "the bytes")),
        alternatives=(_by_running, _by_groups, _by_counting_places),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Start from one number of the output: how many multiply-adds does it take? Then, how many such numbers are there? For the bytes, nothing is multiplied: list the arrays that the layer meets, and add up their sizes.",
            "Conv2d: height and width of the output = (size + 2·padding − dilation·(kernel − 1) − 1) // stride + 1, each with its own of the pairs; output (B, o, height, width); weight (o, C / groups, kh, kw): one number of the output takes C / groups · kh · kw multiply-adds. Linear: output (..., o), weight (o, n): n multiply-adds",
            "output = shape of the output, by kind of layer\noutputs = product of it; each = numbers of the weight / its first dimension\nFLOPs = outputs · 2 · each, and outputs more with a bias\nbytes = number_bytes · (input + weight + bias + output)\nreturn FLOPs, bytes",
        ),
    ),
)
