"""Who the instructor should look at: reviewers who seem to make no effort, or to favour somebody.

A flag is for the instructor's eyes; nothing is deducted for one. Two statistics, each with a threshold that so many honest
reviewers exceed as was asked for. The thresholds come from a parametric bootstrap: the cohort is simulated with the same
assignment, with works and reviewers as the model found them and honest reviews of everybody but those who seem to make no effort
(their reviews stay as they are, for they disturb the others), and the model is run on it.

    effort   how likely the model holds it that a reviewer's reviews were made without effort, on average over this module's,
             the calibration specimen's included. Never flagged below 0.5
    favour   by how many standard deviations a reviewer lies above what the others say about the same author, bias taken off;
             if the author reviewed them too, in this module or another, that excess adds where it is positive: favours
             returned. The largest over the authors they met in this module: over all modules there would be more to stand out
             from, and a favour would stand out less

Colluders who were not handed each other's works leave no trace in the scores, and cannot be found.

Shapes: R reviews, U submissions, V reviewers, J criteria
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from breakthrough.course.exchange.effort_model import Combined, Reviews, combine
from breakthrough.course.exchange.leave_one_out import others
from breakthrough.errors import InputError, expected

EFFORT, FAVOUR = "effort", "favour"
LEAST = 0.5  # more likely than not
ENOUGH, MOST = 600, 20  # honest reviewers to simulate, and cohorts at most


@dataclass(frozen=True)
class Module:
    """The reviews of one module and what they say. Reviewers have the same numbers in all modules.

    Shapes: `author` (U,) the reviewer who made a submission, or -1 for a specimen; `weights` (J,) of its criteria, which sum to 1
    """

    reviews: Reviews
    combined: Combined
    author: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Flag:
    """Something about a reviewer that honest reviewers rarely show. `about` are the authors it concerns."""

    reviewer: int
    kind: str
    statistic: float
    threshold: float
    about: tuple[int, ...]
    says: str


def find(modules: Sequence[Module], generator: np.random.Generator, *, rate: float = 0.01,
         cohorts: int | None = None, sweeps: int = 200, burn_in: int = 60) -> tuple[Flag, ...]:
    """Flag reviewers of the last module; earlier ones are looked at for favours returned.

    At most `rate` of honest reviewers get a flag of each kind. With fewer than 1 / rate simulated reviewers (very small cohorts)
    the threshold is the largest value seen.

    Raises: InputError for no module, or a rate that is none
    Source: parametric bootstrap, Efron and Tibshirani 1993, chapter 6; sums of standard deviations, Stouffer et al. 1949
    """
    if not modules or not 0 < rate < 1:
        raise InputError(expected("one module at least and a rate between 0 and 1", f"{len(modules)} modules, rate {rate}"))
    people = modules[-1].reviews.reviewers
    rounds = cohorts or min(MOST, -(-ENOUGH // people))
    honest = idleness(modules[-1]) < LEAST
    null = [_null(modules, generator, sweeps, burn_in) for _ in range(rounds)]
    limits = [max(_limit([one[place][honest] for one in null], rate), least) for place, least in ((0, LEAST), (1, 0.0))]
    idle, excess, whom = idleness(modules[-1]), *favours(modules)
    found = []
    for one in range(people):
        if idle[one] > limits[0]:
            says = f"made without effort with a chance of {idle[one]:.0%}, on average over their reviews"
            found.append(Flag(one, EFFORT, float(idle[one]), limits[0], (), says))
        elif excess[one] > limits[1] and idle[one] < LEAST:
            says = f"{excess[one]:.1f} standard deviations above what others say about one author's work"
            found.append(Flag(one, FAVOUR, float(excess[one]), limits[1], (int(whom[one]),), says))
    return tuple(found)


def idleness(module: Module) -> np.ndarray:
    """How likely a reviewer's reviews were made without effort, on average; 0 for who made none. (V,)."""
    reviews = module.reviews
    count = np.bincount(reviews.reviewer, minlength=reviews.reviewers)
    return np.bincount(reviews.reviewer, 1 - module.combined.made, reviews.reviewers) / np.maximum(count, 1)


def favours(modules: Sequence[Module]) -> tuple[np.ndarray, np.ndarray]:
    """The largest excess of each reviewer over the authors they met in the last module, and that author: (V,), (V,).

    Favours returned, in any module, are in it. Who met nobody has 0 and -1.
    """
    people = modules[-1].reviews.reviewers
    one, other, excess, now = _met(modules)
    order, place = np.unique(one * people + other, return_inverse=True)
    towards = np.bincount(place, excess) / np.sqrt(np.bincount(place))  # one value a pair, over its modules
    back = (order % people) * people + order // people
    where = np.searchsorted(order, back).clip(0, max(len(order) - 1, 0))
    returned = np.where(order[where] == back, towards[where], 0.0) if len(order) else towards
    total = np.where(np.bincount(place, now) > 0, towards + returned.clip(0), -np.inf)
    best, whom = np.full(people, -np.inf), np.full(people, -1)
    np.maximum.at(best, order // people, total)
    most = (total == best[order // people]) & np.isfinite(total)
    whom[(order // people)[most]] = (order % people)[most]
    return np.where(np.isfinite(best), best, 0.0), whom


def _met(modules: Sequence[Module]) -> tuple[np.ndarray, ...]:
    """Reviewer, author and excess of every review of a peer's work, and whether it is of the last module."""
    parts = []
    for module in modules:
        author = module.author[module.reviews.submission]
        peers = author >= 0
        excess = others(module.reviews, module.combined, module.weights).excess[peers]
        parts.append((module.reviews.reviewer[peers], author[peers], excess, np.full(peers.sum(), module is modules[-1])))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _limit(values: Sequence[np.ndarray], rate: float) -> float:
    pooled = np.concatenate(values)
    return float(np.quantile(pooled, 1 - rate, method="higher")) if len(pooled) else np.inf


def _null(modules: Sequence[Module], generator: np.random.Generator, sweeps: int, burn_in: int) -> tuple[np.ndarray, np.ndarray]:
    """Both statistics in simulated cohorts whose reviewers are honest."""
    made = []
    for module in modules:
        reviews = honest_again(module, generator)
        found = combine(reviews, module.weights, generator, sweeps=sweeps, burn_in=burn_in)
        made.append(replace(module, reviews=reviews, combined=found))
    return idleness(made[-1]), favours(made)[0]


def honest_again(module: Module, generator: np.random.Generator) -> Reviews:
    """The same reviews by the same people, drawn anew as if made with effort, of works drawn anew.

    Reviewers who seem to make no effort keep the scores they gave.
    """
    reviews, combined, people = module.reviews, module.combined, module.combined.population
    works, criteria = reviews.known.shape
    quality = generator.normal(0, people.quality_sd, (works, 1))
    true = (people.mean + quality + people.own_sd * generator.standard_normal((works, criteria))).clip(0, 1)
    true = np.where(reviews.keyed[:, None], reviews.known, true)
    who, steps = reviews.reviewer, reviews.levels - 1
    about = combined.bias[who] + generator.normal(0, people.impression_sd, len(who))
    noise = combined.noise[who, None] * generator.standard_normal(reviews.scores.shape)
    drawn = np.round((true[reviews.submission] + about[:, None] + noise) * steps).clip(0, steps) / steps
    drawn = np.where(np.isnan(reviews.scores), np.nan, drawn)
    keeps = (idleness(module) >= LEAST)[who]
    return replace(reviews, scores=np.where(keeps[:, None], reviews.scores, drawn))
