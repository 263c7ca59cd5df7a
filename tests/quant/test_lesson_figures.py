"""The pictures of lesson 04 say what is so: their numbers are read back out of the drawing."""

import math

import numpy as np
import pytest
import torch
from quant_numbers import numbers

from breakthrough.errors import InputError
from breakthrough.quant import lesson_figures
from breakthrough.quant.affine import Affine
from breakthrough.quant.blockwise import dynamic_code
from breakthrough.quant.grids_figures import error_percent
from breakthrough.quant.nf4 import FourBit


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def test_error_per_bit_and_the_line_that_halves():
    x, row = numbers((64, 64)), [Affine(bits=bits) for bits in (4, 6, 8)]
    drawn = lines(lesson_figures.bits_and_error(x, {"one scale": row, "NF4": [FourBit()]}).axes[0])
    assert drawn["one scale"].get_ydata() == pytest.approx([error_percent(x, one) for one in row])
    assert drawn["NF4"].get_xdata().tolist() == [4]
    rule = drawn["half for every bit: 6 dB"]
    assert rule.get_ydata() == pytest.approx(error_percent(x, row[-1]) * np.array([16, 4, 1]))


@pytest.mark.parametrize("format", [Affine(bits=3), Affine(bits=4, block=16), Affine(bits=4, symmetric=False), FourBit(double=False)])
def test_the_share_of_every_code(format):
    x = numbers((7, 9))  # a block is not full
    values = format.quantize(x).dequantize()
    groups = format.groups(values) / format.groups(x).abs().amax(1, keepdim=True)
    shares = lesson_figures.code_shares(x, format)
    assert len(shares) == (2**format.bits - 1 if getattr(format, "symmetric", False) else 2**format.bits)
    assert shares.sum() == pytest.approx(1)
    if getattr(format, "symmetric", True):
        kept = groups.flatten()[: x.numel()]
        assert shares[-1] == pytest.approx(float((kept > 1 - 1e-6).float().mean()))
        assert shares[0] == pytest.approx(float((kept < -1 + 1e-6).float().mean()))


def test_codes_in_use_says_the_rarest_and_the_commonest():
    figure = lesson_figures.codes_in_use(torch.tensor([-3.0, 3, 3, 0]), {"three bits": Affine(bits=3)})
    assert figure.axes[0].get_title(loc="left") == "three bits: the rarest code 0.0%, the commonest 50.0%"
    assert [bar.get_height() for bar in figure.axes[0].patches] == pytest.approx([25, 0, 0, 25, 0, 0, 50])


def test_second_moments_count_what_even_steps_lose():
    v = torch.full((256,), 0.5)
    v[0], v[1:65] = 1, 1 / 600  # 64 of 256 below half a step
    figure = lesson_figures.second_moments(v, dynamic_code(signed=False))
    assert figure.axes[0].texts[0].get_text().startswith("even steps: 25.0%")
    lost = Affine(symmetric=False, block=256).quantize(v).dequantize() == 0
    assert int(lost.sum()) == 64
    levels = figure.axes[1].lines[1].get_xdata()
    assert len(levels) == 255 and min(levels) > 0


def test_a_loss_that_leaves_the_picture_is_marked():
    figure = lesson_figures.losses({"float32": [5.0, 4.0, 3.0], "dynamic": [5.0, 4.1, 3.1], "even": [5.0, 667.0, math.nan]})
    assert [text.get_text() for text in figure.axes[0].texts] == ["step 2: 667"]
    assert list(lines(figure.axes[0])["float32"].get_ydata()) == [5.0, 4.0, 3.0]
    assert list(lines(figure.axes[0])["even"].get_ydata()) == [5.0]
    ended = lesson_figures.losses({"even": [5.0, math.nan]})
    assert ended.axes[0].texts[0].get_text() == "step 2: no number"


def test_times_stand_over_the_longer_of_two_floors():
    times = {"float32": {1: 0.004, 64: 0.04}, "one row": {1: 0.001}}
    drawn = lines(lesson_figures.times_by_batch(times, nbytes=3e7, flops=1e7, bandwidth=1e10, peak=2e10).axes[0])
    floor = next(line for name, line in drawn.items() if "floor" in name)
    assert floor.get_ydata() == pytest.approx([3, 32])  # milliseconds: reading, then arithmetic
    assert drawn["float32"].get_ydata() == pytest.approx([4, 40])
    assert list(drawn["one row"].get_xdata()) == [1]


def test_nothing_to_draw_is_an_error():
    with pytest.raises(InputError, match="at least one format"):
        lesson_figures.bits_and_error(numbers((4, 4)), {"none": []})
    with pytest.raises(InputError, match="at least one time"):
        lesson_figures.times_by_batch({"none": {}}, 1, 1, 1, 1)
    with pytest.raises(InputError, match="finite loss"):
        lesson_figures.losses({"even": [math.nan]})
    for wrong in (torch.zeros(4), torch.tensor([1.0, -1.0])):
        with pytest.raises(InputError, match="second moments"):
            lesson_figures.second_moments(wrong, dynamic_code(signed=False))
