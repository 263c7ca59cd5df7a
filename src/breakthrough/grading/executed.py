"""The executed notebook of a graded submission: the release as skeleton, the submission's sources, outputs, verdicts.

What nbgrader reads from its outputs (`determine_grade`) are the same points as the marks.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from breakthrough.course.notebooks import CHECK_MIME, Cell, Notebook, check_id
from breakthrough.errors import NotebookError, expected
from breakthrough.grading.outputs import Cleaner, Output, display, error, safe_markdown, stream
from breakthrough.grading.records import CHECK, WRONG, Graded, Mark, ProgramCell

_SIDE_BY_SIDE = re.compile(r"(</(?:b|code|span)>)(?=<(?:b|code|span)\b)")
_SEED = re.compile(r" \(seed \d+\)")
_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
FAILED = "CheckFailed"


def notebook(graded: Graded, release: Notebook) -> Notebook:
    """The executed notebook of a graded submission.

    Raises: NotebookError when the release has a check that the submission has no mark for
    """
    cleaner = Cleaner()
    marks = {check_id(mark.exercise): mark for mark in graded.marks}
    cells = [_notice(graded)] if graded.refused else []
    ids: set[str] = {cell["id"] for cell in release["cells"]}
    for cell, program in _merged(graded, release["cells"]):
        if cell:
            cells.append(_cell(cell, program, graded, marks, cleaner))
        elif program:
            cells.append(_added(program, graded, ids, cleaner))
    _number(cells)
    return {**release, "cells": cells}


def verdict(mark: Mark, cleaner: Cleaner) -> list[Output]:
    """The outputs of a check cell: the card, and what makes nbgrader give the same points."""
    plain = without_seed(mark.plain) or f"{mark.exercise}: {mark.status}, {mark.points:g} of {mark.of:g} points"
    record = {"exercise": mark.exercise, "status": mark.status, "points": mark.points, "of": mark.of, "diagnosis": mark.diagnosis or None}
    card = {"text/plain": plain, CHECK_MIME: record}
    if html := cleaner.html(without_seed(mark.html)):
        card["text/html"] = _SIDE_BY_SIDE.sub(r"\1 ", html)  # the formgrader takes the style away that keeps words apart
    shown = display(card)
    if mark.points >= mark.of:
        return [shown]
    if mark.points <= 0:
        return [shown, error(FAILED, f"{mark.exercise}: {mark.status}", [f"{mark.exercise}: {mark.says or mark.status}"])]
    return [shown, {**display({"text/plain": f"{mark.points:g}"}), "output_type": "execute_result", "execution_count": None}]


def without_seed(text: str) -> str:
    """A card's text without the seed that a learner's own card names."""
    return _SEED.sub("", text)


def _merged(graded: Graded, cells: list[Cell]) -> Iterator[tuple[Cell | None, ProgramCell | None]]:
    """The release's cells in order, each with the program's of the same id; the program's others where it has them."""
    places = {cell["id"]: place for place, cell in enumerate(cells) if cell["cell_type"] == "code"}
    at = 0
    for program in graded.program.cells:
        place = places.get(program.id, -1)
        if place < at:
            yield None, program
            continue
        yield from ((cell, None) for cell in cells[at:place])
        yield cells[place], program
        at = place + 1
    yield from ((cell, None) for cell in cells[at:])


def _cell(cell: Cell, program: ProgramCell | None, graded: Graded, marks: Mapping[str, Mark], cleaner: Cleaner) -> Cell:
    made = copy.deepcopy(cell)
    info = made["metadata"].get("nbgrader", {})
    name = info.get("grade_id", "")
    if name in graded.program.manual:
        text = graded.program.manual[name]
        unchanged = text == cell["source"]
        made["source"] = text if unchanged or cell["cell_type"] == "code" else safe_markdown(text)
    if cell["cell_type"] != "code":
        return made
    if program is not None and program.kind != CHECK:
        made["source"] = program.source
    if info.get("grade") and not info.get("solution"):
        made["outputs"] = verdict(_mark(name, marks, graded, info), cleaner)
    else:
        made["outputs"] = cleaner.outputs(graded.outputs.get(cell["id"], ()))
    return made


def _mark(name: str, marks: Mapping[str, Mark], graded: Graded, info: Mapping[str, Any]) -> Mark:
    if name in marks:
        return marks[name]
    if graded.refused:
        of = float(info.get("points", 0))
        return Mark(name.replace("-", ".", 1), WRONG, 0, of, says=graded.refused)
    raise NotebookError(expected(f"a mark for every check of {graded.module}", f"none for {name} of {graded.student}", "grading it again"))


def _added(program: ProgramCell, graded: Graded, ids: set[str], cleaner: Cleaner) -> Cell:
    name = program.id if _CELL_ID.fullmatch(program.id) and program.id not in ids else f"added-{len(ids)}"
    ids.add(name)
    outputs = cleaner.outputs(graded.outputs.get(program.id, ()))
    return {"cell_type": "code", "id": name, "metadata": {}, "source": program.source, "outputs": outputs, "execution_count": None}


def _notice(graded: Graded) -> Cell:
    text = f"This submission could not be read: {graded.refused}\n"
    return {"cell_type": "code", "id": "refused", "metadata": {}, "source": "", "outputs": [stream(text)], "execution_count": None}


def _number(cells: list[Cell]) -> None:
    count = 0
    for cell in cells:
        if cell["cell_type"] == "code":
            count += 1
            cell["execution_count"] = count
