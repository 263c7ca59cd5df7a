import pytest
import torch
from torch import nn

from breakthrough.errors import ConfigError
from breakthrough.seeds import torch_generator
from breakthrough.train import checkpoint
from breakthrough.train.muon import Muon, orthogonal


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch_generator(seed))


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (8, 8)])
def test_singular_values_come_near_one_and_the_directions_stay(shape):
    matrix = normal(*shape)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix, rounds=6)
    values = torch.diag(u.T @ found @ vh.T)
    wide = s > 0.05 * s.max()
    assert ((values > 0.6) & (values < 1.3))[wide].all()
    torch.testing.assert_close(found, u @ torch.diag(values) @ vh, atol=1e-3, rtol=0)
    torch.testing.assert_close(orthogonal(1000 * matrix), orthogonal(matrix), atol=1e-4, rtol=0)


def test_the_rest_is_stepped_as_by_adamw():
    ours, theirs = nn.Parameter(normal(5)), nn.Parameter(normal(5))
    options = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}
    one, other = Muon([], [ours], 0.1, 0.02, weight_decay=0.1), torch.optim.AdamW([theirs], 0.02, **options)
    for step in range(6):
        ours.grad, theirs.grad = normal(5, seed=step), normal(5, seed=step)
        for optimizer in (one, other):
            optimizer.step()
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_a_step_of_muon_is_of_one_size_whatever_the_gradient():
    moved = []
    for factor in (1e-3, 1e3):
        weight = nn.Parameter(normal(8, 4, 3, 3))
        optimizer, before = Muon([weight], [], 0.1, 0.01), weight.detach().clone()
        weight.grad = factor * normal(8, 4, 3, 3, seed=1)
        for group in optimizer.param_groups:
            group["scale"] = 0.5
        optimizer.step()
        moved.append(weight.detach() - before)
    torch.testing.assert_close(moved[0], moved[1], atol=1e-4, rtol=0)
    sizes = torch.linalg.svdvals(moved[0].flatten(1))
    assert 0.03 < sizes.min() and sizes.max() < 0.07  # 0.1 at half the scale
    assert (moved[0] * normal(8, 4, 3, 3, seed=1)).sum() < 0  # downhill


def test_it_goes_downhill_and_comes_back_from_a_checkpoint(tmp_path):
    def run(model, optimizer, steps):
        for _ in range(steps):
            loss = (model(normal(32, 6, seed=3)) - normal(32, 4, seed=4)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    def new():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Linear(6, 4)
        return model, Muon([model.weight], [model.bias], 0.05, 0.05)

    whole, parts, again = new(), new(), new()
    first, last = run(*whole, 1), run(*whole, 9)
    assert last < 0.9 * first
    run(*parts, 6)
    checkpoint.save(tmp_path / "a.safetensors", *parts, torch_generator(0), {})
    checkpoint.restore(tmp_path / "a.safetensors", *again, torch_generator(0), {})
    run(*again, 4)
    assert torch.equal(again[0].weight, whole[0].weight) and torch.equal(again[0].bias, whole[0].bias)


def test_closures_and_bad_rates():
    weight = nn.Parameter(normal(4, 4))
    assert Muon([weight], [], 0.1, 0.1).step(lambda: weight.square().sum()) > 0
    for bad in ((-1, 0.1), (0.1, -1)):
        with pytest.raises(ConfigError, match="at least 0"):
            Muon([weight], [], *bad)
