"""Memory of a process and all that it started, looked at while something runs.

Units: bytes; what processes share is counted once (PSS), where the kernel tells it
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

LOOK_S = 0.5


class Watch:
    """A thread that looks; `done` is told how many submissions are graded, and `looks` has what was seen, by that."""

    def __init__(self) -> None:
        self.looks: list[tuple[int, int]] = []
        self.done = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def peak(self, first: int, last: int) -> int:
        """The most that was seen while the submissions from one number to another were graded."""
        return max((size for done, size in self.looks if first <= done <= last), default=0)

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            self.looks.append((self.done, in_all(os.getpid())))


def in_all(root: int) -> int:
    """What a process and all below it have."""
    return sum(map(_of, _below(root)))


def _below(root: int) -> Iterator[int]:
    parents = {number: _parent(number) for number in map(int, filter(str.isdigit, os.listdir("/proc")))}
    todo = [root]
    while todo:
        number = todo.pop()
        yield number
        todo += [child for child, parent in parents.items() if parent == number]


def _parent(number: int) -> int:
    try:
        return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):  # gone meanwhile
        return 0


def _of(number: int) -> int:
    try:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    except PermissionError:
        return int(Path(f"/proc/{number}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
