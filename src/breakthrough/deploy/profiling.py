"""Where a compiled net's time goes: every operator timed by itself, beside the whole net.

The operators are timed in a loop, their data in the nearest cache. In the net they find it further away, and
every call has a price: `between_s` is what the whole net takes longer than the sum of its operators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from breakthrough import optional
from breakthrough.deploy import functions, nests, tuning

REPEATS, MIN_REPEAT_MS = 5, 3


@dataclass(frozen=True)
class Operator:
    """One loop nest of a net.

    Units: each_s is one call; flops and bytes are of one call, bytes of arguments and results
    """

    name: str
    calls: int
    each_s: float
    flops: float
    bytes: int
    schedule: str

    @property
    def total_s(self) -> float:
        """All calls of one run of the net."""
        return self.calls * self.each_s

    @property
    def gflops(self) -> float:
        """Arithmetic in a second. Units: 10⁹ operations a second."""
        return self.flops / self.each_s / 1e9 if self.each_s else 0.0


@dataclass(frozen=True)
class Profile:
    """The operators of a net, those that take longest first.

    Units: whole_s is one run of the net
    """

    operators: tuple[Operator, ...]
    whole_s: float

    @property
    def between_s(self) -> float:
        """What the net takes beyond its operators: calls, memory, data out of the nearest cache."""
        return self.whole_s - sum(operator.total_s for operator in self.operators)

    def lines(self, most: int = 12) -> list[str]:
        """The table as text, with the rest and the time between operators at its end."""
        rows = [f"{'operator':44} {'calls':>5} {'µs':>8} {'share':>6} {'GFLOP/s':>8}  schedule"]
        for o in self.operators[:most]:
            share = o.total_s / self.whole_s
            rows.append(f"{o.name[:44]:44} {o.calls:5} {o.total_s * 1e6:8.2f} {share:6.1%} {o.gflops:8.1f}  {o.schedule}")
        rest = sum(o.total_s for o in self.operators[most:])
        for name, seconds in (("the others", rest), ("between operators", self.between_s), ("the net", self.whole_s)):
            rows.append(f"{name:44} {'':5} {seconds * 1e6:8.2f} {seconds / self.whole_s:6.1%}")
        return rows


def profile(module: Any, target: Any, database: Any = None, *, tuned: bool = True) -> Profile:
    """Time a net and each of its operators on this machine, with the schedules of the databases or without any.

    Raises: InputError for a module of several functions, and for a batch that is not fixed
    """
    tvm = optional.require("tvm", "profiling")
    prepared = tuning.prepare(module, target)
    found = tuning.plan(prepared, target, database)
    scheduled = found.module if tuned else prepared
    sources = {name: kind for kind in ("tuned", "borrowed", "guessed", "plain") for name in getattr(found, kind)}
    calls = nests.calls_of(prepared)
    operators = []
    for (variable, function), (_, plain) in zip(nests.loop_nests(scheduled), nests.loop_nests(prepared)):
        name = variable.name_hint
        inputs = nests.arguments(plain)
        seconds = _time(tvm.compile(tvm.IRModule({"main": function.with_attr("global_symbol", "main")}), target=target), inputs)
        size = sum(int(x.numpy().nbytes) for x in inputs)
        how = sources[name] if tuned else "plain"
        operators.append(Operator(name, calls.get(name, 0), seconds, _flops(plain), size, how))
    ordered = sorted((o for o in operators if o.calls), key=lambda o: -o.total_s)
    return Profile(tuple(ordered), _whole(scheduled, target))


def _time(built: Any, inputs: list[Any]) -> float:
    import tvm

    timer = built.jit().time_evaluator("main", tvm.cpu(), number=3, repeat=REPEATS, min_repeat_ms=MIN_REPEAT_MS)
    return float(min(timer(*inputs).results))


def _whole(module: Any, target: Any) -> float:
    import numpy as np
    import tvm

    name, *_ = functions.entries(module)
    machine = tvm.relax.VirtualMachine(tvm.compile(module, target=target), tvm.cpu())
    inputs = []
    for parameter in module[name].params:
        shape = [int(extent) for extent in parameter.ty.shape]
        inputs.append(tvm.runtime.tensor(np.zeros(shape, str(parameter.ty.dtype))))
    timer = machine.time_evaluator(name, tvm.cpu(), number=3, repeat=REPEATS, min_repeat_ms=MIN_REPEAT_MS)
    return float(min(timer(*inputs).results))


def _flops(function: Any) -> float:
    """Arithmetic of the loop nest as it was written: Winograd's own, not that of the convolution it replaces."""
    import tvm
    from tvm.s_tir import analysis

    return float(analysis.estimate_tir_flops(tvm.IRModule({"main": function.with_attr("global_symbol", "main")})))
