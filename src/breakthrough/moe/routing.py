"""Which experts see which tokens.

Shapes: T tokens, E experts, k experts a token, C tokens an expert
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, DtypeError, ShapeError, expected
from breakthrough.moe.config import GATES


@dataclass(frozen=True)
class Routing:
    """The choice of k experts for every token.

    Shapes: logits (T, E), probs (T, E), weights (T, k), experts (T, k) int64, best first
    Units:  probs in 0…1, rows sum to 1 under a softmax gate only
    """

    logits: Tensor
    probs: Tensor
    weights: Tensor
    experts: Tensor


@dataclass(frozen=True)
class ExpertChoice:
    """The choice of C tokens for every expert: balanced by construction, uneven over tokens.

    Shapes: probs (T, E), weights (E, C), tokens (E, C) int64, best first
    """

    probs: Tensor
    weights: Tensor
    tokens: Tensor


def check_logits(logits: Tensor) -> None:
    """Raise unless the logits are a floating tensor (T, E)."""
    if logits.ndim != 2:
        raise ShapeError(expected("logits (T, E)", tuple(logits.shape), "logits.flatten(0, -2)"))
    if not logits.is_floating_point():
        raise DtypeError(expected("logits of a floating dtype", logits.dtype, "logits.float()"))


def _single(logits: Tensor) -> Tensor:
    """At least float32: half precision moves the choice of experts."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def route(
    logits: Tensor,
    k: int,
    gate: str = "softmax",
    bias: Tensor | None = None,
    normalize: bool = True,
) -> Routing:
    """Choose the k experts with the highest probability for every token.

    `bias` (E,) is added for the choice only: the weights come from the unbiased probabilities.

    Shapes: logits (T, E) → weights (T, k), experts (T, k)
    Units:  weights sum to 1 per token (unless normalize=False)
    Raises: ShapeError when k > E or a shape is wrong, DtypeError, ConfigError for a gate
    Source: Shazeer et al. 2017, eq. 3–5; sigmoid gate and bias: DeepSeek-V3 2024, eq. 13–16
    """
    check_logits(logits)
    if not 1 <= k <= logits.shape[1]:
        raise ShapeError(expected(f"1 ≤ k ≤ E = {logits.shape[1]}", f"k = {k}"))
    if gate not in GATES:
        raise ConfigError(expected(f"gate out of {', '.join(GATES)}", repr(gate)))
    if bias is not None and bias.shape != logits.shape[1:]:
        raise ShapeError(expected(f"bias ({logits.shape[1]},)", tuple(bias.shape)))
    logits = _single(logits)
    probs = logits.softmax(-1) if gate == "softmax" else logits.sigmoid()
    scores = probs.detach() if bias is None else probs.detach() + bias
    # topk costs five times as much as the maximum that it is for k = 1
    experts = scores.argmax(-1, keepdim=True) if k == 1 else scores.topk(k, dim=-1).indices
    weights = probs.gather(1, experts)
    if normalize:
        tiny = torch.finfo(weights.dtype).tiny  # a sigmoid gate may give a row of zeros
        weights = weights / weights.sum(-1, keepdim=True).clamp_min(tiny)
    return Routing(logits, probs, weights, experts)


def expert_choice(logits: Tensor, capacity: int) -> ExpertChoice:
    """Let every expert choose its `capacity` best tokens.

    Not causal: whether a token is chosen depends on the tokens after it.

    Shapes: logits (T, E) → weights (E, C), tokens (E, C)
    Units:  weights are softmax probabilities over experts, not renormalised
    Raises: ShapeError when capacity is not in 1…T
    Source: Zhou et al. 2022, eq. 2–3
    """
    check_logits(logits)
    if not 1 <= capacity <= logits.shape[0]:
        what = f"1 ≤ capacity ≤ T = {logits.shape[0]}"
        raise ShapeError(expected(what, f"capacity = {capacity}"))
    probs = _single(logits).softmax(-1)
    weights, tokens = probs.t().topk(capacity, dim=-1)  # (E, C)
    return ExpertChoice(probs, weights, tokens)
