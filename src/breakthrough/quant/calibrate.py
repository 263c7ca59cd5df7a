"""Calibration: a model's weights rounded for the inputs that they get.

`hessian.collect` looks at the inputs, `gptq.gptq` and `awq.awq` round one weight; here is the whole of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from breakthrough.errors import unknown
from breakthrough.quant.awq import awq
from breakthrough.quant.gptq import gptq
from breakthrough.quant.hessian import Hessian, collect
from breakthrough.quant.quantized import Format, Quantized

__all__ = ["METHODS", "Hessian", "awq", "calibrate", "collect", "gptq"]

METHODS = {"gptq": gptq, "awq": awq}


def calibrate(
    model: nn.Module,
    batches: Iterable[Any],
    formats: Mapping[str, Format],
    method: str = "gptq",
) -> dict[str, Quantized]:
    """Named weights of a model in their formats, rounded for their inputs on batches; the model stays as it is.

    Weights that one expert of many keeps are rounded for the inputs that the router sends there.

    Raises: UnknownNameError for a method or weight that there is not; InputError without batches, and for
            weights that meet no input
    """
    if method not in METHODS:
        raise unknown("method of calibration", method, METHODS)
    found = collect(model, batches, list(formats))
    return {name: METHODS[method](model.get_parameter(name), found[name], format) for name, format in formats.items()}
