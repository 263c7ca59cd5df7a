"""The effort model: it recovers what cohorts were made of, its intervals are honest, keys are kept, and odd input is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from exchange_cohorts import MIXED, SHORT, WEIGHTS, combined, rmse, simulation

from breakthrough.course.exchange import rounding
from breakthrough.course.exchange.effort_model import Reviews, combine
from breakthrough.course.exchange.habits import Habits
from breakthrough.errors import InputError, ShapeError


def reviews(scores, known=None, submission=None, reviewer=None, people=3):
    scores = np.array(scores, float)
    rows = np.arange(len(scores))
    known = np.full((len(scores), scores.shape[1]), np.nan) if known is None else np.array(known, float)
    return Reviews(rows if submission is None else np.array(submission), rows % people if reviewer is None else np.array(reviewer), scores, known, people)


@pytest.mark.parametrize("colluding", ["pact", "ring"])
def test_with_lazy_and_colluding_reviewers_the_error_is_half_the_plain_means(colluding):
    ratios = []
    for seed in range(3):
        made, found = combined(80, seed, lazy=0.3, **{colluding: 0.1})
        ratios.append(rmse(found.scores, made) / rmse(simulation.mean(made.reviews), made))
    assert np.mean(ratios) <= 0.5


def test_with_honest_reviewers_nothing_is_lost_to_the_plain_mean():
    for seed in range(3):
        made, found = combined(40, seed)
        assert rmse(found.scores, made) < 1.05 * rmse(simulation.mean(made.reviews), made)
        assert found.effort.min() > 0.5


def test_intervals_of_90_percent_hold_about_90_percent():
    inside = []
    for seed in range(8):
        made, found = combined(40, seed, noisy=0.2)
        inside.append((found.low[:40] <= made.total) & (made.total <= found.high[:40]))
    assert 0.84 <= np.mean(inside) <= 0.96


def test_bias_noise_and_effort_tell_kinds_of_reviewers_apart():
    made, found = combined(100, 0, **MIXED)
    of = {name: made.are(name) for name in MIXED} | {"honest": made.are("honest")}
    assert found.bias[of["harsh"]].mean() < found.bias[of["honest"]].mean() - 0.12
    assert found.noise[of["noisy"]].mean() > 1.3 * found.noise[of["honest"]].mean()
    assert found.effort[of["lazy"]].max() < 0.5 < found.effort[of["honest"]].min()
    assert found.effort[of["pact"]].mean() < 0.5 < found.effort[of["harsh"]].mean()


def test_population_is_recovered():
    people = combined(200, 0)[1].population
    np.testing.assert_allclose(people.mean, simulation.MEANS, atol=0.05)
    assert people.quality_sd == pytest.approx(simulation.QUALITY_SD, abs=0.03)
    assert people.impression_sd == pytest.approx(simulation.IMPRESSION_SD, abs=0.02)


def test_known_scores_stay_and_help_the_others():
    made, before = combined(40, 1, **MIXED)
    read = made.reviews
    for work in range(0, 40, 2):
        read = read.knowing(work, made.true[work])
    after = combine(read, WEIGHTS, np.random.default_rng(0), **SHORT)
    np.testing.assert_allclose(after.criteria[:40:2], made.true[::2])
    np.testing.assert_allclose(after.low[:40:2], after.high[:40:2])
    unread = slice(1, 40, 2)
    assert np.abs(after.scores[unread] - made.total[1::2]).mean() <= np.abs(before.scores[unread] - made.total[1::2]).mean() + 0.003
    assert np.isnan(made.reviews.known[0]).all(), "reviews are not changed, others are made"


def test_the_order_of_reviews_and_the_names_of_reviewers_do_not_matter():
    made, found = combined(40, 2, **MIXED)
    generator = np.random.default_rng(5)
    order, names = generator.permutation(len(made.reviews.scores)), generator.permutation(40)
    data = made.reviews
    mixed = replace(data, submission=data.submission[order], reviewer=names[data.reviewer[order]], scores=data.scores[order])
    other = combine(mixed, WEIGHTS, generator, **SHORT)
    assert np.abs(other.scores - found.scores).mean() < 0.35 * found.sd[:40].mean()  # of chance in sampling
    assert abs((other.scores - found.scores).mean()) < 0.02
    assert np.corrcoef(other.bias[names], found.bias)[0, 1] > 0.9


def test_one_generator_gives_one_result():
    made = combined(12, 0)[0]
    first, second = (combine(made.reviews, WEIGHTS, np.random.default_rng(3), sweeps=20, burn_in=5) for _ in range(2))
    np.testing.assert_array_equal(first.scores, second.scores)
    np.testing.assert_array_equal(first.made, second.made)


def test_three_learners_get_wide_intervals_and_scores_within_the_scale():
    for seed in range(5):
        made = simulation.cohort(3, {}, generator := np.random.default_rng(seed), k=2)
        found = combine(made.reviews, WEIGHTS, generator, **SHORT)
        width = (found.high - found.low)[:3]
        assert width.min() > 0.1 and width.max() < 0.6
        assert found.low.min() >= 0 and found.high.max() <= 1


def test_a_work_without_reviews_is_known_as_little_as_the_population():
    made, found = combined(40, 0)
    data = made.reviews
    rows = data.submission != 7
    other = replace(data, submission=data.submission[rows], reviewer=data.reviewer[rows], scores=data.scores[rows])
    alone = combine(other, WEIGHTS, np.random.default_rng(0), **SHORT)
    assert alone.sd[7] > 2 * found.sd[7]
    assert alone.scores[7] == pytest.approx(alone.population.mean @ WEIGHTS, abs=0.05)


def test_criteria_that_were_left_out_are_no_zeros():
    made, found = combined(40, 3)
    scores = made.reviews.scores.copy()
    scores[::3, 2] = np.nan
    gaps = combine(replace(made.reviews, scores=scores), WEIGHTS, np.random.default_rng(0), **SHORT)
    assert np.isfinite(gaps.criteria).all()
    assert np.abs(gaps.scores - found.scores).max() < 0.08


def test_without_effort_every_review_counts():
    made = combined(40, 0, **MIXED)[0]
    plain = combine(made.reviews, WEIGHTS, np.random.default_rng(0), effort=False, **SHORT)
    assert (plain.made == 1).all()


@pytest.mark.parametrize(("change", "error"), [
    ({"submission": np.array([0, 1])}, ShapeError),
    ({"known": np.full((3, 5), np.nan)}, ShapeError),
    ({"scores": np.full((3, 2), 1.25)}, InputError),
    ({"scores": np.full((3, 2), 0.6)}, InputError),
    ({"scores": np.full((3, 2), np.nan)}, InputError),
    ({"submission": np.array([0, 1, 3])}, InputError),
    ({"reviewer": np.array([0, 1, -1])}, InputError),
    ({"reviewer": np.array([0.0, 1.0, 2.0])}, InputError),
    ({"known": np.array([[np.nan, 1.0], [0.5, 0.5], [1.0, 1.0]])}, InputError),
])
def test_reviews_that_do_not_fit_are_refused(change, error):
    with pytest.raises(error, match="expected"):
        replace(reviews(np.full((3, 2), 0.5)), **change)


@pytest.mark.parametrize(("weights", "options"), [([1.0], {}), ([0.6, 0.6], {}), ([1.5, -0.5], {}), ([0.5, 0.5], {"sweeps": 5, "burn_in": 5})])
def test_weights_and_sweeps_that_do_not_fit_are_refused(weights, options):
    with pytest.raises(InputError, match="expected"):
        combine(reviews(np.full((3, 2), 0.5)), np.array(weights), np.random.default_rng(0), **options)


def test_rounded_normals_have_the_right_chances_and_draws():
    low, high = np.array([-1.0, 0.5, 3.0, -np.inf, 5.0]), np.array([1.0, 0.7, 4.0, -2.0, np.inf])
    cut = rounding.Cut(low, high)
    exact = [0.5 * (math.erfc(a / 2**0.5) - math.erfc(b / 2**0.5)) for a, b in zip(low, high, strict=True)]
    np.testing.assert_allclose(cut.chance, exact, rtol=2e-5)
    many = rounding.Cut(np.full(20_000, 0.5), np.full(20_000, 1.5)).draw(np.random.default_rng(0))
    density = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (0.5, 1.5)]
    assert many.min() >= 0.5 and many.max() <= 1.5
    assert many.mean() == pytest.approx((density[0] - density[1]) / (0.5 * (math.erfc(0.5 / 2**0.5) - math.erfc(1.5 / 2**0.5))), abs=0.01)
    far = rounding.Cut(np.array([20.0]), np.array([21.0])).draw(np.random.default_rng(0))
    assert 20 <= far[0] <= 21, "where the chance is nothing, a draw still lies between"


def test_edges_of_levels():
    low, high = rounding.edges(np.array([0.0, 0.25, 1.0]), 5)
    np.testing.assert_allclose(low, [-np.inf, 0.125, 0.875])
    np.testing.assert_allclose(high, [0.125, 0.375, np.inf])


def test_habits_are_likelihoods_of_levels():
    every = np.array(np.meshgrid(*[np.linspace(0, 1, 3)] * 3)).reshape(3, -1).T  # all reviews with 3 criteria and levels
    habits = Habits(every, 3)
    assert np.exp(habits.likelihood()).sum() == pytest.approx(1)
    assert habits.likelihood().argmax() == np.flatnonzero((every == 1).all(1))[0]
    habits.learn(np.ones(len(every), bool), np.random.default_rng(0))
    assert np.exp(habits.likelihood()).sum() == pytest.approx(1)
