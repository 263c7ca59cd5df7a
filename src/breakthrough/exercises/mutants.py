"""Mutants of a reference: its source with one operator, number or keyword changed, by cosmic-ray's operators.

Docstrings and annotations are taken out first: they do nothing. A change that gives the same program twice
counts once, and so does the first of two operators that agree.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import hashlib
import linecache
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from breakthrough.errors import ConfigError, expected
from breakthrough.exercises.exercise import Exercise, source
from breakthrough.optional import require


@dataclass(frozen=True)
class Mutant:
    """A reference with one change: the line as it was, as it is now, and the whole source with it."""

    operator: str
    was: str
    now: str
    source: str


def mutated(exercise: Exercise) -> bool:
    """Whether the reference of an exercise is mutated: code that is judged in seconds."""
    return not exercise.question and not exercise.training


def bare(exercise: Exercise) -> str:
    """The source of a reference without docstrings, annotations and comments."""
    return bare_source(exercise.reference)


def bare_source(answer: Any) -> str:
    """The source of a function or class without docstrings, annotations and comments."""
    return ast.unparse(_stripped(ast.parse(source(answer))))


def digest(exercise: Exercise) -> str:
    """Eight digits that change with what a reference does: of its bare source, or of its value."""
    text = bare(exercise) if callable(exercise.reference) else repr(exercise.reference)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def mutants(exercise: Exercise) -> list[Mutant]:
    """Every mutant of a reference, in a fixed order.

    Raises: MissingDependency without cosmic-ray
    """
    original = bare(exercise)
    seen, found = {original}, []
    for operator, text in _changes(original):
        if text not in seen:
            seen.add(text)
            found.append(Mutant(operator, *_lines(original, text), text))
    return _told_apart(found)


def planted(exercise: Exercise, mutant: Mutant) -> Any:
    """The answer that a mutant is: its source, run among the names of the reference's own file.

    Raises: whatever the source raises when it is run
    """
    name = exercise.reference.__name__
    namespace = dict(vars(sys.modules[exercise.reference.__module__]))
    place = f"<mutant of {exercise.name}>"
    linecache.cache[place] = (len(mutant.source), None, mutant.source.splitlines(True), place)
    exec(compile(mutant.source, place, "exec", dont_inherit=True), namespace)
    return namespace[name]


@cache
def _operators() -> tuple[tuple[str, Any], ...]:
    """cosmic-ray's operators; the two that have to be told a variable's name stay out."""
    plugins = require("cosmic_ray.plugins", "mutates references")
    pairs = ((name.rpartition("/")[2], plugins.get_operator(name)) for name in plugins.operator_names())
    return tuple((name, kind()) for name, kind in pairs if not kind.arguments())


def _changes(original: str) -> Iterator[tuple[str, str]]:
    """Each operator's name with each text it makes, as far as that is Python."""
    trees, mutating = require("cosmic_ray.ast", "mutates references"), require("cosmic_ray.mutating", "mutates references")
    nodes = list(trees.ast_nodes(trees.get_ast(original)))
    for name, operator in _operators():
        for place in range(sum(1 for node in nodes for _ in operator.mutation_positions(node))):
            text = mutating.mutate_code(original, operator, place)
            try:
                yield name, ast.unparse(_Plain().visit(ast.parse(text)))
            except SyntaxError:
                continue


class _Plain(ast.NodeTransformer):
    """+1 is 1: two operators that arrive at the same number made one mutant."""

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:  # as ast calls it
        self.generic_visit(node)
        return node.operand if isinstance(node.op, ast.UAdd) and isinstance(node.operand, ast.Constant) else node


def _stripped(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return tree


def _lines(original: str, text: str) -> tuple[str, str]:
    """The lines that differ, before and after."""
    before, after = original.splitlines(), text.splitlines()
    parts = [part for part in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if part[0] != "equal"]
    if not parts:
        raise ConfigError(expected("a mutant that differs from its reference", "the same lines"))
    top, bottom, low, high = parts[0][1], parts[-1][2], parts[0][3], parts[-1][4]
    was, now = (" ⏎ ".join(line.strip() for line in part) for part in (before[top:bottom], after[low:high]))
    return was, now


def _told_apart(found: list[Mutant]) -> list[Mutant]:
    """The same change to two lines that read alike gets a number, so that each has a name of its own."""
    met: dict[tuple[str, str], int] = {}
    named = []
    for one in found:
        met[one.was, one.now] = count = met.get((one.was, one.now), 0) + 1
        named.append(dataclasses.replace(one, now=f"{one.now}  # {count}") if count > 1 else one)
    return named
