"""Weights whose codes are chosen with the inputs that they see: GPTQ's and AWQ's part in `apply`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from breakthrough.errors import InputError, expected
from breakthrough.quant.calibrate import METHODS
from breakthrough.quant.hessian import Hessian, collect as collect_inputs
from breakthrough.quant.quantized import Format, Quantized
from breakthrough.quant.schemes import Scheme
from breakthrough.quant.weights import Layout


def collect(model: nn.Module, scheme: Scheme, names: list[str], batches: Iterable[Any] | None) -> dict[str, Hessian]:
    """The inputs of every weight that is to be quantized.

    Raises: InputError without batches
    """
    if batches is None:
        what = f"batches to calibrate {scheme.name!r} with"
        raise InputError(expected(what, "none", "quantize(model, scheme, batches), batches what the model is called with"))
    return collect_inputs(model, batches, names)


def quantize(weight: Tensor, layout: Layout, hessian: Hessian, scheme: Scheme, format: Format) -> Quantized:
    """A weight in the scheme's calibrated format, its inputs last."""
    turned = replace(hessian, axis=-1) if layout.swapped else hessian
    return METHODS[scheme.calibration](layout.rows(weight), turned.to(weight.device), format)
