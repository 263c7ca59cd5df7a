"""Counts against the layer's own tensors and against torch's FLOP counter."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from breakthrough.errors import ConfigError
from breakthrough.moe import MoEConfig, SparseMoE, cost

CONFIG = MoEConfig(d_model=8, d_hidden=12, n_experts=4, top_k=2, n_shared=1)


def test_total_is_what_the_layer_holds():
    layer = SparseMoE(CONFIG)
    want = sum(p.numel() for p in layer.parameters())
    got = cost(CONFIG, 1)
    assert got.total_params == want and got.bytes == 4 * want
    assert got.active_params == want - 2 * 3 * 8 * 12
    assert cost(CONFIG, 1, torch.bfloat16).active_bytes == 2 * got.active_params


@pytest.mark.parametrize("dispatch", ["sorted", "dense"])
def test_flops_are_what_torch_counts(dispatch):
    config = dataclasses.replace(CONFIG, dispatch=dispatch)
    layer, x = SparseMoE(config), torch.randn(32, 8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(x)
    counted = counter.get_total_flops()
    if dispatch == "dense":  # the counter sees the weighted sum as a matmul too
        counted -= 2 * 32 * 4 * 8
    assert cost(config, 32).flops == counted


def test_mixtral_8x7b_as_published():
    got = cost(MoEConfig(4096, 14336, n_experts=8, top_k=2), 1)
    assert 32 * got.total_params == pytest.approx(45.1e9, rel=0.01)  # of 46.7B, the rest attention
    assert 32 * got.active_params == pytest.approx(11.3e9, rel=0.01)  # of 12.9B


def test_negative_tokens():
    with pytest.raises(ConfigError, match="expected tokens ≥ 0, got -1"):
        cost(CONFIG, -1)
