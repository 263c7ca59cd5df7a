"""How fast each step of `schedule` is: built, checked against numpy in float64, timed in turns with the libraries.

Shapes: A (n, k), B (k, m) → C (n, m), float32
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any, TypeVar

import numpy as np

from breakthrough import devices, optional
from breakthrough.deploy.levels import inner_instructions
from breakthrough.deploy.schedule import STEPS, WRONG, Kernel, RefusedError, Tile, build, host, program, tensor, text, tile_for
from breakthrough.errors import ConfigError, InputError, expected, unknown
from breakthrough.seeds import numpy_generator

LEAST_S = 0.003  # of one measurement: so many calls
PAUSE_S = 0.03  # between functions that use threads: idle workers of the one before spin for a while
SIZE, REPEATS = 512, 9
TOLERANCE = 1e-5  # of the largest answer, for a sum of 512 terms in float32
Run = Callable[[], object]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Rung:
    """One program on the ladder, timed, or refused by TVM with its reason.

    Units:  seconds a call, every repeat; `error` the largest difference from float64 over the largest answer
    """

    name: str
    kind: str  # "step", "wrong" or "library"
    threads: int
    seconds: tuple[float, ...] = ()
    error: float = math.nan
    refused: str = ""
    source: str = ""
    loop: str = ""  # what the inner loop of the machine code does, counted

    @property
    def median_s(self) -> float:
        """The median repeat; not a number for one that was refused."""
        return median(self.seconds) if self.seconds else math.nan


@dataclass(frozen=True)
class Ladder:
    """All rungs of one matmul on one machine.

    Units:  peaks in operations a second, by number of threads; empty when not measured
    """

    n: int
    m: int
    k: int
    target: str
    rungs: tuple[Rung, ...]
    peaks: dict[int, float]

    @property
    def flops(self) -> int:
        """Operations of one matmul: a product and a sum for each term."""
        return 2 * self.n * self.m * self.k

    def rung(self, name: str, threads: int = 1) -> Rung:
        """One rung.

        Raises: UnknownNameError for one that was not measured
        """
        found = {(one.name, one.threads): one for one in self.rungs}
        if (name, threads) not in found:
            raise unknown("rung", f"{name} on {threads}", (f"{name} on {count}" for name, count in found))
        return found[name, threads]

    def rates(self, rung: Rung) -> tuple[float, float, float]:
        """Operations a second: the median repeat and the middle half around it."""
        if not rung.seconds:
            return math.nan, math.nan, math.nan
        low, middle, high = quantiles((self.flops / one for one in rung.seconds), n=4, method="inclusive")
        return middle, low, high

    def share(self, rung: Rung) -> float | None:
        """The part of the measured peak of its threads that a rung reaches; None without the peak."""
        peak = self.peaks.get(rung.threads)
        return self.rates(rung)[0] / peak if peak else None

    def speedup(self, name: str, against: str = "naive", threads: int = 1) -> float:
        """How much faster a rung is than another on one thread: the median over repeats that were timed in one turn."""
        ours, theirs = self.rung(name, threads), self.rung(against)
        if not ours.seconds or not theirs.seconds:
            raise InputError(expected("two rungs that ran", ours.refused or theirs.refused))
        return median(there / here for here, there in zip(ours.seconds, theirs.seconds))

    def table(self) -> str:
        """Every rung on a line: threads, milliseconds, rate with its middle half, share of the peak, against naive."""
        lines = [f"{'':18}threads      ms   GFLOP/s (middle half)    peak  × naive"]
        return "\n".join(lines + [self._line(one) for one in self.rungs])

    def _line(self, rung: Rung) -> str:
        if rung.refused:
            return f"{rung.name:18}{rung.threads:7}  refused by TVM"
        rate, low, high = (one / 1e9 for one in self.rates(rung))
        share = self.share(rung)
        part = f"{100 * share:6.2g}%" if share else f"{'–':>7}"
        times = self.rung("naive").median_s / rung.median_s
        return f"{rung.name:18}{rung.threads:7}{1e3 * rung.median_s:9.3f}{rate:9.1f} ({low:5.1f} – {high:5.1f}) {part}{times:9.1f}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        rungs = [{**asdict(one), "error": None if math.isnan(one.error) else one.error} for one in self.rungs]
        return {**asdict(self), "rungs": rungs, "peaks": {str(count): peak for count, peak in self.peaks.items()}}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Ladder:
        """The ladder that `to_dict` wrote."""
        rungs = (Rung(**{**one, "seconds": tuple(one["seconds"]), "error": math.nan if one["error"] is None else one["error"]}) for one in found["rungs"])
        return cls(**{**found, "rungs": tuple(rungs), "peaks": {int(count): peak for count, peak in found["peaks"].items()}})


def ladder(
    n: int = SIZE,
    m: int | None = None,
    k: int | None = None,
    *,
    threads: Sequence[int] = (1,),
    peaks: Mapping[int, float] | None = None,
    tile: Tile | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Ladder:
    """Build every step, check its answer, and time the steps and the libraries in turns.

    One thread runs everything; more threads run what is made for them: the last step and the libraries.

    Units:  peaks in operations a second, by number of threads
    Raises: ConfigError for repeats below 2 or no 1 among the threads; InputError for an answer that is wrong
    """
    if repeats < 2 or 1 not in threads or min(threads) < 1:
        raise ConfigError(expected("at least 2 repeats, and threads with 1 among them", f"{repeats} and {tuple(threads)}"))
    m, k, target = m or n, k or n, host()
    generator = numpy_generator(seed, "ladder")
    a, b = (generator.standard_normal(shape, np.float32) for shape in ((n, k), (k, m)))
    kernels, refused = _built(n, m, k, tile or tile_for(target), target)
    truth = a.astype(np.float64) @ b.astype(np.float64)
    rungs: list[Rung] = []
    for count in sorted(set(threads)):
        chosen = kernels if count == 1 else {STEPS[-1].name: kernels[STEPS[-1].name]}
        rungs += on_threads(count, lambda: _measured(chosen, a, b, truth, count, repeats))  # noqa: B023 - called at once
        rungs += refused if count == 1 else ()
    rungs.sort(key=lambda one: ("step", "wrong", "library").index(one.kind))
    return Ladder(n, m, k, target.attrs["mcpu"], tuple(rungs), dict(peaks or {}))


def _built(n: int, m: int, k: int, tile: Tile, target: Any) -> tuple[dict[str, Kernel], list[Rung]]:
    kernels, refused = {}, []
    for one in (*STEPS, *WRONG):
        try:
            kernels[one.name] = build(program(one.name, n, m, k, tile), one.name, target)
        except RefusedError as error:
            refused.append(Rung(one.name, "wrong", 1, refused=str(error)))
    return kernels, refused


def _measured(kernels: Mapping[str, Kernel], a: np.ndarray, b: np.ndarray, truth: np.ndarray, threads: int, repeats: int) -> list[Rung]:
    """The rungs of one number of threads. Runs in a thread of its own: see `on_threads`."""
    runs, answers = {}, {}
    tensors = tensor(a), tensor(b)
    for name, kernel in kernels.items():
        out = tensor(np.full(truth.shape, np.nan, np.float32))
        runs[name], answers[name] = _bound(kernel.call, *tensors, out), out.numpy
    with _libraries(a, b, truth.shape, threads) as peers:
        runs |= {name: run for name, (run, _) in peers.items()}
        answers |= {name: answer for name, (_, answer) in peers.items()}
        seconds = in_turns(runs, repeats, PAUSE_S if threads > 1 else 0.0)
    wrong = {one.name for one in WRONG}
    rungs = []
    for name in runs:
        kind = "wrong" if name in wrong else "step" if name in kernels else "library"
        error = float(np.abs(answers[name]() - truth).max() / np.abs(truth).max())
        if not error <= TOLERANCE * max(1.0, math.sqrt(a.shape[1] / 512)):
            raise InputError(expected(f"{name}'s answer within {TOLERANCE} of float64", f"{error:.2g}"))
        rungs.append(Rung(name, kind, threads, seconds[name], error, "", *_written(kernels.get(name))))
    return rungs


def _written(kernel: Kernel | None) -> tuple[str, str]:
    """A kernel's program, and what its inner loop does; of a library neither is known."""
    return (text(kernel.module), str(inner_instructions(kernel))) if kernel else ("", "")


def _bound(call: Callable[..., object], *args: object) -> Run:
    return lambda: call(*args)


def in_turns(runs: Mapping[str, Run], repeats: int, pause_s: float = 0.0) -> dict[str, tuple[float, ...]]:
    """Seconds a call of each function, A B A B: every repeat calls each for LEAST_S, so all see the same machine."""
    calls = {name: max(1, math.ceil(LEAST_S / max(seconds_a_call(run, 1), 1e-7))) for name, run in runs.items()}
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            time.sleep(pause_s)
            if calls[name] > 1:
                run()  # fills the caches that the one before has used
            found[name].append(seconds_a_call(run, calls[name]))
    return {name: tuple(all_) for name, all_ in found.items()}


def seconds_a_call(run: Run, calls: int) -> float:
    """The mean of so many calls in a row."""
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


@contextmanager
def _libraries(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...], threads: int) -> Iterator[dict[str, tuple[Run, Callable[[], np.ndarray]]]]:
    """The same matmul by torch, and by numpy where its threads can be set."""
    import torch

    left, right, out = torch.from_numpy(a), torch.from_numpy(b), torch.empty(shape)
    found: dict[str, tuple[Run, Callable[[], np.ndarray]]] = {"torch": (_bound(lambda: torch.mm(left, right, out=out)), out.numpy)}
    with devices.threads(threads):
        if not optional.available("threadpoolctl"):
            yield found
            return
        array = np.empty(shape, np.float32)
        found["numpy"] = (_bound(lambda: np.matmul(a, b, out=array)), lambda: array)
        with optional.require("threadpoolctl", "numpy's threads").threadpool_limits(threads, "blas"):
            yield found


def on_threads(count: int, work: Callable[[], list[Item]]) -> list[Item]:
    """Do work in a new thread, whose TVM pool has `count` threads.

    TVM makes a pool for each thread that calls it, reads its size from the environment, and would bind the caller to
    one core for ever; a thread of one's own leaves nothing behind.
    """
    found: list[Item] = []
    failed: list[BaseException] = []

    def act() -> None:
        try:
            found.extend(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the caller sees it
            failed.append(error)

    with _environment(TVM_NUM_THREADS=str(count), TVM_BIND_THREADS="0"):
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()
    if failed:
        raise failed[0]
    return found


@contextmanager
def _environment(**wanted: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
