"""Combining peers' scores: true scores, reviewers' biases and reliabilities, and who made no effort, at once.

The model is that of Zarkoob, d'Eon, Podina and Leyton-Brown, "Better Peer Grading through Bayesian Inference" (AAAI 2023,
arXiv:2209.01242), which adds effort to PG1 of Piech et al., "Tuned Models of Peer Assessment in MOOCs" (EDM 2013):

    true scores    s[u, j] ~ N(mu[j], 1 / lambda[j])            submission u, criterion j
    bias           b[v]    ~ N(0, 1 / eta)                      reviewer v
    reliability    tau[v]  ~ Gamma(alpha, beta)                 1 / variance of the reviewer's noise
    effort         e[v]    ~ Beta(a, b);  made[r] ~ Bernoulli(e[v])     review r of reviewer v
    scores         z[r, j] ~ N(s[u, j] + b[v], 1 / tau[v])      when an effort was made
                   z[r, j] ~ one of a few low-effort habits     otherwise

A calibration specimen is a submission whose scores are known. What differs from the paper: scores stay on the scale 0 to 1
with a Gaussian for their rounding, in place of censored bins, and the low-effort habits are a mixture of "the same for
every criterion" (most of it at full marks) and a uniform one.

Shapes: R reviews, U submissions, V reviewers, J criteria
Units:  scores as a share of a criterion's points, 0 to 1
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from breakthrough.errors import InputError, ShapeError, expected


@dataclass(frozen=True)
class Priors:
    """What is believed before anything is read. The defaults are wide; `mu` and `lambda` are learned."""

    bias_sd: float = 0.08
    alpha: float = 4.0  # reliability: mean alpha / beta = 100, noise of about 0.1
    beta: float = 0.04
    effort_a: float = 4.0
    effort_b: float = 1.0
    width: float = 0.02  # of a habit: how exactly it is kept
    full: float = 0.7  # of those who give the same everywhere, how many give full marks
    same: float = 0.8  # of the low-effort reviews, how many give the same everywhere


@dataclass(frozen=True)
class Reviews:
    """Who reviewed what, and how.

    Shapes: `submission` (R,), `reviewer` (R,) numbers from 0; `scores` (R, J); `known` (U, J), NaN where no key is known
    """

    submission: np.ndarray
    reviewer: np.ndarray
    scores: np.ndarray
    known: np.ndarray
    reviewers: int

    def __post_init__(self) -> None:
        rows, criteria = self.scores.shape if self.scores.ndim == 2 else (-1, -1)
        if self.submission.shape != (rows,) or self.reviewer.shape != (rows,) or self.known.shape[1:] != (criteria,):
            shapes = f"{self.submission.shape}, {self.reviewer.shape}, {self.scores.shape}, {self.known.shape}"
            raise ShapeError(expected("submission (R,), reviewer (R,), scores (R, J), known (U, J)", shapes))
        if rows < 1 or not np.isfinite(self.scores).all() or self.scores.min() < 0 or self.scores.max() > 1:
            raise InputError(expected("scores from 0 to 1 of one review at least", self.scores))


@dataclass(frozen=True)
class Combined:
    """What the reviews say together.

    Shapes: `scores`, `low`, `high` (U,) mean and 90% interval of a submission's score over its criteria;
            `criteria` (U, J); `bias`, `noise`, `effort` (V,); `made` (R,) the probability that effort was made
    """

    scores: np.ndarray
    low: np.ndarray
    high: np.ndarray
    criteria: np.ndarray
    bias: np.ndarray
    noise: np.ndarray
    effort: np.ndarray
    made: np.ndarray


def combine(reviews: Reviews, weights: np.ndarray, generator: np.random.Generator, *, priors: Priors | None = None,
            sweeps: int = 600, burn_in: int = 200) -> Combined:
    """Sample the model by Gibbs and summarise it.

    Shapes: weights (J,), which sum to 1
    Source: Zarkoob et al. 2023, section 3; Piech et al. 2013, model PG1
    """
    state = _State(reviews, priors or Priors(), generator)
    kept, criteria, made, reviewer = [], 0.0, 0.0, 0.0
    for sweep in range(sweeps):
        state.sweep()
        if sweep >= burn_in:
            kept.append(state.true @ weights)
            criteria, made = criteria + state.true, made + state.chance
            reviewer = reviewer + np.stack([state.bias, state.tau**-0.5, state.effort])
    count = len(kept)
    bias, noise, effort = reviewer / count
    low, high = np.quantile(kept, (0.05, 0.95), axis=0).clip(0, 1)
    return Combined(np.mean(kept, 0).clip(0, 1), low, high, (criteria / count).clip(0, 1), bias, noise, effort, made / count)


class _State:
    """One sample of everything that is not known."""

    def __init__(self, reviews: Reviews, priors: Priors, generator: np.random.Generator) -> None:
        self.data, self.priors, self.draw = reviews, priors, generator
        self.key = ~np.isnan(reviews.known)  # (U, J)
        self.idle = _habits(reviews.scores, priors)  # (R,) log-likelihood without effort
        self.bias = np.zeros(reviews.reviewers)
        self.tau = np.full(reviews.reviewers, priors.alpha / priors.beta)
        self.effort = np.full(reviews.reviewers, priors.effort_a / (priors.effort_a + priors.effort_b))
        self.mu, self.precision = reviews.scores.mean(0), np.full(reviews.scores.shape[1], 30.0)
        self.made = self.idle < 0  # what looks like a habit counts for nothing to begin with
        self.chance = self.made.astype(float)
        self.true = np.where(self.key, reviews.known, self.mu)

    def sweep(self) -> None:
        """Draw every part given the others, once."""
        self._true_scores()
        self._population()
        self._reviewers()
        self._efforts()

    def _true_scores(self) -> None:
        data = self.data
        weight = self.tau[data.reviewer] * self.made  # (R,)
        about = data.scores - self.bias[data.reviewer, None]  # (R, J)
        precision = np.bincount(data.submission, weight, len(self.true))[:, None] + self.precision  # (U, J)
        total = np.stack([np.bincount(data.submission, weight * column, len(self.true)) for column in about.T], 1)
        mean = (total + self.precision * self.mu) / precision
        drawn = mean + self.draw.standard_normal(mean.shape) / np.sqrt(precision)
        self.true = np.where(self.key, data.known, drawn)

    def _population(self) -> None:
        """Mean and spread of the true scores, from submissions whose scores are not known; conjugate and weak."""
        free = self.true[~self.key.any(1)]
        if len(free) < 2:
            return
        count = len(free)
        self.mu = free.mean(0) + self.draw.standard_normal(free.shape[1]) / np.sqrt(self.precision * count)
        shape, rate = 3 + count / 2, 0.06 + 0.5 * ((free - self.mu) ** 2).sum(0)
        self.precision = self.draw.gamma(shape, 1 / rate)

    def _reviewers(self) -> None:
        data, priors, who = self.data, self.priors, self.data.reviewer
        criteria = data.scores.shape[1]
        rest = (data.scores - self.true[data.submission]) * self.made[:, None]  # (R, J)
        count = criteria * np.bincount(who, self.made, data.reviewers)  # (V,)
        precision = self.tau * count + priors.bias_sd**-2
        mean = self.tau * np.bincount(who, rest.sum(1), data.reviewers) / precision
        self.bias = mean + self.draw.standard_normal(data.reviewers) / np.sqrt(precision)
        squares = ((rest - self.bias[who, None]) ** 2).sum(1) * self.made
        self.tau = self.draw.gamma(priors.alpha + count / 2, 1 / (priors.beta + 0.5 * np.bincount(who, squares, data.reviewers)))
        tried, reviews = np.bincount(who, self.made, data.reviewers), np.bincount(who, minlength=data.reviewers)
        self.effort = self.draw.beta(priors.effort_a + tried, priors.effort_b + reviews - tried)

    def _efforts(self) -> None:
        data, who = self.data, self.data.reviewer
        apart = data.scores - self.true[data.submission] - self.bias[who, None]
        tau = self.tau[who, None]
        honest = (0.5 * np.log(tau / (2 * np.pi)) - 0.5 * tau * apart**2).sum(1)
        odds = np.log(self.effort[who]) + honest - np.log1p(-self.effort[who]) - self.idle
        self.chance = 1 / (1 + np.exp(-odds.clip(-500, 500)))
        self.made = self.draw.random(len(odds)) < self.chance


def _habits(scores: np.ndarray, priors: Priors) -> np.ndarray:
    """The log-likelihood of each review without effort: full marks, the same somewhere else, or anything. (R, J) → (R,)"""
    def near(distance: np.ndarray) -> np.ndarray:
        return (-0.5 * (distance / priors.width) ** 2 - np.log(priors.width * np.sqrt(2 * np.pi))).sum(1)

    full = near(scores - 1)
    same = near(scores - scores.mean(1, keepdims=True))
    anything = np.zeros(len(scores))
    parts = (np.log(priors.same * priors.full) + full, np.log(priors.same * (1 - priors.full)) + same, np.log1p(-priors.same) + anything)
    return np.logaddexp(np.logaddexp(parts[0], parts[1]), parts[2])
