"""Measuring in turns: percentiles with intervals, the order of turns, ratios by block, text, JSON and picture."""

import json
import math

import numpy as np
import pytest

from breakthrough.deploy.latency import Latencies, Samples, measure, milliseconds, turn
from breakthrough.deploy.latency_figures import draw_latencies
from breakthrough.deploy.percentiles import interval_ranks, least_runs, quantile
from breakthrough.errors import InputError, UnknownNameError


def made(slower: float = 2.0, blocks: int = 10, calls: int = 50, share: float = 1.0) -> Latencies:
    """Two functions on a machine whose blocks differ in speed, one of them so many times slower."""
    generator = np.random.default_rng(0)
    pace = 1e-3 * (1 + np.arange(blocks))
    noise = generator.uniform(0.9, 1.1, (2, blocks, calls))
    rows = [tuple(map(tuple, factor * pace[:, None] * noise[which])) for which, factor in enumerate((1.0, slower))]
    samples = (Samples(name, row, tuple(share * factor * pace)) for name, row, factor in zip("ab", rows, (1.0, slower)))
    return Latencies(tuple(samples), "a", 1, "made", 0.0)


def binomial(n: int, p: float, ranks: tuple[int, int]) -> float:
    """The probability that the p-quantile lies between two ranks, summed plainly."""
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(ranks[0], ranks[1]))


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_the_interval_encloses_as_often_as_it_says_and_no_rank_less_would(p):
    n = 400
    low, high = interval_ranks(n, p)
    assert 1 <= low <= math.ceil(p * n) <= high <= n
    assert binomial(n, p, (low, high)) >= 0.95
    below = lambda rank: sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(rank))  # noqa: E731
    assert below(low) <= 0.025 < below(low + 1) and below(high) >= 0.975 > below(high - 1)


def test_no_percentile_where_runs_are_too_few():
    assert [least_runs(p) for p in (0.5, 0.9, 0.99)] == [6, 36, 368]
    for p, n in ((0.5, 6), (0.9, 36), (0.99, 368)):
        assert quantile(range(n - 1), p) is None and quantile(range(n), p) is not None


def test_a_percentile_is_a_value_of_the_sample():
    found = quantile(list(range(1, 1001))[::-1], 0.9)
    assert found.value == 900 and found.low < 900 < found.high
    assert quantile([3.0] * 400, 0.99).high == 3.0


def test_the_order_of_turns_changes_and_nobody_is_always_after_the_same():
    names = ["a", "b", "c"]
    orders = [turn(names, block) for block in range(6)]
    assert orders[:3] == [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]]
    assert all(sorted(order) == names for order in orders) and {order[0] for order in orders} == set(names)
    assert [turn(["a", "b"], block) for block in range(4)] == [["a", "b"], ["b", "a"], ["b", "a"], ["a", "b"]]


def test_every_function_is_called_as_often_as_said():
    calls: list[str] = []
    found = measure({name: lambda name=name: calls.append(name) for name in "ab"}, runs=25, warmup=3, blocks=5, settle=2)
    assert all(calls.count(name) == 3 + 5 * (5 + 2) for name in "ab")
    assert found["a"].runs == 25 and [len(block) for block in found["b"].wall_s] == [5] * 5 and len(found["b"].cpu_s) == 5
    assert (found["a"].all_s > 0).all() and found.threads >= 1 and found.machine and found.baseline == "a"


def test_a_slow_function_gets_fewer_runs():
    found = measure({"quick": lambda: None, "slow": lambda: sum(range(100_000))}, runs=1000, warmup=2, blocks=4, limit_s=0.02)
    assert 4 <= found["slow"].runs < 200 < found["quick"].runs == 1000


def test_a_ratio_does_not_see_what_slows_a_whole_block():
    found = made(slower=2.0)
    speed = found.speedup("b")
    assert speed.value == pytest.approx(0.5, rel=0.02) and 0.47 < speed.low <= speed.value <= speed.high < 0.53
    assert found.speedup("a", against="b").value == pytest.approx(2.0, rel=0.02)
    assert found.speedup("a").low == found.speedup("a").high == 1.0
    few = made(blocks=3).speedup("b")
    assert few.low == 0 and math.isinf(few.high)


def test_what_was_measured_as_data_text_and_picture():
    found = made()
    assert Latencies.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
    rows = str(found).splitlines()
    assert len(rows) == 4 and "p99" in rows[1] and "0.5" in rows[3].rpartition("11.0 ")[2] and "too few" not in rows[3]
    assert "too few runs" in str(made(blocks=6, calls=10)) and "–" in str(made(blocks=6, calls=10))
    (axes,) = draw_latencies(found).axes
    assert axes.get_xscale() == "log" and len(axes.get_legend().get_texts()) == 2
    marks = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    assert len(marks) == 6  # three percentiles of each
    assert len([line for line in draw_latencies(made(calls=5)).axes[0].lines if line.get_marker() not in ("None", None, "")]) == 4


def test_a_busy_machine_is_told_and_cpu_time_does_not_see_it():
    quiet, busy = made(), made(share=0.7)
    assert quiet.busy < 0.02 and quiet.warning() == "" and busy.busy == pytest.approx(0.3, abs=0.02)
    assert "30% of the time" in busy.warning() or "29% of the time" in busy.warning()
    assert "busy" in str(busy) and "busy" not in str(quiet) and busy.speedup("b", of="cpu").value == pytest.approx(0.5)
    assert quiet.clock == "wall" and quiet.speedup("b") == quiet.speedup("b", of="wall")
    assert busy.clock == "cpu" and busy.speedup("b") == busy.speedup("b", of="cpu")
    with pytest.raises(UnknownNameError, match="clock"):
        quiet.speedup("b", of="sun")


def test_a_long_call_that_others_interrupt_is_no_slower_by_the_clock_that_is_chosen():
    short = Samples("short", ((1.0,) * 5,) * 6, (1.0,) * 6)
    long = Samples("long", ((30.0,) * 5,) * 6, (10.0,) * 6)  # two thirds of the time others had the core
    found = Latencies((long, short), "long", 1, "a machine", 3.0)
    assert found.speedup("short", of="wall").value == 30 and found.speedup("short").value == 10
    assert found.blocks_s("long") == (10.0,) * 6


def test_the_median_call_is_a_call_as_every_percentile_is():
    even = Samples("even", ((1.0, 2.0, 3.0, 10.0) * 10,), (4.0,))
    assert even.p50_s == even.quantile(0.5).value == 2.0


def test_milliseconds_have_three_digits():
    assert [milliseconds(x) for x in (0.0000123, 0.000123, 0.00123, 0.0123, 0.123, 12.3, 0)] == ["0.0123", "0.123", "1.23", "12.3", "123", "12300", "0"]


def test_what_cannot_be_measured():
    with pytest.raises(InputError, match="a function or more"):
        measure({})
    with pytest.raises(InputError, match="1 run"):
        measure({"a": print}, runs=0)
    with pytest.raises(UnknownNameError, match="function"):
        measure({"a": print}, baseline="b")
    with pytest.raises(UnknownNameError, match="function"):
        made().speedup("c")
    with pytest.raises(InputError, match="between 0 and 1"):
        quantile([1.0], 1.0)
