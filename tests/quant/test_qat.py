"""Learning through rounding: the gradient by its definition, ranges that are learned, and a model that keeps what it learned."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from breakthrough.errors import BreakthroughError, ConfigError, ShapeError, UnknownNameError
from breakthrough.moe import MoEConfig, SparseMoE
from breakthrough.quant.affine import Affine
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.qat import FakeQuant, convert, fake_quantize, prepare, straight_through

FORMATS = [Affine(bits=3, axis=0), Affine(bits=4, block=16), FourBit(), Affine(bits=2)]


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_value_is_the_rounded_one_and_the_gradient_is_as_if_it_were_not():
    x = torch.tensor([0.1, 0.5, 2.6], requires_grad=True)
    y = straight_through(x, x.round())
    (y * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert y.tolist() == [0.0, 0.0, 3.0] and x.grad.tolist() == [1.0, 2.0, 3.0]
    x.grad = None
    (x.round() * 2).sum().backward()
    assert not x.grad.any()  # what rounding itself would teach


def test_the_value_is_exact_where_adding_the_difference_is_not():
    x, rounded = torch.tensor([1e-3]), torch.tensor([1e6])
    assert torch.equal(straight_through(x, rounded), rounded)


@pytest.mark.parametrize("format", FORMATS, ids=repr)
def test_any_format_can_be_computed_with(format):
    x = torch.randn(4, 33, generator=draws()).requires_grad_()
    y = fake_quantize(x, format)
    assert torch.equal(y, format.quantize(x.detach()).dequantize())
    y.square().sum().backward()
    assert torch.equal(x.grad, 2 * y.detach())


def test_the_gradient_of_a_learned_range():
    # one group, levels −1, 0, 1 times the range: inside, what rounding adds in steps; outside, the sign of the last level
    weight = torch.tensor([[0.9, 0.2, -0.6, 1.0]], requires_grad=True)
    wrap = FakeQuant(Affine(bits=2), weight, learn_range=True)
    with torch.no_grad():
        wrap.share.zero_()  # a range of half of 1.0
    y = wrap(weight)
    assert torch.allclose(y, torch.tensor([[0.5, 0.0, -0.5, 0.5]]))
    y.backward(torch.tensor([[1.0, 10.0, 100.0, 1000.0]]))
    assert weight.grad.tolist() == [[0.0, 10.0, 0.0, 0.0]]
    by_range = 1 * 1 + 10 * (0 - 0.2 / 0.5) + 100 * -1 + 1000 * 1
    assert float(wrap.share.grad) == pytest.approx(by_range * 0.25, rel=1e-4)  # the sigmoid's slope at 0


@pytest.mark.parametrize("format", FORMATS, ids=repr)
@pytest.mark.parametrize("learn", [False, True])
def test_what_is_stored_is_what_was_computed_with(format, learn):
    weight = torch.randn(6, 20, generator=draws())
    wrap = FakeQuant(format, weight, learn)
    if learn:
        with torch.no_grad():
            wrap.share.copy_(torch.randn(wrap.share.shape, generator=draws(1)))
    torch.testing.assert_close(wrap(weight), wrap.stored(weight).dequantize(), rtol=1e-6, atol=1e-7)


def test_a_group_of_zeros_is_learned_in_without_harm():
    weight = torch.zeros(2, 8, requires_grad=True)
    wrap = FakeQuant(Affine(bits=4, axis=0), weight, learn_range=True)
    wrap(weight).sum().backward()
    assert torch.isfinite(weight.grad).all() and torch.isfinite(wrap.share.grad).all()


class Toy(nn.Module):
    """A linear layer between a sparse layer's raw parameters and an answer."""

    def __init__(self):
        super().__init__()
        g = draws()
        self.first = nn.Linear(8, 8)
        self.moe = SparseMoE(MoEConfig(8, 8, 4, 2), g)
        for weight in (self.first.weight, self.first.bias):
            nn.init.normal_(weight, std=0.3, generator=g)

    def forward(self, x):
        return self.moe(torch.tanh(self.first(x)))[0]


TOY = dict.fromkeys(["first.weight", "moe.gate_up", "moe.down"], Affine(bits=2, axis=0))


def fine_tune(model, x, target, steps=80):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        with parametrize.cached():
            loss = F.mse_loss(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


@pytest.mark.parametrize("learn", [False, True])
def test_fine_tuning_wins_back_what_two_bits_lost(learn):
    x = torch.randn(64, 8, generator=draws(1))
    model = Toy()
    with torch.no_grad():
        target = model(x)
        names = set(model.state_dict())
        prepare(model, TOY, learn_range=learn)
        before = float(F.mse_loss(model(x), target))
    fine_tune(model, x, target)
    with torch.no_grad():
        trained = model(x)
        stored = convert(model)
        after = float(F.mse_loss(model(x), target))
    assert after < 0.5 * before
    torch.testing.assert_close(model(x), trained, rtol=1e-4, atol=1e-5)  # what was learned is what is left
    assert set(model.state_dict()) == names and set(stored) == set(TOY) and type(model.first) is nn.Linear
    for name, one in stored.items():
        assert torch.equal(model.get_parameter(name), one.dequantize()) and one.bits_per_weight < 8


def test_bad_input():
    model = Toy()
    with pytest.raises(UnknownNameError, match="first.weight"):
        prepare(model, {"first.wieght": FourBit()})  # codespell:ignore wieght
    with pytest.raises(ConfigError, match="prepare"):
        convert(model)
    prepare(model, TOY)
    with pytest.raises(ConfigError, match="not prepared yet"):
        prepare(model, TOY)
    with pytest.raises(ShapeError):
        straight_through(torch.ones(2), torch.ones(3))
    with pytest.raises(ConfigError, match="nearest"):
        FakeQuant(FourBit(rounding="random"), torch.ones(3))
    with pytest.raises(BreakthroughError, match="finite"):
        fake_quantize(torch.tensor([float("nan")]), FourBit())
