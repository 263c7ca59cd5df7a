"""Gradient inversion: gradients are autograd's, the hand example is exact, pictures come back, and noise gives nothing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from breakthrough.errors import InputError, ShapeError, UnknownNameError
from breakthrough.federated.digits import DigitsNet
from breakthrough.federated.inversion import Recipe, gradients, invert, linear_leak, part, read_labels
from breakthrough.federated.likeness import correlation, matched, psnr_db, ssim
from breakthrough.seeds import torch_generator

SHAPE = (1, 8, 8)
NET = DigitsNet(torch_generator(0, "net"))
X = torch.rand((6, *SHAPE), generator=torch_generator(0, "pictures")).round()  # black and white
Y = torch.tensor([3, 1, 4, 1, 5, 9])
GREY = torch.full(SHAPE, 0.5)


def by_autograd(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    found = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
    return torch.cat([g.flatten() for g in found])


def test_gradients_are_those_of_autograd_for_every_victim():
    found = gradients(NET, X.view(3, 2, *SHAPE), Y.view(3, 2))
    for v in range(3):
        torch.testing.assert_close(found[v], by_autograd(NET, X[2 * v : 2 * v + 2], Y[2 * v : 2 * v + 2]))


def test_a_part_is_the_gradient_of_its_parameter():
    F.cross_entropy(NET(X[:2]), Y[:2]).backward()
    seen = gradients(NET, X[None, :2], Y[None, :2])
    torch.testing.assert_close(part(NET, seen, "second.weight")[0], NET.second.weight.grad)
    NET.zero_grad(set_to_none=True)
    with pytest.raises(UnknownNameError, match=r"head\.bias"):
        part(NET, seen, "head.biases")


def test_a_linear_first_layer_gives_its_input_away_exactly():
    net = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    x = X[0].flatten()
    F.cross_entropy(net(x[None]), Y[:1]).backward()
    torch.testing.assert_close(linear_leak(net[0].weight.grad, net[0].bias.grad), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(linear_leak(-0.01 * net[0].weight.grad, -0.01 * net[0].bias.grad), x, atol=1e-5, rtol=0)  # an update, too
    with pytest.raises(InputError, match="a bias with a gradient"):
        linear_leak(torch.zeros(3, 2), torch.zeros(3))


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_labels_are_read_from_the_last_bias(scale):
    one = gradients(NET, X[:, None], Y[:, None]) * scale
    assert read_labels(NET, one, 1, GREY, "head.bias").flatten().tolist() == Y.tolist()
    two = gradients(NET, X.view(3, 2, *SHAPE), Y.view(3, 2)) * scale
    assert read_labels(NET, two, 2, GREY, "head.bias").tolist() == Y.view(3, 2).sort(1).values.tolist()


def test_one_picture_comes_back_whatever_the_scale():
    seen = 1e-4 * gradients(NET, X[:3, None], Y[:3, None])
    found = invert(NET, seen, Y[:3, None], SHAPE, Recipe(80, 0.1, 0.001), torch_generator(1))
    assert found.pictures.shape == (3, 1, *SHAPE) and found.pictures.min() >= 0 and found.pictures.max() <= 1
    assert correlation(found.pictures[:, 0], X[:3]).min() > 0.95
    assert correlation(found.pictures[:, 0], X[3:]).max() < 0.6  # and not some other picture
    assert found.distance.max() < 0.1


def test_noise_gives_nothing_back():
    seen = torch.randn((3, sum(p.numel() for p in NET.parameters())), generator=torch_generator(2))
    found = invert(NET, seen, Y[:3, None], SHAPE, Recipe(80, 0.1, 0.001), torch_generator(1))
    assert correlation(found.pictures[:, 0], X[:3]).mean() < 0.3 and found.distance.min() > 0.9


def test_the_model_is_left_as_it_was():
    before = [p.clone() for p in NET.parameters()]
    invert(NET, gradients(NET, X[None, :1], Y[None, :1]), Y[None, :1], SHAPE, Recipe(2), torch_generator(1))
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, NET.parameters()))


def test_what_does_not_fit_is_refused():
    seen = gradients(NET, X[None, :1], Y[None, :1])
    with pytest.raises(ShapeError, match="the parameters of this model"):
        invert(NET, seen[:, 1:], Y[None, :1], SHAPE, Recipe(1), torch_generator(1))
    with pytest.raises(ShapeError, match="labels"):
        invert(NET, seen, Y[:1], SHAPE, Recipe(1), torch_generator(1))
    with pytest.raises(ShapeError, match="one victim"):
        gradients(NET, X, Y)
    for bad in ({"steps": 0}, {"rate": 0.0}, {"smooth": -1.0}):
        with pytest.raises(InputError):
            Recipe(**bad)


def test_likeness_of_a_picture_with_itself_and_with_others():
    assert correlation(X, X).tolist() == pytest.approx([1.0] * 6, abs=1e-5) and ssim(X, X).tolist() == pytest.approx([1.0] * 6, abs=1e-5)
    assert psnr_db(X, X).tolist() == [100.0] * 6
    torch.testing.assert_close(correlation(0.2 + 0.5 * X, X), torch.ones(6))  # brightness and contrast do not count
    assert correlation(1 - X, X).max() < -0.99 and correlation(torch.ones_like(X), X).abs().max() == 0
    assert float(psnr_db(X[:1] * 0 + 0.1, X[:1] * 0)) == pytest.approx(20.0, abs=1e-4)
    assert ssim(X, X.flip(0)).max() < 0.5
    with pytest.raises(ShapeError):
        correlation(X, X[:2])


def test_matching_finds_the_order():
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    torch.testing.assert_close(matched(X[order] * 0.5, X), X * 0.5)
