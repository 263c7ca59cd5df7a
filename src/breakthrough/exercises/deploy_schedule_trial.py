"""Module 5: a learner's schedule, compiled and run beside the loops as they were, for deploy.schedule.

Shapes: A (m, k), B (k, n), C (m, n)
"""

from __future__ import annotations

import re
import statistics
import time
from functools import cache
from types import TracebackType
from typing import Any

import numpy as np

from breakthrough.elsewhere import Elsewhere
from breakthrough.errors import InputError, expected, own_frames, type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.deploy_schedule_afar import Schedule
from breakthrough.exercises.deploy_schedule_loops import BOUND, COPIES, TURNS, Nest, nest, on_one_thread, turns, unwatched
from breakthrough.exercises.exercise import Case
from breakthrough.optional import require
from breakthrough.seeds import numpy_generator

FASTER = 5  # times the plain loops' speed; the reference reaches 12 with vectors of 4 numbers and 90 with 16
ROUNDS, TRIES = 5, 3
UNSURE = (FASTER / 2, FASTER * 1.5)  # measured again when it lies between these
GUARD = 1 << 18  # numbers before and behind each array: what is written there was written beyond the edge
Shape = tuple[int, int, int]

ASKED = {  # what a fault of the loops lacks
    "vectors down the rows": "vectors of columns",
    "sum innermost": "rows and columns of the tile within the loop over k",
    "no vectors": "vectors of columns",
    "no tile of rows and columns": "rows and columns of the tile within the loop over k",
    "start inside": "the sum's start before its loop",
}
REFUSED = (  # words of TVM's message, steps they are about (none: any), the fault
    ("not a data parallel block iter", (), "sum in vectors"),
    ("not in a chain", ("reorder", "fuse"), "started too early"),
    ("as a local reduction block", ("vectorize", "parallel", "fuse", "reorder"), "started too early"),
    ("to be higher than all the loops", (), "started too deep"),
    ("product of factors is not larger", (), "counts for sizes"),
    ("Cannot find a block", (), "no such block"),
)


def matmul(m: int, k: int, n: int) -> Any:
    """A matrix product as TensorIR, with its three plain loops around the block "C".

    Shapes: A (m, k), B (k, n) → C (m, n), float32
    Raises: MissingDependency without TVM
    """
    tvm = require("tvm", "schedules")
    te = require("tvm.te", "schedules")
    a, b = te.placeholder((m, k), name="A", dtype="float32"), te.placeholder((k, n), name="B", dtype="float32")
    d = te.reduce_axis((0, k), name="k")
    c = te.compute((m, n), lambda i, j: te.sum(a[i, d] * b[d, j], axis=d), name="C")
    return tvm.IRModule({"main": te.create_prim_func([a, b, c]).with_attr("global_symbol", "main")})


def outcome(answer: Any, case: Case) -> Outcome:
    """The first thing that goes wrong with a schedule at the sizes of a case.

    Raises: InputError for what is no function, or for a step that TVM refuses and that has no name here
    """
    if not callable(answer):
        raise InputError(expected("your function", type_of(answer), 'check("deploy.schedule", schedule)'))
    shape, seed, timed = case.args
    sch = require("tvm.s_tir", "schedules").Schedule(matmul(*shape))
    return _scheduled(answer, sch) or _changed(sch, shape) or _run(sch, shape, seed, timed) or Outcome()


def _scheduled(answer: Any, sch: Any) -> Outcome | None:
    """Let the answer schedule; a step that TVM refuses is named.

    Raises: InputError for a refusal without a name
    """
    refusal = require("tvm.s_tir", "schedules").ScheduleError
    try:
        answer(Schedule(sch) if isinstance(answer, Elsewhere) else sch)
    except refusal as error:
        text, step = _sentence(error)
        fault = next((f for words, steps, f in REFUSED if words in str(error) and (not steps or step in steps)), "")
        if not fault:
            raise InputError(text).with_traceback(_python_only(error.__traceback__)) from None
        return Outcome(fault, text)
    except ValueError as error:
        if "no longer exists" not in str(error):
            raise
        return Outcome("a loop that is gone", f"TVM says: {error}{_line(error)}")
    except TypeError as error:
        if '"Schedule.split", "factors"' not in str(error):
            raise
        return Outcome("a number for factors", f"split takes a list of factors{_line(error)}", "[None, 4]", str(error).splitlines()[0][:120])
    except AttributeError as error:
        if "Schedule" not in str(error) or "get_block" not in str(error):
            raise
        return Outcome("an older name", f"{error}{_line(error)}")
    return None


def _sentence(error: Exception) -> tuple[str, str]:
    """TVM's refusal as one sentence with the step's name, and that name."""
    text = str(error)
    step = text.partition("schedule primitive '")[2].partition("'")[0] or "a step"
    why = text.rpartition("Error message:")[2].strip().splitlines() if "Error message:" in text else text.strip().splitlines()
    short = why[0].removeprefix("ScheduleError: ") if why else type(error).__name__
    for name in ("s_tir.SBlock#", "tirx.For#"):
        short = re.sub(rf"(?i)(block|loop) {re.escape(name)}", name, short).replace(name, "block " if "Block" in name else "loop ")
    return f"TVM refuses the step {step}{_line(error)}: {short[:240]}", step


def _python_only(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without TVM's own steps, in C++, which Python shows as if they were files of the reader's."""
    steps = []
    while trace:
        if trace.tb_frame.f_code.co_filename.endswith(".py") or trace.tb_frame.f_code.co_filename.startswith("<"):
            steps.append(trace)
        trace = trace.tb_next
    made = None
    for step in reversed(steps):
        made = TracebackType(made, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return made


def _line(error: Exception) -> str:
    frames = [(frame.lineno, frame.name, frame.line) for frame in own_frames(error) if frame.line]
    there = getattr(error, "there", "")  # the steps as another process told them
    frames = frames or re.findall(r"line (\d+), in (\S+)\n    (.+)", there if isinstance(there, str) else "")
    return f", in line {frames[-1][0]} of {frames[-1][1]}: `{frames[-1][2]}`" if frames else ""


def _changed(sch: Any, shape: Shape) -> Outcome | None:
    """What is wrong with the scheduled loops before they are run."""
    m, k, n = shape
    if not [step for step in sch.trace.insts if not step.kind.name.startswith("Get")]:
        return Outcome("nothing scheduled", "the loops are as they were", "steps on the schedule that is given", "none")
    if unwatched(sch.trace):
        return Outcome("edges not watched", "a split was made with disable_predication=True")
    main = sch.mod["main"] if len(sch.mod.functions) == 1 else None
    sizes = [tuple(int(size) for size in p.shape) for p in main.params if hasattr(p, "shape")] if main else []
    if main is None or sizes != [(m, k), (k, n), (m, n)]:
        return Outcome("another function", "the function takes other arrays than before", f"{[(m, k), (k, n), (m, n)]}", f"{sizes}")
    loops = nest(sch.mod)
    if loops and any(loop.kind == BOUND for loop in loops.loops):
        return Outcome("bound to a GPU", "a loop was given to threads of a GPU, with sch.bind")
    if loops and loops.copies > COPIES:
        return Outcome("too many copies", f"unrolling and vectors make {loops.copies:,} copies of the innermost statement", f"{COPIES:,} or fewer", f"{loops.copies:,}")
    if turns(main.body) > TURNS:  # nothing could interrupt them
        raise InputError(expected(f"loops of up to {TURNS:,} turns in all", f"{turns(main.body):,}", "smaller tiles"))
    return None


@cache
def _target() -> Any:
    tvm = require("tvm", "schedules")
    return tvm.target.Target({"kind": "llvm", "mcpu": tvm.target.codegen.llvm_get_system_cpu(), "num-cores": 1})


def _compiled(mod: Any) -> Any:
    """The module's function, for this machine and one thread.

    Raises: InputError when TVM does not compile it
    """
    try:
        return require("tvm", "schedules").compile(on_one_thread(mod), target=_target())["main"]
    except Exception as error:  # noqa: BLE001 - TVM's passes raise errors of many kinds
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        last = next((line for line in lines if "Error" in line or "Check failed" in line), lines[-1] if lines else "")
        raise InputError(f"TVM took every step, but does not compile the loops they made ({type(error).__name__}): {last[:240]}") from None


@cache
def _plain(shape: Shape) -> Any:
    return _compiled(matmul(*shape))


def _guarded(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A copy that stands amid numbers of its own, NaN, at an address that TVM accepts; and all of them."""
    whole = np.full(array.size + 2 * GUARD + 16, np.nan, dtype=np.float32)
    start = GUARD + (-(whole.ctypes.data + 4 * GUARD) % 64) // 4
    inner = whole[start : start + array.size].reshape(array.shape)
    inner[...] = array
    return inner, whole


def _arrays(shape: Shape, seed: int) -> tuple[np.ndarray, np.ndarray]:
    m, k, n = shape
    generator = numpy_generator(seed)
    a, b = (generator.integers(-4, 5, size=size).astype(np.float32) for size in ((m, k), (k, n)))
    return a, b


def _run(sch: Any, shape: Shape, seed: int, timed: bool) -> Outcome | None:
    """What is wrong with the answers, and at the timed size with the loops and their speed."""
    a, b = _arrays(shape, seed)
    function, want = _compiled(sch.mod), a @ b  # whole numbers: any order of adding gives the same
    inner, whole = _guarded(np.full(want.shape, np.nan, dtype=np.float32))
    view = require("tvm", "schedules").runtime.from_dlpack
    arrays = view(_guarded(a)[0]), view(_guarded(b)[0]), view(inner)
    function(*arrays)
    wrong = ~(inner == want)
    if wrong.any():
        at = tuple(int(place) for place in np.argwhere(wrong)[0])
        text = f"{int(wrong.sum()):,} of {wrong.size:,} numbers of C are wrong at {shape}"
        return Outcome("another function", text, f"{want[at]:g} at {at}", f"{inner[at]:g}")
    if int((~np.isnan(whole)).sum()) > want.size:
        return Outcome("edges not watched", "numbers were written beyond C")
    return _fast(nest(sch.mod), function, arrays, shape) if timed else None


def _fast(loops: Nest | None, function: Any, arrays: tuple[Any, ...], shape: Shape) -> Outcome | None:
    missing = _missing(loops) if loops else ""
    factor, text = _factor(function, arrays, shape, *((1, 1) if missing else (ROUNDS, TRIES)))  # then the times only illustrate
    speed = f"{factor:.3g} times as fast"
    if missing:  # asked for besides the speed, however fast it is
        return Outcome(missing, text, ASKED[missing], f"not so; {speed}")
    return Outcome("no faster", text, f"{FASTER} times as fast or more", speed) if factor < FASTER else None


def _missing(loops: Nest) -> str:
    """What the loops still lack."""
    if "rows" in loops.vectors() and "columns" not in loops.vectors():
        return "vectors down the rows"
    if not loops.inside():
        return "sum innermost"
    if "columns" not in loops.vectors():
        return "no vectors"
    if loops.inside() != {"rows", "columns"}:
        return "no tile of rows and columns"
    return "start inside" if loops.starts_inside else ""


def _factor(function: Any, arrays: tuple[Any, ...], shape: Shape, rounds: int, tries: int) -> tuple[float, str]:
    """How many times as fast as the plain loops a function is, measured in turns; near the limit, the best of some tries."""
    best, text = 0.0, ""
    for _ in range(tries):
        mine, plain = [], []
        for _ in range(rounds):
            plain.append(_time_s(_plain(shape), arrays))
            mine.append(min(_time_s(function, arrays) for _ in range(2)))
        mine_s, plain_s = statistics.median(mine), statistics.median(plain)
        if plain_s > best * mine_s:
            best = plain_s / mine_s
            text = f"{1e3 * mine_s:.3g} ms of one thread; the plain loops take {1e3 * plain_s:.3g} ms"
        if not UNSURE[0] < best < UNSURE[1]:
            break
    return best, text


def _time_s(function: Any, arrays: tuple[Any, ...]) -> float:
    started = time.thread_time()
    function(*arrays)
    return time.thread_time() - started
