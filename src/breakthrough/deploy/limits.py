"""Where the limit of a net in real time lies: claim C10 says at 50 M parameters. Latency against parameters, FLOPs and bytes.

Four families, in which parameters and operations grow apart:
    mobile   a MobileNetV3-class net, wider and wider: many small operators
    plain    3 × 3 convolutions, wider and wider: each weight is used at every place of the picture
    wide     linear layers on a coarse picture: each weight is used once
    pixels   one small net on larger and larger pictures: the same weights, used more often
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from breakthrough import devices, files, seeds
from breakthrough.deploy.latency import Latencies, machine_name, measure, milliseconds
from breakthrough.deploy.latency_table import Way, try_way, versions
from breakthrough.deploy.operators import operators
from breakthrough.deploy.roofline import Machine, measure_machine
from breakthrough.deploy.variants import EAGER, Job
from breakthrough.digests import digest_of
from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.train.inspector import CLASSES, Inspector, InspectorConfig
from breakthrough.train.mobile import MobileNet, MobileNetConfig

DEADLINES_S = (0.033, 0.010)  # a picture of a camera with 30 a second, and of a faster line
TAIL = 0.9  # the percentile that has to keep a deadline: p99 of a slow net wants more runs than a lesson has time for
CLAIMED = 50e6  # parameters to stay below, says the article
UNTUNED_FLOPS = 120e6  # TVM without schedules does about 3 GFLOP/s: nets above take too long to be worth it


@dataclass(frozen=True)
class Point:
    """A net of a family. Units: scale is the multiplier, the width, the hidden units or the side of the picture."""

    family: str
    scale: float
    side: int = 64

    def model(self, seed: int = 0) -> nn.Module:
        """The net, in evaluation mode."""
        return FAMILIES[self.family](self.scale, seeds.torch_generator(seed, "net")).eval()

    def example(self, seed: int = 0) -> np.ndarray:
        """One picture. Shapes: → (1, 3, side, side)."""
        return seeds.numpy_generator(seed, "inputs").random((1, 3, self.side, self.side), dtype=np.float32)


class Wide(nn.Module):
    """Linear layers over a picture of 8 × 8 pixels: as many weights as wanted, each used once.

    Shapes: (B, 3, H, W) → (B, C)
    """

    def __init__(self, hidden: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        sizes = (3 * 64, hidden, hidden, len(CLASSES))
        self.shrink = nn.AdaptiveAvgPool2d(8)
        layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        self.layers = nn.ModuleList(layers)
        for layer in layers:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.shrink(x).flatten(1)  # (B, 192)
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


FAMILIES: dict[str, Callable[[float, torch.Generator], nn.Module]] = {
    "mobile": lambda scale, generator: MobileNet(MobileNetConfig(multiplier=scale), generator),
    "plain": lambda scale, generator: Inspector(InspectorConfig(widths=(int(scale), 2 * int(scale))), generator),
    "wide": lambda scale, generator: Wide(int(scale), generator),
    "pixels": lambda scale, generator: Inspector(InspectorConfig(), generator),
}
MEANS = {"mobile": "mobile net, wider", "plain": "3 × 3 convolutions, wider", "wide": "linear layers, wider", "pixels": "one net, larger pictures"}


def points(**scales: Sequence[float]) -> tuple[Point, ...]:
    """Points of families; the scale of `pixels` is the side of the picture."""
    return tuple(Point(family, scale, int(scale) if family == "pixels" else 64) for family, each in scales.items() for scale in each)


@dataclass(frozen=True)
class Plan:
    """How much is measured. Units: runs a way at most, `limit_s` seconds a way at most."""

    name: str
    points: tuple[Point, ...]
    variants: tuple[str, ...]
    runs: int
    limit_s: float


PLANS = {
    one.name: one
    for one in (
        Plan("tiny", points(mobile=(0.25,), plain=(16, 64), wide=(512,), pixels=(128,)), (EAGER,), 40, 0.2),
        Plan("quick", points(mobile=(1, 5.5), plain=(32, 256), wide=(1024, 7200), pixels=(256, 768)), (EAGER, "ONNX Runtime"), 400, 0.4),
        Plan("full", points(mobile=(0.25, 0.5, 1, 2, 4, 5.5, 8), plain=(16, 32, 64, 128, 256, 512), wide=(512, 1024, 2048, 4096, 8000, 12000), pixels=(96, 128, 256, 384, 512, 768, 1280)), (EAGER, "ONNX Runtime", "TVM default", "TVM tuned"), 800, 8.0),
    )
}


@dataclass(frozen=True)
class Measured:
    """A net with what it is and how long it takes.

    Units:  flops and bytes of a pass, weights read once and every operator's inputs and outputs; bound_s is the least
            that the roof allows: its operators one after the other, weights out of memory where no cache holds them
    """

    family: str
    scale: float
    side: int
    params: int
    flops: int
    bytes: int
    bound_s: float
    ways: tuple[Way, ...]
    latencies: Latencies

    def __repr__(self) -> str:
        """One line: what it is, and the median of each way."""
        times = ", ".join(f"{name} {milliseconds(self.latencies[name].p50_s)} ms" for name in self.latencies.names)
        return f"Measured({self.family}, {self.side}² pixels, {self.params / 1e6:.2f} M parameters: {times})"

    def ms(self, way: str, p: float = 0.5) -> float | None:
        """A percentile of a way in ms; None where the way fails or the runs are too few."""
        if way not in self.latencies.names:
            return None
        found = self.latencies[way].quantile(p)
        return 1e3 * found.value if found else None


@dataclass(frozen=True)
class Limits:
    """The study. Units: threads of every way."""

    plan: str
    threads: int
    machine: Machine
    versions: dict[str, str]
    nets: tuple[Measured, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """The ways that gave a time for some net."""
        return tuple(dict.fromkeys(name for net in self.nets for name in net.latencies.names))

    def explained(self, by: str, way: str = EAGER) -> float:
        """The share of the variance of latency that a power law of one quantity explains: R² of the logarithms.

        `by` is `params`, `flops`, `bytes` or `bound_s`.

        Raises: ConfigError for fewer than 3 nets with a time
        """
        if by not in ("params", "flops", "bytes", "bound_s"):
            raise unknown("quantity", by, ("params", "flops", "bytes", "bound_s"))
        pairs = [(getattr(net, by), ms) for net in self.nets if (ms := net.ms(way))]
        if len(pairs) < 3:
            raise ConfigError(expected(f"3 nets or more with a time by {way}", len(pairs)))
        x, y = np.log(np.array(pairs, dtype=float)).T
        return float(np.corrcoef(x, y)[0, 1] ** 2)

    def within(self, deadline_s: float, way: str = EAGER, family: str | None = None, p: float = TAIL) -> list[Measured]:
        """The nets that keep a deadline at a percentile, most parameters first; those with too few runs for it do not."""
        kept = [net for net in self.nets if family in (None, net.family) and (ms := net.ms(way, p)) is not None and ms <= 1e3 * deadline_s]
        return sorted(kept, key=lambda net: -net.params)

    def beyond(self, deadline_s: float, way: str = EAGER, family: str | None = None) -> list[Measured]:
        """The nets whose median misses a deadline, fewest parameters first."""
        missed = [net for net in self.nets if family in (None, net.family) and (ms := net.ms(way)) is not None and ms > 1e3 * deadline_s]
        return sorted(missed, key=lambda net: net.params)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Limits:
        """The study that `to_dict` wrote."""
        return cls(**{**data, "machine": Machine.from_dict(data["machine"]), "nets": tuple(map(measured_from, data["nets"]))})

    def __str__(self) -> str:
        """A line a net, then what explains the times, then what keeps the deadlines."""
        ways = self.variants
        lines = [f"{self.machine.name}, {self.threads} thread(s)", f"{'family':8} {'scale':>6} {'M params':>9} {'MFLOP':>9} {'MB':>7} {'roof ms':>8}  " + "  ".join(f"{way + ' p50':>18} {'p90':>8} {'p99':>8}" for way in ways)]
        for net in self.nets:
            times = "  ".join(f"{_cell(net.ms(way)):>18} {_cell(net.ms(way, 0.9)):>8} {_cell(net.ms(way, 0.99)):>8}" for way in ways)
            lines.append(f"{net.family:8} {net.scale:6g} {net.params / 1e6:9.3f} {net.flops / 1e6:9.1f} {net.bytes / 1e6:7.1f} {milliseconds(net.bound_s):>8}  {times}")
        return "\n".join([*lines, *self.sentences()])

    def sentences(self) -> list[str]:
        """What the numbers say about parameters and deadlines."""
        said = []
        for way in self.variants:
            if sum(net.ms(way) is not None for net in self.nets) >= 3:
                shares = ", ".join(f"{name} {self.explained(by, way):.2f}" for name, by in (("parameters", "params"), ("FLOPs", "flops"), ("bytes", "bytes"), ("the roof", "bound_s")))
                said.append(f"{way}: R² of log latency by {shares}")
            for deadline in DEADLINES_S:
                kept, missed = self.within(deadline, way), self.beyond(deadline, way)
                most = f"up to {kept[0].params / 1e6:.1f} M parameters ({kept[0].family}) keep it at p90" if kept else "none keeps it at p90"
                least = f"{missed[0].params / 1e6:.2f} M ({missed[0].family}, {missed[0].side}² pixels) already miss it at p50" if missed else "none misses it at p50"
                said.append(f"{way}, {1e3 * deadline:.0f} ms: {most}, {least}")
        return said


def measured_from(data: Mapping[str, Any]) -> Measured:
    """What `asdict` made of a Measured."""
    return Measured(**{**data, "ways": tuple(Way(**one) for one in data["ways"]), "latencies": Latencies.from_dict(data["latencies"])})


def run_limits(
    plan: Plan | str = "quick", threads: int = 1, *, folder: str | Path | None = None, database: Path | None = None, seed: int = 0, progress: bool = True
) -> Limits:
    """Measure the study, or what is left of it in `folder`.

    Raises: UnknownNameError for a plan that does not exist
    """
    if isinstance(plan, str) and plan not in PLANS:
        raise unknown("plan", plan, PLANS)
    plan = PLANS[plan] if isinstance(plan, str) else plan
    machine = measure_machine((threads,), dtypes=("float32",))
    found = []
    for point in tqdm(plan.points, disable=not progress, file=sys.stdout, unit="net", desc="limits"):
        kept = _kept(folder, point, plan, threads, seed, database)
        if kept is not None and kept.is_file():
            found.append(measured_from(json.loads(kept.read_text(encoding="utf-8"))))
            continue
        found.append(measure_point(point, plan, machine, threads, database=database, seed=seed))
        if kept is not None:
            files.write_text(kept, json.dumps(asdict(found[-1])))
    return Limits(plan.name, threads, machine, versions(), tuple(found))


def measure_point(point: Point, plan: Plan, machine: Machine, threads: int = 1, *, database: Path | None = None, seed: int = 0) -> Measured:
    """One net: counted, made ready in every way that is affordable, timed in turns."""
    model, x = point.model(seed), point.example(seed)
    profile, roof = operators(model, torch.from_numpy(x), threads=threads, timed=False), machine.roof(threads)
    chosen = [name for name in plan.variants if not name.startswith("TVM") or profile.flops <= UNTUNED_FLOPS]
    params = sum(weight.numel() for weight in model.parameters())
    held = roof.holding(4 * params).name  # weights of the last answer are still there, when a cache holds them
    bound = sum(roof.least_s(one.flops, one.weight_bytes, level=held) for one in profile.operators)
    ready: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    ways = []
    with tempfile.TemporaryDirectory(prefix="breakthrough-") as place, devices.threads(threads):
        job = Job(model, x, x, Path(place), threads, database)
        for name in chosen:
            way, made = try_way(name, job, ready.get(EAGER), [x])
            ways.append(way)
            if made is not None:
                ready[name] = made.run
        functions = {name: (lambda run=run: run(x)) for name, run in ready.items()}
        found = measure(functions, plan.runs, baseline=EAGER, threads=threads, limit_s=plan.limit_s)
    return Measured(point.family, point.scale, point.side, params, profile.flops, profile.bytes, bound, tuple(ways), found)


def _cell(ms: float | None) -> str:
    return "–" if ms is None else milliseconds(ms / 1e3)


def _kept(folder: str | Path | None, point: Point, plan: Plan, threads: int, seed: int, database: Path | None) -> Path | None:
    if folder is None:
        return None
    facts = [asdict(point), plan.variants, plan.runs, plan.limit_s, threads, seed, str(database), machine_name(), versions()]
    return Path(folder) / f"limits-{point.family}-{point.scale:g}-{digest_of(facts, 12)}.json"
