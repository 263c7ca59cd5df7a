"""Cohorts that review each other, made up: true scores, and reviewers who are honest, noisy, harsh, lazy or colluding.

Honest reviewers see every criterion with a bias (sd 0.05), an impression of the work (sd 0.05) and noise (sd 0.10), and give
the level next to it. The others:

    noisy   noise of sd 0.22, about a level
    harsh   a bias of -0.25, a level
    odd     honest, but not as the model has it: heavy-tailed noise (Student's t, 3 degrees of freedom, sd 0.12) and a bias of their
            own on every criterion (sd 0.08)
    lazy    full marks on everything, the calibration specimen included
    sly     knows the specimen when they see it, and rates it honestly; full marks on everything else
    guess   the usual marks, unread: a level drawn for each criterion about its mean in the class, as in Zarkoob et al. 2023
    ring    groups of four: full marks to a friend's work, honest about anybody else's. Who reads whom is by lot, so that a
            ring shows only where it happened to meet
    pact    marks near the top agreed upon before (levels 4 and 3, by a table for every work), nothing read. Two of a pact
            who meet on one work confirm each other, which is what colluding on an uninformative signal means in Gao, Wright
            and Leyton-Brown, "Incentivizing evaluation with peer prediction and limited access to ground truth" (2019)

Shapes: n learners, S specimens, J criteria; submissions are the learners' works, then the specimens
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from breakthrough.course.exchange import assigning
from breakthrough.course.exchange.effort_model import LEVELS, Reviews

CRITERIA, SPECIMENS, K, RING = 6, 3, 3, 4
WEIGHTS = np.full(CRITERIA, 1 / CRITERIA)
KINDS = ("honest", "noisy", "harsh", "odd", "lazy", "sly", "guess", "ring", "pact")
NOISE = {"noisy": 0.22}
BIAS = {"harsh": -0.25}
BIAS_SD, IMPRESSION_SD, NOISE_SD = 0.05, 0.05, 0.10
MEANS = np.array([0.75, 0.65, 0.70, 0.55, 0.60, 0.65])  # of the criteria
QUALITY_SD, OWN_SD = 0.15, 0.13


@dataclass(frozen=True)
class Cohort:
    """A simulated cohort.

    Shapes: `true` (n, J); `kinds` (n,) places in KINDS; `author` (n + S,) the learner, or -1 for a specimen
    """

    reviews: Reviews
    true: np.ndarray
    kinds: np.ndarray
    author: np.ndarray
    friends: np.ndarray  # (n,) the number of one's ring, or -1

    @property
    def total(self) -> np.ndarray:
        """The true score of each work: (n,)."""
        return self.true @ WEIGHTS

    @property
    def met(self) -> np.ndarray:
        """Whether a learner of a ring was handed a friend's work: (n,)."""
        owner = np.concatenate([self.friends, np.full(SPECIMENS, -1)])[self.reviews.submission]
        both = (owner >= 0) & (owner == self.friends[self.reviews.reviewer])
        return np.bincount(self.reviews.reviewer, both, len(self.kinds)) > 0

    def are(self, *names: str) -> np.ndarray:
        """Whether a learner is of one of these kinds: (n,)."""
        return np.isin(self.kinds, [KINDS.index(name) for name in names])


def cohort(count: int, shares: dict[str, float], generator: np.random.Generator, *, k: int = K, people: Cohort | None = None,
           before: tuple[assigning.Pair, ...] = ()) -> Cohort:
    """Draw a cohort with these shares of reviewers, the rest honest; or another module of the same `people`."""
    if people is None:
        kinds, friends = _people(count, shares, generator)
    else:
        kinds, friends = people.kinds, people.friends
    quality = generator.normal(0, QUALITY_SD, (count, 1))
    true = (MEANS + quality + generator.normal(0, OWN_SD, (count, CRITERIA))).clip(0, 1)
    keys = np.stack([_key(generator) for _ in range(SPECIMENS)])
    names = [f"{place:05}" for place in range(count)]
    given = assigning.assign(names, names, k=k, seed=int(generator.integers(2**31)), before=before)
    pairs = [(int(one), int(work)) for one, works in given.items() for work in works]
    pairs += [(one, count + int(generator.integers(SPECIMENS))) for one in range(count)]
    reviewer, submission = np.array(pairs).T
    scores = _scores(np.concatenate([true, keys]), reviewer, submission, kinds, friends, generator)
    known = np.concatenate([np.full((count, CRITERIA), np.nan), keys])
    author = np.concatenate([np.arange(count), np.full(SPECIMENS, -1)])
    return Cohort(Reviews(submission, reviewer, scores, known, count), true, kinds, author, friends)


def pairs_of(made: Cohort) -> tuple[assigning.Pair, ...]:
    """Who read whom, by the names that `cohort` assigns with."""
    count = len(made.kinds)
    rows = zip(made.reviews.reviewer, made.reviews.submission, strict=True)
    return tuple((f"{one:05}", f"{work:05}") for one, work in rows if work < count)


def mean(reviews: Reviews) -> np.ndarray:
    """The plain mean of the scores given to each submission: (U,)."""
    return _by_work(reviews, np.mean)


def median(reviews: Reviews) -> np.ndarray:
    """The plain median by criterion of the scores given to each submission, and its mean over criteria: (U,)."""
    return _by_work(reviews, np.median)


def _by_work(reviews: Reviews, how) -> np.ndarray:
    order = np.argsort(reviews.submission, kind="stable")
    ends = np.flatnonzero(np.diff(reviews.submission[order])) + 1
    found = np.full(len(reviews.known), np.nan)
    for rows in np.split(order, ends):
        found[reviews.submission[rows[0]]] = how(reviews.scores[rows], axis=0) @ WEIGHTS
    return found


def _people(count: int, shares: dict[str, float], generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    kinds = np.zeros(count, int)
    order, start = generator.permutation(count), 0
    friends = np.full(count, -1)
    for name, share in shares.items():
        chosen = order[start : start + round(share * count)]
        kinds[chosen], start = KINDS.index(name), start + len(chosen)
        if name == "ring":
            friends[chosen] = np.arange(len(chosen)) // RING
    return kinds, friends


def _key(generator: np.random.Generator) -> np.ndarray:
    """A specimen: sound in half of the criteria or so, with faults in the others."""
    levels = generator.choice([3, 4], CRITERIA)
    faults = generator.permutation(CRITERIA)[: CRITERIA // 2]
    levels[faults] = generator.choice([0, 1, 2], len(faults))
    return levels / (LEVELS - 1)


def _scores(true: np.ndarray, reviewer: np.ndarray, submission: np.ndarray, kinds: np.ndarray, friends: np.ndarray,
            generator: np.random.Generator) -> np.ndarray:
    count = len(kinds)
    names = [KINDS[kind] for kind in kinds]
    bias = generator.normal(0, BIAS_SD, count) + [BIAS.get(name, 0.0) for name in names]
    noise = np.array([NOISE.get(name, NOISE_SD) for name in names])
    shape = (len(reviewer), CRITERIA)
    seen = true[submission] + bias[reviewer, None] + generator.normal(0, IMPRESSION_SD, (len(reviewer), 1))
    kind = kinds[reviewer, None]
    seen = seen + np.where(kind == KINDS.index("odd"), generator.normal(0, 0.08, (count, CRITERIA))[reviewer], 0.0)
    heavy = 0.12 * generator.standard_t(3, shape) / np.sqrt(3)
    strays = np.where(kind == KINDS.index("odd"), heavy, noise[reviewer, None] * generator.standard_normal(shape))
    levels = np.round((seen + strays) * (LEVELS - 1)).clip(0, LEVELS - 1)
    agreed = generator.choice([LEVELS - 2, LEVELS - 1], true.shape, p=[0.3, 0.7])
    owner = np.concatenate([friends, np.full(len(true) - count, -1)])[submission]
    favour = (owner >= 0) & (owner == friends[reviewer])
    skips = (kind == KINDS.index("lazy")) | ((kind == KINDS.index("sly")) & (submission < count)[:, None])
    levels = np.where(skips | favour[:, None], LEVELS - 1, levels)
    levels = np.where(kind == KINDS.index("pact"), agreed[submission], levels)
    usual = np.round((MEANS + 0.15 * generator.standard_normal(shape)) * (LEVELS - 1)).clip(0, LEVELS - 1)
    levels = np.where(kind == KINDS.index("guess"), usual, levels)
    return levels / (LEVELS - 1)
