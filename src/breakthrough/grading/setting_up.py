"""Setting a cohort up: the folder, nbgrader's configuration, masters, gradebook, students and the secret seed."""

from __future__ import annotations

import filecmp
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from breakthrough import files
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import InputError, NotebookError, expected
from breakthrough.grading import cohort as cohorts, course_config, seed, students
from breakthrough.grading.cohort import CONFIG, MARKER, Cohort
from breakthrough.language import counted

COURSE = "breakthrough"
PRIVATE = ("source", "release", "release_history", "submitted", "autograded", "feedback", "records")
COURSE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class SetUp:
    """What was made: nothing of it, the second time."""

    cohort: Cohort
    config: bool
    copied: tuple[str, ...]
    differ: tuple[str, ...]  # masters that are not the project's any more: kept
    added: int
    students: int

    def lines(self) -> list[str]:
        """What the command prints."""
        made = "made" if self.config else "nbgrader_config.py kept"
        count = counted(self.students, "student") + (f", {self.added} new" if self.added != self.students else "")
        lines = [f"{self.cohort.folder}: cohort {self.cohort.id}, {made}", f"source/: {', '.join(self.copied) or 'nothing new'}"]
        lines += [f"source/{name} differs from the project's solutions/{name}: kept" for name in self.differ]
        return [*lines, f"gradebook: {count}", f"seed: {seed.seed_id(seed.seed_of(self.cohort))}, outside this folder"]


def init(folder: Path, course: Syllabus, *, course_id: str | None = None, students_csv: Path | None = None,
         db_url: str | None = None) -> SetUp:
    """Make a cohort's folder, or add what is new to one that is there.

    Raises: InputError for a folder with other things in it, an id, a URL or a row that cannot be; MissingDependency
            without nbgrader or the database's driver; NotebookError when a master is missing
    """
    course_config.load_nbgrader()
    listed = students.read_csv(students_csv) if students_csv else []
    _validate(folder, course_id, db_url)
    masters = [_master(course, module) for module in course.labs]
    cohort = _cohort(folder, course, course_id)
    config = course_config.write_config(cohort, db_url)
    copied = tuple(master.name for master in masters if _copy(master, cohort.source / master.name))
    differ = tuple(master.name for master in masters if not _same(master, cohort.source / master.name))
    with course_config.gradebook(cohort) as gradebook:
        for module in course.labs:
            gradebook.update_or_create_assignment(module.id)
        added = students.add_to(gradebook, listed)
        count = len(gradebook.students)
    return SetUp(cohort, config, copied, differ, added, count)


def _validate(folder: Path, course_id: str | None, db_url: str | None) -> None:
    there = (folder / MARKER).is_file()
    if not there:
        files.check_ours(folder, (MARKER,), "a cohort's")
    if course_id is not None and not COURSE_ID.fullmatch(course_id):
        raise InputError(expected("a course id of letters, digits and _ . -", repr(course_id)))
    if there and course_id not in (None, cohorts.load(folder).course_id):
        raise InputError(expected(f"the course id of this cohort, {cohorts.load(folder).course_id}", repr(course_id), "another folder"))
    if db_url and (folder / CONFIG).is_file():
        raise InputError(expected("no database's URL for a folder that has its configuration", db_url, f"editing {folder / CONFIG}"))
    if db_url:
        course_config.validate_db_url(db_url)


def _cohort(folder: Path, course: Syllabus, course_id: str | None) -> Cohort:
    if (folder / MARKER).is_file():
        cohort = cohorts.load(folder)
        seed.make_seed(cohort)
        return cohort
    course_id = course_id or COURSE
    cohort = Cohort(f"{course_id}-{secrets.token_hex(4)}", course_id, folder.resolve(), course.root.resolve(), round(time.time(), 3))
    seed.make_seed(cohort)
    # learners on the same machine reach the exchange in it, and nothing else
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    for name in PRIVATE:
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    files.write_text(folder / MARKER, cohorts.to_json(cohort))
    return cohort


def _master(course: Syllabus, module: Module) -> Path:
    path = course.solution(module)
    if not path.is_file():
        raise NotebookError(expected(f"the master of {module.id} at {path}", "no such file", "running inside the project's folder"))
    return path.parent


def _copy(master: Path, target: Path) -> bool:
    if target.exists():
        return False
    with files.folder_aside(target) as folder:
        shutil.copytree(master, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__", "*.pyc"))
    return True


def _same(master: Path, copy: Path) -> bool:
    return filecmp.cmp(master / f"{master.name}.ipynb", copy / f"{master.name}.ipynb", shallow=False)
