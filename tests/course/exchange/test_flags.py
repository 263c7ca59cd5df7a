"""Flags and spot checks: who makes no effort is found, honest, noisy and harsh reviewers are left alone, friends show where they met."""

from dataclasses import replace

import numpy as np
import pytest
from exchange_cohorts import MIXED, SHORT, WEIGHTS, combined, module, rmse, simulation

from breakthrough.course.exchange import flags, spotcheck
from breakthrough.course.exchange.effort_model import Reviews, combine
from breakthrough.course.exchange.leave_one_out import others
from breakthrough.errors import InputError

QUICK = {"cohorts": 3, "sweeps": 150, "burn_in": 50}


def test_the_lazy_and_the_pact_are_flagged_and_hardly_anybody_else():
    of, wrong, honest = {"lazy": [0, 0], "pact": [0, 0]}, 0, 0
    for seed in range(3):
        made, one = module(60, seed, **MIXED)
        found = {flag.reviewer for flag in flags.find([one], np.random.default_rng(seed), **QUICK) if flag.kind == flags.EFFORT}
        for name, count in of.items():
            count[0] += sum(made.are(name)[who] for who in found)
            count[1] += made.are(name).sum()
        good = made.are("honest", "harsh", "noisy")
        wrong, honest = wrong + sum(good[who] for who in found), honest + good.sum()
    assert of["lazy"][0] >= 0.95 * of["lazy"][1]
    assert of["pact"][0] >= 0.6 * of["pact"][1]
    assert wrong <= 0.04 * honest


def test_of_honest_reviewers_about_the_stated_share_is_flagged():
    found = 0
    for seed in range(4):
        one = module(50, seed, noisy=0.1, harsh=0.1)[1]
        found += len(flags.find([one], np.random.default_rng(seed), rate=0.05, **QUICK))
    assert found <= 0.1 * 200


def ring(seed):
    """A cohort in which reviewers 0 and 1 read and favour each other, with works far from the top."""
    made, _ = combined(40, seed)
    data = made.reviews
    rows = [np.flatnonzero((data.reviewer == who) & (data.submission < 40))[0] for who in (0, 1)]
    submission, scores = data.submission.copy(), data.scores.copy()
    submission[rows], scores[rows] = [1, 0], 1.0
    for work in (0, 1):
        rest = np.setdiff1d(np.flatnonzero(submission == work), rows)
        scores[rest] = [0.5, 0.25, 0.5, 0.25, 0.5, 0.5]
    reviews = replace(data, submission=submission, scores=scores)
    return flags.Module(reviews, combine(reviews, WEIGHTS, np.random.default_rng(seed), **SHORT), made.author, WEIGHTS)


def test_friends_who_met_are_flagged_with_each_others_names():
    found = {one.reviewer: one for one in flags.find([ring(0)], np.random.default_rng(0), **QUICK)}
    assert {0, 1} <= set(found)
    assert found[0].kind == found[1].kind == flags.FAVOUR
    assert found[0].about == (1,) and found[1].about == (0,)
    assert found[0].statistic > found[0].threshold > 0 and "above" in found[0].says


def test_a_favour_returned_in_another_module_adds():
    one, plain = ring(1), module(40, 5)[1]
    data = one.reviews
    keep = ~((data.reviewer == 1) & (data.submission == 0))
    single = replace(data, submission=data.submission[keep], reviewer=data.reviewer[keep], scores=data.scores[keep])
    alone = flags.Module(single, replace(one.combined, made=one.combined.made[keep]), one.author, WEIGHTS)
    before = flags.favours([plain, alone])[0][0]
    after = flags.favours([one, alone])[0][0]
    assert after > before + 1


def test_modules_may_have_rubrics_of_different_lengths():
    made, one = module(12, 0)
    data = one.reviews
    longer = replace(data, scores=np.hstack([data.scores, data.scores[:, :1]]), known=np.hstack([data.known, data.known[:, :1]]))
    weights = np.full(7, 1 / 7)
    other = flags.Module(longer, combine(longer, weights, np.random.default_rng(0), **SHORT), made.author, weights)
    for modules in ([one, other], [other, one]):
        assert isinstance(flags.find(modules, np.random.default_rng(0), **QUICK), tuple)


def test_who_met_nobody_has_no_excess():
    _made, one = module(12, 0)
    data = one.reviews
    keep = (data.reviewer != 3) | (data.submission >= 12)
    cut = replace(data, submission=data.submission[keep], reviewer=data.reviewer[keep], scores=data.scores[keep])
    excess, whom = flags.favours([flags.Module(cut, replace(one.combined, made=one.combined.made[keep]), one.author, WEIGHTS)])
    assert excess[3] == 0 and whom[3] == -1
    assert (np.delete(whom, 3) >= 0).all()


def test_honest_cohorts_are_drawn_like_the_one_they_stand_for():
    made, one = module(100, 0, **MIXED)
    drawn = flags.honest_again(one, np.random.default_rng(0))
    lazy = made.are("lazy")[drawn.reviewer]
    np.testing.assert_array_equal(drawn.scores[lazy], one.reviews.scores[lazy])
    honest = made.are("honest")[drawn.reviewer]
    assert (drawn.scores[honest] != one.reviews.scores[honest]).any()
    assert drawn.scores[honest].mean() == pytest.approx(one.reviews.scores[honest].mean(), abs=0.03)
    assert drawn.scores[honest].std() == pytest.approx(one.reviews.scores[honest].std(), rel=0.15)


def test_leaving_one_out_leaves_it_out():
    made, found = combined(40, 0)
    row = int(np.flatnonzero(made.reviews.submission < 40)[0])
    first = others(made.reviews, found, WEIGHTS)
    scores = made.reviews.scores.copy()
    scores[row] = 1 - scores[row]
    second = others(replace(made.reviews, scores=scores), found, WEIGHTS)
    assert second.score[row] == pytest.approx(first.score[row])
    same = np.flatnonzero(made.reviews.submission == made.reviews.submission[row])
    assert not np.isclose(second.score[same[same != row]], first.score[same[same != row]]).any()
    honest = first.excess[made.reviews.submission < 40]
    assert abs(honest.mean()) < 0.25 and honest.std() == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("options", [{"modules": []}, {"rate": 0.0}, {"rate": 1.0}])
def test_no_modules_and_rates_that_are_none_are_refused(options):
    modules = options.pop("modules", None)
    with pytest.raises(InputError, match="expected"):
        flags.find([module(12, 0)[1]] if modules is None else modules, np.random.default_rng(0), **options)


def test_three_learners_are_not_accused():
    _made, one = module(3, 0)
    assert flags.find([one], np.random.default_rng(0), **QUICK) == ()


def test_reading_the_chosen_works_helps_more_than_reading_by_lot():
    gains = {"chosen": [], "by lot": []}
    for seed in range(4):
        made, first = combined(60, seed, **MIXED)
        chosen = [one.submission for one in spotcheck.choose(made.reviews, first, WEIGHTS, 8)]
        for name, works in (("chosen", chosen), ("by lot", np.random.default_rng(seed).permutation(60)[:8])):
            reviews = made.reviews
            for work in works:
                reviews = reviews.knowing(work, made.true[work])
            gains[name].append(rmse(combine(reviews, WEIGHTS, np.random.default_rng(seed), **SHORT).scores, made) - rmse(first.scores, made))
    assert np.mean(gains["chosen"]) < np.mean(gains["by lot"])
    assert np.mean(gains["chosen"]) < -0.005


def hand_made():
    """Ten works of five reviewers who agree, but for work 0; work 1 has one review, and the last is a specimen."""
    generator = np.random.default_rng(0)
    pairs = [(work, (work + step) % 5) for work in range(10) for step in range(3 if work != 1 else 1)] + [(10, who) for who in range(5)]
    submission, reviewer = np.array(pairs).T
    levels = generator.integers(1, 4, (11, 6))
    levels[0] = [2, 1, 3, 2, 2, 1]
    given = levels[submission] + generator.choice([-1, 0, 1], (len(pairs), 6), p=[0.1, 0.8, 0.1])
    given[submission == 0] = levels[0] + np.array([[-1], [0], [1]])
    scores = given / 4
    known = np.full((11, 6), np.nan)
    known[10] = levels[10] / 4
    return Reviews(submission, reviewer, scores, known, 5)


def test_works_are_chosen_where_reviewers_disagree_and_never_where_all_is_known():
    reviews = hand_made()
    found = combine(reviews, WEIGHTS, np.random.default_rng(0), **SHORT)
    spots = spotcheck.choose(reviews, found, WEIGHTS, 50)
    assert [one.submission for one in spots[:2]] in ([0, 1], [1, 0])
    assert {one.submission: one.reason for one in spots[:2]}[1] == spotcheck.FEW
    assert sorted(one.submission for one in spots) == list(range(10))
    assert [one.risk for one in spots] == sorted((one.risk for one in spots), reverse=True)
    assert len(spotcheck.choose(reviews, found, WEIGHTS, 3)) == 3
    assert all(one.says for one in spots)


def test_a_score_that_hangs_on_a_flagged_reviewer_is_chosen():
    reviews = hand_made()
    found = combine(reviews, WEIGHTS, np.random.default_rng(0), **SHORT)
    spots = {one.submission: one for one in spotcheck.choose(reviews, found, WEIGHTS, 50, flagged=(1,))}
    assert spots[1].reason == spotcheck.FLAGGED and spots[1].risk >= spotcheck.choose(reviews, found, WEIGHTS, 1)[0].risk * 0.5
    with pytest.raises(InputError):
        spotcheck.choose(reviews, found, WEIGHTS, -1)


def test_a_ring_that_was_not_handed_its_own_works_leaves_no_trace():
    made = simulation.cohort(40, {"ring": 0.1}, np.random.default_rng(1))
    unmet = made.are("ring") & ~made.met
    again = simulation.cohort(40, {"ring": 0.1}, np.random.default_rng(1))
    assert unmet.any()
    rows = unmet[again.reviews.reviewer]
    assert not (again.reviews.scores[rows] == 1).all(1).all()
