"""Module 5's exercises on loops: what the references compute, and what is judged of an answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from breakthrough.exercises import bank, card, judge, load
from breakthrough.exercises.deploy_flops import layer_cost
from breakthrough.exercises.deploy_fuse import fused
from breakthrough.exercises.deploy_memory import Refused, Slow
from breakthrough.exercises.deploy_roofline import roofline
from breakthrough.exercises.deploy_tile import tiled


def named(name, answer, seeds=(0, 1, 2)):
    for seed in seeds:
        verdict = judge(load(name), answer, seed)
        yield verdict.diagnosis.name if verdict.diagnosis else verdict.status


def test_a_layers_cost_by_hand():
    conv = nn.Conv2d(2, 3, 3)
    assert layer_cost(conv, (1, 2, 4, 5)) == (2 * 18 * 18 + 18, 4 * (40 + 54 + 3 + 18))
    assert layer_cost(nn.Linear(3, 2, bias=False), (5, 3), 1) == (60, 15 + 6 + 10)


def test_a_layers_flops_are_torchs_own_count():
    from torch.utils.flop_counter import FlopCounterMode

    conv, x = nn.Conv2d(8, 12, (3, 5), stride=2, padding=1, dilation=2, groups=4, bias=False), torch.randn(2, 8, 19, 23)
    with FlopCounterMode(display=False) as counter:
        conv(x)
    assert layer_cost(conv, tuple(x.shape))[0] == counter.get_total_flops()


def test_the_roofline_by_hand():
    found = roofline([(64.0, 32.0), (960.0, 60.0)], 16.0, 2.0)
    assert found == {"intensity": [2.0, 16.0], "attainable": [4.0, 16.0], "least_s": [16.0, 60.0], "bound": ["memory", "compute"], "net_s": 76.0}


def test_slow_memory_counts_and_refuses():
    x = Slow(np.arange(12.0).reshape(3, 4), 6)
    assert x[0:2, 1:3].tolist() == [[1, 2], [5, 6]] and x[2, 3] == 11 and x[1, :].shape == (4,)
    assert (x.loaded, x.largest, x.shape, len(x)) == (9, 4, (3, 4), 3)
    for where, fault in [((slice(2, 4), slice(0, 1)), "beyond the edge"), ((slice(None), slice(None)), "more than a block")]:
        with pytest.raises(Refused) as refused:
            x[where]
        assert refused.value.fault == fault
    for use in (np.asarray, list, lambda x: x @ x, lambda x: x * 2):
        with pytest.raises(Refused):
            use(x)
    with pytest.raises(Refused, match="does not fit"):
        x[0:2, 0:2] = np.zeros((3, 3))


def test_tiles_load_a_tile_fraction_of_what_single_numbers_take():
    a, b, c = Slow(np.ones((8, 8)), 16, "a"), Slow(np.ones((8, 8)), 16, "b"), Slow.empty((8, 8), 16, "c")
    tiled(a, b, c, 4)
    assert (a.loaded, b.loaded, c.loaded, c.stored) == (8**3 // 4, 8**3 // 4, 0, 64)
    assert (c.peek() == 8).all()


def test_one_pass_is_torchs_softmax():
    scores, values = torch.randn(29, generator=torch.Generator().manual_seed(0)) * 5, torch.eye(29)
    out = fused(Slow(scores.numpy(), 4), Slow(values.numpy(), 4 * 29), 4)
    assert np.allclose(out, scores.softmax(0).numpy(), atol=1e-6)


# first attempts, as a beginner writes them


def macs(layer, shape, number_bytes=4):
    x = torch.zeros(shape)
    y = layer(x)
    inside = layer.weight[0].numel()
    total = x.numel() + y.numel() + sum(p.numel() for p in layer.parameters())
    return y.numel() * inside, total * number_bytes


def no_bias(layer, shape, number_bytes=4):
    y = layer(torch.zeros(shape))
    return 2 * y.numel() * layer.weight[0].numel(), number_bytes * (torch.zeros(shape).numel() + layer.weight.numel() + y.numel())


def with_division(layers, peak, bandwidth):
    intensity = [f / b for f, b in layers]
    attainable = [min(peak, i * bandwidth) for i in intensity]
    least_s = [f / a for (f, _), a in zip(layers, attainable)]
    return {"intensity": intensity, "attainable": attainable, "least_s": least_s,
            "bound": ["memory" if i < peak / bandwidth else "compute" for i in intensity], "net_s": sum(least_s)}  # fmt: skip


def three_loops(a, b, c, tile):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = 0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


def numpy_slices(a, b, c, tile):
    for i in range(0, a.shape[0], tile):
        for j in range(0, b.shape[1], tile):
            for k in range(0, a.shape[1], tile):
                c[i : i + tile, j : j + tile] = a[i : i + tile, k : k + tile] @ b[k : k + tile, j : j + tile]


def tiles_counted(a, b, c, tile):
    for i in range(a.shape[0] // tile):
        for j in range(b.shape[1] // tile):
            total = np.zeros((tile, tile))
            for k in range(a.shape[1] // tile):
                total += a[i * tile : (i + 1) * tile, k * tile : (k + 1) * tile] @ b[k * tile : (k + 1) * tile, j * tile : (j + 1) * tile]
            c[i * tile : (i + 1) * tile, j * tile : (j + 1) * tile] = total


def textbook(scores, values, block):
    weights = np.exp(scores) / np.exp(scores).sum()
    return weights @ values


def by_block(scores, values, block):
    out, n = 0, len(scores)
    for i in range(0, n, block):
        s = scores[i : min(n, i + block)]
        weights = np.exp(s - s.max())
        out = out + weights / weights.sum() @ values[i : min(n, i + block)]
    return out


def online_without_the_sum(scores, values, block):
    m, total, out, n = -np.inf, 0, 0, len(scores)
    for i in range(0, n, block):
        s = scores[i : min(n, i + block)]
        new = max(m, s.max())
        total = total * np.exp(m - new) + np.exp(s - new).sum()
        out = out + np.exp(s - new) @ values[i : min(n, i + block)]
        m = new
    return out / total


def unguarded(scores, values, block):
    m, total, out, n = -np.inf, 0, 0, len(scores)
    for i in range(0, n, block):
        s = scores[i : min(n, i + block)]
        new = max(m, s.max())
        total = total * np.exp(m - new) + np.exp(s - new).sum()
        out = out * np.exp(m - new) + np.exp(s - new) @ values[i : min(n, i + block)]
        m = new
    return out / total


ATTEMPTS = [
    ("deploy.flops", macs, "multiply-adds"),
    ("deploy.flops", no_bias, "bias forgotten"),
    ("deploy.roofline", with_division, "a layer without FLOPs"),
    ("deploy.tile", three_loops, "one at a time"),
    ("deploy.tile", numpy_slices, "overwritten"),
    ("deploy.tile", tiles_counted, "edges left out"),
    ("deploy.fuse", textbook, "more than a block"),
    ("deploy.fuse", by_block, "a softmax for each block"),
    ("deploy.fuse", online_without_the_sum, "the sum not shrunk"),
    ("deploy.fuse", unguarded, "nothing minus nothing"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_is_named_for_its_main_mistake(name, answer, mistake):
    assert set(named(name, answer)) == {mistake}


@pytest.mark.parametrize("name", [name for name, one in bank("deploy").items() if not one.question and not one.training])
def test_what_is_no_function_is_told_in_one_sentence(name):
    verdict = judge(load(name), 5, 0)
    assert verdict.status == "wrong" and "\n" not in card.headline(verdict) and "function" in card.headline(verdict)


FORMS = {
    "the list of batches alone": [(1, [0]), (9, [1])],
    "not a list of (start, numbers": 5,
    "the first part is an int": (2, []),
    "batch 1 is an int, not a pair": ([(1, [0]), 7], []),
    "batch 0 has an int behind its start": ([(1, 0)], []),
    "the second part is an int": ([(1, [0])], 0),
    "not a number": ([("early", [0])], []),
}


@pytest.mark.parametrize("said", FORMS)
def test_what_is_wrong_with_a_timetables_form_is_named_part_by_part(said):
    verdict = judge(load("deploy.batch"), lambda *requests: FORMS[said], 0)
    assert verdict.status == "wrong" and said in verdict.difference.text
