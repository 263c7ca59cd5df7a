"""The compiled inspector as an artifact: what it holds, what it tells, and on which machine it runs."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from compiled_toys import SIDE, TINY, fill_store

from breakthrough import artifacts
from breakthrough.deploy import handover, staff
from breakthrough.deploy.handover import FILES, KIND, NAMES, for_this_machine, load_engine, save_compiled, version_folder
from breakthrough.deploy.inspecting import CODES, compile_inspector, held
from breakthrough.deploy.opening import open_source
from breakthrough.errors import ArtifactError, UnknownNameError
from breakthrough.quant.inspecting import BEFORE, pictures_of
from breakthrough.train.pictures import to_input

QUICK = {"pipelines": {"fp32": "default", "int8": "int8"}, "batches": (1, 8), "runs": 20}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(artifacts.VARIABLE, str(tmp_path_factory.mktemp("store")))
        fill_store()
        yield artifacts.store()


@pytest.fixture(scope="module")
def built(store):
    return compile_inspector(**QUICK)


@pytest.fixture(scope="module")
def saved(built):
    return save_compiled(built, metrics={"note": "mine"})


def test_both_versions_answer_as_they_did_before_they_were_saved(store, built, saved):
    pictures = pictures_of(artifacts.latest("inspector"))
    x = to_input(torch.from_numpy(pictures.images)).numpy()
    for version in NAMES:
        scores, cells = load_engine(saved, version)(x)
        np.testing.assert_array_equal(scores, built.answers.logits[version])
        assert cells.shape == (len(x), len(TINY.classes) + len(TINY.sound), SIDE // TINY.cell, SIDE // TINY.cell)
    assert saved.kind == KIND and set(saved.files) == set(FILES)
    assert saved.parents == (artifacts.latest("inspector_int8").id, artifacts.latest("inspector").id)


def test_the_float_net_is_pytorchs_and_the_integer_one_near_its_own(built):
    answers, errors = built.answers, built.errors
    assert max(errors["fp32"].values()) < 1e-4 and answers.largest_change("fp32") <= errors["fp32"]["pictures"] < 1e-4
    assert 1e-3 < errors["int8"]["pictures"] < 1
    assert np.abs(answers.logits["int8"] - answers.logits[CODES]).max() <= errors["int8"]["pictures"]
    text = str(built)
    assert all(name in text for name in (BEFORE, *NAMES, CODES, "batch 8", "PyTorch"))


def test_the_figures_stand_in_the_manifest_as_plain_data(built, saved):
    told = json.loads((saved.folder / "manifest.json").read_text())["metrics"]
    assert told["note"] == "mine" and told["test"] == 12 and told["threads"] == 1
    for name in NAMES:
        assert told[name]["accuracy"]["value"] == built.answers.accuracy(name).value
        assert told[name]["bytes"] == {file: saved.path(f"{name}/{file}").stat().st_size for file in ("model.so", "weights.safetensors")}
        assert told[name]["error"] == built.errors[name] and told[name]["pipeline"] == QUICK["pipelines"][name]
    for name, timed in (("float32", "PyTorch"), ("fp32", "fp32"), ("int8", "int8")):
        for batch in (1, 8):
            found, samples = told[name]["latency"][str(batch)], built.latencies[batch][timed]
            assert found["p50_ms"] == 1e3 * samples.p50_s and found["runs"] == 20 and found["p99_ms"] is None
    assert told["float32"]["latency"]["1"]["times as fast"]["value"] == 1


def test_the_weights_in_codes_take_a_quarter(saved):
    sizes = [saved.path(f"{version}/weights.safetensors").stat().st_size for version in NAMES]
    assert sizes[1] < sizes[0] / 2


def test_an_engine_is_loaded_without_torch(saved):
    code = f"import sys; from breakthrough.deploy.handover import load_engine; load_engine({str(saved.folder)!r}, 'int8'); print(sys.modules.get('torch'), 'tvm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None False"


def test_what_is_not_there_altered_or_something_else_is_refused(store, saved):
    with pytest.raises(UnknownNameError, match="int8"):
        load_engine(saved, "int4")
    with pytest.raises(ArtifactError, match="kind 'compiled'"):
        load_engine(artifacts.latest("inspector"))
    with pytest.raises(ArtifactError, match="kind 'inspector_int8'"):
        compile_inspector(artifacts.latest("inspector"))
    files = {name: saved.path(name) for name in saved.files}
    broken = artifacts.save(KIND, files)
    broken.path("fp32/model.so").write_bytes(b"changed")
    with pytest.raises(ArtifactError, match="changed after it was saved"):
        version_folder(broken)


def test_a_net_that_answers_otherwise_is_not_kept(built, store):
    codes = open_source("inspector_int8")
    sources = {"fp32": open_source(codes.parent), "int8": codes}
    engines = {version: built.engine(version) for version in NAMES}
    with pytest.raises(ArtifactError, match="expected fp32 to answer as PyTorch does, within 0.0001"):
        held(sources, {**engines, "fp32": engines["int8"]}, pictures_of(codes.parent))


class TestOnAnotherMachine:
    """A store that was carried to a machine of another kind."""

    @pytest.fixture
    def carried(self, saved):
        facts = json.loads(saved.path("int8/manifest.json").read_text())
        facts["target"]["needs"] = ["avx1024"]
        files = {name: saved.path(name) for name in saved.files} | {"int8/manifest.json": lambda path: path.write_text(json.dumps(facts))}
        return artifacts.save(KIND, files, parents=saved.parents)

    def test_it_is_refused_and_compiled_again_from_its_parents(self, carried, saved, monkeypatch, built):
        asked = []
        monkeypatch.setattr("breakthrough.deploy.inspecting.compile_inspector", lambda place, **how: asked.append((place.name, how)) or built)
        with pytest.raises(ArtifactError, match="expected a processor with avx1024"):
            load_engine(carried, "int8")
        again = for_this_machine(carried)
        assert asked == [(saved.parents[0], {"pipelines": QUICK["pipelines"]})]
        assert again.metrics["compiled again from"] == carried.id and load_engine(again, "int8")
        assert for_this_machine(again).id == again.id and len(asked) == 1

    def test_without_its_parents_it_says_what_is_missing(self, carried, saved):
        files = {name: carried.path(name) for name in carried.files}
        with pytest.raises(ArtifactError, match="to compile it for this machine, got no parents"):
            for_this_machine(artifacts.save(KIND, files))


def test_the_staffs_is_of_the_newest_quantized_inspector(monkeypatch, built):
    monkeypatch.setattr(staff, "compile_inspector", lambda: built)
    found = staff.compiled()
    assert found.staff and found.kind == KIND and handover.not_for_here(found.folder / "fp32") == ""
    entry = artifacts.staff_builders().get(KIND)
    assert entry is None or entry.value == "breakthrough.deploy.staff:compiled"  # None: installed before it was declared
