"""Claim C10: latency against parameters, operations and the roof."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from breakthrough.deploy.latency import Latencies, Samples
from breakthrough.deploy.latency_figures import draw_limits
from breakthrough.deploy.limits import PLANS, Limits, Measured, Plan, Point, Wide, measure_point, points, run_limits
from breakthrough.deploy.roofline import Level, Machine, Roof
from breakthrough.deploy.variants import EAGER
from breakthrough.deploy.verdicts import real_time
from breakthrough.errors import ConfigError, UnknownNameError

MACHINE = Machine("made", (Roof(1, {"float32": 100e9}, (Level("L1", 1 << 15, 100e9), Level("memory", 0, 10e9))),))
PLAN = Plan("made", points(wide=(64,), pixels=(64,)), (EAGER,), 10, 0.1)


def measured(family: str, params: float, seconds: float, bound_s: float | None = None) -> Measured:
    samples = (Samples(EAGER, ((seconds,) * 40,) * 10, (seconds,) * 10),)
    bound = bound_s or seconds / 1.2
    return Measured(family, 1, 64, int(params), int(bound * 1e11), int(params * 4), bound, (), Latencies(samples, EAGER, 1, "made", 0.0))


def study(*nets: Measured) -> Limits:
    return Limits("made", 1, MACHINE, {}, nets)


def test_a_point_is_counted_and_bounded():
    found = measure_point(Point("wide", 64), PLAN, MACHINE)
    weights = 192 * 64 + 64 + 64 * 64 + 64 + 64 * 5 + 5
    assert found.params == weights and found.flops > 2 * (weights - 133) and found.latencies[EAGER].runs == 10
    assert found.bound_s >= 4 * weights / 10e9  # the weights come out of memory at least: no cache of that machine holds them
    assert found.ms(EAGER) > 0 and found.ms(EAGER, 0.99) is None and found.ms("magic") is None


def test_families_grow_in_what_they_say():
    plain, pixels = (Point("plain", 8).model(), Point("plain", 16).model()), (Point("pixels", 64, 64), Point("pixels", 128, 128))
    assert sum(x.numel() for x in plain[1].parameters()) > 3 * sum(x.numel() for x in plain[0].parameters())
    assert [point.example().shape for point in pixels] == [(1, 3, 64, 64), (1, 3, 128, 128)]
    assert points(pixels=(128,), wide=(9,)) == (Point("pixels", 128, 128), Point("wide", 9, 64))
    assert Wide(16, torch.Generator().manual_seed(0))(torch.ones(2, 3, 32, 32)).shape == (2, 5)
    for plan in PLANS.values():
        assert {point.family for point in plan.points} == {"mobile", "plain", "wide", "pixels"} and plan.variants[0] == EAGER


def test_what_explains_the_times_is_found():
    generator = np.random.default_rng(0)
    nets = [measured("plain", 10 ** generator.uniform(5, 8), 10 ** generator.uniform(-4, -1)) for _ in range(30)]
    found = study(*nets)
    assert found.explained("bound_s") == pytest.approx(1) and found.explained("params") < 0.3
    with pytest.raises(UnknownNameError, match="quantity"):
        found.explained("colour")
    with pytest.raises(ConfigError, match="3 nets"):
        study(*nets[:2]).explained("params")


def test_who_keeps_a_deadline():
    found = study(measured("wide", 65e6, 0.009), measured("mobile", 1.5e6, 0.001), measured("pixels", 1e5, 0.05))
    assert [net.family for net in found.within(0.01)] == ["wide", "mobile"] and [net.family for net in found.beyond(0.01)] == ["pixels"]
    assert found.within(0.01, family="pixels") == [] and "65.0 M" in str(found)


@pytest.mark.parametrize(
    ("large_s", "small_s", "verdict"),
    [(0.009, 0.05, "does not hold"), (0.009, 0.001, "holds under conditions"), (0.05, 0.05, "holds under conditions"), (0.05, 0.001, "holds")],
)
def test_the_verdict_needs_a_large_net_in_time_and_a_small_one_late(large_s, small_s, verdict):
    found = real_time(study(measured("wide", 65e6, large_s), measured("mobile", 1.5e6, 0.001), measured("pixels", 1e5, small_s)))
    assert found.claim == "C10" and found.verdict == verdict and 0 <= found.number <= 1


def test_no_verdict_without_a_large_net():
    assert real_time(study(measured("wide", 4e6, 0.01), measured("mobile", 1.5e6, 0.001), measured("pixels", 1e5, 0.05))).verdict == "cannot be tested here"


def test_a_study_goes_on_and_is_data_text_and_picture(tmp_path):
    first = run_limits(replace(PLAN, points=PLAN.points[:1]), folder=tmp_path, progress=False)
    again = run_limits(replace(PLAN, points=(*PLAN.points, Point("plain", 8))), folder=tmp_path, progress=False)
    assert again.nets[0] == first.nets[0] and len(again.nets) == 3 == len(list(tmp_path.iterdir()))
    assert Limits.from_dict(json.loads(json.dumps(again.to_dict()))) == again
    assert "R² of log latency" in str(again) and "33 ms" in str(again)
    left, right = draw_limits(again).axes
    assert left.get_xlabel() == "million parameters" and "R²" in left.get_title() and len(right.get_legend().get_texts()) == 4
    with pytest.raises(UnknownNameError, match="plan"):
        run_limits("huge")
