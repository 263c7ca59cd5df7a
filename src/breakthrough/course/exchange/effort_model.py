"""Combining peers' scores: true scores, reviewers' biases and reliabilities, and who made no effort, at once.

The model is that of Zarkoob, d'Eon, Podina and Leyton-Brown, "Better Peer Grading through Bayesian Inference" (AAAI 2023,
arXiv:2209.01242), which adds effort and rounding to PG1 of Piech et al., "Tuned Models of Peer Assessment in MOOCs" (EDM 2013):

    true scores    s[u, j] ~ N(mu[j] + q[u], 1 / lambda[j])     submission u, criterion j
    quality        q[u]    ~ N(0, 1 / kappa)                    what a submission's criteria share
    bias           b[v]    ~ N(0, 1 / eta)                      reviewer v
    reliability    tau[v]  ~ Gamma(alpha, beta)                 1 / variance of the reviewer's noise
    effort         e[v]    ~ Beta(effort_a, effort_b)
    made           m[r]    ~ Bernoulli(e[v])                    review r of reviewer v
    impression     h[r]    ~ N(0, 1 / gamma)                    what a review's criteria share
    scores         z[r, j] = the level next to y ~ N(s[u, j] + b[v] + h[r], 1 / tau[v])      when an effort was made
                   z[r]    ~ one of three habits                                             otherwise

A calibration specimen, or a work that the instructor has read, is a submission whose scores are known.

What differs from the paper: `q` and `h`. The criteria of one work rise and fall together, and so do a reviewer's errors within
one review; without them the criteria would count as so many independent looks, and intervals come out too narrow. And reviews
without effort follow one of several habits (full marks; one level throughout; levels drawn one by one from a distribution that
is learned), where the paper thinks above all of grades near the class's average.

Shapes: R reviews, U submissions, V reviewers, J criteria
Units:  scores as a share of a criterion's points, 0 to 1
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from breakthrough.course.exchange import habits, rounding
from breakthrough.errors import InputError, ShapeError, expected

LEVELS = 5


@dataclass(frozen=True)
class Priors:
    """What is believed before anything is read; wide. Spreads are learned, each as if `weight` values had been seen before."""

    mean: float = 0.6  # of true scores
    mean_sd: float = 0.25
    own_sd: float = 0.15  # of a criterion, about its work's quality
    quality_sd: float = 0.15
    bias_sd: float = 0.08
    impression_sd: float = 0.05
    noise: float = 0.12  # alpha / beta = 1 / noise²
    alpha: float = 3.0
    weight: float = 6.0
    effort_a: float = 0.4  # below 1: most people make an effort always or never
    effort_b: float = 0.2


@dataclass(frozen=True)
class Reviews:
    """Who reviewed what, and how.

    Shapes: `submission` (R,), `reviewer` (R,) numbers from 0; `scores` (R, J), NaN where a criterion was left out;
            `known` (U, J), NaN where no key is known
    """

    submission: np.ndarray
    reviewer: np.ndarray
    scores: np.ndarray
    known: np.ndarray
    reviewers: int
    levels: int = LEVELS

    def __post_init__(self) -> None:
        rows, criteria = self.scores.shape if self.scores.ndim == 2 else (-1, -1)
        if self.submission.shape != (rows,) or self.reviewer.shape != (rows,) or self.known.ndim != 2 or self.known.shape[1] != criteria:
            shapes = f"{self.submission.shape}, {self.reviewer.shape}, {self.scores.shape}, {self.known.shape}"
            raise ShapeError(expected("submission (R,), reviewer (R,), scores (R, J), known (U, J)", shapes))
        steps = self.scores * (self.levels - 1)
        if rows < 1 or not np.isfinite(self.scores).any(1).all() or np.nanmin(steps) < 0 or np.nanmax(steps) > self.levels - 1:
            raise InputError(expected("scores from 0 to 1, at least one in every review", self.scores))
        if np.nanmax(np.abs(steps - np.round(steps))) > 1e-6:
            raise InputError(expected(f"scores in steps of 1 / {self.levels - 1}", self.scores))
        for name, numbers, end in (("submission", self.submission, len(self.known)), ("reviewer", self.reviewer, self.reviewers)):
            if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= end:
                raise InputError(expected(f"whole numbers of a {name} from 0 to {end - 1}", numbers))
        if (np.isnan(self.known).any(1) != np.isnan(self.known).all(1)).any():
            raise InputError(expected("a key with every criterion, or none", self.known))

    @property
    def keyed(self) -> np.ndarray:
        """Whether a submission's scores are known: (U,)."""
        return ~np.isnan(self.known).any(1)

    def knowing(self, submission: int, scores: np.ndarray) -> Reviews:
        """The same reviews with a submission's scores (J,) known: the instructor has read it."""
        known = self.known.copy()
        known[submission] = scores
        return replace(self, known=known)


@dataclass(frozen=True)
class Population:
    """What submissions and reviewers are like in general, as far as this cohort shows.

    Shapes: `mean`, `own_sd` (J,)
    """

    mean: np.ndarray
    own_sd: np.ndarray
    quality_sd: float
    impression_sd: float
    bias_sd: float


@dataclass(frozen=True)
class Combined:
    """What the reviews say together.

    Shapes: `scores`, `sd`, `low`, `high` (U,) mean, standard deviation and 90% interval of a submission's score over its criteria;
            `criteria` (U, J); `bias`, `noise`, `effort` (V,); `made` (R,) the probability that effort was made
    """

    scores: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray
    criteria: np.ndarray
    bias: np.ndarray
    noise: np.ndarray
    effort: np.ndarray
    made: np.ndarray
    population: Population


def combine(reviews: Reviews, weights: np.ndarray, generator: np.random.Generator, *, priors: Priors | None = None,
            effort: bool = True, sweeps: int = 400, burn_in: int = 120) -> Combined:
    """Sample the model by Gibbs and summarise it; without `effort`, every review counts as made with effort: model PG1.

    Shapes: weights (J,), which sum to 1
    Raises: ShapeError, InputError for weights that do not fit
    Source: Zarkoob et al. 2023; Piech et al. 2013, model PG1
    """
    if weights.shape != reviews.known.shape[1:]:
        raise ShapeError(expected(f"a weight for each of {reviews.known.shape[1]} criteria", weights.shape))
    if abs(weights.sum() - 1) > 1e-6 or weights.min() < 0:
        raise InputError(expected("weights that sum to 1", weights))
    if not 0 <= burn_in < sweeps:
        raise InputError(expected("a burn-in below the number of sweeps", f"{burn_in} of {sweeps}"))
    state = _State(reviews, priors or Priors(), generator, effort)
    kept: list[np.ndarray] = []
    sums: tuple[Any, ...] = ()  # arrays and numbers, as they stand in `parts`
    for sweep in range(sweeps):
        state.sweep()
        if sweep < burn_in:
            continue
        clipped = state.true.clip(0, 1)
        kept.append(clipped @ weights)
        parts = (clipped, state.bias, state.tau**-0.5, state.effort, state.chance, *state.spreads())
        sums = tuple(total + part for total, part in zip(sums, parts, strict=True)) if sums else parts
    criteria, bias, noise, effort_, made, mean, own, quality, impression, spread = (total / len(kept) for total in sums)
    low, high = np.quantile(kept, (0.05, 0.95), axis=0)
    population = Population(mean, own, float(quality), float(impression), float(spread))
    return Combined(np.mean(kept, 0), np.std(kept, 0), low, high, criteria, bias, noise, effort_, made, population)


class _State:
    """One sample of everything that is not known."""

    kappa: np.ndarray | float
    gamma: np.ndarray | float
    eta: np.ndarray | float

    def __init__(self, reviews: Reviews, priors: Priors, generator: np.random.Generator, effort: bool) -> None:
        self.data, self.priors, self.draw, self.with_effort = reviews, priors, generator, effort
        rows, criteria = reviews.scores.shape
        self.rated = np.isfinite(reviews.scores)  # (R, J)
        self.cells = reviews.submission[:, None] * criteria + np.arange(criteria)  # (R, J) places in (U, J), flat
        self.edges = rounding.edges(np.nan_to_num(reviews.scores, nan=0.5), reviews.levels)
        self.free = ~reviews.keyed
        self.habits = habits.Habits(reviews.scores, reviews.levels)
        self.mean, self.own = np.full(criteria, priors.mean), np.full(criteria, priors.own_sd**-2)
        self.kappa, self.gamma, self.eta = priors.quality_sd**-2, priors.impression_sd**-2, priors.bias_sd**-2
        self.beta = priors.alpha * priors.noise**2
        self.quality = np.zeros(len(reviews.known))
        self.true = np.where(self.free[:, None], self.mean, reviews.known)
        self.bias, self.tau = np.zeros(reviews.reviewers), np.full(reviews.reviewers, priors.noise**-2)
        self.effort = np.full(reviews.reviewers, priors.effort_a / (priors.effort_a + priors.effort_b))
        self.impression = np.zeros(rows)
        self.unrounded = np.nan_to_num(reviews.scores)
        self.made = ~self.habits.plain if effort else np.ones(rows, bool)  # what looks like a habit counts for nothing at first
        self.chance = self.made.astype(float)
        self._true_scores()

    def sweep(self) -> None:
        """Draw every part given the others, once."""
        self._efforts()
        self._true_scores()
        self._population()
        self._impressions()
        self._reviewers()
        self._shift()

    def spreads(self) -> tuple[np.ndarray | float, ...]:
        """Means of the criteria, and the standard deviations of own parts, quality, impressions and biases."""
        return self.mean, self.own**-0.5, self.kappa**-0.5, self.gamma**-0.5, self.eta**-0.5

    def _efforts(self) -> None:
        """Whether each review was made with effort, and what was rounded if so."""
        data, who = self.data, self.data.reviewer
        centre = self.true[data.submission] + (self.bias[who] + self.impression)[:, None]  # (R, J)
        root = np.sqrt(self.tau[who])[:, None]
        cut = rounding.Cut((self.edges[0] - centre) * root, (self.edges[1] - centre) * root)
        if self.with_effort:
            honest = (np.log(np.maximum(cut.chance, 1e-12)) * self.rated).sum(1)
            odds = np.log(self.effort[who] / (1 - self.effort[who])) + honest - self.habits.likelihood()
            self.chance = 1 / (1 + np.exp(-odds.clip(-500, 500)))
            self.made = self.draw.random(len(odds)) < self.chance
            self.habits.learn(~self.made, self.draw)
        self.unrounded = np.where(self.rated, centre + cut.draw(self.draw) / root, 0.0)

    def _true_scores(self) -> None:
        """The quality of a work with its criteria's own parts integrated out, then the criteria."""
        data, shape = self.data, self.true.shape
        weight = (self.tau[data.reviewer] * self.made)[:, None] * self.rated  # (R, J)
        about = weight * (self.unrounded - (self.bias[data.reviewer] + self.impression)[:, None])
        seen = np.bincount(self.cells.ravel(), weight.ravel(), self.true.size).reshape(shape)  # (U, J)
        total = np.bincount(self.cells.ravel(), about.ravel(), self.true.size).reshape(shape)
        share = self.own / (seen + self.own)
        precision = self.kappa + (share * seen).sum(1)
        self.quality = (share * (total - seen * self.mean)).sum(1) / precision + self._normal(precision)
        mean = (total + self.own * (self.mean + self.quality[:, None])) / (seen + self.own)
        self.true = np.where(self.free[:, None], mean + self._normal(seen + self.own), data.known)

    def _population(self) -> None:
        """Means and spreads of the true scores, from submissions whose scores are not known."""
        apart = (self.true - self.quality[:, None])[self.free]  # (U', J)
        before = self.priors.mean_sd**-2
        precision = self.own * len(apart) + before
        self.mean = (self.own * apart.sum(0) + before * self.priors.mean) / precision + self._normal(precision)
        self.own = self._precision(self.priors.own_sd, len(apart), ((apart - self.mean) ** 2).sum(0))
        self.kappa = self._precision(self.priors.quality_sd, len(apart), (self.quality[self.free] ** 2).sum())

    def _impressions(self) -> None:
        data, who = self.data, self.data.reviewer
        rest = ((self.unrounded - self.true[data.submission] - self.bias[who, None]) * self.rated).sum(1)
        tau = self.tau[who] * self.made
        precision = self.gamma + tau * self.rated.sum(1)
        self.impression = tau * rest / precision + self._normal(precision)
        self.gamma = self._precision(self.priors.impression_sd, self.made.sum(), (self.impression[self.made] ** 2).sum())

    def _reviewers(self) -> None:
        data, priors, who = self.data, self.priors, self.data.reviewer
        counts = self.rated * self.made[:, None]  # (R, J)
        rest = (self.unrounded - self.true[data.submission] - self.impression[:, None]) * counts
        count = np.bincount(who, counts.sum(1), data.reviewers)  # (V,)
        precision = self.tau * count + self.eta
        self.bias = self.tau * np.bincount(who, rest.sum(1), data.reviewers) / precision + self._normal(precision)
        squares = np.bincount(who, ((rest - self.bias[who, None] * counts) ** 2).sum(1), data.reviewers)
        self.tau = self.draw.gamma(priors.alpha + count / 2) / (self.beta + 0.5 * squares)
        first = priors.weight / 2
        self.beta = self.draw.gamma(first + data.reviewers * priors.alpha) / (first / (priors.alpha * priors.noise**2) + self.tau.sum())
        self.eta = self._precision(priors.bias_sd, data.reviewers, (self.bias**2).sum())
        tried, reviews = np.bincount(who, self.made, data.reviewers), np.bincount(who, minlength=data.reviewers)
        drawn = self.draw.beta(priors.effort_a + tried, priors.effort_b + reviews - tried)
        self.effort = drawn.clip(1e-9, 1 - 1e-9)

    def _shift(self) -> None:
        """Move all true scores up and all biases down by one amount. Reviews of peers allow any; keys and priors do not.

        Without this step the two would drift against each other for hundreds of sweeps (Liu and Sabatti 2000).
        """
        data, who, before = self.data, self.data.reviewer, self.priors.mean_sd**-2
        weight = (self.tau[who] * self.made * ~self.free[data.submission])[:, None] * self.rated  # (R, J), against keys
        rest = self.unrounded - self.true[data.submission] - (self.bias[who] + self.impression)[:, None]
        precision = self.eta * data.reviewers + before * len(self.mean) + weight.sum()
        pull = self.eta * self.bias.sum() - before * (self.mean - self.priors.mean).sum() - (weight * rest).sum()
        step = pull / precision + self._normal(precision)
        self.bias, self.mean = self.bias - step, self.mean + step
        self.true[self.free] += step

    def _normal(self, precision: np.ndarray) -> np.ndarray:
        return self.draw.standard_normal(np.shape(precision)) / np.sqrt(precision)

    def _precision(self, sd: float, count: int, squares: np.ndarray | float) -> np.ndarray:
        """A precision given squares, and before them `weight` values of a standard deviation."""
        weight = self.priors.weight
        return self.draw.gamma((weight + count) / 2, size=np.shape(squares)) / (0.5 * (weight * sd**2 + squares))
