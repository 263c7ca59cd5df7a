"""Even levels: absmax and zero points against a slow oracle, over tensors, channels and blocks."""

import itertools

import pytest
import torch
from quant_numbers import DTYPES, numbers, with_zero_blocks

from breakthrough.errors import BreakthroughError, ConfigError, DtypeError, InputError, ShapeError
from breakthrough.quant.affine import Affine
from breakthrough.quant.quantized import described


def groups_of(x, format):
    """Which group every number belongs to, one by one."""
    index = torch.empty(x.shape, dtype=torch.long)
    for flat, place in enumerate(itertools.product(*map(range, x.shape))):
        index[place] = flat // format.block if format.block else place[format.axis] if format.axis is not None else 0
    return index


def oracle(x, format):
    """Each group by itself, in double precision but for what is stored as float32."""
    index, out = groups_of(x, format), torch.empty(x.shape, dtype=torch.float32)
    for group in index.unique():
        mine = x.float()[index == group]
        if format.symmetric:
            scale, zero = mine.abs().max() / format.highest, torch.tensor(0.0)
        else:
            low, high = mine.min().clamp(max=0), mine.max().clamp(min=0)
            scale = high / format.highest - low / format.highest
            zero = (-low / (scale or 1)).round()
        codes = ((mine / (scale or 1)).round() + zero).clamp(format.lowest, format.highest)
        out[index == group] = (codes - zero) * scale
    return out


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("where", [{}, {"axis": 0}, {"axis": 1}, {"axis": -1}, {"block": 8}, {"block": 7}, {"block": 1000}], ids=str)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8])
def test_as_the_oracle(bits, symmetric, where, dtype):
    format, x = Affine(bits=bits, symmetric=symmetric, **where), numbers((3, 5, 7), dtype) + 0.5
    found = format.quantize(x)
    assert torch.equal(found.dequantize(torch.float32), oracle(x, format))
    assert found.dequantize().dtype == dtype and found.dequantize().shape == x.shape


def test_by_hand():
    found = Affine().quantize(torch.tensor([-127.0, 2.5, 3.5, 0.4, 64.0]))
    assert found.parts["codes"].tolist() == [-127, 2, 4, 0, 64]  # halves go to the even code
    assert found.parts["scale"].tolist() == [1.0] and found.parts["codes"].dtype == torch.int8
    found = Affine(symmetric=False).quantize(torch.tensor([0.0, 255.0, 100.0]))
    assert found.parts["codes"].tolist() == [0, 255, 100] and found.parts["zero"].tolist() == [0]


@pytest.mark.parametrize("x", [torch.tensor([5.0, 6.0, 7.0]), torch.tensor([-3.0, -1.0]), torch.tensor([-1.0, 0.0, 1.5])])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_zero_stays_zero(x, bits):
    x = torch.cat([x, torch.zeros(1)])
    assert Affine(bits=bits, symmetric=False).quantize(x).dequantize()[-1] == 0
    assert Affine(bits=bits).quantize(x).dequantize()[-1] == 0


@pytest.mark.parametrize("symmetric", [True, False])
def test_zeros_come_back_as_zeros(symmetric):
    for x in (torch.zeros(5), torch.zeros(2, 3), with_zero_blocks(8)):
        back = Affine(symmetric=symmetric, block=8).quantize(x).dequantize()
        assert torch.equal(back[x == 0], torch.zeros((x == 0).sum()))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("magnitude", [1e-45, 1e-38, 1.0, 1e38])
def test_half_a_step_of_error_at_most(symmetric, magnitude):
    x = numbers((2000,)) .clamp(-3.4, 3.4) * magnitude
    format = Affine(symmetric=symmetric, block=64)
    found = format.quantize(x)
    step = found.parts["scale"].repeat_interleave(64)[:2000]
    error = (found.dequantize() - x).abs()
    assert torch.isfinite(found.dequantize()).all()
    assert (error <= step * (0.5 if symmetric else 1) * (1 + 1e-4) + 2e-43).all()


def test_the_largest_float_is_not_pushed_over():
    largest = torch.finfo(torch.float32).max
    for format in (Affine(), Affine(symmetric=False), Affine(bits=4), Affine(bits=3, symmetric=False)):
        assert torch.isfinite(format.quantize(torch.tensor([largest, -largest, 1.0])).dequantize()).all()


@pytest.mark.parametrize(("format", "bits"), [
    (Affine(), 8 + 32 / 4096), (Affine(axis=0), 8.5), (Affine(bits=4, block=64), 4.5), (Affine(bits=2, block=64), 2.5),
    (Affine(bits=3, block=64), 4.5), (Affine(symmetric=False), 8 + 40 / 4096), (Affine(bits=4, symmetric=False, block=64), 4 + 40 / 64),
])
def test_bits_a_weight(format, bits):
    assert format.quantize(numbers((64, 64))).bits_per_weight == bits


def test_a_coin_takes_one_of_the_two_neighbours():
    x = numbers((64, 64))
    format = Affine(rounding="random", axis=0, seed=5)
    found = format.quantize(x)
    scaled = x / found.parts["scale"][:, None]
    off = found.parts["codes"] - scaled
    assert (off.abs() < 1).all() and 0.45 < (off > 0).float().mean() < 0.55
    assert torch.equal(found.parts["codes"], format.quantize(x).parts["codes"])
    on_a_level = torch.arange(-127.0, 128.0)
    assert torch.equal(Affine(rounding="random").quantize(on_a_level).dequantize(), on_a_level)


def test_memory_order_does_not_matter():
    x = numbers((6, 8)).t()
    for format in (Affine(), Affine(axis=0), Affine(bits=4, block=5), Affine(bits=4, axis=1)):
        assert torch.equal(format.quantize(x).dequantize(), format.quantize(x.contiguous()).dequantize())


def test_described_as_plain_data():
    assert Affine(**{k: v for k, v in described(Affine(bits=4, block=32)).items() if k != "kind"}) == Affine(bits=4, block=32)


@pytest.mark.parametrize("settings", [{"bits": 1}, {"bits": 9}, {"axis": 0, "block": 8}, {"block": 0}, {"block": -3}, {"rounding": "down"}])
def test_formats_that_there_are_not(settings):
    with pytest.raises(ConfigError, match="expected"):
        Affine(**settings)


@pytest.mark.parametrize(("x", "error"), [
    (torch.tensor([1.0, float("nan")]), InputError), (torch.tensor([1.0, -float("inf")]), InputError),
    (torch.empty(0), ShapeError), (torch.tensor([1]), DtypeError),
])
def test_numbers_that_cannot_be_stored(x, error):
    with pytest.raises(error, match="expected"):
        Affine().quantize(x)


def test_an_axis_that_there_is_not():
    with pytest.raises(ShapeError, match="axis 2"):
        Affine(axis=2).quantize(numbers((3, 4)))
    with pytest.raises(ShapeError):
        Affine(axis=0).quantize(torch.tensor(1.0))
    assert Affine().quantize(torch.tensor(1.0)).dequantize() == 1


def test_parts_of_another_shape_are_refused():
    for format in (Affine(), Affine(bits=4, block=16), Affine(axis=0)):
        found = format.quantize(numbers((4, 16)))
        for shape in ((4, 17), (3, 16), (8, 16)):
            with pytest.raises(BreakthroughError, match="expected"):
                format.dequantize(found.parts, shape, torch.float32)
        with pytest.raises(BreakthroughError, match="scale"):
            format.dequantize({"codes": found.parts["codes"]}, (4, 16), torch.float32)
