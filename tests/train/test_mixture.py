import copy
import json
from dataclasses import asdict, replace

import pytest
import torch
from inspection_toys import toy_pictures
from torch import nn

from breakthrough.errors import ConfigError, InputError
from breakthrough.moe.layer import SparseMoE
from breakthrough.seeds import torch_generator
from breakthrough.train.inspection import evaluate, fit
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.mixture import every_expert, mixture_config
from breakthrough.train.recipe import Recipe, make_optimizer

SMALL = InspectorConfig(widths=(8, 16), blocks=(0, 1))
SPARSE = replace(SMALL, experts=3, hidden=8)


@pytest.fixture
def model():
    return Inspector(SPARSE, torch_generator(0))


@pytest.fixture
def pictures():
    return torch.rand(4, 3, 64, 64, generator=torch_generator(1))


def test_without_experts_the_net_is_the_one_it_was():
    config = InspectorConfig()
    assert not {"experts", "top_k", "hidden"} & set(config.to_dict())
    old = {"classes": ["none", "bad"], "sound": [], "widths": [8], "blocks": [1], "stride": 4, "norm": "group", "group": 1}
    read = InspectorConfig.from_dict(old)
    assert read.experts == 0 and json.loads(json.dumps(read.to_dict())) == old
    names = set(Inspector(read).state_dict())
    assert {name.split(".")[0] for name in names} == {"features", "head", "prior"}


def test_experts_add_weights_and_leave_the_others_as_they_are(model):
    dense, sparse = Inspector(SMALL, torch_generator(0)).state_dict(), model.state_dict()
    assert all(torch.equal(sparse[name], x) for name, x in dense.items())
    assert {name.split(".")[0] for name in set(sparse) - set(dense)} == {"mixture"}


@pytest.mark.parametrize("top_k", [1, 2])
def test_the_block_adds_the_experts_of_the_normalized_cells(pictures, top_k):
    model = Inspector(replace(SPARSE, top_k=top_k), torch_generator(0)).eval()
    grid = model.features(4 * pictures - 2)  # (B, d, h, w)
    got = model.mixture(grid)
    moe, out = model.mixture.moe, grid.clone()
    for b, y, x in ((0, 0, 0), (1, 3, 5), (3, 7, 7)):
        token = nn.functional.layer_norm(grid[b, :, y, x], (16,))
        chances = (moe.router @ token).softmax(0)
        weights, chosen = chances.topk(top_k)
        for weight, i in zip(weights if top_k == 1 else weights / weights.sum(), chosen):
            gate, up = (moe.gate_up[i] @ token).chunk(2)
            out[b, :, y, x] += weight * (moe.down[i] @ (nn.functional.silu(gate) * up))
        torch.testing.assert_close(got[b, :, y, x], out[b, :, y, x])
    torch.testing.assert_close(model.cells(pictures), model.head(got))


def test_a_picture_is_judged_alone_and_alike_in_training(model, pictures):
    torch.testing.assert_close(model(pictures)[:1], model(pictures[:1]))
    torch.testing.assert_close(model.train()(pictures), model.eval()(pictures))


def test_every_weight_gets_a_gradient_and_the_router_too(model, pictures):
    nn.functional.cross_entropy(model(pictures), torch.tensor([0, 1, 2, 3])).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_balance_loss_is_of_the_last_pass_and_pushes_towards_an_even_load(model, pictures):
    with pytest.raises(InputError, match="training mode"):
        model.balance_loss()
    with torch.no_grad():
        model.mixture.norm.bias += 1  # all cells a little alike,
        model.mixture.moe.router[0] += 0.1  # and most of them sent to one expert
    optimizer = torch.optim.SGD([model.mixture.moe.router], lr=0.02)
    model(pictures)
    first = model.balance_loss()
    assert first > 1.3 and model.mixture.load[0] > 3 * 64
    for _ in range(200):
        model(pictures)
        optimizer.zero_grad()
        model.balance_loss().backward()
        optimizer.step()
    assert model.balance_loss() < 1.1 and model.mixture.load.max() < 2 * 64
    model.eval()(pictures)
    with pytest.raises(InputError, match="training mode"):
        model.balance_loss()
    assert Inspector(SMALL).balance_loss() == 0


def test_a_model_is_copied_in_the_middle_of_training(model, pictures):
    model(pictures)
    again = copy.deepcopy(model)
    assert again.mixture.load is None and model.mixture.load is not None
    assert torch.equal(again(pictures), model(pictures))


def test_a_file_gives_the_same_experts_back(model, pictures, tmp_path):
    model.save(tmp_path / "a.safetensors")
    again = Inspector.load(tmp_path / "a.safetensors")
    assert again.config == SPARSE and torch.equal(again(pictures), model(pictures))


@pytest.mark.parametrize("bad", [{"experts": -1}, {"experts": 2, "top_k": 3}, {"experts": 2, "hidden": 0}, {"experts": 2, "top_k": 0}, {"experts": 1.5}])
def test_experts_that_cannot_be_are_refused(bad):
    with pytest.raises(ConfigError, match="expected"):
        replace(SMALL, **bad)


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_every_expert_on_every_token_gives_the_layers_answer(top_k):
    moe = SparseMoE(mixture_config(8, 3, top_k, 16), torch_generator(0))
    tokens = torch.randn(2, 5, 4, 8, generator=torch_generator(1))
    torch.testing.assert_close(every_expert(moe, tokens), moe(tokens)[0])


@pytest.mark.parametrize("top_k", [1, 2])
def test_it_exports_as_one_graph_for_any_batch_without_sorting(pictures, top_k):
    model = Inspector(replace(SPARSE, top_k=top_k), torch_generator(0)).eval()
    program = torch.export.export(model, (pictures,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},))
    for count in (1, 3, 7):
        x = torch.rand(count, 3, 64, 64, generator=torch_generator(count))
        torch.testing.assert_close(program.module()(x), model(x))
    called = {str(node.target) for node in program.graph.nodes}
    assert not [name for name in called if "sort" in name or "repeat_interleave" in name or "index_put" in name]


def test_every_weight_of_the_experts_is_trained_by_adamw(model):
    muon, rest = make_optimizer(model, Recipe()).param_groups
    assert {id(w) for w in model.mixture.parameters()} <= {id(w) for w in rest["params"]}
    assert len(muon["params"]) + len(rest["params"]) == len(list(model.parameters()))


def test_training_balances_by_the_loss_and_leaves_the_bias_alone():
    data = toy_pictures(60, 0)
    config = InspectorConfig(data.classes, widths=(8, 16), blocks=(0, 1), experts=2, hidden=8)
    recipe = Recipe(steps=20, batch_size=16, save_every=10)
    models = [Inspector(config, torch_generator(0)) for _ in range(2)]
    found = [fit(model, data, replace(recipe, balance=amount), 0) for model, amount in zip(models, (0.01, 10.0))]
    assert found[1].losses[0] > found[0].losses[0] + 5  # ten times at least 1 is in it
    for model in models:
        assert not model.mixture.moe.routing_bias.any()
    before = Inspector(config, torch_generator(0)).state_dict()
    moved = [name for name, x in models[0].state_dict().items() if not torch.equal(x, before[name])]
    assert {"mixture.moe.router", "mixture.moe.gate_up", "mixture.moe.down", "mixture.norm.weight"} <= set(moved)
    assert sum(map(sum, evaluate(models[0], data).confusion)) == 60


def test_a_stopped_training_with_experts_goes_on_to_the_same_result(tmp_path):
    data = toy_pictures(40, 0)
    config = InspectorConfig(data.classes, widths=(8,), blocks=(0,), experts=2, hidden=8)
    recipe = Recipe(steps=6, batch_size=8, save_every=3)

    class Stopped(Exception):
        pass

    def stop(step):
        if step == 4:
            raise Stopped

    whole, part = (Inspector(config, torch_generator(0)) for _ in range(2))
    fit(whole, data, recipe, 0)
    with pytest.raises(Stopped):
        fit(part, data, recipe, 0, stop, checkpoint=tmp_path / "run")
    part = Inspector(config, torch_generator(5))
    fit(part, data, recipe, 0, checkpoint=tmp_path / "run")
    for a, b in zip(whole.state_dict().values(), part.state_dict().values()):
        torch.testing.assert_close(a, b)


def test_a_recipe_from_before_the_experts_is_read():
    old = asdict(Recipe())
    del old["balance"]
    assert Recipe.from_dict(old) == Recipe()
    with pytest.raises(ConfigError, match="balance"):
        Recipe(balance=-0.1)
