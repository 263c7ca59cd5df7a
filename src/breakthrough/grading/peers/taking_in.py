"""Collecting reviews: from a folder or an archive, matched by the packet's token, read as data and never run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from breakthrough.course.exchange import reviews, rubric as rubrics
from breakthrough.course.exchange.reviews import Handed, Review
from breakthrough.course.exchange.rubric import Rubric
from breakthrough.errors import InputError, expected
from breakthrough.grading import course_config, identity, intake, students
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.collecting import Collected
from breakthrough.grading.intake import Entry
from breakthrough.grading.peers import rounds
from breakthrough.grading.peers.rounds import Packet, Round
from breakthrough.grading.students import Student

HANDED = "handed"
REASONED = 20  # characters of a reason that says something


def collect(cohort: Cohort, module: str, source: Path) -> list[Collected]:
    """Take the newest reviews of every reviewer out of a folder or a zip, zips in it included.

    Raises: InputError when the source is neither, or no reviews were assigned
    """
    found, rubric = rounds.read(cohort, module), rubrics.load(module)
    with course_config.gradebook(cohort) as gradebook:
        known = students.of(gradebook)
    with rounds.writing(cohort, module), ExitStack() as stack:
        entries = sorted(_files(stack.enter_context(intake.opened(source)), stack), key=lambda one: one.time_s)
        return [_take(cohort, found, rubric, known, one) for one in entries]


def handed(cohort: Cohort, module: str) -> dict[str, Handed]:
    """The reviews that were collected, by reviewer."""
    return {path.stem: reviews.read(path) for path in sorted((rounds.folder(cohort, module) / HANDED).glob("*.json"))}


def lacking(found: Handed, packet: Packet, rubric: Rubric) -> str:
    """What a reviewer left out, in words; empty when nothing is."""
    parts = []
    for one in packet.handouts:
        review = found.of(one.name)
        without = [] if review is None else [criterion.id for criterion in rubric.criteria if criterion.id not in review.ratings]
        if review is None or without:
            parts.append(f"{one.name}: not reviewed" if review is None else f"{one.name}: without {', '.join(without)}")
    return "; ".join(parts)


def reasoned(review: Review, rubric: Rubric) -> float:
    """How many of a review's levels come with a reason, as a share."""
    given = sum(len(review.reasons.get(one.id, "").strip()) >= REASONED for one in rubric.criteria)
    return given / len(rubric.criteria)


def _files(entries: Sequence[Entry], stack: ExitStack) -> Iterator[Entry]:
    for entry in entries:
        if entry.parts[-1] == reviews.FILE or (entry.suffix == ".json" and "review" in entry.parts[-1].lower()):
            yield entry
        elif entry.suffix == ".zip" and not entry.fault:
            try:
                inside = stack.enter_context(intake.opened_inside(entry))
            except InputError:
                continue  # some other archive
            yield from (one for one in inside if one.parts[-1] == reviews.FILE)


def _take(cohort: Cohort, found: Round, rubric: Rubric, known: Sequence[Student], entry: Entry) -> Collected:
    """What becomes of one file: collected, updated, kept when it is the same, incomplete, or refused with the reason."""
    label = "/".join(entry.parts)[:100]
    try:
        given = reviews.parse(entry.read(reviews.MOST_BYTES))
        packet = _packet(found, given, label, known)
        _check(given, packet, rubric)
    except InputError as error:
        return Collected(label, "", "refused", str(error))
    target = rounds.folder(cohort, found.module) / HANDED / f"{packet.reviewer}.json"
    again = target.is_file()
    if again and reviews.read(target) == given:
        return Collected(label, packet.reviewer, "kept", "it is the same")
    reviews.write(target, given)
    missing = lacking(given, packet, rubric)
    return Collected(label, packet.reviewer, "incomplete" if missing else "updated" if again else "collected", missing)


def _packet(found: Round, given: Handed, label: str, known: Sequence[Student]) -> Packet:
    """The packet that reviews are of.

    Raises: InputError when there is none, or the file comes from somebody else
    """
    if given.module != found.module:
        raise InputError(expected(f"reviews of {found.module}", given.module))
    packet = next((one for one in found.packets if one.token == given.packet), None)
    if packet is None:
        raise InputError(expected(f"the name of a packet of {found.module}", repr(given.packet[:40]), "the reviewer's own file again"))
    sender = identity.find(identity.label_of(label.partition("/")[0], folder="/" in label), known)
    if isinstance(sender, Student) and sender.id != packet.reviewer:
        raise InputError(expected(f"the reviews of {sender.id}'s own packet", "those of another learner's"))
    return packet


def _check(given: Handed, packet: Packet, rubric: Rubric) -> None:
    names = {one.name for one in packet.handouts}
    known = {one.id for one in rubric.criteria}
    works = [one.work for one in given.reviews]
    if len(set(works)) != len(works) or not set(works) <= names:
        raise InputError(expected(f"one review of each work, {', '.join(sorted(names))}", ", ".join(works)))
    for one in given.reviews:
        if not set(one.ratings) <= known:
            raise InputError(expected(f"levels for {', '.join(sorted(known))}", ", ".join(sorted(set(one.ratings) - known))))
