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


def tagged(path: Path, tag: str) -> frozenset[str]:
    """The ids of a notebook file's cells with a tag; none where there is no file."""
    return frozenset(cell.get("id", "") for cell in read(path)["cells"] if tag in tags(cell)) if path.is_file() else frozenset()


def grade_id(cell: Cell) -> str:
    """The name that nbgrader knows a cell by, empty for none."""
    return cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", "")


def check_id(exercise: str) -> str:
    """The grade id of an exercise's check cell; its answer's is this with `-answer`."""
    return exercise.replace(".", "-")


def code_cells(notebook: Notebook) -> list[Cell]:
    """The code cells in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def checks(notebook: Notebook) -> dict[str, dict[str, Any]]:
    """The best result of every exercise that the notebook's outputs show, by exercise.

    Units: `points` earned out of `of`; `says` is the first line of the card unless it passed
    """
    best: dict[str, dict[str, Any]] = {}
    for data in _outputs(notebook, CHECK_MIME):
        check = data[CHECK_MIME]
        says = "" if check["status"] == "passed" else _text(data.get("text/plain", "")).split("\n")[0]
        name = check["exercise"]
        if name not in best or check["points"] >= best[name]["points"]:
            best[name] = {**check, "says": says}
    return best


def claims(notebook: Notebook) -> dict[str, dict[str, Any]]:
    """The last record of every claim in the notebook's outputs, by id."""
    return {data[CLAIM_MIME]["claim"]: data[CLAIM_MIME] for data in _outputs(notebook, CLAIM_MIME)}


def fill_answers(cells: Iterable[Cell]) -> list[str]:
    """Fill every cell tagged `answer` from the exercise's reference, in place; the names filled.

    Before `check("moe.q_active", answer_active)` a line gives `answer_active` the reference, which is
    resolved where the notebook runs.

    Raises: NotebookError for an answer cell without one such call
    """
    filled = []
    for cell in cells:
        if "answer" in tags(cell):
            cell["source"], name = _filled(cell["source"])
            filled.append(name)
    return filled


def check_calls(source: str) -> list[tuple[str, str, int]]:
    """Every `check("name", variable)` in a cell: name, variable, and the line its statement begins on."""
    found = []
    for statement in ast.parse(python(source)).body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and _called(node) == "check" and len(node.args) == 2:
                name, answer = node.args
                if isinstance(name, ast.Constant) and isinstance(answer, ast.Name):
                    found.append((str(name.value), answer.id, statement.lineno))
    return found


def _outputs(notebook: Notebook, mime: str) -> Iterator[dict[str, Any]]:
    for cell in code_cells(notebook):
        for output in cell.get("outputs", []):
            if mime in output.get("data", {}):
                yield output["data"]


def _filled(source: str) -> tuple[str, str]:
    try:
        [(name, variable, line)] = check_calls(source)
    except (SyntaxError, ValueError):
        form = 'an answer cell with one `check("room.name", variable)`'
        raise NotebookError(expected(form, repr(source))) from None
    lines = source.splitlines()
    lines.insert(line - 1, f"{variable} = __import__('breakthrough.exercises').exercises.load({name!r}).reference")
    return "\n".join(lines), name


def python(source: str) -> str:
    """A cell's source with magics and shell lines made harmless, for parsing."""
    return "\n".join("pass" if line[:1] in "%!?" and line else line for line in source.splitlines())


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def alt(output: Cell) -> str:
    """The words that stand for a picture in an output: those of its metadata, else its plain text; none for a mere repr."""
    found = [meta.get("alt") for meta in output.get("metadata", {}).values() if isinstance(meta, dict)]
    plain = output.get("data", {}).get("text/plain", "")
    plain = "".join(plain) if isinstance(plain, list) else plain
    words = next((text for text in found if isinstance(text, str) and text.strip()), "" if plain.lstrip().startswith("<") else plain)
    return " ".join(words.split())[:400]
