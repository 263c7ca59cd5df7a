"""Schemes as data."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.quant.affine import Affine
from breakthrough.quant.keeping import KEEP, NO_PRODUCT, reason_to_keep
from breakthrough.quant.quantized import Format, described
from breakthrough.quant.schemes import SCHEMES, Scheme, format_of, scheme

NAMES = {"fp32", "bf16", "fp16", "int8", "int8_tensor", "int8_block", "llm_int8", "int4", "nf4", "nf4_single", "fp4",
         "nf4_gptq", "nf4_awq", "int4_gptq", "int8_random", "nf4_random"}


def test_every_scheme_is_there_under_its_name():
    assert set(SCHEMES) == NAMES and all(name == one.name for name, one in SCHEMES.items())


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_is_plain_data(name):
    one = scheme(name)
    data = json.loads(json.dumps(one.to_dict()))
    assert Scheme.from_dict(data) == one
    assert one.format is None or (isinstance(one.format, Format) and format_of(json.loads(json.dumps(described(one.format)))) == one.format)


def test_a_control_differs_from_its_scheme_in_the_rounding_alone():
    for name in ("int8", "nf4"):
        assert replace(SCHEMES[f"{name}_random"].format, rounding="nearest") == SCHEMES[name].format


def test_seeds_are_for_coins():
    assert scheme("nf4_random", 3).format.seed == 3 and scheme("nf4", 3) == SCHEMES["nf4"]
    coin = scheme("nf4_random", 3)
    assert coin.format_for("a").seed != coin.format_for("b").seed and coin.format_for("a") == coin.format_for("a")
    assert scheme("nf4").format_for("a") == scheme("nf4").format


@pytest.mark.parametrize(("make", "error", "said"), [
    (lambda: scheme("int5"), UnknownNameError, "expected the name of a known scheme, got 'int5'; try int8 or int4"),
    (lambda: Scheme("x", "", keep=("norms",)), UnknownNameError, "rule of what to keep, got 'norms'"),
    (lambda: Scheme("x", "", rest="float8"), UnknownNameError, "dtype, got 'float8'; try float32"),
    (lambda: Scheme("x", "", Affine(), calibration="magic"), ConfigError, "got 'magic'"),
    (lambda: Scheme("x", "", calibration="gptq"), ConfigError, "expected a format to calibrate, got none"),
    (lambda: Scheme("x", "", Affine(bits=8), threshold=6.0), ConfigError, "one int8 scale a row"),
    (lambda: Scheme("x", "", Affine(bits=4, axis=0), threshold=6.0), ConfigError, "one int8 scale a row"),
    (lambda: Scheme("x", "", Affine(axis=0, symmetric=False), threshold=6.0), ConfigError, "one int8 scale a row"),
    (lambda: format_of({"kind": "float9"}), UnknownNameError, "format, got 'float9'"),
])
def test_what_does_not_go_together_is_refused(make, error, said):
    with pytest.raises(error, match=said):
        make()


@pytest.mark.parametrize(("name", "owner", "shape", "reason"), [
    ("blocks.0.ffn.down", nn.Module(), (8, 4), ""),
    ("model.layers.0.mlp.gate_proj.weight", nn.Linear(4, 4), (4, 4), ""),
    ("model.layers.0.mlp.gate.weight", nn.Module(), (4, 4), "router"),
    ("blocks.0.ffn.router", nn.Module(), (4, 4), "router"),
    ("lm_head.weight", nn.Linear(4, 4), (4, 4), "head"),
    ("model.embed.weight", nn.Embedding(4, 4), (4, 4), "embedding"),
    ("a.bias", nn.Linear(4, 4), (4,), "vector"),
    ("features.0.0.weight", nn.Conv2d(3, 8, 3), (8, 3, 3, 3), "first conv"),
    ("features.1.0.weight", nn.Conv2d(8, 8, 3), (8, 8, 3, 3), ""),
    ("layers.0.mixer.A_log", nn.Module(), (8, 8), NO_PRODUCT),
])
def test_what_is_kept_and_why(name, owner, shape, reason):
    said = reason_to_keep(name, owner, torch.zeros(shape), tuple(KEEP))
    assert said.startswith(reason) and bool(said) == bool(reason)
    if reason in KEEP:
        assert said == f"{reason}: {KEEP[reason].why}"
        assert not reason_to_keep(name, owner, torch.zeros(shape), tuple(set(KEEP) - {reason})).startswith(reason)
