"""Pictures of grids: where levels stand among the weights, what an outlier does, two codes in a byte.

Every function returns a matplotlib Figure of its own. Colours are told apart by every eye, and said in words too.

Shape legend: N numbers
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from breakthrough.errors import InputError, ShapeError, expected
from breakthrough.pictures import BLUE, GREY, INK, ORANGE, PALE, RED, SKY, amounts, describe, listed, new_figure
from breakthrough.quant.affine import Affine
from breakthrough.quant.blockwise import Blockwise
from breakthrough.quant.nf4 import OUTERMOST, FourBit, nf4_levels
from breakthrough.quant.quantized import Format, check_numbers
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Levels = Affine | FourBit | Blockwise  # formats whose levels can be drawn
GRIDS: dict[str, Levels] = {
    "int8, one scale": Affine(),
    "int4, one scale": Affine(bits=4),
    "int4, blocks of 64": Affine(bits=4, block=64),
    "FP4, blocks of 64": FourBit("fp4", double=False),
    "NF4, blocks of 64": FourBit(double=False),
    "dynamic int8, blocks of 256": Blockwise(search="nearest"),
}


def error_percent(x: Tensor, format: Format) -> float:
    """The root mean square of what a format changes. Units: percent of the root mean square of x."""
    x = x.float()
    return 100 * float((format.quantize(x).dequantize() - x).norm() / x.norm())


def levels_of(format: Levels) -> Tensor:
    """A format's levels as shares of the absmax. Shapes: → (K,) float32, ascending."""
    if isinstance(format, Affine):
        return torch.arange(format.lowest, format.highest + 1) / format.highest
    return (format.codebook() if isinstance(format, FourBit) else format.code()).sort().values


def grids(weights: Tensor, formats: Mapping[str, Levels] | None = None) -> Figure:
    """Weights as shares of their group's absmax, and the levels that each format has for them.

    Shapes: weights of any shape
    """
    shown = formats or GRIDS
    x = check_numbers(weights.detach().cpu()).float()
    figure = new_figure(9, 1.35 * len(shown) + 0.5)
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, format) in zip(panels, shown.items()):
        _grid(axes, x, name, format)
    panels[-1].set_xlabel("weight as a share of its group's largest magnitude; every line is a level")
    said = (
        "Histograms of weights as shares of their group's largest, with each format's levels as lines below. Error: "
        + amounts({name: error_percent(x, format) for name, format in shown.items()}, "{:.2g}%") + "."
    )
    return describe(figure, said)


def _grid(axes: Axes, x: Tensor, name: str, format: Levels) -> None:
    groups = format.groups(x)
    scaled = (groups / groups.abs().amax(1, keepdim=True).clamp(min=1e-38)).flatten()[: x.numel()]
    heights, _, _ = axes.hist(scaled.numpy(), bins=121, range=(-1.02, 1.02), color=SKY)
    levels, top = levels_of(format), max(heights)
    axes.vlines(levels.numpy(), -0.34 * top, -0.04 * top, color=BLUE, lw=0.5 if len(levels) > 16 else 1.6)
    stored = format.quantize(x)
    axes.set_title(name, fontsize=10.5, loc="left", pad=3)
    axes.set_title(f"{stored.bits_per_weight:.2f} bits a weight, error {error_percent(x, format):.2g}%", fontsize=10.5, loc="right", pad=3)
    axes.set(xlim=(-1.04, 1.04), ylim=(-0.38 * top, 1.05 * top), yticks=[])
    plain(axes)
    axes.spines["left"].set_visible(False)


def outlier(weights: Tensor, size: float = 20.0, block: int = 64, bits: int = 4) -> Figure:
    """The same row of weights three times: as it is, with one outlier on one scale, and with it in blocks.

    Shapes: weights (N,), at least two blocks
    Units:  size: the outlier's magnitude in standard deviations of the weights
    """
    if weights.dim() != 1 or len(weights) < 2 * block:
        raise ShapeError(expected(f"a row of at least {2 * block} weights", tuple(weights.shape)))
    calm = check_numbers(weights.detach().cpu()).float()
    loud = calm.clone()
    loud[place := len(calm) * 3 // 5] = size * calm.std()
    figure = new_figure(9, 6.6)
    panels = figure.subplots(3, 1, sharex=True)
    one, blocks = Affine(bits=bits), Affine(bits=bits, block=block)
    texts = ("one scale, no outlier", "one scale, one outlier", f"the same outlier, a scale for every {block}")
    for axes, x, format, text in zip(panels, (calm, loud, loud), (one, one, blocks), texts):
        _row(axes, x, format, text, place if x is loud else None)
    for edge in range(block, len(calm), block):
        panels[2].axvline(edge - 0.5, color=GREY, lw=0.8, ls="--")
    panels[-1].set_xlabel("place in the row")
    panels[0].legend(loc="upper right", fontsize=9.5, ncols=2, frameon=False)
    said = (
        f"Three panels of the same {len(calm)} weights as dots, with what {bits} bits store of them as dashes: "
        + "; ".join(axes.get_title(loc="left") for axes in panels) + "."
    )
    return describe(figure, said)


def _row(axes: Axes, x: Tensor, format: Affine, text: str, place: int | None) -> None:
    back, rest = format.quantize(x).dequantize(), torch.ones(len(x), dtype=torch.bool)
    if place is not None:
        rest[place] = False
    spread = float(x[rest].abs().max()) * 1.25
    axes.plot(x.numpy(), "o", ms=3.2, color=GREY, label="weight")
    axes.plot(back.numpy(), "_", ms=5, mew=1.6, color=RED, label="what is stored")
    axes.set(ylim=(-spread, 1.6 * spread), ylabel="weight")
    if place is not None:
        axes.annotate("", (place, 1.55 * spread), (place, 1.1 * spread), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.4})
        axes.text(place + 3, 1.32 * spread, f"outlier at {float(x[place]):.2g}", va="center", fontsize=10)
    gone = int(((back == 0) & (x != 0))[rest].sum())
    error = 100 * float((back - x)[rest].norm() / x[rest].norm())
    axes.set_title(f"{text}: the others are {error:.0f}% off, {gone} of {int(rest.sum())} became 0", fontsize=10.5, loc="left")
    plain(axes)


def quantile_levels() -> Figure:
    """NF4's levels under the normal distribution: between two neighbours lies the same share of the weights."""
    figure = new_figure(9, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    outermost = float(torch.special.ndtri(torch.tensor(OUTERMOST, dtype=torch.float64)))
    x = torch.linspace(-1.3, 1.3, 521)
    density = torch.exp(-0.5 * (x * outermost) ** 2)
    levels = nf4_levels()
    for index, (left, right) in enumerate(itertools.pairwise(levels)):
        inside = torch.linspace(float(left), float(right), 30)
        upper.fill_between(inside.numpy(), torch.exp(-0.5 * (inside * outermost) ** 2).numpy(), color=ORANGE if index % 2 else SKY, alpha=0.75, lw=0)
    upper.plot(x.numpy(), density.numpy(), color=INK, lw=1.4)
    mass = torch.special.ndtr(levels.double() * outermost).diff()
    upper.text(-0.62, 0.87, f"each of 7 areas: {100 * float(mass[0]):.1f}%", ha="center", fontsize=10.5)
    upper.text(0.62, 0.87, f"each of 8 areas: {100 * float(mass[-1]):.1f}%", ha="center", fontsize=10.5)
    upper.set(ylim=(0, 1.05), yticks=[], ylabel="weights")
    upper.set_title("NF4: between two levels lies the same share of a normal distribution", fontsize=11, loc="left")
    rows = {"NF4": levels, "int4": levels_of(Affine(bits=4)), "FP4": levels_of(FourBit("fp4"))}
    for row, (_name, points) in enumerate(rows.items()):
        lower.plot(points.numpy(), [-row] * len(points), "|", ms=13, mew=1.8, color=(BLUE, GREY, RED)[row])
    lower.set(ylim=(-2.6, 0.6), yticks=[0, -1, -2], yticklabels=list(rows), xlabel="level, as a share of the block's absmax")
    for axes in (upper, lower):
        plain(axes)
        axes.spines["left"].set_visible(False)
    said = f"A bell curve cut at NF4's {len(levels)} levels into areas of equal share, {100 * float(mass[0]):.1f}% each on the left and {100 * float(mass[-1]):.1f}% on the right; below it the levels of NF4, int4 and FP4. NF4's are close together near 0, int4's evenly apart."
    return describe(figure, said)


def packing(numbers: Tensor) -> Figure:
    """A few numbers, their NF4 codes, the codes' bits, and the bytes in which they lie two by two.

    Shapes: numbers (N,), 2 to 10
    """
    if numbers.dim() != 1 or not 2 <= len(numbers) <= 10:
        raise ShapeError(expected("a row of 2 to 10 numbers", tuple(numbers.shape)))
    x = check_numbers(numbers.detach().cpu()).float()
    if not x.any():
        raise InputError(expected("a number other than 0", "only zeros"))
    format = FourBit(double=False)
    groups = format.groups(x)
    codes = format.encode(groups, format.scales(groups)).flatten()[: len(x) + len(x) % 2]  # an odd one gets a zero beside it
    figure = new_figure(9, 3.3)
    axes = figure.subplots()
    axes.set(xlim=(-1.5, len(x) + len(x) % 2), ylim=(-3.9, 0.75))
    axes.axis("off")
    for row, name in enumerate(("number", "code", "bits", "byte")):
        axes.text(-0.15, -row, name, ha="right", va="center", fontsize=11)
    for place, (number, code) in enumerate(zip(x.tolist(), codes.tolist())):
        colour = ORANGE if place % 2 else SKY
        axes.text(place + 0.5, 0, f"{number:.2f}".replace("-", "−"), ha="center", va="center", fontsize=11)
        axes.text(place + 0.5, -1, str(code), ha="center", va="center", fontsize=11)
        _box(axes, place, -2, 1, f"{code:04b}", colour)
    if len(x) % 2:
        axes.text(len(x) + 0.5, -1, "filler", ha="center", va="center", fontsize=11)
        _box(axes, len(x), -2, 1, f"{int(codes[-1]):04b}", PALE)
    for place, byte in enumerate(format.quantize(x).parts["codes"].tolist()):
        _box(axes, 2 * place, -3, 2, f"{byte} = 0x{byte:02X}", PALE)
    axes.text(-1.45, 0.62, f"{len(x)} numbers, {4 * len(x)} bytes as float32", fontsize=11)
    axes.text(-1.45, -3.78, f"{-(-len(x) // 2)} bytes, and {float(x.abs().max()):.2f} once: the block's absmax", fontsize=11)
    return describe(figure, f"Table: {len(x)} numbers, their NF4 codes {listed(str(code) for code in codes[: len(x)].tolist())}, the codes' four bits, and the {-(-len(x) // 2)} bytes in which they lie two by two.")


def _box(axes: Axes, left: float, middle: float, width: float, text: str, fill: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((left + 0.04, middle - 0.36), width - 0.08, 0.72, fc=fill, ec=INK, lw=0.8))
    axes.text(left + width / 2, middle, text, ha="center", va="center", fontsize=11, family="monospace")
