"""What batching gives a service, and what overload does to it: measured on real services of this machine.

The same service twice, with batches and with `--max-batch 1`, both running, loaded in turn A B A B: what the machine does
meanwhile falls on both. Clients, service and model share the machine's cores, as they do on an edge box that tests itself;
so a client's own work is part of every figure, the same for both.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer

import psutil

from breakthrough.deploy.load import Load, Outcome, generate
from breakthrough.errors import BreakthroughError, expected

COMPARED = ((), ("--max-batch", "1"), ("--max-batch", "1", "--queue", "8"))
START_S, END_S = 60.0, 20.0
GOAL, WORSE = 2.0, 2.0  # throughput of batching over none; its p99 at most


@dataclass(frozen=True)
class Running:
    """A service that runs."""

    url: str
    process: subprocess.Popen

    @property
    def inspect(self) -> str:
        """Where pictures go."""
        return f"{self.url}v1/inspect"


@contextmanager
def started(folder: Path | str, *options: str) -> Iterator[Running]:
    """`breakthrough serve` of a folder at a free port, ended afterwards."""
    with started_command(serve_command(folder, *options)) as running:
        yield running


def serve_command(folder: Path | str, *options: str) -> list[str]:
    """How `breakthrough serve` of a folder is started, at a free port, so that it ends when its parent does."""
    return [sys.executable, "-m", "breakthrough.cli", "serve", str(folder), "--port", "0", "--follow-stdin", *options]


@contextmanager
def started_command(command: Sequence[str]) -> Iterator[Running]:
    """A service by the command that starts it and then prints where it is.

    Raises: BreakthroughError when it does not become ready
    """
    with started_commands([command]) as (running,):
        yield running


@contextmanager
def started_commands(commands: Sequence[Sequence[str]]) -> Iterator[list[Running]]:
    """Several services, which start side by side; all ended afterwards.

    Raises: BreakthroughError when one of them does not become ready
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(_process(command)) for command in commands]
        yield [_ready(process) for process in processes]


@contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _ready(process: subprocess.Popen) -> Running:
    timer = Timer(START_S, process.kill)
    timer.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        timer.cancel()
    if not line.startswith("ready: "):
        raise BreakthroughError(expected("a service that becomes ready", (line + process.communicate()[1]).strip()[-500:]))
    return Running(line.split()[1], process)


@dataclass(frozen=True)
class Row:
    """One number of clients: every run of the service with batches and of that without, in the order they ran."""

    clients: int
    batched: tuple[Outcome, ...]
    single: tuple[Outcome, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Throughput with batches over that without, of the runs that followed each other."""
        return tuple(a.throughput / b.throughput for a, b in zip(self.batched, self.single))

    @property
    def slower(self) -> float:
        """The median p99 with batches over that without."""
        return statistics.median(run.p99_ms for run in self.batched) / statistics.median(run.p99_ms for run in self.single)

    def __str__(self) -> str:
        sides = " | ".join(_side(runs) for runs in (self.batched, self.single))
        low, middle, high = min(self.ratios), statistics.median(self.ratios), max(self.ratios)
        return f"{self.clients:7} | {sides} | {middle:4.2f} ({low:.2f} to {high:.2f}) | {self.slower:4.2f}"


@dataclass(frozen=True)
class ServingTable:
    """What batching gives by the number of clients, and a service under more than it can do."""

    rows: tuple[Row, ...]
    overload: Outcome

    @property
    def best(self) -> Row:
        """The number of clients with the highest throughput with batches."""
        return max(self.rows, key=lambda row: statistics.median(run.throughput for run in row.batched))

    @property
    def lost(self) -> int:
        """Requests without an answer of any kind, or with one that is neither an answer nor a refusal."""
        runs = [run for row in self.rows for run in (*row.batched, *row.single)]
        return sum(run.lost + run.failed for run in (*runs, self.overload))

    @property
    def holds(self) -> bool:
        """Whether batching does twice as much at the best number of clients, at a p99 no worse than twice, losing nothing."""
        return statistics.median(self.best.ratios) >= GOAL and self.best.slower <= WORSE and not self.lost

    def __str__(self) -> str:
        head = f"{'clients':>7} | {'with batches, a second':>24} {'p50':>6} {'p99 ms':>6} {'CPU':>5} | {'without':>24} {'p50':>6} {'p99 ms':>6} {'CPU':>5} | ratio            | p99 ratio"
        return "\n".join([head, *map(str, self.rows), f"overload: {self.overload}", f"lost or failed: {self.lost}"])


@contextmanager
def started_to_compare(command: Callable[..., list[str]]) -> Iterator[list[Running]]:
    """What `measure` compares: a service with batches, without, and without and with a short queue; `command` takes options."""
    with started_commands([command(*options) for options in COMPARED]) as running:
        yield running


def measure(batched: Running, single: Running, small: Running, load: Load, clients: Sequence[int], repeats: int) -> ServingTable:
    """The table of services that run: with batches, without, and with a short queue.

    Units:  repeats runs of each, in turn
    """
    for running in (batched, single):  # warm
        generate(replace(load, url=running.inspect, clients=min(8, max(clients)), seconds=min(0.5, load.seconds)))
    rows = []
    for count in clients:
        runs = [loaded(running, replace(load, clients=count)) for _ in range(repeats) for running in (batched, single)]
        rows.append(Row(count, tuple(runs[::2]), tuple(runs[1::2])))
    return ServingTable(tuple(rows), generate(replace(load, url=small.inspect, clients=4 * max(clients))))


def loaded(running: Running, load: Load) -> Outcome:
    """A load on a service, and how much of the processors it took: that is told also where others use the machine."""
    process = psutil.Process(running.process.pid)
    before = process.cpu_times()
    found = generate(replace(load, url=running.inspect))
    after = process.cpu_times()
    took_s = after.user + after.system - before.user - before.system
    return replace(found, cpu_ms=1000 * took_s / found.answered if found.answered else math.nan)


def _side(runs: Sequence[Outcome]) -> str:
    middle = lambda name: statistics.median(getattr(run, name) for run in runs)  # noqa: E731
    low, high = min(run.throughput for run in runs), max(run.throughput for run in runs)
    return f"{middle('throughput'):8.0f} ({low:5.0f} to {high:5.0f}) {middle('p50_ms'):6.2f} {middle('p99_ms'):6.2f} {middle('cpu_ms'):5.3f}"
