"""What the gate does not see of capstone.leak: lists pass as sets do, ids alone are told what is missing."""

from __future__ import annotations

import math

import numpy as np
import torch

from breakthrough.exercises import judge, load
from breakthrough.seeds import torch_generator

EXERCISE = load("capstone.leak")


def test_some_cases_leak_in_several_stages_and_some_not_at_all():
    found = [EXERCISE.reference(*case.args) for case in EXERCISE.cases(torch_generator(0, "cases"))]
    assert set() in found and any(len({stage for stage, _ in pairs}) == 3 for pairs in found)


def test_a_list_with_repeats_passes_and_a_dict_is_told_its_form():
    def as_list(stages, served, test):
        return [list(pair) for pair in sorted(EXERCISE.reference(stages, served, test))] * 2

    def as_dict(stages, served, test):
        return dict(EXERCISE.reference(stages, served, test))

    assert judge(EXERCISE, as_list, 0).status == "passed"
    verdict = judge(EXERCISE, as_dict, 0)
    assert verdict.kind == "type" and "a set of pairs" in verdict.difference.text


def test_the_last_hint_runs_among_the_labs_imports():
    names = {"math": math, "np": np, "torch": torch}
    exec(EXERCISE.hint(4), names)
    assert judge(EXERCISE, names["leaks"], 0).status == "passed"
