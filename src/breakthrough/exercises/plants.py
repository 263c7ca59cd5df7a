"""Mistakes to plant: right answers with one edit, each of which the bank knows by a name.

The table is plants.yml. An edit is of the text that `standing.right_ways` gives, so that what is planted stands alone.
"""

from __future__ import annotations

import ast
import hashlib
import linecache
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from breakthrough.errors import ConfigError, InputError, expected
from breakthrough.exercises import standing
from breakthrough.exercises.exercise import Exercise, load


@dataclass(frozen=True)
class Plant:
    """One mistake: edits of the source of one right answer, and the misconception that comes of them."""

    exercise: str
    of: str
    kind: str
    edits: tuple[tuple[str, str], ...]
    corner: bool = False  # ordinary inputs do not show it

    @property
    def id(self) -> str:
        """A name for tests and messages."""
        return f"{self.exercise} {self.of} {self.kind}"


@cache
def table() -> Mapping[str, tuple[Plant, ...]]:
    """All plants, by exercise.

    Raises: ConfigError when an entry has not the fields it should
    """
    import yaml

    text = resources.files(__package__).joinpath("plants.yml").read_text(encoding="utf-8")
    return {name: tuple(_plant(name, entry) for entry in entries) for name, entries in yaml.safe_load(text).items()}


def source(plant: Plant) -> str:
    """The source of an answer with the mistake in it.

    Raises: ConfigError when an edit does not fit exactly one place
    """
    exercise = load(plant.exercise)
    ways = standing.right_ways(exercise)
    if plant.of not in ways:
        raise ConfigError(f"{plant.id}: " + expected("a right answer whose source stands alone", plant.of, " or ".join(ways)))
    text = ways[plant.of]
    for was, now in plant.edits:
        if text.count(was) != 1:
            raise ConfigError(f"{plant.id}: " + expected(f"{was!r} once", f"{text.count(was)} times"))
        text = text.replace(was, now)
    return text


def answer(text: str, exercise: Exercise, place: str = "", given: Mapping[str, Any] | None = None) -> Callable[..., Any]:
    """The function (or class) that a source defines under the name of the exercise's reference, else the last one that it defines.

    Nothing but the source itself and the `given` names is in its reach.

    Raises: InputError for a source that defines none; whatever the source raises when it is run
    """
    defined = [node.name for node in ast.parse(text).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    name = next((one for one in (exercise.reference.__name__, *reversed(defined)) if one in defined), None)
    if name is None:
        raise InputError(expected(f"a function for {exercise.name}", "a source that defines none"))
    place = place or f"<specimen of {exercise.name}, {hashlib.sha256(text.encode()).hexdigest()[:8]}>"
    linecache.cache[place] = (len(text), None, text.splitlines(True), place)
    space: dict[str, Any] = {**(given or {}), "__name__": "specimen"}
    exec(compile(text, place, "exec", dont_inherit=True), space)
    return space[name]


def lab_names(exercise: Exercise) -> dict[str, Any]:
    """The names that an answer finds in its lab, imports above all: those of the reference's own file."""
    return {name: value for name, value in vars(sys.modules[exercise.reference.__module__]).items() if not name.startswith("__")}


def _plant(name: str, entry: Mapping[str, Any]) -> Plant:
    if not {"kind", "was", "now"} <= set(entry) or set(entry) - {"kind", "was", "now", "of", "and", "corner"}:
        raise ConfigError(f"plants.yml, {name}: " + expected("kind, was and now, perhaps of, `and`, corner", sorted(entry)))
    edits = [entry, *([entry["and"]] if "and" in entry else [])]
    of = entry.get("of") or load(name).reference.__name__
    return Plant(name, of, entry["kind"], tuple((edit["was"], edit["now"]) for edit in edits), bool(entry.get("corner")))
