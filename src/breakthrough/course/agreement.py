"""Agreement of course.yml, the exercises and the notebooks: points, minutes, names, metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from breakthrough.course import notebooks, syllabus
from breakthrough.course.notebooks import Cell, Notebook
from breakthrough.course.release import BEGIN, END
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import expected, unknown
from breakthrough.language import counted


def faults(course: Syllabus, module: Module) -> list[str]:
    """Everything in which a module's three sources disagree, one text each.

    Raises: NotebookError when a notebook is missing; UnknownNameError when an exercise is
    """
    # the exercises import torch and a subject room: loaded by name, only where they are compared
    from breakthrough import exercises

    bank = {name: exercises.load(name) for name in (*module.exercises, *module.questions)}
    found = [*bank_faults(module, bank), *lesson_faults(module, notebooks.read(course.lesson(module)), bank)]
    if module.has_lab:
        found += lab_faults(module, notebooks.read(course.solution(module)), bank)
    return found


def name_faults(course: Syllabus) -> list[str]:
    """Where the names in course.yml and the exercises differ, for every module, whichever is asked for."""
    from breakthrough import exercises

    bank = {exercise.name: exercise for exercise in exercises.every()}
    return syllabus.located(course.root, [*_unknown_names(course, bank), *_unlisted_names(course, bank)])


def _unknown_names(course: Syllabus, bank: dict[str, Any]) -> Iterator[syllabus.Fault]:
    for i, module in enumerate(course.modules):
        for key, lesson in (("exercises", False), ("questions", True)):
            for j, name in enumerate(getattr(module, key)):
                if name not in bank:
                    yield ("modules", i, key, j), str(unknown("exercise", name, bank))
                elif bank[name].lesson != lesson:
                    other = "questions" if key == "exercises" else "exercises"
                    yield ("modules", i, key, j), expected(f"{name!r} under {other}", f"it under {key}")


def _unlisted_names(course: Syllabus, bank: dict[str, Any]) -> Iterator[syllabus.Fault]:
    for name in bank:
        if name not in course.exercises:
            homes = [i for i, module in enumerate(course.modules) if module.room == name.partition(".")[0]]
            yield ("modules", *homes[:1]), expected(f"the exercise {name!r} to be listed", "no such line")


def bank_faults(module: Module, bank: dict[str, Any]) -> Iterator[str]:
    """Where course.yml and the exercises disagree about points and minutes."""
    for kind, names in (("lab", module.exercises), ("lesson", module.questions)):
        points = sum(bank[name].points for name in names)
        if points != getattr(module.points, kind):
            yield f"{module.id}: expected {getattr(module.points, kind):g} {kind} points in the exercises, got {points}"
    minutes = sum(bank[name].minutes for name in module.exercises)
    if module.has_lab and minutes != 60 * module.hours.lab:
        yield f"{module.id}: expected {60 * module.hours.lab:g} minutes of lab in the exercises, got {minutes}"


def lesson_faults(module: Module, lesson: Notebook, bank: dict[str, Any]) -> Iterator[str]:
    """Where a lesson's title card and questions disagree with the rest."""
    yield from _card_points(module, "lesson", lesson)
    asked = [name for cell in lesson["cells"] if "answer" in notebooks.tags(cell)
             for name, _, _ in notebooks.check_calls(cell["source"])]
    if sorted(asked) != sorted(module.questions):
        yield f"{module.id} lesson: expected answer cells for {', '.join(module.questions)}, got {', '.join(asked) or 'none'}"
    for name in module.questions:
        yield from _printed(f"{module.id} lesson", lesson, bank[name])


def lab_faults(module: Module, lab: Notebook, bank: dict[str, Any]) -> Iterator[str]:
    """Where a lab's metadata, title card and printed points disagree with the rest."""
    yield from _card_points(module, "lab", lab)
    cells = {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in lab["cells"] if "nbgrader" in cell["metadata"]}
    wanted = {name.replace(".", "-") for name in module.exercises}
    graded = {name for name, cell in cells.items() if cell["metadata"]["nbgrader"].get("grade")}
    if graded != wanted:
        yield f"{module.id} lab: expected graded cells {sorted(wanted - graded)}, got {sorted(graded - wanted)}"
    for name in module.exercises:
        grade_id = notebooks.check_id(name)
        yield from (f"{module.id} lab, {name}: {text}" for text in (
            *_check_cell(cells.get(grade_id), name, bank[name].points), *_answer_cell(cells.get(f"{grade_id}-answer"))))
        yield from _printed(f"{module.id} lab", lab, bank[name])


def _check_cell(cell: Cell | None, name: str, points: float) -> Iterator[str]:
    if cell is None:
        return
    meta = cell["metadata"]["nbgrader"]
    if meta.get("points") != points:
        yield f"expected {points} points in the metadata, got {meta.get('points')}"
    if not meta.get("locked") or meta.get("solution"):
        yield "expected a locked check cell, got one that a learner may edit"
    if [found for found, _, _ in notebooks.check_calls(cell["source"])] != [name]:
        yield f'expected check("{name}", …) in its check cell, got {cell["source"]!r}'


def _answer_cell(cell: Cell | None) -> Iterator[str]:
    if cell is None:
        yield "expected a solution cell whose id ends in -answer, got none"
        return
    meta, source = cell["metadata"]["nbgrader"], cell["source"]
    if not meta.get("solution") or meta.get("locked") or meta.get("grade"):
        yield "expected an open solution cell, got other metadata"
    if source.count(BEGIN) != source.count(END) or BEGIN not in source:
        yield f"expected {BEGIN} … {END}, got unmatched markers"


def _card_points(module: Module, kind: str, notebook: Notebook) -> Iterator[str]:
    card, points = notebook["cells"][0]["source"], getattr(module.points, kind)
    # "9 points", or a row of a table: | **Points** | 70 |
    found = re.findall(r"(?i)(\d[\d.]*) points?\b|\bpoints\W{1,12}(\d[\d.]*)", card)
    said = [float((before or after).rstrip(".")) for before, after in found]
    if points not in said:
        yield f"{module.id} {kind}: expected '{counted(points, 'point')}' on the title card, got {said or 'none'}"
    where = [claim for claim in module.claims if claim not in card] if kind == "lab" or not module.has_lab else []
    if where:
        yield f"{module.id} {kind}: expected the claims {', '.join(where)} on the title card, got none"


def _printed(where: str, notebook: Notebook, exercise: Any) -> Iterator[str]:
    """Points and minutes stand in the markdown that introduces an exercise, and are its own."""
    texts = [cell["source"] for cell in notebook["cells"][1:]
             if cell["cell_type"] == "markdown" and re.search(rf"`{re.escape(exercise.name)}`", cell["source"])]
    pairs = [(re.search(r"(\d+) points?\b", text), re.search(r"(\d+) min", text)) for text in texts]
    said = {(int(points[1]), int(minutes[1])) for points, minutes in pairs if points and minutes}
    if said != {(exercise.points, exercise.minutes)}:
        form = f"`{exercise.name}` introduced with '{counted(exercise.points, 'point')}' and '{exercise.minutes} min'"
        got = ", ".join(f"{points} points and {minutes} min" for points, minutes in sorted(said)) or "no such text"
        yield f"{where}: expected {form}, got {got}"
