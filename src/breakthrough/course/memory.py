"""The memory that a kernel and all that it started hold at once, sampled while a notebook runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERVAL_S = 0.5  # a sample reads the machine's list of processes: milliseconds


class Peak:
    """The largest sum of resident memory over a process and its descendants that was seen.

    Pages that several of them share count in each: the sum is an upper bound of what they hold, and a
    peak shorter than half a second may be missed.

    Units: bytes
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._ended = threading.Event()

    def sample(self, pid: int) -> None:
        """Look once."""
        self.bytes = max(self.bytes, resident_bytes(pid))

    def watch(self, pid: int) -> None:
        """Look twice a second from now on, in a thread, until `stop`."""
        threading.Thread(target=self._watch, args=(pid,), daemon=True).start()

    def _watch(self, pid: int) -> None:
        while True:
            self.sample(pid)
            if self._ended.wait(INTERVAL_S):
                return

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()


@contextmanager
def peak() -> Iterator[Peak]:
    """A peak that is watched no longer than the block runs."""
    found = Peak()
    try:
        yield found
    finally:
        found.stop()


def resident_bytes(pid: int) -> int:
    """The resident memory of a process and its descendants together; 0 when there is none."""
    import psutil

    try:
        top = psutil.Process(pid)
        tree = [top, *top.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(map(_resident, tree))


def _resident(process) -> int:
    import psutil

    try:
        return process.memory_info().rss
    except psutil.Error:  # it ended meanwhile
        return 0
