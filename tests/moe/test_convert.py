"""Layers made from a dense network and from Hugging Face's Mixtral."""

import pytest
import torch

from breakthrough.errors import ConfigError
from breakthrough.moe import MoEConfig, SparseMoE, SwiGLU, upcycle
from breakthrough.seeds import torch_generator


@pytest.mark.parametrize("shared", [0, 2])
@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
def test_upcycled_output_is_the_dense_one(shared, gate):
    dense = SwiGLU(16, 24, torch_generator(0))
    config = MoEConfig(16, 24, n_experts=4, top_k=2, n_shared=shared, gate=gate)
    layer = upcycle(dense, config, torch_generator(1))
    x = torch.randn(3, 7, 16, generator=torch_generator(2))
    torch.testing.assert_close(layer(x)[0], dense(x), atol=1e-6, rtol=1e-5)
    layer.gate_up.data[0].zero_()  # copies: the dense network keeps its weights
    assert dense.gate_up.abs().min() > 0


def test_upcycled_experts_part_ways_in_training():
    dense = SwiGLU(16, 24, torch_generator(0))
    layer = upcycle(dense, MoEConfig(16, 24, n_experts=4, top_k=2), torch_generator(1))
    layer(torch.randn(64, 16, generator=torch_generator(2)))[0].square().sum().backward()
    assert not torch.allclose(layer.down.grad[0], layer.down.grad[1])


def test_upcycle_refuses_what_cannot_be_equal():
    dense = SwiGLU(16, 24)
    with pytest.raises(ConfigError, match="expected d_model 16, d_hidden 32, got a dense network"):
        upcycle(dense, MoEConfig(16, 32, 4, 2))
    with pytest.raises(ConfigError, match="normalize=True"):
        upcycle(dense, MoEConfig(16, 24, 4, 2, normalize=False))


def mixtral_block(**changes):
    module = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_local_experts": 8}
    config = module.MixtralConfig(**{**sizes, "num_experts_per_tok": 2, **changes})
    config._experts_implementation = "eager"
    block = module.MixtralSparseMoeBlock(config)
    for i, weight in enumerate(block.parameters()):
        torch.nn.init.normal_(weight, std=0.2, generator=torch_generator(i))
    return block


@pytest.mark.parametrize("dispatch", ["sorted", "grouped", "dense", "capacity"])
@pytest.mark.parametrize("k", [1, 2])
def test_same_as_mixtral(dispatch, k):
    block = mixtral_block(num_experts_per_tok=k)
    layer = SparseMoE.from_mixtral(block, dispatch)
    x = torch.randn(2, 50, 32, generator=torch_generator(9), requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    want, (got, _) = block(twin), layer(x)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)
    want.square().mean().backward()
    got.square().mean().backward()
    pairs = [
        (x, twin),
        (layer.router, block.gate.weight),
        (layer.gate_up, block.experts.gate_up_proj),
        (layer.down, block.experts.down_proj),
    ]
    for mine, theirs in pairs:
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-5, rtol=1e-5)


def test_from_mixtral_copies_and_keeps_the_dtype():
    block = mixtral_block().bfloat16()
    layer = SparseMoE.from_mixtral(block)
    assert layer.down.dtype == torch.bfloat16 and layer.routing_bias.dtype == torch.float32
    layer.down.data.zero_()
    assert block.experts.down_proj.abs().max() > 0


def test_from_mixtral_refuses_other_blocks():
    with pytest.raises(ConfigError, match="got Linear"):
        SparseMoE.from_mixtral(torch.nn.Linear(2, 2))
    with pytest.raises(ConfigError, match="activation silu"):
        SparseMoE.from_mixtral(mixtral_block(hidden_act="gelu"))
