"""A work as reviewers get it: code by exercise, and the account of an experiment. And the folder it lies in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from breakthrough import files
from breakthrough.errors import InputError, UnknownNameError, expected, unknown

MANIFEST = "packet.json"


@dataclass(frozen=True)
class Work:
    """Code by exercise, as source text, and the sections of the account of an experiment, as Markdown.

    `imports` is the cell that the code needs above it, when it was written in a lab.
    """

    code: Mapping[str, str]
    account: Mapping[str, str] = field(default_factory=dict)
    imports: str = field(default="", kw_only=True)


class Packet(BaseModel):
    """What lies in a folder for review. `seed` is there for specimens made for a learner alone.

    `packet` is a name that says nothing about people; `code` has the source of every work by exercise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: int = 1
    module: str
    packet: str
    seed: int | None = None
    code: dict[str, dict[str, str]]

    @property
    def exercises(self) -> tuple[str, ...]:
        """The exercises that any of the works answers, in order."""
        return tuple(dict.fromkeys(name for work in self.code.values() for name in work))


def write(folder: Path, packet: Packet) -> None:
    """Write what lies in a folder beside its notebooks."""
    files.write_text(folder / MANIFEST, json.dumps(packet.model_dump(), indent=1, ensure_ascii=False) + "\n")


def read(folder: Path) -> Packet:
    """Read what lies in a folder.

    Raises: InputError when it is no folder for review
    """
    try:
        return Packet.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError:
        hint = "opening review.ipynb in its own folder, or `breakthrough exchange solo 01`"
        raise InputError(expected(f"a folder with works to review ({MANIFEST})", folder.resolve(), hint)) from None
    except ValidationError as error:
        raise InputError(f"{folder / MANIFEST}: " + expected("a packet of works", error.errors()[0]["msg"])) from None


class Runnable:
    """The functions of a work, to be run: `A.capacity(…)` or `A["moe.capacity"](…)`.

    A specimen's source stands alone. A learner's was written in the lab, and finds the lab's imports.
    """

    def __init__(self, name: str, code: Mapping[str, str], in_lab: bool = False) -> None:
        self._name, self._code, self._in_lab = name, dict(code), in_lab
        self._made: dict[str, Callable[..., Any]] = {}

    def __getitem__(self, exercise: str) -> Callable[..., Any]:
        """The function that answers an exercise.

        Raises: UnknownNameError when the work has none; whatever the source raises when it is run
        """
        from breakthrough.exercises import exercise as exercises, plants

        if exercise not in self._code:
            raise unknown(f"exercise in work {self._name}", exercise, self._code)
        if exercise not in self._made:
            place = f"<work {self._name}, {exercise}>"
            found = exercises.load(exercise)
            given = plants.lab_names(found) if self._in_lab else None
            self._made[exercise] = plants.answer(self._code[exercise], found, place, given)
        return self._made[exercise]

    def __getattr__(self, short: str) -> Callable[..., Any]:
        """The function by the exercise's short name."""
        if short.startswith("_"):
            raise AttributeError(short)
        for name in self._code:
            if name.partition(".")[2] == short:
                return self[name]
        try:
            raise unknown(f"function in work {self._name}", short, [name.partition(".")[2] for name in self._code])
        except UnknownNameError as error:
            raise AttributeError(str(error)) from None

    def __dir__(self) -> list[str]:
        return [name.partition(".")[2] for name in self._code] + ["source"]

    def source(self, exercise: str) -> None:
        """Print the source of a function."""
        name = exercise if exercise in self._code else next((one for one in self._code if one.endswith(f".{exercise}")), exercise)
        if name not in self._code:
            raise unknown(f"exercise in work {self._name}", exercise, self._code)
        print(self._code[name])

    def __repr__(self) -> str:
        """What can be called."""
        return f"work {self._name}: " + ", ".join(f"{self._name}.{one}" for one in dir(self) if one != "source")
