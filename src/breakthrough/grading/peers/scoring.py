"""Scoring a round: what the reviews say of each work, how good each reviewer's were, who to look at, which works to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough import files
from breakthrough.course.exchange import rubric as rubrics
from breakthrough.course.exchange.rubric import Rubric
from breakthrough.errors import InputError, expected
from breakthrough.grading import seed as seeds
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.peers import evidence, handing_out, matrix, readings, rounds, taking_in
from breakthrough.grading.peers.matrix import Matrix
from breakthrough.grading.peers.rounds import Round
from breakthrough.seeds import numpy_generator

if TYPE_CHECKING:
    from breakthrough.course.exchange.flags import Module
    from breakthrough.course.exchange.quality import Quality

FILE = "scores.json"
RATE = 0.01  # of honest reviewers are flagged, of each kind
Say = Callable[[str], None]


@dataclass(frozen=True)
class WorkScore:
    """What the reviews say of a work: share of the rubric's points with a 90% interval, levels by criterion, and by whom.

    Units: `score`, `low`, `high` from 0 to 1; `criteria` and `given` in levels from 0 to 4; `mean` is the plain mean, beside it
    """

    author: str
    score: float
    low: float
    high: float
    mean: float
    reviews: int
    read: bool
    criteria: Mapping[str, float]


@dataclass(frozen=True)
class ReviewerScore:
    """How good somebody's reviews were, in all and by part; none for a part that cannot be told.

    Units: 0 to 1; `bias` and `noise` as a share of the points
    """

    reviewer: str
    quality: float
    parts: Mapping[str, float | None]
    handed_in: float
    bias: float
    noise: float
    due: int


@dataclass(frozen=True)
class Flagged:
    """A reviewer to look at, for what, and how seldom honest reviewers show it."""

    reviewer: str
    kind: str
    says: str
    about: tuple[str, ...]
    rate: float


@dataclass(frozen=True)
class Spot:
    """A work that the instructor should read, and why."""

    author: str
    risk: float
    says: str


@dataclass(frozen=True)
class Scores:
    """All of a round."""

    module: str
    works: tuple[WorkScore, ...]
    reviewers: tuple[ReviewerScore, ...]
    flags: tuple[Flagged, ...]
    spots: tuple[Spot, ...]


def score(cohort: Cohort, module: str, *, workers: int = 1, say: Say = lambda text: None) -> Scores:
    """Score a module's reviews and keep the result, in place of the one before.

    Raises: InputError when nothing was assigned or collected
    """
    from breakthrough.course.exchange import effort_model, flags, quality, spotcheck

    with rounds.writing(cohort, module):
        found, rubric = rounds.read(cohort, module), rubrics.load(module)
        handed = taking_in.handed(cohort, module)
        specimens = [handing_out.specimen(cohort, found, number) for number in range(found.specimens)]
        say("evidence")
        shown = evidence.findings(found, handed, specimens, workers)
        people = _everybody(cohort)
        one = matrix.of(found, handed, [specimen.key.levels for specimen in specimens], readings.readings(cohort, module), rubric, people)
        generator, weights = numpy_generator(seeds.seed_of(cohort), "peers", module, "score"), matrix.weights(rubric)
        say("the model")
        combined = effort_model.combine(one.reviews, weights, generator)
        say("flags")
        modules = [*_earlier(cohort, module, people), flags.Module(one.reviews, combined, one.author, weights)]
        flagged = flags.find(modules, generator, rate=RATE)
        graded = quality.grade(one.reviews, combined, weights, one.due, completeness=_completeness(found, handed, rubric, people),
                               findings=np.array([shown.get(name, np.nan) for name in people]))
        spots = spotcheck.choose(one.reviews, combined, weights, max(3, len(one.works) // 20), flagged=[flag.reviewer for flag in flagged])
        made = Scores(
            module, _works(one, combined, rubric), _reviewers(one, combined, graded),
            tuple(Flagged(people[flag.reviewer], flag.kind, flag.says, tuple(people[who] for who in flag.about), RATE) for flag in flagged),
            tuple(Spot(one.works[spot.submission], spot.risk, spot.says) for spot in spots if one.works[spot.submission]))
        files.write_text(rounds.folder(cohort, module) / FILE, json.dumps(asdict(made), indent=1, ensure_ascii=False) + "\n")
        return made


def read(cohort: Cohort, module: str) -> Scores:
    """The scores that were computed last.

    Raises: InputError when there are none
    """
    path = rounds.folder(cohort, module) / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Scores(
            data["module"], tuple(WorkScore(**one) for one in data["works"]), tuple(ReviewerScore(**one) for one in data["reviewers"]),
            tuple(Flagged(**{**one, "about": tuple(one["about"])}) for one in data["flags"]), tuple(Spot(**one) for one in data["spots"]))
    except FileNotFoundError:
        raise InputError(expected(f"scores of {module}", "none", f"breakthrough exchange score {module}")) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(expected(f"a whole {path}", repr(error), f"breakthrough exchange score {module}")) from None


def _everybody(cohort: Cohort) -> tuple[str, ...]:
    """All who review or are reviewed in any module, so that they have one number in all."""
    names: set[str] = set()
    for name in rounds.assigned(cohort):
        found = rounds.read(cohort, name)
        names |= {packet.reviewer for packet in found.packets} | {author for packet in found.packets for author in packet.authors}
    return tuple(sorted(names))


def _earlier(cohort: Cohort, module: str, people: Sequence[str]) -> list[Module]:
    """The modules before this one with reviews: friends return favours there."""
    from breakthrough.course.exchange import effort_model, flags

    made = []
    for path in sorted((cohort.folder / rounds.FOLDER).glob(f"*/{FILE}")):
        name = path.parent.name
        handed = taking_in.handed(cohort, name) if name < module else {}
        if handed:
            found, rubric = rounds.read(cohort, name), rubrics.load(name)
            keys = [handing_out.specimen(cohort, found, number).key.levels for number in range(found.specimens)]
            one = matrix.of(found, handed, keys, readings.readings(cohort, name), rubric, people)
            generator, weights = numpy_generator(seeds.seed_of(cohort), "peers", name, "score"), matrix.weights(rubric)
            made.append(flags.Module(one.reviews, effort_model.combine(one.reviews, weights, generator), one.author, weights))
    return made


def _completeness(found: Round, handed: Mapping[str, Any], rubric: Rubric, people: Sequence[str]) -> np.ndarray:
    """How much of what was asked stands in the reviews that were handed in: levels, and reasons for them. (V,)."""
    share = dict.fromkeys(people, np.nan)
    for packet in found.packets:
        given = handed.get(packet.reviewer)
        there = [review for one in packet.handouts if given and (review := given.of(one.name))]
        if there:
            rated = [len(set(one.ratings) & {criterion.id for criterion in rubric.criteria}) / len(rubric.criteria) for one in there]
            reasons = [taking_in.reasoned(one, rubric) for one in there]
            share[packet.reviewer] = float(np.mean(rated) + np.mean(reasons)) / 2
    return np.array([share[name] for name in people])


def _works(one: Matrix, combined: Any, rubric: Rubric) -> tuple[WorkScore, ...]:
    from breakthrough.course.exchange import leave_one_out

    reviews, made = one.reviews, []
    given = leave_one_out.totals(reviews, matrix.weights(rubric), combined.population.mean)
    counts = np.bincount(reviews.submission, minlength=len(one.works))
    means = np.bincount(reviews.submission, given, len(one.works)) / np.maximum(counts, 1)
    for place, author in enumerate(one.works):
        if author and (counts[place] or reviews.keyed[place]):
            levels = {criterion.id: round(4 * float(value), 2) for criterion, value in zip(rubric.criteria, combined.criteria[place], strict=True)}
            low, middle, high = (round(float(part[place]), 4) for part in (combined.low, combined.scores, combined.high))
            mean = round(float(means[place]), 4)
            made.append(WorkScore(author, middle, low, high, mean, int(counts[place]), bool(reviews.keyed[place]), levels))
    return tuple(made)


def _reviewers(one: Matrix, combined: Any, graded: Quality) -> tuple[ReviewerScore, ...]:
    made = []
    for place, name in enumerate(one.reviewers):
        if one.due[place]:
            parts = {part: _told(getattr(graded, part)[place]) for part in ("calibration", "findings", "agreement", "completeness")}
            made.append(ReviewerScore(
                name, round(float(graded.score[place]), 4), parts, round(float(graded.handed_in[place]), 4),
                round(float(combined.bias[place]), 4), round(float(combined.noise[place]), 4), int(one.due[place])))
    return tuple(made)


def _told(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
