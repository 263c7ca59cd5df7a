"""Module 4's experiment: what is looked at in a quantized inspector that was handed over."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from safetensors.torch import load_file

from breakthrough import artifacts
from breakthrough.exercises import card, judge, load, quant_experiment_wrong as wrong, quant_measure as measuring
from breakthrough.exercises.quant_measure import BARS, Bar
from breakthrough.quant.handover import FILES
from breakthrough.quant.inspecting import VERSIONS
from breakthrough.quant.schemes import scheme


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "store"))
    return tmp_path / "store"


def verdict(answer):
    return judge(load("quant.experiment"), answer, 0)


def named(answer):
    found = verdict(answer)
    return found.diagnosis.name if found.diagnosis else found.status


def test_an_artifact_passes_as_itself_and_as_a_path_while_its_parents_are_there(store, monkeypatch, tmp_path):
    artifact = wrong.saved()
    for answer in (artifact, artifact.folder, str(artifact.folder)):
        assert named(answer) == "passed"
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "another"))
    assert named(artifact) == "passed"  # its parents lie beside it
    shutil.rmtree(store / "scenes")
    assert named(artifact) == "no inspector named"
    wrong.inspector()
    assert named(artifact) == "passed"  # the dataset is in the store that is used now
    shutil.rmtree(store / "inspector")
    assert named(artifact) == "no inspector named"


def test_an_altered_parent_is_no_judge(store):
    artifact = wrong.saved()
    (store / "inspector" / artifact.parents[0] / "model.safetensors").write_bytes(b"altered")
    assert named(artifact) == "no inspector named"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_coin_is_told_from_rounding_and_from_another_inspector(version):
    for seed in range(3, 8):
        assert named(wrong.stored(version, scheme(f"{version}_random", seed))) == "random rounding"


def test_no_told_number_makes_random_rounding_pass():
    good, artifact = wrong.saved(), wrong.stored("nf4", "nf4_random")()
    manifest = artifact.folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"metrics": good.metrics | {"points": 7}}))
    assert named(artifact) == "random rounding"


def test_one_row_that_is_not_the_parents_is_found():
    def change(files):
        facts, tensors = json.loads(files[FILES[1]].read_text()), load_file(files[FILES[0]])
        tensors["features.4.conv.0.weight.codes"][7] = 0
        return files | wrong.written(facts, tensors)

    found = verdict(lambda: wrong.resaved(change))
    assert found.diagnosis.name == "another inspector" and "features.4.conv.0.weight" in found.difference.text


def test_other_answers_are_told_by_the_test_pictures_alone(monkeypatch):
    artifact = wrong.saved()
    for bar, expected in ((Bar(1.0, 0.0), "passed"), (Bar(1.01, 1.0), "another inspector"), (Bar(0.0, -1.0), "another inspector")):
        monkeypatch.setattr(measuring, "BARS", BARS | {"int8": bar})
        found = verdict(artifact)
        assert (found.diagnosis.name if found.diagnosis else found.status) == expected
    assert "its answers are not its parent's" in found.difference.text


def test_the_bars_ask_more_of_more_bits():
    assert BARS["int8"].agreement > BARS["nf4"].agreement and BARS["int8"].lost < BARS["nf4"].lost


def test_other_grids_of_the_same_bytes_are_right_answers():
    for name in ("nf4", "nf4_single"):  # rounded, not calibrated; scales in 32 bits
        assert named(wrong.stored("nf4", name)) == "passed"


def test_what_is_no_artifact_is_told_what_it_is(store):
    def first(answer):
        found = verdict(answer)
        assert found.traceback == ""
        return card.plain(found, 1).splitlines()[0]

    artifact = wrong.saved()
    assert "There is no artifact at this path" in first(store / "nothing")
    assert "These are the models" in first(wrong.shrunk())
    assert "one file or one version" in first(str(artifact.folder / "int8"))
    assert "another kind" in first(replace(artifact, folder=store / "inspector" / artifact.parents[0]))
    assert "This is not an artifact" in first([1, 2])
