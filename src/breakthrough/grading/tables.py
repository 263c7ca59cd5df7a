"""What the commands on a cohort print as tables."""

from __future__ import annotations

from collections.abc import Sequence

from breakthrough.grading.items import Item

WIDTH = 110


def print_items(items: Sequence[Item]) -> None:
    """The items as a table: a row an exercise, below it the mistakes that were met."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("exercise", "n", "passed", "discr.", "hints", "min", "attempts", "marks/att.", "misconceptions met"):
        table.add_column(column, justify="left" if column in ("exercise", "misconceptions met") else "right", overflow="fold")
    for item in items:
        met = ", ".join(f"{name} {count}" for name, count in item.misconceptions.items())
        table.add_row(
            item.exercise, str(item.submissions), f"{100 * item.passed:.0f}%", _number(item.discrimination, 2), _number(item.hints, 1),
            _number(item.minutes, 0), _number(item.attempts, 1), _number(item.marks_per_attempt, 1), met)
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(table)
    logs = max(item.logs for item in items)
    print(f"discr.: correlation of passing with the score of the rest; n/a where nothing varies. Hints, minutes, attempts: means of {logs} logs")


def _number(value: float | None, digits: int) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"
