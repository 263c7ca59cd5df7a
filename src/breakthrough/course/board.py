"""Where a learner stands in one module, exercise by exercise, from the event log: as text, and as HTML for the panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from breakthrough import events
from breakthrough.course import progress
from breakthrough.course.schema import Module, Syllabus
from breakthrough.language import counted
from breakthrough.palette import BAD, GOOD, NOTE, QUIET, faint, framed, toned

PASSED, NOT_YET, OPEN = "passed", "not yet", "open"
LOOKS = {PASSED: ("✓", GOOD), NOT_YET: ("✗", BAD), OPEN: ("○", QUIET)}  # sign and word carry the meaning too
KINDS = {"lab": "Lab", "lesson": "Lesson"}


@dataclass(frozen=True)
class Row:
    """One exercise or question.

    Units: `earned` and `of` in points; `spent_min` and `planned_min` in minutes
    """

    name: str
    title: str
    kind: str  # lab, lesson
    state: str
    earned: float
    of: float
    attempts: int
    spent_min: float
    planned_min: float


@dataclass(frozen=True)
class Board:
    """All exercises of a module."""

    module: Module
    rows: tuple[Row, ...]

    @property
    def earned(self) -> float:
        """Points earned."""
        return sum(row.earned for row in self.rows)

    @property
    def of(self) -> float:
        """Points there are."""
        return sum(row.of for row in self.rows)

    @property
    def next(self) -> Row | None:
        """The first exercise that is not passed."""
        return next((row for row in self.rows if row.state != PASSED), None)

    def __str__(self) -> str:
        """The board as text, a line an exercise."""
        name, title = max(len(row.name) for row in self.rows), max(len(row.title) for row in self.rows)
        lines = [f"{LOOKS[row.state][0]} {row.name:{name}}  {row.title:{title}}  {row.state:7}  {_points(row):>6} points  {_attempts(row)}, {_minutes(row)} min"
                 for row in self.rows]
        return "\n".join([_head(self), *lines, _next(self)])


def read(course: Syllabus, module: Module, log: Iterable[Mapping[str, Any]] | None = None) -> Board:
    """Where a module's exercises stand according to a log, the learner's own when none is given."""
    from breakthrough import exercises

    seen = [event for event in (events.read() if log is None else log) if isinstance(event.get("exercise"), str)]
    spent = progress.spent_min(seen, {event["exercise"]: event["exercise"] for event in seen})
    kinds = [("lab", name) for name in module.exercises] + [("lesson", name) for name in module.questions]
    return Board(module, tuple(_row(kind, exercises.load(name), seen, spent.get(name, 0.0)) for kind, name in kinds))


def html(board: Board) -> str:
    """The board as a card: a bar of points and a table, whose words are there without the colours."""
    bar = (
        f'<div role="progressbar" aria-label="points of module {escape(board.module.id)}" aria-valuemin="0" aria-valuemax="{board.of:g}" '
        f'aria-valuenow="{board.earned:g}" aria-valuetext="{escape(_head(board))}" style="{faint("background:")};border-radius:4px;margin:.5em 0">'
        f'<div data-fill style="width:{100 * board.earned / board.of if board.of else 0:.1f}%;height:.7em;border-radius:4px;{toned("background:", GOOD)}"></div></div>'
    )
    groups = "".join(_group(kind, [row for row in board.rows if row.kind == kind]) for kind in KINDS)
    titles = "".join(f'<th scope="col" style="{_cell(title)}">{title}</th>' for title in ("state", "exercise", "points", "attempts", "minutes"))
    table = (
        f'<table style="border-collapse:collapse;width:100%;margin:0;font-size:.95em"><thead><tr>{titles}</tr></thead>{groups}</table>'
    )
    return framed(NOTE, f"<b>{escape(_head(board))}</b>{bar}{table}<div style='margin-top:.5em'>{_marked(_next(board))}</div>")


def said(before: Board, after: Board) -> str:
    """What a screen reader is told when a board changed: the rows whose state or points did."""
    news = [f"{row.name} {row.state}" for old, row in zip(before.rows, after.rows, strict=True) if (old.state, old.earned) != (row.state, row.earned)]
    return f"{', '.join(news)}; {_head(after)}" if news else ""


def _row(kind: str, exercise: Any, seen: list[Mapping[str, Any]], spent: float) -> Row:
    checks = [event for event in seen if event["kind"] == "check" and event["exercise"] == exercise.name and event.get("status") != "not attempted"]
    earned = max((event["points"] for event in checks if progress.is_amount(event.get("points"))), default=0)
    passed = any(event.get("status") == "passed" for event in checks)
    state = PASSED if passed else NOT_YET if checks else OPEN
    return Row(exercise.name, exercise.title, kind, state, min(earned, exercise.points), exercise.points, len(checks), spent, exercise.minutes)


def _group(kind: str, rows: list[Row]) -> str:
    if not rows:
        return ""
    head = f'<tr><th scope="rowgroup" colspan="5" style="{_cell("")};padding-top:.6em">{KINDS[kind]}</th></tr>'
    return f"<tbody>{head}{''.join(map(_line, rows))}</tbody>"


def _line(row: Row) -> str:
    sign, hue = LOOKS[row.state]
    exercise = f"{escape(row.title)} <code>{escape(row.name)}</code>"
    cells = [("points", _points(row)), ("attempts", str(row.attempts)), ("minutes", _minutes(row))]
    return (
        f'<tr data-exercise="{escape(row.name)}"><td style="{_cell("state")};{toned("color:", hue)};white-space:nowrap">'
        f'<b aria-hidden="true">{sign}</b> {row.state}</td><th scope="row" style="{_cell("exercise")};font-weight:normal">{exercise}</th>'
        + "".join(f'<td style="{_cell(title)}">{text}</td>' for title, text in cells) + "</tr>"
    )


def _cell(title: str) -> str:
    side = "right" if title in ("points", "attempts", "minutes") else "left"
    return f"text-align:{side};padding:.15em .6em;{faint('border-bottom:1px solid ')}"


def _head(board: Board) -> str:
    return f"{board.module.id[:2]} · {board.module.title}: {board.earned:g} of {board.of:g} points"


def _next(board: Board) -> str:
    return f'next: {board.next.title}, `{board.next.name}`' if board.next else "all passed"


def _marked(text: str) -> str:
    start, *code = escape(text).split("`")
    return f"{start}<code>{code[0]}</code>" if code else start


def _points(row: Row) -> str:
    return f"{row.earned:g} / {row.of:g}"


def _attempts(row: Row) -> str:
    return counted(row.attempts, "attempt")


def _minutes(row: Row) -> str:
    return f"{row.spent_min:.0f} of {row.planned_min:g}"
