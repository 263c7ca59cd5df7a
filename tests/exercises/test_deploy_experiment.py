"""Module 5's experiment: what is looked at in a compiled inspector that was handed over."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from breakthrough import artifacts
from breakthrough.deploy.inspecting import BATCHES
from breakthrough.errors import BreakthroughError
from breakthrough.exercises import card, deploy_experiment_wrong as wrong, deploy_measure as measuring, judge, load


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "store"))
    return tmp_path / "store"


def verdict(answer, seed=0):
    return judge(load("deploy.experiment"), answer, seed)


def named(answer, seed=0):
    found = verdict(answer, seed)
    return found.diagnosis.name if found.diagnosis else found.status


def test_an_artifact_passes_as_itself_and_as_a_path_while_its_parents_are_there(store, monkeypatch, tmp_path):
    artifact = wrong.saved()
    for seed, answer in enumerate((artifact, str(artifact.folder))):
        assert named(answer, seed) == "passed"
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "another"))
    assert named(artifact) == "passed"  # its parents lie beside it
    for kind in ("scenes", "inspector", "inspector_int8"):
        shutil.rmtree(store / kind)
        assert named(artifact) == "no inspector named"


def test_an_altered_parent_is_no_judge(store):
    artifact = wrong.saved()
    (store / "inspector" / artifact.parents[1] / "model.safetensors").write_bytes(b"altered")
    assert named(artifact) == "no inspector named"


def test_foreign_code_is_never_loaded_into_this_process(monkeypatch):
    def refuse(*args):
        raise AssertionError("loaded here")

    artifact = wrong.saved()
    monkeypatch.setattr("breakthrough.deploy.runtime.runtime", refuse)
    assert named(artifact) == "passed"


def test_the_pictures_of_noise_are_others_each_time_and_of_every_batch_size(monkeypatch):
    asked = []
    real = measuring.answers_apart
    monkeypatch.setattr(measuring, "answers_apart", lambda folder, inputs: asked.append(inputs) or real(folder, inputs))
    artifact = wrong.saved()
    assert [named(artifact, seed) for seed in (0, 1)] == ["passed", "passed"]
    first, second = asked[0], asked[len(asked) // 2]  # of each of the two judgments
    assert [len(x) for x in first[:-1]] == list(BATCHES)
    assert not np.array_equal(first[0], second[0]) and np.array_equal(first[-1], second[-1])


@pytest.mark.parametrize(("change", "name"), [
    (lambda found: found, "passed"),
    (lambda found: [(scores + 2e-3, cells) for scores, cells in found], "another inspector"),
    (lambda found: [(scores, np.where(cells == cells.max(), np.nan, cells)) for scores, cells in found], "another inspector"),
    (lambda found: [(cells, scores) for scores, cells in found], "outputs exchanged"),
    (lambda found: [(scores,) for scores, _ in found], "another answer"),
])
def test_a_number_that_is_off_is_found_in_any_output(monkeypatch, change, name):
    real = measuring.answers_apart
    monkeypatch.setattr(measuring, "answers_apart", lambda folder, inputs: change(found) if folder.name == "fp32" and (found := real(folder, inputs)) else real(folder, inputs))
    assert named(wrong.saved()) == name


def test_a_child_that_is_killed_is_told_in_one_sentence(monkeypatch):
    def killed(folder, inputs):
        raise BreakthroughError("expected an answer, got an end by SIGSEGV")

    monkeypatch.setattr(measuring, "answers_apart", killed)
    found = verdict(wrong.saved())
    assert found.diagnosis.name == "does not run" and "SIGSEGV" in found.difference.text and found.traceback == ""


def test_integers_that_change_answers_are_found_on_test_pictures(monkeypatch):
    artifact = wrong.saved()
    for bar, name in ((0.95, "passed"), (1.01, "another inspector")):
        monkeypatch.setattr(measuring, "AGREEMENT", bar)
        assert named(artifact) == name


def test_no_told_number_makes_another_net_pass():
    good, artifact = wrong.saved(), wrong.compiled("another")()
    manifest = artifact.folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"metrics": good.metrics | {"points": 8}}))
    assert named(artifact) == "another inspector"


def test_what_is_no_artifact_is_told_what_it_is(store):
    def first(answer):
        found = verdict(answer)
        assert found.traceback == ""
        return card.plain(found, 1).splitlines()[0]

    artifact = wrong.saved()
    assert "There is no artifact at this path" in first(store / "nothing")
    assert "This is what was compiled" in first(wrong.built())
    assert "one file or one version" in first(str(artifact.folder / "int8"))
    assert "another kind" in first(replace(artifact, folder=store / "inspector" / artifact.parents[1]))
    assert "This is not an artifact" in first([1, 2])
