"""Activation-aware scaling: never worse than rounding on its own measure, better where inputs are uneven, and whole as a format."""

import json

import pytest
import torch

from breakthrough.errors import ConfigError, ShapeError, UnknownNameError
from breakthrough.quant.affine import Affine
from breakthrough.quant.awq import INPUTS, Scaled, awq, scales_of
from breakthrough.quant.blockwise import Blockwise
from breakthrough.quant.hessian import Hessian
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.quantized import Format, Quantized, described

FORMATS = [FourBit(), Affine(bits=4, block=32), Affine(bits=3, axis=0), Affine(bits=4, axis=0, symmetric=False), Blockwise()]


def draws(seed):
    return torch.Generator().manual_seed(seed)


def problem(seed, groups=1, uneven=2.0):
    """A weight whose inputs differ in size: a few are far larger than the rest."""
    g = draws(seed)
    x = torch.randn(groups, 100, 32, generator=g) * torch.exp(uneven * torch.randn(groups, 1, 32, generator=g))
    weight = torch.randn(groups, 12, 32, generator=g)
    hessian = Hessian(x.mT @ x / 100, x.abs().mean(1), torch.full((groups,), 100.0))
    return weight if groups > 1 else weight[0], hessian


@pytest.mark.parametrize("format", FORMATS, ids=repr)
def test_uneven_inputs_gain_and_none_loses(format):
    gains = []
    for seed in range(8):
        weight, hessian = problem(seed, groups=1 + seed % 3)
        stored = awq(weight, hessian, format)
        plain = hessian.error(weight, format.quantize(weight).dequantize())
        gains.append(hessian.error(weight, stored.dequantize()) / plain)
    assert max(gains) <= 1 + 1e-5 and sum(gains) / len(gains) < 0.8


def test_even_inputs_need_no_scale():
    weight, _ = problem(0)
    hessian = Hessian(torch.eye(32)[None], torch.ones(1, 32), torch.ones(1))
    stored = awq(weight, hessian, FourBit())
    assert not stored.parts[INPUTS].any()
    assert torch.equal(stored.dequantize(), FourBit().quantize(weight).dequantize())


def test_each_expert_has_a_scale_of_its_own_and_an_idle_one_none():
    weight, hessian = problem(1, groups=3)
    hessian.matrix[1], hessian.magnitude[1], hessian.count[1] = 0, 0, 0
    inputs = awq(weight, hessian, Affine(bits=4, block=32)).parts[INPUTS]
    assert inputs.shape == (3, 32) and not inputs[1].any() and inputs[0].any() and inputs[2].any()
    assert not torch.equal(inputs[0], inputs[2])


def test_large_inputs_are_scaled_up():
    weight, hessian = problem(2)
    scales = scales_of(awq(weight, hessian, Affine(bits=3, axis=0)).parts[INPUTS])[0]
    assert scales[hessian.magnitude[0].argmax()] > 1 > scales[hessian.magnitude[0].argmin()]


def test_what_is_stored_is_the_weight_times_its_scale():
    weight, hessian = problem(3)
    stored = awq(weight, hessian, FourBit())
    scales = scales_of(stored.parts[INPUTS])
    assert torch.equal(stored.dequantize(), FourBit().quantize(weight * scales).dequantize() / scales)
    assert stored.nbytes == FourBit().quantize(weight).nbytes + 32


@pytest.mark.parametrize("shape,axis,groups,width", [((6, 8), -1, 1, 8), ((8, 6), -2, 1, 8), ((3, 6, 8), -1, 3, 8), ((6, 2, 2, 2), 1, 2, 8)])
def test_every_layout_comes_back(shape, axis, groups, width):
    x = torch.randn(shape, generator=draws(0))
    inputs = torch.randint(-20, 20, (groups, width), generator=draws(1), dtype=torch.int8)
    stored = Scaled(Affine(), axis).quantize_scaled(x, inputs)
    assert stored.shape == shape and (stored.dequantize() - x).abs().max() < 0.1
    assert torch.equal(Scaled(Affine(), axis).quantize(x).dequantize(), Affine().quantize(x).dequantize())


def test_the_format_is_plain_data_and_comes_back_from_it():
    format = Scaled(FourBit(block=32), -2)
    facts = json.loads(json.dumps(described(format)))
    assert facts.pop("kind") == "scaled" and Scaled(**facts) == format
    assert isinstance(format, Format) and format.bits == 4
    weight, hessian = problem(4)
    stored = awq(weight, hessian, FourBit())
    again = Quantized(Scaled(**{k: v for k, v in described(stored.format).items() if k != "kind"}), stored.parts, stored.shape, stored.dtype)
    assert torch.equal(again.dequantize(), stored.dequantize())


def test_bad_input():
    weight, hessian = problem(0)
    with pytest.raises(ConfigError, match="levels and scales"):
        awq(weight, hessian, Scaled(FourBit()))
    with pytest.raises(ShapeError, match="32 inputs"):
        awq(weight[:, :5], hessian, FourBit())
    with pytest.raises(UnknownNameError, match="affine"):
        Scaled({}, of="afine")
