"""Numbers that share a scale, laid out as rows: the whole tensor, a channel, or a block of neighbours.

Shape legend: G groups, n numbers in each, N numbers in all
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, InputError, ShapeError, expected

ROUNDINGS = ("nearest", "random")


def blocks(x: Tensor, block: int) -> Tensor:
    """Runs of `block` numbers in memory order, the last one completed with zeros, which change no absmax and no range.

    Shapes: x of any shape → (⌈N / block⌉, block)
    """
    flat = x.reshape(-1)
    return torch.nn.functional.pad(flat, (0, -len(flat) % block)).view(-1, block)


def channels(x: Tensor, axis: int) -> Tensor:
    """A row for every place along an axis.

    Shapes: x (…, C, …) → (C, N / C)
    Raises: ShapeError when the tensor has no such axis
    """
    if not -x.dim() <= axis < x.dim():
        raise ShapeError(expected(f"a tensor with an axis {axis}", f"shape {tuple(x.shape)}", "axis=0, or a scale for the whole tensor"))
    return x.movedim(axis, 0).flatten(1) if x.dim() > 1 else x.reshape(-1, 1)


def whole(rows: Tensor, shape: tuple[int, ...], axis: int | None = None) -> Tensor:
    """The tensor that `blocks` or, given its axis, `channels` laid out."""
    if axis is None:
        flat, size = rows.reshape(-1), math.prod(shape)
        return (flat if len(flat) == size else flat[:size].clone()).view(shape)
    moved = [shape[axis], *(size for place, size in enumerate(shape) if place != axis % len(shape))]
    return rows.reshape(moved).movedim(0, axis).contiguous()


def check_block(block: int | None) -> None:
    """Refuse a block that holds nothing.

    Raises: ConfigError
    """
    if block is not None and block < 1:
        raise ConfigError(expected("a block of at least 1 number", block, "64"))


def check_rounding(rounding: str) -> None:
    """Refuse a way of rounding that there is not.

    Raises: ConfigError
    """
    if rounding not in ROUNDINGS:
        raise ConfigError(expected(f"rounding out of {', '.join(ROUNDINGS)}", repr(rounding)))


def coins(like: Tensor, seed: int) -> Tensor:
    """A fair coin for every number, the same on every device.

    Shapes: the tensor's → bool
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, like.shape, generator=generator, dtype=torch.uint8).bool().to(like.device)


def check_parts(parts: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse parts that are not those of a format and a shape.

    Raises: InputError for other names; ShapeError for other shapes
    """
    if parts.keys() != shapes.keys():
        raise InputError(expected(f"the parts {', '.join(shapes)}", ", ".join(parts) or "none", "the format that stored them"))
    for name, shape in shapes.items():
        if parts[name].shape != shape:
            raise ShapeError(expected(f"{name} of shape {shape}", tuple(parts[name].shape), "the shape that was stored"))

