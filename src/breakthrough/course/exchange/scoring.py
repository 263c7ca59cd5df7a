"""Scoring a review of specimens against their key.

Findings, 70%: every planted flaw is an item, worth 0.4 for the right place, 0.3 for its kind and 0.3 for evidence that shows it;
the faultless specimen is an item too, for a complete rating and no finding. A false alarm takes 0.4 of an item.
Ratings, 30%: a skill score of squared distances, 1 − Σ w·(level − key)² / Σ w·(4 − key)². It is 1 for the key's levels, and 0 for
whoever gives the highest level to everything: squares reward saying what one believes, one level off costs little and four cost
sixteen times as much, and praise alone earns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breakthrough.course.exchange import plain
from breakthrough.course.exchange.reviews import EXPERIMENT, Finding, Handed, Review
from breakthrough.course.exchange.rubric import Rubric
from breakthrough.course.exchange.specimens import Planted, Specimen
from breakthrough.errors import BreakthroughError

PLACE, KIND, EVIDENCE = 0.4, 0.3, 0.3  # of an item
ALARM = 0.4  # what a false alarm takes
FINDINGS, RATINGS = 0.7, 0.3
FOUND, PARTLY, MISSED, FALSE, SOUND, NOT_RATED = "found", "partly", "missed", "false alarm", "faultless", "not rated"


@dataclass(frozen=True)
class Item:
    """One line of a score: a flaw, the faultless specimen, or a false alarm.

    Units: `earned` in items, below zero for a false alarm
    """

    work: str
    exercise: str
    status: str
    earned: float
    title: str
    says: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scored:
    """What a review earned.

    Units: shares from 0 to 1; `points` of `of`
    """

    items: tuple[Item, ...]
    findings: float
    ratings: float
    of: float
    distances: Mapping[str, Mapping[str, tuple[int | None, int]]]  # work → criterion → given, key
    empty: bool = False

    @property
    def share(self) -> float:
        """Findings and ratings together."""
        return FINDINGS * self.findings + RATINGS * self.ratings

    @property
    def points(self) -> float:
        """The points earned, to one digit."""
        return round(self.share * self.of, 1)


def score(handed: Handed, specimens: Sequence[Specimen], rubric: Rubric, of: float = 20.0) -> Scored:
    """Score reviews of specimens; `of` are the points there are.

    Evidence is run: right answers and the specimen's function, on copies of the input.
    """
    items: list[Item] = []
    for one in specimens:
        review = handed.of(one.name) or Review(work=one.name)
        items += _items(one, review, rubric)
    distances = {one.name: _distances(one, handed.of(one.name)) for one in specimens}
    empty = not any(review.ratings or review.findings for review in handed.reviews)
    worth = sum(item.status != FALSE for item in items)
    share = sum(item.earned for item in items) / worth if worth else 0.0
    return Scored(tuple(items), 0.0 if empty else min(max(share, 0.0), 1.0), 0.0 if empty else _skill(distances, rubric), of, distances, empty)


def _items(one: Specimen, review: Review, rubric: Rubric) -> list[Item]:
    found: list[Item] = []
    left: dict[str, Finding] = {}
    alarms = []
    for finding in review.findings:
        if finding.exercise in left:  # the first one counts: trying every kind is guessing
            alarms.append(_alarm(one.name, finding, "only the first finding for an exercise counts"))
        else:
            left[finding.exercise] = finding
    found.extend(_flaw(one, flaw, left.pop(flaw.exercise, None)) for flaw in one.key.flaws)
    alarms += [_alarm(one.name, finding, "nothing is wrong there") for finding in left.values()]
    if one.key.faultless:
        rated = set(review.ratings) >= {criterion.id for criterion in rubric.criteria}
        whole = rated and not review.findings
        why = "" if whole else "rate every criterion to earn it" if not review.findings else "a finding was made in it"
        status = SOUND if whole else MISSED if review.findings else NOT_RATED
        found.append(Item(one.name, "", status, float(whole), "nothing is wrong with this one", why))
    return [*found, *alarms]


def _alarm(work: str, finding: Finding, why: str) -> Item:
    return Item(work, finding.exercise, FALSE, -ALARM, finding.kind, why)


def _flaw(one: Specimen, flaw: Planted, finding: Finding | None) -> Item:
    if finding is None:
        return Item(one.name, flaw.exercise, MISSED, 0.0, flaw.kind, flaw.says)
    earned, notes = PLACE, ["the right place"]
    if finding.kind == flaw.kind:
        earned += KIND
        notes.append("its kind")
    else:
        notes.append(f"not its kind: you said {finding.kind!r}")
    shown, why = _shown(one, flaw, finding)
    earned += EVIDENCE * shown
    notes.append(f"{'evidence' if shown else 'no evidence'}: {why}")
    status = FOUND if earned > 1 - 1e-9 else PARTLY
    return Item(one.name, flaw.exercise, status, earned, flaw.kind, flaw.says, tuple(notes))


def _shown(one: Specimen, flaw: Planted, finding: Finding) -> tuple[bool, str]:
    """Whether a finding's evidence shows its flaw, and why (not)."""
    if finding.evidence is None:
        return False, "none was given"
    if flaw.exercise == EXPERIMENT:
        right = finding.evidence == flaw.section
        return right, f"it shows in the section {flaw.section!r}" + ("" if right else f", you named {str(finding.evidence)[:40]!r}")
    from breakthrough.exercises import plants, showing
    from breakthrough.exercises.exercise import load

    exercise = load(flaw.exercise)
    try:
        shown = showing.shows(exercise, plants.answer(one.code[flaw.exercise], exercise), plain.decode(finding.evidence))
    except (BreakthroughError, ArithmeticError, LookupError, TypeError, ValueError, RuntimeError, AttributeError, MemoryError) as error:
        return False, f"it cannot be run: {error}"
    return shown.usable and shown.differs, shown.says


def _distances(one: Specimen, review: Review | None) -> dict[str, tuple[int | None, int]]:
    given = review.ratings if review else {}
    return {name: (given.get(name), level) for name, level in one.key.levels.items()}


def _skill(distances: Mapping[str, Mapping[str, tuple[int | None, int]]], rubric: Rubric) -> float:
    """How much nearer the levels are than those of somebody who gives 4 to everything; what is not rated counts as 4."""
    weights = rubric.weights
    pairs = [(weights[name], 4 if given is None else given, key) for work in distances.values() for name, (given, key) in work.items()]
    mine = sum(weight * (given - key) ** 2 for weight, given, key in pairs)
    praise = sum(weight * (4 - key) ** 2 for weight, _, key in pairs)
    return max(0.0, 1 - mine / praise) if praise else float(mine == 0)
