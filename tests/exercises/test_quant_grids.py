"""Module 4's grids: what the references compute, against torch's and bitsandbytes' own, and what is judged of an answer."""

from __future__ import annotations

import pytest
import torch

from breakthrough.exercises import judge, load
from breakthrough.exercises.quant_absmax import absmax
from breakthrough.exercises.quant_affine import affine
from breakthrough.exercises.quant_block import blockwise
from breakthrough.exercises.quant_channel import per_channel
from breakthrough.exercises.quant_nf4 import nf4
from breakthrough.exercises.quant_pack import Nibbles
from breakthrough.seeds import torch_generator


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch_generator(seed, "grids"))


def test_absmax_by_hand_rounds_halves_to_the_even():
    codes, scale = absmax(torch.tensor([-63.5, 0.25, 0.75, 1.25, -0.25]))
    assert (codes.tolist(), scale.item()) == ([-127, 0, 2, 2, 0], 0.5)


def test_absmax_loses_half_a_step_at_the_most():
    x = drawn(1000)
    codes, scale = absmax(x)
    assert (codes * scale - x).abs().max() <= scale / 2 * (1 + 1e-5)


def test_affine_is_what_torch_computes_with_its_scale_and_zero():
    x = drawn(500) + 1
    codes, scale, zero, back = affine(x, 8)
    theirs = torch.fake_quantize_per_tensor_affine(x, scale.item(), zero, 0, 255)
    assert torch.equal(theirs, back) and torch.equal(codes, (theirs / scale).round().add(zero).byte())


def test_affine_brings_zero_back_as_zero_where_a_range_without_it_does_not():
    for shift in (-7.0, 0.3, 7.0):
        codes, _scale, _zero, back = affine(torch.cat([drawn(50) + shift, torch.zeros(1)]), 4)
        assert back[-1] == 0 and codes.max() <= 15


def test_affine_holds_the_largest_where_both_ends_round_upwards():
    codes, scale, zero, _ = affine(torch.tensor([-1.5, 253.5]), 8)
    assert (codes.tolist(), scale.item(), zero) == ([0, 255], 1.0, 2)


def test_an_output_channels_scale_comes_out_of_the_product_and_an_input_channels_does_not():
    w, x = drawn(6, 10) * torch.logspace(-2, 0, 6)[:, None], drawn(4, 10, seed=1)
    codes, scales = per_channel(w, 0)
    assert torch.allclose(x @ codes.float().T * scales.T, x @ (codes * scales).T, atol=1e-5)
    assert per_channel(w, 1)[1].shape == (1, 10)


def test_blocks_confine_an_outlier_to_its_own():
    x = drawn(130)
    x[3] = 100.0
    one, many = blockwise(x, 130)[2], blockwise(x, 64)[2]
    assert (many - x)[64:].abs().max() < (one - x)[64:].abs().max() / 10
    assert blockwise(x, 64)[1].shape == (3,)


def test_nibbles_by_hand_and_there_and_back():
    made, codes = Nibbles(), torch.tensor([10, 3, 12], dtype=torch.uint8)
    assert made.pack(codes).tolist() == [0xA3, 0xC0]
    assert torch.equal(made.unpack(made.pack(codes), 3), codes)


def test_nf4_levels_are_bitsandbytes_own_within_a_millionth():
    functional = pytest.importorskip("bitsandbytes.functional")
    theirs = functional.get_4bit_type("nf4", device="cpu")
    assert (nf4(drawn(8), 8)[0] - theirs).abs().max() < 1e-6


@pytest.mark.parametrize("shape", [(4, 64), (5, 26), (130,), (2,)])
def test_nf4_codes_packed_are_bitsandbytes_own(shape):
    functional = pytest.importorskip("bitsandbytes.functional")
    x = drawn(*shape) * 0.02
    packed, state = functional.quantize_4bit(x, blocksize=64, quant_type="nf4", compress_statistics=False)
    _, codes, scales, _ = nf4(x, 64)
    assert torch.equal(packed.flatten(), Nibbles().pack(codes.flatten()))
    assert torch.equal(state.absmax, scales)


def test_nf4_is_nearer_to_normal_weights_than_even_levels_are():
    x = drawn(64 * 200)
    steps = x.reshape(-1, 64).abs().amax(1, keepdim=True) / 7
    even = (torch.round(x.reshape(-1, 64) / steps) * steps).flatten()
    assert (nf4(x, 64)[3] - x).square().mean() < 0.85 * (even - x).square().mean()


GUARDS = {
    "quant.absmax": lambda guard: lambda x: (absmax(x)[0], absmax(x)[1] if x.any() else guard),
    "quant.block": lambda guard: lambda x, block: _other_scale(blockwise(x, block), guard, 2),
    "quant.channel": lambda guard: lambda w, axis: _other_scale(per_channel(w, axis), guard, 1),
}


def _other_scale(parts, guard, last):
    return parts[0], torch.where(parts[1] == 1, torch.as_tensor(guard), parts[1]), *parts[2:]


@pytest.mark.parametrize("name", GUARDS)
def test_any_scale_above_zero_will_do_for_zeros_and_no_other(name):
    for guard in (1.0, 1e-8, 1 / 127, 3.0):
        assert judge(load(name), GUARDS[name](guard), 0).status == "passed"
    for guard in (0.0, float("nan"), float("inf"), -1.0):
        verdict = judge(load(name), GUARDS[name](guard), 0)
        assert verdict.status == "wrong" and "zeros" in verdict.difference.text, guard


def test_a_scale_may_be_a_number_or_a_tensor():
    for made in (float, torch.tensor, lambda value: torch.tensor([value], dtype=torch.float64)):
        assert judge(load("quant.absmax"), lambda x, made=made: (absmax(x)[0], made(absmax(x)[1].item())), 0).status == "passed"


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("quant.absmax", lambda x: absmax(x)[0], "other parts than expected"),
        ("quant.absmax", lambda x: None, "is there a `return`?"),
        ("quant.affine", lambda x, bits=8: affine(x, bits)[:3], "other parts than expected"),
        ("quant.pack", Nibbles(), "passing it without calling it"),
        ("quant.pack", lambda: 3, "a class with the methods pack and unpack"),
        ("quant.block", 5, "not a function"),
    ],
)
def test_what_is_no_answer_is_said_in_a_sentence(name, answer, says):
    verdict = judge(load(name), answer, 0)
    assert verdict.status == "wrong" and says in verdict.difference.text and not verdict.traceback
