"""Grading one submission: normalized, run in the sandbox, judged from outside; the same score each time."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from breakthrough.artifacts import sha256
from breakthrough.errors import NotebookError
from breakthrough.grading import measuring, slices
from breakthrough.grading.normalize import normalize
from breakthrough.grading.records import CHECK, Graded, Mark, Program, ProgramCell
from breakthrough.grading.session import Patience, Session
from breakthrough.grading.spaces import Caps
from breakthrough.seeds import derive

if TYPE_CHECKING:
    from breakthrough.exercises.exercise import Exercise
    from breakthrough.grading.sandbox import Nest

PACKAGES = ("breakthrough", "torch", "numpy", "nbgrader")
SLOW = {"bitsandbytes": "bitsandbytes", "tenseal": "tenseal", "flwr": "flwr.app"}  # imported in functions: a word of the lab, the module


@dataclass(frozen=True)
class Task:
    """One submission to grade: whose, of which module, and where its folder and the released lab lie."""

    student: str
    module: str
    submission: Path
    lab: Path


@dataclass(frozen=True)
class Rules:
    """How submissions are graded: the cohort's secret seed with its name, the sandbox's tier, and the limits."""

    seed: int
    seed_id: str
    tier: str
    caps: Caps = Caps()
    patience: Patience = Patience()


def grade(task: Task, rules: Rules, nest: Nest) -> Graded:
    """Grade one submission. What is wrong with it is in its marks; what is wrong with the grader raises.

    Raises: SandboxError when no process can be made for it
    """
    started = time.perf_counter()
    submitted, released = hash_of(task.submission), hash_of(task.lab)
    blank = Graded(task.student, task.module, (), submitted, released, rules.tier, rules.seed_id, versions(), graded_s=time.time())
    seed = derive(rules.seed, task.module, submitted)
    try:
        program = normalize(task.lab, task.submission)
    except NotebookError as error:
        return replace(blank, marks=_none_of(normalize(task.lab, task.lab)), refused=str(error), duration_s=time.perf_counter() - started)
    found, outputs, notes = _judged(task, program, rules, nest, seed)
    marks = tuple(found[check.exercise] for check in program.checks if check.exercise in found)
    return replace(blank, marks=marks, program=program, outputs=outputs, notes=(*program.notes, *notes), duration_s=time.perf_counter() - started)


def _judged(task: Task, program: Program, rules: Rules, nest: Nest, seed: int) -> tuple[dict[str, Mark], dict, list[str]]:
    """Marks by exercise, outputs by cell, and what is to be noted."""
    from breakthrough import exercises

    known = {check.exercise: exercises.load(check.exercise) for check in program.checks}
    trained = {name for name, exercise in known.items() if exercise.training}
    kept = slices.needed(program, trained)
    marks, session = _examined(program, kept, set(known) - trained, rules, nest, seed)
    notes = [f"cell {name} was left out: {why}" for name, why in session.skipped.items()]
    if slices.left_out(program, kept) and (open_ := {name for name, mark in marks.items() if not mark.passed}):
        again, second = _examined(program, slices.with_learners(program, kept), open_, rules, nest, seed)
        better = {name: mark for name, mark in again.items() if mark.points > marks[name].points}
        marks |= better
        session.outputs |= second.outputs
        notes += [f"with all of the learner's cells run: {', '.join(better)}"] if better else []
    for name in sorted(trained):
        marks[name] = _measured(known[name], measuring.handed_in(task.submission, known[name].artifact), seed, rules)
    return marks, session.outputs, notes


def _examined(program: Program, kept: Sequence[ProgramCell], judged: set[str], rules: Rules, nest: Nest, seed: int) -> tuple[dict[str, Mark], Session]:
    """Marks of the exercises to be judged, with the cells that are kept run in a fresh process."""
    from breakthrough.grading import examiner

    places = {cell.id for cell in kept}
    checks = [check for check in program.checks if check.exercise in judged]
    cells = [cell for cell in program.cells if cell.id in places or (cell.kind == CHECK and cell.exercise in judged)]
    session = Session(nest, rules.caps, rules.patience)
    try:
        return examiner.examine(session, cells, checks, seed), session
    finally:
        session.end()


def _measured(exercise: Exercise, artifact: Path | None, seed: int, rules: Rules) -> Mark:
    from breakthrough.grading import examiner, sandbox

    if artifact is None:
        return examiner.missing(exercise)
    return measuring.measured(exercise, artifact, derive(seed, exercise.name) % (1 << 32), rules.tier != sandbox.NONE)


def _none_of(released: Program) -> tuple[Mark, ...]:
    from breakthrough import exercises
    from breakthrough.grading import examiner

    return tuple(examiner.missing(exercises.load(check.exercise)) for check in released.checks)


def warm_modules(lab: Path) -> list[str]:
    """What the released lab imports: students' processes are forked with it."""
    from breakthrough.grading.visible import imported

    given = [cell.source for cell in normalize(lab, lab).cells if cell.kind == "given"]
    names, text = set().union(*map(imported, given)), "\n".join(given)
    names |= {module for word, module in SLOW.items() if word in text.lower()}
    return sorted(name for name in names if not name.startswith("breakthrough.exercises"))


def material(lab: Path) -> tuple[Path, ...]:
    """The files of the exercises that the released lab's cells need."""
    from breakthrough.grading import visible

    return visible.material(cell.source for cell in normalize(lab, lab).cells if cell.kind == "given")


def hash_of(place: Path) -> str:
    """SHA-256 over a file, or over the names and contents of a folder's files."""
    if place.is_file():
        return sha256(place)
    made = hashlib.sha256()
    for path in sorted(path for path in place.rglob("*") if path.is_file() and not path.is_symlink()):
        made.update(os.fsencode(str(path.relative_to(place))) + b"\0" + sha256(path).encode())
    return made.hexdigest()


def versions() -> Mapping[str, str]:
    """The versions that grades hang on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
