"""What the commands print: one line a notebook, a progress bar where there is a terminal, tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from breakthrough.course.runs import Result, Task, Watcher

if TYPE_CHECKING:
    from tqdm import tqdm


class RunWatcher(Watcher):
    """A bar over the cells of the current notebook, and one line for every notebook that ended."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def begin(self, task: Task, cells: int) -> None:
        """Start the bar of a notebook; on a pipe, nothing."""
        from tqdm import tqdm

        form = "{desc} {bar} cell {n_fmt}/{total_fmt} {elapsed}"
        self._bar = tqdm(total=cells, desc=task.name, bar_format=form, leave=False, disable=not sys.stderr.isatty())

    def cell(self, task: Task, index: int) -> None:
        """Move the bar to the cell that begins."""
        if self._bar is not None:
            self._bar.update(index + 1 - self._bar.n)

    def end(self, task: Task, result: Result) -> None:
        """Remove the bar and print the notebook's line."""
        if self._bar is not None:
            self._bar.close()
        print(result.line(), flush=True)
