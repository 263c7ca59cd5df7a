"""What a kernel and all that it started hold and use, sampled while a notebook runs: memory, and time of processors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

INTERVAL_S = 0.5  # a sample reads the machine's list of processes: milliseconds


class Peak:
    """The largest sum of resident memory over a process and its descendants that was seen, and what processors worked for them.

    Pages that several of them share count in each: the sum is an upper bound of what they hold, and a
    peak shorter than half a second may be missed. Of work, the last half second of a process may be.

    Units: bytes; cpu_s in seconds of one core
    """

    def __init__(self) -> None:
        self.bytes, self._alive_s = 0, 0.0
        self._worked_s: dict[tuple[int, float], float] = {}  # of each process that was seen, by its id and when it began
        self._ended = threading.Event()

    @property
    def cpu_s(self) -> float:
        """What they worked: the sum over all that were seen, also those that nobody waited for, or what the living and those they waited for did."""
        return max(sum(self._worked_s.values()), self._alive_s)

    def sample(self, pid: int) -> None:
        """Look once."""
        tree = _tree(pid)
        self.bytes = max(self.bytes, sum(map(_resident, tree)))
        alive_s = 0.0
        for process in tree:
            alive_s += self._note(process)
        self._alive_s = max(self._alive_s, alive_s)

    def _note(self, process: psutil.Process) -> float:
        """Keep what a process worked; returned with what its children did that it waited for."""
        import psutil

        try:
            times, name = process.cpu_times(), (process.pid, process.create_time())
        except psutil.Error:  # it ended meanwhile
            return 0.0
        self._worked_s[name] = own_s = times.user + times.system
        return own_s + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)  # Linux alone has them

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


def _tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants; nothing when there is none."""
    import psutil

    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def _resident(process: psutil.Process) -> int:
    import psutil

    try:
        return process.memory_info().rss
    except psutil.Error:  # it ended meanwhile
        return 0
