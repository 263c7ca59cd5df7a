"""Where a net's time goes inside each engine: eager's operators, ONNX Runtime's nodes, a compiled net's functions.

Every engine has its own names and fuses its own way. What can be laid side by side is the kind of work: products
(convolutions and matrices), normalization and reductions, what is done to each element, moving and the engine's own.
To watch costs time, most where steps are short: the last line is the same pass unwatched.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from breakthrough.deploy.latency import measure
from breakthrough.deploy.onnx_file import session
from breakthrough.deploy.operators import Profile
from breakthrough.deploy.runtime import Engine
from breakthrough.errors import InputError, expected

KINDS = {
    "products": ("conv", "matmul", "gemm", "dense", "addmm", "mm", "attention", "linear", "einsum"),
    "normalization, reductions": ("norm", "softmax", "mean", "sum", "max", "reduce", "pool", "logsumexp", "rsqrt", "variance"),
    "moving, the engine's own": ("vm.", "reorder", "transpose", "reshape", "concat", "cat", "copy", "clone", "pad", "slice", "gather", "take", "embedding", "unsqueeze", "squeeze", "split", "layout", "cast", "index", "sort", "scatter", "where", "expand"),
}
ELEMENTS = "each element"


@dataclass(frozen=True)
class Step:
    """One function, node or operator of an engine. Units: calls and seconds of one pass."""

    name: str
    calls: float
    seconds: float

    @property
    def kind(self) -> str:
        """What it does, by its name: a fused one goes by its product."""
        name = self.name.lower()
        return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), ELEMENTS)


@dataclass(frozen=True)
class Breakdown:
    """One pass of one engine. Units: `whole_s` is that of a pass that nobody watches."""

    engine: str
    steps: tuple[Step, ...]
    whole_s: float

    @property
    def seconds(self) -> float:
        """Of all steps, watched."""
        return sum(step.seconds for step in self.steps)

    def of(self, kind: str) -> float:
        """Seconds of one kind of work."""
        return sum(step.seconds for step in self.steps if step.kind == kind)

    def top(self, count: int = 8) -> tuple[Step, ...]:
        """The longest steps."""
        return tuple(sorted(self.steps, key=lambda step: -step.seconds)[:count])

    def __str__(self) -> str:
        """A line each of the longest steps."""
        lines = [f"{self.engine}: {1e6 * self.whole_s:.1f} µs, the steps together {1e6 * self.seconds:.1f}"]
        lines += [f"  {step.name:44} {step.calls:4.0f} calls {1e6 * step.seconds:9.1f} µs {100 * step.seconds / self.seconds:4.0f}%  {step.kind}" for step in self.top()]
        return "\n".join(lines)


def side_by_side(parts: list[Breakdown]) -> str:
    """A row a kind of work, a column an engine: where one is behind.

    Raises: InputError without breakdowns
    """
    if not parts:
        raise InputError(expected("a breakdown or more", "none"))
    names = (*list(KINDS)[:2], ELEMENTS, *list(KINDS)[2:])
    lines = [f"{'µs':26}" + "".join(f"{part.engine:>16}" for part in parts)]
    lines += [f"{kind:26}" + "".join(f"{1e6 * part.of(kind):16.1f}" for part in parts) for kind in names]
    lines += [f"{name:26}" + "".join(f"{1e6 * x:16.1f}" for x in values) for name, values in (("all, watched", [part.seconds for part in parts]), ("a pass, unwatched", [part.whole_s for part in parts]))]
    return "\n".join(lines)


def of_eager(profile: Profile) -> Breakdown:
    """A timed profile of torch's operators."""
    kinds = profile.by_kind()
    return Breakdown("eager", tuple(Step(name, calls, seconds) for name, (calls, _, _, seconds) in kinds.items()), profile.seconds)


def of_engine(engine: Engine, x: np.ndarray, repeats: int = 30, *, name: str = "TVM") -> Breakdown:
    """Every function that a compiled net's virtual machine calls: the median of the repeats.

    What it takes to watch a call is that of the shortest one, and taken off every call.

    Shapes: x (B, …), B a batch that the library has
    """
    events: list[tuple[str, bool, float]] = []

    def seen(_: Any, called: Any, before: bool, *__: Any) -> int:
        events.append((str(called), bool(before), time.perf_counter()))
        return 0  # go on

    vm, whole = engine._vm, _whole(lambda: engine(x), repeats)
    vm["set_instrument"](engine._ffi.convert(seen))
    try:
        engine(x)
        runs = []
        for _ in range(repeats):
            events.clear()
            engine(x)
            runs.append(_spent(events))
    finally:
        vm["set_instrument"](None)
    steps = _steps(runs)
    watching = min((step.seconds / step.calls for step in steps if step.calls), default=0.0)
    return Breakdown(name, tuple(replace(step, seconds=max(0.0, step.seconds - step.calls * watching)) for step in steps), whole)


def of_onnx(path: str | Path, x: np.ndarray, repeats: int = 30, *, threads: int = 1) -> Breakdown:
    """Every node that ONNX Runtime runs, as its own profiler tells, by kind of operator.

    Units:  the profiler counts whole µs: a node below one is lost
    """
    plain = session(path, threads)
    given = {plain.get_inputs()[0].name: x}
    whole = _whole(lambda: plain.run(None, given), repeats)
    with tempfile.TemporaryDirectory(prefix="breakthrough-") as place:
        watched = session(path, threads, profile=Path(place, "profile"))
        for _ in range(repeats):
            watched.run(None, given)
        told = json.loads(Path(watched.end_profiling()).read_text(encoding="utf-8"))
    return Breakdown("ONNX Runtime", _steps(_passes(told, repeats)), whole)


def _whole(run: Callable[[], object], repeats: int) -> float:
    samples = measure({"": run}, repeats, blocks=1).samples
    return samples[0].p50_s


def _passes(events: list[Mapping[str, Any]], repeats: int) -> list[dict[str, tuple[int, float]]]:
    """The nodes of every pass: each node has one event in each of them, in order."""
    seen: dict[str, int] = {}
    runs: list[dict[str, tuple[int, float]]] = [{} for _ in range(repeats)]
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            place = seen.get(event["name"], 0)
            seen[event["name"]] = place + 1
            if place < repeats:
                kind = event["args"]["op_name"]
                calls, seconds = runs[place].get(kind, (0, 0.0))
                runs[place][kind] = (calls + 1, seconds + 1e-6 * event["dur"])
    return runs[repeats // 5 :]  # the first ones are warm-up


def _spent(events: list[tuple[str, bool, float]]) -> dict[str, tuple[int, float]]:
    """Calls and seconds by name; a call inside another counts for both."""
    open_calls: list[tuple[str, float]] = []
    found: dict[str, tuple[int, float]] = {}
    for name, before, at in events:
        if before:
            open_calls.append((name, at))
        else:
            _, begin = open_calls.pop()
            calls, seconds = found.get(name, (0, 0.0))
            found[name] = (calls + 1, seconds + at - begin)
    return found


def _steps(runs: list[dict[str, tuple[int, float]]]) -> tuple[Step, ...]:
    """The median pass of every name."""
    names = dict.fromkeys(name for run in runs for name in run)
    return tuple(Step(name, *(float(np.median([run.get(name, (0, 0.0))[part] for run in runs])) for part in (0, 1))) for name in names)
