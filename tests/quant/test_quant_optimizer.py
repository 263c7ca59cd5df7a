"""8-bit Adam against bitsandbytes' own, to the last bit where the device computes alike; its bytes; its refusals."""

import copy
from functools import cache

import pytest
import torch
from torch import nn

from breakthrough.errors import ConfigError, DtypeError, InputError, ShapeError
from breakthrough.quant.bnb import bitsandbytes
from breakthrough.quant.memory import state_bytes
from breakthrough.quant.optimizer import Adam8, AdamW8, grouped
from breakthrough.seeds import torch_generator
from breakthrough.train import checkpoint
from breakthrough.train.language import ByteLM, LanguageConfig

RATES = {"lr": 3e-3, "betas": (0.9, 0.95), "weight_decay": 0.1}
CONFIG = LanguageConfig(d_model=64, n_layers=1, context=32, ffn=170)


def train(make, steps=100, dtype=torch.float32, nudge=0.0, config=CONFIG):
    """A byte model after some steps of real training; `nudge` changes every gradient by a part of itself, up and down."""
    generator = torch_generator(0)
    model = ByteLM(config, generator).to(dtype)
    optimizer = make(model)
    for step in range(steps):
        tokens = torch.randint(97, 123, (2, 17), generator=generator)
        optimizer.zero_grad()
        loss = model.loss(tokens)[0]
        loss.backward()
        for weight in model.parameters():
            weight.grad.mul_(1 + nudge * (-1) ** step)
        optimizer.step()
    return model, optimizer, loss.item()


def distance(first, second):
    return max((a - b).abs().max().item() for a, b in zip(first.parameters(), second.parameters(), strict=True))


@cache
def theirs(dtype=torch.float32, nudge=0.0):
    """What bitsandbytes makes of the same training."""
    return train(lambda model: bitsandbytes().optim.AdamW8bit(model.parameters(), **RATES), dtype=dtype, nudge=nudge)


@pytest.mark.parametrize(("search", "dtype"), [
    ("device", torch.float32), ("table", torch.float32), ("table", torch.bfloat16), ("table", torch.float16)])
def test_a_hundred_steps_end_where_bitsandbytes_does(search, dtype):
    own = train(lambda model: AdamW8(model.parameters(), search=search, **RATES), dtype=dtype)
    reference = theirs(dtype)
    assert distance(own[0], reference[0]) == 0 and own[2] == reference[2]
    for mine, other in zip(own[0].parameters(), reference[0].parameters()):
        state, expected = own[1].state[mine], reference[1].state[other]
        assert torch.equal(state["mean"], expected["state1"]) and torch.equal(state["square"], expected["state2"])
        if "mean_absmax" in state:
            assert torch.equal(state["mean_absmax"], expected["absmax1"]) and torch.equal(state["square_absmax"], expected["absmax2"])


def test_other_rounding_of_gradients_stays_within_bitsandbytes_own():
    """Its own rounding: how far its weights move when every gradient is changed by its last bit, up and down in turn."""
    reference, nudged = theirs()[0], theirs(nudge=2**-23)[0]
    own = train(lambda model: AdamW8(model.parameters(), **RATES), nudge=-(2**-23))[0]
    assert 0 < distance(own, reference) <= 1.5 * distance(nudged, reference)


def test_exact_levels_end_no_further_from_32_bits():
    plain = train(lambda model: AdamW8(model.parameters(), bits=32, **RATES))[0]
    nearest = train(lambda model: AdamW8(model.parameters(), search="nearest", **RATES))[0]
    assert 0 < distance(nearest, plain) <= 2 * distance(theirs()[0], plain)


def test_a_step_by_hand():
    """Both means, both corrections, decay before the step, and the state read back from its codes, in float64."""
    weight = nn.Parameter(torch.linspace(-1, 1, 600))
    own = AdamW8([weight], lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.5, min_size=0, search="nearest")
    mean = square = torch.zeros(600, dtype=torch.float64)
    value = weight.detach().double()
    for step in (1, 2, 3):
        grad = torch.sin(torch.arange(600.0) * step) + 2
        weight.grad = grad.clone()
        own.step()
        mean, square = 0.8 * mean + 0.2 * grad.double(), 0.9 * square + 0.1 * grad.double() ** 2
        value = value * (1 - 0.05) - 0.1 * (mean / (1 - 0.8**step)) / ((square / (1 - 0.9**step)).sqrt() + 1e-3)
        state = own.state[weight]
        for name, exact, form in zip(("mean", "square"), (mean, square), own._formats):
            parts = {"codes": state[name], "absmax": state[f"{name}_absmax"]}
            read = form.dequantize(parts, (600,), torch.float32).double()
            assert ((read - exact).abs() <= 0.02 * exact.abs().max()).all()
        assert (weight - value).abs().max() < (1e-6 if step == 1 else 5e-3)


def test_the_gap_to_32_bits_does_not_hurt_the_loss():
    def text_loss(make):
        return train(make, steps=60)[2]
    plain = text_loss(lambda model: torch.optim.AdamW(model.parameters(), **RATES))
    assert text_loss(lambda model: AdamW8(model.parameters(), **RATES)) == pytest.approx(plain, rel=0.02)


def test_32_bits_are_plain_adamw():
    own = train(lambda model: AdamW8(model.parameters(), bits=32, **RATES), steps=5)[0]
    plain = train(lambda model: torch.optim.AdamW(model.parameters(), **RATES), steps=5)[0]
    assert distance(own, plain) < 1e-5


def test_decay_is_only_where_it_is_asked_for():
    weight = nn.Parameter(torch.ones(300))
    weight.grad = torch.zeros(300)
    Adam8([weight], min_size=0).step()
    assert (weight == 1).all()
    AdamW8([weight], lr=0.5, weight_decay=0.5, min_size=0).step()
    assert torch.allclose(weight, torch.tensor(0.75))


def test_the_state_is_a_quarter():
    config = LanguageConfig(d_model=256, n_layers=4, context=16, ffn=680)
    found = {}
    for name, make in {"fp32": lambda m: torch.optim.AdamW(m.parameters()), "8": lambda m: AdamW8(m.parameters()),
                       "8, embeddings 32": lambda m: AdamW8(grouped(m))}.items():
        found[name] = state_bytes(train(make, steps=1, config=config)[1])
    assert found["8"] < 0.26 * found["fp32"] and found["8"] < found["8, embeddings 32"] < 0.28 * found["fp32"]


def test_small_weights_and_embeddings_keep_32_bits():
    model, optimizer, _ = train(lambda model: AdamW8(grouped(model), **RATES), steps=2)
    kinds = {name: optimizer.state[weight]["mean"].dtype for name, weight in model.named_parameters()}
    assert kinds["embedding.weight"] == kinds["norm.weight"] == torch.float32
    assert kinds["blocks.0.ffn.gate_up"] == kinds["blocks.0.attention.qkv.weight"] == torch.uint8
    assert {len(group["params"]) for group in grouped(nn.Linear(3, 3))} == {2}


@pytest.mark.parametrize("through_file", [False, True])
def test_a_run_goes_on_from_its_state(through_file, tmp_path):
    def make(model):
        return AdamW8(grouped(model), **RATES)
    generator = torch_generator(0)
    model = ByteLM(CONFIG, generator)
    first = make(model)
    batches = [torch.randint(256, (2, 9), generator=generator) for _ in range(6)]

    def steps(model, optimizer, batches):
        for tokens in batches:
            optimizer.zero_grad()
            model.loss(tokens)[0].backward()
            optimizer.step()
    steps(model, first, batches[:3])
    twin = copy.deepcopy(model)
    second = make(twin)
    if through_file:
        checkpoint.save(tmp_path / "run.safetensors", model, first, generator, {})
        checkpoint.restore(tmp_path / "run.safetensors", twin, second, generator, {})
    else:
        second.load_state_dict(first.state_dict())
    steps(model, first, batches[3:])
    steps(twin, second, batches[3:])
    assert distance(model, twin) == 0
    assert all(second.state[weight]["mean"].dtype == first.state[other]["mean"].dtype
               for weight, other in zip(twin.parameters(), model.parameters()))


def test_loading_copies():
    weight, other = nn.Parameter(torch.ones(300)), nn.Parameter(torch.ones(300))
    first, second = AdamW8([weight], min_size=0), AdamW8([other], min_size=0)
    weight.grad = torch.ones(300)
    first.step()
    second.load_state_dict(first.state_dict())
    before = second.state[other]["mean"].clone()
    weight.grad = -5 * torch.ones(300)
    first.step()
    assert torch.equal(second.state[other]["mean"], before) and second.state[other]["step"] == 1


def test_state_of_another_model_is_refused():
    weight = nn.Parameter(torch.ones(300))
    first = AdamW8([weight], min_size=0)
    weight.grad = torch.ones(300)
    first.step()
    with pytest.raises(ShapeError, match="the same model"):
        AdamW8([nn.Parameter(torch.ones(301))], min_size=0).load_state_dict(first.state_dict())


@pytest.mark.parametrize("shape", [(1,), (255,), (257,), (65_537,), (300, 3, 5), (0,)])
def test_weights_of_any_shape_and_layout(shape):
    generator = torch_generator(3)
    start, grad = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    weight, moved = nn.Parameter(start.clone()), nn.Parameter(start.clone().mT.contiguous().mT if start.dim() > 1 else start.clone())
    for one in (weight, moved):
        one.grad = grad.clone()
        AdamW8([one], min_size=0).step()
    assert torch.equal(weight, moved) and (not start.numel() or not torch.equal(weight, start))


def test_weights_without_a_gradient_rest_and_a_closure_is_called():
    weight, idle = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    optimizer = AdamW8([weight, idle])

    def closure():
        optimizer.zero_grad()
        loss = weight.sum()
        loss.backward()
        return loss
    assert optimizer.step(closure) == 5 and (idle == 1).all() and idle not in optimizer.state


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e25])
def test_a_gradient_that_is_not_finite_changes_nothing(bad):
    good, broken = nn.Parameter(torch.ones(300)), nn.Parameter(torch.ones(300))
    optimizer = AdamW8([good, broken], min_size=0)
    good.grad, broken.grad = torch.ones(300), torch.ones(300)
    broken.grad[7] = bad
    with pytest.raises(InputError, match="finite gradients"):
        optimizer.step()
    assert (good == 1).all() and (broken == 1).all() and not optimizer.state


def test_what_cannot_be_trained_is_refused():
    table = nn.Embedding(10, 3, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(InputError, match="dense"):
        AdamW8(table.parameters()).step()
    wide = nn.Parameter(torch.ones(5, dtype=torch.float64))
    wide.grad = torch.ones_like(wide)
    with pytest.raises(DtypeError):
        AdamW8([wide]).step()


@pytest.mark.parametrize("wrong", [
    {"lr": -1}, {"lr": float("nan")}, {"betas": (1.0, 0.9)}, {"betas": (0.9,)}, {"eps": -1e-8}, {"weight_decay": -1},
    {"bits": 4}, {"min_size": -1}, {"search": "guess"},
])
def test_rates_that_there_are_not(wrong):
    with pytest.raises(ConfigError):
        AdamW8([nn.Parameter(torch.ones(5))], **wrong)
    if "search" not in wrong:
        optimizer = AdamW8([nn.Parameter(torch.ones(5))])
        with pytest.raises(ConfigError):
            optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))], **wrong})
        assert len(optimizer.param_groups) == 1
