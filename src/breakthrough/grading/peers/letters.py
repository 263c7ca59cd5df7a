"""What a learner is told after a round: what reviewers wrote about their work, and how good their own reviews were."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from breakthrough.course.exchange import rubric as rubrics
from breakthrough.course.exchange.reviews import Review
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.peers import export, readings, rounds, scoring, taking_in
from breakthrough.grading.peers.anonymous import People


@dataclass(frozen=True)
class Line:
    """One criterion of a work: the level that was combined, and what each reviewer gave and wrote.

    Units: levels from 0 to 4
    """

    title: str
    level: float | None
    given: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Letter:
    """All that one learner is told. Reviewers have no names here, and their order is not that of any list."""

    work: str
    reviews: str
    lines: tuple[Line, ...]
    findings: tuple[str, ...]
    comments: tuple[str, ...]


class Letters:
    """The letters of a module's round, with what all of them need read once."""

    def __init__(self, cohort: Cohort, module: str, people: People) -> None:
        """Read the round, its reviews and its scores.

        Raises: InputError when it was not scored
        """
        found, self.rubric, self.people = rounds.read(cohort, module), rubrics.load(module), people
        scores, self.handed = scoring.read(cohort, module), taking_in.handed(cohort, module)
        self.works, self.reviewers = {one.author: one for one in scores.works}, {one.reviewer: one for one in scores.reviewers}
        self.read = readings.readings(cohort, module)
        self.got: dict[str, list[Review]] = defaultdict(list)
        for packet in found.packets:
            given = self.handed.get(packet.reviewer)
            for one in packet.handouts:
                if given and (review := given.of(one.name)):
                    self.got[one.author].append(review)

    def to(self, student: str) -> Letter:
        """What one learner is told."""
        work, reviewed = self.works.get(student), self.reviewers.get(student) if student in self.handed else None
        got = sorted(self.got.get(student, ()), key=lambda one: one.model_dump_json())
        lines = tuple(
            Line(one.title, work.criteria.get(one.id) if work else None,
                 tuple((review.ratings[one.id], self.people.without(review.reasons.get(one.id, ""))) for review in got if one.id in review.ratings))
            for one in self.rubric.criteria)
        findings = tuple(self.people.without(f"{found.exercise}: {found.kind}. {found.note}") for review in got for found in review.findings)
        comments = tuple(self.people.without(review.comment) for review in got if review.comment.strip())
        because = self.read[student].because if student in self.read else ""
        return Letter(export.work_line(work, because), export.reviews_line(reviewed), lines, findings, comments)


def open_letters(cohort: Cohort, module: str, people: People) -> Letters | None:
    """The letters of a module; none while nothing was scored."""
    there = (rounds.folder(cohort, module) / scoring.FILE).is_file()
    return Letters(cohort, module, people) if there else None
