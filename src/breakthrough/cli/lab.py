"""`breakthrough lab`: JupyterLab on the course."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

PASSING_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

def lab(
    context: typer.Context,
    module: Annotated[str, typer.Argument(help="01, moe or 01_moe: its lab; 00 is the first lesson.")] = "00",
) -> None:
    """Open JupyterLab on a module's lab.

    \b
    Its kernel is the interpreter of this command, and the table of contents stands open at the first
    start. Your own settings of JupyterLab hold. Other arguments go to JupyterLab.
      breakthrough lab
      breakthrough lab 01
      breakthrough lab 01 --no-browser --port 8889
    """
    from breakthrough.course import laboratory, syllabus

    course, more = syllabus.load(), context.args
    if module.startswith("-"):  # no module, but an option of JupyterLab's
        module, more = "00", [module, *more]
    chosen = course.find_built(module)
    laboratory.lay_out(course)
    is_root = hasattr(os, "getuid") and os.getuid() == 0
    os.chdir(course.root)
    os.execve(sys.executable, laboratory.command(course, chosen, more, is_root=is_root), laboratory.environment(os.environ))
