"""A whole model in a scheme: a copy whose weights are codes and scales, and which answers as before, nearly."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough.errors import InputError, expected, type_of
from breakthrough.quant import calibrated, kernels, schemes
from breakthrough.quant.keeping import reason_to_keep
from breakthrough.quant.linear import QuantLinear
from breakthrough.quant.rebuilding import cast
from breakthrough.quant.schemes import Scheme
from breakthrough.quant.weights import Layout, QuantWeight, install

RECORD = "quantization"  # the attribute of a quantized model that says how it was made

LINEAR = ("Linear", "Conv1D")  # torch's and GPT-2's; a layer derived from them keeps its own forward pass


@dataclass(frozen=True)
class Record:
    """How a model was quantized. `kept` maps every weight that stayed to the reason."""

    scheme: Scheme
    kept: Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """A weight of a model: all names it has (a tied one has several), and why it stays, or ""."""

    names: tuple[str, ...]
    reason: str


def quantize(
    model: nn.Module,
    scheme: str | Scheme,
    batches: Iterable[Any] | None = None,
    *,
    device: torch.device | str | None = None,
) -> nn.Module:
    """A copy of a model in a scheme: the course's nets, and any causal LM of Hugging Face's.

    The copy is in evaluation mode, on `device` (the model's own unless given), and needs no gradient; the
    model stays as it is. `batches` are what a calibrated scheme calls the model with: tokens (B, T) or
    pictures, a few hundred rows in all.

    Raises: UnknownNameError for a scheme; InputError for a model that is quantized, has NaN, infinities
            or no weight to quantize, and for a calibrated scheme without batches
    """
    if not isinstance(model, nn.Module):
        raise InputError(expected("a model (torch.nn.Module)", type_of(model)))
    chosen = schemes.scheme(scheme)
    places = plan(model, chosen)
    weights = {place.names[0]: model.get_parameter(place.names[0]) for place in places if not place.reason}
    check(model, chosen, weights)
    inputs = calibrated.collect(model, chosen, list(weights), batches) if chosen.calibration else {}
    # what is to be replaced is not copied: the copy holds the same tensor until then
    made = copy.deepcopy(model, {id(weight): weight for weight in weights.values()})
    target = torch.device(device) if device else next(model.parameters()).device
    with torch.no_grad():
        for place in places:
            if not place.reason:
                stored = store(model, place.names[0], chosen, inputs, target)
                put(made, place.names, stored, chosen)
    if chosen.dtype is not None:
        cast(made, chosen.dtype)
    setattr(made, RECORD, Record(chosen, {place.names[0]: place.reason for place in places if place.reason}))
    return made.to(target).eval().requires_grad_(False)


def plan(model: nn.Module, scheme: Scheme) -> list[Place]:
    """Every weight of a model, with the reason of those that a scheme leaves alone."""
    shared: dict[int, list[str]] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        shared.setdefault(id(weight), []).append(name)
    return [Place(tuple(names), _reason(model, names, scheme)) for names in shared.values()]


def check(model: nn.Module, scheme: Scheme, weights: Mapping[str, Tensor]) -> None:
    """Refuse a model that a scheme does not fit.

    Raises: InputError
    """
    if hasattr(model, RECORD):
        name = getattr(model, RECORD).scheme.name
        raise InputError(expected("a model in floating point", f"one in {name!r} already", "the model that it was made from"))
    if scheme.format is not None and not weights:
        raise InputError(expected(f"a weight to quantize in {type(model).__name__}", "none", "a scheme that keeps less"))
    limit = torch.finfo(scheme.dtype or torch.float32).max
    for name, weight in model.named_parameters():
        if not bool((weight.detach().abs() <= limit).all()):  # also false of NaN
            raise InputError(expected(f"finite weights within ±{limit:.4g}", f"others in {name}", "finding where they arise"))


def store(model: nn.Module, name: str, scheme: Scheme, inputs: Mapping[str, Any], device: torch.device) -> QuantWeight:
    """One weight in its scheme, on a device."""
    weight, (owner, _) = model.get_parameter(name).detach(), owner_of(model, name)
    layout = Layout.of(owner, weight)
    format: Any = scheme.format_for(name)  # where a scheme has none, every weight is kept
    if scheme.calibration:
        stored = calibrated.quantize(weight.to(device), layout, inputs[name], scheme, format)
    else:
        stored = format.quantize(layout.matrix(weight.to(device)))
    return QuantWeight(stored, layout)


def put(model: nn.Module, names: tuple[str, ...], weight: QuantWeight, scheme: Scheme) -> None:
    """Put a quantized weight into a model, in every place that it has."""
    for name in names:
        owner, last = owner_of(model, name)
        if type(owner).__name__ in LINEAR and "." in name:
            parent, child = owner_of(model, name.rpartition(".")[0])
            bias: Any = owner.bias  # a parameter or None
            setattr(parent, child, QuantLinear(weight, bias, kernels.product(scheme)))
        else:
            install(owner, last, weight)


def owner_of(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that something belongs to, and its name there."""
    path, _, last = name.rpartition(".")
    return model.get_submodule(path), last


def _reason(model: nn.Module, names: list[str], scheme: Scheme) -> str:
    if scheme.format is None:
        return "every weight in floating point"
    for name in names:  # a weight that is shared stays when one of its places says so
        owner, _ = owner_of(model, name)
        if reason := reason_to_keep(name, owner, model.get_parameter(name), scheme.keep):
            return reason
    return ""
