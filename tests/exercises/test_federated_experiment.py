"""Module 3's experiment: what is looked at in a federated inspector that was handed over."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace

import pytest

from breakthrough import artifacts
from breakthrough.exercises import card, federated_experiment_wrong as wrong, judge, load
from breakthrough.exercises.federated_measure import BARS
from breakthrough.federated.handover import Split, save_federated


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "store"))
    return tmp_path / "store"


def verdict(answer):
    return judge(load("federated.experiment"), answer, 0)


def test_an_artifact_passes_as_itself_and_as_a_path_while_its_dataset_is_there(store, monkeypatch, tmp_path):
    artifact = wrong.saved()
    for answer in (artifact, artifact.folder, str(artifact.folder)):
        assert verdict(answer).status == "passed"
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "another"))
    assert verdict(artifact).status == "passed"  # its dataset lies beside it
    shutil.rmtree(store / "scenes")
    assert verdict(artifact).diagnosis.name == "no dataset named"
    wrong.scenes()
    assert verdict(artifact).status == "passed"  # or in the store that is used now


def test_a_dataset_that_was_altered_is_no_judge():
    artifact = wrong.saved()
    parts = artifacts.store() / "scenes" / artifact.parents[0] / "parts.npz"
    parts.write_bytes(b"altered")
    assert verdict(artifact).diagnosis.name == "no dataset named"


def test_every_factorys_model_is_told_from_the_federated_one():
    for which in range(4):
        assert verdict(wrong.alone(which)).diagnosis.name == "one factory"


def test_no_told_number_makes_a_poor_model_pass():
    artifact = wrong.untrained()
    told = artifact.metrics | {"accuracy": 1.0, "points": 8, "profile": "full"}
    manifest = artifact.folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"metrics": told}))
    assert verdict(artifact).diagnosis.name == "too little learned"


def test_the_bar_goes_with_the_smaller_of_profile_and_dataset_and_rises():
    wrong.scenes()
    for profile in ("quick", "mine"):  # on a tiny dataset
        assert verdict(save_federated(replace(wrong.federated(), profile=profile))).status == "passed"
    bars = list(BARS.values())
    for low, high in itertools.pairwise(bars):
        assert low.learned < high.learned and low.behind > high.behind and low.above < high.above


def test_a_picture_that_the_dataset_does_not_have_is_no_picture():
    held = {"a": [0, 10_000], "b": [1]}
    found = verdict(lambda: wrong.resaved(lambda files: files | {"split.npz": Split.of(held).save}))
    assert found.diagnosis.name == "pictures left out" and "no picture of the dataset" in found.difference.text


def test_what_is_no_artifact_is_told_what_it_is(store):
    def first(answer):
        found = verdict(answer)
        assert found.traceback == ""
        return card.plain(found, 1).splitlines()[0]

    assert "There is no artifact at this path" in first(store / "nothing")
    assert "This is what was trained" in first(wrong.federated())
    assert "This is not an artifact" in first([1, 2])


def test_far_behind_the_control_is_told_by_the_test_pictures_alone(monkeypatch):
    artifact = wrong.saved()
    for name, fault in (("tiny", ""), ("strict", "too little learned")):
        bars = {"tiny": replace(BARS["tiny"], behind=0.2 if name == "tiny" else -1.0)}
        monkeypatch.setattr("breakthrough.exercises.federated_measure.BARS", bars | {"quick": BARS["quick"]})
        found = verdict(artifact)
        assert (found.diagnosis.name if found.diagnosis else "") == fault
    assert "too far behind the control" in found.difference.text
