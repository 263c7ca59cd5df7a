"""Notebooks as plain data: cells, tags, and the scores and claims in their outputs.

Read as JSON: nbformat takes longer to import than the whole command line may take to start.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from breakthrough.errors import NotebookError, expected

CHECK_MIME = "application/vnd.breakthrough.check+json"
CLAIM_MIME = "application/vnd.breakthrough.claim+json"
Cell = dict[str, Any]
Notebook = dict[str, Any]


def read(path: Path) -> Notebook:
    """A notebook file as data, with every source joined to one text.

    Raises: NotebookError when the file is missing or no notebook
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell["source"] = _text(cell["source"])
    except FileNotFoundError:
        raise NotebookError(expected(f"a notebook at {path}", "no such file")) from None
    except (ValueError, KeyError, TypeError) as error:
        raise NotebookError(expected(f"a notebook (JSON, format 4) at {path}", repr(error))) from None
    return notebook


def tags(cell: Cell) -> list[str]:
    """The tags of a cell."""
    return cell.get("metadata", {}).get("tags", [])


def code_cells(notebook: Notebook) -> list[Cell]:
    """The code cells in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def bundles(notebook: Notebook, mime: str) -> Iterator[Any]:
    """The data of one MIME type in all outputs, in order."""
    for cell in code_cells(notebook):
        for output in cell.get("outputs", []):
            if mime in output.get("data", {}):
                yield output["data"][mime]


def checks(notebook: Notebook) -> dict[str, dict[str, Any]]:
    """The best result of every exercise that the notebook's outputs show, by exercise.

    Units: `points` earned out of `of`
    """
    best: dict[str, dict[str, Any]] = {}
    for check in bundles(notebook, CHECK_MIME):
        name = check["exercise"]
        if name not in best or check["points"] >= best[name]["points"]:
            best[name] = check
    return best


def claims(notebook: Notebook) -> dict[str, dict[str, Any]]:
    """The last record of every claim in the notebook's outputs, by id."""
    return {record["claim"]: record for record in bundles(notebook, CLAIM_MIME)}


def first_error(notebook: Notebook) -> str | None:
    """The first error in the outputs, `cell 7: NameError: …`, counted from 1."""
    for number, cell in enumerate(notebook["cells"], start=1):
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                return f"cell {number}: {output['ename']}: {output['evalue']}".splitlines()[0]
    return None


def fill_answers(cells: Iterable[Cell]) -> list[str]:
    """Fill every cell tagged `answer` from the exercise's reference, in place; the names filled.

    `answer_active = None` beside `check("moe.q_active", answer_active)` becomes
    `answer_active = reference("moe.q_active")`, resolved where the notebook runs.

    Raises: NotebookError for an answer cell that has not this form
    """
    filled = []
    for cell in cells:
        if "answer" in tags(cell):
            cell["source"], name = _filled(cell["source"])
            filled.append(name)
    return filled


def _filled(source: str) -> tuple[str, str]:
    tree = ast.parse(source)
    blanks = [node for node in tree.body if isinstance(node, ast.Assign) and _is_none(node.value)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == "check"]
    if len(blanks) != 1 or len(calls) != 1 or not isinstance(calls[0].args[0], ast.Constant):
        form = "an answer cell `answer_x = None` and `check(\"room.q_x\", answer_x)`"
        raise NotebookError(expected(form, repr(source)))
    name = calls[0].args[0].value
    lines = source.splitlines()
    target = ast.unparse(blanks[0].targets[0])
    lines[blanks[0].lineno - 1] = f"{target} = __import__('breakthrough.exercises').exercises.load({name!r}).reference"
    return "\n".join(lines), name


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
