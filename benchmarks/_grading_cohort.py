"""Cohorts to measure the grader with: lab 01 whole, its checks alone, all but one, or its first two exercises, with varied submissions.

The forms are made from the project's own master, in a project of their own, so that the split grader and stock nbgrader
get the same folder: source, release, gradebook and submissions.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from breakthrough import artifacts, exercises
from breakthrough.course import notebooks, syllabus
from breakthrough.grading import canary, releasing, setting_up, slices
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.normalize import normalize

MODULE, TRAINED = "01_moe", "moe.experiment"
WHOLE, CHECKS, SHORT, LIGHT = "whole", "checks", "checks but moe.prove", "light"
FIRST = ("moe-route", "moe-combine")  # the exercises of the light form
BROKEN = "raise ValueError('not like this')"
Notebook = dict[str, Any]


def make(home: Path, form: str, count: int) -> Cohort:
    """A cohort with a form of lab 01 released, and so many submissions of it."""
    project = home / f"project-{form}"
    solution = project / "solutions" / MODULE / f"{MODULE}.ipynb"
    solution.parent.mkdir(parents=True)
    root = syllabus.load().root
    shutil.copyfile(root / "course.yml", project / "course.yml")
    solution.write_text(json.dumps(_master(root, form)))
    _others(root, project)
    students = home / f"students-{form}.csv"
    names = [f"student{number:04}" for number in range(count)]
    students.write_text("id\n" + "".join(f"{name}\n" for name in names))
    cohort = setting_up.init(home / form, syllabus.load(project), students_csv=students).cohort
    releasing.release(cohort, MODULE)
    _submit(cohort, names, form)
    return cohort


def _others(root: Path, project: Path) -> None:
    """The masters of the other modules, which a cohort is set up with."""
    for folder in sorted((root / "solutions").iterdir()):
        if folder.is_dir() and folder.name != MODULE:
            shutil.copytree(folder, project / "solutions" / folder.name)


def _master(root: Path, form: str) -> Notebook:
    path = root / "solutions" / MODULE / f"{MODULE}.ipynb"
    whole = notebooks.read(path)
    for cell in whole["cells"]:
        if "parameters" in cell["metadata"].get("tags", ()):
            cell["source"] = cell["source"].replace('"quick"', '"tiny"')
    if form == WHOLE:
        return whole
    needed = {cell.id for cell in slices.needed(normalize(path, path), {TRAINED})}
    return whole | {"cells": [cell for cell in whole["cells"] if _kept(cell, needed, form)]}


def _kept(cell: Notebook, needed: set[str], form: str) -> bool:
    """Whether a form has a cell: no pictures, no experiment; the light one has two exercises."""
    name = notebooks.grade_id(cell)
    if name.startswith(("moe-claim", "moe-experiment")):
        return False
    if form == SHORT and name.startswith("moe-prove"):
        return False
    if form == LIGHT and name:
        return name.removesuffix("-answer") in FIRST
    return cell["cell_type"] == "markdown" or bool(name) or cell["id"] in needed


def _submit(cohort: Cohort, names: Sequence[str], form: str) -> None:
    released = notebooks.read(cohort.release / MODULE / f"{MODULE}.ipynb")
    solved = canary.solved(notebooks.read(cohort.source / MODULE / f"{MODULE}.ipynb"), released)
    model = _artifact(cohort.folder.parent / "store") if form == WHOLE else None
    for number, name in enumerate(names):
        folder = cohort.submitted(name, MODULE)
        folder.mkdir(parents=True)
        (folder / f"{MODULE}.ipynb").write_text(json.dumps(_varied(number, solved, released)))
        (folder / "timestamp.txt").write_text("2026-01-02 03:04:05.000000 UTC")
        if model is not None:
            shutil.copytree(model.folder, folder / "artifacts" / model.kind / model.id)


def _artifact(store: Path) -> artifacts.Artifact:
    with artifacts.storing_in(store):
        return exercises.load(TRAINED).reference()


def _varied(number: int, solved: Notebook, released: Notebook) -> Notebook:
    """A solved lab with a cell of one's own; every third lacks an answer, and every fifth has one that raises."""
    made = copy.deepcopy(solved)
    answers = [place for place, cell in enumerate(made["cells"]) if notebooks.grade_id(cell).endswith("-answer") and cell["cell_type"] == "code"]
    answers = [place for place in answers if not notebooks.grade_id(made["cells"][place]).startswith(("moe-claim", "moe-experiment"))]
    if number % 3 == 2:
        place = answers[number % len(answers)]
        made["cells"][place] = copy.deepcopy(released["cells"][place])
    if number % 5 == 4:
        cell = made["cells"][answers[(number + 1) % len(answers)]]
        cell["source"] = "\n".join(f"    {BROKEN}" if line.startswith("    return ") else line for line in cell["source"].splitlines())
    own = {"cell_type": "code", "id": f"own-{number}", "metadata": {}, "execution_count": None, "outputs": [], "source": f"print('mine', {number})"}
    made["cells"].insert(answers[0] + 1, own)
    return made


def stock(cohort: Cohort, copy_: Path, names: Sequence[str]) -> tuple[float, float]:
    """Autograde some of a cohort by nbgrader's own command, in a copy of its folder: seconds, and the share of the points given.

    Raises: SystemExit when nbgrader fails
    """
    left_out = [path.name for path in (cohort.folder / "submitted").iterdir() if path.name not in names]
    shutil.copytree(cohort.folder, copy_, ignore=shutil.ignore_patterns("records", "autograded", "release_history", *left_out))
    command = [sys.executable, "-m", "nbgrader", "autograde", MODULE, "--CourseDirectory.root", str(copy_), "--ExecutePreprocessor.timeout=600"]
    began_s = time.perf_counter()
    done = subprocess.run(command, cwd=copy_, capture_output=True, text=True)
    took_s = time.perf_counter() - began_s
    graded = len(list((copy_ / "autograded").glob(f"*/{MODULE}/{MODULE}.ipynb")))
    wanted = len(list((copy_ / "submitted").glob(f"*/{MODULE}")))
    if done.returncode or graded != wanted:
        raise SystemExit(f"stock nbgrader graded {graded} of {wanted}:\n{done.stderr[-2000:]}")
    return took_s, _share(copy_, names)


def _share(folder: Path, names: Sequence[str]) -> float:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        scores = [(one.score, one.max_score) for one in book.assignment_submissions(MODULE) if one.student.id in names]
    return sum(score for score, _ in scores) / sum(most for _, most in scores)
