"""Validation of the notebooks: their structure, then nbval over the lessons."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from breakthrough import optional
from breakthrough.course import agreement, junit as junits, plan as plans, shape
from breakthrough.course.junit import Case, Suite
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import NotebookError, UnknownNameError

SANITIZE = Path(__file__).with_name("nbval.cfg")


def structure(course: Syllabus, modules: Sequence[Module] | None = None) -> list[str]:
    """Every fault in the names of exercises, and in shape and agreement of these modules, of all when none is given."""
    found = agreement.name_faults(course)
    for module in modules or course.built:
        try:
            found += shape_faults(course, module)
            found += agreement.faults(course, module)
        except NotebookError as error:
            found.append(f"{module.id}: {error}")
        except UnknownNameError:  # an exercise that is not there: named above, with its line
            continue
    return found


def shape_faults(course: Syllabus, module: Module) -> list[str]:
    """The faults in the shape of a module's notebooks, each with the file's name."""
    first = module.id == course.modules[0].id
    files = [(course.lesson(module), shape.START if first else shape.LESSON)]
    if module.has_lab:
        files.append((course.solution(module), shape.LAB))
    return [f"{path.relative_to(course.root)}: {text}" for path, kind in files for text in shape.faults(path, kind)]


def nbval(course: Syllabus, modules: Sequence[Module] | None = None, junit: Path | None = None) -> int:
    """Run the lessons with nbval in a log and store of their own; the exit code of pytest, and its XML when asked for.

    Raises: MissingDependency without nbval
    """
    optional.require("nbval", "compares what lessons show with what they keep")
    lessons = [str(course.lesson(module)) for module in modules or course.built]
    with tempfile.TemporaryDirectory(prefix="breakthrough-nbval-") as scratch:
        options = ["--nbval", "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE}", "-p", "no:cacheprovider"]
        if junit:
            options.append(f"--junitxml={junit}")
        command = [sys.executable, "-m", "pytest", *options, *lessons]
        return subprocess.run(command, cwd=course.root, env=os.environ | plans.apart(scratch)).returncode


def suite(course: Syllabus, modules: Sequence[Module] | None = None) -> Suite:
    """Structure and nbval as a suite: a case for the structure of each module, and one for each lesson.

    What nbval prints goes to standard output, cell by cell.
    """
    chosen = modules or course.built
    found = structure(course, chosen)
    with tempfile.TemporaryDirectory(prefix="breakthrough-nbval-") as scratch:
        cells = Path(scratch) / "cells.xml"
        code = nbval(course, chosen, cells)
        lessons = tuple(_of_lesson(course, module, junits.read(cells)) for module in chosen)
    if code and not any(case.failure for case in lessons):
        lessons = (*lessons, Case("nbval", "lessons", failure=f"pytest ended with exit code {code}"))
    return Suite("breakthrough validate", (Case("structure", "notebooks", failure="\n".join(found)), *lessons))


def _of_lesson(course: Syllabus, module: Module, cells: Sequence[Case]) -> Case:
    path = course.lesson(module).relative_to(course.root).as_posix()
    own = [cell for cell in cells if Path(path).stem in cell.group.replace("/", ".").split(".")]
    failure = "\n".join(f"{cell.name}: {cell.failure}" for cell in own if cell.failure)
    return Case(module.id, f"{module.id} lesson as kept", sum(cell.seconds for cell in own), failure if own else "nbval ran no cell of it", file=path)
