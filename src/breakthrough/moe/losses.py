"""What keeps the experts busy and the logits small.

Shapes: T tokens, E experts, k experts a token
"""

from __future__ import annotations

import torch
from torch import Tensor

from breakthrough import devices
from breakthrough.errors import DtypeError, ShapeError, expected
from breakthrough.moe.routing import check_logits


def load_balance_loss(probs: Tensor, experts: Tensor) -> Tensor:
    """E · Σₑ fₑ · Pₑ: 1 at perfect balance, E when one expert takes everything (k = 1).

    Where f and P disagree it can fall a little below 1.

    fₑ is expert e's share of the T·k assignments (no gradient), Pₑ its mean probability. Hugging
    Face's Mixtral loss takes shares of the T tokens instead, so it is k times this one.

    Shapes: probs (T, E), experts (T, k) → ()
    Units:  rows of probs sum to 1; 0 for zero tokens
    Raises: ShapeError, DtypeError; InputError when they lie on two devices
    Source: Fedus et al. 2021, eq. 4–6
    """
    if probs.ndim != 2 or experts.ndim != 2 or len(probs) != len(experts):
        got = f"{tuple(probs.shape)} and {tuple(experts.shape)}"
        raise ShapeError(expected("probs (T, E) and experts (T, k)", got))
    if experts.dtype != torch.int64:
        raise DtypeError(expected("experts of dtype int64", experts.dtype, "experts.long()"))
    devices.check_same("probs is", probs.device, experts=experts)
    n_experts = probs.shape[1]
    counts = torch.bincount(experts.flatten(), minlength=n_experts)
    if len(counts) > n_experts:
        raise ShapeError(expected(f"experts below E = {n_experts}", int(experts.max())))
    share = counts.to(probs.dtype) / max(experts.numel(), 1)  # (E,)
    mean = probs.sum(0) / max(len(probs), 1)  # (E,)
    return n_experts * (share * mean).sum()


def z_loss(logits: Tensor) -> Tensor:
    """Mean over tokens of logsumexp(logits)²: keeps the router's logits small.

    Shapes: logits (T, E) → ()
    Units:  0 for zero tokens
    Source: ST-MoE, Zoph et al. 2022, eq. 5
    """
    check_logits(logits)
    return logits.logsumexp(-1).square().sum() / max(len(logits), 1)


def bias_update(bias: Tensor, load: Tensor, rate: float) -> Tensor:
    """The next routing bias: up by `rate` for experts below the mean load, down above it.

    Shapes: bias (E,), load (E,) → (E,), a new tensor without gradient
    Raises: ShapeError when the two differ
    Source: Wang et al. 2024, algorithm 1 (loss-free balancing, the sign rule)
    """
    if bias.shape != load.shape or bias.ndim != 1:
        got = f"{tuple(bias.shape)} and {tuple(load.shape)}"
        raise ShapeError(expected("bias and load of one shape (E,)", got))
    devices.check_same("bias is", bias.device, load=load)
    load = load.to(bias.dtype)
    return bias.detach() + rate * (load.mean() - load).sign()
