"""What fusion does to a net's graph: the same operators as loop nests of their own, or joined, to be counted and timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from breakthrough import optional
from breakthrough.deploy import spaces
from breakthrough.deploy.export import Exported
from breakthrough.deploy.runtime import aligned
from breakthrough.errors import InputError, expected

CONSTANTS = ("DecomposeOpsForInference", "CanonicalizeBindings", "FoldConstant", "LegalizeOps", "AnnotateTIROpPattern", "FoldConstant")
JOINING = ("FuseOps", "FuseTIR")


@dataclass(frozen=True, eq=False)
class Lowered:
    """A net as calls of loop nests. `calls` are the nests' names in the order in which they run."""

    module: Any
    entry: str
    calls: tuple[str, ...]


def lower(exported: Exported, *, fused: bool) -> Lowered:
    """An exported net's first function as loop nests, elementwise operators joined to the one before them, or not.

    Nothing is scheduled: the loops are those that TVM writes by itself.
    """
    transform = optional.require("tvm.relax", "compiling").transform
    names = CONSTANTS + (JOINING if fused else ())
    module, entry = exported.module, next(iter(exported.functions))
    for name in names:
        module = getattr(transform, name)()(module)
    return Lowered(module, entry, _calls(module[entry]))


def engine(lowered: Lowered, target: Any) -> Callable[[np.ndarray], np.ndarray]:
    """The net as it was lowered, in machine code; no other pass joins anything.

    Shapes: (B, …) → the net's first output
    """
    tvm, relax = optional.require("tvm", "compiling"), optional.require("tvm.relax", "compiling")
    executable = tvm.compile(lowered.module, target=target, relax_pipeline=relax.get_pipeline("default_build"))
    run = relax.VirtualMachine(executable, tvm.cpu())[lowered.entry]

    def call(x: np.ndarray) -> np.ndarray:
        found = run(tvm.runtime.tensor(x))
        return (found[0] if isinstance(found, tvm.ir.Array) else found).numpy()

    return call


def chain(lowered: Lowered, x: np.ndarray, target: Any, *, scheduled: bool = True) -> tuple[Callable[[], None], np.ndarray]:
    """A net that is one operator after another, ready to run between arrays that are there already.

    Scheduled, every loop nest gets the room's first guess: what it computes on the way is put where it is used, so that
    one loop is left, in vectors. Gives the function, and the array that it writes.

    Raises: InputError for a loop nest that takes more than the array before it
    """
    tvm = optional.require("tvm", "compiling")
    nests = [lowered.module[name] for name in lowered.calls]
    if any(len(nest.params) != 2 for nest in nests):
        raise InputError(expected("loop nests that read one array and write one", [len(nest.params) for nest in nests]))
    nests = [_scheduled(nest, target) for nest in nests] if scheduled else nests
    named = {f"nest{i}": nest.with_attr("global_symbol", f"nest{i}") for i, nest in enumerate(nests)}
    library = tvm.compile(tvm.IRModule(named), target=target).jit()
    arrays = [aligned(x), *(aligned(np.zeros_like(x)) for _ in nests)]
    tensors = [tvm.runtime.from_dlpack(array) for array in arrays]
    steps = [(library[f"nest{i}"], tensors[i], tensors[i + 1]) for i in range(len(nests))]

    def run() -> None:
        for nest, before, after in steps:
            nest(before, after)

    return run, arrays[-1]


def _scheduled(nest: Any, target: Any) -> Any:
    return spaces.schedule(nest, spaces.candidates(nest, target)[0])


def _calls(function: Any) -> tuple[str, ...]:
    relax = optional.require("tvm.relax", "compiling")
    names = []
    for block in function.body.blocks:
        for binding in block.bindings:
            value = binding.value
            if isinstance(value, relax.Call) and getattr(value.op, "name", "") == "relax.call_tir":
                names.append(value.args[0].name_hint)
    return tuple(names)
