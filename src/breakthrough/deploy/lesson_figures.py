"""The drawings of lesson 05 that no other file has: fusion by size, a search's trials, integer products, batches.

Every function returns a matplotlib Figure of its own. Colours are Okabe and Ito's; a mark or a word says the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.deploy.queueing import Served
from breakthrough.deploy.trials import Trials
from breakthrough.errors import InputError, expected
from breakthrough.language import counted
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, SKY, amounts, describe, ink_on, new_figure, readable, trends
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = ((RED, "X"), (ORANGE, "s"), (BLUE, "o"), (GREEN, "D"), (PURPLE, "^"))
Times = Mapping[str, Mapping[int, float]]


def fusion_by_size(times: Times, caches: Mapping[str, int]) -> Figure:
    """Time for each number of an array, by the array's size, a line a way; the caches' sizes marked.

    Units:  seconds by the array's bytes; caches in bytes
    Raises: InputError when there is nothing to draw
    """
    sizes = _keys(times)
    figure = new_figure(10, 4)
    axes = figure.subplots()
    for (name, row), (colour, mark) in zip(times.items(), STYLES):
        axes.plot(list(row), [1e9 * seconds / (size / 4) for size, seconds in row.items()], mark + "-", color=colour, ms=7, lw=1.5, label=name)
    axes.set(xscale="log", yscale="log", xlabel="size of one array", ylabel="nanoseconds a number")
    axes.set_xticks(sizes, [_size(size) for size in sizes])
    for name, size in caches.items():
        if sizes[0] < size <= sizes[-1]:
            axes.axvline(size, color=GREY, lw=1, ls=":")
            axes.text(size, axes.get_ylim()[1], f"{name} ends", fontsize=9, color=INK, ha="center", va="bottom")
    _finish_log(axes)
    said = (
        f"Lines on logarithmic axes: nanoseconds a number by the size of the array, {_size(sizes[0])} to {_size(sizes[-1])}; all rise beyond the caches. "
        + trends({name: [1e9 * seconds / (size / 4) for size, seconds in row.items()] for name, row in times.items()}, "{:.2f} ns") + "."
    )
    return describe(figure, said)


def best_so_far(found: Sequence[Trials], known: Mapping[str, float]) -> Figure:
    """Every trial of every search as a mark, the fastest so far as a line; times known from elsewhere as dashed lines.

    Units:  seconds; a trial that failed stands at the upper edge
    Raises: InputError without a trial that ran
    """
    finite = [s for one in found for s in one.seconds if math.isfinite(s)]
    if not finite:
        raise InputError(expected("a trial that ran", f"{sum(len(one.seconds) for one in found)} that did not"))
    top = 1.6e6 * max(*finite, *known.values(), 0)
    figure = new_figure(10, 4.4)
    axes = figure.subplots()
    for one, (colour, mark) in zip(found, STYLES):
        steps = np.arange(1, len(one.seconds) + 1)
        shown = [1e6 * s if math.isfinite(s) else top for s in one.seconds]
        axes.plot(steps, shown, mark, color=colour, ms=6, alpha=0.45)
        axes.step(steps, [1e6 * s if math.isfinite(s) else np.nan for s in one.best], where="post", color=colour, lw=2.2, marker=mark, markevery=[-1], ms=8, label=f"{one.name}: {1e6 * min(one.seconds):.1f} µs")
    for name, seconds in known.items():
        axes.axhline(1e6 * seconds, color=INK, lw=1, ls="--", zorder=0)
        axes.annotate(f"{name}: {1e6 * seconds:,.{0 if seconds > 1e-4 else 1}f} µs", (1, 1e6 * seconds), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center", fontsize=9.5, color=INK)
    if any(not math.isfinite(s) for one in found for s in one.seconds):
        axes.annotate("at this edge: candidates that failed", (1, top), (0, 5), textcoords="offset points", fontsize=9, color=INK)
    axes.set(yscale="log", xlabel="trial", ylabel="microseconds a run", ylim=(0.5e6 * min(*finite, *known.values()), 1.35 * top))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.locator_params(axis="x", integer=True)
    axes.legend(fontsize=10, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.14), ncols=3, title="fastest at the end", alignment="left")
    plain(axes)
    said = (
        "Marks for every trial and lines for the fastest so far, microseconds a run on a logarithmic scale. At the end: "
        + amounts({one.name: 1e6 * min(one.seconds) for one in found}, "{:.1f} µs") + "; known: " + amounts({name: 1e6 * s for name, s in known.items()}, "{:,.1f} µs") + "."
    )
    return describe(figure, said)


def product_times(times: Times) -> Figure:
    """A matrix product in several formats, a panel for each number of rows: seconds, and how many times as fast as the first.

    Raises: InputError when there is nothing to draw
    """
    rows = _keys(times)
    figure = new_figure(11, 0.42 * len(times) + 1.4)
    panels = figure.subplots(1, len(rows), squeeze=False, sharey=True)[0]
    first = next(iter(times.values()))
    for axes, count in zip(panels, rows):
        longest = 1e3 * max(row[count] for row in times.values())
        for place, (_name, row) in enumerate(times.items()):
            axes.barh(place, 1e3 * row[count], height=0.62, color=(GREY, BLUE, ORANGE, GREEN)[place % 4])
            axes.text(1e3 * row[count] + 0.02 * longest, place, f"{first[count] / row[count]:.2g} ×", va="center", fontsize=9.5, color=INK)
        axes.set_title(counted(count, "row"), fontsize=10.5)
        axes.set(xlabel="milliseconds", xlim=(0, 1.25 * longest), ylim=(len(times) - 0.5, -0.5))
        plain(axes)
    panels[0].set_yticks(range(len(times)), list(times))
    said = (
        "Bars of milliseconds for a matrix product in several formats. "
        + "; ".join(f"{counted(count, 'row')}: " + amounts({name: 1e3 * row[count] for name, row in times.items()}, "{:.2g} ms") for count in rows) + "."
    )
    return describe(figure, said)


def time_a_picture(times: Times) -> Figure:
    """Milliseconds for each picture by how many are asked at once; dashed, what would be if a batch cost no more than one.

    Raises: InputError when there is nothing to draw
    """
    sizes = _keys(times)
    figure = new_figure(9, 3.9)
    axes = figure.subplots()
    for (name, row), (colour, mark) in zip(times.items(), STYLES[2:]):
        first = next(iter(row.values())) / next(iter(row))
        axes.plot(list(row), [1e3 * seconds / size for size, seconds in row.items()], mark + "-", color=colour, ms=7, lw=1.6, label=name)
        axes.plot(list(row), [1e3 * first / size for size in row], "--", color=colour, lw=1, alpha=0.7)
    axes.plot([], [], "--", color=GREY, lw=1, label="if a batch took as long as one")
    axes.set(xscale="log", yscale="log", xlabel="pictures in a batch", ylabel="milliseconds a picture")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    _finish_log(axes)
    said = (
        f"Lines on logarithmic axes: milliseconds a picture by pictures in a batch, {sizes[0]} to {sizes[-1]}, and dashed if a batch took as long as one. "
        + trends({name: [1e3 * seconds / size for size, seconds in row.items()] for name, row in times.items()}, "{:.2g} ms") + "."
    )
    return describe(figure, said)


def timeline(found: Mapping[str, Served]) -> Figure:
    """When requests came, waited and were computed, a panel a policy: pale the wait, dark the run, its number in it.

    Units:  milliseconds from the first arrival
    """
    count = max(len(one.arrivals) for one in found.values())
    figure = new_figure(11, len(found) * (0.22 * count + 0.75))
    panels = figure.subplots(len(found), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (name, one) in zip(panels, found.items()):
        for number, run in enumerate(one.runs):
            for request in run.requests:
                came, start, end = (1e3 * (at - one.arrivals[0]) for at in (one.arrivals[request], run.start_s, run.end_s))
                axes.barh(request, start - came, left=came, color=PALE, ec=GREY, lw=0.6, height=0.8)
                axes.barh(request, end - start, left=start, color=(BLUE, SKY)[number % 2], height=0.8)
                axes.text((start + end) / 2, request, f"run {number + 1}", ha="center", va="center", fontsize=8, color=ink_on((BLUE, SKY)[number % 2]))
                axes.text(end, request, f" {end - came:.0f} ms", va="center", fontsize=8.5, color=INK)
        last = 1e3 * (one.runs[-1].end_s - one.arrivals[0])
        axes.set_title(f"{name}: {len(one.arrivals)} answered after {last:.0f} ms, the slowest took {1e3 * np.nanmax(one.latency):.0f} ms", fontsize=10.5, loc="left")
        axes.set(yticks=range(len(one.arrivals)), yticklabels=range(1, len(one.arrivals) + 1), ylabel="request")
        axes.invert_yaxis()
        plain(axes)
    panels[-1].set_xlabel("milliseconds; pale: waiting; blue: being computed")
    said = (
        "Bars over time: when each request waited and when it was computed, a panel a policy. "
        + "; ".join(axes.get_title(loc="left") for axes in panels) + "."
    )
    return describe(figure, said)


def throughput_and_p99(panels: Mapping[str, Mapping[str, Sequence[Served]]], deadline_s: float) -> Figure:
    """Requests answered a second against p99, a line a policy, from the lightest load to the heaviest; a panel an engine.

    Raises: InputError when there is nothing to draw
    """
    from matplotlib.ticker import LogLocator

    if not panels or not all(lines and all(lines.values()) for lines in panels.values()):
        raise InputError(expected("at least one policy at one load in every panel", "none"))
    figure = new_figure(11.5, 4.8)
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (title, lines) in zip(grid, panels.items()):
        for (name, row), (colour, mark) in zip(lines.items(), (STYLES[2], STYLES[3], STYLES[1], STYLES[4], STYLES[0])):
            _policy(axes, name, row, colour, mark)
        axes.axhline(1e3 * deadline_s, color=RED, lw=1, ls=":")
        axes.set(xscale="log", yscale="log", xlabel="answered a second")
        axes.set_title(title, fontsize=10.5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(lambda x, _: f"{x:,g}")
            axis.set_minor_formatter("")
        axes.grid(color="#dddddd", lw=0.6)
        axes.set_axisbelow(True)
        plain(axes)
    grid[0].set_ylabel("p99, milliseconds")
    grid[0].text(grid[0].get_xlim()[0], 1e3 * deadline_s, f" {1e3 * deadline_s:.0f} ms", va="bottom", fontsize=9, color=readable(RED))
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=10)
    said = (
        f"Lines on logarithmic axes: p99 in ms against requests answered a second, a line a policy, with a deadline of {1e3 * deadline_s:.0f} ms. At the heaviest load: "
        + "; ".join(f"{title}: " + amounts({name: row[-1].rate for name, row in lines.items()}, "{:,.0f} a second") for title, lines in panels.items()) + "."
    )
    return describe(figure, said)


def _policy(axes: Axes, name: str, row: Sequence[Served], colour: str, mark: str) -> None:
    rates, p99 = [one.rate for one in row], [1e3 * one.percentile(0.99) for one in row]
    axes.plot(rates, p99, "-", color=colour, lw=1.6)
    whole = [one.refused == 0 for one in row]
    axes.plot([x for x, ok in zip(rates, whole) if ok], [y for y, ok in zip(p99, whole) if ok], mark, color=colour, ms=6, label=name)
    axes.plot([x for x, ok in zip(rates, whole) if not ok], [y for y, ok in zip(p99, whole) if not ok], mark, color=colour, ms=6, mfc="white")


def _finish_log(axes: Axes) -> None:
    """Plain numbers at a logarithmic axis of times, and the legend beside it."""
    from matplotlib.ticker import LogLocator

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.legend(fontsize=10, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    plain(axes)


def _keys(times: Times) -> list[int]:
    found = sorted({size for row in times.values() for size in row})
    if not found:
        raise InputError(expected("at least one time", "none"))
    return found


def _size(nbytes: int) -> str:
    return f"{nbytes >> 20} MiB" if nbytes >= 1 << 20 else f"{nbytes >> 10} KiB"
