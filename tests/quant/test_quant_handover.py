"""The quantized inspector as an artifact: as it was saved, read by name, or refused."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from toy_shrunk import toy_inspector

from breakthrough import artifacts
from breakthrough.errors import ArtifactError, UnknownNameError
from breakthrough.quant import staff
from breakthrough.quant.handover import FILES, KIND, load_quantized_inspector, save_quantized
from breakthrough.quant.inspecting import BEFORE, VERSIONS, ask, controls, pictures_of, shrink_inspector
from breakthrough.quant.table import codes_and_scales


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(artifacts.VARIABLE, str(tmp_path_factory.mktemp("store")))
        yield artifacts.store()


@pytest.fixture(scope="module")
def shrunk(store):
    return shrink_inspector(toy_inspector(store))


@pytest.fixture(scope="module")
def saved(shrunk):
    return save_quantized(shrunk)


def test_each_version_answers_as_it_did_before_it_was_saved(shrunk, saved):
    models = {version: load_quantized_inspector(saved, version) for version in VERSIONS}
    found = ask(models, pictures_of(shrunk.parent))
    for version in VERSIONS:
        np.testing.assert_array_equal(found.logits[version], shrunk.answers.logits[version])
    assert saved.parents == (shrunk.parent.id,) and saved.kind == KIND and set(saved.files) == set(FILES)


def test_the_original_is_not_needed(saved, tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path))
    assert load_quantized_inspector(saved.folder).mixture is not None


def test_a_compiler_finds_codes_and_scales_by_the_weights_own_names(shrunk, saved):
    expected = codes_and_scales(shrunk.models["int8"])
    with safe_open(saved.path("int8/quantized.safetensors"), "pt") as file:
        assert file.metadata()["scheme"] == "int8"
        for name, (codes, scale) in expected.items():
            stored, scales = file.get_tensor(f"{name}.codes"), file.get_tensor(f"{name}.scale")
            assert stored.dtype == torch.int8 and torch.equal(stored.view(codes.shape), codes) and torch.equal(scales, scale.flatten())
            weight = shrunk.models[BEFORE].get_parameter(name)
            again = stored.float().view(len(scales), -1) * scales[:, None]
            assert (again.view(weight.shape) - weight).abs().max() <= 0.5001 * scales.max()
    facts = json.loads(saved.path("int8/quantized.json").read_text())
    assert set(facts["weights"]) == set(expected) and facts["model"]["class"] == "Inspector"
    assert {name.partition(":")[0] for name in facts["kept"].values()} == {"vector", "first conv", "head", "router"}


def test_the_figures_stand_in_the_manifest_as_plain_data(shrunk, saved):
    told = json.loads((saved.folder / "manifest.json").read_text())["metrics"]
    for name in (BEFORE, *VERSIONS):
        assert told[name]["bytes"] == shrunk.sizes[name].bytes
        assert told[name]["accuracy"]["value"] == shrunk.answers.accuracy(name).value
        assert set(told[name]["recall"]) == set(shrunk.answers.recall(name)) == set(told[name]["recall gained"])
    assert told["nf4"]["scheme"] == "nf4_gptq" and told["test"] == 12 and told["accuracy"] == told["int8"]["accuracy"]["value"]
    assert told["controls"]["nf4"]["accuracy"] == [shrunk.answers.accuracy(name).value for name in controls("nf4")]


def test_what_is_not_there_or_something_else_is_refused(shrunk, saved):
    with pytest.raises(UnknownNameError, match="int8"):
        load_quantized_inspector(saved, "int4")
    with pytest.raises(ArtifactError, match="inspector_int8"):
        load_quantized_inspector(shrunk.parent)
    files = {name: saved.path(name) for name in saved.files}
    turned = {name.replace("int8", "other").replace("nf4", "int8").replace("other", "nf4"): path for name, path in files.items()}
    for bad in (turned, files | {FILES[0]: lambda path: path.write_bytes(b"junk")}, files | {FILES[0]: files[FILES[2]]}, {FILES[1]: files[FILES[1]]}):
        with pytest.raises(ArtifactError):
            load_quantized_inspector(artifacts.save(KIND, bad, parents=(shrunk.parent,)))


def test_a_file_changed_afterwards_is_refused(shrunk):
    artifact = save_quantized(shrunk, metrics={"note": "mine"})
    assert artifact.metrics["note"] == "mine"
    artifact.path(FILES[0]).write_bytes(b"changed")
    with pytest.raises(ArtifactError, match="changed after it was saved"):
        load_quantized_inspector(artifact)


def test_the_staffs_is_of_the_newest_inspector(shrunk):
    found = staff.inspector_int8()
    assert found.staff and found.kind == KIND and found.parents == (artifacts.latest("inspector").id,)
    assert load_quantized_inspector(found, "nf4").config == shrunk.models[BEFORE].config
    assert artifacts.latest(KIND).id == found.id
