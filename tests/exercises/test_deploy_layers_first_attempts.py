"""First attempts at module 5's layers, folded and in int8, as a beginner writes them: each is named for its main mistake."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from breakthrough.exercises import card, judge, load

# BatchNorm folded


def as_in_a_blog(conv, bn):
    w = conv.weight.clone().view(conv.out_channels, -1)
    w_bn = torch.diag(bn.weight.div(torch.sqrt(bn.eps + bn.running_var)))
    fused = torch.mm(w_bn, w).view(conv.weight.size())
    b_conv = conv.bias if conv.bias is not None else torch.zeros(conv.weight.size(0))
    b_bn = bn.bias - bn.weight.mul(bn.running_mean).div(torch.sqrt(bn.running_var + bn.eps))
    return fused, b_conv + b_bn


def no_bias_at_all(conv, bn):
    std = torch.sqrt(bn.running_var + bn.eps)
    return conv.weight * (bn.weight / std).reshape(-1, 1, 1, 1), bn.bias - bn.weight * bn.running_mean / std


def bias_taken_for_granted(conv, bn):
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    return conv.weight * scale[:, None, None, None], scale * (conv.bias - bn.running_mean) + bn.bias


def bias_taken_for_granted_without_mean(conv, bn):
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    return conv.weight * scale[:, None, None, None], scale * conv.bias + bn.bias


def std_is_the_variance(conv, bn):
    scale = bn.weight / (bn.running_var + bn.eps)
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    return conv.weight * scale[:, None, None, None], (bias - bn.running_mean) * scale + bn.bias


def eps_in_the_wrong_place(conv, bn):
    scale = bn.weight / (bn.running_var**0.5 + bn.eps)
    bias = 0 if conv.bias is None else conv.bias
    return conv.weight * scale[:, None, None, None], (bias - bn.running_mean) * scale + bn.bias


def eps_from_memory(conv, bn, eps=1e-5):
    scale = bn.weight / torch.sqrt(bn.running_var + eps)
    bias = 0 if conv.bias is None else conv.bias
    return conv.weight * scale[:, None, None, None], (bias - bn.running_mean) * scale + bn.bias


def broadcast_at_the_end(conv, bn):
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    bias = torch.zeros_like(scale) if conv.bias is None else conv.bias
    return conv.weight * scale, (bias - bn.running_mean) * scale + bn.bias


def in_the_layer(conv, bn):
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    bias = torch.zeros_like(scale) if conv.bias is None else conv.bias
    conv.weight.data *= scale.view(-1, 1, 1, 1)
    return conv.weight, (bias - bn.running_mean) * scale + bn.bias


# codes that fit


def plain_absmax(w, low, high, bits):
    scales = w.abs().amax(dim=1) / 127
    return torch.round(w / scales[:, None]).to(torch.int8), scales


def bound_by_count(w, low, high, bits):
    top = min(127, (2 ** (bits - 1) - 1) // (w.shape[1] * max(abs(low), abs(high))))
    scales = w.abs().amax(dim=1).clamp(min=1e-12) / max(top, 1)
    return torch.round(w / scales[:, None]).to(torch.int8), scales


def _search(w, fits, tops=range(127, 0, -1)):
    codes, scales = torch.zeros(w.shape, dtype=torch.int8), torch.ones(w.shape[0])
    for o in range(w.shape[0]):
        if w[o].abs().max() == 0:
            continue
        for top in tops:
            s = w[o].abs().max() / top
            q = torch.round(w[o] / s)
            codes[o], scales[o] = q.to(torch.int8), s
            if fits(q):
                break
    return codes, scales


def by_absolute_sum(w, low, high, bits):
    return _search(w, lambda q: q.abs().sum() * max(-low, high) <= 2 ** (bits - 1) - 1)


def by_signed_sum(w, low, high, bits):
    return _search(w, lambda q: abs(q.sum()) * max(-low, high) <= 2 ** (bits - 1) - 1)


def unsigned_range(w, low, high, bits):
    def fits(q):
        hi, lo = np.maximum(q.numpy() * low, q.numpy() * high).sum(), np.minimum(q.numpy() * low, q.numpy() * high).sum()
        return hi < 2**bits and lo >= -(2**bits)

    return _search(w, fits)


def inclusive(w, low, high, bits):
    def fits(q):
        return torch.maximum(q * low, q * high).sum() <= 2 ** (bits - 1) and torch.minimum(q * low, q * high).sum() >= -(2 ** (bits - 1))

    return _search(w, fits)


def symmetric(w, low, high, bits):
    limit = 2 ** (bits - 1) - 1
    return _search(w, lambda q: max(torch.maximum(q * low, q * high).sum(), -torch.minimum(q * low, q * high).sum()) <= limit)


def high_only(w, low, high, bits):
    return _search(w, lambda q: q.clamp(min=0).sum() * high < 2 ** (bits - 1) and q.clamp(max=0).sum() * high >= -(2 ** (bits - 1)))


def all_inputs_alike(w, low, high, bits):
    return _search(w, lambda q: q.sum() * high <= 2 ** (bits - 1) - 1 and q.sum() * low >= -(2 ** (bits - 1)))


def taken_away(w, low, high, bits):
    def fits(q):
        above, below = q.clamp(min=0).sum(), q.clamp(max=0).sum()
        return above * high - below * low < 2 ** (bits - 1) and above * low - below * high >= -(2 ** (bits - 1))

    return _search(w, fits)


def by_a_bit(w, low, high, bits):
    def fits(q):
        return torch.maximum(q * low, q * high).sum() < 2 ** (bits - 1) and torch.minimum(q * low, q * high).sum() >= -(2 ** (bits - 1))

    return _search(w, fits, [127 >> k for k in range(7)])


def whole_layer(w, low, high, bits):
    for top in range(127, 0, -1):
        scale = w.abs().max() / top
        q = torch.round(w / scale)
        most, least = torch.maximum(q * low, q * high).sum(1).max(), torch.minimum(q * low, q * high).sum(1).min()
        if most <= 2 ** (bits - 1) - 1 and least >= -(2 ** (bits - 1)):
            break
    return q.to(torch.int8), scale.repeat(len(w))


def overflows_while_checking(w, low, high, bits):
    def fits(q):
        q = q.to(torch.int8)
        return torch.maximum(q * low, q * high).sum() < 2 ** (bits - 1) and torch.minimum(q * low, q * high).sum() >= -(2 ** (bits - 1))

    return _search(w, fits)


ATTEMPTS = [
    ("deploy.fold", as_in_a_blog, "the convolution's bias not scaled"),
    ("deploy.fold", no_bias_at_all, "the convolution's bias lost"),
    ("deploy.fold", bias_taken_for_granted, "not every convolution has a bias"),
    ("deploy.fold", bias_taken_for_granted_without_mean, "the mean left out"),
    ("deploy.fold", std_is_the_variance, "divided by the variance"),
    ("deploy.fold", eps_in_the_wrong_place, "ε outside the root"),
    ("deploy.fold", eps_from_memory, "another ε"),
    ("deploy.fold", broadcast_at_the_end, "along the input channels"),
    ("deploy.fold", in_the_layer, "the layer itself changed"),
    ("deploy.accumulate", plain_absmax, "the sum not looked at"),
    ("deploy.accumulate", bound_by_count, "every weight the largest"),
    ("deploy.accumulate", by_absolute_sum, "as if every input had both signs"),
    ("deploy.accumulate", by_signed_sum, "weights that cancel"),
    ("deploy.accumulate", unsigned_range, "without the sign bit"),
    ("deploy.accumulate", inclusive, "one too many"),
    ("deploy.accumulate", symmetric, "as far down as up"),
    ("deploy.accumulate", high_only, "as if no input were below zero"),
    ("deploy.accumulate", all_inputs_alike, "weights that cancel"),
    ("deploy.accumulate", taken_away, "taken away, not added"),
    ("deploy.accumulate", by_a_bit, "halved until it fits"),
    ("deploy.accumulate", whole_layer, "one scale for the layer"),
    ("deploy.accumulate", overflows_while_checking, "checked in 8 bits"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_at_a_layer_is_named_for_its_main_mistake(name, answer, mistake):
    for seed in range(3):
        verdict = judge(load(name), answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else None
        assert found == mistake, card.plain(verdict, 1)


UNRELATED = {
    "deploy.fold": lambda conv, bn: (conv.weight * 0.37, bn.bias * 0 + 0.37),
    "deploy.accumulate": lambda w, low, high, bits: ((w.sign() * 3).to(torch.int8), torch.full((len(w),), 0.37)),
}


@pytest.mark.parametrize("name", UNRELATED)
def test_what_is_like_no_known_mistake_of_a_layer_is_not_named_after_one(name):
    verdict = judge(load(name), UNRELATED[name], 0)
    assert verdict.status == "wrong" and verdict.diagnosis is None, verdict.diagnosis
