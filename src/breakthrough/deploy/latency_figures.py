"""The drawings of what was timed: distributions with their percentiles, tables, latency against size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from breakthrough.deploy.latency import PERCENTILES, Latencies, milliseconds, speed_text
from breakthrough.scenes.diagrams import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (INK, BLUE, ORANGE, GREEN, PURPLE, RED, SKY, GREY)
STYLES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (3, 3)), (0, (1, 3)))
MARKS = "osD^vPX*"
GRID = "#dddddd"


def draw_latencies(found: Latencies, title: str = "") -> Figure:
    """The share of calls that took at most so long, with p50, p90 and p99 marked where there were runs enough."""
    figure = new_figure(8.6, 4.4)
    axes = figure.subplots()
    for place, one in enumerate(found.samples):
        ms = 1e3 * np.sort(one.all_s)
        colour, speed = COLOURS[place % 8], speed_text(found.speedup(one.name))
        label = f"{one.name}: p50 {milliseconds(one.p50_s)} ms" + ("" if one.name == found.baseline else f", {speed}")
        axes.step(ms, np.arange(1, len(ms) + 1) / len(ms), where="post", color=colour, ls=STYLES[place % 8], lw=1.8, label=label)
        for p in PERCENTILES:
            if each := one.quantile(p):
                axes.plot([1e3 * each.low, 1e3 * each.high], [p, p], color=colour, lw=4, alpha=0.35, solid_capstyle="butt")
                axes.plot(1e3 * each.value, p, MARKS[place % 8], color=colour, ms=6, mec="white", mew=0.6)
    _percentile_axis(axes)
    ms_axis(axes.xaxis)
    axes.set_xlabel("ms a call")
    axes.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1), title=f"× speed of {found.baseline}" if len(found.samples) > 1 else None, title_fontsize=9)
    axes.set_title(title or f"{found.machine}, {found.threads} thread(s)", fontsize=10.5)
    return figure


def _percentile_axis(axes: Axes) -> None:
    """The upper tail stretched, as it is what matters: the axis is the logarithm of the share above."""
    ticks = (0, 0.5, 0.9, 0.99, 0.999)
    axes.set_yscale("function", functions=(lambda y: -np.log10(np.clip(1.001 - y, 1e-4, None)), lambda z: 1.001 - 10 ** -np.asarray(z)))
    axes.set_yticks(ticks, ["0", "p50", "p90", "p99", "p99.9"])
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of calls at most so long")
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    plain(axes)


def ms_axis(axis: object) -> None:
    """A logarithmic axis in ms with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    if high / low < 4:
        subs = tuple(np.arange(1, 10, 0.5 if high / low < 2 else 1.0))
    axis.set_major_locator(LogLocator(base=10, subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_locator(NullLocator())
