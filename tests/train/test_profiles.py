import pytest
import torch

from breakthrough.moe import MoEConfig, cost
from breakthrough.train import PROFILES, ByteLM
from breakthrough.train.profiles import arms, equal_flops_hidden, model_cost

EVERY = pytest.mark.parametrize("name", PROFILES)


@EVERY
def test_dense_and_sparse_have_equal_active_flops_and_the_baseline_never_less(name):
    models = {arm: model for arm, (model, _) in arms(PROFILES[name]).items()}
    dense, moe = model_cost(models["dense"]), model_cost(models["moe"])
    assert 1.0 <= dense["flops"] / moe["flops"] < 1.01
    assert moe["total_params"] > 2 * dense["total_params"]
    sparse = cost(models["moe"].ffn, tokens=1).flops
    hidden = models["dense"].ffn
    unit = 6 * models["dense"].d_model
    assert unit * (hidden - 1) < sparse <= unit * hidden


def test_shared_experts_and_the_router_are_counted():
    plain = equal_flops_hidden(MoEConfig(64, 10, 4, 2))
    assert plain == 22  # 2 · 10 hidden units, and 4 · 64 router weights are 1.33 of 3 · 64
    assert equal_flops_hidden(MoEConfig(64, 10, 4, 2, n_shared=1)) == 32
    assert equal_flops_hidden(MoEConfig(64, 10, 4, 2, dispatch="dense")) == 22


@pytest.mark.parametrize("name", ["tiny", "quick"])
def test_the_parameters_counted_are_those_of_the_model(name):
    for model, _ in arms(PROFILES[name]).values():
        parameters = sum(p.numel() for p in ByteLM(model).parameters())
        assert model_cost(model)["total_params"] == parameters


def test_the_flops_counted_are_those_that_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    model, _ = arms(PROFILES["tiny"])["dense"]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        ByteLM(model)(torch.zeros(1, model.context, dtype=torch.int64))
    # torch counts attention without the causal mask: twice ours
    full = 2 * model.n_layers * model.context * model.d_model
    linear = counter.get_total_flops() / model.context
    assert model_cost(model)["flops"] == pytest.approx(linear, abs=2 * full + 1)
    matmuls = counter.get_flop_counts()["Global"][torch.ops.aten.mm] / model.context
    assert matmuls == model_cost(model)["flops"] - full


@EVERY
def test_the_arms_differ_in_what_is_compared_and_in_nothing_else(name):
    from dataclasses import replace

    plan = PROFILES[name]
    found = arms(plan)
    assert found["dense"][1] == found["moe"][1] == plan.training
    assert found["control"][0] == found["moe"][0]
    assert found["control"][1].balance == 0 < plan.training.balance
    assert replace(found["dense"][0], ffn=plan.model.ffn) == plan.model
    assert plan.control_steps % plan.training.eval_every == 0
    assert plan.control_steps <= plan.training.steps
