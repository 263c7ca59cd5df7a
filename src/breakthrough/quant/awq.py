"""AWQ: inputs that are large get finer weights, by scaling columns up before rounding and down after.

Shape legend: G separate weights in one tensor, N outputs, K inputs (columns).

W x = (W s)(x / s) for any scale s of the inputs. A column that is scaled up takes part in its block's range
with more of it, so its relative error falls; the others' rises with the range. Which columns deserve it is
seen in the inputs, not in the weight: s = (mean |x|)^α, and α is searched for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from breakthrough.errors import unknown
from breakthrough.quant.affine import Affine
from breakthrough.quant.blockwise import Blockwise
from breakthrough.quant.grid import check_levelled
from breakthrough.quant.hessian import Hessian
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.quantized import Format, Quantized, check_numbers

STEPS = 16  # of a scale to the octave
INPUTS = "inputs"
FORMATS = {one.kind: one for one in (Affine, Blockwise, FourBit)}
POWERS = tuple(step / 20 for step in range(21))


@dataclass(frozen=True)
class Scaled:
    """Another format for the weight times a scale of each input, which is divided out again.

    Stored: the other format's parts and `inputs` (G, K) int8, the scales' binary logarithms in sixteenths.
    The scale stays with the weight, so nothing before it in a model has to change.

    Shapes: inputs run along `axis` of the weight, as `Hessian.axis` says
    Units:  `of` is the other format's kind; with it that format's fields alone, read from a file, will do
    Raises: UnknownNameError for another kind
    Source: Lin et al. 2024, arXiv 2306.00978
    """

    kind: ClassVar[str] = "scaled"
    format: Format
    axis: int = -1
    of: str = ""

    def __post_init__(self) -> None:
        """Make the other format from its fields, where they are all that there is."""
        of = self.of or self.format.kind
        if of not in FORMATS:
            raise unknown("format", of, FORMATS)
        object.__setattr__(self, "of", of)
        if isinstance(self.format, Mapping):
            object.__setattr__(self, "format", FORMATS[of](**self.format))

    @property
    def bits(self) -> int:
        """The bits of one code."""
        return self.format.bits

    def quantize(self, x: Tensor) -> Quantized:
        """A tensor's parts with scales of 1, as without any; `awq` finds better ones.

        Raises: InputError, ShapeError, DtypeError as the other format
        """
        width = x.shape[1:].numel() if self.axis == 1 else x.shape[self.axis]
        return self.quantize_scaled(x, torch.zeros(1, width, dtype=torch.int8, device=x.device))

    def quantize_scaled(self, x: Tensor, inputs: Tensor) -> Quantized:
        """A tensor's parts for given scales. Shapes: inputs (G, K) int8."""
        layout = self._layout(inputs)
        scaled = layout.restore(layout.rows(x.float()) * scales_of(inputs)[:, None], tuple(x.shape))
        parts = self.format.quantize(scaled.contiguous()).parts
        return Quantized(self, {**parts, INPUTS: inputs}, tuple(x.shape), x.dtype)

    def dequantize(self, parts: Mapping[str, Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The numbers that the parts stand for."""
        own = {name: part for name, part in parts.items() if name != INPUTS}
        layout = self._layout(parts[INPUTS])
        rows = layout.rows(self.format.dequantize(own, shape, torch.float32))
        return layout.restore(rows / scales_of(parts[INPUTS])[:, None], shape).to(dtype)

    def _layout(self, inputs: Tensor) -> Hessian:
        empty = inputs.new_empty(0)
        return Hessian(empty, inputs, empty, self.axis)


def scales_of(inputs: Tensor) -> Tensor:
    """The scales that are stored. Shapes: (G, K) int8 → (G, K) float32."""
    return torch.exp2(inputs.float() / STEPS)


def awq(weight: Tensor, hessian: Hessian, format: Format) -> Quantized:
    """A weight in a format, its columns scaled by their inputs: never further off on those seen than without.

    For every one of the separate weights the power of mean |x| is taken that leaves the smallest error in
    the output; power 0 is plain rounding.

    Shapes: weight (…) with its inputs along `hessian.axis` → Quantized in the format `Scaled`
    Raises: ShapeError when the statistics are of another weight; ConfigError for a format without levels
    Source: Lin et al. 2024, arXiv 2306.00978
    """
    check_levelled(format)
    w, scaled = check_numbers(weight).detach(), Scaled(format, hessian.axis)
    none = torch.zeros_like(hessian.magnitude, dtype=torch.int8)
    best, least = none, _errors(w, scaled.quantize_scaled(w, none), hessian)
    for power in POWERS[1:]:
        inputs = _logarithms(hessian.magnitude, power)
        errors = _errors(w, scaled.quantize_scaled(w, inputs), hessian)  # (G,)
        better = errors < least
        best, least = torch.where(better[:, None], inputs, best), torch.where(better, errors, least)
    return _better(w, hessian, scaled.quantize_scaled(w, best), scaled.quantize_scaled(w, none))


def _logarithms(magnitude: Tensor, power: float) -> Tensor:
    """The scales magnitude^power around 1, as they are stored; 1 for inputs that never came."""
    came = magnitude > 0
    logs = torch.where(came, magnitude, 1.0).log2() * power * STEPS  # (G, K)
    middle = (logs * came).sum(-1, keepdim=True) / came.sum(-1, keepdim=True).clamp(min=1)
    return torch.where(came, logs - middle, 0.0).round().clamp(-127, 127).to(torch.int8)


def _errors(w: Tensor, stored: Quantized, hessian: Hessian) -> Tensor:
    difference = hessian.rows(w.float()) - hessian.rows(stored.dequantize(torch.float32))
    return hessian.row_errors(difference).sum(-1)  # (G,)


def _better(w: Tensor, hessian: Hessian, new: Quantized, plain: Quantized) -> Quantized:
    # chosen weight by weight, but a block or a scale of scales may span two: rounding remains the floor
    return new if _errors(w, new, hessian).sum() <= _errors(w, plain, hessian).sum() else plain
