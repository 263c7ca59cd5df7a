"""Module 5: wrong counts of FLOPs and bytes, for deploy.flops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

from torch import nn

from breakthrough.exercises.exercise import Misconception

Count = Callable[..., Any]


def _places(layer: Any, shape: tuple[int, ...], padding: bool = True, stride: bool = True, dilation: bool = True, up: bool = False) -> tuple[int, ...]:
    """The output's shape; what is False is left out, and `up` rounds upwards."""
    if isinstance(layer, nn.Linear):
        return (*shape[:-1], layer.out_features)
    sizes = []
    for i, size in enumerate(shape[2:]):
        room = size + (2 * layer.padding[i] if padding else 0)
        reach = (layer.dilation[i] if dilation else 1) * (layer.kernel_size[i] - 1) + 1
        step = layer.stride[i] if stride else 1
        sizes.append(-(-(room - reach) // step) + 1 if up else (room - reach) // step + 1)
    return (shape[0], layer.out_channels, *sizes)


def _as_the_input(layer, shape):
    return (*shape[:-1], layer.out_features) if isinstance(layer, nn.Linear) else (shape[0], layer.out_channels, *shape[2:])


def _padded_once(layer, shape):
    linear = isinstance(layer, nn.Linear)
    return _places(layer, shape if linear else (*shape[:2], *(size - p for size, p in zip(shape[2:], layer.padding))))


def _moves(layer, shape):
    made = _places(layer, shape)
    return made if isinstance(layer, nn.Linear) else (*made[:2], *(size - 1 for size in made[2:]))


def _without(**what: bool) -> Count:
    return lambda layer, shape: _places(layer, shape, **what)


def _one(layer, shape):
    """The output of a single picture, or of a single row."""
    return (1, *_places(layer, shape)[1:])


def _one_picture(layer, shape):
    return _places(layer, shape) if isinstance(layer, nn.Linear) else _one(layer, shape)


def _two_dimensions(layer, shape):
    return (shape[0], layer.out_features) if isinstance(layer, nn.Linear) else _places(layer, shape)


def _each(layer):
    return layer.weight.numel() // len(layer.weight)


def _ungrouped(layer):
    return layer.weight.numel() // len(layer.weight) * getattr(layer, "groups", 1)


def _square(layer):
    return _each(layer) if isinstance(layer, nn.Linear) else _each(layer) // math.prod(layer.kernel_size) * layer.kernel_size[0] ** 2


def _window_once(layer):
    return _each(layer) if isinstance(layer, nn.Linear) else layer.in_channels // layer.groups


def _one_channel(layer):
    return _each(layer) if isinstance(layer, nn.Linear) else math.prod(layer.kernel_size)


def _all_weights(layer):
    return layer.weight.numel()


def _weights(layer):
    return layer.weight.numel()


def _biases(layer):
    return 0 if layer.bias is None else layer.bias.numel()


def _full(layer):
    return layer.weight.numel() * getattr(layer, "groups", 1)


def _has_bias(layer):
    return layer.bias is not None


def _wrong(
    out: Count = _places, moved_out: Count | None = None, each: Count = _each, weights: Count = _weights, biases: Count = _biases,
    bias: Count = _has_bias, add: int = 2, bias_add: int = 1, inputs: Count = lambda layer, shape, outputs: math.prod(shape),
    outputs: int = 1, copies: bool = False, size: Count = lambda number_bytes: number_bytes,
) -> Count:  # fmt: skip
    """A count that differs in what is given."""

    def answer(layer, shape, number_bytes=4):
        made = math.prod(out(layer, shape))
        written = math.prod((moved_out or out)(layer, shape)) * outputs
        flops = made * (add * each(layer) + bias_add * bool(bias(layer)))
        held = (weights(layer) + biases(layer)) * (shape[0] if copies else 1)
        return int(flops), int(size(number_bytes) * (inputs(layer, shape, made) + held + written))

    return answer


def _once_a_channel(layer, shape, number_bytes=4):
    flops, moved = _wrong(bias=_no_bias)(layer, shape, number_bytes)
    return flops + _biases(layer), moved


def _ways(*parts: dict[str, Any]) -> dict[str, Any]:
    ways = [_wrong(**part) for part in parts]
    return {"answer": ways[0], "variants": tuple(ways[1:])}


def _right_flops(**parts: Any) -> Count:
    """The FLOPs as they should be, whatever else is wrong."""
    right, wrong = _wrong(), _wrong(**parts)
    return lambda layer, shape, number_bytes=4: (right(layer, shape, number_bytes)[0], wrong(layer, shape, number_bytes)[1])


def _shapes(*outs: Count) -> dict[str, Any]:
    """An output of another size: in both counts, in the FLOPs alone, in the bytes alone."""
    parts = [_wrong(out=out) for out in outs] + [_wrong(out=out, moved_out=_places) for out in outs]
    parts += [_right_flops(out=out) for out in outs]
    return {"answer": parts[0], "variants": tuple(parts[1:])}


def _no_bias(layer):
    return 0


def _a_bias(layer):
    return len(layer.weight)


MISCONCEPTIONS = (
    Misconception(
        "multiply-adds",
        says="These are multiply-adds: each is a multiplication and an addition, so 2 FLOPs.",
        **_ways({"add": 1}, {"add": 1, "bias": _no_bias}, {"add": 1, "bias": _no_bias, "biases": _no_bias}),
    ),
    Misconception(
        "size of the input",
        says="The output was taken to be as high and wide as the input: with stride 2 it is half of that, and without padding the edges are lost.",
        **_shapes(_as_the_input),
    ),
    Misconception(
        "padding forgotten",
        says="The padding is missing in the output's size: it adds to both sides, size + 2 · padding.",
        **_shapes(_without(padding=False)),
    ),
    Misconception(
        "padding on one side",
        says="The padding was added once: it stands on both sides, size + 2 · padding.",
        **_shapes(_padded_once),
    ),
    Misconception(
        "one place too few",
        says="The first window is missing in the output's size: (size + 2 · padding − reach) // stride is how often it moves on, so there is one place more.",
        **_shapes(_moves),
    ),
    Misconception("the two exchanged", lambda *args: _wrong()(*args)[::-1], "FLOPs and bytes are exchanged: FLOPs come first."),
    Misconception(
        "stride forgotten",
        says="The stride is missing in the output's size: windows that far apart are fewer.",
        **_shapes(_without(stride=False), _without(stride=False, padding=False)),
    ),
    Misconception(
        "dilation forgotten",
        says="The dilation is missing in the output's size: a window of k that is spread by d reaches over d · (k − 1) + 1 numbers.",
        **_shapes(_without(dilation=False)),
    ),
    Misconception(
        "rounded up",
        says="A window that does not fit whole was counted: the output's size is rounded down, with //.",
        **_shapes(_without(up=True)),
    ),
    Misconception(
        "groups forgotten",
        says="The groups are missing: an output channel sees the C / groups input channels of its own group, so its weight has that many.",
        **_ways({"each": _ungrouped}, {"each": _ungrouped, "weights": _full}, {"weights": _full}),
    ),
    Misconception(
        "a square window",
        says="The window was taken to be square: kernel_size has a height and a width, which may differ.",
        **_ways({"each": _square}),
    ),
    Misconception(
        "one number of the window",
        says="The window is missing: each number of the output takes a multiply-add for every number in its window, kh · kw of them in each channel.",
        **_ways({"each": _window_once}),
    ),
    Misconception(
        "one channel",
        says="The input's channels are missing: a window goes through all C / groups of them.",
        **_ways({"each": _one_channel}),
    ),
    Misconception(
        "weights times outputs",
        says="All weights were multiplied with every number of the output: a number of the output meets those of its own channel only.",
        **_ways({"each": _all_weights}),
    ),
    Misconception(
        "bias forgotten",
        says="The bias is missing: where there is one it is an addition for every number of the output, and it is moved as well.",
        **_ways(
            *({"bias": b, "biases": n} for b, n in itertools.product((_no_bias, _has_bias), (_no_bias, _biases)) if (b, n) != (_has_bias, _biases)),
        ),
    ),
    Misconception(
        "a bias that is not there",
        says="A bias was counted where the layer has none: layer.bias is None then.",
        **_ways({"bias": _a_bias, "biases": _a_bias}, {"bias": _a_bias}, {"biases": _a_bias}, {"biases": lambda layer: layer.bias.numel()}),
    ),
    Misconception(
        "a bias for two",
        says="The bias counts as 2: it is an addition without a multiplication, so 1 for each number of the output.",
        **_ways({"bias_add": 2}),
    ),
    Misconception(
        "a bias for each channel",
        _once_a_channel,
        "The bias was added once for each channel: it is added to every number of the output.",
    ),
    Misconception(
        "batch forgotten",
        says="That is for one picture, or one row: the FLOPs, the input and the output grow with the batch (the weights do not).",
        **_ways(
            {"out": _one, "inputs": lambda layer, shape, made: math.prod(shape[1:])},
            {"out": _one, "moved_out": _places},
            {"out": _one},
            {"out": _one_picture, "moved_out": _places},
            {"out": _one_picture},
        ),
    ),
    Misconception(
        "two dimensions only",
        says="A linear layer's input may have more than two dimensions: every one but the last is a row's, so multiply them all.",
        answer=_wrong(out=_two_dimensions),
        variants=(_wrong(out=_two_dimensions, moved_out=_places), _wrong(out=_two_dimensions, inputs=lambda layer, shape, made: shape[0] * shape[1] * (math.prod(shape[2:]) if len(shape) == 4 else 1))),
    ),
    Misconception(
        "weights for every picture",
        says="The weights were counted once for every picture: they are loaded once and serve the whole batch, which is why batching pays.",
        **_ways({"copies": True}),
    ),
    Misconception(
        "numbers for bytes",
        says="These are numbers, not bytes: each takes number_bytes.",
        **_ways({"size": lambda number_bytes: 1}),
    ),
    Misconception(
        "bits",
        says="Those are bits: a byte has eight of them, and number_bytes is in bytes already.",
        **_ways({"size": lambda number_bytes: 8 * number_bytes}),
    ),
    Misconception(
        "always four bytes",
        says="Each number was given 4 bytes: number_bytes says how many they are, 1 for int8.",
        **_ways({"size": lambda number_bytes: 4}),
    ),
    Misconception(
        "output not moved",
        says="The output is missing in the bytes: it has to be written.",
        **_ways({"outputs": 0}),
    ),
    Misconception(
        "input not moved",
        says="The input is missing in the bytes: it has to be read.",
        **_ways({"inputs": lambda layer, shape, made: 0}),
    ),
    Misconception(
        "weights not moved",
        says="The weights are missing in the bytes: they are read too, and at batch 1 they are most of it in a linear layer.",
        **_ways({"weights": _no_bias}, {"weights": _no_bias, "biases": _no_bias}),
    ),
    Misconception(
        "input for every window",
        says="The input was counted anew for every window it is in: at the least each of its numbers is read once, and is at hand from then on.",
        **_ways({"inputs": lambda layer, shape, made: made * _each(layer)}, {"inputs": lambda layer, shape, made: made // len(layer.weight) * _each(layer)}),
    ),
)
