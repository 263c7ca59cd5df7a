"""Functions are of one thought: at most 40 lines, docstring apart, but for a few with a reason, which may only become fewer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1] / "src" / "breakthrough"
MOST = 40
LONGER = {  # with what each may have; take out, never put in
    "deploy/winograd.py:convolution": 46,  # one tensor expression in its stages, each the input of the next
    "exercises/moe_prove_otherwise.py:by_other_ways": 43,  # a list of answers, each a line or two
    "scenes/coverage.py:_measure": 53,  # one loop over pixels and triangles, which numba compiles as a whole
}


def lengths(tree: ast.AST, name: str = "") -> Iterator[tuple[str, int]]:
    """Each function's name within its file, and its lines without its docstring."""
    for node in ast.iter_child_nodes(tree):
        inner = name
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{name}.{node.name}".lstrip(".")
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            told = first.end_lineno - first.lineno + 1 if ast.get_docstring(node, clean=False) is not None else 0
            yield inner, node.end_lineno - node.lineno + 1 - told
        yield from lengths(node, inner)


def long_ones() -> dict[str, int]:
    found = {}
    for path in sorted(HOME.rglob("*.py")):
        for name, lines in lengths(ast.parse(path.read_text(encoding="utf-8"))):
            if lines > MOST:
                found[f"{path.relative_to(HOME).as_posix()}:{name}"] = lines
    return found


def test_a_function_is_short_or_has_a_reason():
    found = long_ones()
    assert found.keys() == LONGER.keys()
    assert {name: lines for name, lines in found.items() if lines > LONGER[name]} == {}


@pytest.mark.parametrize(("lines", "docstring", "long"), [(39, 0, False), (40, 0, True), (39, 5, False), (60, 1, True)])
def test_a_long_function_is_seen_and_its_docstring_not_counted(lines, docstring, long):
    told = '    """' + "\n" * (docstring - 1) + '"""\n' if docstring else ""
    [(name, counted)] = lengths(ast.parse("class A:\n  def f(self):\n" + told + "    x = 1\n" * lines))
    assert name == "A.f" and (counted > MOST) is long
