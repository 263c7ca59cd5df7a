"""Module 2's experiment: what is looked at in a dataset that was handed over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from breakthrough import artifacts
from breakthrough.exercises import card, judge, load, scenes_experiment_wrong as wrong
from breakthrough.exercises.scenes_measure import ENOUGH
from breakthrough.scenes import staff
from breakthrough.scenes.dataset import Settings


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "store"))
    return tmp_path


@pytest.mark.parametrize("seed", range(3))
def test_the_staffs_dataset_passes_as_artifact_and_as_path(monkeypatch, seed):
    monkeypatch.setattr(staff, "SETTINGS", Settings(n=ENOUGH["tiny"] * 2, seed=seed))
    artifact = staff.scenes()
    for answer in (artifact, artifact.folder, str(artifact.folder)):
        verdict = judge(load("scenes.experiment"), answer)
        assert verdict.status == "passed", verdict.difference


@pytest.mark.parametrize("seed", range(4))
def test_a_manifest_that_is_not_of_its_pictures_is_noticed_whatever_is_drawn(seed):
    for change in (wrong.other_seed, wrong.said_to_be_randomized, wrong.labels_rotated):
        verdict = judge(load("scenes.experiment"), wrong.altered(change), seed)
        assert verdict.status == "wrong" and verdict.diagnosis.name in ("another seed", "labels moved")


def test_a_profile_that_nobody_knows_asks_for_as_much_as_quick():
    assert judge(load("scenes.experiment"), wrong.saved(profile="mine")).diagnosis.name == "too few"


def test_what_is_told_counts_for_nothing():
    artifact = replace(wrong.drawn_from(ranges="naive"), metrics={"accuracy": 1.0, "status": "passed"})
    assert judge(load("scenes.experiment"), artifact).diagnosis.name == "a factor is fixed"


def test_what_is_no_artifact_is_told_what_it_is(store):
    def first(answer):
        verdict = judge(load("scenes.experiment"), answer)
        assert (verdict.status, verdict.traceback) == ("wrong", "")
        return card.plain(verdict, 1).splitlines()[0]

    assert "There is no artifact at this path" in first(store / "nothing")
    assert "This is the dataset, not the artifact" in first(wrong.made())
    assert "This is not an artifact" in first({"part": 0})
