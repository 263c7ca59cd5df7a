"""The sparse layer against the loop over tokens, in every dispatch and at every edge."""

import dataclasses

import pytest
import torch
from moe_oracle import oracle

from breakthrough.errors import DtypeError, ShapeError
from breakthrough.moe import MoEConfig, SparseMoE, SwiGLU
from breakthrough.seeds import torch_generator

DISPATCHES = ("sorted", "grouped", "dense", "capacity", "auto")
BASE = MoEConfig(d_model=16, d_hidden=24, n_experts=4, top_k=2)


def layer_for(dtype=torch.float32, seed=0, **changes):
    return SparseMoE(dataclasses.replace(BASE, **changes), torch_generator(seed)).to(dtype)


def inputs(*shape, seed=1, dtype=torch.float32):
    x = torch.randn(*shape, generator=torch_generator(seed), dtype=torch.float64)
    return x.to(dtype).requires_grad_()


def gradients(layer, x, y):
    target = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    wanted = [x, *layer.parameters()]
    grads = torch.autograd.grad((y * target).sum(), wanted, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, grads)]


def assert_same(layer, x, tolerance=1e-5):
    y, stats = layer(x)
    want = oracle(layer, x)
    torch.testing.assert_close(y, want, atol=tolerance, rtol=tolerance)
    for got, grad in zip(gradients(layer, x, y), gradients(layer, x, want)):
        torch.testing.assert_close(got, grad, atol=tolerance, rtol=tolerance)
    return stats


@pytest.mark.parametrize("dispatch", DISPATCHES)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"top_k": 1},
        {"top_k": 4},
        {"capacity_factor": 0.5},
        {"capacity_factor": 1.0, "top_k": 3},
        {"gate": "sigmoid", "n_shared": 2},
        {"normalize": False},
    ],
    ids=str,
)
def test_same_as_oracle(dispatch, changes):
    stats = assert_same(layer_for(dispatch=dispatch, **changes), inputs(3, 11, 16))
    assert stats.load.sum() + stats.dropped == 33 * changes.get("top_k", 2)


@pytest.mark.parametrize("dispatch", DISPATCHES)
@pytest.mark.parametrize("tokens", [0, 1])
@pytest.mark.parametrize("factor", [None, 0.25])
def test_zero_and_one_token(dispatch, tokens, factor):
    stats = assert_same(
        layer_for(dispatch=dispatch, capacity_factor=factor), inputs(2, tokens, 16)
    )
    assert torch.isfinite(stats.balance_loss + stats.z_loss)


@pytest.mark.parametrize("dispatch", DISPATCHES)
@pytest.mark.parametrize("factor", [None, 1.0])
def test_all_tokens_to_one_expert(dispatch, factor):
    layer = layer_for(dispatch=dispatch, top_k=1, capacity_factor=factor)
    layer.routing_bias[2] = 10
    stats = assert_same(layer, inputs(20, 16))
    assert stats.load.tolist() == [0, 0, 20 if factor is None else 5, 0]
    assert stats.dropped == (0 if factor is None else 15)
    assert stats.load_cv == pytest.approx(3**0.5)


@pytest.mark.parametrize("dispatch", DISPATCHES)
def test_non_contiguous(dispatch):
    layer = layer_for(dispatch=dispatch)
    x = inputs(16, 9, 2).permute(2, 1, 0)
    assert not x.is_contiguous()
    torch.testing.assert_close(layer(x)[0], layer(x.contiguous())[0])
    torch.testing.assert_close(layer(x)[0], oracle(layer, x), atol=1e-5, rtol=1e-5)


def test_later_tokens_are_dropped_first():
    layer = layer_for(top_k=1, capacity_factor=1.0)
    layer.routing_bias[0] = 10
    y, _ = layer(inputs(8, 16))
    assert (y != 0).any(-1).tolist() == [True] * 2 + [False] * 6


@pytest.mark.parametrize("dispatch", ["sorted", "dense", "capacity"])
@pytest.mark.parametrize("factor", [None, 0.6])
def test_gradcheck(dispatch, factor):
    layer = layer_for(torch.float64, d_model=4, d_hidden=3, n_shared=1, n_experts=3,
                      dispatch=dispatch, capacity_factor=factor)
    names, weights = zip(*layer.named_parameters())

    def run(x, *values):
        y, stats = torch.func.functional_call(layer, dict(zip(names, values)), (x,))
        return y, stats.balance_loss, stats.z_loss

    assert torch.autograd.gradcheck(run, (inputs(5, 4, dtype=torch.float64), *weights))


@pytest.mark.parametrize("dispatch", DISPATCHES)
def test_bfloat16(dispatch):
    layer = layer_for(torch.bfloat16, dispatch=dispatch, n_experts=8)
    x = inputs(50, 16, dtype=torch.bfloat16)
    exact = layer_for(torch.float64, n_experts=8)
    exact.load_state_dict(layer.state_dict())
    wide = x.detach().double().requires_grad_()
    (y, stats), (want, other) = layer(x), exact(wide)
    same = (stats.routing.experts == other.routing.experts).all(1)  # a near tie may turn
    assert y.dtype == torch.bfloat16 and same.float().mean() > 0.9
    torch.testing.assert_close(y[same].double(), want[same], atol=0.01, rtol=0.03)
    got = torch.autograd.grad(y[same].float().square().sum(), x)[0]
    grad = torch.autograd.grad(want[same].square().sum(), wide)[0]
    torch.testing.assert_close(got.double(), grad, atol=0.02, rtol=0.06)


@pytest.mark.parametrize("dispatch", ["sorted", "grouped"])
def test_autocast(dispatch):
    layer, x = layer_for(dispatch=dispatch), inputs(12, 16)
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = layer(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16 and layer.gate_up.grad.dtype == torch.float32
    torch.testing.assert_close(y.float(), layer(x)[0], atol=0.02, rtol=0.05)


@pytest.mark.parametrize("dispatch", DISPATCHES)
def test_only_what_is_asked_gets_a_gradient(dispatch):
    layer, x = layer_for(dispatch=dispatch), inputs(12, 16)
    layer.requires_grad_(False)
    y, _ = layer(x)
    (alone,) = torch.autograd.grad(y.sum(), x)
    layer.requires_grad_(True)
    torch.testing.assert_close(alone, torch.autograd.grad(layer(x)[0].sum(), x)[0])
    with torch.no_grad():
        assert not layer(x)[0].requires_grad
        torch.testing.assert_close(layer(x)[0], y)


def test_second_derivative_is_refused():
    layer, x = layer_for(dispatch="sorted"), inputs(5, 16)
    (grad,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_update_bias_evens_the_load():
    layer = layer_for(n_experts=8, top_k=1)
    x = inputs(512, 16).detach() + 0.5  # a common part that some experts like
    before = layer(x)[1].load_cv
    for _ in range(300):
        layer.update_bias(layer(x)[1].load, rate=2e-3)
    assert layer(x)[1].load_cv < before / 2


def test_wrong_inputs():
    layer = layer_for()
    with pytest.raises(ShapeError, match=r"expected x \(…, 16\), got \(3, 8\)"):
        layer(torch.zeros(3, 8))
    with pytest.raises(DtypeError, match=r"expected x of dtype torch.float32, got torch.float64"):
        layer(torch.zeros(3, 16, dtype=torch.float64))
    with pytest.raises(DtypeError, match="try dispatch='sorted'"):
        layer_for(torch.float64, dispatch="grouped")(torch.zeros(3, 16, dtype=torch.float64))
    with pytest.raises(ShapeError, match="d and H to be multiples of 4"):
        layer_for(d_model=6, dispatch="grouped")(torch.zeros(3, 6))


def test_same_seed_same_weights():
    one, two, other = layer_for(seed=3), layer_for(seed=3), layer_for(seed=4)
    assert torch.equal(one.gate_up, two.gate_up) and not torch.equal(one.gate_up, other.gate_up)


def test_swiglu_is_one_expert():
    dense, x = SwiGLU(16, 24, torch_generator(0)), inputs(5, 16)
    want = torch.nn.functional.silu(x @ dense.gate_up[:24].T) * (x @ dense.gate_up[24:].T)
    torch.testing.assert_close(dense(x), want @ dense.down.T)
