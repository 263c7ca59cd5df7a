"""A calibration specimen in the form of the lab: the lab's headers and docstrings over its functions, the lab's imports.

Reviewers who knew the specimen by its looks would take pains over it alone.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from breakthrough.course import notebooks
from breakthrough.course.notebooks import grade_id
from breakthrough.grading.names import names_of


def imports_of(lab: Path) -> str:
    """The cell with which a released lab imports what its answers use; empty when it has none."""
    cells = notebooks.code_cells(notebooks.read(lab))
    return next((cell["source"] for cell in cells if not grade_id(cell) and names_of(cell["source"]).imports), "")


def stubs_of(lab: Path) -> dict[str, str]:
    """The answer cells of a released lab as learners get them, by grade id without `-answer`."""
    cells = notebooks.code_cells(notebooks.read(lab))
    return {grade_id(cell).removesuffix("-answer"): cell["source"] for cell in cells if grade_id(cell).endswith("-answer")}


def in_lab_form(code: Mapping[str, str], stubs: Mapping[str, str], imports: str) -> dict[str, str]:
    """Functions by exercise, as if they had been written into the lab's cells."""
    there = _imported(imports)
    return {name: _one(source, stubs.get(notebooks.check_id(name), ""), there) for name, source in code.items()}


def _one(source: str, stub: str, there: frozenset[str]) -> str:
    header, tree = _header(stub), ast.parse(source)
    lines: list[str | None] = list(source.splitlines())
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)) and {ast.unparse(alias) for alias in node.names} <= there:
            last = node.end_lineno or node.lineno
            lines[node.lineno - 1:last] = [None] * (last - node.lineno + 1)
        elif header is not None and isinstance(node, ast.FunctionDef) and node.body[0].lineno > node.lineno and (
                node.name, _parameters(node)) == header[:2]:
            place = slice(node.lineno - 1, _first_line(node))
            lines[place] = ["\n".join(header[2]), *[None] * (place.stop - place.start - 1)]
    return "\n".join(line for line in lines if line is not None).strip("\n")


def _header(stub: str) -> tuple[str, list[str], list[str]] | None:
    """The function that a stub is of: its name, its parameters, and its lines up to the body."""
    try:
        functions = [node for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef)]
    except SyntaxError:
        return None
    if not functions:
        return None
    node = functions[0]
    return node.name, _parameters(node), stub.splitlines()[node.lineno - 1:_first_line(node)]


def _parameters(node: ast.FunctionDef) -> list[str]:
    return [one.arg for one in node.args.args]


def _first_line(node: ast.FunctionDef) -> int:
    """How many lines of the file end before the body, the docstring counted as header."""
    if ast.get_docstring(node) is not None:
        return node.body[0].end_lineno or node.body[0].lineno
    return node.body[0].lineno - 1


def _imported(source: str) -> frozenset[str]:
    tree = ast.parse(notebooks.python(source)) if source else ast.Module([], [])
    return frozenset(ast.unparse(alias) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names)
