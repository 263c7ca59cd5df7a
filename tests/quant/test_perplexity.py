"""Perplexity against a slow definition, and what it refuses."""

import math

import pytest
import torch
from quantized_toys import answer, dense, sparse, tokens, transformers_models

from breakthrough.errors import InputError, ShapeError
from breakthrough.quant.apply import quantize
from breakthrough.quant.perplexity import Perplexity, byte_windows, perplexity, token_windows


@pytest.mark.parametrize("make", [dense, sparse, lambda: quantize(dense(), "nf4"), lambda: transformers_models()["gpt2"]])
def test_it_is_the_mean_over_all_tokens_but_the_first(make):
    model, windows = make(), tokens(5, 25)
    logs = [float(answer(model, row[None, :-1])[0].log_softmax(-1)[t, row[t + 1]]) for row in windows for t in range(24)]
    for chunk in (2, 64):
        found = perplexity(model, windows, chunk)
        assert found.nats == pytest.approx(-sum(logs) / len(logs), rel=1e-5) and found.tokens == 120
    assert found.value == pytest.approx(math.exp(found.nats)) and abs(found.nats - math.log(256)) < 1.5


def test_the_model_is_left_in_its_mode():
    for training in (True, False):
        model = dense().train(training)
        perplexity(model, tokens(2, 25))
        assert model.training is training


def test_the_rise_is_a_share_of_the_perplexity():
    assert Perplexity(math.log(4.2), 9).rise(Perplexity(math.log(4.0), 9)) == pytest.approx(0.05)


def test_windows_are_always_the_same_and_of_the_text():
    text = bytes(range(200)) * 3
    found = byte_windows(dense(), text, 7)
    assert found.shape == (7, 25) and torch.equal(found, byte_windows(dense(), text, 7))
    assert bytes(found[0].tolist()) == text[:25] and bytes(found[-1].tolist()) == text[-25:]
    assert byte_windows(dense(), count=3).shape == (3, 25)
    assert token_windows(torch.arange(100), 30).shape == (3, 31) and token_windows(torch.arange(31), 30).shape == (1, 31)


def broken():
    model = dense()
    with torch.no_grad():
        model.norm.weight.fill_(float("nan"))
    return model


@pytest.mark.parametrize(("compute", "error", "said"), [
    (lambda: perplexity(dense(), tokens(2, 1)), ShapeError, "expected windows of shape"),
    (lambda: perplexity(dense(), tokens(0, 25)), ShapeError, "expected windows of shape"),
    (lambda: byte_windows(dense(), b"short"), ShapeError, "expected at least 25 bytes, a whole window, got 5"),
    (lambda: token_windows(torch.arange(5), 30), ShapeError, "expected at least 31"),
    (lambda: perplexity(broken(), tokens(2, 25)), InputError, "expected finite scores"),
])
def test_what_cannot_be_measured_is_refused(compute, error, said):
    with pytest.raises(error, match=said):
        compute()
