"""Run jobs in parallel processes, one thread each, with progress.

A worker is a new interpreter in `serve`: it reads one job a line on its standard input and
answers with events, one JSON object a line. Unlike multiprocessing's spawn it never imports
the caller's main module, so it works from a notebook, a script without a guard, and a prompt.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from breakthrough.errors import BreakthroughError, expected

Job = dict[str, Any]
Event = dict[str, Any]


def run_all(
    function: str,
    jobs: list[Job],
    workers: int,
    on_progress: Callable[[int], object] | None = None,
    on_result: Callable[[Any], object] | None = None,
) -> list[Any]:
    """Call a function, named `module:name`, on every job, `workers` at a time; results in order.

    The function takes a job and a callable that it may tell how much more it has done. A job's
    `name`, where it has one, is what errors call it. `on_result` gets each result as it comes.

    Raises: BreakthroughError with the worker's traceback when a job fails, or with the message alone
            when it was an error raised on purpose; the others are stopped
    """
    todo: queue.SimpleQueue = queue.SimpleQueue()
    events: queue.SimpleQueue = queue.SimpleQueue()
    for item in enumerate(jobs):
        todo.put(item)
    results: list[Any] = [None] * len(jobs)
    with _workers(min(workers, len(jobs)), function, todo, events):
        for index, event in _events(events, len(jobs)):
            if "more" in event and on_progress:
                on_progress(event["more"])
            elif "error" in event:
                name = jobs[index].get("name", f"job {index}")
                raise BreakthroughError(expected(f"{name} to finish", event["error"]))
            elif "refused" in event:
                raise BreakthroughError(event["refused"])
            elif "result" in event:
                results[index] = event["result"]
                if on_result:
                    on_result(event["result"])
    return results


def serve() -> None:
    """Answer the jobs on standard input until it ends."""
    replies, sys.stdout = sys.stdout, sys.stderr  # what a job prints must not mix with replies

    def reply(event: Event) -> None:
        replies.write(json.dumps(event) + "\n")
        replies.flush()

    for line in sys.stdin:
        order = json.loads(line)
        module, name = order["function"].split(":")
        try:
            call = getattr(importlib.import_module(module), name)
            reply({"result": call(order["job"], lambda more: reply({"more": more}))})
        except BreakthroughError as error:
            reply({"refused": str(error)})
        except Exception:  # noqa: BLE001 - the parent raises it again
            reply({"error": traceback.format_exc()})


def _events(events: queue.SimpleQueue, jobs: int) -> Iterator[tuple[int, Event]]:
    while jobs:
        index, event = events.get()
        jobs -= "result" in event
        yield index, event


@dataclass(frozen=True)
class _Worker:
    """A process, where it reads orders, where it answers, and the file of what else it says."""

    process: subprocess.Popen[str]
    orders: IO[str]
    answers: IO[str]
    said: IO[str]


def _feed(worker: _Worker, function: str, todo: queue.SimpleQueue, events: queue.SimpleQueue) -> None:
    while True:
        try:
            index, job = todo.get_nowait()
        except queue.Empty:
            return
        try:
            worker.orders.write(json.dumps({"function": function, "job": job}) + "\n")
            worker.orders.flush()
        except OSError:
            pass  # it is gone; reading finds that out, and says why
        for event in _answers(worker):
            events.put((index, event))
            if "error" in event or "refused" in event:
                return


def _answers(worker: _Worker) -> Iterable[Event]:
    for line in worker.answers:
        event = json.loads(line)
        yield event
        if "more" not in event:
            return
    code = worker.process.wait()
    worker.said.seek(0)
    tail = worker.said.read()[-2000:].strip()
    yield {"error": f"a worker that {_end(code)}: {tail or 'no message'}"}


def _end(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


@contextmanager
def _workers(count: int, *orders: Any) -> Iterator[None]:
    workers = [_start() for _ in range(count)]
    threads = [threading.Thread(target=_feed, args=(worker, *orders), daemon=True) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        yield
    finally:
        for worker in workers:
            worker.process.kill()
        for worker, thread in zip(workers, threads):
            worker.process.wait()
            thread.join()  # it reads to the end of a dead process's answers, which is at once
            for stream in (worker.orders, worker.answers, worker.said):
                _close(stream)


def _start() -> _Worker:
    source = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed with the process
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        encoding="utf-8",
        env={**os.environ, **threads, "PYTHONPATH": path},
    )
    return _Worker(process, cast(IO[str], process.stdin), cast(IO[str], process.stdout), said)  # both are pipes


def _close(stream: Any) -> None:
    with suppress(OSError):  # a pipe to a process that has been stopped
        stream.close()
