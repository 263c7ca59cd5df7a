"""Weights whose codes are chosen with the inputs that they see: GPTQ's and AWQ's part in `apply`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typing import TYPE_CHECKING

from torch import Tensor, nn

from breakthrough.errors import InputError, expected
from breakthrough.quant.quantized import Format, Quantized
from breakthrough.quant.schemes import Scheme

if TYPE_CHECKING:
    from breakthrough.quant.hessian import Hessian


def collect(model: nn.Module, scheme: Scheme, names: list[str], batches: Iterable[Any] | None) -> dict[str, Hessian]:
    """The inputs of every weight that is to be quantized.

    Raises: InputError without batches
    """
    if batches is None:
        what = f"batches to calibrate {scheme.name!r} with"
        raise InputError(expected(what, "none", "quantize(model, scheme, batches), batches what the model is called with"))
    from breakthrough.quant import calibrate

    return calibrate.collect(model, batches, names)


def quantize(weight: Tensor, hessian: Hessian, scheme: Scheme, format: Format) -> Quantized:
    """A weight, its inputs last, in the scheme's calibrated format. Shapes: (…, K)."""
    from breakthrough.quant import calibrate

    if scheme.calibration == "gptq":
        return calibrate.gptq(weight, hessian, format)
    return calibrate.awq(weight, hessian, format)
