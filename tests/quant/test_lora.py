"""QLoRA: the same function at first, gradients as by dense weights, nothing dense kept, merging, files."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from breakthrough.errors import ArtifactError, ConfigError, InputError
from breakthrough.moe import MoEConfig
from breakthrough.quant.adapter_files import base_digest, load_adapters, save_adapters
from breakthrough.quant.affine import Affine
from breakthrough.quant.frozen import FrozenWeight
from breakthrough.quant.lora import AdaptedMoE, LoraConfig, LoraLinear, adapt, layers, merge, trained
from breakthrough.quant.memory import Saved, measure, weight_bytes
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.optimizer import AdamW8
from breakthrough.seeds import torch_generator
from breakthrough.train.language import ByteLM, LanguageConfig

DENSE = LanguageConfig(d_model=32, n_layers=2, context=32, ffn=80)
SPARSE = LanguageConfig(d_model=32, n_layers=2, context=32, ffn=MoEConfig(32, 32, 4, 2, n_shared=1, dispatch="sorted"))
TOKENS = torch.randint(256, (2, 33), generator=torch_generator(9))
each_model = pytest.mark.parametrize("config", [DENSE, SPARSE], ids=["dense", "sparse"])
each_format = pytest.mark.parametrize("format", [FourBit(), Affine(8, axis=0), None], ids=["nf4", "int8", "none"])


def model_of(config):
    return ByteLM(config, torch_generator(0))


def adapted(config, **choices):
    return adapt(model_of(config), LoraConfig(**choices), torch_generator(1))


def taught(model, steps=5):
    optimizer = AdamW8(trained(model), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        model.loss(TOKENS)[0].backward()
        optimizer.step()
    return model


@each_model
def test_without_a_format_nothing_is_changed_at_first(config):
    own, before = adapted(config, format=None), model_of(config)
    assert torch.allclose(own(TOKENS[:, :-1])[0], before(TOKENS[:, :-1])[0], atol=1e-5)
    assert [name for name, weight in own.named_parameters() if weight.requires_grad] == [
        f"{name}.{part}" for name, _ in layers(own) for part in "ab"]


@each_model
@each_format
def test_training_moves_the_adapters_and_nothing_else(config, format):
    model = adapted(config, format=format)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loss = model.loss(TOKENS)[0].item()
    taught(model)
    assert model.loss(TOKENS)[0].item() < loss - 0.3
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name.rpartition(".")[2] not in "ab"), name


@each_format
@pytest.mark.parametrize("bias", [False, True])
def test_outputs_and_gradients_are_those_of_the_dense_weight(format, bias):
    generator = torch_generator(2)
    linear = nn.Linear(64, 48, bias=bias)
    layer = LoraLinear(linear.weight, LoraConfig(rank=4, alpha=6, format=format), generator, linear.bias)
    with torch.no_grad():
        layer.b.normal_(generator=generator)
    x = torch.randn(3, 5, 64, generator=generator).requires_grad_()
    slope = torch.randn(3, 5, 48, generator=generator)
    a, b, twin = (t.detach().double().requires_grad_() for t in (layer.a, layer.b, x))
    dense = layer.base.dequantize().double() + 1.5 * b @ a
    exact = F.linear(twin, dense, None if linear.bias is None else linear.bias.double())
    exact.backward(slope.double())
    y = layer(x)
    y.backward(slope)
    for got, want in ((y, exact), (x.grad, twin.grad), (layer.a.grad, a.grad), (layer.b.grad, b.grad)):
        assert torch.allclose(got.double(), want, atol=1e-4 * want.abs().max().item())
    if format is not None:
        assert not torch.equal(layer.base.dequantize(), linear.weight)


def test_an_expert_learns_from_its_own_tokens():
    """The sparse layer with adapters against the same layer with dense weights that are merged."""
    model = taught(adapted(SPARSE))
    model.zero_grad()
    dense = merge(copy.deepcopy(model))
    x = torch.randn(40, 32, generator=torch_generator(4))
    own, other = model.blocks[0].ffn, dense.blocks[0].ffn
    (y, stats), (z, expected) = own(x), other(x)
    assert isinstance(own, AdaptedMoE) and torch.allclose(y, z, atol=1e-5)
    assert torch.equal(stats.load, expected.load) and torch.equal(stats.routing.experts, expected.routing.experts)
    y.square().sum().backward()
    z.square().sum().backward()
    for expert, slope in zip(own.experts, other.gate_up.grad):
        assert torch.allclose(expert.gate_up.b.grad, 2 * slope @ expert.gate_up.a.detach().T, atol=1e-4 * slope.abs().max().item())


@each_model
def test_nothing_dense_is_kept_for_the_backward_pass(config):
    counts = {}
    for name, format in {"fp32": None, "nf4": FourBit()}.items():
        model = adapted(config, format=format)
        with Saved(model) as saved:
            loss = model.loss(TOKENS)[0]
        counts[name] = saved.nbytes
        loss.backward()
    assert counts["nf4"] == counts["fp32"]  # which holds no copies of weights: they are the model's own


def test_one_weight_at_a_time_exists_in_full():
    linear = nn.Sequential(*(nn.Linear(512, 512, bias=False) for _ in range(6)))
    x = torch.randn(1, 512, generator=torch_generator(0))
    model = adapt(copy.deepcopy(linear), LoraConfig(rank=2), torch_generator(0))
    found = measure(lambda: model(x).sum(), model, torch.optim.SGD(trained(model)))
    dense = measure(lambda: linear(x).sum(), linear, torch.optim.SGD(linear.parameters()))
    one = 512 * 512 * 4
    assert found.peak - found.weights < 3 * one and dense.peak - dense.weights > 5.9 * one
    assert found.weights < 0.15 * dense.weights


@each_model
@each_format
def test_merged_weights_answer_alike(config, format):
    model = taught(adapted(config, format=format))
    answer = model(TOKENS[:, :-1])[0]
    dense = merge(copy.deepcopy(model))
    assert torch.allclose(dense(TOKENS[:, :-1])[0], answer, atol=1e-4)
    assert dense.state_dict().keys() == model_of(config).state_dict().keys()
    assert all(weight.requires_grad for weight in dense.parameters())
    ByteLM.from_files(*dense.to_files())
    again = merge(copy.deepcopy(model), Affine(8, axis=0))
    assert again.loss(TOKENS)[0].item() == pytest.approx(model.loss(TOKENS)[0].item(), rel=0.01) and not trained(again)
    assert weight_bytes(again) < weight_bytes(dense)


def test_a_cast_leaves_scales_as_they_are():
    weight = torch.randn(40, 64, generator=torch_generator(0))
    frozen = FrozenWeight(weight, FourBit())
    before = frozen.dequantize()
    frozen.to(torch.bfloat16).to("cpu")
    assert frozen.dtype == torch.bfloat16 and torch.equal(frozen.dequantize(torch.float32), before)
    assert FrozenWeight(weight).half().weight.dtype == torch.float16
    model = taught(adapted(SPARSE)).to(torch.bfloat16)
    assert model.loss(TOKENS)[0].isfinite() and merge(model).blocks[0].ffn.gate_up.dtype == torch.bfloat16


def test_rank_0_is_the_base_alone():
    model = adapted(SPARSE, rank=0)
    assert trained(model) == [] and not any(weight.requires_grad for weight in model.parameters())
    assert model.loss(TOKENS)[0].isfinite() and weight_bytes(model) < weight_bytes(adapted(SPARSE))


def test_what_is_adapted_is_chosen_by_name():
    names = [name for name, _ in layers(adapted(DENSE, targets=("*.attention.*",), leave=("blocks.0.*",)))]
    assert names == ["blocks.1.attention.qkv", "blocks.1.attention.out"]
    untied = adapt(ByteLM(LanguageConfig(d_model=32, tied=False, ffn=80), torch_generator(0)), LoraConfig(), torch_generator(0))
    assert type(untied.head) is nn.Linear and not untied.head.weight.requires_grad
    attention = nn.Sequential(nn.MultiheadAttention(8, 2), nn.Linear(8, 8))
    assert [name for name, _ in layers(adapt(attention, LoraConfig(), torch_generator(0)))] == ["1"]


def test_models_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="merge"):
        adapt(adapted(DENSE), LoraConfig(), torch_generator(0))
    with pytest.raises(InputError, match="targets"):
        adapt(model_of(DENSE), LoraConfig(targets=("nothing",)), torch_generator(0))
    with pytest.raises(InputError, match="adapt"):
        merge(model_of(DENSE))
    broken = model_of(DENSE)
    broken.blocks[1].ffn.down.data[0, 0] = float("nan")
    with pytest.raises(InputError, match="finite"):
        adapt(broken, LoraConfig(), torch_generator(0))
    for wrong in ({"rank": -1}, {"alpha": 0}, {"alpha": float("nan")}):
        with pytest.raises(ConfigError):
            LoraConfig(**wrong)


@each_model
def test_adapters_travel_in_a_file(config, tmp_path):
    path = tmp_path / "adapters.safetensors"
    model = taught(adapted(config))
    save_adapters(model, path)
    other = adapt(model_of(config), LoraConfig(), torch_generator(77))
    load_adapters(other, path)
    assert torch.equal(other(TOKENS[:, :-1])[0], model(TOKENS[:, :-1])[0])
    assert path.stat().st_size < 1.3 * sum(weight.nbytes for weight in trained(model)) + 10**4


def test_adapters_of_another_base_are_refused(tmp_path):
    path = tmp_path / "adapters.safetensors"
    save_adapters(adapted(DENSE), path)
    others = {"base": adapt(ByteLM(DENSE, torch_generator(5)), LoraConfig(), torch_generator(1)),
              "format": adapted(DENSE, format=FourBit(double=False)), "scales": adapted(DENSE, alpha=3), "shapes": adapted(DENSE, rank=4, alpha=8)}
    for what, other in others.items():
        before = copy.deepcopy(other.state_dict())
        with pytest.raises(ArtifactError, match=what):
            load_adapters(other, path)
        assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())
    assert base_digest(adapted(DENSE)) == base_digest(taught(adapted(DENSE))) != base_digest(others["base"])


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "adapters.safetensors"
    with pytest.raises(ArtifactError):
        load_adapters(adapted(DENSE), path)
    save_adapters(adapted(DENSE), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError):
        load_adapters(adapted(DENSE), path)
    with pytest.raises(InputError):
        save_adapters(model_of(DENSE), path)
