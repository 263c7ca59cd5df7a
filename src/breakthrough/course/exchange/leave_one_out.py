"""Each review against what all the others say about the same work.

Given biases, noises and efforts, true scores and reviews are jointly normal, so that a work's score without one of its
reviews is a weighted mean: of the population's mean and the other reviews, weights one over variance.

Shapes: R reviews, U submissions, V reviewers, J criteria
Units:  scores as a share of the points, 0 to 1
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from breakthrough.course.exchange.effort_model import Combined, Reviews


@dataclass(frozen=True)
class Others:
    """What the other reviews of a work say, for each review.

    Shapes: all (R,): `given` the review's score; `score`, `sd` the others' about the work; `expected_sd` how far an honest review
            lies from `score` once its reviewer's bias is off; `excess` (given - bias - score) / expected_sd; `share` of what is
            known about the work that this review gives
    """

    given: np.ndarray
    score: np.ndarray
    sd: np.ndarray
    expected_sd: np.ndarray
    excess: np.ndarray
    share: np.ndarray


def others(reviews: Reviews, combined: Combined, weights: np.ndarray) -> Others:
    """Compare every review with the others of its work, or with the work's key.

    Shapes: weights (J,), which sum to 1
    Source: the conditional distributions of PG1, Piech et al. 2013
    """
    people, who, work = combined.population, reviews.reviewer, reviews.submission
    given = totals(reviews, weights, people.mean)
    own = given - combined.bias[who]
    variance = review_variance(reviews, combined, weights)  # (R,)
    knows = combined.made / variance
    prior = 1 / (people.quality_sd**2 + (weights**2 * people.own_sd**2).sum())
    count = len(reviews.known)
    precision = prior + np.bincount(work, knows, count)[work] - knows
    score = (prior * (people.mean @ weights) + np.bincount(work, knows * own, count)[work] - knows * own) / precision
    keyed = reviews.keyed[work]
    score = np.where(keyed, np.nan_to_num(reviews.known)[work] @ weights, score)
    sd = np.where(keyed, 0.0, precision**-0.5)
    spread = np.sqrt(sd**2 + variance)
    share = np.where(keyed, 0.0, knows / (precision + knows))
    return Others(given, score, sd, spread, (own - score) / spread, share)


def totals(reviews: Reviews, weights: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The score over all criteria that each review gives; a criterion left out is taken to lie off its mean as the others do.

    Shapes: weights (J,), mean (J,) → (R,)
    """
    rated = np.isfinite(reviews.scores)
    off = np.where(rated, reviews.scores - mean, 0.0) @ weights
    return mean @ weights + off / np.maximum(rated @ weights, 1e-9)


def review_variance(reviews: Reviews, combined: Combined, weights: np.ndarray) -> np.ndarray:
    """The variance of a review's score about its work's and its reviewer's bias: impression, noise and rounding. (R,)."""
    rounding = (1 / (reviews.levels - 1)) ** 2 / 12
    rated = np.isfinite(reviews.scores)
    spread = (rated @ weights**2) / np.maximum(rated @ weights, 1e-9) ** 2
    return combined.population.impression_sd**2 + spread * (combined.noise[reviews.reviewer] ** 2 + rounding)
