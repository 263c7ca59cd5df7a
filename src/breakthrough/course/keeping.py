"""Keeping a lesson's outputs: executed as a learner finds it, and written back in place.

Sources, ids and tags stay as they are. Outputs come from a run with a log and a store of its own, so
that no card depends on what the maintainer did before; metadata of machines and times is left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough import devices, files
from breakthrough.course import notebooks, runs
from breakthrough.course.notebooks import Notebook
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import NotebookError, expected

PROFILE = "quick"  # the one that stands in the parameters cell, whose results are the ones shown
MACHINE = ("execution", "papermill", "ExecuteTime")  # what tools write into metadata about one run
Bar = Callable[[str, int], AbstractContextManager[Any]]  # shows a notebook of so many cells
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Kept:
    """What became of one lesson; `error` says why it stayed as it was."""

    lesson: str
    changed: bool = False
    error: str = ""

    def line(self) -> str:
        """What the command prints."""
        return f"{self.lesson}: {self.error or ('outputs kept' if self.changed else 'unchanged')}"


def keep_lessons(course: Syllabus, modules: Sequence[Module] | None, device: str, bar: Bar) -> Iterator[Kept]:
    """Keep the outputs of these modules' lessons, of all when none is given; one that fails does not hide the rest.

    Raises: ConfigError for an unknown device
    """
    runs.Plan(course, PROFILE, device)
    for module in modules or course.built:
        lesson = course.lesson(module)
        name = str(lesson.relative_to(course.root))
        try:
            with bar(f"{module.id} lesson", runs.count_cells(lesson)) as shown:
                kept = Kept(name, keep(lesson, device=device, on_cell=shown.cell))
        except NotebookError as error:
            kept = Kept(name, error=str(error))
        yield kept


def keep(lesson: Path, *, device: str = "cpu", on_cell: Callable[[int, str], None] | None = None) -> bool:
    """Execute a lesson and keep its outputs in place, written aside and renamed; whether the file changed.

    Raises: NotebookError when it does not run to its end, and the file then stays as it was
    """
    from breakthrough.course import execution

    with tempfile.TemporaryDirectory(prefix="breakthrough-keep-") as scratch:
        target = Path(scratch) / lesson.name
        own = {devices.VARIABLE: device, **runs.apart(scratch)}
        outcome = execution.execute(lesson, target, parameters={}, environment=own, limit_s=runs.LIMIT_S[PROFILE], on_cell=on_cell)
        if outcome.status != "passed":
            raise NotebookError(expected(f"{lesson.name} to run to its end", outcome.error))
        return _write(lesson, merged(notebooks.read(lesson), notebooks.read(target)))


def merged(lesson: Notebook, executed: Notebook) -> Notebook:
    """The lesson with the outputs of its executed copy, cell by cell, and clean metadata.

    Raises: NotebookError when the copy has not the same cells
    """
    cells = {cell.get("id"): cell for cell in notebooks.code_cells(executed)}
    for number, cell in enumerate(lesson["cells"], start=1):
        for name in MACHINE:
            cell["metadata"].pop(name, None)
        if cell["cell_type"] != "code":
            continue
        done = cells.get(cell.get("id"))
        if done is None or done["source"] != cell["source"]:
            raise NotebookError(expected(f"cell {number} with its id in the executed copy", cell.get("id")))
        cell["outputs"], cell["execution_count"] = done["outputs"], done["execution_count"]
    kept = {name: value for name, value in lesson["metadata"].items() if name not in MACHINE}
    lesson["metadata"] = kept | {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return lesson


def _write(path: Path, lesson: Notebook) -> bool:
    import nbformat

    text = nbformat.writes(nbformat.from_dict(lesson)) + "\n"
    if path.read_text(encoding="utf-8") == text:
        return False
    files.write_text(path, text)
    return True
