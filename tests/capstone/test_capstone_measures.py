"""Differences of shares, verdicts at their edges, thresholds and costs, against numbers worked out another way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from breakthrough.capstone.cost import Assumptions, best_throughput, decided
from breakthrough.capstone.decision import Told, odds, probability
from breakthrough.capstone.measures import FAILS, GOAL, HOLDS, apart, judged, needed, plain, verdict
from breakthrough.errors import ConfigError, InputError
from breakthrough.quant.inspecting import Share, share


def of(right: int, n: int) -> Share:
    return share(np.arange(n) < right)


def test_a_difference_of_two_shares_is_newcombes():
    # Newcombe 1998, table II, example (a): 56/70 − 48/80 = 0.2, method 10: 0.0524 to 0.3339
    found = apart(of(56, 70), of(48, 80))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert found.n == 150
    back = apart(of(48, 80), of(56, 70))
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))


def test_a_difference_covers_what_is_true_as_often_as_it_says():
    draw, covered = np.random.default_rng(0), 0
    for _ in range(2000):
        found = apart(share(draw.random(300) < 0.95), share(draw.random(80) < 0.85))
        covered += found.low <= 0.1 <= found.high
    assert 0.93 < covered / 2000 < 0.98


@pytest.mark.parametrize(("right", "n", "said"), [
    (765, 765, HOLDS), (764, 764, "cannot be told from 764 pictures"), (4997, 5000, HOLDS), (60, 60, "cannot be told from 60 pictures"),
    (950, 1000, FAILS), (0, 1, FAILS), (0, 0, "cannot be told from 0 pictures"), (4975, 5000, "cannot be told from 5,000 pictures"),
])
def test_a_verdict_is_given_only_where_the_whole_interval_allows_it(right, n, said):
    assert verdict(of(right, n)) == said


@pytest.mark.parametrize(("right", "per"), [(1, 1), (999, 1000), (998, 1000), (99, 100), (9, 10)])
def test_so_many_pictures_would_tell_and_not_one_fewer(right, per):
    # Wilson's bounds for that many pictures at just this rate, which need not be a whole number of pictures
    p, n = right / per, needed(right / per)

    def bounds(n):
        middle, half = p + 1.96**2 / (2 * n), 1.96 * math.sqrt(p * (1 - p) / n + 1.96**2 / (4 * n * n))
        return ((middle - half) / (1 + 1.96**2 / n), (middle + half) / (1 + 1.96**2 / n))

    assert not bounds(n)[0] <= GOAL <= bounds(n)[1]
    assert n == 1 or bounds(n - 1)[0] <= GOAL <= bounds(n - 1)[1]


def test_no_number_of_pictures_tells_a_rate_that_is_the_goal():
    assert needed(GOAL) is None and needed(math.nan) is None
    assert judged(of(0, 0)) == {"value": None, "low": None, "high": None, "n": 0, "verdict": "cannot be told from 0 pictures", "needed": None}


def test_pictures_that_would_tell_are_named_only_where_nothing_is_told():
    assert judged(of(60, 60))["needed"] == 765
    assert judged(of(1, 10))["needed"] is None and judged(of(5000, 5000))["needed"] is None


def test_odds_are_those_of_the_softmax_and_do_not_overflow():
    scores = np.random.default_rng(0).normal(size=(50, 5)) * 3
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert odds(scores, 2) == pytest.approx(np.log((1 - p[:, 2]) / p[:, 2]))
    assert [probability(x) for x in odds(scores, 2)] == pytest.approx((1 - p[:, 2]).tolist())
    far = odds(np.array([[1000.0, 0.0, 0.0], [0.0, 1000.0, 0.0]], np.float32), 0)
    assert far[0] == pytest.approx(math.log(2) - 1000) and far[1] == pytest.approx(1000)
    assert probability(1000) == 1 and probability(-1000) == 0


def made(seed: int = 0, n: int = 300) -> Told:
    draw = np.random.default_rng(seed)
    faulty = np.arange(n) % 3 > 0
    return Told(np.round(draw.normal(size=n) + 2 * faulty, 1), faulty)  # rounded, so that scores are equal


@pytest.mark.parametrize("goal", [0.5, 0.9, 0.995, 1.0])
def test_the_threshold_for_a_goal_stops_enough_and_no_sound_part_more(goal):
    told = made()
    at = told.threshold_for(goal)
    stopped = told.values >= at
    assert stopped[told.faulty].mean() >= goal
    higher = told.values >= np.nextafter(told.values[stopped].min(), np.inf)  # one score fewer is stopped
    assert higher[told.faulty].mean() < goal


def test_a_goal_may_be_met_to_the_last_defect():
    told = Told(np.arange(400.0), np.arange(400) >= 200)
    assert told.at(told.threshold_for(0.995))[0].value == 0.995  # 199 of 200
    assert told.threshold_for(1.0) == 199.5


def test_rates_at_thresholds_are_counted_one_by_one():
    told, places = made(1), np.array([-5.0, 0.0, 0.3, 1.0, 99.0])
    recall, alarms = told.rates(places)
    assert recall.tolist() == [float((told.values[told.faulty] >= t).mean()) for t in places]
    assert alarms.tolist() == [float((told.values[~told.faulty] >= t).mean()) for t in places]


def test_the_cheapest_threshold_is_cheaper_than_any_other():
    told, prices = made(2), Assumptions(faulty=0.3, escape_eur=10, reinspection_eur=3)

    def cost(t):
        stopped = told.values >= t
        return prices.decided_eur(stopped[told.faulty].mean(), stopped[~told.faulty].mean())

    best = cost(told.cheapest(prices.decided_eur))
    assert best == pytest.approx(min(cost(t) for t in np.linspace(-5, 8, 2001)))
    dear = made(2).cheapest(Assumptions(faulty=0.3, escape_eur=1e6).decided_eur)
    assert dear < told.values[told.faulty].min()  # nothing may escape


def test_a_threshold_needs_both_kinds_of_parts():
    for faulty in (np.ones(5, bool), np.zeros(5, bool)):
        told = Told(np.arange(5.0), faulty)
        with pytest.raises(InputError, match="sound and of faulty"):
            told.threshold_for(0.9)
        with pytest.raises(InputError, match="sound and of faulty"):
            told.cheapest(Assumptions().decided_eur)
        assert told.curve() == {"false_alarms": [], "recall": []}


def test_the_curve_keeps_the_area_of_all_its_points():
    told = made(3)
    curve, places = told.curve(), np.unique(told.values)[::-1]
    recall, alarms = told.rates(places)
    whole = np.trapezoid(np.append(0, recall), np.append(0, alarms))
    assert np.trapezoid(curve["recall"], curve["false_alarms"]) == pytest.approx(whole)
    assert (curve["recall"][0], curve["false_alarms"][0]) == (0, 0) and (curve["recall"][-1], curve["false_alarms"][-1]) == (1, 1)
    plain_steps = Told(np.arange(100.0), np.arange(100) >= 50).curve()
    assert plain_steps == {"false_alarms": [0, 0, 1], "recall": [0, 1, 1]}


def test_the_price_of_a_thousand_inspections_by_hand():
    prices = Assumptions(faulty=0.02, escape_eur=50, reinspection_eur=0.5)
    found = decided(prices, of(90, 100), of(1, 100))
    assert found["escaped_eur"] == pytest.approx(2 * 50)  # of 20 defects 2 pass
    assert found["looked_at_eur"] == pytest.approx((18 + 9.8) * 0.5)
    assert found["total_eur"] == pytest.approx(113.9)
    assert found["low_eur"] < found["total_eur"] < found["high_eur"]
    assert decided(prices, of(0, 0), of(1, 2)) is None


def test_the_price_of_boxes_by_hand():
    prices = Assumptions(box_eur=720, box_years=5, hours_a_year=4000, box_watts=36, kwh_eur=0.2, parts_a_second=1)
    found = prices.box_for(50.0)
    assert found == pytest.approx({"boxes": 1, "box_eur": 720 / 72_000, "power_eur": 0.036 * 0.2 / 3.6, "total_eur": 0.012})
    assert prices.box_for(0.4)["boxes"] == 3 and prices.box_for(None)["boxes"] == 1
    assert best_throughput([{"throughput": 3.0}, {"throughput": 9.0}]) == 9 and best_throughput([]) is None


@pytest.mark.parametrize("wrong", [{"faulty": 1.2}, {"faulty": -0.1}, {"box_years": 0}, {"parts_a_second": 0}, {"kwh_eur": math.nan}, {"escape_eur": math.inf}])
def test_assumptions_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Assumptions(**wrong)


def test_assumptions_are_a_table_with_units():
    rows = Assumptions(box_eur=1).table()
    assert rows[0][:3] == ("box_eur", 1, "€") and len(rows) == 9 and all(row[3] for row in rows)


def test_a_share_of_nothing_is_none():
    assert plain(of(0, 0)) == {"value": None, "low": None, "high": None, "n": 0}
