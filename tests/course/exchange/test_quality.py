"""The quality of reviews: honest above noisy above harsh above lazy; parts, missing reviews, odd input."""

from dataclasses import replace

import numpy as np
import pytest
from exchange_cohorts import MIXED, WEIGHTS, combined

from breakthrough.course.exchange import quality
from breakthrough.errors import InputError, ShapeError


def grade(made, found, **options):
    people = made.reviews.reviewers
    settings = {"due": np.bincount(made.reviews.reviewer, minlength=people), "completeness": np.ones(people)} | options
    return quality.grade(made.reviews, found, WEIGHTS, settings.pop("due"), **settings)


def test_weights_sum_to_one():
    assert sum(quality.WEIGHTS.values()) == pytest.approx(1)


def test_kinds_of_reviewers_come_in_the_order_one_would_say():
    made, found = combined(100, 0, **MIXED)
    got = grade(made, found)
    means = {name: got.score[made.are(name)].mean() for name in ("honest", "noisy", "harsh", "lazy", "pact")}
    assert means["honest"] > 0.8 > means["harsh"] > means["lazy"]
    assert means["honest"] > means["noisy"] > means["pact"]
    assert got.calibration[made.are("lazy")].max() < 0.05
    assert (got.score >= 0).all() and (got.score <= 1).all()


def test_the_key_itself_is_worth_everything_and_the_usual_levels_nothing():
    made, found = combined(12, 0)
    data = made.reviews
    rows = np.flatnonzero(data.keyed[data.submission])
    data.scores[rows], saved = data.known[data.submission[rows]], data.scores[rows].copy()
    assert quality.calibration(data, found, WEIGHTS) == pytest.approx(1)
    data.scores[rows] = np.abs(data.known[data.submission[rows]] - 0.5) + np.where(data.known[data.submission[rows]] > 0.5, 0, 0.5)
    assert quality.calibration(data, found, WEIGHTS).max() < 0.6
    data.scores[rows] = saved


def test_missing_reviews_lower_the_score_in_proportion_and_are_reported():
    made, found = combined(40, 0)
    due = np.bincount(made.reviews.reviewer, minlength=40)
    whole, half = grade(made, found, due=due), grade(made, found, due=2 * due)
    assert half.score == pytest.approx(whole.score / 2)
    assert half.handed_in == pytest.approx(0.5) and whole.handed_in == pytest.approx(1)


def test_findings_and_completeness_enter_by_their_weights():
    made, found = combined(40, 0)
    none, full = grade(made, found, findings=np.zeros(40)), grade(made, found, findings=np.ones(40))
    assert full.score - none.score == pytest.approx(quality.WEIGHTS["findings"])
    gaps = grade(made, found, findings=np.ones(40), completeness=np.zeros(40))
    assert full.score - gaps.score == pytest.approx(quality.WEIGHTS["completeness"])


def test_a_part_that_cannot_be_told_leaves_its_weight_to_the_others():
    made, found = combined(40, 0)
    without = grade(made, found)
    parts = {name: getattr(without, name)[0] for name in ("calibration", "agreement", "completeness")}
    total = sum(quality.WEIGHTS[name] * value for name, value in parts.items()) / sum(quality.WEIGHTS[name] for name in parts)
    assert without.score[0] == pytest.approx(total)
    assert np.isnan(without.findings).all()


def test_who_reviewed_nothing_has_nothing():
    made, found = combined(12, 0)
    data, keep = made.reviews, made.reviews.reviewer != 4
    cut = replace(data, submission=data.submission[keep], reviewer=data.reviewer[keep], scores=data.scores[keep])
    got = quality.grade(cut, replace(found, made=found.made[keep]), WEIGHTS, np.full(12, 4), completeness=np.ones(12))
    assert got.score[4] == 0 and got.handed_in[4] == 0 and np.isnan(got.calibration[4])


@pytest.mark.parametrize(("options", "error"), [
    ({"completeness": np.ones(3)}, ShapeError), ({"findings": np.full(12, 1.2)}, InputError), ({"due": np.full(12, -1)}, InputError),
])
def test_numbers_that_do_not_fit_are_refused(options, error):
    with pytest.raises(error, match="expected"):
        grade(*combined(12, 0), **options)
