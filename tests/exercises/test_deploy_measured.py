"""Module 5, folding to reading tables: the references against independent facts, and what is said of no answer."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from breakthrough.exercises import judge, load
from breakthrough.exercises.deploy_accumulate import fit_codes
from breakthrough.exercises.deploy_batch import batches
from breakthrough.exercises.deploy_batch_trial import looked
from breakthrough.exercises.deploy_fold import fold
from breakthrough.exercises.deploy_percentile import percentile
from breakthrough.exercises.deploy_table import read
from breakthrough.seeds import numpy_generator, torch_generator

CASES = {name: list(load(name).cases(torch_generator(0, name))) for name in ("deploy.fold", "deploy.batch", "deploy.table", "deploy.percentile")}


@pytest.mark.parametrize("case", CASES["deploy.fold"], ids=lambda case: case.label)
def test_the_folded_convolution_computes_what_both_layers_did(case):
    conv, bn = case.args
    weight, bias = fold(conv, bn)
    one = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, groups=conv.groups)
    with torch.no_grad():
        one.weight.copy_(weight)
        one.bias.copy_(bias)
        x = torch.randn(2, conv.in_channels, 6, 6, generator=torch_generator(1))
        assert not bn.training and torch.allclose(one(x), bn(conv(x)), rtol=1e-4, atol=1e-3)


def worst_inputs(codes, low, high):
    """The inputs that make the largest and the least sum, by the sign of each code."""
    up = torch.where(codes > 0, high, low)
    return (codes.long() * up).sum(), (codes.long() * (low + high - up)).sum()


@pytest.mark.parametrize(("low", "high", "bits"), [(-127, 127, 16), (0, 255, 16), (-8, 7, 12), (-127, 127, 32)])
def test_the_worst_input_fits_and_one_more_step_would_not(low, high, bits):
    w = torch.randn(8, 30, generator=torch_generator(2))
    codes, scales = fit_codes(w, low, high, bits)
    for row, code, scale in zip(w, codes, scales):
        most, least = worst_inputs(code, low, high)
        assert -(2 ** (bits - 1)) <= least and most < 2 ** (bits - 1)
        top = int(code.abs().max())
        assert (code * scale - row).abs().max() <= scale / 2 * (1 + 1e-4)
        if top < 127:
            most, least = worst_inputs(torch.round(row / row.abs().max() * (top + 1)), low, high)
            assert least < -(2 ** (bits - 1)) or most >= 2 ** (bits - 1)
    assert bits < 32 or (codes.abs().amax(1) == 127).all()


def test_no_random_input_overflows_where_absmax_codes_would():
    w, draw = torch.randn(4, 64, generator=torch_generator(3)), torch_generator(4)
    codes, _ = fit_codes(w, -127, 127, 16)
    plain = torch.round(w / w.abs().amax(1, keepdim=True) * 127)
    x = torch.randint(-127, 128, (2000, 64), generator=draw)
    assert (x @ codes.long().T).abs().max() < 2**15 < (x @ plain.long().T).abs().max()


def test_the_interval_of_a_percentile_holds_the_true_one_as_often_as_it_says():
    draw, true, hits = numpy_generator(5, "runs"), -math.log(0.1), []  # the p90 of an exponential distribution
    for _ in range(600):
        _, low, high = percentile(draw.exponential(size=60).tolist(), 90, 0.9)
        hits.append(low <= true < high)
    assert 0.9 - 0.025 <= np.mean(hits) <= 0.97


def test_a_percentile_by_hand():
    assert percentile([5.0, 1.0, 4.0, 2.0, 3.0], 50, 0.9) == (3.0, 1.0, 5.0)
    assert percentile([5.0, 1.0, 4.0, 2.0, 3.0], 50) == (3.0, 0.0, math.inf)  # 1 / 32 is more than 0.025


def test_p99_has_an_upper_bound_from_368_runs_on():
    assert percentile([1.0] * 367, 99)[2] == math.inf and percentile([1.0] * 368, 99)[2] == 1.0
    assert 0.99**368 <= 0.025 < 0.99**367


def test_six_times_in_ten_none_of_50_runs_reaches_the_p99():
    assert 0.6 < 0.99**50 < 0.61


@pytest.mark.parametrize("case", CASES["deploy.batch"], ids=lambda case: case.label)
def test_every_request_is_answered_once_and_nobody_waits_beyond_reason(case):
    arrivals, max_size, max_wait, _max_queue, service = case.args
    served, refused = batches(*case.args)
    answered = [number for _, numbers in served for number in numbers]
    assert sorted(answered + refused) == list(range(len(arrivals))) and answered == sorted(answered)
    free = 0
    for start, numbers in served:
        assert start >= free and 1 <= len(numbers) <= max_size
        # never idle with a batch due: it starts when the engine gets free, the deadline comes, or the batch is full
        assert start in (free, arrivals[numbers[0]] + max_wait, arrivals[numbers[-1]])
        assert start <= max(free, arrivals[numbers[0]] + max_wait)
        free = start + service[len(numbers)]
    assert case.look((served, refused)).broken == ""


def test_a_batcher_by_hand():
    assert batches([2, 5, 9, 20, 26], 3, 10, 8, {1: 5, 2: 6, 3: 7}) == ([(9, [0, 1, 2]), (30, [3, 4])], [])
    assert batches([0, 0, 0, 1], 2, 5, 2, {1: 3, 2: 4}) == ([(0, [0, 1]), (6, [3])], [2])


BROKEN = {
    "starts at 3 ms with request 1, which arrives at 5 ms": [(3, [0, 1])],
    "batch 0 has 4 requests": [(30, [0, 1, 2, 3])],
    "batch 0 has 0 requests": [(30, [])],
    "the engine is busy until 16 ms": [(9, [0, 1, 2]), (12, [3])],
    "request 4 is lost": [(9, [0, 1, 2]), (30, [3])],
    "request 2 is answered twice": [(9, [0, 1, 2]), (30, [2, 3, 4])],
    "batch 0 holds request 5": [(30, [5])],
}


@pytest.mark.parametrize("says", BROKEN)
def test_a_timetable_that_cannot_be_is_told_the_rule_that_it_breaks(says):
    found = looked([2, 5, 9, 10, 11], 3, 10, 8, {1: 5, 2: 6, 3: 7})((BROKEN[says], []))
    assert says in found.broken


def test_the_card_shows_the_first_batch_that_differs():
    late = judge(load("deploy.batch"), lambda *args: ([(start + 1, numbers) for start, numbers in batches(*args)[0]], []), 0)
    assert (late.difference.expected, late.difference.got) == ("batch 0 at 9 ms with 0, 1, 2", "batch 0 at 10 ms with 0, 1, 2")


def test_the_coin_is_the_interval_of_the_median_and_five_pairs_show_nothing():
    row = {"warmup": 0, "batch": 1, "threads": 1, "max_error": 0.0}
    for n in range(1, 30):
        for wins in range(n + 1):
            mine = [1.0] * n
            theirs = [2.0 if i < wins else 0.5 for i in range(n)]
            verdict, _ratio = read({**row, "seconds": mine}, {**row, "seconds": theirs}, "latency", 1e-4)
            _, low, high = percentile(theirs, 50)
            assert verdict == ("holds" if low > 1 else "does not hold" if high < 1 else "not shown")
            tail = sum(Fraction(math.comb(n, k), 2**n) for k in range(wins, n + 1))
            assert (verdict == "holds") == (tail <= Fraction(1, 40))
            assert n > 5 or verdict == "not shown"


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("deploy.fold", lambda conv, bn: conv, "not 2 values"),
        ("deploy.fold", lambda conv, bn: None, "is there a `return`?"),
        ("deploy.accumulate", lambda w, low, high, bits: fit_codes(w, low, high, bits)[0], "other parts than expected"),
        ("deploy.percentile", lambda latencies_s, percent, confidence=0.95: max(latencies_s), "not 3 values"),
        ("deploy.percentile", lambda latencies_s: 1, "the arguments do not fit"),
        ("deploy.batch", lambda *args: None, "is there a `return`?"),
        ("deploy.batch", lambda *args: batches(*args)[0], "a list of the numbers refused"),
        ("deploy.batch", lambda *args: 5, "a list of the numbers refused"),
        ("deploy.table", lambda *args: read(*args)[0], "other parts than expected"),
        ("deploy.table", lambda *args: None, "is there a `return`?"),
        ("deploy.table", 5, "not a function"),
    ],
)
def test_what_is_no_answer_is_said_in_a_sentence(name, answer, says):
    verdict = judge(load(name), answer, 0)
    assert verdict.status == "wrong" and says in verdict.difference.text and not verdict.traceback, verdict.difference
