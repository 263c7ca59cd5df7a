"""Balance loss, z-loss, loss-free bias."""

import math

import pytest
import torch

from breakthrough.errors import DtypeError, ShapeError
from breakthrough.moe import bias_update, load_balance_loss, route, z_loss
from breakthrough.seeds import torch_generator


@pytest.mark.parametrize("k", [1, 2])
def test_balance_is_one_when_even_and_e_when_collapsed(k):
    even = torch.arange(8 * k).remainder(4).view(8, k)
    assert load_balance_loss(torch.full((8, 4), 0.25), even) == pytest.approx(1)
    one = torch.nn.functional.one_hot(torch.zeros(8, dtype=torch.int64), 4).float()
    assert load_balance_loss(one, torch.zeros(8, 1, dtype=torch.int64)) == pytest.approx(4)


def test_balance_by_hand():
    probs = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]])
    experts = torch.tensor([[0, 1], [0, 1]])
    assert load_balance_loss(probs, experts) == pytest.approx(3 * (0.5 * 0.6 + 0.5 * 0.25))


def test_balance_gradient_pushes_down_the_busy_expert():
    scores = torch.zeros(6, 3, requires_grad=True)
    got = route(scores, 1, bias=torch.tensor([1.0, 0, 0]))
    load_balance_loss(got.probs, got.experts).backward()
    assert (scores.grad[:, 0] > 0).all() and (scores.grad[:, 1:] < 0).all()


def test_balance_equals_hugging_face_over_k():
    mixtral = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    scores = torch.randn(40, 8, generator=torch_generator(0))
    got = route(scores, 2)
    theirs = mixtral.load_balancing_loss_func((scores,), 8, 2)
    assert 2 * load_balance_loss(got.probs, got.experts) == pytest.approx(float(theirs), rel=1e-5)


def test_z_loss_by_hand():
    scores = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    want = (math.log(2) ** 2 + math.log(4) ** 2) / 2
    assert z_loss(scores) == pytest.approx(want)


def test_zero_tokens_cost_nothing():
    assert z_loss(torch.zeros(0, 3)) == 0
    assert load_balance_loss(torch.zeros(0, 3), torch.zeros(0, 2, dtype=torch.int64)) == 0


def test_bias_follows_the_sign():
    bias, load = torch.zeros(3), torch.tensor([6, 3, 0])
    torch.testing.assert_close(bias_update(bias, load, 0.1), torch.tensor([-0.1, 0.0, 0.1]))
    assert bias.eq(0).all()


def test_messages():
    with pytest.raises(ShapeError, match=r"got \(4, 3\) and \(5, 2\)"):
        load_balance_loss(torch.zeros(4, 3), torch.zeros(5, 2, dtype=torch.int64))
    with pytest.raises(ShapeError, match="expected experts below E = 3, got 7"):
        load_balance_loss(torch.zeros(4, 3), torch.full((4, 1), 7))
    with pytest.raises(DtypeError, match="got torch.int32"):
        load_balance_loss(torch.zeros(4, 3), torch.zeros(4, 2, dtype=torch.int32))
    with pytest.raises(ShapeError, match=r"got \(3,\) and \(4,\)"):
        bias_update(torch.zeros(3), torch.zeros(4), 0.1)
