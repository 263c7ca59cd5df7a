"""Evenly spaced levels: absmax around zero, or a range with a zero point; a scale per tensor, channel or block.

Shape legend: G groups that share a scale, n numbers in each, N numbers in all
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, expected
from breakthrough.quant import grouping
from breakthrough.quant.packing import pack, unpack, width
from breakthrough.quant.quantized import Quantized, check_numbers


@dataclass(frozen=True)
class Affine:
    """Integers times a scale: x ≈ (code − zero) · scale, rounded half to even.

    Symmetric levels are as many below zero as above, and zero needs no storing. Otherwise they span the range of the
    numbers, which always includes 0, so that 0 is one of them. Stored: `codes` (int8 or uint8, of the tensor's shape;
    4 bits and less packed in memory order), `scale` (G,) float32, `zero` (G,) uint8 when not symmetric.

    Shapes: one scale for the tensor, for every place along `axis`, or for every `block` numbers in memory order
    Units:  bits 2 to 8; rounding "nearest", or "random": up or down by a fair coin of `seed`, the control
    Raises: ConfigError for bits, blocks and roundings that there are not, and for an axis and a block together
    """

    kind: ClassVar[str] = "affine"
    bits: int = 8
    symmetric: bool = True
    axis: int | None = None
    block: int | None = None
    rounding: str = "nearest"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ConfigError(expected("2 to 8 bits", self.bits))
        if self.axis is not None and self.block is not None:
            raise ConfigError(expected("an axis or a block", f"axis={self.axis} and block={self.block}"))
        grouping.check_block(self.block)
        grouping.check_rounding(self.rounding)

    @property
    def lowest(self) -> int:
        """The smallest code."""
        return -self.highest if self.symmetric else 0

    @property
    def highest(self) -> int:
        """The largest code."""
        return (1 << (self.bits - 1)) - 1 if self.symmetric else (1 << self.bits) - 1

    def quantize(self, x: Tensor) -> Quantized:
        """A tensor's codes and scales.

        Raises: InputError for NaN, infinities; ShapeError for no elements or no such axis; DtypeError
        """
        groups = self.groups(check_numbers(x.detach()))
        scales = self.scales(groups)
        return self.store(self.encode(groups, scales), scales, tuple(x.shape), x.dtype)

    def dequantize(self, parts: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The numbers that the parts stand for; none beyond what the dtype holds.

        Raises: InputError, ShapeError for parts of another format or shape
        """
        grouping.check_parts(parts, self._shapes(shape))
        codes = parts["codes"]
        if (bits := width(self.bits)) < 8:
            codes = (unpack(codes, math.prod(shape), bits).view(torch.int8) - self._shift).view(shape)
        limit = torch.finfo(dtype).max  # half a step beyond the largest number can be infinite
        return grouping.whole(self.decode(self.groups(codes), parts).clamp_(-limit, limit), shape, self.axis).to(dtype)

    def groups(self, x: Tensor) -> Tensor:
        """The numbers, or codes, that share a scale as rows. Shapes: x → (G, n)."""
        if self.block is not None:
            return grouping.blocks(x, self.block)
        return grouping.channels(x, self.axis) if self.axis is not None else x.reshape(1, -1)

    def scales(self, groups: Tensor) -> dict[str, Tensor]:
        """The scale, and the zero point where there is one, of every group.

        Shapes: groups (G, n) → scale (G,), zero (G,)
        """
        groups = groups.float()
        if self.symmetric:
            return {"scale": groups.abs().amax(1) / self.highest}
        low, high = groups.amin(1).clamp(max=0), groups.amax(1).clamp(min=0)
        scale = high / self.highest - low / self.highest  # not (high − low) / …: that can overflow
        zero = (-low / _no_zeros(scale)).round().clamp(max=self.highest)
        return {"scale": scale, "zero": zero.to(torch.uint8)}

    def encode(self, groups: Tensor, scales: Mapping[str, Tensor]) -> Tensor:
        """The codes of groups whose scales are given.

        Shapes: groups (G, n), scale (G,) → (G, n) int8, uint8 when not symmetric
        """
        scaled = groups.float() / _no_zeros(scales["scale"])[:, None]
        codes = scaled.round() if self.rounding == "nearest" else torch.where(grouping.coins(scaled, self.seed), scaled.ceil(), scaled.floor())
        if self.symmetric:
            return codes.clamp_(self.lowest, self.highest).to(torch.int8)
        return codes.add_(scales["zero"][:, None]).clamp_(self.lowest, self.highest).to(torch.uint8)

    def decode(self, codes: Tensor, scales: Mapping[str, Tensor]) -> Tensor:
        """The numbers that codes stand for. Shapes: codes (G, n), scale (G,) → (G, n) float32."""
        codes = codes.float()
        if not self.symmetric:
            codes = codes - scales["zero"][:, None]
        return codes * scales["scale"][:, None]

    def store(self, codes: Tensor, scales: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Quantized:
        """Codes and scales, however they were found, as what is stored. Shapes: codes (G, n)."""
        codes = grouping.whole(codes, shape, self.axis)
        if (bits := width(self.bits)) < 8:
            codes = pack((codes.flatten().to(torch.int8) + self._shift).view(torch.uint8), bits)
        return Quantized(self, {"codes": codes, **scales}, shape, dtype)

    def _shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """What each part's shape is for a tensor's."""
        size, bits = math.prod(shape), width(self.bits)
        groups = -(-size // self.block) if self.block else shape[self.axis] if self.axis is not None else 1
        codes = {"codes": tuple(shape) if bits == 8 else (-(-size * bits // 8),), "scale": (groups,)}
        return codes if self.symmetric else {**codes, "zero": (groups,)}

    @property
    def _shift(self) -> int:
        """What makes the codes of a packed format non-negative."""
        return 1 << (self.bits - 1) if self.symmetric else 0


def is_int8_by_row(format: object) -> bool:
    """Whether a format is int8 codes around zero with a scale for each row: what integer kernels multiply."""
    return isinstance(format, Affine) and format.bits == 8 and format.symmetric and format.axis == 0


def _no_zeros(scale: Tensor) -> Tensor:
    """A group of zeros, or of numbers too small for a scale, is divided by 1: its codes are 0."""
    return torch.where(scale == 0, 1.0, scale)
