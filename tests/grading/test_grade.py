"""Grading one submission: the record, the same score again, honest slips, files instead of a notebook, without a sandbox."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from honest import FULL, MODULE, every
from solved_labs import COURSE, as_bytes, cell_of, released, solved

from breakthrough.grading import run, sandbox
from breakthrough.grading.grade import Rules, Task
from breakthrough.grading.records import Graded
from breakthrough.grading.session import Patience

pytestmark = pytest.mark.sandbox
LAB, WHOLE = released(MODULE), solved(MODULE)
WORK = solved(MODULE)
UNASKED = "moe.prove"
cell_of(WORK, "moe-prove-answer")["source"] = cell_of(LAB, "moe-prove-answer")["source"]


@pytest.fixture(scope="module")
def grader():
    made = run.Grader(Rules(31, "tests", sandbox.tier(), patience=Patience(cell_s=30, call_s=60)))
    yield made
    made.close()


def graded(grader, folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    found = grader.grade(Task("ada", MODULE.id, folder, COURSE.lab(MODULE)))
    assert not found.failure, found.failure
    return found


def earned(found):
    return {mark.exercise: mark.points for mark in found.marks if mark.points}


def test_a_solved_lab_earns_all_that_is_not_measured_and_the_same_again(grader, tmp_path):
    files = {f"{MODULE.id}.ipynb": as_bytes(WHOLE)}
    found = graded(grader, tmp_path, files)
    assert earned(found) == FULL, [mark.plain for mark in found.marks if not mark.passed]
    assert earned(graded(grader, tmp_path, files)) == FULL
    assert found.of == 70 and {mark.exercise: mark.status for mark in found.marks}["moe.experiment"] == "not attempted"
    assert replace(Graded.from_json(found.to_json()), outputs={}) == replace(found, outputs={})


@pytest.mark.parametrize("slip", [slip for slip in every() if slip.name != "as_it_should_be"], ids=lambda slip: slip.name)
def test_an_honest_slip_costs_what_it_should(grader, tmp_path, slip):
    found = graded(grader, tmp_path, slip.make(LAB, WORK))
    assert earned(found) == {name: points for name, points in slip.deserved.items() if name != UNASKED}, [m.plain for m in found.marks if not m.passed]


def test_a_wrong_answer_is_diagnosed_without_seed_or_more_than_one_case(grader, tmp_path):
    wrong = json.loads(json.dumps(WORK))
    cell_of(wrong, "moe-route-answer")["source"] = "def route(logits, k):\n    best, experts = logits.topk(k, dim=-1)\n    return torch.sigmoid(best), experts"
    [mark] = [mark for mark in graded(grader, tmp_path, {f"{MODULE.id}.ipynb": as_bytes(wrong)}).marks if mark.exercise == "moe.route"]
    assert (mark.points, mark.diagnosis) == (0, "sigmoid") and "seed" not in mark.plain and mark.plain.count("case:") == 1


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"cells": 3}', b"\xff\xfe\x00"], ids=repr)
def test_what_is_no_notebook_gets_zero_and_a_sentence(grader, tmp_path, text):
    found = graded(grader, tmp_path, {f"{MODULE.id}.ipynb": text})
    assert found.points == 0 and found.of == 70 and found.refused.startswith("expected")


def test_a_course_in_a_folder_that_students_have_for_themselves_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "_roots", lambda: [Path("/tmp/clone/.venv")])
    with pytest.raises(sandbox.SandboxError, match="outside of /tmp"):
        sandbox.tier.__wrapped__()


def test_without_a_sandbox_only_when_it_is_said(grader, tmp_path, monkeypatch):
    def none():
        raise sandbox.SandboxError("expected bubblewrap, got none; try to install it")

    monkeypatch.setattr(sandbox, "tier", none)
    with pytest.raises(Exception, match="--unsandboxed"):
        sandbox.require_sandbox()
    assert sandbox.require_sandbox(unsandboxed=True) == sandbox.NONE
    bare = run.Grader(Rules(31, "tests", sandbox.NONE))
    try:
        found = graded(bare, tmp_path, {f"{MODULE.id}.ipynb": as_bytes(WORK)})
        assert earned(found) == {n: p for n, p in FULL.items() if n != UNASKED}, [m.plain for m in found.marks if not m.passed]
    finally:
        bare.close()
