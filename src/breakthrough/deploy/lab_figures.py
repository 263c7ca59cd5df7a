"""The drawings of lab 05: what a learner's functions did, and what was measured of the nets and services.

Every function returns a matplotlib Figure of its own; nothing in here computes what an exercise asks for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.deploy.latency_figures import ms_axis
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PALE, RED, SKY, amounts, describe, listed, new_figure, trend, trends
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from breakthrough.deploy.served import Row, ServingTable
    from breakthrough.quant.inspecting import Answers

SHADES = {"holds": GREEN, "does not hold": SKY, "not shown": PALE, "unfair": GREY}
BESIDE = {"frameon": False, "fontsize": 9.5, "loc": "upper left", "bbox_to_anchor": (1.01, 1)}  # a legend's place
Read = Callable[[dict, dict, str, float], tuple[str, float | None]]
Percentile = Callable[[list[float], float], tuple[float, float, float]]


def sheet(width: float, height: float, panels: int = 1, **options: Any) -> tuple[Any, ...]:
    """A figure and its panels side by side. Units: inches."""
    figure = new_figure(width, height)
    axes = figure.subplots(1, panels, squeeze=False, **options)[0]
    for one in axes:
        plain(one)
    return figure, *axes


def draw_tiles(stored: Sequence[tuple[slice, slice]], shape: tuple[int, int], loaded: Mapping[int, int], size: int, tile: int) -> Figure:
    """The tiles of a product in the order of storing, and the numbers loaded by the size of tiles.

    Units:  `loaded` numbers by tile, of a product of `size` × `size`; `stored` with tiles of `tile`
    """
    figure, left, right = sheet(9, 3.2, 2)
    for turn, (rows, columns) in enumerate(stored):
        whole = columns.stop - columns.start == rows.stop - rows.start == tile
        left.fill_between([columns.start, columns.stop], rows.start, rows.stop, fc=SKY if whole else ORANGE, ec="white", lw=1.5)
        left.text((columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2, turn, ha="center", va="center", fontsize=9.5)
    title = f"c, {shape[0]} × {shape[1]}, in tiles of {tile}: the order of storing"
    left.set(xlim=(0, shape[1]), ylim=(shape[0], 0), title=title, aspect="equal")
    tiles = list(loaded)
    right.loglog(tiles, list(loaded.values()), "o-", color=BLUE, label="yours")
    right.loglog(tiles, [2 * size**3 / each for each in tiles], ":", color=INK, label=f"2 · {size}³ / tile")
    right.set(xlabel="tile", ylabel="numbers loaded", xticks=tiles, xticklabels=tiles, title=f"{size} × {size} times {size} × {size}")
    right.minorticks_off()
    right.legend(frameon=False, fontsize=9.5)
    said = f"Left {len(stored)} tiles of a matrix of {shape[0]} × {shape[1]}, numbered in the order of storing; those cut off at an edge have another colour. Right lines: numbers loaded by the size of tiles, {trend(tiles, '{:g}')}: {trend(loaded.values(), '{:,.0f}')}."
    return describe(figure, said)


def draw_traffic(counted: Mapping[int, Mapping[str, Sequence[int]]]) -> Figure:
    """Numbers moved for a row of scores, by the width of the values. Units: scores and weights first, values second."""
    figure, axes = sheet(7, 2.9)
    for at, ways in enumerate(counted.values()):
        for place, (name, counts) in enumerate(ways.items()):
            y, first = at + 0.4 * place - 0.2, at == place == 0
            axes.barh(y, counts[0], 0.36, color=ORANGE, label="scores and weights" if first else None)
            axes.barh(y, counts[1], 0.36, left=counts[0], color=SKY, label="values" if first else None)
            axes.text(sum(counts) + 500, y, f"{name}: {sum(counts):,}", va="center", fontsize=9)
    most = max(sum(counts) for ways in counted.values() for counts in ways.values())
    axes.set(yticks=range(len(counted)), yticklabels=[f"d = {d}" for d in counted])
    axes.set(xlabel="numbers moved", xlim=(0, 1.34 * most))
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=9.5)
    said = (
        "Stacked bars: numbers moved for a row of scores, by the width d of the values. "
        + "; ".join(f"d = {d}: " + amounts({name: sum(counts) for name, counts in found.items()}, "{:,}") for d, found in counted.items()) + "."
    )
    return describe(figure, said)


def draw_kernels(seconds: Mapping[str, float], flops: float, peak: float, baseline: str, mine: str = "yours") -> Figure:
    """The rates of kernels under the machine's peak. Units: seconds of a call, FLOP/s."""
    figure, axes = sheet(8, 2.7)
    rates = [flops / each / 1e9 for each in seconds.values()]
    axes.barh(list(seconds), rates, color=[BLUE if name == mine else SKY for name in seconds])
    white = {"fc": "white", "ec": "none", "pad": 1}
    for at, (rate, each) in enumerate(zip(rates, seconds.values())):
        axes.text(1.06 * rate, at, f"{1e3 * each:.3g} ms, {seconds[baseline] / each:.3g} ×", va="center", fontsize=9.5, bbox=white)
    axes.axvline(peak / 1e9, color=INK, ls="--", lw=1)
    axes.set(xscale="log", xlabel="GFLOP/s (dashed: the peak measured above)", xlim=(min(0.5, *rates), 5 * peak / 1e9))
    axes.invert_yaxis()
    said = (
        f"Bars on a logarithmic scale: GFLOP/s of kernels beside a peak of {peak / 1e9:.0f}. "
        + amounts(dict(zip(seconds, rates)), "{:.3g}") + f"; yours takes {seconds[mine] / seconds[baseline]:.2g} times as long as {baseline}." * (mine in seconds)
    )
    return describe(figure, said)


def draw_accumulator(tops: Mapping[str, Sequence[float]], bits: Sequence[int], sums: Mapping[str, tuple[Any, Any]], width: int) -> Figure:
    """The largest codes by the bits of the accumulator, and what sums reach in one of `width` bits.

    Shapes: sums: a name → sums of random inputs, sums of the worst inputs
    """
    figure, left, right = sheet(11, 3.2, 2)
    for (name, each), look, colour in zip(tops.items(), ("o-", "s--", "^:"), (BLUE, ORANGE, GREEN)):
        left.plot(bits, each, look, color=colour, label=name)
    left.set(xlabel="bits of the accumulator", ylabel="largest code, mean of channels", xticks=bits)
    left.legend(frameon=False, fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(tops))
    for at, (drawn, worst) in enumerate(sums.values()):
        names = (None, None) if at else ("2,000 random inputs", "each channel's worst")
        right.plot([float(drawn.min()) / 1e3, float(drawn.max()) / 1e3], [at, at], color=BLUE, lw=7, solid_capstyle="butt", label=names[0])
        right.plot(np.asarray(worst) / 1e3, [at] * len(worst), "|", color=RED, ms=16, label=names[1])
    for end in (-(2 ** (width - 1)), 2 ** (width - 1) - 1):
        right.axvline(end / 1e3, color=INK, ls="--", lw=1)
    right.set(yticks=range(len(sums)), yticklabels=list(sums), ylim=(len(sums) - 0.3, -0.6))
    right.set(xlabel=f"the sum, in thousands (dashed: the ends of {width} bits)")
    right.legend(frameon=False, fontsize=9, loc="lower right", ncols=2)
    said = (
        f"Left lines: the largest code by the bits of the accumulator, {trend(bits, '{:g}')}: {trends(tops)}. Right: the sums that random and worst inputs reach of {listed(sums)}, beside the ends of {width} bits; worst sums beyond them: "
        + str(sum(int(np.sum(np.abs(np.asarray(worst, float)) > 2 ** (width - 1))) for _, worst in sums.values())) + "."
    )
    return describe(figure, said)


def draw_percentiles(latencies_s: Sequence[float], percentile: Percentile, counts: Sequence[int]) -> Figure:
    """Percentiles of the first runs with their intervals; hollow and dotted where nothing bounds them from above."""
    from matplotlib.ticker import NullLocator

    figure, axes = sheet(8.5, 3.6)
    fastest, ceiling = 1e3 * min(latencies_s), 1e3 * max(latencies_s) * 1.3
    for shift, (percent, look, colour) in zip((0.93, 1, 1.075), ((50, "o", BLUE), (90, "s", ORANGE), (99, "^", RED))):
        for n in counts:
            value, low, high = (1e3 * one for one in percentile(list(latencies_s[:n]), percent))
            known = math.isfinite(high)
            ends = [max(low, 0.9 * fastest), high if known else ceiling]
            axes.plot([n * shift] * 2, ends, "-" if known else ":", color=colour, lw=2.5 if known else 1.2)
            label = f"p{percent}" if n == counts[-1] else None
            axes.plot(n * shift, value, look, color=colour, mfc=colour if known else "white", label=label)
    axes.set(xscale="log", xlabel="runs", ylabel="ms", title="intervals of 95%; hollow and dotted: no upper bound")
    axes.set(xticks=counts, xticklabels=counts, ylim=(0.85 * fastest, ceiling))
    axes.xaxis.set_minor_locator(NullLocator())
    ms_axis(axes.yaxis)
    axes.legend(**BESIDE)
    said = (
        f"Dots with 95% intervals on logarithmic axes: percentiles of the first {listed(f'{n:,}' for n in counts)} runs in ms; hollow where nothing bounds them from above. With all runs: "
        + amounts({f"p{percent}": 1e3 * percentile(list(latencies_s[: counts[-1]]), percent)[0] for percent in (50, 90, 99)}, "{:.3g} ms") + "."
    )
    return describe(figure, said)


def draw_verdicts(table: Mapping[str, dict], read: Read, tolerance: float) -> tuple[Figure, dict[str, int]]:
    """Every row of a table against every other by latency and throughput, and how many fair pairs each question had."""
    figure, *panels = sheet(11.5, 3.9, 2, sharey=True)
    fair = {}
    for axes, what in zip(panels, ("latency", "throughput")):
        verdicts = {(a, b): read(table[a], table[b], what, tolerance) for a, b in itertools.permutations(table, 2)}
        fair[what] = sum(verdicts[pair][0] != "unfair" for pair in itertools.combinations(table, 2))
        _verdict_panel(axes, list(table), verdicts)
        axes.set(title=f"{what}: is the row faster than the column?")
    said = f"Two tables of {listed(table)} against each other by latency and by throughput: is the row faster than the column? Fair pairs: {amounts(fair)}."
    return describe(figure, said), fair


def _verdict_panel(axes: Axes, rows: list[str], verdicts: Mapping[tuple[str, str], tuple[str, float | None]]) -> None:
    for (row, column), (verdict, ratio) in verdicts.items():
        y, x = rows.index(row), rows.index(column)
        axes.fill_between([x, x + 1], y, y + 1, fc=SHADES[verdict], ec="white", lw=2)
        text = verdict if ratio is None else f"{verdict}\n{ratio:.2f} ×"
        axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=8)
    names, places = [name.replace(" ", "\n", 1) for name in rows], np.arange(len(rows)) + 0.5
    axes.set(xlim=(0, len(rows)), ylim=(len(rows), 0), xticks=places, yticks=places, yticklabels=names)
    axes.set_xticklabels(names, fontsize=8.5)


def draw_batching(loads: Sequence[float], told: Mapping[str, np.ndarray]) -> Figure:
    """What rules of batching do under load. Shapes: told: a rule → (loads, 3): share refused, p99 in ms, answered a second."""
    figure, *panels = sheet(11.5, 3.2, 3)
    looks = (("s--", RED, 1.5, 4), ("o-", SKY, 4, 8), ("^:", INK, 1.2, 3.5))  # what lies below is wider, so both are seen
    for (name, values), (look, colour, width, size) in zip(told.items(), looks):
        for axes, of in zip(panels, (values[:, 2], values[:, 1], 100 * values[:, 0])):
            axes.plot(loads, of, look, color=colour, lw=width, ms=size, label=name)
    for axes, label in zip(panels, ("answered a second", "p99 of the answered, ms", "refused, %")):
        axes.set(xlabel="requests, × what one by one serves", ylabel=label, ylim=(0, None))
    panels[0].legend(frameon=False, fontsize=9)
    said = (
        f"Three line charts over load, {trend(loads, '{:g}')} times what one by one serves: answered a second, p99 in ms, and per cent refused. At the highest load: "
        + "; ".join(f"{name} answers {values[-1][2]:,.0f}, p99 {values[-1][1]:.3g} ms, refuses {100 * values[-1][0]:.0f}%" for name, values in told.items()) + "."
    )
    return describe(figure, said)


def draw_recall(answers: Answers, names: Mapping[str, str]) -> Figure:
    """The recall of every class by several versions, with intervals of 95%. Shapes: names: a version → what it is called."""
    figure, axes = sheet(9.5, 3)
    for place, ((name, called), look, colour) in enumerate(zip(names.items(), "os^", (INK, BLUE, ORANGE))):
        for at, share in enumerate(answers.recall(name).values()):
            x = at + 0.2 * (place - 1)
            axes.plot([x, x], [100 * share.low, 100 * share.high], color=colour, lw=1.5)
            axes.plot(x, 100 * share.value, look, color=colour, label=None if at else called, clip_on=False)
    axes.set(xticks=range(len(answers.classes)), xticklabels=answers.classes, ylabel="recall, % (95%)", ylim=(-4, 103))
    axes.legend(**BESIDE)
    said = (
        f"Dots with 95% intervals: recall of each of {len(answers.classes)} classes by {listed(names.values())}. Mean of the classes: "
        + amounts({called: 100 * np.nanmean([share.value for share in answers.recall(name).values()]) for name, called in names.items()}, "{:.1f}%") + "."
    )
    return describe(figure, said)


def draw_serving(tables: Mapping[str, ServingTable], clients: Sequence[int]) -> Figure:
    """Throughput and p99 by the number of clients, with batches and one by one; lines are the runs' range."""
    from matplotlib.ticker import NullLocator

    figure, *panels = sheet(11.5, 3.3, 2)
    for (name, told), colour in zip(tables.items(), (BLUE, ORANGE)):
        for side, look, called in (("batched", "o-", "batches"), ("single", "s--", "one by one")):
            for axes, what in zip(panels, ("throughput", "p99_ms")):
                values = [_values(row, side, what) for row in told.rows]
                filled = colour if side == "batched" else "white"
                axes.loglog(clients, [float(np.median(each)) for each in values], look, color=colour, mfc=filled, label=f"{name}, {called}")
                axes.vlines(clients, [min(each) for each in values], [max(each) for each in values], color=colour, lw=1)
    for axes, label in zip(panels, ("answered a second", "p99, ms")):
        axes.set(xlabel="clients", ylabel=label, xticks=clients, xticklabels=clients)
        axes.xaxis.set_minor_locator(NullLocator())
        ms_axis(axes.yaxis)
    panels[1].legend(**BESIDE)
    said = (
        f"Two line charts by clients, {trend(clients, '{:g}')}: answered a second, and p99 in ms. Answered a second with batches and one by one at the most clients: "
        + "; ".join(f"{name} {np.median(_values(one.rows[-1], 'batched', 'throughput')):,.0f} and {np.median(_values(one.rows[-1], 'single', 'throughput')):,.0f}" for name, one in tables.items()) + "."
    )
    return describe(figure, said)


def _values(row: Row, side: str, what: str) -> list[float]:
    return [getattr(run, what) for run in getattr(row, side)]
