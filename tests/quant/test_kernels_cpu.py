"""Products with codes on the CPU against float64 products with what the codes stand for."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from breakthrough.quant import weights
from breakthrough.quant.apply import quantize
from breakthrough.quant.weights import held

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
