"""Eight bits with a dynamic exponent: the code from first principles, codes bit for bit bitsandbytes' own."""

import pytest
import torch
from quant_numbers import DTYPES, SHAPES, in_unit_blocks, neighbours, numbers, with_zero_blocks

from breakthrough.errors import BreakthroughError, ConfigError, DtypeError, InputError, ShapeError
from breakthrough.quant import grouping
from breakthrough.quant.blockwise import Blockwise, dynamic_code
from breakthrough.quant.bnb import bitsandbytes
from breakthrough.quant.codebook import TABLE


@pytest.fixture(scope="module")
def functional():
    return bitsandbytes().functional


def own(format, x):
    """Codes and absmax by the room's own mathematics, whatever is fast on the device."""
    groups = format.groups(x)
    scales = format.scales(groups)
    return grouping.whole(format.encode(groups, scales), tuple(x.shape)), scales["absmax"]


def same(functional, x, signed=True, block=256):
    """Whether codes, absmax and numbers equal bitsandbytes', through its kernel and by the room's own mathematics."""
    format = Blockwise(block=block, signed=signed)
    found = format.quantize(x)
    codes, state = functional.quantize_blockwise(x, code=dynamic_code(signed), blocksize=block)
    for mine, absmax in (own(format, x), (found.parts["codes"], found.parts["absmax"])):
        assert torch.equal(mine, codes)
        assert torch.equal(absmax, state.absmax)
    there = functional.dequantize_blockwise(codes, state)
    assert torch.equal(found.dequantize(), there)
    assert torch.equal(grouping.whole(format.decode(format.groups(codes), found.parts), found.shape).to(x.dtype), there)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_bitsandbytes_for_every_shape_and_dtype(functional, shape, dtype):
    same(functional, numbers(shape, dtype))
    same(functional, numbers(shape, dtype).abs(), signed=False)


@pytest.mark.parametrize("magnitude", [1e-36, 1e-5, 1e5, 1e37])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_as_bitsandbytes_from_small_to_large(functional, magnitude, dtype):
    same(functional, numbers((600,), dtype, magnitude))


@pytest.mark.parametrize("block", [1, 7, 64, 256, 4096])
def test_as_bitsandbytes_for_every_block(functional, block):
    same(functional, numbers((5000,)), block=block)
    same(functional, with_zero_blocks(block), block=block)
    same(functional, torch.zeros(block + 3), block=block)


def test_as_bitsandbytes_at_every_step_of_its_table(functional):
    edges = (torch.arange(TABLE - 1).double() + 0.5) * 2 / (TABLE - 1) - 1
    same(functional, in_unit_blocks(neighbours(edges.float()), 256))


def test_as_bitsandbytes_where_two_levels_are_equally_near(functional):
    code = dynamic_code()
    points = neighbours(torch.cat([code, (code[:-1] + code[1:]) / 2])).clamp(-1, 1)
    for magnitude in (1, 8, 3.3e-3):
        same(functional, in_unit_blocks(points, 256) * magnitude)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_exact_search_as_bitsandbytes_portable_code(functional, dtype):
    """What it runs on devices without a kernel of their own. (It divides a tail, and multiplies whole blocks.)"""
    portable = torch._C.DispatchKeySet(torch._C.DispatchKey.CompositeExplicitAutograd)
    code = dynamic_code()
    points = neighbours(torch.cat([code, (code[:-1] + code[1:]) / 2])).clamp(-1, 1)
    for x in (numbers((32, 256), dtype), in_unit_blocks(points, 256).to(dtype), torch.zeros(512, dtype=dtype)):
        codes, absmax = torch.ops.bitsandbytes.quantize_blockwise.default.redispatch(portable, x, code, 256)
        found = Blockwise(search="nearest").quantize(x)
        assert torch.equal(found.parts["codes"], codes) and torch.equal(found.parts["absmax"], absmax)
        assert torch.equal(found.dequantize(), (code[codes.long()].view(-1, 256) * absmax[:, None]).view(x.shape).to(dtype))


@pytest.mark.parametrize("shape", [(1,), (255,), (7, 33), (1000,)], ids=str)
def test_the_exact_search_finds_the_nearest_level(shape):
    x, format = numbers(shape), Blockwise(search="nearest")
    codes, absmax = own(format, x)
    scaled = (format.groups(x) * (1 / absmax)[:, None]).double()
    level = format.code().double()[format.groups(codes).long()]
    nearest = (scaled[..., None] - format.code().double()).abs().amin(-1)
    assert ((scaled - level).abs() - nearest).flatten()[: x.numel()].max() < 1e-7


def test_the_exact_search_breaks_ties_downwards():
    code = dynamic_code()
    x = in_unit_blocks((code[:-1] + code[1:]) / 2, 512)
    assert Blockwise(512, search="nearest").quantize(x).parts["codes"][:255].tolist() == list(range(255))


def test_the_table_confuses_what_the_exact_search_tells_apart():
    x = in_unit_blocks(torch.tensor([0.0, 3e-6, 1e-4, 0.5]), 256)
    exact = Blockwise(search="nearest").quantize(x).dequantize()[:4]
    table = Blockwise(search="table").quantize(x).dequantize()[:4]
    assert exact[0] == 0 and exact[1] == pytest.approx(3e-6, rel=0.1)
    assert table[0] == table[1] == pytest.approx(2.125e-5)  # the level nearest to half a step of the table
    assert torch.allclose(exact[2:], table[2:], rtol=0.15)


def test_the_code_halves_with_every_decade():
    for signed, top in ((True, 64), (False, 128)):
        code = dynamic_code(signed)
        assert len(code) == 256 and code.tolist() == sorted(set(code.tolist())) and code[-1] == 1
        for decade in range(7):
            inside = (code > 10.0 ** -(decade + 1)) & (code < 10.0 ** -decade)
            assert inside.sum() == top >> decade
    assert torch.equal(dynamic_code()[:127], -dynamic_code()[128:255].flip(0)) and dynamic_code()[127] == 0


def test_the_codes_equal_bitsandbytes(functional):
    for signed in (True, False):
        assert torch.equal(dynamic_code(signed), functional.create_dynamic_map(signed=signed))


def test_levels_of_ones_own():
    even = tuple(torch.linspace(-1, 1, 256).tolist())
    x = numbers((1000,))
    error = (Blockwise(levels=even).quantize(x).dequantize() - x).abs()
    absmax = Blockwise().quantize(x).parts["absmax"].repeat_interleave(256)[:1000]
    assert (error <= absmax / 255 * 1.01).all()


def test_a_coin_takes_one_of_the_two_neighbours():
    x = numbers((5000,))
    format = Blockwise(rounding="random", seed=3)
    groups = format.groups(x)
    scales, code = format.scales(groups), dynamic_code()
    scaled = groups * (1 / scales["absmax"])[:, None]
    codes = format.encode(groups, scales).long()
    below, above = code[(codes - 1).clamp(0)], code[(codes + 1).clamp(max=255)]
    inside = (scaled > code[0]) & (scaled < 1)
    assert (((below < scaled) & (scaled < above)) | (code[codes] == scaled))[inside].all()
    assert 0.45 < (code[codes] > scaled)[inside & (scaled != 0)].float().mean() < 0.55
    assert torch.equal(format.quantize(x).parts["codes"], format.quantize(x).parts["codes"])


def test_too_small_for_a_scale_is_wrong_by_no_more_than_it_is():
    x = numbers((300,), magnitude=1e-41)
    error = (Blockwise().quantize(x).dequantize() - x).abs()
    assert error.max() <= 2 * x.abs().max()


@pytest.mark.parametrize("settings", [{"block": 0}, {"search": "hash"}, {"rounding": "up"}, {"levels": (0.0, 1.0)}])
def test_formats_that_there_are_not(settings):
    with pytest.raises(ConfigError, match="expected"):
        Blockwise(**settings)


@pytest.mark.parametrize(("x", "signed", "error"), [
    (torch.tensor([1.0, float("nan")]), True, InputError), (torch.tensor([-float("inf")]), True, InputError),
    (torch.empty(0, 3), True, ShapeError), (torch.tensor([True]), True, DtypeError), (torch.tensor([-1.0, 1.0]), False, InputError),
])
def test_numbers_that_cannot_be_stored(x, signed, error):
    with pytest.raises(error, match="expected"):
        Blockwise(signed=signed).quantize(x)


def test_parts_of_another_shape_are_refused():
    found = Blockwise().quantize(numbers((300,)))
    for shape in ((301,), (600,)):
        with pytest.raises(BreakthroughError, match="expected"):
            Blockwise().dequantize(found.parts, shape, torch.float32)
    with pytest.raises(BreakthroughError, match="absmax"):
        Blockwise().dequantize({**found.parts, "absmax": found.parts["absmax"][:1]}, (300,), torch.float32)
