"""Lessons and labs as pages: what a reader needs of a notebook, and nothing that only a kernel does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from html import unescape
from typing import Any

from breakthrough.course import notebooks, report
from breakthrough.course.notebooks import Cell, Notebook
from breakthrough.course.schema import Module
from breakthrough.course.site import links
from breakthrough.course.site.layout import Site
from breakthrough.errors import NotebookError, expected
from breakthrough.language import counted

UNSOLVED = "# YOUR CODE HERE"
SHOWN_HINTS = ("concept", "shapes")  # the ladder goes on in the lab, where it is noted
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ALT = re.compile(r"<img\b[^>]*\balt=[\"']([^\"']+)", re.IGNORECASE)


def lesson(site: Site, module: Module) -> str:
    """A lesson as it was kept: the cells, what they printed and drew, and the cards of its questions."""
    path = site.course.lesson(module)
    notebook = notebooks.read(path)
    heading = ""
    for cell in notebook["cells"]:
        heading = _heading(cell) or heading
        _clean(site, cell, path.relative_to(site.root).as_posix())
        if cell["cell_type"] == "code":
            cell["outputs"] = list(_outputs(cell))
            _describe(cell, heading)
    return _dump(notebook)


def lab(site: Site, module: Module, hints: dict[str, tuple[str, ...]]) -> str:
    """A lab's statement: the released notebook, a card of the module, and the first hints, folded.

    Raises: NotebookError for a lab that somebody has worked in
    """
    path = site.course.lab(module)
    notebook = notebooks.read(path)
    cells: list[Cell] = []
    for cell in notebook["cells"]:
        _unsolved(cell, path.name)
        name = notebooks.grade_id(cell)
        _clean(site, cell, path.relative_to(site.root).as_posix())
        cells.append(cell)
        if len(cells) == 1:
            cells.append(_markdown("card", _card(site, module)))
        exercise = next((each for each in module.exercises if notebooks.check_id(each) == name), None)
        if exercise in hints:
            cells.append(_markdown(f"{name}-hints", _folded(exercise, hints[exercise])))
    return _dump({**notebook, "cells": cells})


def _clean(site: Site, cell: Cell, source: str) -> None:
    if cell["cell_type"] == "markdown":
        cell["source"] = links.turn(site, cell["source"], source)
    cell["metadata"] = {"tags": notebooks.tags(cell)} if notebooks.tags(cell) else {}


def _unsolved(cell: Cell, name: str) -> None:
    mark = cell["metadata"].get("nbgrader", {})
    if cell.get("outputs") or (mark.get("solution") and not mark.get("grade") and UNSOLVED not in cell["source"]):
        hint = "breakthrough release, or a checkout nobody works in"
        raise NotebookError(expected(f"{name} as released", f"work in the cell {cell.get('id', '')!r}", hint))


def _card(site: Site, module: Module) -> str:
    lesson = f"[the lesson](/lessons/{module.id}.ipynb)"
    claims = ", ".join(f"[{name}](#claim-{name.lower()})" for name in module.claims) or "none"
    return "\n".join((
        "::::{grid} 2 2 4 4", ":class-container: lab-card", ":gutter: 2",
        *_item("Practice", f"{module.hours.lab:g} h"),
        *_item("Points", f"{module.points.lab:g} in {counted(len(module.exercises), 'exercise')}"),
        *_item("Before it", lesson), *_item("Claims", claims), "::::",
    ))


def _item(title: str, text: str) -> tuple[str, ...]:
    return (f":::{{grid-item-card}} {title}", text, ":::")


def _folded(exercise: str, hints: Iterable[str]) -> str:
    lines = []
    for name, text in zip(SHOWN_HINTS, hints):
        lines += [f":::{{dropdown}} Hint: {name}", *_quoted(name, text), ":::", ""]
    return "\n".join([*lines, f'*In the lab, `hint("{exercise}")` goes on from there.*'])


def _quoted(name: str, text: str) -> list[str]:
    return [text] if name == "concept" else ["```text", *text.replace("; ", ";\n").splitlines(), "```"]


def _markdown(name: str, source: str) -> Cell:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


def _heading(cell: Cell) -> str:
    if cell["cell_type"] != "markdown":
        return ""
    found = re.findall(r"^#{1,6} +(.+)$", links.outside_code(cell["source"]), re.MULTILINE)
    return found[-1] if found else ""


def _outputs(cell: Cell) -> Iterator[dict[str, Any]]:
    """What is shown: text as a terminal leaves it, and no data that only this course reads."""
    said: dict[str, Any] | None = None
    for output in cell.get("outputs", []):
        if output["output_type"] == "stream":
            text = _joined(output["text"])
            if said and said["name"] == output["name"]:
                said["text"] += text
                continue
            said = {**output, "text": text}
            yield said
            continue
        said = None
        if "data" in output:
            data = {mime: value for mime, value in output["data"].items() if not mime.startswith("application/vnd.breakthrough")}
            output = {**output, "data": data}
        yield output


def settled(text: str) -> str:
    """Text as a terminal leaves it: without colours, of a line written over and over the last state."""
    plain = _ESCAPES.sub("", text).replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in plain.split("\n"))


def _describe(cell: Cell, heading: str) -> None:
    """Give the cell's pictures their words: those of the output, else those of the heading above."""
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            output["text"] = settled(output["text"])
        data = output.get("data", {})
        if any(mime in data for mime in report.IMAGES):
            alt = _alt(output) or f"Figure of the section “{heading}”"
            cell["metadata"].setdefault("mystnb", {})["image"] = {"alt": " ".join(alt.split())}


def _alt(output: dict[str, Any]) -> str:
    said = output.get("metadata", {})
    for mime in report.IMAGES:
        if isinstance(said.get(mime), dict) and said[mime].get("alt"):
            return str(said[mime]["alt"])
    found = _ALT.search(_joined(output["data"].get("text/html", "")))
    return str(said.get("alt") or (unescape(found[1]) if found else ""))


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _dump(notebook: Notebook) -> str:
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
