import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("tvm")

sys.path.insert(0, str(Path(__file__).parent))
import export_toys as toys

from breakthrough.deploy.checking import answers_of, check, compare, eager, largest_error
from breakthrough.deploy.converters import CONVERTERS, converter
from breakthrough.deploy.export import Plain, source_sha256, to_relax, together
from breakthrough.deploy.models import Logits, Net, WithCells, lookups, net, random_like
from breakthrough.deploy.refusals import ExportError, UnsupportedOpError
from breakthrough.errors import ConfigError, InputError, ShapeError, UnknownNameError
from breakthrough.moe import MoEConfig
from breakthrough.quant.apply import quantize
from breakthrough.seeds import torch_generator
from breakthrough.train.language import ByteLM, LanguageConfig

PICTURE = (3, 8, 8)
NAMES = ("mobilenet", "language", "cells_experts", "int8", "nf4")


def small(name):
    """A small net by name: the course's own, one with its map, quantized ones."""
    generator = torch_generator(0)
    if name == "cells_experts":
        inner = net("inspector_experts", generator, small=True)
        return Net(name, WithCells(inner.model), inner.example)
    if name in ("int8", "nf4"):
        inner = net("inspector", generator, small=True)
        return Net(name, lookups(quantize(inner.model, name)), inner.example)
    return net(name, generator, small=True)


@pytest.fixture
def inspector():
    return small("inspector")


@pytest.mark.parametrize("name", NAMES)
def test_a_dynamic_batch_answers_as_the_model_does_at_every_size(name):
    one = small(name)
    found = compare(one.model, one.example, torch_generator(1), batch="dynamic", upto=6, steps=("torch.export", "Relax"))
    assert {error.batch for error in found} == {1, 2, 5, 6} and {error.step for error in found} == {"torch.export", "Relax"}
    assert max(error.error for error in found) <= 1e-5 and min(error.scale for error in found) > 0.05


def test_a_fixed_batch_and_several_together_answer_as_the_model_does(inspector):
    model = inspector.model
    parts = [to_relax(model, inspector.inputs(size, torch_generator(size))) for size in (1, 4)]
    whole = together(parts)
    assert whole.functions == {"batch_1": 1, "batch_4": 4} and whole.inputs[0].shape == (None, 3, 32, 32)
    assert 0 < check(whole, model, torch_generator(2), tolerance=1e-5) <= 1e-5
    other = to_relax(net("inspector", torch_generator(9), small=True).model, inspector.example)
    with pytest.raises(InputError, match="one model"):
        together([parts[0], other])


def test_an_export_says_what_it_was_made_from(inspector):
    made = to_relax(inspector.model, inspector.example, batch="dynamic", upto=8)
    assert made.functions == {"main": None} and made.upto == 8 and made.source == "Inspector"
    assert (made.inputs[0].name, made.inputs[0].shape, made.inputs[0].dtype) == ("x", (None, 3, 32, 32), "float32")
    assert [(y.name, y.shape) for y in made.outputs] == [("y0", (None, 5))] and made.classes == inspector.model.config.classes
    assert made.source_sha256 == source_sha256(inspector.model) != source_sha256(net("inspector", torch_generator(1), small=True).model)
    cells = to_relax(WithCells(inspector.model), inspector.example, name="with its map")
    assert [y.shape for y in cells.outputs] == [(1, 5), (1, 9, 4, 4)] and cells.source == "with its map" and cells.functions == {"batch_1": 1}
    text = to_relax(small("language").model, small("language").example)
    assert text.inputs[0].dtype == "int64" and text.outputs[0].shape == (1, 16, 256)


def test_the_model_stays_as_it_was(inspector):
    model = inspector.model.train()
    model.head.eval()
    before = {name: module.training for name, module in model.named_modules()}
    made = to_relax(model, inspector.example)
    assert {name: module.training for name, module in model.named_modules()} == before
    assert all(p.requires_grad for p in model.parameters()) and check(made, model, torch_generator(1)) < 1e-5


def test_what_the_model_learns_later_does_not_change_what_was_exported(inspector):
    made, before = to_relax(inspector.model, inspector.example), eager(inspector.model, inspector.example)
    with torch.no_grad():
        inspector.model.head.weight[1] += 1
    assert largest_error(eager(inspector.model, inspector.example), before) > 0.1
    assert largest_error(answers_of(made)(inspector.example.numpy()), before) < 1e-5


def test_what_is_not_a_number_is_an_infinite_error():
    nan, one = torch.tensor([[math.nan]]).numpy(), torch.ones(1, 1).numpy()
    assert largest_error((nan,), (one,)) == largest_error((one,), (nan,)) == largest_error((one, one), (one,)) == math.inf
    assert largest_error((one,), (one + 0.5,)) == 0.5


def test_all_unknown_operators_are_named_with_path_line_shapes_and_a_way_round():
    with pytest.raises(UnsupportedOpError) as caught:
        to_relax(toys.Outer(toys.Unknown()), torch.rand(2, *PICTURE))
    places = {place.op: place for place in caught.value.places}
    assert set(places) == {"_fft_r2c.default", "_cdist_forward.default"}
    fft = places["_fft_r2c.default"]
    assert (fft.module, fft.kind, Path(fft.file).name, fft.code) == ("inner", "Unknown", "export_toys.py", "return torch.fft.rfft(x)")
    assert fft.inputs == ("float32 (2, 3, 8, 8)",) and fft.outputs == ("complex64 (2, 3, 8, 5)",)
    text = str(caught.value)
    for part in ("got 2", "inner (Unknown)", f"export_toys.py:{fft.line}", "way round: a product with", "square()", '@converter("_cdist_forward.default")'):
        assert part in text


def test_what_an_operator_came_from_is_said(inspector, monkeypatch):
    monkeypatch.delitem(CONVERTERS, "amax.default")
    with pytest.raises(UnsupportedOpError, match=r"amax\.default \(from logsumexp\) in the model itself \(Inspector\), breakthrough/train/inspector\.py:\d+: `sound = "):
        to_relax(inspector.model, inspector.example)


def test_an_operator_with_arguments_that_fail_is_placed_too():
    with pytest.raises(UnsupportedOpError, match=r"index\.Tensor in inner \(Masks\).*x\[x > 0\]") as caught:
        to_relax(toys.Outer(toys.Masks()), torch.rand(2, *PICTURE))
    assert "torch.where" in str(caught.value) and "integer dtype" in str(caught.value)


def test_a_converter_of_ones_own_is_used(monkeypatch):
    class Bessel(nn.Module):
        def forward(self, x):
            return torch.special.i0(x)

    with pytest.raises(UnsupportedOpError, match="i0.default"):
        to_relax(Bessel(), torch.rand(2, 3))

    def series(node, importer):
        """The first terms of the series of I₀, enough for small numbers."""
        from tvm import relax

        x, emit = importer.env[node.args[0]], importer.block_builder.emit
        quarter = emit(relax.op.multiply(emit(relax.op.multiply(x, x)), relax.const(0.25)))
        total, term = relax.const(1.0), relax.const(1.0)
        for k in range(1, 8):
            term = emit(relax.op.multiply(emit(relax.op.multiply(term, quarter)), relax.const(1.0 / k**2)))
            total = emit(relax.op.add(total, term))
        return total

    given = to_relax(Bessel(), torch.rand(2, 3), own={"i0.default": series})
    assert check(given, Bessel(), torch_generator(0)) < 1e-5 and "i0.default" not in CONVERTERS
    monkeypatch.setitem(CONVERTERS, "i0.default", None)  # taken out again afterwards
    assert converter("i0.default")(series) is series
    assert to_relax(Bessel(), torch.rand(2, 3)).functions == {"batch_2": 2}
    with pytest.raises(InputError, match="amax.default"):
        converter("amax")


@pytest.mark.parametrize("keepdim", [True, False])
def test_the_rooms_converters_give_what_torch_gives(keepdim):
    class Extremes(nn.Module):
        def forward(self, x):
            low, high = x.amin((1, 2), keepdim=keepdim), x.amax(-1, keepdim=keepdim).amax(1, keepdim=keepdim)
            index = torch.zeros_like(x, dtype=torch.int64)
            return low + high, x.scatter_add(1, index, x)

    assert check(to_relax(Extremes(), torch.rand(2, 3, 4)), Extremes(), torch_generator(0)) < 1e-6


def test_an_index_outside_of_a_table_reads_nothing_else():
    table = nn.Embedding(4, 3)
    answer = answers_of(to_relax(table, torch.zeros(1, 3, dtype=torch.int64)))
    found = answer(torch.tensor([[0, 10**9, -(10**9)]]).numpy())[0]
    assert found.tolist() == table.weight[[0, 3, 0]][None].tolist()


@pytest.mark.parametrize(
    ("model", "batch", "message"),
    [
        (toys.Branches(), "fixed", r"one graph for every input.*inner \(Branches\), .*export_toys\.py:\d+: `if x\.sum\(\) > 0:`; try torch\.where"),
        (toys.FixesBatch(), "dynamic", r"every batch from 1 to 64, .*inner \(FixesBatch\), .*`return x\.view\(2, -1\)`; try x\.shape\[0\]"),
        (toys.LeavesTorch(), "fixed", r"torch\.export can follow.*inner \(LeavesTorch\), .*from_numpy.*tensor operations alone"),
        (ByteLM(LanguageConfig(16, 1, 2, 16, MoEConfig(16, 16, 4, 1)), torch_generator(0)), "fixed", r"inner\.blocks\.0\.ffn.*every_expert"),
    ],
)
def test_what_torch_refuses_is_one_sentence_with_place_and_way_round(model, batch, message):
    example = torch.zeros(2, 16, dtype=torch.int64) if isinstance(model, ByteLM) else torch.rand(2, *PICTURE)
    with pytest.raises(ExportError, match=message) as caught:
        to_relax(toys.Outer(model), example, batch=batch)
    assert "\n" not in str(caught.value)


def test_inputs_and_outputs_that_do_not_fit_are_refused(inspector):
    model, x = inspector.model, inspector.example
    with pytest.raises(ShapeError, match=r"\(B, 3, H, W\)"):  # the model's own error
        to_relax(model, torch.rand(1, 1, 32, 32))
    with pytest.raises(ShapeError, match="at least 1"):
        to_relax(model, torch.rand(0, 3, 32, 32))
    with pytest.raises(InputError, match="torch.nn.Module"):
        to_relax(lambda x: x, x)
    with pytest.raises(InputError, match="example"):
        to_relax(model, x.numpy())
    with pytest.raises(UnknownNameError, match="dynamic"):
        to_relax(model, x, batch="dynamical")
    with pytest.raises(ConfigError, match="upto"):
        to_relax(model, torch.rand(9, 3, 32, 32), batch="dynamic", upto=8)
    with pytest.raises(ExportError, match="row for each of the 2"):
        to_relax(nn.Flatten(0), torch.rand(2, 3))
    with pytest.raises(InputError, match="cells and gather"):
        WithCells(nn.Identity())


def test_a_language_model_gives_its_scores_alone():
    model = ByteLM(LanguageConfig(16, 1, 2, 16, 32), torch_generator(0)).eval()
    tokens = torch.randint(0, 256, (2, 16), generator=torch_generator(1))
    assert torch.equal(Logits(model)(tokens), model(tokens)[0]) and torch.equal(Plain(model)(tokens), model(tokens)[0])


def test_looked_up_weights_are_those_of_the_kernel_bit_for_bit(inspector):
    quantized = quantize(inspector.model, "nf4")
    plain, x = lookups(quantized), inspector.inputs(3, torch_generator(2))
    assert torch.equal(quantized(x), plain(x)) and lookups(inspector.model) is inspector.model
    codes = [module.codes for module in plain.modules() if hasattr(module, "codes")]
    assert codes and all(code.dtype == torch.uint8 for code in codes)


def test_random_inputs_are_like_the_example():
    floats = random_like(torch.zeros(1, 3, 4), 5, torch_generator(0))
    assert floats.shape == (5, 3, 4) and floats.min() >= 0 and floats.max() <= 1 and floats.std() > 0.1
    whole = random_like(torch.zeros(1, 9, dtype=torch.int64), 50, torch_generator(0), 7)
    assert whole.dtype == torch.int64 and set(whole.unique().tolist()) == set(range(7))


def test_the_courses_nets_have_names():
    with pytest.raises(UnknownNameError, match="mobilenet"):
        net("mobile", torch_generator(0))
