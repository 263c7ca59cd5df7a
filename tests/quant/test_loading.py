"""Where models come from: artifacts, folders of Hugging Face's, and what is neither."""

import json

import pytest
import torch
from quantized_toys import answer, dense, tokens, transformers_models, vision
from safetensors.torch import load_file, save_file

from breakthrough import artifacts
from breakthrough.errors import ArtifactError, InputError
from breakthrough.quant import saving
from breakthrough.quant.apply import quantize
from breakthrough.quant.loading import Source, open_model
from breakthrough.train.handover import save_model
from breakthrough.train.inspector import save_inspector


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "store"))
    return tmp_path / "store"


def test_artifacts_of_the_course(store):
    language, net = save_model(dense(), {}, "tiny"), save_inspector(vision(), {}, "tiny")
    for source in ("moe_lm", language.folder, str(language.folder)):
        found = open_model(source)
        assert torch.equal(answer(found.model, tokens()), answer(dense(), tokens()))
        assert found.artifact.id == language.id and found.name == f"moe_lm/{language.id}"
    assert open_model("inspector").artifact.id == net.id
    assert open_model("moe_lm").windows(count=4).shape == (4, 25)
    with pytest.raises(InputError, match="expected a model of text, got an Inspector|expected a model of text, got Inspector"):
        open_model("inspector").windows()


def test_artifacts_that_are_no_models_in_floats(store, tmp_path):
    data = artifacts.save("numbers", {"some.json": lambda path: path.write_text("[]")})
    with pytest.raises(ArtifactError, match="expected an artifact with a model"):
        open_model(data.folder)
    folder = saving.save(quantize(dense(), "nf4"), tmp_path / "model")
    kept = artifacts.save("moe_lm_nf4", {name: folder / name for name in (saving.WEIGHTS, saving.FACTS)})
    with pytest.raises(InputError, match="expected a model in floating point, got moe_lm_nf4/.*, which is quantized"):
        open_model(kept.folder)
    with pytest.raises(InputError, match="expected a model in floating point, got one in 'nf4'"):
        open_model(folder)
    damaged = save_model(dense(), {}, "tiny")
    (damaged.folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ArtifactError, match="SHA-256"):
        open_model("moe_lm")


def tokenizer(text):
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    made = ByteLevelBPETokenizer()
    made.train_from_iterator([text], vocab_size=270, show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=made._tokenizer)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    transformers_models()["llama"].save_pretrained(folder)
    return folder


def copy_of(folder, target):
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_a_folder_of_hugging_face_without_a_tokenizer_reads_bytes(llama):
    found = open_model(llama)
    assert torch.equal(answer(found.model, tokens()), answer(transformers_models()["llama"], tokens()))
    text = bytes(range(256)) * 2
    assert found.tokenizer is None and bytes(found.windows(text, 2)[0].tolist()) == text[:65]
    assert found.windows(count=3).shape == (3, 65)


def test_a_folder_with_a_tokenizer_uses_it(llama, tmp_path):
    import transformers as hf

    text = "def double(x):\n    return x + x\n" * 60
    folder = copy_of(llama, tmp_path / "model")
    tokenizer(text).save_pretrained(folder)
    found = open_model(folder)
    windows = found.windows(text.encode())
    ids = found.tokenizer(text)["input_ids"]
    assert windows[0].tolist() == ids[:65] and len(ids) < len(text)
    few = Source(hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, bos_token_id=0, eos_token_id=1)), "few")
    with pytest.raises(InputError, match="expected a tokenizer beside the model, got none, and 20 tokens"):
        few.windows(b"x" * 2000)


def truncated(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def without_a_weight(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors.pop("model.norm.weight")
    save_file(tensors, path, metadata={"format": "pt"})


def with_settings(**fields):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


@pytest.mark.parametrize(("change", "error", "said"), [
    (truncated, ArtifactError, "expected a causal language model of Hugging Face's"),
    (without_a_weight, ArtifactError, "1 missing or of another shape, model.norm.weight first"),
    (with_settings(intermediate_size=80), ArtifactError, "Hugging Face's|of another shape"),
    (with_settings(model_type="clip"), ArtifactError, "expected a causal language model"),
    (with_settings(model_type="no-such"), ArtifactError, "expected a causal language model"),
    (with_settings(quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}), InputError, "quantized by its makers"),
    (lambda folder: (folder / "config.json").write_text("{"), ArtifactError, "expected a causal language model"),
    (lambda folder: (folder / "model.safetensors").unlink(), ArtifactError, "expected a causal language model"),
    (lambda folder: (folder / "tokenizer.json").write_text("{"), ArtifactError, "expected a tokenizer"),
])
def test_a_folder_that_is_not_whole_is_refused(llama, tmp_path, change, error, said):
    folder = copy_of(llama, tmp_path / "model")
    change(folder)
    with pytest.raises(error, match=said):
        open_model(folder)


@pytest.mark.parametrize(("source", "said"), [
    ("{}", "which has no config.json; try moe_lm or inspector"),
    ("{}/away", "expected a model, got no such folder"),
    ("../away", "expected a model, got no such folder as ../away"),
    ("", "expected a model"),
])
def test_what_is_nowhere_is_refused(tmp_path, source, said):
    with pytest.raises(InputError, match=said):
        open_model(source.format(tmp_path))
