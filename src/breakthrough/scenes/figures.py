"""The charts of lesson and lab 02: z-buffers, motion, shadows, how far sets of pictures are apart, what they cost.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
Shape legend: N pictures, H × W pixels, S steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.pictures import BLUE, COLOURS, GREEN, GREY, INK, ORANGE, PURPLE, RED, amounts, describe, listed, new_figure, trends
from breakthrough.scenes.diagrams import plain
from breakthrough.scenes.materials import to_linear

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = ((BLUE, "-"), (RED, "--"), (GREEN, "-."), (PURPLE, ":"))
MARKS = "os^D"
MOST_DRIFT = 8  # tolerances: what goes farther leaves the picture


def zbuffer(near_m: float, far_m: float, marks_m: Sequence[float], bits: Sequence[int] = (16, 24)) -> Figure:
    """What a z-buffer holds at each depth, and how deep one of its steps is.

    Units: a step is far · near / (far − near) · 2^−bits turned back into depth, drawn in millimetres
    """
    figure = new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    depth = np.geomspace(near_m, far_m, 400)
    left.plot(depth, _held(depth, near_m, far_m), color=BLUE, lw=2)
    left.plot([near_m, far_m], [0, 1], color=GREY, lw=1, ls=":")
    left.text(0.6 * far_m, 0.5, "if it were linear", fontsize=9.5, color="#666666")
    for mark in marks_m:
        held = _held(mark, near_m, far_m)
        left.scatter([mark], [held], c=RED, s=35, zorder=3)
        left.annotate(f"{mark:g} m → {held:.3f}", (mark, held), (10, -4), textcoords="offset points", fontsize=10, va="top")
    left.set(xlabel="depth, m", ylabel="value in the z-buffer", xlim=(0, far_m), ylim=(0, 1.04))
    for n, (colour, style) in zip(bits, LINES):
        step = 1000 * depth**2 * (far_m - near_m) / (far_m * near_m) / 2**n
        right.plot(depth, step, color=colour, ls=style, lw=2, label=f"{n} bits")
    right.set(xlabel="depth, m", ylabel="one step of the buffer, mm", xscale="log", yscale="log")
    right.set_xticks([0.05, 0.1, 0.2, 0.5, 1, 2], ["0.05", "0.1", "0.2", "0.5", "1", "2"])
    right.minorticks_off()
    right.legend(frameon=False, fontsize=10)
    for axes in (left, right):
        plain(axes)
    said = (
        f"Two line charts over depth from {near_m:g} to {far_m:g} m. The value in the z-buffer rises steeply, then flattens: {listed(f'{mark:g} m is held as {_held(mark, near_m, far_m):.3f}' for mark in marks_m)}. "
        f"One step of the buffer grows with the square of depth, and is smaller with {bits[-1]} bits than with {bits[0]}."
    )
    return describe(figure, said)


def _held(depth_m: np.ndarray | float, near_m: float, far_m: float) -> np.ndarray | float:
    return far_m / (far_m - near_m) * (1 - near_m / depth_m)


def speeds(traces: Mapping[str, np.ndarray], step_s: float, rest_m_s: float) -> Figure:
    """The speed of a body over simulated time, on a logarithmic scale, with the limit below which it counts as calm.

    Shapes: each trace (S,), in m/s
    Units:  speeds below 0.01 mm/s are drawn there
    """
    figure = new_figure(9, 3.6)
    axes = figure.subplots()
    for (name, trace), (colour, style) in zip(traces.items(), LINES):
        time = 1000 * step_s * (1 + np.arange(len(trace)))
        axes.plot(time, np.maximum(1000 * np.asarray(trace), 0.01), color=colour, ls=style, lw=1.8, label=name)
    axes.axhline(1000 * rest_m_s, color=INK, lw=1, ls=(0, (6, 3)))
    axes.text(0.995, 1000 * rest_m_s * 0.85, f"calm: below {1000 * rest_m_s:g} mm/s", ha="right", va="top", fontsize=10, transform=axes.get_yaxis_transform())
    axes.set(xlabel="simulated time, ms", ylabel="speed, mm/s", yscale="log", ylim=(0.008, 3000), xlim=(0, None))
    axes.legend(frameon=False, fontsize=10, loc="upper right", ncols=len(traces))
    plain(axes)
    said = (
        f"Lines on a logarithmic scale: the speed of a body over simulated time, and the limit of {1000 * rest_m_s:g} mm/s below which it is calm. Below it for good after "
        + amounts({name: 1000 * step_s * (1 + max(np.flatnonzero(np.asarray(trace) > rest_m_s), default=-1)) for name, trace in traces.items()}, "{:.0f} ms") + "."
    )
    return describe(figure, said)


def drift(traces: Mapping[str, np.ndarray], step_s: float, window_s: float, tolerance_m: float) -> Figure:
    """How far the body that moves most is from where it ends, over the last part of recordings; a panel each.

    Shapes: each trace (S, N, 3), in metres
    Units:  drawn in micrometres over milliseconds before the end; the shaded box is as long as the window
            and as high as the tolerance: what rests stays in it
    """
    figure = new_figure(9, 2.7)
    for axes, (name, trace), (colour, _) in zip(figure.subplots(1, len(traces), squeeze=False)[0], traces.items(), LINES):
        tail = trace[-round(1.4 * window_s / step_s) :]
        body, axis = np.unravel_index(np.argmax(np.ptp(tail, axis=0)), tail.shape[1:])
        way = 1e6 * tail[:, body, axis]
        within = way[-round(window_s / step_s) - 1 :]
        rests = np.ptp(within) <= 1e6 * tolerance_m
        way = way - ((within.max() + within.min()) / 2 if rests else way[-1])
        time = 1000 * step_s * np.arange(1 - len(tail), 1)
        axes.fill_between([-1000 * window_s, 0], -5e5 * tolerance_m, 5e5 * tolerance_m, fc=GREY, alpha=0.35, lw=0)
        axes.plot(time, way, color=colour, lw=1.8)
        reach = np.clip(1.05 * np.abs(way).max(), 1e6 * tolerance_m, MOST_DRIFT * 1e6 * tolerance_m)
        axes.set(xlabel="ms before the end", ylim=(-reach, reach))
        axes.set_title(name, fontsize=11)
        plain(axes)
    figure.axes[0].set_ylabel("motion, µm")
    said = f"Lines: how the body that moves most goes over the last part of {len(traces)} recordings, {listed(traces)}, in micrometres; the shaded box is {1000 * window_s:g} ms long and {1e6 * tolerance_m:g} µm high, and what rests stays in it."
    return describe(figure, said)


def shadow(pictures: Mapping[str, np.ndarray], row: int) -> Figure:
    """One row of pixels through pictures of one scene: the pictures, and the light along that row.

    Shapes: each picture (H, W, 3) uint8
    Units:  light is linear, 1 is white, averaged over the colour channels
    """
    figure = new_figure(9, 3.1)
    panels = figure.subplots(1, len(pictures) + 1, width_ratios=[1] * len(pictures) + [1.25])
    for axes, (name, rgb), (colour, style) in zip(panels, pictures.items(), LINES):
        axes.imshow(rgb, interpolation="nearest")
        axes.axhline(row, color=colour, ls=style, lw=2)
        axes.set_title(name, fontsize=11)
        axes.axis("off")
        panels[-1].plot(to_linear(rgb[row] / 255).mean(axis=-1), color=colour, ls=style, lw=1.8, label=name)
    panels[-1].set(xlabel="column, px", ylabel="light (1 is white)", ylim=(0, None))
    panels[-1].legend(frameon=False, fontsize=9.5)
    plain(panels[-1])
    said = (
        f"Pictures of one scene by {listed(pictures)}, and lines of the light along pixel row {row}. Darkest and brightest of the row: "
        + "; ".join(f"{name} {light.min():.2f} and {light.max():.2f}" for name, light in ((n, to_linear(rgb[row] / 255).mean(axis=-1)) for n, rgb in pictures.items())) + "."
    )
    return describe(figure, said)


def histograms(sets: Mapping[str, np.ndarray]) -> Figure:
    """How often each pixel value occurs, one line for each set of pictures.

    Shapes: each set (N, H, W, 3) uint8 or one picture (H, W, 3)
    Units:  per cent of all values in 32 bins of 8
    """
    figure = new_figure(8, 3.1)
    axes = figure.subplots()
    edges = np.arange(0, 257, 8)
    for (name, pixels), (colour, style) in zip(sets.items(), LINES):
        share = 100 * np.histogram(pixels, edges)[0] / np.size(pixels)
        axes.stairs(share, edges, color=colour, ls=style, lw=1.8, label=name)
    axes.set(xlabel="pixel value", ylabel="share of the values, %", xlim=(0, 256), ylim=(0, None))
    axes.legend(frameon=False, fontsize=10)
    plain(axes)
    said = (
        "Lines: how often each pixel value occurs in a set of pictures, in 32 bins. The fullest bin holds "
        + amounts({name: 100 * np.histogram(pixels, edges)[0].max() / np.size(pixels) for name, pixels in sets.items()}, "{:.0f}%") + " of the values."
    )
    return describe(figure, said)


def clouds(sets: Mapping[str, np.ndarray]) -> Figure:
    """Every picture as a point: how bright it is, and how much it varies.

    Shapes: each set (N, H, W, 3) uint8
    Units:  mean and standard deviation of the pixel values, 0 to 255
    """
    figure = new_figure(7.5, 3.9)
    axes = figure.subplots()
    for (name, pixels), colour, mark in zip(sets.items(), (GREY, ORANGE, BLUE, GREEN), MARKS):
        grey = np.asarray(pixels, float).mean(axis=-1)  # (N, H, W)
        axes.scatter(grey.mean((1, 2)), grey.std((1, 2)), c=colour, marker=mark, s=32, ec=INK, lw=0.5, label=name)
    axes.set(xlabel="mean pixel value", ylabel="standard deviation", xlim=(0, 255), ylim=(0, None))
    axes.legend(frameon=False, fontsize=10)
    plain(axes)
    said = (
        "Scatter chart: a point for each picture, by the mean of its pixel values and their standard deviation. Means reach "
        + "; ".join(f"{name} from {means.min():.0f} to {means.max():.0f}" for name, means in ((n, np.asarray(p, float).mean((1, 2, 3))) for n, p in sets.items())) + "."
    )
    return describe(figure, said)


def scores(named: Mapping[str, Sequence[float]], chance: float) -> Figure:
    """Shares of right answers: a bar for each mean, a dot for each seed, a line for guessing."""
    figure = new_figure(6.5, 0.55 * len(named) + 1.0)
    axes = figure.subplots()
    for y, ((_name, values), colour) in enumerate(zip(named.items(), COLOURS)):
        axes.barh(y, 100 * np.mean(values), color=colour, ec=INK, lw=0.8, height=0.6)
        axes.scatter(100 * np.asarray(values), [y] * len(values), c=INK, s=16, zorder=3)
        axes.text(102, y, f"{100 * np.mean(values):.0f}%", va="center", fontsize=11)
    axes.axvline(100 * chance, color=INK, ls="--", lw=1)
    axes.text(100 * chance, len(named) - 0.45, " guessing", fontsize=9.5, va="center")
    axes.set_yticks(range(len(named)), list(named))
    axes.set(xlabel="right answers, %", xlim=(0, 100), ylim=(len(named) - 0.25, -0.5))
    plain(axes)
    return describe(figure, f"Bars of right answers, a dot for each seed: {amounts({name: 100 * np.mean(values) for name, values in named.items()}, '{:.0f}%')}; guessing gives {100 * chance:.0f}%.")


def advantage(counts: Sequence[float], ratios: Mapping[str, Sequence[float]], goal: float) -> Figure:
    """How many times cheaper one way is than another, over the number of pictures, a line for each assumption.

    Shapes: counts and every ratio (N,)
    """
    figure = new_figure(8, 3.8)
    axes = figure.subplots()
    for (name, ratio), (colour, style) in zip(ratios.items(), LINES):
        axes.plot(counts, ratio, color=colour, ls=style, lw=2, label=name)
    axes.axhline(goal, color=INK, lw=1, ls=(0, (6, 3)))
    axes.text(counts[0], 1.15 * goal, f"{goal:g} times", fontsize=10)
    axes.axhline(1, color=GREY, lw=1)
    axes.set(xlabel="pictures", ylabel="times cheaper than by hand", xscale="log", yscale="log")
    axes.legend(frameon=False, fontsize=10, loc="upper left", bbox_to_anchor=(1, 1))
    plain(axes)
    return describe(figure, f"Lines on logarithmic axes: how many times cheaper than by hand, from {counts[0]:,g} to {counts[-1]:,g} pictures, with a line at {goal:g} times. {trends(ratios, '{:.2g} times')}.")
