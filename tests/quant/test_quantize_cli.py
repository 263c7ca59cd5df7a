"""`breakthrough quantize`: what it prints, what it writes, how it refuses."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from quantized_toys import answer, dense, given, sparse, tokens, transformers_models, vision

from breakthrough import artifacts, cli
from breakthrough.quant import conversion, saving
from breakthrough.quant.apply import quantize
from breakthrough.quant.perplexity import byte_windows, perplexity
from breakthrough.quant.schemes import SCHEMES
from breakthrough.quant.table import sizes_of
from breakthrough.scenes.reader import Arrays
from breakthrough.train.handover import save_model
from breakthrough.train.inspector import save_inspector


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "store"))
    monkeypatch.setenv("BREAKTHROUGH_DEVICE", "cpu")
    save_model(sparse(), {}, "tiny")
    save_inspector(vision(), {}, "tiny")
    return tmp_path


def run(*arguments):
    return cli.main(["quantize", *map(str, arguments)])


def numbers(shown, start):
    """The numbers in the line that begins so."""
    line = next(line for line in shown.splitlines() if line.startswith(start))
    return [float(text.replace(",", "")) for text in re.findall(r"[-+]?\d[\d,]*\.?\d*", line.removeprefix(start))]


def test_help_teaches_every_scheme(capsys):
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert "  breakthrough quantize moe_lm --scheme nf4 --out build/moe-nf4" in shown
    assert all(re.search(rf"\b{name}\b", shown) for name in SCHEMES)
    assert cli.main(["--help"]) == 0 and "breakthrough quantize moe_lm --out build/moe-nf4" in capsys.readouterr().out


def test_it_prints_bytes_and_perplexity_before_and_after(store, capsys):
    assert run("moe_lm", "--out", store / "nf4") == 0
    shown = capsys.readouterr().out
    made, windows = quantize(sparse(), "nf4"), byte_windows(sparse())
    sizes, was, now = sizes_of(made), perplexity(sparse(), windows), perplexity(made, windows)
    assert numbers(shown, "quantized weights")[:2] == [4 * sizes.codes_count, sizes.codes_bytes]
    assert numbers(shown, "what stays")[:2] == [sizes.rest_bytes, sizes.rest_bytes]
    assert numbers(shown, "whole model, bytes")[:2] == [sizes_of(sparse()).bytes, sizes.bytes]
    assert numbers(shown, "nats a token") == pytest.approx([was.nats, now.nats], abs=1e-4)
    assert numbers(shown, "perplexity") == pytest.approx([was.value, now.value, 100 * now.rise(was), now.tokens], abs=6e-3)
    assert re.search(r"2 kept: router: a score that is a little off", shown)
    assert torch.equal(answer(saving.load(store / "nf4", scheme="nf4"), tokens()), answer(made, tokens()))
    assert run("moe_lm", "--out", store / "nf4", "--scheme", "bf16") == 0  # replaces it
    assert numbers(capsys.readouterr().out, "what stays")[2] == -50.0


def test_a_text_and_a_calibrated_scheme(store, capsys):
    (store / "text.txt").write_bytes(b"import this\n" * 100)
    assert run("moe_lm", "--scheme", "nf4_gptq", "--out", store / "out", "--text", store / "text.txt") == 0
    assert "ByteLM in nf4_gptq" in capsys.readouterr().out


def test_a_model_of_hugging_face(store, capsys):
    transformers_models()["mixtral"].save_pretrained(store / "mixtral")
    for scheme in ("int8", "nf4_gptq"):
        assert run(store / "mixtral", "--scheme", scheme, "--out", store / scheme) == 0
        assert f"MixtralForCausalLM in {scheme}" in capsys.readouterr().out
        assert torch.isfinite(answer(saving.load(store / scheme), tokens())).all()


def test_an_inspector_with_and_without_pictures(store, capsys, monkeypatch):
    assert run("inspector", "--scheme", "int8", "--out", store / "plain") == 0
    assert "accuracy" not in capsys.readouterr().out
    generator = np.random.default_rng(0)
    arrays = Arrays(generator.integers(0, 256, (40, 64, 64, 3), dtype=np.uint8), np.arange(40) % 5, np.arange(40))
    monkeypatch.setattr(conversion, "load_scenes", lambda where: SimpleNamespace(arrays=lambda part: arrays))
    assert run("inspector", "--scheme", "nf4_gptq", "--out", store / "out", "--pictures", "scenes") == 0
    assert "on 40 pictures" in capsys.readouterr().out
    assert torch.isfinite(answer(saving.load(store / "out", model="Inspector"), given(vision()))).all()


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (["moe_lm", "--scheme", "nf5", "--out", "{}/new"], 2, "expected the name of a known scheme, got 'nf5'; try nf4"),
    (["moe_lm", "--out", "{}"], 2, "expected a new or empty folder, or a quantized model"),
    (["{}/away", "--out", "{}/new"], 2, "expected a model, got no such folder"),
    (["moe_lm", "--out", "{}/new", "--text", "{}/away.txt"], 2, "expected a text file, got"),
    (["moe_lm", "--out", "{}/new", "--text", "{}/short.txt"], 2, "expected at least 25 bytes, a whole window, got 5"),
    (["moe_lm", "--out", "{}/new", "--pictures", "{}"], 2, "expected an inspector to measure on pictures, got ByteLM"),
    (["inspector", "--out", "{}/new", "--text", "{}/short.txt"], 2, "expected a language model to measure on a text"),
    (["inspector", "--out", "{}/new", "--scheme", "nf4_gptq"], 2, "expected pictures to calibrate with"),
    (["inspector", "--out", "{}/new", "--pictures", "{}"], 1, "manifest.json"),
    (["moe_lm", "--out", "{}/new", "--device", "tpu"], 2, "expected a device out of auto, cpu, cuda"),
])
def test_an_error_is_one_line_and_nothing_is_written(store, capsys, arguments, code, said):
    (store / "short.txt").write_text("short")
    before = sorted(store.iterdir())
    assert run(*(text.format(store) for text in arguments)) == code
    shown = capsys.readouterr()
    assert shown.err.startswith("breakthrough: ") and said in shown.err and shown.err.count("\n") == 1
    assert sorted(store.iterdir()) == before


def test_a_model_that_is_broken_is_refused_and_nothing_is_written(store, capsys):
    model = dense()
    with torch.no_grad():
        model.blocks[0].ffn.down[0, 0] = float("nan")
    save_model(model, {}, "tiny")
    assert run("moe_lm", "--out", store / "new") == 2
    assert "expected finite" in capsys.readouterr().err and not (store / "new").exists()
