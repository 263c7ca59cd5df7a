"""A round's scores as points: the module's 20%, in the gradebook beside its lab."""

from __future__ import annotations

from breakthrough.course import syllabus
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import InputError, expected
from breakthrough.grading import course_config, entered
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.entered import Entry
from breakthrough.grading.peers import handing_out, readings, scoring, taking_in
from breakthrough.grading.peers.scoring import ReviewerScore, WorkScore
from breakthrough.language import counted

REVIEWS, WORK = "reviews", "work"


def cells(course: Syllabus, module: Module) -> dict[str, float]:
    """The points there are for one's reviews and for one's work as the reviewers see it, which course.yml divides.

    Raises: InputError for a module without points for the exchange
    """
    if not module.points.exchange:
        raise InputError(expected(f"points for the exchange of {module.id} in course.yml", "none", "points: {exchange: 20}"))
    shares = course.exchange
    return {name: round(module.points.exchange * share / 100, 6) for name, share in ((REVIEWS, shares.reviews), (WORK, shares.work))}


def export(cohort: Cohort, module: str) -> tuple[int, list[str]]:
    """Write the points of everybody who handed the lab in; how many have any, and who lacks what.

    Raises: InputError when the round was not scored
    """
    course = syllabus.load(cohort.project)
    most, scores = cells(course, course.find(module)), scoring.read(cohort, module)
    handed, read = taking_in.handed(cohort, module), readings.readings(cohort, module)
    works, reviewers = {one.author: one for one in scores.works}, {one.reviewer: one for one in scores.reviewers}
    entries, lacking = {}, []
    for student in handing_out.submitted(cohort, module):
        reviewed, work = reviewers.get(student) if student in handed else None, works.get(student)
        points = {REVIEWS: None if reviewed is None else round(most[REVIEWS] * reviewed.quality, 2), WORK: None if work is None else round(most[WORK] * work.score, 2)}
        because = read[student].because if student in read else ""
        entries[student] = Entry(points, {REVIEWS: reviews_line(reviewed), WORK: work_line(work, because)})
        lacking += [f"{student}: {what}" for what, value in (("no reviews handed in", reviewed), ("no review of their work", work)) if value is None]
    with course_config.gradebook(cohort) as gradebook:
        return entered.put(gradebook, module, "exchange", most, entries), lacking


def reviews_line(one: ReviewerScore | None) -> str:
    """What somebody is told about the quality of their reviews."""
    if one is None:
        return "No reviews handed in: missing, not zero."
    parts = ", ".join(f"{name} {value:.0%}" for name, value in one.parts.items() if value is not None)
    return f"Quality of your reviews {one.quality:.0%} ({parts}); {one.handed_in:.0%} of them handed in."


def work_line(one: WorkScore | None, because: str) -> str:
    """What somebody is told about their work as its reviewers see it."""
    if one is None:
        return "Nobody has reviewed your work yet: missing, not zero."
    if one.read:
        return f"{one.score:.0%}, read by your instructor: {because}"
    return f"{one.score:.0%} from {counted(one.reviews, 'review')}; nine times in ten it lies between {one.low:.0%} and {one.high:.0%}."
