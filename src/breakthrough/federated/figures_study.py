"""What federation costs, as a picture.

Every function returns a matplotlib Figure of its own. Colours are Okabe and Ito's; a mark's shape says the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from breakthrough.federated.study import ALONE, Losses
from breakthrough.pictures import BLUE, GREEN, INK, ORANGE, PURPLE, RED, amounts, describe, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "#dddddd"
MARKS = {"plain": (BLUE, "o"), "masked": (GREEN, "s"), "encrypted": (ORANGE, "D"), ALONE: (RED, "X")}
PRIVATE = (PURPLE, "v")
GOAL = 1.0  # point


def draw_losses(found: Losses, goal: float = GOAL) -> Figure:
    """Points of accuracy lost against training in one place, mean and 95% interval over seeds.

    The axis is linear up to the goal and logarithmic beyond: what is below one point and what is dead both show.
    """
    rows = list(found.runs)
    figure = new_figure(8, 0.42 * len(rows) + 1.5)
    axes = figure.subplots()
    axes.axvline(0, color=INK, lw=1)
    axes.axvspan(-goal, goal, color=BLUE, alpha=0.08, lw=0)
    for place, (setting, protection) in enumerate(rows):
        lost = found.lost(setting, protection)
        colour, mark = MARKS.get(protection, PRIVATE)
        axes.errorbar(lost.mean, place, xerr=lost.half, color=colour, marker=mark, ms=8, capsize=4, lw=1.8)
        axes.plot(_each(found, setting, protection), [place] * len(found.seeds), "|", color=colour, ms=10, alpha=0.6)
        axes.annotate(f"{lost.mean:.1f}", (lost.mean, place), (0, 9), textcoords="offset points", ha="center", fontsize=9, color=INK)
    axes.set_yticks(range(len(rows)), [f"{setting} · {protection}" for setting, protection in rows])
    axes.set_ylim(len(rows) - 0.4, -0.7)
    axes.set_xscale("symlog", linthresh=2 * goal, linscale=1.2)
    ticks = [-1, 0, 1, 2, 5, 10, 20, 50, 100]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(-2, 130)
    axes.set_xlabel("accuracy lost, percentage points (shaded: within 1 point of training in one place)")
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Central {100 * found.central.mean:.1f}%; {len(found.seeds)} seeds, 95% intervals; bars | are single seeds", fontsize=10)
    said = (
        f"Dots with 95% intervals over {len(found.seeds)} seeds: points of accuracy lost against training in one place. "
        + amounts({f"{setting}, {protection}": found.lost(setting, protection).mean for setting, protection in rows}, "{:.1f}") + "."
    )
    return describe(figure, said)


def _each(found: Losses, setting: str, protection: str) -> tuple[float, ...]:
    return found.lost(setting, protection).values
