"""Whose submission is it? The names that learning platforms give files, and the students they may mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from breakthrough.grading.students import Student

# Moodle: `Ada Lovelace_12345_assignsubmission_file_/x.ipynb`; its number belongs to the submission, not to the user
_MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_[a-z]+_?(?P<rest>.*)")
# Canvas: `lovelaceada_LATE_901_4711_x.ipynb`; the first number is the user's, the second grows with every hand-in
_CANVAS = re.compile(r"(?P<name>[^_]*)(?:_LATE)?_(?P<user>\d+)_(?P<attempt>\d+)_(?P<rest>.+)")


@dataclass(frozen=True)
class Label:
    """What a name on a platform says of a submitter: a name, Canvas' id of the user, how manieth attempt."""

    text: str
    name: str
    user: str = ""
    attempt: int = 0
    platform: str = ""


def label_of(top: str, *, folder: bool) -> Label:
    """Read the first part of a submission's path: a folder's name, or a file's."""
    if found := _MOODLE.fullmatch(top):
        return Label(top, found["name"], platform="moodle")
    if not folder and (found := _CANVAS.fullmatch(top)):
        return Label(top, found["name"], found["user"], int(found["attempt"][:18]), "canvas")
    return Label(top, top if folder else top.rpartition(".")[0])


def find(label: Label, students: Sequence[Student]) -> Student | str:
    """The one student that a label means; else the reason why there is none. Nothing is guessed."""
    named = _named(label, students)
    if label.platform == "canvas":
        by_user = [one for one in students if one.lms_user_id == label.user]
        if by_user and named and by_user[0] not in named:
            return f"its number is {by_user[0].id}'s, its name {named[0].id}'s"
        named = by_user or [one for one in named if one.lms_user_id is None]
    if len(named) == 1:
        return named[0]
    return "no student has this id, name, e-mail or number" if not named else f"{len(named)} students fit: {', '.join(s.id for s in named)}"


def plain(text: str | None) -> str:
    """A name without case, accents, spaces and signs, as platforms write it into a file's name."""
    decomposed = unicodedata.normalize("NFKD", text or "")
    return "".join(character for character in decomposed.casefold() if character.isalnum())


def _named(label: Label, students: Sequence[Student]) -> list[Student]:
    exact = [one for one in students if one.id == label.name]
    if exact and not label.platform:
        return exact
    wanted = plain(label.name)
    return [one for one in students if wanted and wanted in _names(one, numbers=not label.platform)]


def _names(student: Student, *, numbers: bool) -> set[str]:
    first, last = plain(student.first_name), plain(student.last_name)
    names = {plain(student.id), plain(student.email)}
    if first and last:
        names |= {first + last, last + first}
    if numbers:
        names.add(plain(student.lms_user_id))
    return names - {""}
