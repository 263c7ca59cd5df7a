"""The drawings of hand-made schedules: the ladder of their rates, and what a loop nest touches in which order.

Every function returns a matplotlib Figure of its own. Colours are Okabe and Ito's; a mark's shape says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.deploy.ladder import Ladder, Rung
from breakthrough.deploy.order import Order, order
from breakthrough.errors import InputError, expected
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PALE, RED, SKY, amounts, describe, ink_on, listed, new_figure, readable
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {"step": (BLUE, "o", "a step by hand"), "wrong": (RED, "X", "a step that does not help"), "library": (GREEN, "D", "a library")}
MATRICES = {"A": (ORANGE, "s"), "B": (BLUE, "o"), "C": (GREEN, "^")}


def draw_ladder(found: Ladder) -> Figure:
    """The rate of every rung as a dot with the middle half of its repeats; the peaks measured as lines.

    Single repeats are small bars. A step that TVM refused has a row with the reason and no dot.
    """
    figure = new_figure(10, 0.36 * len(found.rungs) + 1.7)
    axes = figure.subplots()
    lowest = 0.6 * min(found.flops / max(one.seconds) for one in found.rungs if one.seconds) / 1e9
    seen: set[str] = set()
    for row, one in enumerate(found.rungs):
        _draw_rung(axes, found, one, row, lowest, one.kind not in seen)
        seen |= {one.kind} if one.seconds else set()
    for count, peak in sorted(found.peaks.items()):
        axes.axvline(peak / 1e9, color=GREY, lw=1.5, ls="--" if count == 1 else ":", label=f"peak measured, {_threads(count)}: {peak / 1e9:.0f} GFLOP/s")
    best = max([*found.peaks.values(), *(found.flops / min(one.seconds) for one in found.rungs if one.seconds)]) / 1e9
    names = [one.name if one.threads == 1 else f"{one.name}, {_threads(one.threads)}" for one in found.rungs]
    axes.set_yticks(range(len(names)), names)
    axes.set(xscale="log", xlim=(lowest, 4.5 * best), ylim=(len(names) - 0.4, -0.6), xlabel="GFLOP/s (logarithmic): the median, and the middle half of the repeats")
    axes.set_title(f"{found.n} × {found.k} by {found.k} × {found.m} in float32 on {found.target}, {_threads(1)} unless said", fontsize=11)
    axes.grid(axis="x", color="#dddddd", lw=0.7)
    axes.set_axisbelow(True)
    plain(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9.5)
    said = (
        f"Dots on a logarithmic scale: GFLOP/s of each schedule of a product of {found.n} × {found.k} by {found.k} × {found.m}, beside the measured peak. "
        + amounts({one.name: found.rates(one)[0] / 1e9 for one in found.rungs if one.seconds}, "{:.3g}")
        + "".join(f"; {one.name} was refused" for one in found.rungs if not one.seconds) + "."
    )
    return describe(figure, said)


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"


def _draw_rung(axes: Axes, found: Ladder, rung: Rung, row: int, lowest: float, first: bool) -> None:
    colour, mark, label = KINDS[rung.kind]
    if not rung.seconds:
        axes.text(1.1 * lowest, row, "refused by TVM: it would change the answer", va="center", fontsize=9.5, color=readable(colour))
        return
    rate, low, high = (one / 1e9 for one in found.rates(rung))
    axes.plot([lowest, rate], [row, row], color=PALE, lw=6, solid_capstyle="butt", zorder=1)
    every = found.flops / np.array(rung.seconds) / 1e9
    axes.plot(every, [row] * len(every), "|-", color=colour, ms=8, lw=0.8, alpha=0.5)
    axes.errorbar(rate, row, xerr=[[rate - low], [high - rate]], color=colour, marker=mark, ms=7, capsize=3, lw=1.5, ls="none", label=label if first else None)
    share = found.share(rung)
    text = f"{rate:.3g}" + (f", {100 * share:.{0 if share >= 0.1 else 1}f}% of the peak" if share else "")
    axes.annotate(text, (max(every.max(), high), row), (8, 0), textcoords="offset points", va="center", fontsize=9.5, color=INK, bbox={"fc": "white", "ec": "none", "pad": 0.8}, zorder=4)


def draw_order(modules: Mapping[str, Any], shown: int = 32) -> Figure:
    """A row for each program: when its first products touch A, B and C, and at which addresses.

    A cell's number says which product was the first to touch it; products beyond `shown` are not drawn.

    Raises: InputError without a program, or for matrices too large to be drawn
    """
    if not modules:
        raise InputError(expected("at least one program", "none"))
    orders = {name: order(module) for name, module in modules.items()}
    largest = max(max(one.sides) for one in orders.values())
    if largest > 12:
        raise InputError(expected("matrices of at most 12 a side", largest, "a small program: schedule.program(name, 8, 8, 8, Tile(2, 4, 4, 4))"))
    figure = new_figure(12, 2.75 * len(orders) + 0.4)
    grid = figure.subplots(len(orders), 4, squeeze=False, width_ratios=[1, 1, 1, 1.9])
    for row, (name, one) in zip(grid, orders.items()):
        for axes, matrix in zip(row, "ABC"):
            _draw_touched(axes, one, matrix, shown)
        row[0].set_ylabel(name, fontsize=11)
        _draw_addresses(row[3], one, shown)
    highest = max(int(one.addresses[matrix][:shown].max()) for one in orders.values() for matrix in "ABC")
    for axes in grid[:, 3]:
        axes.set_ylim(-0.04 * highest, 1.06 * highest)  # one scale, so that rows can be compared
    grid[-1, 3].set_xlabel("product, in the program's order")
    grid[0, 3].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=10, handletextpad=0.2)
    figure.suptitle(f"The first {shown} products of each program: which was the first to touch a number", fontsize=11)
    said = (
        f"For each of {listed(orders)} grids of A, B and C with the product that first touched each number, and dots of the addresses over the first {shown} products. From one number of B to the next the same or a neighbour: "
        + amounts({name: 100 * np.mean(np.abs(np.diff(one.addresses["B"][:shown])) <= 1) for name, one in orders.items()}, "{:.0f}%") + "."
    )
    return describe(figure, said)


def _draw_touched(axes: Axes, found: Order, matrix: str, shown: int) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    first = found.first_touch(matrix, shown)
    shades = LinearSegmentedColormap.from_list("touch", ["#dcecf7", SKY, BLUE])
    axes.imshow(np.where(first < 0, np.nan, first), cmap=shades, vmin=0, vmax=shown - 1)
    for (row, column), time in np.ndenumerate(first):
        if time >= 0:
            axes.text(column, row, str(time), ha="center", va="center", fontsize=8, color=ink_on(shades(time / max(1, shown - 1))))
    axes.set_xticks(np.arange(first.shape[1] + 1) - 0.5, [])
    axes.set_yticks(np.arange(first.shape[0] + 1) - 0.5, [])
    axes.grid(color=GREY, lw=0.5)
    axes.tick_params(length=0)
    axes.set_title(f"{matrix}: {(first >= 0).sum()} numbers", fontsize=10, color=readable(MATRICES[matrix][0]))


def _draw_addresses(axes: Axes, found: Order, shown: int) -> None:
    for matrix, (colour, mark) in MATRICES.items():
        at = found.addresses[matrix][:shown]
        axes.plot(range(len(at)), at, mark, color=colour, ms=4, mfc=colour if matrix == "B" else "none", label=matrix)
    jumps = np.abs(np.diff(found.addresses["B"][:shown]))
    axes.set_title(f"from one number of B to the next: {np.mean(jumps <= 1):.0%} the same or a neighbour", fontsize=10)
    axes.set(ylabel="address, in numbers", xlim=(-1, shown))
    plain(axes)
