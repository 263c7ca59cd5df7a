"""What a sparse layer costs, counted.

Units: T tokens, E experts, k experts a token, d the width, H hidden
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from breakthrough.errors import ConfigError, expected
from breakthrough.moe.config import MoEConfig


@dataclass(frozen=True)
class Cost:
    """Sizes and work of one layer.

    Units: parameters as numbers; flops of a forward pass, a multiply-add counted as 2;
           bytes of all weights, active_bytes of the weights that one token uses
    """

    total_params: int
    active_params: int
    flops: int
    bytes: int
    active_bytes: int


def cost(config: MoEConfig, tokens: int, dtype: torch.dtype = torch.float32) -> Cost:
    """Parameters, forward FLOPs for `tokens` tokens, and bytes of weights.

    Matmuls only: router 2·T·E·d, each expert a token passes through 2·3·d·H; activations, softmax
    and moving rows are left out. A token passes through k + n_shared experts, under
    dispatch="dense" through all; drops are not subtracted, padding is not added.

    Raises: ConfigError for negative tokens
    """
    if tokens < 0:
        raise ConfigError(expected("tokens ≥ 0", tokens))
    expert = 3 * config.d_model * config.d_hidden
    router = config.n_experts * config.d_model
    total = router + (config.n_experts + config.n_shared) * expert
    active = router + (config.top_k + config.n_shared) * expert
    worked = total if config.dispatch == "dense" else active
    return Cost(total, active, 2 * tokens * worked, total * dtype.itemsize, active * dtype.itemsize)
