"""How long a call takes, measured so that one may compare: warm, many runs, in turns, with intervals.

Every function has its turn in every block, in an order that changes from block to block: A B C, C B A, B C A … What
slows the machine for a second slows all of them, and a ratio inside a block does not see it. So ratios are taken block
by block, and their interval is that of the median over blocks.
"""

from __future__ import annotations

import gc
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough import devices
from breakthrough.deploy.percentiles import Quantile, quantile
from breakthrough.errors import InputError, expected, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

PERCENTILES = (0.5, 0.9, 0.99)
BLOCKS = 10
BUSY = 0.1  # a share of wall time
SETTLE = 1  # calls at the head of each turn that do not count: the one before has filled the caches
Function = Callable[[], object]


@dataclass(frozen=True)
class Samples:
    """All counted calls of one function.

    Units:  `wall_s` has a tuple of seconds for every block; `cpu_s` the CPU seconds a call in every block, of all
            threads of the process
    """

    name: str
    wall_s: tuple[tuple[float, ...], ...]
    cpu_s: tuple[float, ...]

    @property
    def all_s(self) -> np.ndarray:
        """Seconds of every call, in order. Shapes: (runs,)."""
        return np.concatenate([np.asarray(block) for block in self.wall_s])

    @property
    def runs(self) -> int:
        """How many calls counted."""
        return sum(map(len, self.wall_s))

    @property
    def p50_s(self) -> float:
        """The median call, by its rank as every percentile is: of an even number of runs the lower of the middle two."""
        ordered = np.sort(self.all_s)
        return float(ordered[(len(ordered) - 1) // 2])

    def quantile(self, p: float) -> Quantile | None:
        """A percentile with its interval; None where there are too few runs to bound it."""
        return quantile(self.all_s, p)


@dataclass(frozen=True)
class Latencies:
    """Functions that were timed together.

    Units:  threads that each function may use; load: the other work on the machine before, in cores
    """

    samples: tuple[Samples, ...]
    baseline: str
    threads: int
    machine: str
    load: float

    @property
    def names(self) -> tuple[str, ...]:
        """The functions."""
        return tuple(one.name for one in self.samples)

    def __getitem__(self, name: str) -> Samples:
        """One of them.

        Raises: UnknownNameError for a function that was not timed
        """
        for one in self.samples:
            if one.name == name:
                return one
        raise unknown("function", name, self.names)

    def speedup(self, name: str, against: str | None = None, *, of: str | None = None) -> Quantile:
        """How many times as fast as the baseline, or another: the median over blocks. Above 1 is faster.

        Units:  of `wall` time, or of `cpu` time, which other programs hardly change; unless named, of the `clock`. low
                and high are infinitely far apart where there are fewer than 6 blocks
        Raises: UnknownNameError for a function that was not timed, or another clock
        """
        ratios = [a / max(b, 1e-12) for a, b in zip(*(self.blocks_s(each, of=of) for each in (against or self.baseline, name)))]
        middle, bounds = median(ratios), quantile(ratios, 0.5)
        return replace(bounds, value=middle) if bounds else Quantile(0.5, middle, 0.0, math.inf)

    def blocks_s(self, name: str, *, of: str | None = None) -> tuple[float, ...]:
        """Seconds of a call in every block: the median by the wall, or the mean of CPU time; unless named, by the `clock`.

        Raises: UnknownNameError for a function that was not timed, or another clock
        """
        clock = of or self.clock
        if clock not in ("wall", "cpu"):
            raise unknown("clock", clock, ("wall", "cpu"))
        return self[name].cpu_s if clock == "cpu" else tuple(map(median, self[name].wall_s))

    @property
    def clock(self) -> str:
        """What ratios are taken of: "wall" time, or "cpu" time where the machine was busy.

        A long call is interrupted by others, a short one is not; that biases their ratio whatever the order of turns.
        """
        return "cpu" if self.busy > BUSY else "wall"

    @property
    def busy(self) -> float:
        """The share of wall time in which a function of one thread did not run: others had the core, or it waited."""
        wall = sum(float(one.all_s.sum()) for one in self.samples)
        cpu = sum(x * len(block) for one in self.samples for x, block in zip(one.cpu_s, one.wall_s))
        return max(0.0, 1 - cpu / wall) if self.threads == 1 else 0.0

    def warning(self) -> str:
        """What to say where the times are not to be trusted; else nothing."""
        if self.busy <= BUSY:
            return ""
        return f"the machine was busy: {100 * self.busy:.0f}% of the time others had the core; percentiles are theirs too; speed is told by CPU time"

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Latencies:
        """The latencies that `to_dict` wrote."""
        samples = (Samples(one["name"], tuple(map(tuple, one["wall_s"])), tuple(one["cpu_s"])) for one in data["samples"])
        return cls(**{**data, "samples": tuple(samples)})

    def __str__(self) -> str:
        """A row a function: percentiles with intervals, CPU time, speed against the baseline."""
        width = max(map(len, (*self.names, "ms a call")))
        head = f"{'ms a call':{width}} {'runs':>6} {'p50':>8} {'p90':>8} {'p99':>8} {'p99 lies in':>18} {'CPU':>8}  speed of {self.baseline}"
        warning = [text] if (text := self.warning()) else []
        return "\n".join([f"{self.machine}, {self.threads} thread(s)", head, *(self._row(one, width) for one in self.samples), *warning])

    def _row(self, one: Samples, width: int) -> str:
        found = [one.quantile(p) for p in PERCENTILES]
        cells = " ".join(f"{milliseconds(each.value) if each else '–':>8}" for each in found)
        tail = f"{milliseconds(found[-1].low)} to {milliseconds(found[-1].high)}" if found[-1] else "too few runs"
        return f"{one.name:{width}} {one.runs:6} {cells} {tail:>18} {milliseconds(median(one.cpu_s)):>8}  {speed_text(self.speedup(one.name))}"


def measure(
    functions: Mapping[str, Function],
    runs: int = 400,
    warmup: int = 20,
    *,
    blocks: int = BLOCKS,
    settle: int = SETTLE,
    baseline: str | None = None,
    threads: int | None = None,
    limit_s: float | None = None,
) -> Latencies:
    """Time functions in turns.

    `threads` is what torch is given, where it is there, and what is written down: other engines take their number when
    they are made. `limit_s` bounds the time of one function: a slow one gets fewer runs, at least one a block. The
    baseline is the first, unless another is named.

    Units:  runs and warm-up calls a function; runs are rounded up to a multiple of the blocks
    Raises: InputError without functions, runs or blocks; UnknownNameError for a baseline that is not among them
    """
    if not functions or min(runs, blocks) < 1 or min(warmup, settle) < 0:
        raise InputError(expected("a function or more, 1 run and block or more", f"{len(functions)} functions, {runs} runs, {blocks} blocks, {warmup} for warm-up, {settle} to settle"))
    if baseline is not None and baseline not in functions:
        raise unknown("function", baseline, functions)
    load, names = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, list(functions)
    wall: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    with _torch_threads(threads) as used, _quiet_collector():
        calls = {name: _calls(functions[name], runs, warmup, blocks, limit_s) for name in names}
        for block in range(blocks):
            for name in turn(names, block):
                seconds, of_cpu = _time(functions[name], calls[name], settle)
                wall[name].append(seconds)
                cpu[name].append(of_cpu)
    samples = tuple(Samples(name, tuple(wall[name]), tuple(cpu[name])) for name in names)
    return Latencies(samples, baseline or names[0], used, machine_name(), load)


def turn(names: list[str], block: int) -> list[str]:
    """The order of a block: forth, back, then the same from the next name on, so that no one is always after another."""
    start = block // 2 % len(names)
    order = names[start:] + names[:start]
    return order[::-1] if block % 2 else order


def machine_name() -> str:
    """The processor, as the system calls it, and the cores that this process may run on."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{(named or [platform.processor() or platform.machine()])[0]}, {devices.cores()} cores"


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, three digits that count."""
    ms = 1e3 * seconds
    return f"{ms:.{max(0, min(4, 2 - math.floor(math.log10(ms))))}f}" if ms > 0 else "0"


def speed_text(found: Quantile) -> str:
    """A ratio with its interval."""
    bounds = "one to any" if math.isinf(found.high) else f"{found.low:.2f} to {found.high:.2f}"
    return f"{found.value:.2f} × ({bounds})" if not math.isinf(found.high) else f"{found.value:.2f} ×"


def _calls(function: Function, runs: int, warmup: int, blocks: int, limit_s: float | None) -> int:
    """Warm up, and say how many calls a block may have."""
    taken = []
    for _ in range(max(warmup, 1)):
        begin = time.perf_counter()
        function()
        taken.append(time.perf_counter() - begin)
        if limit_s and len(taken) >= 2 and sum(taken) > limit_s / 4:
            break
    wanted = math.ceil(runs / blocks)
    return wanted if limit_s is None else max(1, min(wanted, int(limit_s / blocks / max(min(taken), 1e-9))))


def _time(function: Function, calls: int, settle: int) -> tuple[tuple[float, ...], float]:
    for _ in range(settle):
        function()
    clock, marks = time.perf_counter, [0.0] * (2 * calls)
    start = time.process_time()
    for call in range(calls):
        marks[2 * call] = clock()
        function()
        marks[2 * call + 1] = clock()
    of_cpu = (time.process_time() - start) / calls
    return tuple(after - before for before, after in zip(marks[::2], marks[1::2])), of_cpu


@contextmanager
def _torch_threads(count: int | None) -> Iterator[int]:
    loaded = sys.modules.get("torch")
    used = count or (loaded.get_num_threads() if loaded else 1)
    with devices.threads(used) if loaded else nullcontext():
        yield used


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Garbage collection stays on, as in a process that serves, but does not walk what was there before."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
