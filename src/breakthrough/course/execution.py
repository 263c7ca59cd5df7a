"""Executing one notebook with papermill, in a kernel that is this very interpreter.

A notebook runs in an empty folder of its own: it finds nothing by a relative path, and leaves
nothing in the project. What it makes goes through the library, to the run's own log and store.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.utils import ensure_async, run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from breakthrough.course import memory, notebooks

ENGINE = "breakthrough"
GRACE_S = 10  # for an interrupted cell to end, before its kernel is ended
KERNELS, WORK = "kernels", "work"  # in the scratch folder of a notebook: the kernel's description, the folder it runs in
LATER = 4  # once a cell was interrupted, the limit of the others is divided by this
OnCell = Callable[[int, str], None]  # the number of the cell that begins, from 0, and its id
OnKernel = Callable[[int], None]  # the process id of the kernel that started


@dataclass(frozen=True)
class Outcome:
    """How the execution of one notebook ended.

    Units: `seconds` of wall time; `slow` has the seconds after which cells were interrupted, by id;
           `peak_bytes` is the most that the kernel and its children held, `cpu_s` what processors worked for them
    """

    status: str  # passed, failed, timeout
    seconds: float
    error: str | None = None
    slow: Mapping[str, float] = field(default_factory=dict)
    peak_bytes: int = 0
    cpu_s: float = 0.0


@dataclass
class _Watch:
    """What is known of a notebook while it runs; `folder` has its kernel and the folder it works in."""

    folder: Path
    peak: memory.Peak
    on_cell: OnCell | None = None
    on_kernel: OnKernel | None = None
    cell_limit_s: float | None = None
    cell: str = ""
    slow: dict[str, float] = field(default_factory=dict)


class _Client(PapermillNotebookClient):
    """papermill's own client, which tells which cell begins and interrupts one that runs too long."""

    watch: _Watch

    def create_kernel_manager(self):
        # by hand and not by JUPYTER_PATH and chdir, which are the whole process's: several may run at once
        manager = super().create_kernel_manager()
        manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[str(self.watch.folder / KERNELS)], ensure_native_kernel=False)
        return manager

    def start_new_kernel(self, **options):
        super().start_new_kernel(**{**options, "cwd": str(self.watch.folder / WORK)})
        pid = self.km.provisioner.pid
        self.watch.peak.watch(pid)
        if self.watch.on_kernel is not None:
            self.watch.on_kernel(pid)

    async def async_execute_cell(self, cell, cell_index, *more, **options):
        self.watch.cell = cell.get("id", "")
        if self.watch.on_cell is not None:
            self.watch.on_cell(cell_index, self.watch.cell)
        guard = asyncio.create_task(self._guard())
        try:
            return await super().async_execute_cell(cell, cell_index, *more, **options)
        finally:
            guard.cancel()
            await asyncio.gather(guard, return_exceptions=True)

    execute_cell = run_sync(async_execute_cell)

    async def _guard(self) -> None:
        if self.watch.cell_limit_s is None:
            return
        # what never ends in one cell is often called in others: they may not use up the whole time
        limit_s = self.watch.cell_limit_s / (LATER if self.watch.slow else 1)
        await asyncio.sleep(limit_s)
        self.watch.slow[self.watch.cell] = limit_s
        await ensure_async(self.km.interrupt_kernel())
        await asyncio.sleep(GRACE_S)
        await ensure_async(self.km.shutdown_kernel(now=True))  # it caught the interrupt, and went on


class _Engine(Engine):
    """papermill's engine with the client above."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, watch: _Watch, start_timeout, timeout_func, allow_errors, **_):
        client = _Client(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, timeout_func=timeout_func,
                         allow_errors=allow_errors, log=logging.getLogger("papermill"))
        client.watch = watch
        return client.execute()


def execute(
    source: Path,
    target: Path,
    *,
    parameters: Mapping[str, Any],
    environment: Mapping[str, str],
    limit_s: float,
    cell_limit_s: float | None = None,
    fill_answers: bool = False,
    allow_errors: bool = False,
    on_cell: OnCell | None = None,
    on_kernel: OnKernel | None = None,
) -> Outcome:
    """Execute a notebook into `target`, written aside and renamed; a failure is an outcome, not a raise.

    With allow_errors it passes when it reached its last cell.

    Units:  limit_s is wall time for the whole notebook; a cell is interrupted after cell_limit_s,
            after a quarter of it once one was
    Raises: NotebookError when the source is no notebook
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_suffix(".partial.ipynb")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".running-", dir=target.parent) as scratch, memory.peak() as peak:
        watch = _Watch(Path(scratch), peak, on_cell, on_kernel, cell_limit_s)
        _write_kernel(watch.folder, environment)
        prepared = _prepare(source, watch.folder / source.name, fill_answers)
        status, error = _run(prepared, aside, dict(parameters), begin + limit_s, watch, allow_errors)
    if status == "timeout":
        error = f"longer than {limit_s:g} s, in cell {watch.cell}"
    os.replace(aside, target)
    return Outcome(status, round(time.monotonic() - begin, 2), error, watch.slow, peak.bytes, round(peak.cpu_s, 2))


def _run(prepared: Path, aside: Path, parameters: dict, deadline: float, watch: _Watch, allow_errors: bool):
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it tells is in the outcome
    (watch.folder / WORK).mkdir()
    papermill_engines.register(ENGINE, _Engine)
    try:
        papermill.execute_notebook(
            prepared, aside, parameters or None, engine_name=ENGINE, kernel_name="python3", language="python",
            progress_bar=False, start_timeout=120, watch=watch, allow_errors=allow_errors,
            timeout_func=lambda cell: max(1, int(deadline - time.monotonic())),
        )
    except PapermillExecutionError as error:
        if allow_errors or _meant(aside):  # raised after the last cell, for any error in the outputs
            return "passed", None
        return "failed", f"In [{error.exec_count}]: {error.ename}: {error.evalue}".splitlines()[0]
    except CellTimeoutError:
        return "timeout", None
    except DeadKernelError:
        if watch.cell in watch.slow:
            return "failed", f"cell {watch.cell} did not end when it was interrupted"
        return "failed", f"the kernel died in cell {watch.cell} (out of memory?)"
    return "passed", None


def _meant(executed: Path) -> bool:
    """Whether every error in the outputs is of a cell that is tagged to raise."""
    cells = notebooks.code_cells(notebooks.read(executed))
    failed = [cell for cell in cells if any(output["output_type"] == "error" for output in cell["outputs"])]
    return bool(failed) and all("raises-exception" in notebooks.tags(cell) for cell in failed)


def _prepare(source: Path, copy: Path, fill_answers: bool) -> Path:
    notebook = notebooks.read(source)
    if fill_answers:
        notebooks.fill_answers(notebook["cells"])
    for cell in notebooks.code_cells(notebook):
        cell["outputs"], cell["execution_count"] = [], None
    nbformat.write(nbformat.from_dict(notebook), copy)
    return copy


def _write_kernel(folder: Path, environment: Mapping[str, str]) -> None:
    """Make `python3` mean this interpreter, whatever kernels, profiles and PATH the user has."""
    spec = folder / KERNELS / "python3"
    spec.mkdir(parents=True)
    own = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "IPYTHONDIR": str(folder / "ipython"),  # the user's start-up files are no part of the course
        **environment,
    }
    (spec / "kernel.json").write_text(json.dumps({**get_kernel_dict(["--log-level=CRITICAL"]), "env": own}))


@contextmanager
def environ(**values: str) -> Iterator[None]:
    """Set environment variables for a block, then restore what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
