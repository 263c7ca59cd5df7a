"""Dynamic batching: requests that wait together are answered together.

A model thread that is free takes what waits, up to `max_batch`. While it computes, the next requests gather: so batches
grow with the load by themselves, and one client alone never waits for company. `max_wait_s` makes a thread that finds
fewer than `max_batch` wait for more, counted from the arrival of the oldest.

Threads, not processes: compiled code runs without Python's lock, and a batch is handed over without a copy.
"""

from __future__ import annotations

import queue
import threading
import time
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Answer = Callable[[np.ndarray], Sequence[Any]]  # (B, …) → B answers
Told = Callable[[int, float], None]  # the size of a batch, and how long it took


class Item:
    """One request: its input, the future of its answer, the time it came."""

    __slots__ = ("born_s", "future", "x")

    def __init__(self, x: np.ndarray, future: Future) -> None:
        self.x, self.future, self.born_s = x, future, time.monotonic()


class Batcher:
    """Model threads that answer requests in batches.

    `load` is called in every thread once, for a model of its own; `told` is called on the event loop after every batch.

    Units:  workers threads; max_batch requests; max_wait_s from the oldest's arrival
    """

    def __init__(
        self, load: Callable[[], Answer], *, workers: int = 1, max_batch: int = 32, max_wait_s: float = 0.0, sizes: Sequence[int] = (), told: Told | None = None
    ) -> None:
        self._load, self._told, self._sizes = load, told, tuple(sizes)
        self._max_batch, self._max_wait_s = max_batch, max_wait_s
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True, name=f"model-{n}") for n in range(workers)]
        self._since: list[float | None] = [None] * workers  # when a thread began the batch it is in
        self._ready = [False] * workers
        self.failure: BaseException | None = None

    def start(self, loop: AbstractEventLoop) -> None:
        """Start the threads; answers are set on this loop."""
        self._loop = loop
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the threads end after what waits now."""
        for _ in self._threads:
            self._queue.put(None)

    def put(self, x: np.ndarray) -> Item:
        """Hand over an input; await the item's future."""
        item = Item(x, self._loop.create_future())
        self._queue.put(item)
        return item

    @property
    def depth(self) -> int:
        """How many requests wait."""
        return self._queue.qsize()

    @property
    def ready(self) -> bool:
        """Whether every thread has its model, warmed up, and lives."""
        return all(self._ready) and all(thread.is_alive() for thread in self._threads)

    @property
    def stuck_s(self) -> float:
        """How long the slowest batch under way has taken so far."""
        now = time.monotonic()
        return max((now - since for since in self._since if since is not None), default=0.0)

    def _work(self, number: int) -> None:
        try:
            answer = self._load()
        except BaseException as error:  # noqa: BLE001 - told to whoever asks for readiness
            self.failure = error
            return
        self._ready[number] = True
        while items := self._take():
            live = [item for item in items if not item.future.done()]  # not those that timed out
            for part in parts(live, self._sizes):
                began_s = self._since[number] = time.monotonic()
                found = _answered(answer, part)
                took_s = time.monotonic() - began_s
                self._since[number] = None
                self._loop.call_soon_threadsafe(self._tell, part, found, took_s)

    def _take(self) -> list[Item]:
        first = self._queue.get()
        if first is None:
            return []
        items = [first]
        until = first.born_s + self._max_wait_s
        while len(items) < self._max_batch:
            left = until - time.monotonic() if self._max_wait_s else 0.0
            try:
                item = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._queue.put(None)  # for this thread's next look
                break
            items.append(item)
        return items

    def _tell(self, items: list[Item], found: Sequence[Any], took_s: float) -> None:
        for item, one in zip(items, found):
            if item.future.done():
                continue
            item.future.set_exception(one) if isinstance(one, Exception) else item.future.set_result(one)
        if self._told:
            self._told(len(items), took_s)


def parts(items: list[Item], sizes: Sequence[int]) -> list[list[Item]]:
    """Cut requests into the batch sizes that are compiled; a short part is padded where that wastes a quarter at most.

    Compiled code takes a batch of 17 as one of 32: 16 and 1 are twice as fast.
    """
    if not sizes:
        return [items] if items else []
    cut, at = [], 0
    while at < len(items):
        left = len(items) - at
        above = min((size for size in sizes if size >= left), default=0)
        below = max((size for size in sizes if size <= left), default=above)
        n = left if above and left >= 0.75 * above else min(below, left)
        cut.append(items[at : at + n])
        at += n
    return cut


def _answered(answer: Answer, items: list[Item]) -> Sequence[Any]:
    """The answers to a batch; where it fails, each alone, so that one request does not spoil the others."""
    try:
        return answer(np.stack([item.x for item in items]))
    except Exception as error:  # noqa: BLE001 - whatever the net raises is the answer of that one request
        if len(items) == 1:
            return [error]
        return [_answered(answer, [item])[0] for item in items]
