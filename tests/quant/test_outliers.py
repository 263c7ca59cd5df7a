"""LLM.int8: integers and outliers against bitsandbytes and exact products."""

import pytest
import torch
from quant_numbers import DTYPES, numbers

from breakthrough.errors import ConfigError, DtypeError, InputError, ShapeError
from breakthrough.quant import outliers
from breakthrough.quant.affine import Affine
from breakthrough.quant.bnb import bitsandbytes
from breakthrough.quant.outliers import decompose, integer_product, mixed_matmul, outlier_columns


@pytest.fixture(scope="module")
def functional():
    return bitsandbytes().functional


def activations(rows=20, inputs=48, outliers=(3, 17), dtype=torch.float32):
    x = numbers((rows, inputs))
    for column in outliers:
        x[:, column] *= 30
    return x.to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("threshold", [0.0, 2.0, 6.0, 1e4])
@pytest.mark.parametrize("rows", [1, 2, 33])
def test_rows_as_bitsandbytes(functional, rows, threshold, dtype):
    x = activations(rows, dtype=dtype)
    found = decompose(x, threshold)
    codes, absmax, columns = functional.int8_vectorwise_quant(x.clone(), threshold)
    assert torch.equal(found.codes, codes)
    assert torch.equal(found.scale, absmax / 127)
    assert found.columns.tolist() == (columns.tolist() if columns is not None else [])


def test_a_matrix_is_not_changed():
    x = activations()
    before = x.clone()
    decompose(x)
    assert torch.equal(x, before)


def test_which_columns_are_kept_aside():
    x = torch.tensor([[1.0, -6.0, 5.9], [0.0, 1.0, 7.0], [0.0, 0.0, 0.0]])
    assert outlier_columns(x).tolist() == [1, 2] and outlier_columns(x, 0).tolist() == []
    found = decompose(x)
    assert (found.codes[:, [1, 2]] == 0).all() and found.codes[0, 0] != 0
    assert found.codes[2].tolist() == [0, 0, 0] and found.scale[2] == 0


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 4, 1), (3, 7, 5), (17, 4096, 9)])
def test_integers_multiply_exactly(rows, inputs, outputs):
    draw = torch.Generator().manual_seed(rows)
    a, b = (torch.randint(-128, 128, (n, inputs), generator=draw, dtype=torch.int8) for n in (rows, outputs))
    a[0], b[0] = -128, -128  # the largest sum there is
    assert torch.equal(integer_product(a, b).long(), a.long() @ b.long().t())


def test_integers_multiply_exactly_without_bitsandbytes(monkeypatch):
    monkeypatch.setattr(outliers, "kernels", lambda device: None)
    test_integers_multiply_exactly(17, 4096, 9)


@pytest.mark.parametrize("threshold", [0.0, 6.0])
def test_as_the_oracle(threshold):
    """Row by row: what is kept aside in floats, the rest by the definition of absmax."""
    x, weight = activations(), numbers((11, 48), seed=1)
    stored = Affine(axis=0).quantize(weight)
    codes, scale = stored.parts["codes"], stored.parts["scale"]
    aside = (x.abs() >= threshold).any(0) if threshold else torch.zeros(48, dtype=torch.bool)
    expected = torch.empty(len(x), len(weight), dtype=torch.float64)
    for row in range(len(x)):
        kept = torch.where(x[row].abs() >= threshold, 0, x[row]) if threshold else x[row]
        step = kept.abs().max().double() / 127
        rounded = torch.where(aside, x[row].double(), (kept / step).round() * step)
        expected[row] = (stored.dequantize().double() * rounded).sum(1)
    assert torch.allclose(mixed_matmul(x, codes, scale, threshold).double(), expected, rtol=1e-4, atol=1e-3)


def test_as_bitsandbytes_layer():
    weight, bias = numbers((16, 48), seed=1), numbers((16,), seed=2)
    layer = bitsandbytes().nn.Linear8bitLt(48, 16, has_fp16_weights=False, threshold=6.0)
    layer.weight.data, layer.bias.data = weight.clone(), bias.clone()
    x = activations()
    with torch.no_grad():
        theirs = layer.to("cpu")(x)
    stored = Affine(axis=0).quantize(weight)
    mine = mixed_matmul(x, stored.parts["codes"], stored.parts["scale"], 6.0, bias)
    exact = x @ weight.t() + bias
    assert (mine - exact).abs().mean() <= (theirs - exact).abs().mean() * 1.05
    assert (mine - exact).norm() / exact.norm() < 0.01


def test_keeping_outliers_aside_saves_the_rest():
    x, stored = activations(), Affine(axis=0).quantize(numbers((11, 48), seed=1))
    exact = x @ stored.dequantize().t()  # what is lost by rounding activations alone
    off = [float((mixed_matmul(x, stored.parts["codes"], stored.parts["scale"], t) - exact).norm()) for t in (6.0, 0.0)]
    assert off[0] < off[1] / 4


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(48,), (2, 48), (2, 3, 48), (0, 48), (2, 0, 48)], ids=str)
def test_shapes_and_dtypes(shape, dtype):
    parts = Affine(axis=0).quantize(numbers((11, 48))).parts
    y = mixed_matmul(numbers(shape).to(dtype), parts["codes"], parts["scale"])
    assert y.shape == (*shape[:-1], 11) and y.dtype == dtype and torch.isfinite(y).all()


def test_what_does_not_fit_is_refused():
    parts = Affine(axis=0).quantize(numbers((11, 48))).parts
    codes, scale = parts["codes"], parts["scale"]
    for arguments, error in [
        ((numbers((2, 47)), codes, scale), ShapeError), ((numbers((2, 48)), codes.float(), scale), DtypeError),
        ((numbers((2, 48)), codes, scale[:1]), ShapeError), ((numbers((2, 48)), codes, scale, -1.0), ConfigError),
        ((torch.full((2, 48), torch.nan), codes, scale), InputError), ((numbers((2, 48)), codes, scale, torch.nan), ConfigError),
    ]:
        with pytest.raises(error, match="expected"):
            mixed_matmul(*arguments)
    with pytest.raises(ShapeError):
        decompose(numbers((2, 3, 4)))
