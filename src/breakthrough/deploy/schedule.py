"""A matmul scheduled by hand: eight steps, each a few lines, from three plain loops to what the core can give.

Shapes: A (n, k), B (k, m) → C (n, m), float32

The program says what is computed; a step changes only the order and the place of it. A step takes the `Nest` that the
steps before it left, so `program("vectorize", …)` is naive, reorder, tile, vectorize. WRONG holds steps that do not
help: one that TVM refuses, one that it refuses for the same reason on threads, one that is accepted and slower.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough import optional
from breakthrough.deploy import targets
from breakthrough.errors import ConfigError, InputError, ShapeError, expected, unknown

if TYPE_CHECKING:
    from types import ModuleType

FLOAT_BYTES = 4


class RefusedError(InputError):
    """TVM found that a step would change the answer, and did not take it."""


@dataclass(frozen=True)
class Tile:
    """How the loops are cut: a block of C of `rows` by `columns` stays in registers for `depth` steps of the sum.

    Units:  numbers of float32; `lanes` of them are one vector register
    """

    rows: int = 8
    columns: int = 32
    depth: int = 64
    lanes: int = 16

    def __post_init__(self) -> None:
        if min(self.rows, self.columns, self.depth, self.lanes) < 1 or self.columns % self.lanes:
            raise ConfigError(expected("positive sizes, columns a multiple of lanes", self, "Tile()"))

    def within(self, columns: int) -> Tile:
        """The tile for a C of so many columns: shorter vectors where a whole one does not fit."""
        lanes = self.lanes
        while lanes > columns:
            lanes //= 2
        return self if lanes == self.lanes else Tile(self.rows, lanes, self.depth, lanes)

    @property
    def registers(self) -> int:
        """Vector registers that the block of C takes."""
        return self.rows * self.columns // self.lanes


@dataclass
class Nest:
    """A schedule with its loops by name: i, j, k, and once cut io, ii, jo, ji, ko, ki."""

    schedule: Any
    block: Any
    tile: Tile
    loops: dict[str, Any] = field(default_factory=dict)
    init_before: str | None = None  # the loop before which the zeros are written; None: at the first step of the sum
    others: dict[str, Any] = field(default_factory=dict)  # the loops of copies: out of the accumulator, into the pack

    def order(self, names: str) -> None:
        """Put loops into an order, outermost first."""
        self.schedule.reorder(*(self.loops[name] for name in names.split()))


@dataclass(frozen=True)
class Step:
    """One change of a loop nest: what it does, why that should help, and the function that does it."""

    name: str
    what: str
    why: str
    apply: Callable[[Nest], None]
    after: str | None = None  # for a wrong one: the step whose nest it changes


def _naive(nest: Nest) -> None:
    """The program as it is: i, j, k."""


def _reorder(nest: Nest) -> None:
    nest.order("i k j")
    nest.init_before = "k"


def _tile(nest: Nest) -> None:
    for axis, size in zip("ijk", (nest.tile.rows, nest.tile.columns, nest.tile.depth)):
        nest.loops[axis + "o"], nest.loops[axis + "i"] = nest.schedule.split(nest.loops[axis], [None, size])
    nest.order("io jo ko ki ii ji")
    nest.init_before = "ko"


def _vectorize(nest: Nest) -> None:
    nest.loops["ji"], lanes = nest.schedule.split(nest.loops["ji"], [None, nest.tile.lanes])
    nest.schedule.vectorize(lanes)


def _cache_write(nest: Nest) -> None:
    schedule = nest.schedule
    copy = schedule.cache_write(nest.block, 0, "local")
    schedule.reverse_compute_at(copy, nest.loops["jo"])
    row, column = schedule.get_loops(copy)[-2:]
    column, lanes = schedule.split(column, [None, nest.tile.lanes])
    schedule.vectorize(lanes)
    nest.others.update(row=row, column=column)


def _unroll(nest: Nest) -> None:
    for loop in (nest.loops["ii"], nest.loops["ji"], nest.others["row"], nest.others["column"]):
        nest.schedule.unroll(loop)


def _pack(nest: Nest) -> None:
    schedule, columns = nest.schedule, nest.tile.columns
    copy = schedule.cache_read(nest.block, 1, "global")
    schedule.transform_layout(nest.block, ("read", 1), lambda k, j: (j // columns, k, j % columns), pad_value=0.0)
    k, j = schedule.get_loops(copy)[-2:]
    panel, column = schedule.split(j, [None, columns])
    schedule.reorder(panel, k, column)
    column, lanes = schedule.split(column, [None, nest.tile.lanes])
    schedule.vectorize(lanes)
    nest.others["panel"] = panel


def _parallel(nest: Nest) -> None:
    nest.schedule.parallel(nest.loops["io"])
    nest.schedule.parallel(nest.others["panel"])


def _vectorize_rows(nest: Nest) -> None:
    nest.order("io jo ko ki ji ii")
    nest.schedule.vectorize(nest.loops["ii"])


STEPS: tuple[Step, ...] = (
    Step("naive", "three loops: i, j, k", "the definition; B is read down a column, a new cache line for every number", _naive),
    Step("reorder", "i, k, j: the columns innermost", "B and C are now read along rows, 16 numbers a cache line, and neighbours may share one instruction", _reorder),
    Step("tile", "cut i, j, k; a small block of C at a time", "what a block needs of B stays in the cache, and the block of C could stay in registers", _tile),
    Step("vectorize", "the innermost columns as one vector", "one instruction multiplies and adds as many numbers as a register holds", _vectorize),
    Step("cache_write", "sum into a local block, then copy it to C", "C is neither read nor written inside the sum: its block lives in registers", _cache_write),
    Step("unroll", "write the block's loops out", "no loop counters, and independent sums that hide each other's latency", _unroll),
    Step("pack", "copy B into panels as wide as the block", "the inner loop reads B strictly one address after another", _pack),
    Step("parallel", "blocks of rows on all threads", "rows of C do not depend on each other", _parallel),
)
WRONG: tuple[Step, ...] = (
    Step("vectorize the sum", "k as one vector", "16 sums into one number would race: the answer would change", lambda nest: nest.schedule.vectorize(nest.loops["ki"]), "tile"),
    Step("parallel sum", "k on all threads", "threads would write the same number of C", lambda nest: nest.schedule.parallel(nest.loops["ko"]), "tile"),
    Step("vectorize rows", "the rows of a block as one vector", "accepted; but neighbours in a column of A and C do not lie side by side in memory", _vectorize_rows, "tile"),
)


def matmul(n: int, m: int, k: int) -> Any:
    """The learner's matmul as a TensorIR module: three loops, nothing scheduled.

    Shapes: A (n, k), B (k, m) → C (n, m)
    Raises: ShapeError for a side below 1
    """
    if min(n, m, k) < 1:
        raise ShapeError(expected("sides of at least 1", (n, m, k)))
    te = _tvm("te")
    a, b = te.placeholder((n, k), name="A"), te.placeholder((k, m), name="B")
    axis = te.reduce_axis((0, k), name="k")
    c = te.compute((n, m), lambda i, j: te.sum(a[i, axis] * b[axis, j], axis=axis), name="C")
    return _tvm().IRModule({"main": te.create_prim_func([a, b, c])})


def step(name: str) -> Step:
    """A step by name, wrong ones too.

    Raises: UnknownNameError
    """
    named = {one.name: one for one in (*STEPS, *WRONG)}
    if name not in named:
        raise unknown("step", name, named)
    return named[name]


def path(name: str) -> tuple[Step, ...]:
    """The steps from the naive program to a step, that one included.

    Raises: UnknownNameError
    """
    last = step(name)
    names = [one.name for one in STEPS]
    return (*STEPS[: names.index(last.after) + 1], last) if last.after else STEPS[: names.index(name) + 1]


def apply(module: Any, name: str, tile: Tile | None = None) -> Any:
    """A module with one matmul, after all steps up to `name`.

    Raises: RefusedError when TVM does not take a step, UnknownNameError
    """
    schedule = _tvm("s_tir").Schedule(module)
    (variable,) = module.get_global_vars()
    schedule.work_on(variable.name_hint)
    (block,) = schedule.get_child_blocks(schedule.get_sblock("root"))
    loops = dict(zip("ijk", schedule.get_loops(block)[-3:]))
    nest = Nest(schedule, block, (tile or Tile()).within(int(schedule.get(loops["j"]).extent)), loops)
    for one in path(name):
        try:
            one.apply(nest)
        except _tvm("s_tir").ScheduleError as error:
            raise RefusedError(expected(f"a schedule that keeps the answer after {one.name!r}", _reason(error), "another loop")) from error
    if nest.init_before:  # last: TVM vectorizes and unrolls a sum only while its zeros are still part of it
        schedule.decompose_reduction(block, nest.loops[nest.init_before])
    return schedule.mod


def program(name: str, n: int, m: int, k: int, tile: Tile | None = None) -> Any:
    """The matmul after all steps up to `name`, as a TensorIR module.

    Raises: RefusedError when TVM does not take a step, ShapeError, UnknownNameError
    """
    return apply(matmul(n, m, k), name, tile)


def text(module: Any) -> str:
    """A module as TVMScript, without the header and without what only TVM's own checks read."""
    lines = module.script(show_meta=False).splitlines()
    dull = re.compile(r"\s*(#|T\.reads\(|T\.writes\(|T\.func_attr|with T\.sblock\(\"root\"\))")
    return "\n".join(re.sub(r"T\.int64\((\d+)\)", r"\1", line) for line in lines if line.strip() and not dull.match(line))


@dataclass(frozen=True)
class Kernel:
    """A built program: call it with three of `tensors`."""

    name: str
    module: Any
    executable: Any
    call: Callable[..., None]

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """C for arrays A and B. Shapes: (n, k), (k, m) → (n, m)."""
        c = np.empty((a.shape[0], b.shape[1]), np.float32)
        out = tensor(c)
        self.call(tensor(a), tensor(b), out)
        return out.numpy()

    def source(self, form: str = "asm") -> str:
        """What LLVM made of it: "asm" or "ll"."""
        return self.executable.mod.inspect_source(form)


def build(module: Any, name: str = "matmul", target: Any = None) -> Kernel:
    """Machine code of a module with one matmul, for this machine's core unless a target is given."""
    executable = _tvm().compile(module, target=target or host())
    (variable,) = module.get_global_vars()
    return Kernel(name, module, executable, executable.jit()[variable.name_hint])


def host(threads: int = 1) -> Any:
    """The target that is this machine, as LLVM finds it."""
    return targets.choose("cpu", threads=threads).target


def tile_for(target: Any) -> Tile:
    """Sizes that fit a target's vector registers: 32 of 16 numbers, 16 of 8, 32 of 4 (NEON), else 16 of 4."""
    has = _tvm("target.codegen").llvm_cpu_has_features
    if has("avx512f", target):
        return Tile(8, 32, 64, 16)
    if has("avx2", target):
        return Tile(4, 16, 64, 8)
    return Tile(8, 8, 64, 4) if has("neon", target) else Tile(4, 8, 64, 4)


def tensor(array: np.ndarray) -> Any:
    """An array as TVM's tensor: a copy, aligned."""
    return _tvm("runtime").tensor(np.ascontiguousarray(array, np.float32))


def _reason(error: Exception) -> str:
    """The one sentence of a ScheduleError that says why."""
    found = re.search(r"Error message:\s*(.+)", str(error))
    return f"TVM's {found.group(1).strip()!r}" if found else str(error).strip().splitlines()[-1]


def _tvm(name: str = "") -> ModuleType:
    return optional.require(f"tvm.{name}" if name else "tvm", "the compiler")
