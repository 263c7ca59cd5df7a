"""The weights of a Hugging Face Mixtral sparse block, as those of a sparse layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, expected
from breakthrough.moe.config import MoEConfig


def read_block(block: Any, dispatch: str = "auto") -> tuple[MoEConfig, dict[str, Tensor]]:
    """The configuration and a copy of the weights of a block, as `SparseMoE` names them.

    Shapes: router (E, d), gate_up (E, 2H, d), down (E, d, H), routing_bias (E,) zeros
    Raises: ConfigError when the block is of another make
    """
    router, gate_up, down = _weights(block)
    n_experts, width, d = gate_up.shape
    bias = torch.zeros(n_experts, device=gate_up.device)
    state = {"router": router, "gate_up": gate_up, "down": down, "routing_bias": bias}
    config = MoEConfig(d, width // 2, n_experts, block.top_k, dispatch=dispatch)
    return config, {name: tensor.detach().clone() for name, tensor in state.items()}


def _weights(block: Any) -> tuple[Tensor, Tensor, Tensor]:
    try:
        weights = block.gate.weight, block.experts.gate_up_proj, block.experts.down_proj
        activation = block.experts.act_fn
    except AttributeError as error:
        raise ConfigError(
            expected("a MixtralSparseMoeBlock of transformers 5", type(block).__name__)
        ) from error
    x = torch.linspace(-3, 3, 7)
    if not torch.allclose(activation(x), torch.nn.functional.silu(x)):
        raise ConfigError(expected("experts with the activation silu", activation))
    return weights
