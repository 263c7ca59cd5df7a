"""The pictures of grids say what is so: their numbers are read back out of the drawing."""

import re

import pytest
import torch
from quant_numbers import numbers

from breakthrough.errors import InputError, ShapeError
from breakthrough.quant import grids_figures
from breakthrough.quant.affine import Affine
from breakthrough.quant.nf4 import FourBit, nf4_levels


def texts(figure):
    figure.canvas.draw()
    return [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title, axes._left_title, axes._right_title) if text.get_text()]


def test_every_grid_with_its_bits_and_error():
    weights = numbers((64, 64))
    figure = grids_figures.grids(weights)
    said = texts(figure)
    assert [text for text in said if text in grids_figures.GRIDS] == list(grids_figures.GRIDS)
    stored = FourBit(double=False).quantize(weights)
    error = 100 * float((stored.dequantize() - weights).norm() / weights.norm())
    assert f"4.50 bits a weight, error {error:.2g}%" in said
    lines = figure.axes[list(grids_figures.GRIDS).index("NF4, blocks of 64")].collections[0].get_segments()
    assert sorted(segment[0][0] for segment in lines) == pytest.approx(nf4_levels().tolist())


def test_every_number_of_the_histogram_is_a_weight():
    figure = grids_figures.grids(numbers((10, 33)), {"one": Affine(), "blocks": FourBit()})
    for axes in figure.axes:
        assert sum(bar.get_height() for bar in axes.patches) == 330


def test_an_outlier_costs_the_others_less_in_blocks():
    figure = grids_figures.outlier(numbers((256,)))
    off = [int(re.search(r"are (\d+)% off", text).group(1)) for text in texts(figure) if "% off" in text]
    assert len(off) == 3 and off[0] < off[2] < off[1]


def test_levels_enclose_equal_shares():
    said = texts(grids_figures.quantile_levels())
    assert "each of 7 areas: 6.7%" in said and "each of 8 areas: 5.8%" in said


@pytest.mark.parametrize("count", [2, 5, 8])
def test_the_bytes_are_those_that_are_stored(count):
    x = numbers((count,))
    said = texts(grids_figures.packing(x))
    for byte in FourBit().quantize(x).parts["codes"].tolist():
        assert f"{byte} = 0x{byte:02X}" in said and f"{byte >> 4:04b}" in said and f"{byte & 15:04b}" in said


def test_what_cannot_be_drawn():
    for draw, error in [
        (lambda: grids_figures.packing(torch.ones(11)), ShapeError), (lambda: grids_figures.packing(torch.zeros(4)), InputError),
        (lambda: grids_figures.outlier(torch.ones(100)), ShapeError), (lambda: grids_figures.grids(torch.tensor([torch.nan])), InputError),
    ]:
        with pytest.raises(error, match="expected"):
            draw()
