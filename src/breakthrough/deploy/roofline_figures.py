"""The drawings of the roof: a net's operators under it, and how fast each level of memory is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from breakthrough.deploy.latency_figures import COLOURS, GRID, MARKS
from breakthrough.deploy.operators import Profile
from breakthrough.deploy.roofline import MEMORY, Level, Machine
from breakthrough.language import counted
from breakthrough.pictures import GREY, INK, amounts, describe, new_figure
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 7  # kinds of operators with a colour of their own


def draw_roofline(machine: Machine, profile: Profile | None = None, *, threads: int | None = None, title: str = "") -> Figure:
    """A machine's roofs, and a net's operators as points: as large as their share of the time."""
    count = threads or (profile.threads if profile else machine.roofs[0].threads)
    roof = machine.roof(count)
    figure = new_figure(9.6, 5.2)
    axes = figure.subplots()
    intensity = np.geomspace(1 / 16, 1024, 300)
    for level in roof.levels:
        slope = [roof.rate(x, level=level.name) / 1e9 for x in intensity]
        axes.plot(intensity, slope, color=INK if level.name == MEMORY else GREY, lw=2 if level.name == MEMORY else 1.1, ls="-" if level.name == MEMORY else "--")
    for place, alike in enumerate(_alike(reversed(roof.levels))):
        names, bandwidth = ", ".join(level.name for level in reversed(alike)), alike[0].bandwidth
        _along(axes, bandwidth, f"{names} {bandwidth / 1e9:.0f} GB/s", 0.09 * 2.2**place if place else 1.6)  # few dots lie there
    for dtype, peak in roof.peaks.items():
        axes.axhline(peak / 1e9, color=INK, lw=1, ls=":")
        axes.text(1000, 1.1 * peak / 1e9, f"{dtype}: {peak / 1e9:.0f} GFLOP/s", ha="right", fontsize=9, color=INK)
    lowest = _points(axes, profile) if profile else 1.0
    axes.set(xscale="log", yscale="log", xlabel="FLOPs for each byte moved", ylabel="GFLOP/s", xlim=(1 / 16, 1024))
    axes.set_ylim(min(lowest / 2, 0.3), 2.2 * max(roof.peaks.values()) / 1e9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    plain(axes)
    name = f"{profile.name}: " if profile else ""
    axes.set_title(title or f"{name}{machine.name}, {counted(count, 'thread')}", fontsize=10.5)
    said = (
        f"Roofs on logarithmic axes, GFLOP/s against FLOPs for each byte moved: memory {roof.levels[-1].bandwidth / 1e9:.0f} GB/s, " + amounts({dtype: peak / 1e9 for dtype, peak in roof.peaks.items()}, "{:.0f} GFLOP/s")
        + ("." if profile is None else f". The operators of {title or profile.name} as points below them; most of the time goes to {next(iter(profile.by_kind()))}.")
    )
    return describe(figure, said)


def _alike(levels: Iterable[Level]) -> list[list[Level]]:
    """Levels in groups whose lines would cover each other, for one label each."""
    groups: list[list[Level]] = []
    for level in levels:
        if groups and MEMORY not in (level.name, groups[-1][0].name) and abs(level.bandwidth / groups[-1][0].bandwidth - 1) < 0.15:
            groups[-1].append(level)
        else:
            groups.append([level])
    return groups


def _along(axes: Axes, bandwidth: float, text: str, at: float) -> None:
    axes.text(at, at * bandwidth / 1e9, text, fontsize=8.5, color=INK, rotation=0, ha="left", va="center", bbox={"fc": "white", "ec": "none", "pad": 1, "alpha": 0.85})


def _points(axes: Axes, profile: Profile) -> float:
    """Draw the operators that compute, kinds apart; the lowest rate."""
    computing = [one for one in profile.operators if one.flops and one.seconds]
    total, kinds = sum(one.seconds for one in profile.operators), list(profile.by_kind())
    for place, kind in enumerate(kinds):
        of = [one for one in computing if one.name == kind]
        if not of:
            continue
        share = sum(one.seconds for one in of) / total
        sizes = [30 + 1500 * one.seconds / total for one in of]
        named = place < NAMED
        colour = COLOURS[1 + place % (len(COLOURS) - 1)] if named else GREY
        axes.scatter([one.intensity for one in of], [one.rate / 1e9 for one in of], s=sizes, marker=MARKS[place % len(MARKS)] if named else ".", color=colour, alpha=0.75, ec="white", lw=0.6, zorder=3, label=f"{kind}: {len(of)} call{'s' if len(of) > 1 else ''}, {100 * share:.0f}% of the time")
    legend = axes.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    for handle in legend.legend_handles:
        cast(Any, handle).set_sizes([60])
    return min((one.rate for one in computing), default=1e9) / 1e9
