"""The progress panel as a widget: one for each module in a kernel, however often it is shown.

A thread looks at the event log's size and time, and reads it again when they change. So a panel follows checks of
its own kernel while they run, and those of other notebooks; and what it shows comes from the log alone, whatever
kernels were restarted. Nothing crosses to the browser while nothing changes: the kernel counts as idle.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from breakthrough import events
from breakthrough.course import board
from breakthrough.course.board import Board
from breakthrough.course.schema import Module, Syllabus

LOOK_S = 0.3  # between two looks at the log
_PANELS: dict[tuple[Path, str], Panel] = {}


class Panel(anywidget.AnyWidget):
    """A module's board, kept in step with the log."""

    _esm = Path(__file__).with_name("panel.js")
    html = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)  # for screen readers: what has just changed

    board: Board
    stamp: tuple[int, int]

    def __init__(self, course: Syllabus, module: Module) -> None:
        self.board, self.course, self.stamp = board.read(course, module), course, _stamp()
        super().__init__(html=board.html(self.board))

    def look(self) -> bool:
        """Read the log again if it has changed; whether it had."""
        stamp = _stamp()
        if stamp == self.stamp:
            return False
        self.stamp, before = stamp, self.board
        self.board = board.read(self.course, before.module)
        self.html, self.said = board.html(self.board), board.said(before, self.board)
        return True

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and how things stand now as HTML and as text, for front ends without widgets."""
        self.look()
        data, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return data | {"text/html": self.html, "text/plain": str(self.board)}, metadata


def of(course: Syllabus, module: Module) -> Panel:
    """The panel of a module in this kernel: the same one each time."""
    key = (course.root, module.id)
    if key not in _PANELS:
        _PANELS[key] = Panel(course, module)
        threading.Thread(target=_follow, args=(_PANELS[key],), name=f"panel {module.id}", daemon=True).start()
    return _PANELS[key]


def _follow(panel: Panel) -> None:
    pause = threading.Event()
    while not pause.wait(LOOK_S):
        panel.look()


def _stamp() -> tuple[int, int]:
    """What changes whenever an event is written."""
    try:
        found = (events.folder() / events.FILE).stat()
    except OSError:  # no log yet, or one that was just removed
        return 0, 0
    return found.st_size, found.st_mtime_ns
