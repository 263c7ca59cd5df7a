"""Module 5: what a scheduled loop nest looks like, read from its TensorIR, for deploy.schedule.

Shapes: C (m, n) is the sum over k of A (m, k) · B (k, n); axis 0 are its rows, 1 its columns, 2 the sum
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from breakthrough.optional import require

SUM = 2  # tvm's number for an axis that is summed over
SERIAL, PARALLEL, VECTORIZED, UNROLLED, BOUND = range(5)  # tvm's numbers for kinds of loops
TURNS = 1 << 28  # of all loops; the timed product has 2²⁴ multiplications
COPIES = 1024  # of the innermost statement; beyond that a compiler takes minutes


@dataclass(frozen=True)
class Loop:
    """A loop around the sum, from the outermost in: the axes that it runs over, and how often it runs."""

    axes: frozenset[str]
    extent: int
    kind: int


@dataclass(frozen=True)
class Nest:
    """The loops around the sum's own statement, and whether the sum's start stands there as well."""

    loops: tuple[Loop, ...]
    starts_inside: bool

    @property
    def copies(self) -> int:
        """How many copies of the innermost statement unrolling and vectors make."""
        return math.prod(loop.extent for loop in self.loops if loop.kind in (VECTORIZED, UNROLLED))

    def vectors(self) -> frozenset[str]:
        """The axes that vectors run over."""
        return frozenset().union(*(loop.axes for loop in self.loops if loop.kind == VECTORIZED and loop.extent > 1))

    def inside(self) -> frozenset[str]:
        """The axes of the tile: those of the loops within the outermost loop of the sum that run more than once."""
        busy = [loop for loop in self.loops if loop.extent > 1]
        first = next((at for at, loop in enumerate(busy) if "sum" in loop.axes), len(busy))
        return frozenset().union(*(loop.axes for loop in busy[first:])) - {"sum"}


def nest(mod: Any) -> Nest | None:
    """The loops around the sum of a module, or None where there is no sum any more."""
    found = list(_sums(mod["main"].body, ()))
    if not found:
        return None
    realize, loops = max(found, key=lambda pair: len(pair[1]))
    undefined = require("tvm", "schedules").tirx.analysis.undefined_vars
    uses = [frozenset(var.name for var in undefined(value)) for value in realize.iter_values]
    order = _axes(realize.block)
    made = []
    for loop in loops:
        axes = frozenset(order[at] for at, names in enumerate(uses) if loop.loop_var.name in names and at in order)
        made.append(Loop(axes, int(loop.extent), int(loop.kind)))
    return Nest(tuple(made), realize.block.init is not None)


def _axes(block: Any) -> dict[int, str]:
    """What each axis of the sum's block is; spatial ones stand in the order of C's rows and columns."""
    spatial = [at for at, axis in enumerate(block.iter_vars) if int(axis.iter_type) != SUM]
    names = {at: name for at, name in zip(spatial, ("rows", "columns"))}
    return names | {at: "sum" for at, axis in enumerate(block.iter_vars) if int(axis.iter_type) == SUM}


def _sums(stmt: Any, loops: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The blocks below a statement that sum up, each with the loops around it."""
    if stmt is None:
        return
    kind = type(stmt).__name__
    if kind == "SBlockRealize":
        if any(int(axis.iter_type) == SUM for axis in stmt.block.iter_vars):
            yield stmt, loops
        yield from _sums(stmt.block.body, loops)
    elif kind == "SeqStmt":
        for part in stmt.seq:
            yield from _sums(part, loops)
    else:
        around = (*loops, stmt) if kind == "For" else loops
        for name in ("body", "then_case", "else_case"):
            yield from _sums(getattr(stmt, name, None), around)


def turns(stmt: Any) -> int:
    """How often the loops of a statement turn, all together, where their extents are known."""
    kind = type(stmt).__name__
    if kind == "SeqStmt":
        return sum(turns(part) for part in stmt.seq)
    if kind == "For":
        return int(getattr(stmt.extent, "value", 1)) * turns(stmt.body)
    if kind == "SBlockRealize":
        return turns(stmt.block.body)
    inside = (getattr(stmt, name, None) for name in ("body", "then_case", "else_case"))
    return sum(turns(part) for part in inside if part is not None) or 1


def on_one_thread(mod: Any) -> Any:
    """The module with its parallel loops run one after the other: what is timed is one thread's work."""
    ir = require("tvm", "schedules").ir
    graph = json.loads(ir.save_json(mod))
    parallel = [node for node in graph["nodes"] if node["type"].endswith(".For") and node["data"].get("kind") == PARALLEL]
    for node in parallel:
        node["data"]["kind"] = SERIAL
    return ir.load_json(json.dumps(graph)) if parallel else mod


def unwatched(trace: Any) -> bool:
    """Whether a split of the trace was told not to watch the edges (disable_predication)."""
    splits = [step for step in trace.insts if step.kind.name in ("Split", "LoopPartition")]
    return any(bool(step.attrs[1]) for step in splits if len(step.attrs) > 1)
