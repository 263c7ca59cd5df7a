"""Client-level privacy: clipping, noise, and ε against values that are known otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from breakthrough.errors import DtypeError, InputError, UnknownNameError
from breakthrough.federated.privacy import Budget, clip, multiplier_for, noise, private_mean, spent
from breakthrough.seeds import numpy_generator


def normal_cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2  # exact in the far tail too


def gaussian_epsilon(multiplier: float, rounds: int, delta: float) -> float:
    """ε of composed Gaussian mechanisms without sampling, exactly (Balle and Wang 2018, theorem 8), by bisection."""
    mu = math.sqrt(rounds) / multiplier
    low, high = 0.0, 100.0
    for _ in range(100):
        middle = (low + high) / 2
        over = normal_cdf(mu / 2 - middle / mu) - math.exp(middle) * normal_cdf(-mu / 2 - middle / mu) > delta
        low, high = (middle, high) if over else (low, middle)
    return high


def test_clipping_counts_all_tensors_together():
    update = {"weight": np.full((2, 2), 3.0, np.float32), "bias": np.array([8.0])}
    clipped, norm = clip(update, 5.0)
    assert norm == 10.0
    np.testing.assert_allclose(clipped["weight"], 1.5)
    np.testing.assert_allclose(clipped["bias"], [4.0])
    assert (clipped["weight"].dtype, clipped["bias"].dtype) == (np.float32, np.float64)
    assert update["bias"][0] == 8.0  # the argument is left as it was


def test_clipping_keeps_the_direction_and_leaves_short_updates_alone():
    x = numpy_generator(0, "clip").normal(size=50)
    clipped, norm = clip(x, 0.5)
    assert norm == pytest.approx(np.linalg.norm(x)) and np.linalg.norm(clipped) == pytest.approx(0.5)
    np.testing.assert_allclose(clipped / 0.5, x / norm)
    np.testing.assert_array_equal(clip(x, norm * 1.01)[0], x)
    np.testing.assert_array_equal(clip(np.zeros(3), 1.0)[0], np.zeros(3))


def test_clipping_does_not_overflow_float32():
    clipped, norm = clip(np.full(4, 3e38, np.float32), 1.0)
    assert norm == pytest.approx(6e38) and np.linalg.norm(clipped) == pytest.approx(1.0)


@pytest.mark.parametrize(("update", "limit", "error"), [
    (np.array([1.0, np.nan]), 1.0, InputError), ({"a": np.array([np.inf])}, 1.0, InputError), (np.array([1, 2]), 1.0, DtypeError),
    ({"a": [1.0]}, 1.0, DtypeError), (np.ones(2), 0.0, InputError), (np.ones(2), -1.0, InputError), (np.ones(2), math.nan, InputError),
])
def test_clipping_refuses(update, limit, error):
    with pytest.raises(error, match="expected .*, got "):
        clip(update, limit)


def test_noise_has_the_deviation_of_the_mean():
    drawn = noise(200_000, limit=2.0, multiplier=1.5, clients=10, generator=numpy_generator(0))
    assert drawn.std() == pytest.approx(0.3, rel=0.02) and abs(drawn.mean()) < 0.005
    np.testing.assert_array_equal(noise((2, 3), 1.0, 0.0, 4, numpy_generator(0)), np.zeros((2, 3)))


@pytest.mark.parametrize(("limit", "multiplier", "clients"), [(0, 1, 4), (1, -1, 4), (1, math.inf, 4), (1, 1, 0), (1, 1, 2.5)])
def test_noise_refuses(limit, multiplier, clients):
    with pytest.raises(InputError, match="expected .*, got "):
        noise(3, limit, multiplier, clients, numpy_generator(0))


def test_one_client_moves_the_private_mean_by_at_most_its_share():
    updates = [numpy_generator(i, "update").normal(size=30) for i in range(4)]
    huge = np.full(30, 1e6)
    with_it, without = (private_mean(u, 1.0, 0.7, 5, numpy_generator(9)) for u in ([*updates, huge], updates))
    assert np.linalg.norm(with_it - without) == pytest.approx(1 / 5)
    with pytest.raises(InputError):
        private_mean([], 1.0, 1.0, 5, numpy_generator(0))


@pytest.mark.parametrize(("multiplier", "rounds", "delta"), [(1.0, 1, 1e-5), (4.0, 30, 1e-2), (4.0, 30, 1e-5), (0.5, 1, 1e-3), (2.0, 100, 1e-5)])
def test_full_participation_equals_the_exact_value(multiplier, rounds, delta):
    exact = gaussian_epsilon(multiplier, rounds, delta)
    assert exact <= spent(multiplier, 1.0, rounds, delta, "prv") <= exact + 0.025  # PRV adds its error, 0.01, to be safe
    assert exact <= spent(multiplier, 1.0, rounds, delta, "rdp") <= 1.35 * exact


def test_the_exact_value_is_the_published_one():
    assert gaussian_epsilon(1.0, 1, 1e-5) == pytest.approx(4.377, abs=1e-3)  # μ = 1: Dong et al. 2022, corollary 2.13


def test_sampled_rounds_keep_to_the_moments_accountant():
    """Abadi et al. 2016, section 3.2: q = 0.01, σ = 4, 10,000 steps, δ = 1e-5 spend ε ≈ 1.26; later accounts are tighter."""
    rdp, prv = (spent(4.0, 0.01, 10_000, 1e-5, name) for name in ("rdp", "prv"))
    assert 0.9 < prv < rdp < 1.27


def test_epsilon_grows_with_rounds_and_sampling_and_falls_with_noise_and_delta():
    start = Budget(clients=100, sampled=20, multiplier=1.5, rounds=20, delta=1e-3)
    for accountant in ("prv", "rdp"):
        spent_ = [Budget(100, 20, 1.5, rounds, 1e-3).epsilon(accountant) for rounds in (1, 5, 20, 80, 320, 5000)]
        assert spent_ == sorted(spent_) and spent_[0] < spent_[-1]
        base = start.epsilon(accountant)
        assert Budget(100, 40, 1.5, 20, 1e-3).epsilon(accountant) > base
        assert Budget(100, 20, 3.0, 20, 1e-3).epsilon(accountant) < base
        assert Budget(100, 20, 1.5, 20, 1e-4).epsilon(accountant) > base


def test_a_fixed_number_of_clients_costs_more_than_poisson_sampling():
    budget = Budget(clients=10, sampled=4, multiplier=4.0, rounds=10, delta=0.02)
    assert budget.epsilon_fixed() > 3 * budget.epsilon()
    everyone = Budget(10, 10, 4.0, 10, 0.02)
    assert everyone.epsilon_fixed() == everyone.epsilon() > budget.epsilon()


def test_extremes_stay_bounds():
    assert spent(0.05, 1.0, 300, 1e-2) == pytest.approx(66_042, rel=0.05)  # rounds / 2σ² and a little: too much for PRV's grid
    assert spent(1000.0, 1.0, 1, 1e-2) == 0.0 == gaussian_epsilon(1000.0, 1, 1e-2) // 1e-3
    assert math.isfinite(spent(0.5, 1.0, 10, 1e-9))


@pytest.mark.parametrize(("epsilon", "rounds", "sampling"), [(1.0, 30, 1.0), (8.0, 30, 1.0), (4.0, 10, 0.5)])
def test_the_multiplier_is_enough_and_no_larger_than_needed(epsilon, rounds, sampling):
    multiplier = multiplier_for(epsilon, 0.02, rounds, sampling)
    assert spent(multiplier, sampling, rounds, 0.02) <= epsilon < spent(multiplier * 0.995, sampling, rounds, 0.02)


@pytest.mark.parametrize("arguments", [(0, 1e-3, 10, 1.0), (1, 0, 10, 1.0), (1, 1.0, 10, 1.0), (1, 1e-3, 0, 1.0), (1, 1e-3, 1.5, 1.0),
                                       (1, 1e-3, 10, 0.0), (1, 1e-3, 10, 1.1), (math.nan, 1e-3, 10, 1.0)])
def test_the_search_refuses(arguments):
    with pytest.raises(InputError, match="expected .*, got "):
        multiplier_for(*arguments)


@pytest.mark.parametrize("change", [{"clients": 0}, {"sampled": 11}, {"sampled": 0}, {"multiplier": 0.0}, {"rounds": 0}, {"delta": 0.0},
                                    {"delta": 0.1}, {"rounds": True}])
def test_a_budget_refuses(change):
    right = {"clients": 10, "sampled": 5, "multiplier": 1.0, "rounds": 3, "delta": 0.02}
    Budget(**right)
    with pytest.raises(InputError, match="expected .*, got "):
        Budget(**{**right, **change})


def test_a_budget_says_its_delta_and_its_accountants():
    budget = Budget(10, 10, 9.0, 30, 0.02)
    assert str(budget) == f"ε = {budget.epsilon():.2f} at δ = 0.02 after 30 rounds (every client in every round; add or remove a client)"
    with pytest.raises(UnknownNameError, match="prv"):
        budget.epsilon("prvv")
