"""NF4 and FP4: levels from first principles, codes and scales bit for bit bitsandbytes' own."""

import pytest
import torch
from quant_numbers import DTYPES, SHAPES, in_unit_blocks, neighbours, numbers, with_zero_blocks
from torch.distributions import Normal

from breakthrough.errors import BreakthroughError, ConfigError, DtypeError, InputError, ShapeError, UnknownNameError
from breakthrough.quant import grouping, nf4
from breakthrough.quant.bnb import bitsandbytes
from breakthrough.quant.nf4 import FourBit, fp4_levels, nf4_levels
from breakthrough.quant.packing import unpack

CODES = ["nf4", "fp4"]


@pytest.fixture(scope="module")
def functional():
    return bitsandbytes().functional


def own(format, quantized, dtype):
    """The numbers by the room's own mathematics, whatever is fast on the device."""
    codes = format.groups(unpack(quantized.parts["codes"], torch.Size(quantized.shape).numel()))
    return grouping.whole(format.decode(codes, {"absmax": format.absmax(quantized.parts)}), quantized.shape).to(dtype)


def same(functional, x, code, double, block=64):
    """Whether codes, scales and numbers equal bitsandbytes'. It is given the numbers in one row (below: why)."""
    format = FourBit(code, block=block, double=double)
    found = format.quantize(x)
    codes, state = functional.quantize_4bit(x, blocksize=block, quant_type=code, compress_statistics=double)
    assert torch.equal(found.parts["codes"], codes.view(-1))
    assert torch.equal(found.parts["absmax"], state.absmax)
    if double:
        assert torch.equal(found.parts["absmax_scale"], state.state2.absmax)
        assert found.parts["absmax_mean"] == state.offset
    if x.numel() % 2 == 0 and block < 2048:  # otherwise bitsandbytes compiles a program
        row = functional.quantize_4bit(x.flatten(), blocksize=block, quant_type=code, compress_statistics=double)
        there = functional.dequantize_4bit(*row).view(x.shape)
        assert torch.equal(found.dequantize(), there)
    assert torch.equal(own(format, found, x.dtype), found.dequantize())


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_bitsandbytes_for_every_shape_and_dtype(functional, shape, dtype, code):
    for double in (False, True):
        same(functional, numbers(shape, dtype), code, double)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("magnitude", [1e-44, 1e-38, 1e-37, 1e-5, 1e5, 1e37])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_as_bitsandbytes_from_the_smallest_to_the_largest(functional, code, magnitude, dtype):
    same(functional, numbers((330,), dtype, magnitude), code, False)


@pytest.mark.parametrize("block", [32, 64, 128, 256, 4096])
@pytest.mark.parametrize("code", CODES)
def test_as_bitsandbytes_for_every_block(functional, block, code):
    same(functional, numbers((5000,)), code, True, block)
    same(functional, with_zero_blocks(block), code, True, block)
    same(functional, torch.zeros(block + 2), code, True, block)


@pytest.mark.parametrize("code", CODES)
def test_as_bitsandbytes_where_two_levels_are_equally_near(functional, code):
    levels = (nf4_levels() if code == "nf4" else fp4_levels()).sort().values
    points = neighbours(torch.cat([levels, (levels[:-1] + levels[1:]) / 2])).clamp(-1, 1)
    for magnitude in (1, 8, 3.3e-3):
        same(functional, in_unit_blocks(points, 64) * magnitude, code, False)


def test_a_tie_goes_to_the_lower_level():
    levels = nf4_levels()
    x = in_unit_blocks((levels[:-1] + levels[1:]) / 2, 64)
    codes = unpack(FourBit(double=False).quantize(x).parts["codes"], 64)
    assert codes[:15].tolist() == list(range(15))


def test_in_many_blocks_of_scales(functional):
    same(functional, numbers((64 * 600 + 2,)), "nf4", True)


@pytest.mark.parametrize("shape", [(3, 48), (6, 16), (4, 96)], ids=str)
def test_rows_that_are_no_blocks_get_their_own_scales(shape):
    x = numbers(shape) * torch.logspace(-3, 3, shape[0])[:, None]
    format = FourBit(double=False)
    found = format.quantize(x)
    assert torch.equal(found.dequantize(), own(format, found, x.dtype))


def test_levels_are_quantiles():
    levels = nf4_levels()
    assert levels.tolist() == sorted(levels.tolist()) and (levels[0], levels[7], levels[-1]) == (-1, 0, 1)
    mass = Normal(0.0, 1.0).cdf(levels.double() * torch.special.ndtri(torch.tensor(nf4.OUTERMOST).double()))
    above, below = mass[7:].diff(), mass[:8].diff()
    assert torch.allclose(above, above.mean().expand(8), atol=1e-6) and torch.allclose(below, below.mean().expand(7), atol=1e-6)


def test_fp4_is_a_float_of_four_bits():
    assert (fp4_levels() * 12).tolist() == pytest.approx([0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3])


def test_levels_equal_bitsandbytes(functional):
    for code, levels in (("nf4", nf4_levels()), ("fp4", fp4_levels())):
        assert torch.equal(levels, functional.get_4bit_type(code, "cpu"))


def test_bits_a_weight():
    x = numbers((1024, 1024))
    assert FourBit(double=False).quantize(x).bits_per_weight == 4.5
    assert FourBit().quantize(x).bits_per_weight == pytest.approx(4 + 8 / 64 + 32 / (64 * 256), abs=1e-4)


@pytest.mark.parametrize("code", CODES)
def test_the_error_is_at_most_half_the_widest_gap(code):
    x = numbers((64, 64))
    blocks = x.view(-1, 64)
    gap = FourBit(code).codebook().sort().values.diff().max() / 2
    error = (FourBit(code, double=False).quantize(x).dequantize() - x).view(-1, 64).abs()
    assert (error <= gap * blocks.abs().amax(1, keepdim=True) * (1 + 1e-6)).all()


def test_levels_of_ones_own():
    even = tuple(torch.linspace(-1, 1, 16).tolist())
    x = in_unit_blocks(torch.tensor(even), 64)
    found = FourBit(levels=even, double=False).quantize(x)
    assert torch.allclose(found.dequantize()[:16], torch.tensor(even))
    assert FourBit(levels=list(even)) == FourBit(levels=even)  # as it comes back from JSON


def test_a_coin_takes_one_of_the_two_neighbours():
    x = numbers((4000,))
    format = FourBit(double=False, rounding="random", seed=1)
    levels, absmax = nf4_levels(), format.scales(format.groups(x))["absmax"].repeat_interleave(64)[:4000]
    scaled = x * (1 / absmax)
    codes = unpack(format.quantize(x).parts["codes"], 4000).long()
    below, above = levels[(codes - 1).clamp(0)], levels[(codes + 1).clamp(max=15)]
    assert ((below < scaled) & (scaled < above) | (levels[codes] == scaled)).all()
    share = (levels[codes] > scaled).float().mean()
    assert 0.45 < share < 0.53
    again = FourBit(double=False, rounding="random", seed=1).quantize(x)
    other = FourBit(double=False, rounding="random", seed=2).quantize(x)
    assert torch.equal(format.quantize(x).parts["codes"], again.parts["codes"])
    assert not torch.equal(other.parts["codes"], again.parts["codes"])


@pytest.mark.parametrize("make", [
    lambda: FourBit("nf5"), lambda: FourBit(block=0), lambda: FourBit(rounding="up"), lambda: FourBit(levels=(0.0, 1.0)),
    lambda: FourBit(levels=tuple(range(16))), lambda: FourBit(levels=(float("nan"),) * 16),
])
def test_formats_that_there_are_not(make):
    with pytest.raises((ConfigError, UnknownNameError), match="expected"):
        make()


@pytest.mark.parametrize(("x", "error"), [
    (torch.tensor([1.0, float("nan")]), InputError), (torch.tensor([1.0, float("inf")]), InputError),
    (torch.empty(0), ShapeError), (torch.tensor([1, 2]), DtypeError), (torch.tensor([1.0]).double(), DtypeError),
])
def test_numbers_that_cannot_be_stored(x, error):
    with pytest.raises(error, match="expected"):
        FourBit().quantize(x)


def test_parts_of_another_shape_are_refused():
    found = FourBit().quantize(numbers((128,)))
    for shape in ((256,), (127, 3), (64,)):
        with pytest.raises(BreakthroughError, match="expected"):
            FourBit().dequantize(found.parts, shape, torch.float32)
    with pytest.raises(BreakthroughError, match="absmax_scale"):
        FourBit().dequantize(FourBit(double=False).quantize(numbers((128,))).parts, (128,), torch.float32)
