"""Sparse layers made from trained weights."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from breakthrough.errors import ConfigError, expected
from breakthrough.moe.config import MoEConfig
from breakthrough.moe.layer import SparseMoE, SwiGLU


def upcycle(
    dense_ffn: SwiGLU, config: MoEConfig, generator: torch.Generator | None = None
) -> SparseMoE:
    """A sparse layer whose every expert is a copy of a dense network: same output at the start.

    Weights sum to 1, so equal experts give the dense output; shared experts start at zero output.
    With a capacity factor, tokens that lose an assignment differ.

    Raises: ConfigError when the sizes differ, or the weights would not sum to 1
    Source: Komatsuzaki et al. 2023
    """
    d, hidden = dense_ffn.down.shape
    if (d, hidden) != (config.d_model, config.d_hidden):
        got = f"a dense network of {d} and {hidden}"
        raise ConfigError(expected(f"d_model {config.d_model}, d_hidden {config.d_hidden}", got))
    if not config.normalize:
        raise ConfigError(expected("normalize=True (weights that sum to 1)", "False"))
    layer = SparseMoE(config, generator).to(dense_ffn.down)
    with torch.no_grad():
        layer.gate_up.copy_(dense_ffn.gate_up)  # (2H, d) → (E, 2H, d)
        layer.down.copy_(dense_ffn.down)
        if layer.shared is not None:
            layer.shared.down.zero_()
    return layer


def from_mixtral(block: nn.Module, dispatch: str = "auto") -> SparseMoE:
    """See `SparseMoE.from_mixtral`."""
    router, gate_up, down = _mixtral_weights(block)
    n_experts, width, d = gate_up.shape
    config = MoEConfig(d, width // 2, n_experts, block.top_k, dispatch=dispatch)
    with torch.device("meta"):
        layer = SparseMoE(config)
    bias = torch.zeros(n_experts, device=gate_up.device)
    state = {"router": router, "gate_up": gate_up, "down": down, "routing_bias": bias}
    layer.load_state_dict({k: v.detach().clone() for k, v in state.items()}, assign=True)
    return layer


def _mixtral_weights(block: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    try:
        weights = block.gate.weight, block.experts.gate_up_proj, block.experts.down_proj
        activation = block.experts.act_fn
    except AttributeError as error:
        raise ConfigError(
            expected("a MixtralSparseMoeBlock of transformers 5", type(block).__name__)
        ) from error
    x = torch.linspace(-3, 3, 7)
    if not torch.allclose(activation(x), nn.functional.silu(x)):
        raise ConfigError(expected("experts with the activation silu", activation))
    return weights
