"""Releasing labs: labs/ from solutions/, through nbgrader's own machinery, byte-identical each time."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakthrough import optional
from breakthrough.course import notebooks
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import NotebookError, expected

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
TRIVIAL = 16  # shorter lines ("return y", "else:") stand in any notebook


@dataclass(frozen=True)
class Released:
    """One module's release: the files that changed, or would."""

    module: str
    files: tuple[str, ...]
    differ: tuple[str, ...]
    kept: str | None = None  # where the file that was there before was kept

    def line(self, check: bool) -> str:
        """What the command prints."""
        if not self.differ:
            return f"{self.module}: in step"
        if check:
            return f"{self.module}: out of step: {', '.join(self.differ)}; try breakthrough release {self.module}"
        return f"{self.module}: wrote {', '.join(self.differ)}" + (f"; the one before is in {self.kept}" if self.kept else "")


def release(course: Syllabus, modules: Sequence[Module] | None = None, *, check: bool = False) -> list[Released]:
    """Generate the labs of these modules, of all when none is given; with `check` only compare.

    Raises: MissingDependency without nbgrader; NotebookError when a master is missing, has cells
            without ids, or would leave a solution or an output in the lab
    """
    optional.require("nbgrader", "releases the labs")
    return [_release(course, module, check) for module in course.labs if modules is None or module in modules]


def generate(master: Path, folder: Path) -> None:
    """Generate the lab of one master's folder into `folder`, whatever is there before.

    Raises: NotebookError for cells without ids, and for a solution or an output left in the lab
    """
    _validate_ids(master)
    with tempfile.TemporaryDirectory(prefix="breakthrough-release-") as scratch:
        root = Path(scratch)
        shutil.copytree(master.parent, root / "solutions" / master.parent.name, ignore=_ignored)
        _convert(root, master.parent.name)
        made = root / "labs" / master.parent.name
        leaks = list(scan(notebooks.read(master), notebooks.read(made / master.name)))
        if leaks:
            raise NotebookError(expected(f"no solution in the lab made from {master.name}", "; ".join(leaks)))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)


def scan(master: notebooks.Notebook, lab: notebooks.Notebook) -> Iterator[str]:
    """What of the master's solutions and outputs is left in a lab: one text for every finding."""
    text = "\n".join(cell["source"] for cell in lab["cells"])
    lines = {line.strip() for line in text.splitlines()}
    for marker in (BEGIN, END, "### BEGIN HIDDEN TESTS"):
        if marker in text:
            yield f"the marker {marker!r}"
    for line in sorted(set(solution_lines(master)) & lines):
        yield f"the solution line {line!r}"
    for number, cell in enumerate(lab["cells"], start=1):
        if cell.get("outputs") or cell.get("execution_count"):
            yield f"outputs in cell {number}"


def solution_lines(master: notebooks.Notebook) -> Iterator[str]:
    """The lines between the solution markers that say something, and stand nowhere else in the master."""
    inside: list[str] = []
    outside: set[str] = set()
    for cell in master["cells"]:
        solving = False
        for line in map(str.strip, cell["source"].splitlines()):
            solving = (solving or line.startswith(BEGIN)) and not line.startswith(END)
            inside.append(line) if solving else outside.add(line)
    yield from (line for line in inside if len(line) >= TRIVIAL and line not in outside and not line.startswith(BEGIN))


def _release(course: Syllabus, module: Module, check: bool) -> Released:
    master, home = course.solution(module), course.lab(module).parent
    with tempfile.TemporaryDirectory(prefix="breakthrough-release-") as scratch:
        made = Path(scratch) / module.id
        generate(master, made)
        files = _files(made)
        differ = [name for name in sorted(files | _files(home)) if not _same(made / name, home / name)]
        kept = None
        if differ and not check:
            kept = _keep(course, module)
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(made, home)
    return Released(module.id, tuple(sorted(files)), tuple(f"labs/{module.id}/{name}" for name in differ), kept)


def _keep(course: Syllabus, module: Module) -> str | None:
    # labs/ is generated, but it is also where a learner works: nothing of theirs is ever lost
    lab = course.lab(module)
    if not lab.is_file():
        return None
    copy = course.root / "build" / "labs-before" / f"{module.id}-{time.strftime('%Y%m%d-%H%M%S')}.ipynb"
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(lab, copy)
    return str(copy.relative_to(course.root))


def _convert(root: Path, assignment: str) -> None:
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import SaveCells
    from traitlets.config import Config

    config = Config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.source_directory = "solutions"
    config.CourseDirectory.release_directory = "labs"
    config.CourseDirectory.assignment_id = assignment
    converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config, no_database=True)
    # what `nbgrader generate_assignment --no-db` does: a release needs no gradebook
    converter.preprocessors = [step for step in converter.preprocessors if step is not SaveCells]
    converter.log = log = logging.Logger("release", logging.ERROR)  # noqa: LOG001 - nobody else's
    log.addHandler(said := _Listener())
    try:
        converter.start()
    except (NbGraderException, SystemExit):
        why = said.messages[0] if said.messages else "no reason given"
        raise NotebookError(expected(f"a master in {assignment} that nbgrader can release", why)) from None


class _Listener(logging.Handler):
    """nbgrader tells why in its log, and raises only that there was a reason."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first line."""
        self.messages.append(record.getMessage().splitlines()[0])


def _validate_ids(master: Path) -> None:
    # without ids in the master nbformat invents new ones each time, and no two releases are alike
    missing = [i for i, cell in enumerate(notebooks.read(master)["cells"], start=1) if not cell.get("id")]
    if missing:
        hint = "opening and saving it in JupyterLab"
        raise NotebookError(expected(f"an id in every cell of {master.name}", f"none in cells {missing}", hint))


def _ignored(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if re.fullmatch(r"\.ipynb_checkpoints|__pycache__|.*\.pyc", name)]


def _files(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in found if not any(_ignored("", [part]) for part in path.parts)}


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()
