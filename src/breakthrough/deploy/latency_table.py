"""Nets × batch sizes × ways to make them ready, timed in turns, with the error of each way and what it costs to make.

A cell is a net at a batch size. All its ways are timed together, since their ratios are what counts; a table that was
stopped goes on with the cells that are left.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from breakthrough import devices, files, seeds
from breakthrough.deploy import nets as known_nets
from breakthrough.deploy.latency import Latencies, machine_name, measure, milliseconds, speed_text
from breakthrough.deploy.percentiles import Quantile
from breakthrough.deploy.quiet import quiet
from breakthrough.deploy.variants import CALIBRATION, EAGER, VARIANTS, Answer, Job, Made, allowed_error, largest_error, variant
from breakthrough.digests import digest_of
from breakthrough.errors import BreakthroughError, ConfigError, UnknownNameError, expected, unknown

CHECKED = 4  # inputs that errors are taken over
MOST_LOSS = 0.5  # a score that is off by more is another answer: the speed of such a way is no evidence
PACKAGES = ("torch", "onnxruntime", "apache-tvm")


@dataclass(frozen=True)
class Size:
    """How much is measured. Units: runs a way at most, `limit_s` seconds a way at most, of a cell."""

    name: str
    nets: tuple[str, ...]
    batches: tuple[int, ...]
    variants: tuple[str, ...]
    runs: int
    limit_s: float


SIZES = {
    one.name: one
    for one in (
        Size("tiny", ("inspector",), (1,), (EAGER, "ONNX Runtime", "TVM default"), 60, 0.5),
        Size("quick", ("inspector", "mobilenet"), (1, 8), tuple(name for name in VARIANTS if name != "torch.compile"), 400, 1.5),
        Size("full", tuple(known_nets.NETS), (1, 8), tuple(VARIANTS), 1200, 15.0),
    )
}


@dataclass(frozen=True)
class Way:
    """What is known of one way in a cell. Units: error is the largest against eager; make_s includes the first answer.

    `fails` says why it has no times: it cannot take the net, or its answer is too far off.
    """

    name: str
    error: float | None = None
    make_s: float = 0.0
    bytes: int = 0
    fails: str = ""


@dataclass(frozen=True)
class Cell:
    """A net at a batch size by all ways. Units: params is the number of weights."""

    net: str
    batch: int
    params: int
    ways: tuple[Way, ...]
    latencies: Latencies

    def way(self, name: str) -> Way:
        """What is known of a way. Raises: UnknownNameError."""
        for one in self.ways:
            if one.name == name:
                return one
        raise unknown("variant", name, (one.name for one in self.ways))

    def speedup(self, name: str, against: str = EAGER) -> Quantile | None:
        """How many times as fast as another way; None where one of them fails."""
        return self.latencies.speedup(name, against) if {name, against} <= set(self.latencies.names) else None

    def errs(self, name: str) -> bool:
        """Whether a way's answers are so far off that its speed says nothing. Raises: UnknownNameError."""
        error = self.way(name).error
        return error is None or not error <= MOST_LOSS

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cell:
        """The cell that `to_dict` wrote."""
        return cls(**{**data, "ways": tuple(Way(**one) for one in data["ways"]), "latencies": Latencies.from_dict(data["latencies"])})

    def lines(self) -> list[str]:
        """A line a way, and a warning where others had the machine."""
        warning = self.latencies.warning()
        return [*(self._line(one) for one in self.ways), *([f"{self.net}, batch {self.batch}: {warning}"] if warning else [])]

    def _line(self, one: Way) -> str:
        head = f"{self.net:17} {self.batch:5} {one.name:18}"
        if one.fails:
            return f"{head} fails: {one.fails}"
        found = self.latencies[one.name]
        times = " ".join(f"{milliseconds(each.value) if each else '–':>8}" for each in (found.quantile(p) for p in (0.5, 0.9, 0.99)))
        cpu = milliseconds(median(found.cpu_s))
        return f"{head} {times} {cpu:>8} {speed_text(self.latencies.speedup(one.name)):>26} {one.error:9.1e} {one.make_s:7.1f} {one.bytes / 1e3:8.0f}"


@dataclass(frozen=True)
class Table:
    """All cells of one machine. Units: threads of every way."""

    size: str
    threads: int
    machine: str
    versions: dict[str, str]
    cells: tuple[Cell, ...]

    def cell(self, net: str, batch: int = 1) -> Cell:
        """A net at a batch size. Raises: UnknownNameError."""
        for one in self.cells:
            if (one.net, one.batch) == (net, batch):
                return one
        raise unknown("cell", f"{net} at batch {batch}", (f"{one.net} at batch {one.batch}" for one in self.cells))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Table:
        """The table that `to_dict` wrote."""
        return cls(**{**data, "cells": tuple(map(Cell.from_dict, data["cells"]))})

    def __str__(self) -> str:
        """A line a way of every cell."""
        made_with = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        head = f"{'net':17} {'batch':>5} {'way':18} {'p50 ms':>8} {'p90':>8} {'p99':>8} {'CPU':>8} {'speed of eager':>26} {'error':>9} {'made, s':>7} {'kB':>8}"
        return "\n".join([f"{self.machine}, {self.threads} thread(s), {made_with}", head, *(line for cell in self.cells for line in cell.lines())])


def latency_table(
    nets: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
    variants: Sequence[str] | None = None,
    threads: int = 1,
    profile: str = "quick",
    *,
    folder: str | Path | None = None,
    database: Path | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Table:
    """Measure a table, or what is left of it in `folder`; eager is always among the ways.

    Raises: UnknownNameError for a profile, net or variant that does not exist; ConfigError for batches below 1
    """
    if profile not in SIZES:
        raise unknown("profile", profile, SIZES)
    given: dict[str, Any] = {name: tuple(x) for name, x in (("nets", nets), ("batches", batches), ("variants", variants)) if x is not None}
    size = replace(SIZES[profile], **given)
    size = replace(size, variants=tuple(dict.fromkeys((EAGER, *size.variants))))
    for name in size.variants:
        variant(name)
    if not size.batches or min(size.batches) < 1:
        raise ConfigError(expected("batches of at least 1", size.batches))
    places = [(known_nets.net(name), batch) for name in size.nets for batch in size.batches]
    cells = []
    with tqdm(total=len(places) * len(size.variants), disable=not progress, file=sys.stdout, unit="way", desc="timing") as bar:
        for net, batch in places:
            kept = _kept(folder, net.name, batch, size, threads, seed, database)
            if kept is None or not kept.is_file():
                cell = measure_cell(net, batch, size, threads, database=database, seed=seed, report=bar.update)
                if kept is not None:
                    files.write_text(kept, json.dumps(cell.to_dict()))
            else:
                cell = Cell.from_dict(json.loads(kept.read_text(encoding="utf-8")))
                bar.update(len(size.variants))
            cells.append(cell)
    return Table(size.name, threads, machine_name(), versions(), tuple(cells))


def measure_cell(
    net: known_nets.Net, batch: int, size: Size, threads: int = 1, *, database: Path | None = None, seed: int = 0, report: Callable[[int], object] = bool
) -> Cell:
    """Make a net ready in every way, compare the answers, then time those that are right in turns."""
    generator, model = seeds.numpy_generator(seed, "inputs"), net.model(seed)
    inputs = [net.draw(batch, generator) for _ in range(CHECKED)]
    calibration = net.draw(max(CALIBRATION, batch), generator)
    ready: dict[str, Answer] = {}
    ways = []
    with tempfile.TemporaryDirectory(prefix="breakthrough-") as place, devices.threads(threads):
        job = Job(model, inputs[0], calibration, Path(place), threads, database)
        for name in size.variants:
            way, made = try_way(name, job, ready.get(EAGER), inputs)
            ways.append(way)
            if made is not None:
                ready[name] = made.run
            report(1)
        functions = {name: (lambda run=run: run(job.example)) for name, run in ready.items()}
        found = measure(functions, size.runs, baseline=EAGER, threads=threads, limit_s=size.limit_s)
    return Cell(net.name, batch, sum(x.numel() for x in model.parameters()), tuple(ways), found)


def try_way(name: str, job: Job, reference: Answer | None, inputs: list[Any]) -> tuple[Way, Made | None]:
    """Make a net ready in one way; a way that cannot, or answers wrongly, is told with its reason."""
    chosen = variant(name)
    try:
        with quiet():
            made = chosen.made(job)
    except Exception as error:  # noqa: BLE001 - whatever a compiler raises: the table says so and goes on
        return Way(name, fails=_reason(error)), None
    off = largest_error(made.run, reference or made.run, inputs)
    known = Way(name, off if off < float("inf") else None, made.make_s, made.bytes)
    if not off < float("inf"):
        return replace(known, fails="answers are not finite"), None
    allowed = allowed_error(reference or made.run, inputs)
    if chosen.exact and off > allowed:
        return replace(known, fails=f"wrong by {off:.1e}, more than {allowed:.1e}"), None
    return known, made


def versions() -> dict[str, str]:
    """The versions of the packages that were timed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _reason(error: Exception) -> str:
    """The first line that says something."""
    if isinstance(error, UnknownNameError) and "pipeline" in str(error):
        return "no such pipeline yet"
    text = str(error) if isinstance(error, BreakthroughError) else f"{type(error).__name__}: {error}"
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:160]


def _kept(folder: str | Path | None, net: str, batch: int, size: Size, threads: int, seed: int, database: Path | None) -> Path | None:
    """Where a cell is kept: by all that it depends on."""
    if folder is None:
        return None
    facts = [net, batch, size.variants, size.runs, size.limit_s, threads, seed, str(database), machine_name(), versions()]
    return Path(folder) / f"{net}-{batch}-{threads}-{digest_of(facts, 12)}.json"
