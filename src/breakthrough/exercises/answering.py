"""What a notebook calls: `ask` a question, `check` an answer, ask for a `hint`. The last two are written to the event log."""

from __future__ import annotations

from typing import Any

from breakthrough import events, learner as learners
from breakthrough.errors import CheckFailed, UnknownNameError, expected
from breakthrough.exercises import card, statement
from breakthrough.exercises.exercise import LADDER, Exercise, load
from breakthrough.exercises.judge import PASSED, Verdict, judge
from breakthrough.exercises.questions import LONGEST, shown


def ask(name: str) -> None:
    """Show what a question asks of this learner: everyone gets other numbers, and the options in another order.

    Raises: UnknownNameError for another name, or one that is no question; ConfigError when the learner's id is none
    """
    exercise, learner = _mine(name)
    if not exercise.question:
        raise UnknownNameError(expected("the name of a question", repr(name), f'check("{name}", …), as its text stands above it'))
    _show(statement.bundle(exercise, learner), _in_notebook(), True)


def check(name: str, answer: Any, *, seed: int | None = None) -> None:
    """Judge an answer on fresh inputs and show the verdict.

    In a notebook the verdict is a card, and a wrong answer to a lab exercise then raises, so that
    nbgrader sees it; a lesson goes on. In a script the plain text is printed, or raised when wrong.
    A `seed` repeats the inputs that a card names.

    Raises: CheckFailed when the answer is wrong or missing; UnknownNameError for another name
    """
    exercise, learner = _mine(name)
    verdict = judge(exercise, answer, seed)
    _log(verdict, {"answer": _plain(answer), "learner": learner} if exercise.question else {})
    level = _hints_seen(name) + 1
    in_notebook = _in_notebook()
    _show(card.bundle(verdict, min(level, len(LADDER))), in_notebook, verdict.status == PASSED)
    if verdict.status == PASSED or (exercise.lesson and in_notebook):
        return
    if in_notebook:
        raise _ShownAbove(f"{name}: {card.headline(verdict)}")
    raise CheckFailed(card.plain(verdict, min(level, len(LADDER))))


def hint(name: str, level: int | None = None) -> None:
    """Show a hint: 1 concept, 2 shapes, 3 pseudocode, 4 solution. Without a level, the next one.

    Raises: UnknownNameError for another exercise or level
    """
    exercise, _ = _mine(name)
    seen = _hints_seen(name)
    level = level if level is not None else min(seen + 1, len(LADDER))
    shown = card.hint_bundle(exercise, level, seen)
    events.append("hint", exercise=name, level=level)
    _show(shown, _in_notebook(), True)


class _ShownAbove(CheckFailed):
    """A failure whose card is already shown: one line is left for the notebook and `nbgrader validate`."""

    def _render_traceback_(self) -> list[str]:
        return [f"CheckFailed: {self}"]


def _hints_seen(name: str) -> int:
    seen = [e.get("level", 0) for e in events.read() if e["kind"] == "hint" and e.get("exercise") == name]
    return max((level for level in seen if isinstance(level, int)), default=0)


def _mine(name: str) -> tuple[Exercise, str]:
    """An exercise, and whose it is: a question as it is drawn for this learner."""
    exercise = load(name)
    learner = learners.current() if exercise.question else learners.STANDARD
    return exercise.redraw(learner), learner


def _plain(answer: Any) -> Any:
    """An answer as JSON can hold it, so that a grader can judge it again."""
    if answer is None or isinstance(answer, bool):
        return answer
    if isinstance(answer, (int, float)) and abs(answer) < 1e15:  # neither infinite nor NaN
        return answer
    text = answer if isinstance(answer, str) else shown(answer)
    return text[:LONGEST].encode(errors="replace").decode()  # JSON is UTF-8, a string may be more


def _log(verdict: Verdict, more: dict[str, Any]) -> None:
    events.append(
        "check",
        exercise=verdict.exercise.name,
        status=verdict.status,
        points=verdict.points,
        of=verdict.exercise.points,
        diagnosis=verdict.diagnosis.name if verdict.diagnosis else None,
        seconds=round(verdict.seconds, 3),
        **more,
    )


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return type(get_ipython()).__name__ == "ZMQInteractiveShell"


def _show(bundle: dict[str, Any], in_notebook: bool, also_in_script: bool) -> None:
    if in_notebook:
        from IPython.display import display

        display(bundle, raw=True)
    elif also_in_script:
        print(bundle["text/plain"])
