"""What lab 02 reads from its runs: two domains, families of sets, and an interval that covers the test pictures."""

import itertools
import math

import pytest
import torch

from breakthrough.errors import UnknownNameError
from breakthrough.scenes.ranges import PRESETS
from breakthrough.seeds import torch_generator
from breakthrough.train import transfer
from breakthrough.train.inspection import Score
from breakthrough.train.inspection_results import InspectionRun, Inspections
from breakthrough.train.recipe import RECIPES
from breakthrough.train.transfer import LINE, OWN


def score(right, n=100):
    return Score(((right, n - right), (0, n)))


def found(rights):
    def run(seed, right):
        tests = {"held out a": 90, "held out b": 80, "traced": right}
        return InspectionRun(seed, 1.0, (1.0,), {name: score(value) for name, value in tests.items()}, "nowhere")

    runs = {name: tuple(run(seed, right) for seed, right in enumerate(values)) for name, values in rights.items()}
    tests = ("held out a", "held out b", "traced")
    return Inspections(("none", "scratch"), tests, "cpu", (0, 1, 2), dict.fromkeys(rights, 10), runs)


OURS = {"a": "held out a", "b": "held out b"}


@pytest.fixture
def two():
    return transfer.by_domain(found({"a": (60, 62, 64), "b": (20, 26, 32)}), OURS, "traced")


def test_every_set_is_measured_on_its_own_domain_and_on_the_line(two):
    assert two.tests == (OWN, LINE)
    assert (two.accuracy("a", OWN).mean, two.accuracy("b", OWN).mean) == (0.95, 0.9)
    assert two.accuracy("a", LINE).values == (0.8, 0.81, 0.82)


@pytest.mark.parametrize(("own", "line", "text"), [
    ({"a": "held out a"}, "traced", "'b'"), (OURS | {"b": "held out c"}, "traced", "held out c"), (OURS, "photographs", "photographs"),
])
def test_a_domain_that_is_not_there_is_named(own, line, text):
    with pytest.raises(UnknownNameError, match=text):
        transfer.by_domain(found({"a": (1, 2, 3), "b": (1, 2, 3)}), own, line)


def test_a_family_of_sets_keeps_its_order_and_nothing_else(two):
    assert list(transfer.only(two, ["b", "a"]).runs) == ["b", "a"]
    assert dict(transfer.only(two, ["b"]).sizes) == {"b": 10}
    with pytest.raises(UnknownNameError, match="'c'"):
        transfer.only(two, ["c"])


def test_the_difference_covers_seeds_and_test_pictures(two):
    seeds, both = two.difference("a", "b", LINE), transfer.difference(two, "a", "b", LINE)
    assert both.mean == seeds.mean and both.values == seeds.values
    assert both.half > seeds.half
    pictures = math.hypot(*(transfer.share_half(share, 200) for share in (0.81, 0.63)))
    assert both.half == pytest.approx(math.hypot(seeds.half, pictures))


def test_identical_seeds_leave_the_interval_of_the_test_pictures():
    same = transfer.by_domain(found({"a": (60,) * 3, "b": (60,) * 3}), OURS, "traced")
    assert same.difference("a", "b", LINE).half == 0
    assert transfer.difference(same, "a", "b", LINE).half > 0.05
    assert transfer.difference(same, "a", "b", LINE).verdict == "undecided"


def test_the_interval_of_a_share_holds_the_truth_as_often_as_it_says():
    truth, n = torch.tensor([0.2, 0.6, 0.97]), 250
    trials = torch.full((4000, 3), float(n))
    shares = torch.binomial(trials, truth.expand(4000, 3), generator=torch_generator(0)) / n
    covered = torch.tensor([[abs((x * n + 2) / (n + 4) - p) <= transfer.share_half(float(x), n) for x in column]
                            for column, p in zip(shares.T, truth)]).float().mean(1)
    assert ((covered > 0.93) & (covered < 0.985)).all(), covered


def test_plans_name_sets_that_exist_and_grow():
    for plan in transfer.PLANS.values():
        assert set(plan.sets) - {"no_physics"} <= set(PRESETS) - {"line"} and {"naive", "all", "no_physics"} <= set(plan.sets)
        assert all(0 < share < 1 for share in plan.shares) and plan.name in RECIPES
    sizes = [(plan.pictures, plan.line, plan.spp, plan.steps) for plan in transfer.PLANS.values()]
    assert all(a < b for one, two in itertools.pairwise(sizes) for a, b in zip(one, two))
