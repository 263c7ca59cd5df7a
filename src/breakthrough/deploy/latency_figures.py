"""The drawings of what was timed: distributions with their percentiles, tables, latency against size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.deploy.latency import PERCENTILES, Latencies, milliseconds, speed_text
from breakthrough.deploy.latency_table import Cell, Table
from breakthrough.deploy.limits import CLAIMED, DEADLINES_S, MEANS, Limits
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, amounts, describe, listed, new_figure, readable
from breakthrough.scenes.diagrams import plain

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
    axes.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1), title=f"speed; {found.baseline} = 1" if len(found.samples) > 1 else None, title_fontsize=9)
    axes.set_title(title or f"{found.machine}, {_threads(found.threads)}", fontsize=10.5)
    said = (
        "Curves: the share of calls that took at most so long, the upper tail stretched. Median of a call: "
        + amounts({one.name: 1e3 * one.p50_s for one in found.samples}, "{:.3g} ms") + "."
    )
    return describe(figure, said)


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


def ms_axis(axis: Any) -> None:
    """A logarithmic axis in ms with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    low, high = axis.get_view_interval()
    subs: tuple[float, ...] = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    if high / low < 4:
        subs = tuple(np.arange(1, 10, 0.5 if high / low < 2 else 1.0))
    axis.set_major_locator(LogLocator(base=10, subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_locator(NullLocator())


def draw_table(found: Table) -> Figure:
    """The speed of every way against eager, a panel a net: bars are medians over blocks, lines their intervals.

    A hollow bar is a way whose answers are too far off for its speed to count.
    """
    nets, batches = list(dict.fromkeys(cell.net for cell in found.cells)), list(dict.fromkeys(cell.batch for cell in found.cells))
    ways = list(dict.fromkeys(way.name for cell in found.cells for way in cell.ways))
    figure = new_figure(3.1 * len(nets) + 1.8, 0.26 * len(ways) * (len(batches) + 1) + 1.4)
    speeds = [cell.latencies.speedup(name).value for cell in found.cells for name in cell.latencies.names]
    low, high = min(0.5, min(speeds)) / 5, 3 * max(2.0, *speeds)
    ticks = [tick for tick in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30) if low < tick < high]
    for axes, net in zip(figure.subplots(1, len(nets), squeeze=False, sharey=True)[0], nets):
        for cell in (cell for cell in found.cells if cell.net == net):
            _bars(axes, cell, ways, batches.index(cell.batch), len(batches))
        axes.axvline(1, color=INK, lw=1)
        axes.set(xscale="log", xlim=(low, high), xlabel="× the speed of eager", ylim=(len(ways) - 0.5, -0.5))
        axes.set_title(net, fontsize=10.5)
        axes.set_yticks(range(len(ways)), ways)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.grid(axis="x", color=GRID, lw=0.7)
        axes.set_axisbelow(True)
        plain(axes)
    by = ", of CPU time where the machine was busy" if any(cell.latencies.clock == "cpu" for cell in found.cells) else ""
    figure.suptitle(f"{found.machine}, {_threads(found.threads)}; p50 in ms beside the bars{by}", fontsize=10.5)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=9, frameon=False, loc="outside lower center", ncols=max(1, len(batches)))
    said = (
        "Bars with intervals on a logarithmic scale: the speed of every way against eager, a panel a net. "
        + "; ".join(f"{cell.net}, batch {cell.batch}: " + amounts({name: faster.value for name in ways if (faster := cell.speedup(name)) and not cell.errs(name)}, "{:.2g} ×") for cell in found.cells) + "."
    )
    return describe(figure, said)


def _bars(axes: Axes, cell: Cell, ways: list[str], place: int, count: int) -> None:
    """Bars from 1: to the right what is faster than eager. A logarithmic axis has no 0 for them to start from."""
    height, named = 0.8 / count, False
    for at, name in enumerate(ways):
        y, speed = at + (place - (count - 1) / 2) * height, cell.speedup(name)
        if speed is None:
            axes.text(1.06, y, "fails" if name in {way.name for way in cell.ways} else "–", va="center", fontsize=8.5, color=INK)
            continue
        colour, errs = (SKY, ORANGE, GREEN)[place % 3], cell.errs(name)
        label = None if named or errs else f"batch {cell.batch}"
        axes.barh(y, speed.value - 1, left=1, height=0.9 * height, fc="white" if errs else colour, ec=colour, label=label)
        named, faster = named or not errs, speed.value >= 1
        bounded = speed.high < 1e3
        if bounded:
            axes.plot([speed.low, speed.high], [y, y], color=INK, lw=1.2)
        edge = (max if faster else min)(1, speed.value, *((speed.low, speed.high) if bounded else ()))
        text = milliseconds(cell.latencies[name].p50_s) + (f", errs by {cell.way(name).error:.1f}" if errs else "")
        axes.text(edge * (1.06 if faster else 1 / 1.06), y, text, va="center", ha="left" if faster else "right", fontsize=8.5, color=INK)


def draw_limits(found: Limits, way: str | None = None) -> Figure:
    """Latency against parameters, and against the least that the roof allows: which of the two sets it."""
    way = way or found.variants[0]
    nets = [net for net in found.nets if net.ms(way) is not None]
    figure = new_figure(11, 4.8)
    left, right = figure.subplots(1, 2, sharey=True)
    for place, family in enumerate(dict.fromkeys(net.family for net in nets)):
        of = [net for net in nets if net.family == family]
        p50 = [net.ms(way) for net in of]
        for axes, x in ((left, [net.params / 1e6 for net in of]), (right, [1e3 * net.bound_s for net in of])):
            colour = COLOURS[1 + place]
            axes.plot(x, p50, MARKS[place], ls=STYLES[place], color=colour, ms=7, lw=1.2, mec="white", mew=0.6, label=MEANS[family])
            for net, at, middle in zip(of, x, p50):
                top = net.ms(way, 0.9)
                if top:
                    axes.plot([at, at], [middle, top], color=colour, lw=3, alpha=0.4)
    for axes in (left, right):
        for deadline in DEADLINES_S:
            axes.axhline(1e3 * deadline, color=RED, lw=1, ls=":")
        axes.set(xscale="log", yscale="log")
        axes.grid(color=GRID, lw=0.7)
        axes.set_axisbelow(True)
        plain(axes)
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.xaxis.set_minor_formatter("")  # within a decade they would run into each other
    for deadline in DEADLINES_S:
        left.text(min(net.params for net in nets) / 1e6, 1e3 * deadline * 1.08, f"{1e3 * deadline:.0f} ms", fontsize=8.5, color=readable(RED), bbox={"fc": "white", "ec": "none", "pad": 0.8}, zorder=3)
    left.axvline(CLAIMED / 1e6, color=GREY, lw=1.2, ls="--")
    left.text(CLAIMED / 1e6 * 0.9, left.get_ylim()[0] * 1.3, "50 M", fontsize=8.5, color=INK, ha="right")
    ends = np.array([min(1e3 * net.bound_s for net in nets), max(1e3 * net.bound_s for net in nets)])
    right.plot(ends, ends, color=INK, lw=1.4, label="the roof itself")
    r2 = (found.explained("params", way), found.explained("bound_s", way)) if len(nets) > 2 else (float("nan"),) * 2
    left.set(xlabel="million parameters", ylabel="ms a picture, p50 with p90 above")
    right.set_xlabel("ms that the roof allows at least")
    left.set_title(f"against parameters: R² {r2[0]:.2f}, {len(nets)} nets", fontsize=10.5)
    right.set_title(f"against operations and bytes: R² {r2[1]:.2f}, {len(nets)} nets", fontsize=10.5)
    right.legend(fontsize=8.5, frameon=False, loc="lower right")
    figure.suptitle(f"{way}, batch 1: {found.machine.name}, {_threads(found.threads)}", fontsize=10.5)
    said = f"Two scatter charts on logarithmic axes with lines: latency of {len(nets)} nets by {way} against parameters, R² {r2[0]:.2f}, and against the least that the roof allows, R² {r2[1]:.2f}; dotted lines are deadlines of {listed(f'{1e3 * one:.0f} ms' for one in DEADLINES_S)}."
    return describe(figure, said)


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
