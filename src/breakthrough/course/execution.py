"""Executing one notebook with papermill, in a kernel that is this very interpreter.

A notebook runs in an empty folder of its own: it finds nothing by a relative path, and leaves
nothing in the project. What it makes goes through the library, to the run's own log and store.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from breakthrough.course import notebooks

ENGINE = "breakthrough"
OnCell = Callable[[int], None]


@dataclass(frozen=True)
class Outcome:
    """How the execution of one notebook ended.

    Units: `seconds` of wall time
    """

    status: str  # passed, failed, timeout
    seconds: float
    error: str | None = None


class _Engine(NBClientEngine):
    """papermill's own engine, which also tells which cell begins."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, on_cell: OnCell | None = None, **kwargs):
        start = nb_man.cell_start

        def cell_start(cell, cell_index=None, **more):
            if on_cell is not None:
                on_cell(cell_index)
            return start(cell, cell_index, **more)

        nb_man.cell_start = cell_start
        return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)


def execute(
    source: Path,
    target: Path,
    *,
    parameters: Mapping[str, Any],
    environment: Mapping[str, str],
    limit_s: float,
    fill_answers: bool = False,
    allow_errors: bool = False,
    on_cell: OnCell | None = None,
) -> Outcome:
    """Execute a notebook into `target`, written aside and renamed; a failure is an outcome, not a raise.

    Units:  limit_s is wall time for the whole notebook
    Raises: NotebookError when the source is no notebook
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_suffix(".partial.ipynb")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".running-", dir=target.parent) as scratch, _kernel(Path(scratch), environment):
        prepared = _prepare(source, Path(scratch) / source.name, fill_answers)
        status, error = _run(prepared, aside, Path(scratch) / "work", dict(parameters), begin + limit_s,
                             {"allow_errors": allow_errors, "on_cell": on_cell})
    if status == "timeout":
        error = f"longer than {limit_s:g} s"
    os.replace(aside, target)
    return Outcome(status, round(time.monotonic() - begin, 2), error)


def _run(prepared: Path, aside: Path, work: Path, parameters: dict, deadline: float, options: dict):
    work.mkdir()
    papermill_engines.register(ENGINE, _Engine)
    try:
        papermill.execute_notebook(
            prepared, aside, parameters or None, engine_name=ENGINE, kernel_name="python3", language="python",
            progress_bar=False, cwd=work, start_timeout=120,
            timeout_func=lambda cell: max(1, int(deadline - time.monotonic())), **options,
        )
    except PapermillExecutionError as error:
        return "failed", f"In [{error.exec_count}]: {error.ename}: {error.evalue}".splitlines()[0]
    except CellTimeoutError:
        return "timeout", None
    except DeadKernelError:
        return "failed", "the kernel died (out of memory?)"
    return "passed", None


def _prepare(source: Path, copy: Path, fill_answers: bool) -> Path:
    notebook = notebooks.read(source)
    if fill_answers:
        notebooks.fill_answers(notebook["cells"])
    for cell in notebooks.code_cells(notebook):
        cell["outputs"], cell["execution_count"] = [], None
    nbformat.write(nbformat.from_dict(notebook), copy)
    return copy


@contextmanager
def _kernel(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Make `python3` mean this interpreter, whatever kernels, profiles and PATH the user has."""
    spec = folder / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    own = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "IPYTHONDIR": str(folder / "ipython"),  # the user's start-up files are no part of the course
        **environment,
    }
    (spec / "kernel.json").write_text(json.dumps({**get_kernel_dict(["--log-level=CRITICAL"]), "env": own}))
    with environ(JUPYTER_PATH=os.pathsep.join([str(folder / "jupyter"), os.environ.get("JUPYTER_PATH", "")])):
        logging.getLogger("papermill").setLevel(logging.ERROR)
        yield


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
