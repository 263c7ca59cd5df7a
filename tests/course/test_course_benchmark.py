"""The benchmark of the whole course: its report on results that are made up, and the cells it finds."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2] / "benchmarks"
FACTS = {"date": "today", "profile": "quick", "modules": "all"}


def module(name):
    spec = importlib.util.spec_from_file_location(name, HOME / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def report():
    return module("_course_report")


@pytest.fixture(scope="module")
def course():
    sys.path.insert(0, str(HOME))
    try:
        return module("course")
    finally:
        sys.path.remove(str(HOME))


def one(name, seconds, **more):
    return {"name": name, "status": "passed", "seconds": seconds, "cpu_s": 1.5 * seconds, "peak_bytes": 1 << 30, "resumed": False, **more}


def found(wall_s=1000.0, again_s=20.0, setup_s=200.0, facts=FACTS, status="passed"):
    cells = [{"notebook": "01_moe lab", "cell": "train", "seconds": 200.0, "share": 0.8}]
    first = {"wall_s": wall_s, "notebooks": [one("00_start lesson", 50.0), one("01_moe lab", 250.0, status=status)], "cells": cells}
    again = {"wall_s": again_s, "notebooks": [one("00_start lesson", 50.0, resumed=True), one("01_moe lab", 250.0, resumed=True)], "cells": cells}
    return {"facts": facts, "setup_s": setup_s, "first": first, "again": again}


def test_the_goals_count_the_set_up_and_are_met(report):
    first, again = report.goals(found())
    assert first == "Executed anew: 20.0 min from a clean clone, 3.3 min of them for the set-up; the goal is 30.0 min: met."
    assert again == "Again with nothing changed: 20.0 s, 2 of 2 notebooks stayed as they were; the goal is 2.0 min: met."
    assert report.met(found())


@pytest.mark.parametrize("missed", [{"wall_s": 1601.0}, {"again_s": 121.0}, {"status": "failed"}])
def test_what_is_missed_is_said(report, missed):
    assert not report.met(found(**missed))


def test_a_part_of_the_course_or_another_profile_meets_no_goal_of_the_whole(report):
    for facts in (FACTS | {"profile": "tiny"}, FACTS | {"modules": "01"}):
        assert report.met(found(wall_s=9999.0, facts=facts)) and "goal" not in report.write(found(facts=facts), None)


def test_the_tables_have_shares_and_what_is_above_its_limit(report, tmp_path):
    out = tmp_path / "kept" / "course"
    text = report.write(found(), out)
    assert "| 00_start lesson | 50 | 75 | 1.5 | 1,024 | 16.7% |" in text and "| 01_moe lab | 250, above 240 | 375 |" in text
    assert "| 01_moe lab | train | 200.0 | 80.0% |" in text
    assert json.loads(out.with_suffix(".json").read_text()) == found()
    assert out.with_suffix(".md").read_text() == text + "\n" and out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_cells_are_read_from_an_executed_notebook(course, tmp_path):
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(str(i), id=f"cell-{i}") for i in range(3)])
    for cell, seconds in zip(notebook.cells, (1.0, 3.0, None)):
        cell["metadata"] = {"papermill": {"duration": seconds}}
    nbformat.write(notebook, tmp_path / "done.ipynb")
    cells = course.cells_of("01_moe lab", tmp_path / "done.ipynb")
    assert [(one["cell"], one["seconds"], one["share"]) for one in cells] == [("cell-0", 1.0, 0.25), ("cell-1", 3.0, 0.75), ("cell-2", 0.0, 0.0)]
