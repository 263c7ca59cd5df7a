"""Muon makes steps of full rank; AdamW's part is torch's AdamW."""

import pytest
import torch
from torch import nn

from breakthrough.errors import ConfigError
from breakthrough.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_singular_values_come_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * torch.logspace(-1, 1, shape[1])
    values = torch.linalg.svdvals(orthogonal(matrix, rounds=8))
    assert values.min() > 0.4 and values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert (orthogonal(matrix, rounds=8) * (left @ right)).sum() / len(values) > 0.6  # turned as the matrix is


def test_the_rest_is_adamw():
    generator = torch.Generator().manual_seed(1)
    ours, theirs = (nn.Parameter(torch.ones(5)) for _ in range(2))
    muon = Muon([], [ours], lr=0.0, lr_rest=0.1, weight_decay=0.05)
    adamw = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.05)
    for _ in range(20):
        gradient = torch.randn(5, generator=generator)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step(), adamw.step()
        torch.testing.assert_close(ours, theirs)


def test_a_flat_weight_learns_a_target():
    generator = torch.Generator().manual_seed(2)
    weight, target = nn.Parameter(torch.zeros(4, 3, 3, 3)), torch.randn(4, 3, 3, 3, generator=generator)
    muon = Muon([weight], [], lr=0.1, lr_rest=0.0)
    for step in range(400):
        muon.param_groups[0]["scale"] = 1 - step / 400
        muon.zero_grad()
        ((weight - target) ** 2).sum().backward()
        muon.step()
    assert (weight - target).abs().max() < 0.1


def test_rates_below_zero_are_refused():
    with pytest.raises(ConfigError, match="at least 0"):
        Muon([nn.Parameter(torch.zeros(2, 2))], [], lr=-0.1, lr_rest=0.1)


def test_its_state_survives_a_round_trip():
    weight, bias = nn.Parameter(torch.ones(2, 2, 1, 1)), nn.Parameter(torch.ones(2))
    muon = Muon([weight], [bias], lr=0.1, lr_rest=0.1)
    weight.grad, bias.grad = torch.ones_like(weight), torch.ones_like(bias)
    muon.step()
    other = Muon([weight], [bias], lr=0.1, lr_rest=0.1)
    other.load_state_dict(muon.state_dict())
    assert torch.equal(other.state[weight]["mean"], muon.state[weight]["mean"])
