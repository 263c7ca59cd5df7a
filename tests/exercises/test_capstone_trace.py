"""Module 6's capstone.trace: its reference by hand, first attempts, and the last hints of the module."""

from __future__ import annotations

import inspect

import pytest

from breakthrough.exercises import bank, judge, load
from breakthrough.exercises.capstone_trace import root_causes

CODE = [exercise for exercise in bank("capstone").values() if not exercise.question]


def manifest(stage, at, parents=(), disk="same", files=None, **settings):
    return {"stage": stage, "kind": "any", "parents": list(parents), "settings": settings,
            "files": {"a": files or disk}, "disk": {"a": disk}, "created_s": at}  # fmt: skip


def test_a_cause_is_what_differs_by_itself():
    store = {
        "p": manifest("pictures", 1), "m": manifest("model", 2, "p", epochs=8), "s": manifest("served", 3, "m"),
        "q": manifest("pictures", 4, disk="altered", files="same"), "n": manifest("model", 5, "q", "other", epochs=1), "t": manifest("served", 6, "n", "another"),
    }  # fmt: skip
    assert root_causes(store, "s", "t") == ["q", "n"]
    store["n"]["settings"] = {"epochs": 8}
    assert root_causes(store, "s", "t") == ["q"]
    store["n"]["disk"] = {"a": "same"}  # came out the same all the same: what changed the served one is its own
    assert root_causes(store, "s", "t") == ["t"]
    assert root_causes(store, "s", "s") == []


# first attempts, as a beginner writes them


def whatever_changed(artifacts, right, wrong):
    todo, found = [right], {}
    while todo:
        one = artifacts[todo.pop(0)]
        found[one["stage"]] = one
        todo += one["parents"]
    good, todo, causes = found, [wrong], []
    while todo:
        name = todo.pop(0)
        one = artifacts[name]
        if one["files"] != good.get(one["stage"], {}).get("files") and name not in causes:
            causes.append(name)
        todo += one["parents"]
    return sorted(causes, key=lambda i: artifacts[i]["created_s"])


def deepest(artifacts, right, wrong):
    def line(name):
        return {artifacts[name]["stage"]: name} | {k: v for p in artifacts[name]["parents"] for k, v in line(p).items()}

    good, bad = line(right), line(wrong)
    differ = {s for s in bad if s not in good or artifacts[bad[s]]["disk"] != artifacts[good[s]]["disk"]}
    roots = [bad[s] for s in differ if not any(artifacts[p]["stage"] in differ for p in artifacts[bad[s]]["parents"])]
    return sorted(roots, key=lambda i: artifacts[i]["created_s"])


def broken_files(artifacts, right, wrong):
    return sorted((i for i, one in artifacts.items() if one["files"] != one["disk"]), key=lambda i: artifacts[i]["created_s"])


def _own(artifacts, good, name, differs):
    """Whether a difference is an artifact's own, without asking whether there is one."""
    one, other = artifacts[name], good.get(artifacts[name]["stage"])
    if other is None or one["disk"] != one["files"] or one["settings"] != artifacts[other]["settings"]:
        return True
    mine, theirs = ({artifacts[p]["stage"] for p in artifacts[each]["parents"]} for each in (name, other))
    return mine != theirs or not any(map(differs, one["parents"]))


def _walked(artifacts, right, wrong, every_parent):
    good, todo = {}, [right]
    while todo:
        good[artifacts[todo[0]]["stage"]] = todo[0]
        todo += artifacts[todo.pop(0)]["parents"]

    def differs(name):
        other = good.get(artifacts[name]["stage"])
        return other is None or artifacts[name]["disk"] != artifacts[other]["disk"]

    reached, todo = set(), [wrong] if not every_parent or differs(wrong) else []
    while todo:
        name = todo.pop()
        reached.add(name)
        todo += [parent for parent in artifacts[name]["parents"] if every_parent or differs(parent)]
    return sorted((name for name in reached if _own(artifacts, good, name, differs)), key=lambda i: artifacts[i]["created_s"])


def on_to_every_parent(artifacts, right, wrong):
    return _walked(artifacts, right, wrong, every_parent=True)


def the_served_one_unasked(artifacts, right, wrong):
    return _walked(artifacts, right, wrong, every_parent=False)


ATTEMPTS = [
    (whatever_changed, "all that differ"),
    (broken_files, "the whole store"),
    (on_to_every_parent, "no difference of its own"),
    (the_served_one_unasked, "no difference of its own"),
]


@pytest.mark.parametrize(("answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_first_attempt_is_named_for_its_main_mistake(answer, mistake):
    for seed in range(3):
        verdict = judge(load("capstone.trace"), answer, seed)
        assert verdict.diagnosis and verdict.diagnosis.name == mistake


def test_a_card_names_stages():
    verdict = judge(load("capstone.trace"), deepest, 0)
    assert verdict.status == "wrong" and "federated" in verdict.difference.text + verdict.difference.expected


@pytest.mark.parametrize("exercise", CODE, ids=lambda e: e.name)
def test_the_last_hint_runs_with_the_labs_imports(exercise):
    names = {}
    exec("import math\nimport numpy as np\nimport torch", names)
    before = set(names)
    exec(exercise.hint(4), names)
    made = [names[name] for name in names if name not in before and inspect.isfunction(names[name])]
    assert len(made) == 1 and judge(exercise, made[0], 0).status == "passed"


@pytest.mark.parametrize("exercise", CODE, ids=lambda e: e.name)
def test_what_is_no_function_is_told_in_one_sentence(exercise):
    verdict = judge(exercise, 5, 0)
    assert verdict.status == "wrong" and verdict.traceback == ""
