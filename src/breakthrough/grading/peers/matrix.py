"""A round's reviews as the arrays of the peer-grading model: who reviewed what, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from breakthrough.course.exchange.effort_model import Reviews
from breakthrough.course.exchange.reviews import Handed
from breakthrough.course.exchange.rubric import LEVELS, Rubric
from breakthrough.errors import InputError, expected
from breakthrough.grading.peers.readings import Reading
from breakthrough.grading.peers.rounds import Round


@dataclass(frozen=True)
class Matrix:
    """The arrays, and whose numbers they are.

    Shapes: `author` (U,) the number of the reviewer who made a submission, or -1 for a specimen; `due` (V,) reviews each was given
    """

    reviews: Reviews
    works: tuple[str, ...]  # authors, then specimens as ""
    reviewers: tuple[str, ...]
    author: np.ndarray
    due: np.ndarray


def of(found: Round, handed: Mapping[str, Handed], keys: Sequence[Mapping[str, int]], read: Mapping[str, Reading], rubric: Rubric,
       reviewers: Sequence[str]) -> Matrix:
    """The reviews of a round that rate anything, with the levels that are known: of specimens, and of works the instructor has read.

    Raises: InputError when there is no review at all
    """
    criteria = [one.id for one in rubric.criteria]
    authors = sorted({name for packet in found.packets for name in packet.authors})
    number, who = {name: place for place, name in enumerate(authors)}, {name: place for place, name in enumerate(reviewers)}
    rows: list[tuple[int, int, list[float]]] = []
    for packet in found.packets:
        given = handed.get(packet.reviewer)
        for handout in packet.handouts:
            review = given.of(handout.name) if given else None
            if review is not None and set(review.ratings) & set(criteria):
                place = len(authors) + handout.specimen if handout.calibrates else number[handout.author]
                rows.append((place, who[packet.reviewer], [_share(review.ratings.get(name)) for name in criteria]))
    if not rows:
        raise InputError(expected(f"reviews of {found.module}", "none", f"breakthrough exchange collect {found.module} --from DIR"))
    known = np.full((len(authors) + len(keys), len(criteria)), np.nan)
    for place, key in enumerate(keys, start=len(authors)):
        known[place] = [_share(key[name]) for name in criteria]
    for name, one in read.items():
        if name in number:
            known[number[name]] = [_share(one.levels[criterion]) for criterion in criteria]
    due = np.zeros(len(reviewers), dtype=int)
    for packet in found.packets:
        # whoever was dropped owes nothing, and what they have done still counts
        due[who[packet.reviewer]] = len(packet.handouts) if not packet.released or packet.reviewer in handed else 0
    submission, reviewer, scores = (np.array(part) for part in zip(*rows, strict=True))
    author = np.array([who.get(name, -1) for name in authors] + [-1] * len(keys))
    return Matrix(Reviews(submission, reviewer, scores, known, len(reviewers)), (*authors, *[""] * len(keys)), tuple(reviewers), author, due)


def weights(rubric: Rubric) -> np.ndarray:
    """The criteria's weights, in the rubric's order, which sum to 1."""
    return np.array([rubric.weights[one.id] for one in rubric.criteria])


def _share(level: int | None) -> float:
    return np.nan if level is None else level / (LEVELS - 1)
