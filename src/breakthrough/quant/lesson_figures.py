"""The drawings of lesson 04 that no other file has: error per bit, codes in use, second moments, times by batch.

Every function returns a matplotlib Figure of its own. Colours are Okabe and Ito's; a mark or a word says the same.

Shape legend: N numbers, G blocks of B numbers, K codes
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from breakthrough.errors import InputError, expected
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, amounts, describe, new_figure, readable, trend, trends
from breakthrough.quant import grouping
from breakthrough.quant.grid import Levelled
from breakthrough.quant.grids_figures import error_percent
from breakthrough.quant.quantized import Format, check_numbers
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ((INK, "s"), (BLUE, "o"), (GREEN, "D"), (PURPLE, "^"), (ORANGE, "v"), (RED, "X"))
HALF_STEP = 1 / 510  # of a largest number in 255 even steps from 0: what is smaller becomes 0


def bits_and_error(x: Tensor, formats: Mapping[str, Sequence[Format]]) -> Figure:
    """The error of every format by the bits of its codes, and a line that halves with each bit.

    Shapes: x of any shape
    Units:  error in percent of the root mean square of x
    Raises: InputError when there is nothing to draw
    """
    if not any(formats.values()):
        raise InputError(expected("at least one format", "none"))
    figure = new_figure(9, 3.8)
    axes = figure.subplots()
    for (name, row), (colour, mark) in zip(formats.items(), STYLES):
        axes.plot([one.bits for one in row], [error_percent(x, one) for one in row], mark, color=colour, ms=8, label=name)
    first = next(row for row in formats.values() if row)
    bits = np.array(sorted({one.bits for row in formats.values() for one in row}))
    last = max(first, key=lambda one: one.bits)  # where steps are small, half of the error a bit is exact
    axes.plot(bits, error_percent(x, last) * 2.0 ** (last.bits - bits), color=GREY, lw=1.2, ls="--", zorder=0, label="half for every bit: 6 dB")
    axes.set_yscale("log")
    axes.set_yticks([0.3, 1, 3, 10, 30, 100], ["0.3%", "1%", "3%", "10%", "30%", "100%"])
    axes.minorticks_off()
    axes.set(xticks=bits, xlabel="bits a code", ylabel="error, share of the weights' size")
    axes.legend(fontsize=10, frameon=False)
    plain(axes)
    said = (
        "Dots on a logarithmic scale: error by bits a code, with a line that halves for each bit. "
        + "; ".join(f"{name}: " + amounts({f"{one.bits} bits": error_percent(x, one) for one in (row if len(row) < 2 else (row[0], row[-1]))}, "{:.2g}%") for name, row in formats.items() if row) + "."
    )
    return describe(figure, said)


def codes_in_use(x: Tensor, formats: Mapping[str, Levelled]) -> Figure:
    """How many of the numbers each code of a format stands for, a panel a format.

    Shapes: x of any shape
    """
    x = check_numbers(x.detach().cpu()).float()
    figure = new_figure(9, 1.9 * len(formats))
    panels = figure.subplots(len(formats), 1, squeeze=False, sharey=True)[:, 0]
    for axes, (name, format), colour in zip(panels, formats.items(), (GREY, BLUE, GREEN, ORANGE)):
        shares = code_shares(x, format)
        axes.bar(range(len(shares)), 100 * shares, color=colour, width=0.8)
        axes.axhline(100 / len(shares), color=INK, lw=1, ls="--")
        axes.set_title(f"{name}: the rarest code {100 * shares.min():.1f}%, the commonest {100 * shares.max():.1f}%", fontsize=10.5, loc="left")
        axes.set(xticks=range(len(shares)), ylabel="% of weights")
        plain(axes)
    panels[-1].set_xlabel("code, from the lowest level to the highest; dashed: all alike")
    said = (
        "Bars: how many of the weights each code stands for. "
        + "; ".join(axes.get_title(loc="left") for axes in panels) + "; dashed: all alike."
    )
    return describe(figure, said)


def code_shares(x: Tensor, format: Levelled) -> np.ndarray:
    """The share of the numbers that each code has, from the lowest level to the highest.

    Shapes: x of any shape → (K,)
    """
    groups = format.groups(x)
    codes = format.encode(groups, format.scales(groups)).flatten()[: x.numel()].int()
    lowest = getattr(format, "lowest", 0)
    count = format.highest - lowest + 1 if hasattr(format, "highest") else 1 << format.bits
    return (torch.bincount(codes - lowest, minlength=count) / len(codes)).numpy()


def second_moments(v: Tensor, code: Tensor, block: int = 256) -> Figure:
    """How Adam's second moments are spread below their block's largest, and the levels that two codes have there.

    Shapes: v (N,), none below 0; code (K,), levels from 0 to 1
    Units:  the share of v in the title becomes 0 in 255 even steps
    Raises: InputError for a number below 0, or nothing but zeros
    """
    if float(check_numbers(v).min()) < 0 or not v.any():
        raise InputError(expected("second moments: 0 and above, not all 0", f"from {float(v.min()):.3g} to {float(v.max()):.3g}"))
    groups = grouping.blocks(v.detach().cpu().float(), block)
    share = (groups / groups.amax(1, keepdim=True).clamp(min=1e-38)).flatten()[: v.numel()]
    lost = 100 * float((share < HALF_STEP).float().mean())
    figure = new_figure(9, 4.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    edges = np.geomspace(1e-7, 1, 71)
    heights, _, _ = top.hist(share.clamp(min=1e-7).numpy(), bins=edges, color=PURPLE)
    top.axvspan(1e-7, HALF_STEP, color=RED, alpha=0.12, lw=0)
    top.text(1.3e-7, 0.97 * max(heights), f"even steps: {lost:.1f}% of all lie here and become 0", fontsize=10.5, color=INK, va="top")
    top.set(xscale="log", yticks=[], ylabel="second moments")
    for row, (levels, colour) in enumerate(((np.arange(1, 256) / 255, RED), (code[code > 0].numpy(), BLUE))):
        bottom.plot(levels, [-row] * len(levels), "|", ms=13, mew=0.7, color=colour)
    bottom.set(ylim=(-1.6, 0.6), yticks=[0, -1], yticklabels=["even", "dynamic"], xlim=(1e-7, 1.15), xlabel="as a share of the block's largest; every line below is a level")
    for axes in (top, bottom):
        plain(axes)
    said = f"Histogram on a logarithmic scale of Adam's second moments as shares of their block's largest, over the levels of two codes: 255 even steps end where {lost:.1f}% of the moments are smaller and become 0; the dynamic code reaches far below."
    return describe(figure, said)


def losses(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Training losses by step. A curve that leaves the picture, or ends in what is no number, is marked where it does.

    Units:  nats a byte
    Raises: InputError for a curve that begins with what is no number
    """
    for name, row in curves.items():
        if not row or not math.isfinite(row[0]):
            raise InputError(expected("curves that begin with a finite loss", f"{list(row)[:1]} in {name!r}"))
    top = 1.3 * max(row[0] for row in curves.values())
    figure = new_figure(9, 3.6)
    axes = figure.subplots()
    for (name, row), (colour, _), width in zip(curves.items(), STYLES[:1] + STYLES[1:2] + STYLES[5:], (4.5, 1.8, 1.8)):
        inside = next((step for step, loss in enumerate(row) if not loss <= top), len(row))
        axes.plot(range(1, inside + 1), row[:inside], color=colour, lw=width, alpha=0.35 if width > 2 else 1, label=name)
        if inside < len(row):
            value = f"{row[inside]:.3g}" if math.isfinite(row[inside]) else "no number"
            axes.plot([inside, inside + 1], [row[inside - 1], top], color=colour, lw=width)
            axes.annotate(f"step {inside + 1}: {value}", (inside + 1, top), (10, -12), textcoords="offset points", fontsize=10.5, color=readable(colour))
    axes.set(xlabel="step", ylabel="loss, nats a byte", ylim=(None, top))
    axes.legend(fontsize=10, frameon=False, loc="upper right")
    plain(axes)
    said = (
        "Lines of training loss by step, nats a byte. "
        + "; ".join(f"{name} {trend([x for x in row if x <= top], '{:.2f}')}" + (f", then leaves the picture at step {next(i for i, x in enumerate(row) if not x <= top) + 1}" if not all(x <= top for x in row) else "") for name, row in curves.items()) + "."
    )
    return describe(figure, said)


def times_by_batch(times: Mapping[str, Mapping[int, float]], nbytes: float, flops: float, bandwidth: float, peak: float) -> Figure:
    """A layer's time by batch, measured, over two floors: to read its float32 weight, and to do its arithmetic.

    Units:  seconds; nbytes of the weight, flops for one row; bandwidth in bytes a second, peak in flops a second
    Raises: InputError when there is nothing to draw
    """
    from matplotlib.ticker import LogLocator

    if not any(times.values()):
        raise InputError(expected("at least one time", "none"))
    batches = np.array(sorted({batch for row in times.values() for batch in row}))
    figure = new_figure(9, 4.8)
    axes = figure.subplots()
    axes.plot(batches, 1e3 * np.maximum(nbytes / bandwidth, batches * flops / peak), color=GREY, lw=7, alpha=0.35, solid_capstyle="butt", label="float32's floor: the longer of reading and arithmetic")
    for (name, row), (colour, mark) in zip(times.items(), STYLES):
        axes.plot(list(row), [1e3 * seconds for seconds in row.values()], mark + "-", color=colour, ms=7, lw=1.5, label=name)
    axes.set(xscale="log", yscale="log", xlabel="rows multiplied at once: the batch", ylabel="milliseconds")
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.legend(fontsize=10, frameon=False)
    plain(axes)
    said = (
        f"Lines on logarithmic axes: a layer's milliseconds by batch, from {batches[0]} to {batches[-1]}, over the floor of reading and arithmetic. "
        + trends({name: [1e3 * s for s in row.values()] for name, row in times.items() if row}, "{:.2g} ms") + "."
    )
    return describe(figure, said)
