"""Which files of the library some code reaches, read from syntax trees: nothing is imported.

The base files count always. A subject room counts as a whole, data files too: it loads some of them
by name, and starts some as programs. Of the rooms that carry the course itself a file counts when
something reached imports it, names it, or reads it from beside itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

PACKAGE = "breakthrough"
BY_FILE = {"exercises", "course", "grading", "cli"}
LEAVES = {"cli", "course"}  # they import others when a command runs, which no notebook does
NAMED = re.compile(rf"({PACKAGE}(?:\.\w+)+)(?::\w+)?")  # `breakthrough.federated.study:run_one`, for a worker
BESIDE = re.compile(r"\w[\w.-]*(/[\w.-]+)*\.\w+")  # `plants.yml`, in a string
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Reached:
    """Files of the library, and the top-level names of other packages that they import."""

    files: set[Path] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)


class Library:
    """The library in one folder: this checkout's, or another's."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._read: dict[Path, tuple[set[str], set[Path]]] = {}
        self._rooms: dict[str, set[Path]] = {}

    def reached(self, names: Iterable[str]) -> Reached:
        """All that code which imports these names reaches."""
        found, seen = Reached(), set()
        todo, files = set(names), set(self.home.glob("*.py"))
        while todo or files:
            for path in files:
                found.files.add(path)
                imported, beside = self._look(path)
                found.files |= beside
                todo |= imported
            seen |= todo
            found.packages |= {name.partition(".")[0] for name in todo} - {PACKAGE}
            files = {path for name in todo for path in self._files(name)} - found.files
            todo = {name for path in files for name in self._look(path)[0]} - seen
        return found

    def _files(self, name: str) -> set[Path]:
        """The files that importing a name runs, and those that count with them."""
        package, *parts = name.split(".")
        if package != PACKAGE or not parts or not (self.home / parts[0]).is_dir():
            return set()
        if parts[0] not in BY_FILE:
            return self._room(parts[0])
        steps = [self.home.joinpath(*parts[:end]) for end in range(1, len(parts) + 1)]
        return {path for step in steps for path in (step.with_suffix(".py"), step / "__init__.py") if path.is_file()}

    def _room(self, name: str) -> set[Path]:
        if name not in self._rooms:
            self._rooms[name] = {path for path in (self.home / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        return self._rooms[name]

    def _look(self, path: Path) -> tuple[set[str], set[Path]]:
        """The names that a file imports, and the files beside it that it names."""
        if path not in self._read:
            self._read[path] = set(), set()
            if path.suffix == ".py":
                room = path.relative_to(self.home).parts[0]
                names, strings = _named_in(path.read_text(encoding="utf-8"), room not in LEAVES)
                beside = {path.parent / text for text in strings if room in BY_FILE and BESIDE.fullmatch(text)}
                self._read[path] = names, {one for one in beside if one.is_file()}
        return self._read[path]


@lru_cache(maxsize=4096)  # a file is mostly the same in another checkout
def _named_in(text: str, inside: bool) -> tuple[set[str], set[str]]:
    return named(ast.parse(text), inside)


def named(tree: ast.AST, inside: bool = True) -> tuple[set[str], set[str]]:
    """The dotted names that code imports, or names for others to import, and its strings, docstrings apart.

    What stands in functions counts only when `inside`.
    """
    names, strings, told = set[str](), set[str](), set[ast.expr]()
    for node in _walk(tree, inside):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("require") and node.args and isinstance(node.args[0], ast.Constant):
            names.add(str(node.args[0].value))  # optional.require("tenseal", "encrypted sums")
        elif isinstance(node, DOCUMENTED) and node.body and isinstance(node.body[0], ast.Expr):
            told.add(node.body[0].value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in told:
            strings.add(node.value)
    return names | {match[1] for text in strings if (match := NAMED.fullmatch(text))}, strings


def _walk(tree: ast.AST, inside: bool) -> Iterator[ast.AST]:
    """All nodes that run, the outer ones first; those in functions when `inside`."""
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        for child in ast.iter_child_nodes(node):
            types_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            if not types_only and (inside or not isinstance(child, FUNCTIONS)):
                todo.append(child)
