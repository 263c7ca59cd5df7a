"""Whole models in schemes: what becomes of every weight, of the original, and of the answers."""

import copy
from dataclasses import replace

import pytest
import torch
from quantized_toys import MODELS, answer, dense, given, sparse, tokens, transformers_models, vision
from torch import nn

from breakthrough.errors import DtypeError, InputError, UnknownNameError
from breakthrough.quant.apply import quantize
from breakthrough.quant.bnb import bitsandbytes
from breakthrough.quant.schemes import SCHEMES
from breakthrough.quant.table import codes_and_scales, sizes_of, weights_of
from breakthrough.quant.weights import Layout, held, quantized_weights

IN_CODES = [name for name, scheme in SCHEMES.items() if scheme.format is not None]
UNTRAINED = {  # how far from the float model's scores, as a share of their spread, a random net may be
    "fp32": 0, "bf16": 0.03, "fp16": 0.01, "int8": 0.1, "int8_tensor": 0.1, "int8_block": 0.15, "llm_int8": 0.15, "int8_random": 0.15}


@pytest.fixture(scope="module")
def hf():
    return transformers_models()


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("kind", MODELS)
def test_a_model_in_a_scheme_answers_as_before_nearly(kind, name):
    model = MODELS[kind]()
    x = given(model)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    plain = answer(model, x)
    made = quantize(model, name, [x, given(model, 1)])
    found = answer(made, x)
    assert found.shape == plain.shape and torch.isfinite(found).all()
    off = float((found.float() - plain).std() / plain.std())
    assert off <= UNTRAINED.get(name, 0.8) and (off > 0 or name == "fp32")
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items()), "the original changed"
    assert not made.training and not any(p.requires_grad for p in made.parameters())
    assert torch.equal(answer(copy.deepcopy(made), x), found)


@pytest.mark.parametrize("name", IN_CODES)
def test_every_weight_is_in_codes_or_has_a_reason(name):
    model = sparse()
    rows = {row.name: row for row in weights_of(quantize(model, name, [tokens()]))}
    assert set(rows) == set(model.state_dict())
    assert all(rows[key].shape == tuple(tensor.shape) for key, tensor in model.state_dict().items())
    assert all(bool(row.reason) is not row.quantized for row in rows.values())
    in_codes = {key for key, row in rows.items() if row.quantized}
    layer = {"attention.qkv.weight", "attention.out.weight", "ffn.gate_up", "ffn.down", "ffn.shared.gate_up", "ffn.shared.down"}
    assert in_codes == {f"blocks.{i}.{key}" for i in (0, 1) for key in layer}
    starts = {"embedding.weight": "embedding", "head.weight": "head", "norm.weight": "vector", "blocks.0.ffn.router": "router"}
    assert all(rows[key].reason.startswith(f"{reason}: ") for key, reason in starts.items())


def test_the_weight_that_a_layer_sees_is_the_stored_one():
    model = sparse()
    made = quantize(model, "nf4")
    stored = dict(quantized_weights(made))
    for name, weight in stored.items():
        path, _, last = name.rpartition(".")
        seen = getattr(made.get_submodule(path), last)
        original = model.get_parameter(name).detach()
        codes = SCHEMES["nf4"].format.quantize(original.reshape(-1, original.shape[-1]))
        assert torch.equal(seen, codes.dequantize().view(original.shape))
        assert weight.nbytes == codes.nbytes


def test_bytes_add_up():
    model, made = dense(), quantize(dense(), "nf4")
    rows, sizes = weights_of(made), sizes_of(made)
    assert sizes.bytes == sum(row.bytes for row in rows) and sizes.count == sum(p.numel() for p in model.parameters())
    assert sizes.rest_bytes == 4 * sizes.rest_count
    weights = [row.count for row in rows if row.quantized]
    by_hand = sum(-(-n // 2) + -(-n // 64) + 4 * -(-n // 64 // 256) + 4 for n in weights)  # codes, scales, their scales, a mean
    assert sizes.codes_bytes == by_hand
    assert sizes.saved() == pytest.approx(1 - by_hand / (4 * sum(weights))) and sizes.saved(2) == pytest.approx(1 - by_hand / (2 * sum(weights)))
    plain = sizes_of(model)
    assert (plain.codes_bytes, plain.bytes) == (0, 4 * plain.count) and sizes_of(quantize(model, "bf16")).bytes == 2 * plain.count


def test_a_forward_pass_dequantizes_every_weight_once(monkeypatch):
    made, calls = quantize(sparse(), "int4"), []
    real = type(SCHEMES["int4"].format).dequantize
    monkeypatch.setattr(type(SCHEMES["int4"].format), "dequantize", lambda self, *rest: calls.append(1) or real(self, *rest))
    count = len(list(quantized_weights(made)))
    plain = answer(made, tokens())
    assert len(calls) == count
    with held(made):
        assert torch.equal(answer(made, tokens()), plain) and torch.equal(answer(made, tokens()), plain)
    assert len(calls) == 2 * count
    assert all(weight._weight is None for _, weight in quantized_weights(made))
    answer(made, tokens())
    assert len(calls) == 3 * count


def test_a_gradient_reaches_the_input():
    made, x = quantize(vision(), "nf4"), given(vision()).requires_grad_()
    made(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_moving_a_model_moves_what_it_gives_and_not_its_codes():
    made = quantize(dense(), "nf4")
    parts = {name: dict(weight.named_buffers()) for name, weight in quantized_weights(made)}
    half = copy.deepcopy(made).to(torch.bfloat16)
    for name, weight in quantized_weights(half):
        assert weight().dtype == torch.bfloat16
        assert all(torch.equal(part, parts[name][key]) and part.dtype == parts[name][key].dtype for key, part in weight.named_buffers())
    assert answer(half, tokens()).dtype == torch.bfloat16
    assert torch.equal(answer(half.float(), tokens())[0, 0], answer(half, tokens())[0, 0])
    with pytest.raises(DtypeError, match="expected float32, bfloat16 or float16"):
        made.double()


def test_codes_in_another_dtype_than_the_rest():
    made = quantize(dense(), replace(SCHEMES["nf4"], name="nf4 in bf16", rest="bfloat16"))
    assert answer(made, tokens()).dtype == torch.bfloat16 and sizes_of(made).codes_bytes == sizes_of(quantize(dense(), "nf4")).codes_bytes


def test_pictures_may_come_in_float32_whatever_the_net_computes_in():
    net = vision()
    assert answer(quantize(net, "bf16"), given(net)).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", MODELS)
def test_int8_codes_and_scales_are_the_weight(kind):
    model = MODELS[kind]()
    made = quantize(model, "int8")
    found = codes_and_scales(made)
    assert set(found) == {row.name for row in weights_of(made) if row.quantized}
    for name, (codes, scales) in found.items():
        weight = model.get_parameter(name)
        assert codes.dtype == torch.int8 and codes.shape == weight.shape and scales.shape == weight.shape[: scales.ndim]
        rows = weight.detach().reshape(scales.numel(), -1)
        step = rows.abs().amax(1, keepdim=True) / 127
        assert torch.allclose(scales.reshape(-1, 1), step)
        error = (codes.reshape(rows.shape) * scales.reshape(-1, 1) - rows).abs()
        assert (error <= step / 2 * 1.0001).all()
    with pytest.raises(InputError, match="expected int8 weights"):
        codes_and_scales(quantize(model, "nf4"))
    with pytest.raises(InputError, match="expected a model with int8 weights, got none"):
        codes_and_scales(model)


@pytest.mark.parametrize("name", ["int8", "int4", "nf4"])
def test_a_quantized_net_can_be_exported(name):
    made, x = quantize(vision(), name), given(vision())
    program = torch.export.export(made, (x,))
    assert torch.allclose(program.module()(x), answer(made, x), atol=1e-5)
    kept = {str(tensor.dtype) for tensor in program.state_dict.values()}
    assert kept & {"torch.int8", "torch.uint8"}, "the program holds floats instead of codes"


class Product(nn.Module):
    """One linear layer."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.layer = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.layer(x)


def product_and_rows(inputs, outputs, dtype):
    torch_generator = torch.Generator().manual_seed(inputs)
    model = Product(inputs, outputs)
    for parameter in model.parameters():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=torch_generator)
    x = torch.randn(5, inputs, generator=torch_generator)
    x[:, 3] *= 10
    return model.to(dtype), x.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("inputs", "outputs"), [(128, 96), (100, 37)])
@pytest.mark.parametrize(("name", "settings"), [("nf4", ("nf4", True)), ("nf4_single", ("nf4", False)), ("fp4", ("fp4", True))])
def test_a_4_bit_layer_equals_that_of_bitsandbytes(inputs, outputs, dtype, name, settings):
    model, x = product_and_rows(inputs, outputs, dtype)
    layer = bitsandbytes().nn.Linear4bit(inputs, outputs, compute_dtype=dtype, quant_type=settings[0], compress_statistics=settings[1])
    layer.load_state_dict(model.layer.state_dict())
    layer = layer.to("cpu")
    with torch.no_grad():
        theirs = layer(x)
    assert torch.allclose(answer(quantize(model, name), x).float(), theirs.float(), rtol=2 * torch.finfo(dtype).eps, atol=2 * torch.finfo(dtype).eps)


def test_an_8_bit_layer_equals_that_of_bitsandbytes():
    model, x = product_and_rows(128, 96, torch.float16)  # what it computes in
    package = bitsandbytes()
    layer = package.nn.Linear8bitLt(128, 96, has_fp16_weights=False, threshold=6.0)
    layer.load_state_dict(model.layer.state_dict())
    layer = layer.to("cpu").eval()
    with torch.no_grad():
        theirs = layer(x).float()
    ours, exact = answer(quantize(model, "llm_int8"), x).float(), answer(model, x).float()
    off = (theirs - exact).norm()
    assert (ours - theirs).norm() < 0.2 * off and 0.8 * off < (ours - exact).norm() < 1.2 * off


@pytest.mark.gpu  # bitsandbytes' product of one row runs there
@pytest.mark.parametrize("name", ["nf4", "nf4_single", "fp4", "int8", "llm_int8"])
def test_on_a_gpu_one_row_and_many_give_the_same(name):
    model, x = product_and_rows(128, 96, torch.bfloat16)
    made = quantize(model, name, device="cuda")
    many = answer(made, x.cuda())
    assert torch.allclose(answer(made, x[:1].cuda())[0].float(), many[0].float(), atol=0.03 * float(many.abs().max()))
    assert torch.allclose(many.cpu().float(), answer(quantize(model, name), x).float(), atol=0.03 * float(many.abs().max()))


def test_activations_are_rounded_in_llm_int8_only_where_no_gradient_is_asked_for():
    model, x = product_and_rows(128, 96, torch.float32)
    mixed, weights_only = quantize(model, "llm_int8"), quantize(model, "int8")
    assert not torch.equal(answer(mixed, x), answer(weights_only, x))
    x.requires_grad_()
    assert torch.equal(mixed(x), weights_only(x))
    mixed(x).sum().backward()
    assert torch.allclose(x.grad, weights_only.layer.weight.sum(0).expand_as(x), atol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mixtral"])
@pytest.mark.parametrize("name", ["bf16", "int8", "llm_int8", "nf4", "nf4_gptq", "nf4_awq"])
def test_models_of_hugging_face(hf, kind, name):
    model, x = hf[kind], tokens(4)
    made = quantize(model, name, [x])
    plain, found = answer(model, x), answer(made, x)
    limit = {"bf16": 0.06, "int8": 0.06, "llm_int8": 0.08}.get(name, 0.5)
    assert 0 < float((found.float() - plain).std() / plain.std()) < limit
    rows = {row.name: row for row in weights_of(made)}
    head = [row for key, row in rows.items() if key.startswith("lm_head")]
    assert not any(row.quantized for row in head) and len(head) == (kind == "mixtral")  # elsewhere tied to the embedding
    if name != "bf16":
        floats = {row.reason.partition(":")[0] for row in rows.values() if not row.quantized}
        assert floats == {"vector", "embedding"} | ({"head", "router"} if kind == "mixtral" else set())
        assert all(row.quantized for key, row in rows.items() if "proj" in key and not key.endswith("bias"))
    assert made.generate(x[:1, :4], max_new_tokens=3, do_sample=False).shape == (1, 7)


def test_gpt2s_weights_are_stored_by_output(hf):
    made = quantize(hf["gpt2"], "int8")
    layer = made.transformer.h[0].attn.c_attn
    assert layer.weight_stored.scale.shape == (96,) and layer.weight.shape == (32, 96)
    original = hf["gpt2"].transformer.h[0].attn.c_attn.weight
    assert torch.allclose(layer.weight_stored.scale, original.abs().amax(0) / 127)


class Twins(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


def test_a_shared_weight_is_stored_once():
    made = quantize(Twins(), "int8")
    assert made.first.weight_stored is made.second.weight_stored
    again = copy.deepcopy(made)
    assert again.first.weight_stored is again.second.weight_stored is not made.first.weight_stored
    assert sizes_of(made).codes_count == 64 * 64


def test_a_layer_alone_and_layouts():
    layer = nn.Linear(70, 5)
    made = quantize(layer, "int8")
    x = torch.ones(2, 70)
    assert torch.allclose(made(x), layer(x), atol=0.05) and isinstance(made, nn.Linear)
    for owner, shape, rows in [(nn.Conv2d(3, 8, 3), (8, 3, 3, 3), 8), (nn.Module(), (4, 6, 5), 24), (nn.Linear(5, 6), (6, 5), 6)]:
        weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        layout = Layout.of(owner, weight)
        assert layout.matrix(weight).shape == layout.matrix_shape and layout.matrix_shape[0] == rows
        assert torch.equal(layout.weight(layout.matrix(weight)), weight)


def test_random_rounding_differs_by_weight_and_seed():
    from breakthrough.quant.schemes import scheme

    first, again, other = (dict(quantized_weights(quantize(dense(), scheme("nf4_random", seed)))) for seed in (1, 1, 2))
    seeds = {weight.format.seed for weight in first.values()}
    assert len(seeds) == len(first)
    for name, weight in first.items():
        assert torch.equal(weight.codes, again[name].codes) and not torch.equal(weight.codes, other[name].codes)


def broken(value):
    model = dense()
    with torch.no_grad():
        model.blocks[1].ffn.down[0, 0] = value
    return model


@pytest.mark.parametrize(("make", "said"), [
    (lambda: quantize(dense(), "nf5"), "expected the name of a known scheme, got 'nf5'; try nf4"),
    (lambda: quantize(quantize(dense(), "int8"), "nf4"), "expected a model in floating point, got one in 'int8' already"),
    (lambda: quantize(broken(float("nan")), "nf4"), "others in blocks.1.ffn.down"),
    (lambda: quantize(broken(float("inf")), "bf16"), "others in blocks.1.ffn.down"),
    (lambda: quantize(broken(1e5), "fp16"), r"finite weights within ±6.55e\+04, got others in blocks.1.ffn.down"),
    (lambda: quantize(dense(), "nf4_gptq"), "expected batches to calibrate 'nf4_gptq' with, got none"),
    (lambda: quantize(dense(), "nf4_gptq", []), "expected at least one batch"),
    (lambda: quantize(nn.LayerNorm(8), "int8"), "expected a weight to quantize in LayerNorm, got none"),
    (lambda: quantize({"a": torch.ones(2, 2)}, "int8"), "expected a model"),
])
def test_what_does_not_fit_is_refused(make, said):
    with pytest.raises((InputError, UnknownNameError), match=said):
        make()
