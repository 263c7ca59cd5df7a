"""GPTQ against the exact solution column by column, by hand, and against rounding over random problems."""

import pytest
import torch

from breakthrough.errors import ConfigError, DtypeError, InputError, ShapeError
from breakthrough.quant.affine import Affine
from breakthrough.quant.blockwise import Blockwise
from breakthrough.quant.gptq import damped, gptq, inverse_factor, sweep_columns
from breakthrough.quant.grid import Grid, fit, grid_of, store
from breakthrough.quant.hessian import Hessian
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.quantized import Quantized

FORMATS = [
    FourBit(), FourBit(block=32, double=False), FourBit(code="fp4"), Affine(bits=4, block=64), Affine(bits=3, axis=0),
    Affine(bits=8), Affine(bits=2, axis=0), Affine(bits=4, block=16, symmetric=False), Affine(bits=8, axis=0, symmetric=False), Blockwise(),
]  # fmt: skip


def draws(seed):
    return torch.Generator().manual_seed(seed)


def problem(seed, groups=1, outputs=9, inputs=20, rows=64, **kind):
    """A weight and inputs that have to do with each other, in very different sizes."""
    g = draws(seed)
    x = torch.randn(groups, rows, inputs, generator=g) @ torch.randn(groups, inputs, inputs, generator=g)
    x = x * torch.rand(inputs, generator=g) ** 3
    weight = torch.randn(groups, outputs, inputs, generator=g)
    matrix = x.transpose(1, 2) @ x / rows
    return weight if groups > 1 else weight[0], Hessian(matrix, x.abs().mean(1), torch.full((groups,), float(rows)), **kind)


def exact(rows, matrix, grid):
    """Every column after the best move that all columns left could make, solved anew each time."""
    out = torch.zeros_like(rows, dtype=torch.float64)
    rows = rows.double()
    for g in range(len(rows)):
        h = matrix[g].double()
        for j in range(rows.shape[-1]):
            missing = (rows[g] - out[g])[:, :j]  # (N, j)
            moved = rows[g, :, j:] + missing @ h[:j, j:] @ torch.linalg.inv(h[j:, j:])
            span, low = grid.span[g, :, j], grid.low[g, :, j]
            steps = ((moved[:, 0] - low) / span)[:, None] - grid.levels
            out[g, :, j] = low + span * grid.levels[steps.abs().argmin(1)].double()
    return out


def by_hand(step=1.0):
    whole = torch.arange(-3, 4)
    return Grid((whole + 3) / 6, whole, torch.full((1, 1, 2), -3 * step), torch.full((1, 1, 2), 6 * step))


def test_a_case_by_hand():
    matrix = torch.tensor([[[1.0, 0.9], [0.9, 1.0]]])
    weight = torch.tensor([[[0.4, 0.4]]])
    rounded = sweep_columns(weight, matrix, by_hand())  # 0.4 goes to 0; what is missing, times 0.9, makes 0.76 of the other
    assert torch.allclose(rounded, torch.tensor([[[0.0, 1.0]]]), atol=1e-6)
    error = Hessian(matrix, torch.ones(1, 2), torch.ones(1)).error
    assert error(weight[0], rounded[0]) == pytest.approx(0.088, abs=1e-5)
    assert error(weight[0], torch.zeros(1, 2)) == pytest.approx(0.608, abs=1e-5)


def test_inputs_that_have_nothing_to_do_with_each_other_leave_rounding():
    weight = torch.tensor([[[0.4, 0.6]]])
    assert torch.allclose(sweep_columns(weight, torch.eye(2)[None], by_hand()), torch.tensor([[[0.0, 1.0]]]), atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sort", [False, True])
def test_the_factor_does_what_solving_anew_does(seed, sort):
    weight, hessian = problem(seed, groups=2, inputs=70)  # more columns than a block of them
    matrix = damped(hessian.matrix, 0.01)
    format = Affine(bits=4, block=10)
    grid = grid_of(format, fit(format, weight), weight)
    order = matrix.diagonal(dim1=1, dim2=2).argsort(dim=1, descending=True) if sort else torch.arange(70).expand(2, 70)
    turned = torch.stack([m[o][:, o] for m, o in zip(matrix, order)])
    there = order[:, None].expand_as(weight)
    slow = exact(weight.gather(2, there), turned, grid.map(lambda x: x.gather(2, there)))
    slow = torch.zeros_like(slow).scatter(2, there, slow)
    fast = sweep_columns(weight, matrix, grid, sort)
    # a tie that float32 sees otherwise changes all that comes after it in its row: in few rows
    agree = (fast - slow).abs().amax(2) < 1e-5
    assert agree.float().mean() > 0.85
    assert Hessian(matrix.float(), hessian.magnitude, hessian.count).error(weight, fast) == pytest.approx(
        float((((weight - slow).double() @ matrix) * (weight - slow)).sum()), rel=0.02)


def test_the_inverse_factor():
    matrix = damped(problem(0)[1].matrix, 0.01)
    factor = inverse_factor(matrix)
    assert torch.equal(factor, factor.triu())
    assert torch.allclose(factor.mT @ factor @ matrix, torch.eye(20).double()[None], atol=1e-8)


@pytest.mark.parametrize("format", FORMATS, ids=repr)
@pytest.mark.parametrize("clip", [False, True])
def test_never_worse_than_rounding(format, clip):
    gains = []
    for seed in range(6):
        weight, hessian = problem(seed, groups=1 + seed % 2)
        stored = gptq(weight, hessian, format, clip=clip, sort=seed % 3 > 0)
        plain = hessian.error(weight, format.quantize(weight).dequantize())
        gains.append(hessian.error(weight, stored.dequantize()) / plain)
        assert stored.nbytes == format.quantize(weight).nbytes and stored.shape == weight.shape
    assert max(gains) <= 1 and sum(gains) / len(gains) < 0.7


@pytest.mark.parametrize("format", [Affine(bits=4, axis=0), FourBit()], ids=repr)
def test_no_output_is_worse_where_there_is_nothing_to_gain(format):
    g = draws(0)
    x = torch.randn(400, 24, generator=g) + 0.02 * torch.randn(400, 1, generator=g)  # hardly anything to do with each other
    hessian = Hessian((x.T @ x / 400)[None], x.abs().mean(0)[None], torch.full((1,), 400.0))
    weight = torch.randn(64, 24, generator=g)
    errors = [hessian.row_errors(hessian.rows(weight - q.dequantize())) for q in (gptq(weight, hessian, format), format.quantize(weight))]
    assert (errors[0] <= errors[1] * (1 + 1e-5)).all() and errors[0].sum() < errors[1].sum()


def test_scales_that_turn_out_badly_are_not_used(monkeypatch):
    weight, hessian = problem(0)
    monkeypatch.setattr("breakthrough.quant.gptq.fit", lambda format, w, importance: {"scale": 0.1 * fit(format, w)["scale"]})
    format = Affine(bits=4, axis=0)
    assert torch.equal(gptq(weight, hessian, format, clip=True).dequantize(), format.quantize(weight).dequantize())


@pytest.mark.parametrize("format", FORMATS, ids=repr)
def test_the_grid_is_what_the_format_reads_back(format):
    weight = torch.randn(5, 30, generator=draws(0))
    weight[0] = 0
    scales = fit(format, weight)
    grid = grid_of(format, scales, weight)
    stored = store(format, scales, grid.codes(weight), weight)
    torch.testing.assert_close(stored.dequantize(), grid.nearest(weight), rtol=1e-5, atol=1e-6)
    plain = format.quantize(weight)
    off = (weight - stored.dequantize()).abs() - (weight - plain.dequantize()).abs()
    assert off.max() < 1e-4  # the format itself looks some levels up in a table of 65,536 steps
    assert set(stored.parts) == set(plain.parts) and all(stored.parts[k].dtype == plain.parts[k].dtype for k in plain.parts)


@pytest.mark.parametrize("format", [Affine(bits=3, axis=0), FourBit()], ids=repr)
def test_chosen_ranges_lose_less_of_what_matters(format):
    weight = torch.randn(16, 64, generator=draws(0))
    importance = torch.rand(16, 64, generator=draws(1))
    losses = []
    for given in (None, importance):
        grid = grid_of(format, fit(format, weight, given), weight)
        losses.append(float(((weight - grid.nearest(weight)) ** 2 * importance).sum()))
    assert losses[1] < losses[0]


def test_columns_without_inputs_are_rounded():
    weight, hessian = problem(1)
    matrix = hessian.matrix.clone()
    matrix[:, 3:6] = matrix[:, :, 3:6] = 0
    format = Affine(bits=4, block=20)
    stored = gptq(weight, Hessian(matrix, hessian.magnitude, hessian.count), format).dequantize()
    assert torch.equal(stored[:, 3:6], format.quantize(weight).dequantize()[:, 3:6])
    none = Hessian(torch.zeros(1, 20, 20), torch.zeros(1, 20), torch.zeros(1))
    assert torch.equal(gptq(weight, none, format).dequantize(), format.quantize(weight).dequantize())


def test_few_inputs_are_enough_to_go_on():
    weight, hessian = problem(2, rows=3)  # rank 3 of 20
    stored = gptq(weight, hessian, FourBit())
    assert hessian.error(weight, stored.dequantize()) < hessian.error(weight, FourBit().quantize(weight).dequantize())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_dtypes_and_layouts(dtype):
    weight, hessian = problem(3)
    stored = gptq(weight.to(dtype), hessian, FourBit())
    assert stored.dtype == dtype and stored.dequantize().dtype == dtype
    turned = gptq(weight.T.contiguous(), Hessian(hessian.matrix, hessian.magnitude, hessian.count, axis=-2), Affine(bits=8, axis=1))
    same = gptq(weight, hessian, Affine(bits=8, axis=0))
    assert torch.equal(turned.dequantize().T, same.dequantize())
    several, inputs = problem(4, groups=3)
    whole = gptq(several, inputs, Affine(bits=4, axis=None, block=20)).dequantize()
    as_matrix = gptq(several.flatten(0, 1), inputs.for_matrix(), Affine(bits=4, axis=None, block=20)).dequantize()
    assert torch.equal(whole.flatten(0, 1), as_matrix)


class Odd:
    """A format that only stores."""

    kind, bits = "odd", 8

    def quantize(self, x):
        return Quantized(self, {"x": x}, tuple(x.shape), x.dtype)

    def dequantize(self, parts, shape, dtype):
        return parts["x"].to(dtype)


def test_bad_input():
    weight, hessian = problem(0)
    with pytest.raises(ShapeError, match="20 inputs"):
        gptq(weight[:, :5], hessian, FourBit())
    with pytest.raises(ConfigError, match="damp above 0"):
        gptq(weight, hessian, FourBit(), damp=0)
    with pytest.raises(ConfigError, match="rounds to the nearest"):
        gptq(weight, hessian, FourBit(rounding="random"))
    with pytest.raises(ConfigError, match="levels and scales"):
        gptq(weight, hessian, Odd())
    with pytest.raises(InputError, match="finite"):
        gptq(weight.fill_(torch.nan), hessian, FourBit())
    with pytest.raises(DtypeError):
        gptq(weight.long(), hessian, FourBit())
    with pytest.raises(ShapeError, match="rows"):
        sweep_columns(weight, hessian.matrix, by_hand())
