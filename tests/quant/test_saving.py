"""Quantized models as files: whole or not at all, loaded without the original, refused when they are another's."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from quantized_toys import MODELS, answer, dense, given, sparse, tokens, transformers_models, vision
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from breakthrough import artifacts
from breakthrough.errors import ArtifactError, InputError
from breakthrough.quant import saving
from breakthrough.quant.apply import quantize
from breakthrough.quant.schemes import SCHEMES
from breakthrough.quant.table import sizes_of, weights_of


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("kind", MODELS)
def test_what_is_loaded_is_what_was_saved(tmp_path, kind, name):
    x = given(MODELS[kind]())
    made = quantize(MODELS[kind](), name, [x])
    saving.save(made, tmp_path / "model")
    again = saving.load(tmp_path / "model", scheme=name)
    assert torch.equal(answer(again, x), answer(made, x))
    assert weights_of(again) == weights_of(made) and again.quantization == made.quantization
    assert not again.training and not any(p.requires_grad for p in again.parameters())


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mixtral"])
def test_models_of_hugging_face_load_without_the_original(tmp_path, kind):
    x = tokens(2)
    for name in ("bf16", "int8", "nf4_awq"):
        made = quantize(transformers_models()[kind], name, [x])
        again = saving.load(saving.save(made, tmp_path / name))
        assert type(again) is type(made) and torch.equal(answer(again, x), answer(made, x))
        assert weights_of(again) == weights_of(made)
        if kind != "mixtral":
            assert again.get_output_embeddings().weight is again.get_input_embeddings().weight


def test_the_file_holds_the_parts_by_name_and_little_else(tmp_path):
    made = quantize(sparse(), "nf4")
    saving.save(made, tmp_path / "model")
    with safe_open(tmp_path / "model" / saving.WEIGHTS, "pt") as file:
        names = set(file.keys())
        assert file.metadata() == {"version": "1", "scheme": "nf4", "model": "ByteLM"}
    assert {"blocks.0.ffn.down.codes", "blocks.0.ffn.down.absmax", "blocks.0.attention.qkv.weight.codes", "norm.weight"} <= names
    size = (tmp_path / "model" / saving.WEIGHTS).stat().st_size
    assert sizes_of(made).bytes < size < sizes_of(made).bytes + 20_000
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [saving.FACTS, saving.WEIGHTS]


def test_a_scheme_of_ones_own_is_kept_too(tmp_path):
    own = replace(SCHEMES["int4"], name="mine", keep=("vector",), rest="bfloat16")
    made = quantize(vision(), own)
    again = saving.load(saving.save(made, tmp_path / "model"))
    assert again.quantization.scheme == own and weights_of(again) == weights_of(made)
    assert torch.equal(answer(again, given(vision())), answer(made, given(vision())))


def test_an_earlier_quantized_model_is_replaced_and_nothing_else(tmp_path):
    folder = saving.save(quantize(dense(), "int8"), tmp_path / "model")
    saving.save(quantize(dense(), "nf4"), folder)
    assert saving.load(folder).quantization.scheme.name == "nf4"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    (folder / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="got also mine.txt"):
        saving.save(quantize(dense(), "int8"), folder)
    with pytest.raises(InputError, match="expected a folder to write to"):
        saving.save(quantize(dense(), "int8"), folder / "mine.txt")
    assert saving.load(folder).quantization.scheme.name == "nf4"


def test_what_cannot_be_saved_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="expected a quantized model, got ByteLM in floating point"):
        saving.save(dense(), tmp_path / "model")
    with pytest.raises(InputError, match="expected ByteLM or Inspector, or a causal LM"):
        saving.save(quantize(nn.Linear(8, 8), "int8"), tmp_path / "model")
    monkeypatch.setattr(artifacts, "sha256", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        saving.save(quantize(dense(), "int8"), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    home = tmp_path_factory.mktemp("saved")
    for name, make, scheme in [("int8", dense, "int8"), ("nf4", dense, "nf4"), ("sparse", sparse, "int8"), ("vision", vision, "int8")]:
        saving.save(quantize(make(), scheme), home / name)
    return home


@pytest.fixture
def copied(saved, tmp_path):
    shutil.copytree(saved / "int8", tmp_path / "model")
    return tmp_path / "model"


def refused(folder, said, **wanted):
    with pytest.raises(ArtifactError, match=said):
        saving.load(folder, **wanted)


def test_another_scheme_or_model_is_refused(saved, copied):
    refused(copied, "expected a quantized model of the scheme 'nf4'.*got 'int8'", scheme="nf4")
    refused(copied, "of the model 'Inspector'.*got 'ByteLM'", model="Inspector")
    for other, said in [("nf4", "expected ByteLM in int8.*got ByteLM in nf4"), ("vision", "got Inspector in int8"), ("sparse", "changed or is of another model")]:
        shutil.copyfile(saved / other / saving.WEIGHTS, copied / saving.WEIGHTS)
        refused(copied, said)


@pytest.mark.parametrize("keep", [0, 7, 100, 0.5, -1])
def test_a_truncated_file_is_refused(copied, keep):
    whole = (copied / saving.WEIGHTS).read_bytes()
    (copied / saving.WEIGHTS).write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    refused(copied, "expected a whole safetensors file")


def test_an_altered_file_is_refused(copied):
    data = bytearray((copied / saving.WEIGHTS).read_bytes())
    data[-5] ^= 1
    (copied / saving.WEIGHTS).write_bytes(data)
    refused(copied, "with SHA-256 .* so it was changed")


def test_missing_and_unreadable_files_are_refused(copied, tmp_path):
    refused(tmp_path / "nothing", "expected a quantized model in .* got no file quantized.json")
    (copied / saving.WEIGHTS).rename(copied / "away")
    refused(copied, "expected the file quantized.safetensors")
    (copied / "away").rename(copied / saving.WEIGHTS)
    text = (copied / saving.FACTS).read_text()
    for wrong in (text[:100], "[]", "{}", "null"):
        (copied / saving.FACTS).write_text(wrong)
        refused(copied, "expected a readable quantized.json")


def edit(folder, change, tensors=None):
    """Facts and tensors changed by someone who also mends the hash."""
    facts = json.loads((folder / saving.FACTS).read_text())
    change(facts)
    path = folder / saving.WEIGHTS
    if tensors is not None:
        found = load_file(path)
        tensors(found)
        save_file(found, path, metadata=saving._stamp(facts))
    facts["sha256"] = artifacts.sha256(path)
    (folder / saving.FACTS).write_text(json.dumps(facts))


NAME = "blocks.0.attention.qkv.weight"


@pytest.mark.parametrize(("change", "tensors", "said"), [
    (lambda facts: facts.update(version=2), None, "expected quantized.json of version 1"),
    (lambda facts: facts["model"].update({"class": "ByteLM", "kind": "os.system"}), None, "os.system ByteLM"),
    (lambda facts: facts["weights"][NAME]["format"].update(kind="mine"), None, "known format, got 'mine'"),
    (lambda facts: facts["weights"][NAME].pop("shape"), None, "shape"),
    (lambda facts: facts["weights"].pop(NAME), None, "expected the tensors of this model"),
    (lambda facts: facts["model"]["config"].update(n_layers=3), None, "expected the tensors of this model, got no blocks.2"),
    (lambda facts: facts["scheme"].update(keep=["nothing"]), None, "known rule of what to keep"),
    (lambda facts: None, lambda found: found.pop("norm.weight"), "got no norm.weight"),
    (lambda facts: None, lambda found: found.pop(f"{NAME}.scale"), "scale"),
    (lambda facts: None, lambda found: found.update(extra=torch.zeros(2)), "got also extra"),
    (lambda facts: None, lambda found: found.update({"norm.weight": torch.zeros(5)}), "expected norm.weight of shape"),
    (lambda facts: None, lambda found: found.update({f"{NAME}.scale": torch.zeros(5)}), "scale"),
    (lambda facts: None, lambda found: found.update({f"{NAME}.codes": torch.zeros(96, 32)}), "codes"),
])
def test_facts_and_tensors_that_do_not_go_together_are_refused(copied, change, tensors, said):
    edit(copied, change, tensors)
    refused(copied, said)


def test_an_artifact_may_hold_the_files(tmp_path):
    made = quantize(vision(), "int8")
    folder = saving.save(made, tmp_path / "model")
    kept = artifacts.save("toy_int8", {name: folder / name for name in (saving.WEIGHTS, saving.FACTS)})
    assert torch.equal(answer(saving.load(kept.folder), given(vision())), answer(made, given(vision())))


def test_equal_models_give_equal_files(tmp_path):
    made = quantize(dense(), "int8", [given(dense())])
    files = [saving.save(made, tmp_path / str(i)) / name for i in range(6) for name in (saving.WEIGHTS, saving.FACTS)]
    assert len({artifacts.sha256(path) for path in files}) == 2
