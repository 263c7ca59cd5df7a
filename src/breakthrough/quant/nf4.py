"""Four bits a number: NF4's levels from the quantiles of a normal distribution, FP4's from the bits of a tiny float.

Shape legend: G blocks, B numbers in each, N numbers in all
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from breakthrough.errors import unknown
from breakthrough.quant import grouping
from breakthrough.quant.blockwise import Blockwise
from breakthrough.quant.bnb import FOUR_BIT_BLOCKS, kernels
from breakthrough.quant.codebook import check_levels, coin_tossed, nearest
from breakthrough.quant.packing import pack, unpack
from breakthrough.quant.quantized import Quantized, check_numbers

OUTERMOST = 0.9677083  # the probability below the largest level: half of 1/30 and half of 1/32 are left beyond
SMALLEST = 1e-38  # no block is divided by less
NESTED = Blockwise(block=256)


def nf4_levels() -> Tensor:
    """Sixteen quantiles of a normal distribution: 7 below zero, zero, 8 above, the outermost scaled to −1 and 1.

    Even steps of probability from the outermost inwards to ½, one more on the positive side, so that zero is a level.

    Shapes: → (16,) float32, ascending
    Source: Dettmers et al. 2023, QLoRA, section 3
    """
    above = torch.special.ndtri(torch.linspace(OUTERMOST, 0.5, 9)[:-1].double())
    below = -torch.special.ndtri(torch.linspace(OUTERMOST, 0.5, 8)[:-1].double())
    levels = torch.cat([below, torch.zeros(1), above.flip(0)]).float()
    return levels / levels.max()


def fp4_levels() -> Tensor:
    """The numbers of a 4-bit float by their codes: sign, two bits of exponent, one of fraction, over the largest, 12.

    Shapes: → (16,) float32, in the order of codes, not of size
    """
    return torch.tensor([_fp4(code >> 3, code >> 1 & 3, code & 1) for code in range(16)]) / 12


def _fp4(sign: int, exponent: int, fraction: int) -> float:
    magnitude = (1 + fraction / 2) * 2 ** (4 - exponent) if exponent else fraction / 16
    return -magnitude if sign else magnitude


LEVELS = {"nf4": nf4_levels, "fp4": fp4_levels}


@cache
def _levels(name: str, own: tuple[float, ...], device: torch.device) -> Tensor:
    return (torch.tensor(own) if own else LEVELS[name]()).to(device)


@dataclass(frozen=True)
class FourBit:
    """Two 4-bit codes a byte, scaled by the absmax of every block of numbers in memory order.

    Stored: `codes` (⌈N / 2⌉,) uint8 and `absmax` (G,) float32; with double quantization `absmax` (G,) uint8,
    what the absmax are above their mean in the signed dynamic code, `absmax_scale` (⌈G / 256⌉,) and `absmax_mean` (1,)
    float32. Codes equal bitsandbytes' on the tensor's device.

    Units:  code "nf4" or "fp4", or `levels`: 16 ascending numbers in [−1, 1] of one's own; rounding "nearest", or
            "random": up or down by a fair coin of `seed`, the control
    Raises: UnknownNameError, ConfigError for codes, blocks, roundings and levels that there are not
    Source: Dettmers et al. 2023, QLoRA, section 3
    """

    kind: ClassVar[str] = "four_bit"
    bits: ClassVar[int] = 4
    code: str = "nf4"
    block: int = 64
    double: bool = True
    levels: tuple[float, ...] = ()
    rounding: str = "nearest"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.code not in LEVELS:
            raise unknown("4-bit code", str(self.code), LEVELS)
        grouping.check_block(self.block)
        grouping.check_rounding(self.rounding)
        object.__setattr__(self, "levels", check_levels(self.levels, 16))

    def codebook(self, device: torch.device | str = "cpu") -> Tensor:
        """The number that each code stands for. Shapes: → (16,) float32."""
        return _levels(self.code, self.levels, torch.device(device))

    def quantize(self, x: Tensor) -> Quantized:
        """A tensor's codes and scales.

        Raises: InputError for NaN, infinities; ShapeError for no elements; DtypeError
        """
        x = check_numbers(x.detach())
        if x.is_cuda and self.rounding == "nearest" and (fast := self._kernels(x.device)):
            packed, absmax = fast.quantize_4bit.default(x.contiguous(), self.block, self.code, torch.uint8)
            return Quantized(self, {"codes": packed.view(-1), **self._nested(absmax)}, tuple(x.shape), x.dtype)
        groups = self.groups(x)
        scales = self.scales(groups)
        ragged = x.numel() % self.block
        if ragged:  # bitsandbytes keeps a tail's absmax from zero, and divides by it
            scales["absmax"][-1].clamp_(min=SMALLEST)
        return self.store(self._encode(groups, scales, bool(ragged)), scales, tuple(x.shape), x.dtype)

    def dequantize(self, parts: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The numbers that the parts stand for.

        Raises: InputError, ShapeError for parts of another format or shape
        """
        grouping.check_parts(parts, self._shapes(count := math.prod(shape)))
        packed, absmax = parts["codes"], self.absmax(parts)
        if count % 2 == 0 and (fast := self._kernels(packed.device)):
            if len(shape) > 1 and shape[-1] % self.block == 0:
                return fast.dequantize_4bit.default(packed, absmax, self.block, self.code, shape, dtype)
            # in one row: for rows that are no whole blocks the CPU's kernel takes the scales of wrong blocks
            return fast.dequantize_4bit.default(packed, absmax, self.block, self.code, (count,), dtype).view(shape)
        codes = self.groups(unpack(packed, count))
        return grouping.whole(self.decode(codes, {"absmax": absmax}), shape).to(dtype)

    def absmax(self, parts: Mapping[str, Tensor]) -> Tensor:
        """The scale of every block as it is used: after double quantization, nearly what it was. Shapes: → (G,)."""
        if not self.double:
            return parts["absmax"]
        nested = {"codes": parts["absmax"], "absmax": parts["absmax_scale"]}
        return NESTED.numbers(nested, parts["absmax"].shape, torch.float32).add_(parts["absmax_mean"])

    def groups(self, x: Tensor) -> Tensor:
        """The numbers, or codes, that share an absmax as rows. Shapes: x → (G, B)."""
        return grouping.blocks(x, self.block)

    def scales(self, groups: Tensor) -> dict[str, Tensor]:
        """The absmax of every block. Shapes: groups (G, B) → absmax (G,)."""
        return {"absmax": groups.float().abs().amax(1)}

    def encode(self, groups: Tensor, scales: Mapping[str, Tensor]) -> Tensor:
        """The codes of blocks whose absmax is given. Shapes: groups (G, B), absmax (G,) → (G, B) uint8."""
        return self._encode(groups, scales, False)

    def _encode(self, groups: Tensor, scales: Mapping[str, Tensor], ragged: bool) -> Tensor:
        absmax = scales["absmax"].clamp(min=SMALLEST)
        scaled = groups.float() * (1 / absmax)[:, None]
        if ragged:
            scaled[-1] = groups[-1].float() / absmax[-1]
        levels, order = self.codebook(groups.device).sort(stable=True)
        places = nearest(scaled, levels) if self.rounding == "nearest" else coin_tossed(scaled, levels, self.seed)
        return places if self.levels or self.code == "nf4" else order.to(torch.uint8)[places.int()]

    def decode(self, codes: Tensor, scales: Mapping[str, Tensor]) -> Tensor:
        """The numbers that codes stand for. Shapes: codes (G, B), absmax (G,) → (G, B) float32."""
        return self.codebook(codes.device)[codes.int()] * scales["absmax"][:, None]

    def store(self, codes: Tensor, scales: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Quantized:
        """Codes and absmax, however they were found, as what is stored. Shapes: codes (G, B)."""
        flat = grouping.whole(codes, (math.prod(shape),))
        fill = int(self.encode(codes.new_zeros(1, 1), {"absmax": scales["absmax"][:1]})) if len(flat) % 2 else 0  # a zero's code
        return Quantized(self, {"codes": pack(flat, 4, fill), **self._nested(scales["absmax"])}, shape, dtype)

    def _shapes(self, count: int) -> dict[str, tuple[int, ...]]:
        """What each part's shape is for so many numbers."""
        groups = -(-count // self.block)
        found: dict[str, tuple[int, ...]] = {"codes": (-(-count // 2),), "absmax": (groups,)}
        return {**found, "absmax_scale": (-(-groups // NESTED.block),), "absmax_mean": (1,)} if self.double else found

    def _nested(self, absmax: Tensor) -> dict[str, Tensor]:
        if not self.double:
            return {"absmax": absmax}
        mean = absmax.mean()
        parts = NESTED.quantize(absmax - mean).parts
        return {"absmax": parts["codes"], "absmax_scale": parts["absmax"], "absmax_mean": mean.reshape(1)}

    def _kernels(self, device: torch.device) -> Any | None:
        compiles = device.type == "cpu" and self.block > 1024  # there bitsandbytes builds a program first, for seconds
        return None if self.levels or self.block not in FOUR_BIT_BLOCKS or compiles else kernels(device)
