"""A cohort: the course folder that nbgrader works on, and where everything in it lies."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from breakthrough.errors import InputError, expected

MARKER = "cohort.json"
CONFIG = "nbgrader_config.py"
# a student's id becomes a folder's name and a part of the names in the exchange, where + separates
STUDENT_ID = re.compile(r"[A-Za-z0-9_@][A-Za-z0-9_.@-]{0,127}")
_FIELDS = ("cohort", "course_id", "project", "created_s")


@dataclass(frozen=True)
class Cohort:
    """One cohort: an id of its own, the course as nbgrader knows it, the folder, and the project its labs come from.

    Units: `created_s` is seconds since 1970
    """

    id: str
    course_id: str
    folder: Path
    project: Path
    created_s: float

    @property
    def source(self) -> Path:
        """The masters."""
        return self.folder / "source"

    @property
    def release(self) -> Path:
        """The labs as they were released last."""
        return self.folder / "release"

    @property
    def records(self) -> Path:
        """What the grader found, as JSON."""
        return self.folder / "records"

    def released(self, module: str, release_hash: str) -> Path:
        """A released version of a lab, by its SHA-256."""
        return self.folder / "release_history" / module / f"{release_hash}.ipynb"

    def submitted(self, student: str, module: str) -> Path:
        """The folder of a submission."""
        return self.folder / "submitted" / student / module

    def autograded(self, student: str, module: str) -> Path:
        """The folder of a graded submission."""
        return self.folder / "autograded" / student / module

    def feedback(self, student: str, module: str) -> Path:
        """The folder of a submission's feedback."""
        return self.folder / "feedback" / student / module

    def record(self, student: str, module: str) -> Path:
        """The whole record of a graded submission."""
        return self.records / module / f"{student}.json"


def find(start: Path | None = None) -> Cohort:
    """The cohort whose folder the current one is, or lies in.

    Raises: InputError when there is none, or its marker is damaged
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / MARKER).is_file():
            return load(folder)
    raise InputError(expected("a cohort's folder, or one below it", here, "breakthrough cohort init DIR, then cd DIR"))


def load(folder: Path) -> Cohort:
    """The cohort of a folder.

    Raises: InputError when the folder has no marker, or a damaged one
    """
    try:
        record = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        name, course, project, created_s = (record[key] for key in _FIELDS)
        return Cohort(str(name), str(course), folder.resolve(), Path(project), float(created_s))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(expected(f"a whole {MARKER} in {folder}", repr(error), "the file from a backup")) from None


def to_json(cohort: Cohort) -> str:
    """The marker's text."""
    values = (cohort.id, cohort.course_id, str(cohort.project), cohort.created_s)
    return json.dumps(dict(zip(_FIELDS, values, strict=True)), indent=2) + "\n"


def check_student_id(name: str) -> str:
    """The id, when it can name a folder and a line in the exchange.

    Raises: InputError when it cannot
    """
    if not STUDENT_ID.fullmatch(name):
        raise InputError(expected("an id of letters, digits and _ . @ - that does not begin with a dot", repr(name)))
    return name
