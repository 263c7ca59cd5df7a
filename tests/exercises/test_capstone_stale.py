"""What the gate does not see of capstone.stale: an order that differs is right too; run says what it was given wrongly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from breakthrough.errors import ConfigError
from breakthrough.exercises import judge, load
from breakthrough.seeds import torch_generator

EXERCISE = load("capstone.stale")


def test_some_case_stops_the_chain_some_goes_on_and_some_runs_nothing():
    cases = list(EXERCISE.cases(torch_generator(0, "cases")))
    sizes = [(len(EXERCISE.reference(*case.args)), len(case.args[0])) for case in cases]
    assert (0, 11) in sizes and (1, 11) in sizes and (11, 11) in sizes
    assert any(1 < few < total for few, total in sizes)


def test_what_was_just_run_is_fresh_afterwards():
    stages, made, run = next(EXERCISE.cases(torch_generator(0, "cases"))).args
    records, contents = [], {}

    def recording(name, inputs):
        contents[name] = run(name, inputs)
        stage = stages[name]
        records.append({"stage": name, "settings": stage["settings"], "code": stage["code"], "inputs": dict(inputs), "content": contents[name], "on_disk": contents[name]})
        return contents[name]

    assert EXERCISE.reference(stages, made, recording) == ["train", "serve"]
    assert EXERCISE.reference(stages, made + records, recording) == []


def test_run_refuses_other_inputs():
    run = next(EXERCISE.cases(torch_generator(0, "cases"))).args[2]
    with pytest.raises(ConfigError, match="contents of scenes, got nothing"):
        run("train", {})
    with pytest.raises(ConfigError, match="stage's name"):
        run("trian", {})  # codespell:ignore trian


def test_a_list_that_run_was_not_called_for_is_refused():
    def silent(stages, made, run):
        return EXERCISE.reference(stages, made, type(run)(run.needs, run.matters, run.blind))

    verdict = judge(EXERCISE, silent, 0)
    assert verdict.status == "wrong" and "not what run was called for" in verdict.difference.text


def test_the_last_hint_runs_among_the_labs_imports():
    names = {"math": math, "np": np, "torch": torch}
    exec(EXERCISE.hint(4), names)
    assert judge(EXERCISE, names["plan"], 0).status == "passed"
