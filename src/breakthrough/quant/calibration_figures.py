"""The pictures of calibration: where GPTQ's error goes, and the slope that straight-through training pretends.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
Shape legend: N outputs, K inputs of a weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from breakthrough.errors import ConfigError, expected
from breakthrough.pictures import BLUE, GREY, INK, ORANGE, describe, new_figure
from breakthrough.quant.affine import Affine
from breakthrough.quant.gptq import gptq
from breakthrough.quant.hessian import Hessian
from breakthrough.quant.qat import straight_through
from breakthrough.quant.quantized import Format

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def weight_and_output_errors(weight: Tensor, hessian: Hessian, format: Format) -> Figure:
    """Rounding and GPTQ of one weight: each output's error in the weight, and what of it reaches the output.

    Shapes: weight (…) with its inputs along `hessian.axis`
    Units:  root mean square, as a share of the weight's and of the output's own
    Raises: what `gptq` raises
    """
    found = {"rounded to the nearest": format.quantize(weight.detach()), "rounded by GPTQ": gptq(weight, hessian, format)}
    points = {name: _errors(weight, stored.dequantize(torch.float32), hessian) for name, stored in found.items()}
    figure = new_figure(9, 4.6)
    axes = figure.subplots()
    before, after = points.values()
    for (x0, y0), (x1, y1) in zip(before.T, after.T):
        axes.plot([x0, x1], [y0, y1], color=GREY, lw=0.6, alpha=0.5, zorder=1)
    for (name, (x, y)), colour, marker in zip(points.items(), (BLUE, ORANGE), "os"):
        axes.scatter(x, y, s=26, c=colour, marker=marker, label=f"{name}: median {_median(x)} of the weight, {_median(y)} of the output")
    axes.set(xlabel="error in the weight, share of its size", ylabel="error in the output, share of its size", xlim=(0, None), ylim=(0, None))
    _percent(axes)
    _plain(axes)
    figure.legend(loc="outside upper left", fontsize=11, frameon=False, title="one point for each output; a line joins its two",
                  title_fontsize=11, alignment="left")
    said = (
        f"Scatter chart of {before.shape[1]} outputs: error in the output against error in the weight. Medians: "
        + "; ".join(f"{name} {_median(x)} of the weight and {_median(y)} of the output" for name, (x, y) in points.items()) + "."
    )
    return describe(figure, said)


def _errors(weight: Tensor, other: Tensor, hessian: Hessian) -> np.ndarray:
    """Each output's error in the weight and in the output, of those that are not zero. Shapes: → (2, N)."""
    rows = hessian.rows(weight.detach().float())
    off = rows - hessian.rows(other)
    sizes = torch.stack([rows.square().sum(-1).flatten(), hessian.row_errors(rows).flatten()])
    errors = torch.stack([off.square().sum(-1).flatten(), hessian.row_errors(off).flatten()])
    live = (sizes > 0).all(0) & (errors > 0).all(0)
    return (errors[:, live] / sizes[:, live]).sqrt().cpu().numpy()


def _median(shares: np.ndarray) -> str:
    return f"{100 * float(np.median(shares)):.1f}%"


def _percent(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda share, _: f"{100 * share:g}%")


def straight_through_slopes(bits: int = 3) -> Figure:
    """Rounding as a staircase with its true slope below, and the slope that straight-through training pretends.

    Units:  a range from −1 to 1, learned from numbers up to 1.4
    Raises: ConfigError for more bits than steps can be seen of
    """
    if not 2 <= bits <= 4:
        raise ConfigError(expected("2 to 4 bits, whose steps can be seen", bits))
    format = Affine(bits=bits)
    steps = format.highest
    x = torch.linspace(-1.4, 1.4, 5601, requires_grad=True)
    cut = x.clamp(-1, 1)
    y = straight_through(cut, format.quantize(cut.detach()).dequantize())
    (pretended,) = torch.autograd.grad(y.sum(), x)
    across, up = x.detach().numpy(), y.detach().numpy()
    figure = new_figure(9, 5)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    top.plot(across, np.clip(across, -1, 1), color=ORANGE, lw=2.2, ls="--", label="what the gradient sees")
    top.plot(across, up, color=BLUE, lw=2.2, label=f"what is computed: {2 * steps + 1} levels of {bits} bits")
    top.set(ylabel="weight in use")
    top.legend(loc="upper left", fontsize=11, frameon=False)
    jumps = across[1:][np.diff(up) > 0]
    bottom.plot(across, np.zeros_like(across), color=BLUE, lw=2.2)
    for jump in jumps:
        bottom.annotate("", (jump, 1.45), (jump, 0), arrowprops={"arrowstyle": "-|>", "color": BLUE, "lw": 1.4, "shrinkA": 0, "shrinkB": 0})
    bottom.plot(across, pretended.numpy(), color=ORANGE, lw=2.2, ls="--")
    bottom.set_title("pretended (dashed): 1 inside the range, 0 outside; true: 0, but for a jump between two levels", fontsize=10.5, loc="left", color=INK)
    bottom.set(xlabel="weight before rounding, in parts of the range", ylabel="slope", ylim=(-0.15, 1.6), xlim=(-1.4, 1.4), yticks=[0, 1])
    for axes in (top, bottom):
        _plain(axes)
    return describe(figure, f"Above, rounding as a staircase of {2 * steps + 1} levels beside the straight line that the gradient sees; below, their slopes: the true one 0 but for {len(jumps)} jumps, the pretended one 1 inside the range and 0 outside.")


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=10)
