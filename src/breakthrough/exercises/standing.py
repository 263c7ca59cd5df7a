"""Source text that stands alone: a function with the imports, constants and helpers that it needs.

Comments, docstrings and annotations are left out: what is read is what is run.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import types
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from breakthrough.errors import InputError, expected
from breakthrough.exercises import mutants
from breakthrough.exercises.exercise import Exercise, load

PLAIN = (bool, int, float, str)  # constants that may be written down as they are


def alone(function: Callable[..., Any], source: str, name: str) -> str:
    """The source of a function under another name, with all that it needs above it.

    `source` is what the function does, which may have been edited; its names are looked up in the function's own file.

    Raises: InputError when it needs what cannot be written down
    """
    return _Gatherer(function, name).text(source)


def bare(function: Callable[..., Any]) -> str:
    """The source of a function without docstrings, annotations and comments."""
    return mutants.bare_source(function)


def right_ways(exercise: Exercise) -> dict[str, str]:
    """Right answers whose source stands alone, by the name of their function: the reference first."""
    return dict(_right_ways(exercise.name))


@cache
def _right_ways(name: str) -> dict[str, str]:
    exercise, found = load(name), {}
    for function in (exercise.reference, *exercise.alternatives):
        if inspect.isfunction(function):
            try:
                found[function.__name__] = alone(function, _with_parameters(exercise, function), exercise.reference.__name__)
            except InputError:
                continue
    return found


def _with_parameters(exercise: Exercise, function: Callable[..., Any]) -> str:
    return renamed_parameters(bare(function), bare(exercise.reference))


def renamed_parameters(source: str, like: str) -> str:
    """A function with the parameters of another: their names and defaults, one by one."""
    tree, other = ast.parse(source), ast.parse(like)
    theirs, ours = _first(other).args, _first(tree).args
    if len(theirs.args) != len(ours.args):
        raise InputError(expected(f"{len(theirs.args)} parameters", len(ours.args)))
    names = {mine.arg: its.arg for mine, its in zip(ours.args, theirs.args, strict=True)}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(names)
    if used & {new for old, new in names.items() if old != new}:
        raise InputError(expected("locals that are no parameters of the reference", used & set(names.values())))
    ours.defaults = theirs.defaults
    return ast.unparse(rename(tree, names))


def _first(tree: ast.Module) -> ast.FunctionDef:
    return cast(ast.FunctionDef, tree.body[0])  # the source of a function


def rename(tree: ast.AST, names: dict[str, str]) -> ast.AST:
    """Names and parameters renamed, wherever they stand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg = names.get(node.arg, node.arg)
        elif isinstance(node, ast.FunctionDef):
            node.name = names.get(node.name, node.name)
        elif isinstance(node, (ast.Nonlocal, ast.Global)):
            node.names = [names.get(one, one) for one in node.names]
    return tree


def local_names(tree: ast.AST) -> set[str]:
    """All names that are bound somewhere within: assigned, parameters, functions, imports."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del))}
    found |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    found |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    imports = [alias for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names]
    return found | {alias.asname or alias.name.partition(".")[0] for alias in imports}


class _Gatherer:
    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function, self.name = function, name
        self.imports: dict[str, None] = {}
        self.constants: dict[str, None] = {}
        self.helpers: dict[str, str] = {}

    def text(self, source: str) -> str:
        tree = ast.parse(source)
        own = _first(tree).name
        self.gather(tree, self.function)
        if self.name in self.helpers:
            raise InputError(expected("a function that does not call the reference", self.name))
        main = ast.unparse(rename(tree, {own: self.name}))
        head = "\n".join([*sorted(self.imports, key=lambda line: (line.startswith("from"), line)), *self.constants])
        return "\n\n\n".join(part for part in (head, *self.helpers.values(), main) if part)

    def gather(self, tree: ast.AST, function: Callable[..., Any]) -> None:
        space, bound = vars(sys.modules[function.__module__]), local_names(tree)
        free = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - bound
        for name in sorted(free):
            if name in space:
                self.needs(name, space[name])
            elif not hasattr(builtins, name):
                raise InputError(expected("names that the function's file has", name))

    def needs(self, name: str, value: Any) -> None:
        if isinstance(value, types.ModuleType):
            if value.__name__.startswith("breakthrough"):
                raise InputError(expected("a public module", value.__name__))
            parent, _, last = value.__name__.rpartition(".")
            self.imports[f"from {parent} import {name}" if parent and last == name else f"import {value.__name__}" + (f" as {name}" if name != value.__name__ else "")] = None
        elif inspect.isfunction(value) and value.__module__.startswith("breakthrough.exercises"):
            self.helper(name, value)
        elif isinstance(value, PLAIN):
            self.constants[f"{name} = {value!r}"] = None
        elif getattr(value, "__module__", "").partition(".")[0] in (*sys.stdlib_module_names, "torch", "numpy") and getattr(value, "__name__", "") == name:
            self.imports[f"from {value.__module__.lstrip('_')} import {name}"] = None
        else:
            raise InputError(expected("imports, numbers and functions", f"{name}, {type(value).__name__}"))

    def helper(self, name: str, function: Callable[..., Any]) -> None:
        if name in self.helpers:
            return
        self.helpers[name] = ""
        source = bare(function)
        tree = ast.parse(source)
        if _first(tree).name != name or _first(tree).decorator_list:
            raise InputError(expected("a helper under its own name", name))
        self.gather(tree, function)
        self.helpers.pop(name)  # those that it needs stand above it
        self.helpers[name] = source
