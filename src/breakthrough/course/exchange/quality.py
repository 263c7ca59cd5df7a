"""How good somebody's reviews are: a score from 0 to 1, from what can be told about them.

    part          weight   what it looks at
    calibration    0.35    levels given to a specimen whose levels are known
    findings       0.30    what was found in the specimen, and shown: scored where findings are; handed in here
    agreement      0.20    scores given to peers' works against what all the others say about them
    completeness   0.15    criteria rated and reasons given; handed in here

What was known before anybody reviewed weighs most. Agreement weighs less, since peers may be wrong together; completeness
least, since it can be reached without reading. A part that cannot be told (no specimen, no findings asked for) leaves its weight
to the others. Reviews that were due and are missing lower the score in proportion, and are reported on their own.

Calibration and agreement are skill scores of squared error: 1 for none, 0 for that of giving everybody the usual levels, or of
being one level off everywhere if that is more. Squared error is proper: the best answer is what one believes. Agreement first
takes off what the others themselves do not know, so that nobody pays for a work that is hard to judge.

Flags do not enter: they are for the instructor's eyes.

Shapes: R reviews, V reviewers, J criteria
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from breakthrough.course.exchange.effort_model import Combined, Reviews
from breakthrough.course.exchange.leave_one_out import others
from breakthrough.errors import InputError, ShapeError, expected

WEIGHTS = {"calibration": 0.35, "findings": 0.30, "agreement": 0.20, "completeness": 0.15}


@dataclass(frozen=True)
class Quality:
    """The quality of each reviewer's reviews and its parts; NaN for a part that cannot be told.

    Shapes: all (V,)
    Units:  0 to 1; `handed_in` is the share of the reviews due
    """

    score: np.ndarray
    calibration: np.ndarray
    findings: np.ndarray
    agreement: np.ndarray
    completeness: np.ndarray
    handed_in: np.ndarray


def grade(reviews: Reviews, combined: Combined, weights: np.ndarray, due: np.ndarray, *, completeness: np.ndarray,
          findings: np.ndarray | None = None) -> Quality:
    """Score every reviewer. `due` is how many reviews each was to make, the calibration specimen's included.

    Shapes: weights (J,), which sum to 1; due, completeness, findings (V,), NaN where they cannot be told
    Raises: ShapeError, InputError for numbers that do not fit
    Source: skill scores: Murphy 1988, "Skill scores based on the mean square error"; proper scores: Gneiting and Raftery 2007
    """
    found = np.full(reviews.reviewers, np.nan) if findings is None else findings
    for name, values, most in (("due", due, np.inf), ("completeness", completeness, 1), ("findings", found, 1)):
        if values.shape != (reviews.reviewers,):
            raise ShapeError(expected(f"{name} of {reviews.reviewers} reviewers", values.shape))
        if (values < 0).any() or (values > most).any():
            raise InputError(expected(f"{name} from 0 to {most}", values))
    parts = {"calibration": calibration(reviews, combined, weights), "findings": found,
             "agreement": agreement(reviews, combined, weights), "completeness": completeness}
    made = np.bincount(reviews.reviewer, minlength=reviews.reviewers)
    share = np.where(due > 0, np.minimum(made / np.maximum(due, 1), 1), 1.0)
    known = np.stack([np.isfinite(parts[name]) * weight for name, weight in WEIGHTS.items()])
    total = sum(np.nan_to_num(parts[name]) * weight for name, weight in WEIGHTS.items())
    score = np.where(made > 0, share * total / np.maximum(known.sum(0), 1e-9), 0.0)
    return Quality(score, parts["calibration"], found, parts["agreement"], completeness, share)


def calibration(reviews: Reviews, combined: Combined, weights: np.ndarray) -> np.ndarray:
    """Skill at submissions whose scores are known: (V,)."""
    rows = np.flatnonzero(reviews.keyed[reviews.submission])
    key, scores = reviews.known[reviews.submission[rows]], reviews.scores[rows]
    share = weights * np.isfinite(scores)
    share = share / np.maximum(share.sum(1, keepdims=True), 1e-9)
    loss = (share * np.nan_to_num((scores - key) ** 2)).sum(1)
    usual = (share * (combined.population.mean - key) ** 2).sum(1)
    return _skill(reviews, rows, loss, np.maximum(usual, _level(reviews)))


def agreement(reviews: Reviews, combined: Combined, weights: np.ndarray) -> np.ndarray:
    """Skill at peers' works, where what the others say stands for the truth: (V,)."""
    rows = np.flatnonzero(~reviews.keyed[reviews.submission])
    rest = others(reviews, combined, weights)
    loss = (rest.given - rest.score) ** 2 - rest.sd**2
    people = combined.population
    usual = people.quality_sd**2 + (weights**2 * people.own_sd**2).sum()
    return _skill(reviews, rows, loss[rows], np.full(len(rows), max(usual, _level(reviews))))


def _level(reviews: Reviews) -> float:
    """The squared error of one level."""
    return (1 / (reviews.levels - 1)) ** 2


def _skill(reviews: Reviews, rows: np.ndarray, loss: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """One minus a reviewer's losses as a share of the reference's, 0 at least; NaN without reviews: (V,)."""
    who = reviews.reviewer[rows]
    lost, against = np.bincount(who, loss, reviews.reviewers), np.bincount(who, reference, reviews.reviewers)
    return np.where(against > 0, 1 - (lost / np.where(against > 0, against, 1)).clip(0, 1), np.nan)
