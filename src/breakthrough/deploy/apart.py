"""A compiled net asked in a process of its own, which has neither torch nor the compiler.

A library is machine code: whoever loads it runs it, with all that this process may do. So what others have compiled
is loaded by a child with an empty environment and limits on time, memory and files, and answers with arrays alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from breakthrough.deploy.runtime import RUNTIME_VARIABLE, Engine
from breakthrough.errors import BreakthroughError, expected

CPU_S, WALL_S = 60, 120
MEMORY_BYTES, FILE_BYTES = 8 << 30, 1 << 30
KEPT = ("PATH", "LD_LIBRARY_PATH", RUNTIME_VARIABLE)  # of the environment
ALONE = {"OMP_NUM_THREADS": "1", "TVM_NUM_THREADS": "1"}


def answers_apart(folder: str | Path, inputs: Sequence[np.ndarray], *, wall_s: float = WALL_S) -> list[tuple[np.ndarray, ...]]:
    """What a compiled net answers to each of several inputs, one tuple of outputs an input.

    Raises: BreakthroughError with the child's last line when it fails, is killed, or answers with no arrays
    """
    with tempfile.TemporaryDirectory(prefix="breakthrough-") as place:
        given, answer = Path(place, "x.npz"), Path(place, "y.npz")
        arrays: dict[str, Any] = {f"x{i}": x for i, x in enumerate(inputs)}
        np.savez(given, **arrays)
        env = {name: os.environ[name] for name in KEPT if name in os.environ} | ALONE | {"PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-m", __name__, str(Path(folder).resolve()), str(given), str(answer)]
        child = subprocess.Popen(command, cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        try:
            said = child.communicate(timeout=wall_s)[1].decode(errors="replace").strip()
        except subprocess.TimeoutExpired:
            raise BreakthroughError(expected(f"an answer of {folder}", f"none in {wall_s:g} s")) from None
        finally:
            _end(child)
        if child.returncode:
            raise BreakthroughError(expected(f"an answer of {folder}", _how_it_ended(child.returncode, said)))
        return _read(answer, len(inputs), folder)


def _read(answer: Path, count: int, folder: str | Path) -> list[tuple[np.ndarray, ...]]:
    try:
        with np.load(answer, allow_pickle=False) as arrays:
            return [tuple(arrays[f"y{i}_{k}"] for k in range(sum(name.startswith(f"y{i}_") for name in arrays.files))) for i in range(count)]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise BreakthroughError(expected(f"arrays of {folder}", repr(error)[:300])) from None


def _how_it_ended(code: int, said: str) -> str:
    if code < 0:
        return f"an end by {signal.Signals(-code).name}"
    return (said.splitlines() or [f"exit status {code}"])[-1][:300]


def _end(child: subprocess.Popen) -> None:
    """End the child, and whatever it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _limit() -> None:
    import resource

    for name, most in (("RLIMIT_CPU", CPU_S), ("RLIMIT_AS", MEMORY_BYTES), ("RLIMIT_FSIZE", FILE_BYTES), ("RLIMIT_CORE", 0)):
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))


def main(folder: str, given: str, answer: str) -> None:
    """The child: load, answer, write."""
    _limit()
    engine = Engine(folder)
    with np.load(given, allow_pickle=False) as arrays:
        found = [engine(arrays[f"x{i}"]) for i in range(len(arrays.files))]
    outputs = [one if isinstance(one, tuple) else (one,) for one in found]
    np.savez(answer, **{f"y{i}_{k}": y for i, each in enumerate(outputs) for k, y in enumerate(each)})


if __name__ == "__main__":
    main(*sys.argv[1:])
