"""The one serial writer of grades: into nbgrader's gradebook and folders, each submission whole or not at all.

A submission is first written down in full beside its record (`.pending`), then put into the gradebook in one
transaction, then its notebook and its record are renamed into place. Whatever is left pending by a run that was
killed is finished by the next one, so nothing is ever half in.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from breakthrough import files
from breakthrough.course import notebooks
from breakthrough.course.notebooks import Notebook
from breakthrough.errors import InputError, expected
from breakthrough.grading import course_config, entries, executed
from breakthrough.grading.cohort import Cohort, check_student_id
from breakthrough.grading.records import Graded

LOCK = ".lock"
PENDING = ".pending"
KEPT = ("timestamp.txt", "submission_secret.txt")  # nbgrader's own notes, which its feedback needs


class GradebookWriter:
    """Writes graded submissions of a cohort; one at a time, and one writer at a time."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.finished: tuple[str, ...] = ()  # what a killed run had left, as module/student
        self._layouts: dict[str, entries.Layout] = {}
        self._releases: dict[tuple[str, str], Notebook] = {}
        self._config = course_config.read_config(cohort)
        self._lock: IO[str] | None = None
        self._open: Any = None
        self._gradebook: Any = None

    def __enter__(self) -> GradebookWriter:
        self._lock = _locked(self.cohort.records / LOCK)
        try:
            self._open = course_config.gradebook(self.cohort, self._config)
            self._gradebook = self._open.__enter__()
            self.finished = tuple(self._finish_pending())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the gradebook and let the next writer in."""
        if self._gradebook is not None:
            self._open.__exit__(None, None, None)
            self._gradebook = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def write(self, graded: Graded) -> None:
        """Put one graded submission into gradebook, folders and records, in place of what was there of it.

        Raises: InputError when the grader failed on it, or it belongs to no student, module or release of the cohort;
                NotebookError when marks are missing
        """
        if graded.failure:
            raise InputError(expected("a submission that was graded", f"{graded.student}: {graded.failure}", "grading it again"))
        check_student_id(graded.student)
        notebook = executed.notebook(graded, self._release(graded))
        entries.check(self._layout(graded.module), graded, notebook)
        pending = _pending(self.cohort, graded)
        files.write_text(pending, graded.to_json())
        self._write(graded, notebook, pending)

    def _write(self, graded: Graded, notebook: Notebook, pending: Path) -> None:
        record = self.cohort.record(graded.student, graded.module)
        submitted = self.cohort.submitted(graded.student, graded.module)
        before = read_record(record)
        with files.folder_aside(self.cohort.autograded(graded.student, graded.module)) as folder:
            entries.put(self._gradebook, self._config, self._layout(graded.module), graded, notebook, submitted, before)
            (folder / f"{graded.module}.ipynb").write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            for name in KEPT:
                if (submitted / name).is_file():
                    shutil.copyfile(submitted / name, folder / name)
        pending.replace(record)

    def _layout(self, module: str) -> entries.Layout:
        if module not in self._layouts:
            self._layouts[module] = entries.layout(self._gradebook, module)
        return self._layouts[module]

    def _finish_pending(self) -> Iterator[str]:
        for pending in sorted(self.cohort.records.glob(f"*/*{PENDING}")):
            graded = read_record(pending)
            if graded is not None:
                self._write(graded, executed.notebook(graded, self._release(graded)), pending)
                yield f"{graded.module}/{graded.student}"
            pending.unlink(missing_ok=True)
        for part in (*self.cohort.records.glob("*/.*.part*"), *(self.cohort.folder / "autograded").glob("*/.*")):
            shutil.rmtree(part) if part.is_dir() else part.unlink()

    def _release(self, graded: Graded) -> Notebook:
        key = (graded.module, graded.release_hash)
        if key not in self._releases:
            path = self.cohort.released(*key)
            if not path.is_file():
                hint = f"breakthrough cohort release {graded.module}"
                raise InputError(expected(f"a release of {graded.module} with SHA-256 {graded.release_hash[:12]}…", "none of this cohort", hint))
            self._releases[key] = notebooks.read(path)
        return self._releases[key]


def read_record(path: Path) -> Graded | None:
    """The record in a file; none when the file is missing or damaged."""
    try:
        return Graded.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def graded_of(cohort: Cohort, module: str) -> list[Graded]:
    """All records of a module, by student."""
    found = (read_record(path) for path in sorted((cohort.records / module).glob("[!.]*.json")))
    return [graded for graded in found if graded is not None]


def _pending(cohort: Cohort, graded: Graded) -> Path:
    record = cohort.record(graded.student, graded.module)
    return record.with_name(f".{graded.student}{PENDING}")


def _locked(path: Path) -> IO[str]:
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise InputError(expected("one writer of the gradebook at a time", f"{holder}, which writes now", "again when it has ended")) from None
    file.truncate(0)
    file.write(f"process {os.getpid()}")
    file.flush()
    return file
