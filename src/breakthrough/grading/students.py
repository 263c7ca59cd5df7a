"""Students: read from a CSV file as nbgrader's own import reads it, checked whole before one is written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from breakthrough.errors import InputError, expected
from breakthrough.grading.cohort import check_student_id

COLUMNS = ("id", "first_name", "last_name", "email", "lms_user_id")
LONGEST = 128  # characters of a field in nbgrader's gradebook


@dataclass(frozen=True)
class Student:
    """One student, as in nbgrader's gradebook."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    lms_user_id: str | None = None

    @property
    def name(self) -> str:
        """First and last name, the id without them."""
        return " ".join(filter(None, (self.first_name, self.last_name))) or self.id


def read_csv(path: Path) -> list[Student]:
    """The students of a CSV file with the column id, and any of first_name, last_name, email, lms_user_id.

    Raises: InputError that names the file and the line of the first fault
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(expected(f"a CSV file in UTF-8 at {path}", error)) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = _rows(path, reader)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    _check_header(path, header)
    students: dict[str, tuple[int, Student]] = {}
    for line, row in rows:
        student = _student(f"{path}:{line}", header, row)
        if student.id in students:
            got = f"{student.id!r} again, first in line {students[student.id][0]}"
            raise InputError(f"{path}:{line}: " + expected("an id of its own", got))
        students[student.id] = (line, student)
    return [student for _, student in students.values()]


def add_to(gradebook: Any, students: Sequence[Student]) -> int:
    """Add students to an open gradebook, or update those it has, in one transaction; how many are new."""
    from nbgrader.api import Student as Row

    known = {row.id: row for row in gradebook.students}
    for student in students:
        row = known.get(student.id)
        if row is None:
            gradebook.db.add(Row(**asdict(student)))
            continue
        for name, value in asdict(student).items():
            if value is not None:  # a column that the file lacks takes nothing away
                setattr(row, name, value)
    gradebook.db.commit()
    return sum(student.id not in known for student in students)


def of(gradebook: Any) -> list[Student]:
    """The students of an open gradebook, by last and first name."""
    return [Student(*(getattr(row, name) for name in COLUMNS)) for row in gradebook.students]


def _rows(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{path}:{reader.line_num}: " + expected("a row of a CSV file", error)) from None
        if any(field.strip() for field in row):
            yield reader.line_num, row


def _check_header(path: Path, header: list[str]) -> None:
    columns = ", ".join(COLUMNS)
    if "id" not in header:
        raise InputError(f"{path}:1: " + expected(f"a header with id, and any of {columns}", ", ".join(header) or "nothing"))
    for name in header:
        if header.count(name) > 1 or name not in COLUMNS:
            raise InputError(f"{path}:1: " + expected(f"each column once, out of {columns}", repr(name)))


def _student(where: str, header: list[str], row: list[str]) -> Student:
    if len(row) != len(header):
        raise InputError(f"{where}: " + expected(f"{len(header)} fields, {', '.join(header)}", len(row)))
    fields = {name: field.strip() or None for name, field in zip(header, row, strict=True)}
    for name, field in fields.items():
        if field and (len(field) > LONGEST or not field.isprintable()):
            raise InputError(f"{where}: " + expected(f"{name} of at most {LONGEST} printable characters", repr(field[:40])))
    try:
        check_student_id(fields["id"] or "")
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return Student(fields.pop("id") or "", **fields)
