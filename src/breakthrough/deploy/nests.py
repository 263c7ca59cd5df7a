"""The loop nests of a prepared net: what tuning schedules and times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from breakthrough import optional
from breakthrough.deploy.database import task_key
from breakthrough.deploy.optimize import prepare


@dataclass(frozen=True)
class Task:
    """A loop nest of a net, and how often the net runs it."""

    name: str
    key: str
    weight: int
    function: Any = field(repr=False, compare=False)
    static: bool = True  # a loop nest over a batch of any size can be scheduled, but not timed


def tasks_of(module: Any, target: Any) -> list[Task]:
    """The loop nests of a net, each once, those that run most often first."""
    module = prepare(module, target)
    found: dict[str, Task] = {}
    calls = calls_of(module)
    for variable, function in loop_nests(module):
        key = task_key(function)
        weight = calls.get(variable.name_hint, 0) + (found[key].weight if key in found else 0)
        name = found[key].name if key in found else variable.name_hint
        found[key] = Task(name, key, weight, function, _is_static(function))
    return sorted(found.values(), key=lambda task: (-task.weight, task.name))


def loop_nests(module: Any) -> list[tuple[Any, Any]]:
    """The loop nests of a module with the names they are called by."""
    tvm = optional.require("tvm", "compiling")
    found = [(v, f) for v, f in module.functions_items() if isinstance(f, tvm.tirx.PrimFunc)]
    return sorted(found, key=lambda pair: pair[0].name_hint)


def calls_of(module: Any) -> dict[str, int]:
    """How often each loop nest is called in one run of the net."""
    tvm = optional.require("tvm", "compiling")
    counts: dict[str, int] = {}

    def visit(node: Any) -> None:
        if isinstance(node, tvm.ir.Call) and getattr(node.op, "name", "") == "relax.call_tir":
            name = node.args[0].name_hint
            counts[name] = counts.get(name, 0) + 1

    for _, function in module.functions_items():
        if isinstance(function, tvm.relax.Function):
            tvm.relax.analysis.post_order_visit(function, visit)
    return counts


def arguments(function: Any) -> list[Any]:
    """Random arguments for a loop nest, its result's place among them."""
    import numpy as np
    from tvm.runtime import tensor
    from tvm.s_tir.meta_schedule.arg_info import ArgInfo

    generator = np.random.default_rng(0)
    infos = ArgInfo.from_prim_func(function)
    arrays = (np.asarray(generator.random([int(e) for e in info.shape])).astype(str(info.dtype)) for info in infos)
    return [tensor(array) for array in arrays]


def _is_static(function: Any) -> bool:
    from tvm.s_tir.meta_schedule.arg_info import ArgInfo

    try:
        return all(isinstance(int(e), int) for info in ArgInfo.from_prim_func(function) for e in info.shape)
    except Exception:  # noqa: BLE001 - tvm refuses shapes that are not constant
        return False
