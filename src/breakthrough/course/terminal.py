"""What the commands print: one line a notebook, a progress bar where there is a terminal, tables."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from breakthrough import events
from breakthrough.course.runs import Result, Task, Watcher
from breakthrough.course.schema import KINDS

if TYPE_CHECKING:
    from rich.progress import TaskID

    from breakthrough.course.answers import Checked
    from breakthrough.course.claims import Entry
    from breakthrough.course.doctor import Finding
    from breakthrough.course.grade import Score
    from breakthrough.course.progress import Progress

WIDTH = 100  # of a table that is to be read at once
_STYLES = {"OK": "green", "missing": "bold red", "note": "yellow", "passed": "green", "wrong": "bold red", "stopped": "bold red"}


def _bars():
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("cell {task.fields[cell]}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


class CellBar:
    """A bar on a terminal that says which cell of a notebook runs, and for how long; on a pipe, nothing."""

    def __init__(self, notebook: str, cells: int) -> None:
        self._bar = _bars()
        self._task = self._bar.add_task(notebook, total=cells, cell=f"0/{cells}")
        self._cells = cells

    def __enter__(self) -> CellBar:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def cell(self, index: int, name: str) -> None:
        """Move to the cell that begins."""
        self._bar.update(self._task, completed=index, cell=f"{index + 1}/{self._cells} {name}")


class RunWatcher(Watcher):
    """A bar over the cells of each notebook that runs, and one line for every notebook that ended."""

    def __init__(self) -> None:
        self._bars = _bars()
        self._running: dict[str, tuple[TaskID, int]] = {}  # the bar of a notebook, and its cells

    def __enter__(self) -> RunWatcher:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()  # after an interrupt too: a bar hides the cursor

    def begin(self, task: Task, cells: int) -> None:
        """Add the bar of a notebook."""
        self._running[task.name] = self._bars.add_task(task.name, total=cells, cell=f"0/{cells}"), cells

    def cell(self, task: Task, index: int, name: str) -> None:
        """Move its bar to the cell that begins."""
        bar, cells = self._running[task.name]
        self._bars.update(bar, completed=index, cell=f"{index + 1}/{cells} {name}")

    def end(self, task: Task, result: Result) -> None:
        """Remove its bar and print the notebook's line."""
        self._bars.remove_task(self._running.pop(task.name)[0])
        self._bars.stop()  # a line on standard output, which may be a file, does not go through the bars
        print(result.line(), flush=True)
        self._bars.start()


def print_findings(findings: Sequence[Finding]) -> None:
    """The doctor's table: what is there, what is missing, what mends it."""
    table = _table("what", "status", "found", "mend it with")
    for one in findings:
        table.add_row(_plain(one.name), _styled(one.status), _plain(one.detail), _plain(one.mend))
    _print(table)


def print_checked(checked: Checked) -> None:
    """Points by exercise of a learner's lab, with the diagnosis of what is wrong; claims; cells that took too long."""
    table = _table("exercise", "points", "status", "what to look at")
    for one in checked.scores:
        table.add_row(one.exercise, f"{one.points:g} / {one.of:g}", _styled(one.status), _plain(one.says))
    _print(table, WIDTH)
    for claim, verdict in checked.claims.items():
        print(f"claim {claim}: {verdict or 'not recorded'}")
    for text in checked.stopped:
        print(text)
    print(f"{sum(s.points for s in checked.scores):g} of {sum(s.of for s in checked.scores):g} points")


def print_progress(progress: Progress) -> None:
    """Points by module against the shape of the course, attempts, hints, minutes, and what is next."""
    shape = progress.course.shape
    table = _table("module", "lab", "exchange", "lesson", "attempts", "hints", "minutes spent / planned")
    for one in progress.modules:
        points = [_points(one.scores[kind]) for kind in KINDS]
        table.add_row(one.module.id, *points, str(one.attempts), str(one.hints), f"{one.spent_min:.0f} / {one.planned_min:.0f}")
    earned, of = progress.earned, progress.of
    table.add_section()
    table.add_row("all", *(f"{getattr(earned, kind):g} / {getattr(of, kind):g}" for kind in KINDS))
    shares = [f"{100 * getattr(earned, kind) / earned.total if earned.total else 0:.0f}% (aim {getattr(shape, kind):g}%)" for kind in KINDS]
    table.add_row("share", *shares)
    _print(table)
    print(progress.grade.line())
    if progress.unknown:
        print(f"note: the log has {', '.join(progress.unknown)}, which course.yml does not name: not counted")
    print(f"next: {progress.next}")


def _points(score: Score) -> str:
    """Points earned; a dash where nothing is there yet, which is not the same as none earned."""
    return f"{score.earned:g} / {score.of:g}" if score.there else f"– / {score.of:g}"


def print_ledger(entries: Sequence[Entry]) -> None:
    """Every claim with its verdict and what was measured, or why there is none yet."""
    table = _table("", "the claim", "verdict", "whose", "measured")
    for one in entries:
        verdict = f"{one.verdict} ({one.profile})" if one.recorded else one.state
        measured = ". ".join(text.rstrip(".") for text in (one.measured, one.reason) if text)
        table.add_row(one.claim.id, _plain(one.claim.claim), _plain(verdict), _plain(one.source), _plain(measured))
    _print(table)
    recorded = [one for one in entries if one.recorded]
    whose = ", ".join(f"{count} {name}" for name, count in Counter(one.source for one in recorded).items())
    print(f"{len(recorded)} of {len(entries)} claims measured" + (f": {whose}" if whose else ""))


def print_damaged(*others: Path) -> None:
    """One line on stderr for every event log, the learner's own and others, with lines that cannot be read."""
    for log in dict.fromkeys((events.folder(), *others)):
        count = events.damaged(log)
        if count:
            lines = "1 line is" if count == 1 else f"{count} lines are"
            print(f"note: {lines} unreadable in {log / events.FILE}, and skipped", file=sys.stderr)


def _table(*columns: str):
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _plain(text: str):
    from rich.text import Text

    return Text(text)  # no markup: names like `flwr [federated]` are to be read, not rendered


def _styled(status: str):
    from rich.text import Text

    return Text(status, style=_STYLES.get(status, ""))


def _print(table, most: int | None = None) -> None:
    from rich.console import Console

    # on a pipe there is no width to fit
    console = Console(width=None if sys.stdout.isatty() else most or 140)
    console.print(table, width=min(console.width, most or console.width))
