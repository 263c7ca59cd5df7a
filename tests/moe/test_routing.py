"""Choosing experts: by token, by expert, with a bias."""

import pytest
import torch

from breakthrough.errors import ConfigError, DtypeError, ShapeError
from breakthrough.moe import MoEConfig, expert_choice, route
from breakthrough.seeds import torch_generator


def logits(tokens=7, experts=5, seed=0):
    return torch.randn(tokens, experts, generator=torch_generator(seed))


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
def test_weights_are_the_best_probabilities_renormalised(gate):
    scores = logits()
    got = route(scores, 2, gate)
    probs = scores.softmax(-1) if gate == "softmax" else scores.sigmoid()
    for t in range(len(scores)):
        best = sorted(range(5), key=lambda e: -probs[t, e])[:2]
        assert got.experts[t].tolist() == best
        total = probs[t, best].sum()
        torch.testing.assert_close(got.weights[t], probs[t, best] / total)
    assert got.experts.dtype == torch.int64


def test_bias_moves_the_choice_and_not_the_weights():
    scores, bias = logits(), torch.tensor([0.0, 0, 0, 9, 0])
    got = route(scores, 2, bias=bias)
    assert (got.experts == 3).any(1).all()
    chosen = scores.softmax(-1).gather(1, got.experts)
    torch.testing.assert_close(got.weights, chosen / chosen.sum(1, keepdim=True))


def test_without_normalisation_weights_are_probabilities():
    got = route(logits(), 3, normalize=False)
    torch.testing.assert_close(got.weights, got.probs.gather(1, got.experts))


def test_half_precision_is_routed_in_float32():
    got = route(logits().bfloat16(), 2)
    assert got.weights.dtype == got.logits.dtype == torch.float32


def test_extreme_logits_stay_finite():
    for gate in ("softmax", "sigmoid"):
        scores = torch.full((2, 4), -1e4).requires_grad_()
        weights = route(scores, 2, gate).weights
        weights.sum().backward()
        assert weights.isfinite().all() and scores.grad.isfinite().all()


def test_expert_choice_takes_each_experts_best_tokens():
    scores = logits(9, 3)
    got = expert_choice(scores, 4)
    probs = scores.softmax(-1)
    for e in range(3):
        best = sorted(range(9), key=lambda t: -probs[t, e])[:4]
        assert got.tokens[e].tolist() == best
        torch.testing.assert_close(got.weights[e], probs[best, e])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: route(logits(), 6), ShapeError, "expected 1 ≤ k ≤ E = 5, got k = 6"),
        (lambda: route(logits(), 0), ShapeError, "got k = 0"),
        (lambda: route(logits()[0], 1), ShapeError, r"expected logits \(T, E\), got \(5,\)"),
        (lambda: route(logits().long(), 1), DtypeError, "got torch.int64"),
        (lambda: route(logits(), 1, "tanh"), ConfigError, "got 'tanh'"),
        (lambda: route(logits(), 1, bias=torch.zeros(4)), ShapeError, r"expected bias \(5,\)"),
        (lambda: expert_choice(logits(), 8), ShapeError, "expected 1 ≤ capacity ≤ T = 7"),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "wrong",
    [
        {"top_k": 5},
        {"top_k": 0},
        {"d_model": 1.5},
        {"n_experts": True},
        {"n_shared": -1},
        {"capacity_factor": 0.0},
        {"capacity_factor": float("nan")},
        {"gate": "relu"},
        {"dispatch": "magic"},
    ],
    ids=str,
)
def test_config_is_validated(wrong):
    with pytest.raises(ConfigError, match="expected .*, got"):
        MoEConfig(**{"d_model": 8, "d_hidden": 8, "n_experts": 4, "top_k": 2, **wrong})


def test_capacity_is_rounded_up():
    config = MoEConfig(8, 8, n_experts=4, top_k=2, capacity_factor=1.25)
    assert (config.capacity(10), config.capacity(0)) == (7, 0)
    assert MoEConfig(8, 8, 4, 2).capacity(10) is None
