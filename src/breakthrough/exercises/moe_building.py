"""Module 1: building a learner's layer with given weights, or saying what is wrong with it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough.errors import InputError, expected, type_of


def check_class(answer: Any) -> None:
    """Say at once what was passed instead of the class.

    Raises: InputError for what is no class made from four sizes
    """
    what = "the class of your layer"
    if isinstance(answer, nn.Module):
        name = type(answer).__name__
        raise InputError(expected(what, f"an instance of it, {name}(…)", f'check("moe.mend", {name}), without calling it'))
    if not callable(answer):
        raise InputError(expected(what, type_of(answer), 'check("moe.mend", MendedMoE)'))
    try:
        inspect.signature(answer).bind(1, 1, 1, 1)
    except (TypeError, ValueError) as error:
        hint = "def __init__(self, d_model, d_hidden, n_experts, top_k)"
        raise InputError(expected(f"{what}, made from four sizes", f"other arguments ({error})", hint)) from None


def build(answer: Any, sizes: tuple[int, ...], weights: dict[str, Tensor]) -> nn.Module:
    """A learner's layer with the case's weights.

    Raises: InputError when it is no module, or has other parameters
    """
    with torch.random.fork_rng(devices=[]):
        layer = answer(*sizes)
    if not isinstance(layer, nn.Module):
        got = f"one that makes {type_of(layer)}"
        raise InputError(expected("a class that makes an nn.Module", got, "class MendedMoE(nn.Module): …"))
    names = {name for name, _ in layer.named_parameters()}
    if names != set(weights):
        odd = [*(f"without {n}" for n in sorted(set(weights) - names)[:2]), *(f"with {n}" for n in sorted(names - set(weights))[:2])]
        hint = "self.router = nn.Linear(d_model, n_experts, bias=False) and self.experts = nn.ModuleList(Expert(…) …)"
        raise InputError(expected("the parameters of `router` and `experts`", ", ".join(odd), hint))
    wrong = [(name, tuple(p.shape)) for name, p in layer.named_parameters() if p.shape != weights[name].shape]
    if wrong:
        name, shape = wrong[0]
        raise InputError(expected(f"{name} of shape {tuple(weights[name].shape)}", shape))
    layer.load_state_dict(weights, strict=False)
    return layer
