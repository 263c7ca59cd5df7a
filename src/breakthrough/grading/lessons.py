"""Lessons' concept questions in a cohort: answers out of the logs that were handed in, judged again by the grader.

A log is the learner's own file, so that none of its points count. What counts is the answer, judged against the question
as it is drawn for this student: an answer passed on from a neighbour is an answer to another question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from breakthrough.course import syllabus
from breakthrough.errors import InputError, expected
from breakthrough.grading import course_config, entered, items, students
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.entered import Entry
from breakthrough.grading.students import Student

TRIES = 50  # different answers to one question that are judged, the last ones


@dataclass(frozen=True)
class Lesson:
    """One student's points by question; none for a question without an answer of theirs, and why."""

    student: str
    points: Mapping[str, float | None]
    why: Mapping[str, str]

    @property
    def missing(self) -> str:
        """What is missing and why, in one text; empty when nothing is."""
        reasons: dict[str, list[str]] = {}
        for name, reason in self.why.items():
            reasons.setdefault(reason, []).append(name)
        return "; ".join(f"{reason}: {', '.join(names)}" for reason, names in reasons.items())


def grade(cohort: Cohort, module: str) -> list[Lesson]:
    """Judge all students' answers to a module's questions, and put the points into the gradebook beside the lab.

    Raises: InputError for a module without questions
    """
    from breakthrough import exercises

    course = syllabus.load(cohort.project)
    found = course.find(module)
    questions = {name: exercises.load(name) for name in found.questions}
    if not questions:
        raise InputError(expected(f"questions in the lesson of {module}", "none"))
    with course_config.gradebook(cohort) as gradebook:
        lessons = [_lesson(cohort, module, student, questions) for student in students.of(gradebook)]
        cells = {name: float(exercise.points) for name, exercise in questions.items()}
        entered.put(gradebook, module, "lesson", cells, {one.student: Entry(one.points, one.why) for one in lessons})
    return lessons


def _lesson(cohort: Cohort, module: str, student: Student, questions: Mapping[str, Any]) -> Lesson:
    log = [event for event in items.log_of(cohort.submitted(student.id, module)) if event["kind"] == "check"]
    points: dict[str, float | None] = {}
    why: dict[str, str] = {}
    own = {name for name in (student.id, student.email, student.lms_user_id) if name}
    for name, exercise in questions.items():
        given = [event for event in log if event.get("exercise") == name and event.get("answer") is not None]
        mine = [event for event in given if isinstance(event.get("learner"), str) and event["learner"] in own]
        if mine:
            points[name] = _best(exercise, mine)
            continue
        points[name] = None
        others = sorted({str(event.get("learner"))[:40] for event in given})
        why[name] = f"answered as {', '.join(others)}, not as {student.id} (breakthrough learner {student.id})" if others else "no answer in the log"
    return Lesson(student.id, points, why)


def _best(exercise: Any, answered: Iterable[Mapping[str, Any]]) -> float:
    """The points of the best answer: what was right once stays right."""
    from breakthrough.exercises import judge

    best = 0.0
    seen: dict[tuple[str, str], Any] = {}
    for event in answered:
        seen[str(event["learner"]), repr(event["answer"])] = event["answer"]
    for (learner, _), answer in list(seen.items())[-TRIES:]:
        if isinstance(answer, (int, float, str)):
            best = max(best, float(judge(exercise.redraw(learner), answer, 0).points))
    return best
