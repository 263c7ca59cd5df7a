"""Products with codes on the CPU against float64 products with what the codes stand for."""

import copy
import io
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from quantized_toys import answer, dense, tokens
from torch import nn

from breakthrough.quant import bnb, weights
from breakthrough.quant.apply import quantize
from breakthrough.quant.memory import weight_bytes
from breakthrough.quant.saving import load, save
from breakthrough.quant.schemes import SCHEMES, Scheme
from breakthrough.quant.table import sizes_of, weights_of
from breakthrough.quant.weights import held, quantized_weights

RAGGED = [(128, 96), (100, 37), (33, 1), (256, 64), (16, 8)]
BATCHES = [(1,), (64,), (32,), (33,), (0,), (2, 3), ()]


class Layer(nn.Module):
    """One linear layer."""

    def __init__(self, inputs, outputs, bias=True):
        super().__init__()
        generator = torch.Generator().manual_seed(inputs + outputs)
        self.layer = nn.Linear(inputs, outputs, bias=bias)
        for parameter in self.parameters():
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)

    def forward(self, x):
        return self.layer(x)


def rows(batch, inputs, dtype):
    return torch.randn((*batch, inputs), generator=torch.Generator().manual_seed(inputs)).to(dtype)


def made_in(name, inputs, outputs, dtype, bias=True):
    return quantize(Layer(inputs, outputs, bias), name).to(dtype)


def stored(made):
    """The weight that the parts stand for, not rounded to the model's dtype."""
    return made.layer.weight_stored.stored.dequantize(torch.float32).double()


def exact(made, x):
    bias = made.layer.bias
    return F.linear(x.double(), stored(made), None if bias is None else bias.double())


def off(found, wanted):
    """The error in units of the dtype's rounding: over the norm of what it should be."""
    return float((found.double() - wanted).norm() / wanted.norm()) / torch.finfo(found.dtype).eps if found.numel() else 0.0


@pytest.fixture
def calls(monkeypatch):
    """How often torch's int8 kernel ran, and how often a weight was dequantized."""
    found, kernel, dequantize = [], torch._weight_int8pack_mm, weights.QuantWeight._dequantize
    monkeypatch.setattr(torch, "_weight_int8pack_mm", lambda *args: found.append("int8") or kernel(*args))
    monkeypatch.setattr(weights.QuantWeight, "_dequantize", lambda self: found.append("float") or dequantize(self))
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(("inputs", "outputs"), RAGGED)
@pytest.mark.parametrize("name", ["int8", "nf4", "nf4_single", "fp4"])
def test_a_product_is_that_in_float64_within_rounding(name, inputs, outputs, batch, dtype):
    for bias in (True, False):
        made, x = made_in(name, inputs, outputs, dtype, bias), rows(batch, inputs, dtype)
        with torch.no_grad():
            found = made(x)
        assert found.dtype == dtype and found.shape == (*batch, outputs)
        assert off(found, exact(made, x)) <= (4 if dtype == torch.float32 else 1)


@pytest.mark.parametrize("rows_count", [1, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_codes_give_no_larger_error_than_the_float_weight(dtype, rows_count, calls):
    made, x = made_in("int8", 512, 512, dtype), rows((rows_count,), 512, dtype)
    with torch.no_grad():
        by_codes = made(x)
        assert "float" not in calls
        with held(made):
            by_floats = made(x)
    wanted = exact(made, x)
    assert off(by_codes, wanted) <= 1.15 * off(by_floats, wanted) and not torch.equal(by_codes, by_floats)


@pytest.mark.parametrize(("dtype", "inputs", "count", "kernels"), [
    (torch.bfloat16, 128, 32, ["int8"]),
    (torch.bfloat16, 128, 33, []),
    (torch.bfloat16, 100, 1, []),
    (torch.bfloat16, 128, 0, []),
    (torch.float32, 128, 1, []),
    (torch.float16, 128, 1, ["float"]),
])
def test_torchs_int8_kernel_serves_few_rows_in_bfloat16(dtype, inputs, count, kernels, calls):
    made = made_in("int8", inputs, 64, dtype)
    with torch.no_grad():
        made(rows((count,), inputs, dtype))
    assert calls == kernels


def test_without_torchs_int8_kernel_codes_are_converted(monkeypatch):
    made, x = made_in("int8", 128, 96, torch.bfloat16), rows((2,), 128, torch.bfloat16)
    with torch.no_grad():
        before = made(x)
        monkeypatch.delattr(torch, "_weight_int8pack_mm")
        assert off(made(x), before.double()) <= 1


def test_rows_may_lie_anywhere_in_memory():
    made, x = made_in("int8", 128, 96, torch.bfloat16), rows((4,), 128, torch.bfloat16)
    with torch.no_grad():
        assert torch.equal(made(x.t().contiguous().t()), made(x)) and torch.equal(made(x.repeat(1, 2)[::2, :128]), made(x[::2]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["int8", "llm_int8", "nf4"])
def test_a_gradient_is_that_of_the_stored_weight(name, dtype):
    made, x = made_in(name, 128, 96, dtype), rows((5,), 128, dtype).requires_grad_()
    out = made(x)
    slope = rows((5,), 96, dtype)
    out.backward(slope)
    assert off(x.grad, slope.double() @ stored(made)) <= (4 if dtype == torch.float32 else 1)
    assert off(out.detach(), exact(made, x.detach())) <= (4 if dtype == torch.float32 else 1)


def test_a_held_weight_is_used_as_it_is(calls):
    made, x = made_in("int8", 128, 96, torch.bfloat16), rows((1,), 128, torch.bfloat16)
    with torch.no_grad(), held(made):
        assert torch.equal(made(x), made(x))
    assert calls == ["float"]


def test_under_autocast_the_result_has_its_dtype():
    made, x = made_in("int8", 128, 96, torch.float32), rows((3,), 128, torch.float32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert made(x).dtype == F.linear(x, made.layer.weight).dtype == torch.bfloat16


def test_rows_in_another_dtype_than_the_model_are_refused():
    with pytest.raises(RuntimeError, match="dtype"), torch.no_grad():
        made_in("int8", 128, 96, torch.bfloat16)(rows((1,), 128, torch.float32))


def test_numbers_that_float16_holds_stay_finite():
    model = Layer(256, 32)
    model.layer.weight.data.fill_(0.01)
    made = quantize(model, "int8").half()
    x = torch.full((1, 256), 10.0, dtype=torch.float16)  # times the codes: 325120, more than float16 holds
    with torch.no_grad():
        assert off(made(x), exact(made, x)) <= 1


@pytest.mark.parametrize("name", ["int8", "nf4"])
def test_a_net_in_bfloat16_can_be_exported_for_any_number_of_rows(name):
    made, x = made_in(name, 128, 96, torch.bfloat16), rows((4,), 128, torch.bfloat16)
    with torch.no_grad():
        found = made(x)
        program = torch.export.export(made, (x,), dynamic_shapes=({0: torch.export.Dim("rows", min=2, max=512)},))
        assert off(program.module()(x), found.double()) <= 1
        assert program.module()(rows((300,), 128, torch.bfloat16)).shape == (300, 96)
    assert {str(tensor.dtype) for tensor in program.state_dict.values()} & {"torch.int8", "torch.uint8"}


def test_other_formats_of_8_bits_keep_their_dequantized_weight(calls):
    for count, name in enumerate(["int8_tensor", "int8_block", "int4"], 1):
        made = made_in(name, 128, 96, torch.bfloat16)
        with torch.no_grad():
            made(rows((1,), 128, torch.bfloat16))
        assert calls == ["float"] * count


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["int8", "llm_int8", "nf4"])
def test_codes_with_scales_of_columns_too_are_dequantized(name, dtype, calls):
    x = rows((64,), 128, torch.float32) * torch.logspace(-1, 1, 128)
    made = quantize(Layer(128, 96), replace(SCHEMES[name], name="awq", calibration="awq"), [x]).to(dtype)
    calls.clear()
    found = answer(made, x.to(dtype))
    assert calls == ["float"] and off(found, exact(made, x.to(dtype))) <= (4 if dtype == torch.float32 else 1)


four_bits = pytest.mark.skipif(not bnb.kernels(torch.device("cpu")) or not bnb.multiplies_four_bits(), reason="bitsandbytes' product with 4-bit codes takes AVX-512 for bfloat16")


def second_copy(made):
    """What stands beside the stored parts."""
    return {name: x for name, x in made.named_buffers() if weights.ARRANGED in name}


def used(name="nf4", inputs=128, outputs=96):
    """A layer in bfloat16 that has been called, with the rows and the answer."""
    made, x = made_in(name, inputs, outputs, torch.bfloat16), rows((3,), inputs, torch.bfloat16)
    return made, x, answer(made, x)


@four_bits
@pytest.mark.parametrize("name", ["nf4", "nf4_single", "fp4"])
def test_the_cpus_4_bit_product_equals_that_of_bitsandbytes(name):
    model, x = Layer(128, 96).bfloat16(), rows((5,), 128, torch.bfloat16)
    kind = SCHEMES[name].format
    layer = bnb.bitsandbytes().nn.Linear4bit(128, 96, compute_dtype=torch.bfloat16, quant_type=kind.code, compress_statistics=kind.double)
    layer.load_state_dict(model.layer.state_dict())
    made = quantize(model, name)
    assert torch.equal(answer(made, x), answer(layer.to("cpu").eval(), x))
    assert torch.equal(made.layer.weight_stored.arranged_codes, layer.weight) and torch.equal(made.layer.weight_stored.arranged_absmax, layer.weight.quant_state.absmax)


@four_bits
@pytest.mark.parametrize(("dtype", "inputs", "outputs", "count", "serves"), [
    (torch.bfloat16, 128, 96, 64, True),
    (torch.bfloat16, 128, 96, 65, False),
    (torch.bfloat16, 128, 96, 0, False),
    (torch.bfloat16, 128, 97, 1, False),
    (torch.bfloat16, 100, 96, 1, False),
    (torch.float32, 128, 96, 1, False),
    (torch.float16, 128, 96, 1, False),
])
def test_the_cpus_4_bit_kernel_serves_some_rows_in_bfloat16(dtype, inputs, outputs, count, serves, calls):
    made = made_in("nf4", inputs, outputs, dtype)
    answer(made, rows((count,), inputs, dtype))
    assert bool(second_copy(made)) is serves and calls == ([] if serves else ["float"])


@pytest.mark.parametrize("block", [32, 64, 128])
def test_every_size_of_block(block):
    scheme = Scheme("nf4_other", "other blocks", type(SCHEMES["nf4"].format)(block=block))
    made, x = quantize(Layer(256, 64), scheme).to(torch.bfloat16), rows((2,), 256, torch.bfloat16)
    assert off(answer(made, x), exact(made, x)) <= 1


@four_bits
def test_the_second_copy_is_counted_in_memory_and_not_in_what_is_stored():
    made = made_in("nf4", 128, 96, torch.bfloat16)
    before, size, listed, state = weight_bytes(made), sizes_of(made), weights_of(made), set(made.state_dict())
    answer(made, rows((1,), 128, torch.bfloat16))
    assert weight_bytes(made) - before == 128 * 96 // 2 + 2 * 128 * 96 // 64 == sum(x.nbytes for x in second_copy(made).values())
    assert (sizes_of(made), weights_of(made), set(made.state_dict())) == (size, listed, state)
    made.layer.weight_stored.forget_arranged()
    assert weight_bytes(made) == before


@four_bits
@pytest.mark.parametrize("change", ["load", "assign", "in place"])
def test_other_codes_make_another_second_copy(change):
    made, x, found = used()
    other = quantize(Layer(128, 96), "nf4").to(torch.bfloat16)
    other.layer.weight_stored.codes = 255 - made.layer.weight_stored.codes
    wanted = answer(other, x)
    if change == "in place":
        made.layer.weight_stored.codes.copy_(other.layer.weight_stored.codes)
    else:
        made.load_state_dict(other.state_dict(), assign=change == "assign")
    assert torch.equal(answer(made, x), wanted) and not torch.equal(wanted, found)


@four_bits
def test_copies_moves_and_pickles_answer_the_same():
    made, x, found = used()
    file = io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    for again in (copy.deepcopy(made), copy.deepcopy(made).to("cpu"), torch.load(file, weights_only=False)):
        assert torch.equal(answer(again, x), found)
    assert not second_copy(copy.deepcopy(made)) and not second_copy(copy.deepcopy(made).float())
    whole = made.float()
    assert off(answer(whole, x.float()), exact(whole, x.float())) <= 4


@four_bits
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_made_in_inference_mode_and_used_outside_of_it(mode):
    with mode():
        made, x, found = used()
    x = x.clone()
    assert torch.equal(made(x), found)
    x.requires_grad_()
    if mode is torch.no_grad:
        made(x).sum().backward()
        assert x.grad.abs().sum() > 0


@four_bits
def test_a_held_weight_has_no_second_copy():
    made, x = made_in("nf4", 128, 96, torch.bfloat16), rows((1,), 128, torch.bfloat16)
    with held(made):
        answer(made, x)
    assert not second_copy(made)


@four_bits
def test_a_model_that_was_used_is_saved_and_loaded(tmp_path):
    made = quantize(dense(), Scheme("nf4 in blocks of 32", "for a small net", type(SCHEMES["nf4"].format)(block=32), rest="bfloat16"))
    found = answer(made, tokens(2))
    assert second_copy(made)
    again = load(save(made, tmp_path / "model"))
    assert not second_copy(again) and torch.equal(answer(again, tokens(2)), found)
    assert sizes_of(again) == sizes_of(made) and len(list(quantized_weights(again))) == len(list(quantized_weights(made)))


def test_without_avx_512_the_weight_is_dequantized(monkeypatch, calls):
    monkeypatch.setattr(bnb, "multiplies_four_bits", lambda: False)
    made, x, found = used()
    assert calls == ["float"] and not second_copy(made) and off(found, exact(made, x)) <= 1
