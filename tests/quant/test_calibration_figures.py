"""The pictures of calibration say what was computed."""

import re

import pytest
import torch

from breakthrough.errors import ConfigError
from breakthrough.quant.affine import Affine
from breakthrough.quant.calibration_figures import straight_through_slopes, weight_and_output_errors
from breakthrough.quant.hessian import Hessian


def test_gptq_is_further_off_in_the_weight_and_nearer_in_the_output():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, 24, generator=g) @ torch.randn(24, 24, generator=g)
    hessian = Hessian((x.T @ x / 200)[None], x.abs().mean(0)[None], torch.full((1,), 200.0))
    weight = torch.randn(10, 24, generator=g)
    weight[3] = 0  # no share of nothing
    figure = weight_and_output_errors(weight, hessian, Affine(bits=3, axis=0))
    shown = [points.get_offsets().data for points in figure.axes[0].collections]
    assert [len(points) for points in shown] == [9, 9]
    said = [[float(n) for n in re.findall(r"([\d.]+)%", t.get_text())] for t in figure.legends[0].get_texts()]
    assert said[1][0] > said[0][0] and said[1][1] < said[0][1]
    off = weight - Affine(bits=3, axis=0).quantize(weight).dequantize()
    by_hand = torch.stack([off.norm(dim=1) / weight.norm(dim=1), (x @ off.T).norm(dim=0) / (x @ weight.T).norm(dim=0)], 1)
    assert torch.allclose(torch.from_numpy(shown[0]).float(), by_hand[weight.any(1)], rtol=1e-3)


def test_the_staircase_and_its_pretended_slope():
    top, bottom = straight_through_slopes(2).axes
    seen, computed = (line.get_ydata() for line in top.lines)
    assert sorted(set(computed.tolist())) == [-1.0, 0.0, 1.0] and abs(seen - computed).max() <= 0.5 + 1e-3
    true, pretended = (line.get_ydata() for line in bottom.lines)
    x = bottom.lines[1].get_xdata()
    assert not true.any() and (pretended == (abs(x) <= 1)).all()
    with pytest.raises(ConfigError, match="2 to 4 bits"):
        straight_through_slopes(8)
