"""Eight bits with a dynamic exponent: the code in which bitsandbytes keeps optimizer states, and scales of scales.

Shape legend: G blocks, B numbers in each
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, InputError, expected
from breakthrough.quant import grouping
from breakthrough.quant.bnb import kernels
from breakthrough.quant.codebook import check_levels, coin_tossed, looked_up, nearest
from breakthrough.quant.quantized import Quantized, check_numbers

SEARCHES = ("device", "nearest", "table")
DECADES = 7


def dynamic_code(signed: bool = True) -> Tensor:
    """256 levels in [−1, 1], denser towards zero: each decade down has half the levels of the one above.

    The middles of 64 (128 unsigned) even steps in [0.1, 1], of 32 in [0.01, 0.1], … down to one step, on both sides
    of zero when signed; then 0 and 1.

    Shapes: → (256,) float32, ascending
    Source: Dettmers 2016, 8-Bit Approximations for Parallelism in Deep Learning
    """
    halves = []
    for place in range(DECADES):
        edges = torch.linspace(0.1, 1, 2**place * (1 if signed else 2) + 1)
        halves.append(10 ** (place - DECADES + 1) * (edges[:-1] + edges[1:]) / 2)
    half = torch.cat(halves)
    return torch.cat([-half, half, torch.tensor([0.0, 1.0])] if signed else [half, torch.tensor([0.0, 1.0])]).sort().values


@cache
def _code(signed: bool, levels: tuple[float, ...], device: torch.device) -> Tensor:
    """The levels on a device, one tensor for all: bitsandbytes knows its table of a code by the code's address."""
    return (torch.tensor(levels) if levels else dynamic_code(signed)).to(device)


@dataclass(frozen=True)
class Blockwise:
    """8-bit codes of a codebook, scaled by the absmax of every block of numbers in memory order.

    Stored: `codes` (uint8, of the tensor's shape), `absmax` (G,) float32. The search for a level is "nearest", to the
    last bit; "table", 65,536 even steps, as bitsandbytes does on a CPU; or "device", whichever it does on the
    tensor's device, by itself where it is installed.

    Units:  `levels` 256 ascending numbers in [−1, 1] instead of the dynamic code; rounding "nearest", or "random":
            up or down by a fair coin of `seed`, the control
    Raises: ConfigError for blocks, searches, roundings and levels that there are not
    """

    kind: ClassVar[str] = "blockwise"
    bits: ClassVar[int] = 8
    block: int = 256
    signed: bool = True
    search: str = "device"
    levels: tuple[float, ...] = ()
    rounding: str = "nearest"
    seed: int = 0

    def __post_init__(self) -> None:
        grouping.check_block(self.block)
        grouping.check_rounding(self.rounding)
        object.__setattr__(self, "levels", check_levels(self.levels, 256))
        if self.search not in SEARCHES:
            raise ConfigError(expected(f"a search out of {', '.join(SEARCHES)}", repr(self.search)))

    def code(self, device: torch.device | str = "cpu") -> Tensor:
        """The levels. Shapes: → (256,) float32, ascending."""
        return _code(self.signed, self.levels, torch.device(device))

    def quantize(self, x: Tensor) -> Quantized:
        """A tensor's codes and absmax.

        Raises: InputError for NaN, infinities, and for negative numbers when unsigned; ShapeError; DtypeError
        """
        x = check_numbers(x.detach())
        if not self.signed and (x < 0).any():
            raise InputError(expected("numbers of 0 and above for an unsigned code", f"{float(x.min()):.4g}", "signed=True"))
        if (fast := self._kernels(x.device)) and self.search == "device" and self.rounding == "nearest":
            codes, absmax = fast.quantize_blockwise.default(x.contiguous(), self.code(x.device), self.block)
            return Quantized(self, {"codes": codes, "absmax": absmax}, tuple(x.shape), x.dtype)
        groups = self.groups(x)
        scales = self.scales(groups)
        return self.store(self.encode(groups, scales), scales, tuple(x.shape), x.dtype)

    def dequantize(self, parts: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The numbers that the parts stand for.

        Raises: InputError, ShapeError for parts of another format or shape
        """
        grouping.check_parts(parts, {"codes": tuple(shape), "absmax": (-(-math.prod(shape) // self.block),)})
        return self.numbers(parts, shape, dtype)

    def numbers(self, parts: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """What `dequantize` gives, for parts that were looked at before."""
        codes = parts["codes"]
        if fast := self._kernels(codes.device):
            return fast.dequantize_blockwise.default(codes, parts["absmax"], self.code(codes.device), self.block, dtype)
        return grouping.whole(self.decode(self.groups(codes), parts), shape).to(dtype)

    def groups(self, x: Tensor) -> Tensor:
        """The numbers, or codes, that share an absmax as rows. Shapes: x → (G, B)."""
        return grouping.blocks(x, self.block)

    def scales(self, groups: Tensor) -> dict[str, Tensor]:
        """The absmax of every block. Shapes: groups (G, B) → absmax (G,)."""
        return {"absmax": groups.float().abs().amax(1)}

    def encode(self, groups: Tensor, scales: Mapping[str, Tensor]) -> Tensor:
        """The codes of blocks whose absmax is given. Shapes: groups (G, B), absmax (G,) → (G, B) uint8."""
        absmax, code = scales["absmax"], self.code(groups.device)
        scaled = groups.float() * (1 / absmax)[:, None]
        if self.rounding == "random":
            return coin_tossed(scaled.nan_to_num(0), code, self.seed)
        if self.search == "table" or (self.search == "device" and groups.device.type == "cpu"):
            return torch.where(absmax[:, None] == 0, 0, looked_up(scaled, code)).to(torch.uint8)
        return nearest(scaled.nan_to_num(0), code)

    def decode(self, codes: Tensor, scales: Mapping[str, Tensor]) -> Tensor:
        """The numbers that codes stand for. Shapes: codes (G, B), absmax (G,) → (G, B) float32."""
        return self.code(codes.device)[codes.int()] * scales["absmax"][:, None]

    def store(self, codes: Tensor, scales: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Quantized:
        """Codes and absmax, however they were found, as what is stored. Shapes: codes (G, B)."""
        return Quantized(self, {"codes": grouping.whole(codes, shape), **scales}, shape, dtype)

    def _kernels(self, device: torch.device) -> Any | None:
        return None if self.levels else kernels(device)
