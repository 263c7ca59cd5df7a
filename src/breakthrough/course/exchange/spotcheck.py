"""Which works the instructor should read: where reviewers disagree, where little is known, where a score hangs on one reviewer.

A work's risk is the error to be expected of its score, squared: the model's own variance, and that of the mean of its reviews by
how far they lie apart. Reviews count as much as effort was made and as reliable as their reviewers are: that somebody who did not
read disagrees with somebody who did says nothing about the work. Works are ranked by risk; a score of which a flagged
reviewer gives most of what is known counts as if nothing but the population were known.

Shapes: R reviews, U submissions, V reviewers, J criteria
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from breakthrough.course.exchange.effort_model import Combined, Reviews
from breakthrough.course.exchange.leave_one_out import others, review_variance, totals
from breakthrough.errors import InputError, expected
from breakthrough.language import counted

MOST = 0.5  # of what is known about a work
FEW, APART, WIDE, FLAGGED = "few reviews", "reviewers disagree", "little is known", "hangs on a flagged reviewer"


@dataclass(frozen=True)
class Spot:
    """A work to read, and why. `risk` is the error to be expected of its score, as a standard deviation."""

    submission: int
    risk: float
    reason: str
    says: str


def choose(reviews: Reviews, combined: Combined, weights: np.ndarray, count: int, *, flagged: Collection[int] = ()) -> tuple[Spot, ...]:
    """The works to read first, most uncertain first; those whose scores are known are left out.

    Shapes: weights (J,), which sum to 1
    Raises: InputError for a count below 0
    Source: reading where the variance is largest: uncertainty sampling, Lewis and Gale 1994; Settles 2009, section 3.1
    """
    if count < 0:
        raise InputError(expected("a number of works from 0", count))
    apart, model = disagreement(reviews, combined, weights), combined.sd
    hangs = _hangs(reviews, combined, weights, flagged)
    people = combined.population
    nothing = np.sqrt(people.quality_sd**2 + (weights**2 * people.own_sd**2).sum())
    risk = np.hypot(np.where(hangs, np.maximum(nothing, model), model), apart)
    read = np.bincount(reviews.submission, minlength=len(reviews.known))
    order = [int(work) for work in np.lexsort((-read, -risk)) if not reviews.keyed[work]]
    return tuple(_spot(work, risk, read, apart, model, hangs) for work in order[:count])


def disagreement(reviews: Reviews, combined: Combined, weights: np.ndarray) -> np.ndarray:
    """The standard error of the mean of a work's reviews by how far they lie apart; 0 where only one made an effort. (U,)."""
    def of_works(values: np.ndarray) -> np.ndarray:
        return np.bincount(reviews.submission, values, len(reviews.known))

    own = totals(reviews, weights, combined.population.mean) - combined.bias[reviews.reviewer]
    knows = combined.made / review_variance(reviews, combined, weights)
    total, count = np.maximum(of_works(knows), 1e-9), of_works(combined.made)
    mean = of_works(knows * own) / total
    squares = of_works(knows * (own - mean[reviews.submission]) ** 2)
    return np.where(count > 1.5, np.sqrt(squares / total / np.maximum(count - 1, 0.5)), 0.0)


def _hangs(reviews: Reviews, combined: Combined, weights: np.ndarray, flagged: Collection[int]) -> np.ndarray:
    share = others(reviews, combined, weights).share * np.isin(reviews.reviewer, list(flagged))
    return np.bincount(reviews.submission, share, len(reviews.known)) > MOST


def _spot(work: int, risk: np.ndarray, read: np.ndarray, apart: np.ndarray, model: np.ndarray, hangs: np.ndarray) -> Spot:
    if hangs[work]:
        reason, says = FLAGGED, "most of what is known about this work comes from a reviewer with a flag"
    elif read[work] < 2:
        reason, says = FEW, f"{counted(read[work], 'review')} of this work"
    elif apart[work] >= model[work]:
        reason, says = APART, f"its {read[work]} reviewers disagree: their mean is good to ± {apart[work]:.2f}"
    else:
        reason, says = WIDE, f"the score is known to ± {model[work]:.2f}: its reviewers are noisy, or made little effort"
    return Spot(work, float(risk[work]), reason, says)
