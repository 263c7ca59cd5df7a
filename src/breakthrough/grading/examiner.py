"""The examiner: it has the tests and the seed, draws the inputs, and judges what a student's process answers."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from breakthrough.grading.records import NOT_ATTEMPTED, PASSED, WRONG, Mark, ProgramCell
from breakthrough.seeds import derive

if TYPE_CHECKING:
    from breakthrough.exercises import Exercise, Verdict
    from breakthrough.grading.session import Session


def examine(session: Session, cells: Sequence[ProgramCell], checks: Sequence[ProgramCell], seed: int) -> dict[str, Mark]:
    """Run cells in order, and judge each answer where its check stands; the marks by exercise."""
    todo = {check.id: check for check in checks}
    marks = {}
    for cell in cells:
        if cell.id in todo:
            marks[cell.exercise] = mark(session, cell, seed)
        else:
            session.run(cell)
    return marks


def mark(session: Session, check: ProgramCell, seed: int) -> Mark:
    """The mark of one exercise, on inputs that its seed decides."""
    from breakthrough import exercises
    from breakthrough.exercises.judge import judge

    exercise = exercises.load(check.exercise)
    session.begin()
    try:
        answer = session.answer(check.variable)
    except NameError:
        answer = None
    except Exception as error:  # noqa: BLE001 - the process ended, or what it answers is no value
        return failed(exercise, str(error))
    try:
        # what the examiner's own code prints meanwhile is nobody's output
        with contextlib.redirect_stdout(io.StringIO()):
            verdict = judge(exercise, answer, derive(seed, check.exercise) % (1 << 32))
    except Exception as error:  # noqa: BLE001 - an answer that the judge did not expect earns nothing, and stops nothing
        return failed(exercise, f"{type(error).__name__}: {error}")
    return marked(verdict)


def marked(verdict: Verdict) -> Mark:
    """A verdict as a mark, without its seed."""
    from breakthrough.exercises import card

    told = replace(verdict, seed=None)
    return Mark(
        exercise=verdict.exercise.name,
        status=verdict.status,
        points=verdict.points,
        of=verdict.exercise.points,
        kind=verdict.kind,
        diagnosis=verdict.diagnosis.name if verdict.diagnosis else "",
        says="" if verdict.status == PASSED else card.headline(verdict),
        case=verdict.case,
        plain=_bounded(card.plain(told, 1)),
        html=_bounded(card.html(told, 1)),
        seconds=round(verdict.seconds, 3),
    )


def _bounded(text: str, most: int = 60_000) -> str:
    return text if len(text) <= most else ""


def failed(exercise: Exercise, why: str) -> Mark:
    """No points, for an answer that could not be judged."""
    text = why[:2000]
    return Mark(exercise.name, WRONG, 0, exercise.points, kind="raised", says=text, plain=f"{text}\n✗ {exercise.name}: not yet, 0 of {exercise.points} points", html="")


def missing(exercise: Any) -> Mark:
    """No points, for an exercise that nothing was handed in for."""
    return Mark(exercise.name, NOT_ATTEMPTED, 0, exercise.points, plain=f"○ {exercise.name}: not attempted, 0 of {exercise.points} points")
