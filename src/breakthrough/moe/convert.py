"""Sparse layers made from dense ones that are trained."""

from __future__ import annotations

import torch

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
