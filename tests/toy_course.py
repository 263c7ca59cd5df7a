"""A small course for the tests of the platform: its course.yml, and its notebooks as cells."""

import json
from pathlib import Path

COURSE = """\
title: Small
subtitle: A course for tests
shape: {lab: 70, exchange: 20, lesson: 10}
modules:
  - id: "00_start"
    title: Start
    room: start
    hours: {lesson: 0.25}
    points: {lesson: 1}
    questions: [start.softmax]
    claims: [C14]
  - id: "01_toy"
    title: Toy
    room: toy
    prerequisites: ["00_start"]
    hours: {lab: 7, exchange: 2, lesson: 0.75}
    points: {lab: 70, exchange: 20, lesson: 9}
    exercises: [toy.double, toy.half]
    questions: [toy.q_one]
    claims: [C01]
    gives: [toy]
  - id: "02_later"
    title: Later
    state: planned
    room: later
    prerequisites: ["01_toy"]
    claims: [C03]
    takes: [toy]
claims:
  - {id: C01, claim: "Doubling is <fast>", where: "01 toy", measures: "the time"}
  - {id: C03, claim: "Later is better", where: "02 later", measures: "the quality"}
  - {id: C14, claim: "70/20/10", where: "the course", measures: "hours"}
  - {id: C28, claim: "Kernels", where: "elective kernels", measures: "speed"}
"""

# a check without the engine: it shows the bundle that the platform reads, and needs no torch
TOY_CHECK = '''\
from IPython.display import display

def check(name, answer):
    good = {"toy.double": lambda f: f(4) == 8, "toy.half": lambda f: f(4) == 2, "toy.q_one": lambda f: f == 1}
    of = {"toy.double": 40, "toy.half": 30, "toy.q_one": 9}[name]
    try:
        status = "passed" if good[name](answer) else "wrong"
    except NotImplementedError:
        status = "not attempted"
    points = of if status == "passed" else 0
    diagnosis = "half of it" if status == "wrong" else None
    record = {"exercise": name, "status": status, "points": points, "of": of, "diagnosis": diagnosis}
    mime = "application/vnd.breakthrough.check+json"
    display({"text/plain": f"{name}: {status}", "text/html": name, mime: record}, raw=True)
    assert status == "passed" or name == "toy.q_one", status'''


def cell(kind, source, number, **metadata):
    """One cell of format 4.5 with a fixed id."""
    base = {"cell_type": kind, "id": f"cell-{number:02d}", "metadata": metadata, "source": source}
    return {**base, "outputs": [], "execution_count": None} if kind == "code" else base


def notebook(*cells):
    """A notebook of (kind, source[, metadata]) tuples."""
    made = [cell(kind, source, i, **(more[0] if more else {})) for i, (kind, source, *more) in enumerate(cells)]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": spec}, "cells": made}


def write_notebook(path: Path, *cells) -> Path:
    """Write a notebook and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook(*cells), indent=1) + "\n")
    return path


def solution_meta(grade_id):
    return {"nbgrader": {"schema_version": 3, "grade_id": grade_id, "solution": True, "grade": False,
                         "locked": False, "task": False}}


def check_meta(grade_id, points):
    return {"nbgrader": {"schema_version": 3, "grade_id": grade_id, "solution": False, "grade": True,
                         "locked": True, "task": False, "points": points}}


PARAMETERS = ("code", 'PROFILE = "quick"\nSEED = 0', {"tags": ["parameters"]})
DOUBLE = "def double(x):\n    ### BEGIN SOLUTION\n    return x + x  # twice the same\n    ### END SOLUTION"
HALF = "def half(x):\n    ### BEGIN SOLUTION\n    return x / 2.0  # one of two parts\n    ### END SOLUTION"


def lab_cells(double=DOUBLE, half=HALF):
    """The cells of the toy lab's master."""
    return (
        ("markdown", "# Toy lab"),
        ("code", TOY_CHECK),
        PARAMETERS,
        ("markdown", "## Double"),
        ("code", double, solution_meta("toy-double-answer")),
        ("code", 'check("toy.double", double)', check_meta("toy-double", 40)),
        ("markdown", "## Half"),
        ("code", half, solution_meta("toy-half-answer")),
        ("code", 'check("toy.half", half)', check_meta("toy-half", 30)),
    )


def lesson_cells(*more):
    """The cells of a lesson that needs no torch."""
    return (("markdown", "# A lesson"), PARAMETERS, ("code", 'print("hello", PROFILE, SEED)'), *more)
