"""JupyterLab on the project: its kernel is this interpreter whatever else is installed, and its outline stands open.

Settings come as defaults below the user's own, and the layout lies in the project: nothing of the user's is written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from breakthrough import files
from breakthrough.course.schema import Module, Syllabus

HERE = Path(__file__).with_name("lab")
WORKSPACES = Path("build") / "jupyterlab" / "workspaces"
WORKSPACE = "default-37a8.jupyterlab-workspace"  # JupyterLab's name for the workspace "default"


def command(course: Syllabus, module: Module, arguments: Sequence[str] = (), *, is_root: bool = False) -> list[str]:
    """The command that opens a module: its lab, or its lesson when it has none.

    labs/ lie beside notebooks/, so the project is the root; Jupyter wants to be told that root (a container) is meant.
    """
    notebook = (course.lab if module.has_lab else course.lesson)(module)
    return [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={course.root}", f"--LabApp.workspaces_dir={course.root / WORKSPACES}",
            *(["--allow-root"] if is_root else []), *arguments, str(notebook.relative_to(course.root))]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of JupyterLab: `python3` is this interpreter's kernel, and `breakthrough` is found in its terminals."""
    # our kernel first; in HERE lies the extension by which figures carry their alternative text
    data = os.pathsep.join([str(Path(sys.prefix) / "share" / "jupyter"), str(HERE)])
    first = {"JUPYTER_PATH": data, "JUPYTER_CONFIG_PATH": HERE, "PATH": Path(sys.executable).parent}
    return {**given, **{name: _before(str(path), given.get(name)) for name, path in first.items()}}


def lay_out(course: Syllabus) -> None:
    """Write the layout with the table of contents open, unless there is one already: from then on it is the learner's."""
    place = course.root / WORKSPACES / WORKSPACE
    if not place.exists():
        files.write_text(place, (HERE / "workspace.json").read_text(encoding="utf-8"))


def _before(path: str, others: str | None) -> str:
    return os.pathsep.join([path, others] if others else [path])
