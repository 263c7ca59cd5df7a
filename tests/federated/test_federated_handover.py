"""The federated inspector as an artifact: as it was saved, or refused."""

import json

import numpy as np
import pytest
import torch
from toy_inspector import PLAN, toy_scenes

from breakthrough import artifacts
from breakthrough.errors import ArtifactError, InputError
from breakthrough.federated import staff
from breakthrough.federated.handover import CONTROL, HISTORY, SPLIT, Split, load_federated, save_federated
from breakthrough.federated.training import CENTRAL, FEDERATED, train_inspector
from breakthrough.train.inspector import KIND, load_inspector


@pytest.fixture(scope="module")
def federation(store):
    return train_inspector(toy_scenes(store), "tiny", plan=PLAN, progress=False)


@pytest.fixture(scope="module")
def saved(federation):
    return save_federated(federation)


def same(one, other):
    return all(torch.equal(one.state_dict()[name], x) for name, x in other.state_dict().items())


def rewritten(saved, name, content):
    files = {key: saved.path(key) for key in saved.files} | {name: lambda path: path.write_bytes(content)}
    return artifacts.save(KIND, files, metrics=saved.metrics, parents=saved.parents)


def test_it_is_read_as_it_was_saved(federation, saved):
    found = load_federated(saved)
    assert same(found.model, federation.model) and same(found.control, federation.control)
    assert found.history == federation.history and found.scenes == federation.scenes
    assert found.split.names == tuple(federation.held)
    for name, part in federation.held.items():
        np.testing.assert_array_equal(found.split.held[name], part)


def test_modules_that_want_an_inspector_find_one(saved, federation):
    assert saved.kind == "inspector" and same(load_inspector(artifacts.latest("inspector")), federation.model)


def test_the_figures_stand_in_the_manifest_as_plain_data(saved, federation):
    told = json.loads((saved.folder / "manifest.json").read_text())["metrics"]
    for name in (FEDERATED, CENTRAL):
        share = federation.scores.accuracy(name)
        assert told[name] == {"value": share.value, "half": share.half, "n": 12}
    assert told["accuracy"] == told[FEDERATED]["value"] and told["test"] == 12
    assert told["alone"]["value"] == pytest.approx(np.mean([one["value"] for one in told["each alone"].values()]))
    assert told["lost"]["value"] == pytest.approx(told[CENTRAL]["value"] - told[FEDERATED]["value"])
    assert (told["rounds"], told["passes"], told["skew"], told["profile"]) == (3, 3, "feature: light", "tiny")
    assert sum(told["factories"].values()) == 24 and set(told["recall"]) <= set(federation.scores.classes)


@pytest.mark.parametrize("name", [SPLIT, HISTORY, CONTROL, "model.safetensors", "config.json"])
def test_a_file_that_is_something_else_is_refused(saved, name):
    with pytest.raises(ArtifactError):
        load_federated(rewritten(saved, name, b"junk"))


def test_a_file_changed_afterwards_is_refused(federation):
    artifact = save_federated(federation)
    artifact.path(SPLIT).write_bytes(b"changed")
    with pytest.raises(ArtifactError, match="changed after it was saved"):
        load_federated(artifact)


def test_a_split_can_say_what_should_not_be_but_no_nonsense(tmp_path):
    twice = Split.of({"a": np.array([1, 2]), "b": np.array([2, 3])})
    twice.save(tmp_path / "split.npz")
    found = Split.load(tmp_path / "split.npz")
    assert {name: part.tolist() for name, part in found.held.items()} == {"a": [1, 2], "b": [2, 3]}
    for picture, factory in (([0, 1], [0]), ([-1], [0]), ([0], [2]), ([0.5], [0])):
        with pytest.raises(InputError):
            Split(np.array(picture), np.array(factory), ("a", "b"))


def test_the_staffs_is_one_that_the_loader_reads(store, federation, monkeypatch):
    monkeypatch.setattr(staff, "PLANS", {"tiny": PLAN})
    found = staff.inspector()
    assert found.staff and found.kind == "inspector" and found.parents == (federation.scenes,)
    assert load_federated(found).model.mixture is not None
