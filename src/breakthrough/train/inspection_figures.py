"""Pictures of what inspectors can do. Colours are those of Okabe and Ito, told apart by every eye.

Each function draws on the axes it is given, or makes a figure, and returns the figure. Error bars
are 95% confidence intervals over seeds, from Student's t; every seed is a dot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from breakthrough.errors import unknown
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, amounts, describe, ink_on, new_figure, trends

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from breakthrough.train.comparison import Estimate
    from breakthrough.train.inspection_results import Inspections

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED)  # by test set, with a hatch or a marker beside the colour
HATCHES = ("", "//", "..", "xx", "\\\\")
MARKERS = ("o", "s", "^", "D", "v")


def accuracy_bars(
    found: Inspections,
    tests: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Accuracy after training on each set, a bar for each test set; chance is the dashed line."""
    tests = _tests(found, tests)
    ax = ax or new_figure(7.2, 0.9 + 0.34 * len(found.runs) * max(1.4, len(tests))).subplots()
    thick = 0.8 / len(tests)
    for row, name in enumerate(found.runs):
        for i, test in enumerate(tests):
            at = row + (i - (len(tests) - 1) / 2) * thick
            value = found.accuracy(name, test)
            ax.barh(at, 100 * value.mean, 0.92 * thick, label=_label(labels, test) if not row else None,
                    color=COLOURS[i % 5], hatch=HATCHES[i % 5], edgecolor="white")
            ax.errorbar(100 * value.mean, at, xerr=_half(value), color=INK, capsize=3, lw=1.2)
            ax.plot(100 * np.array(value.values), [at] * len(value.values), ".", color="black", ms=4)
            end = 100 * max(value.mean, *value.values) if not math.isfinite(value.half) else 100 * value.mean + _half(value)
            ax.text(max(end, 0) + 1.5, at, f"{100 * value.mean:.1f}", va="center", fontsize=8, color=INK)
    _chance(ax.axvline, found)
    ax.set(yticks=range(len(found.runs)), xlim=(0, 108), xlabel="accuracy (%)")
    ax.set_yticklabels([_label(labels, name) for name in found.runs])
    ax.invert_yaxis()
    ax.set_title(_seeds(found), fontsize=10, color=INK)
    if len(tests) > 1:
        ax.legend(title="tested on", loc="lower right", fontsize=8)
    said = (
        f"Bars of accuracy by what was trained on, {_seeds(found)}. "
        + "; ".join(f"{_label(labels, name)}: " + amounts({_label(labels, test): 100 * found.accuracy(name, test).mean for test in tests}, "{:.0f}%") for name in found.runs) + "."
    )
    return describe(_done(ax, "x"), said)


def confusion_matrix(found: Inspections, name: str, test: str, ax: Axes | None = None) -> Figure:
    """What was said for each class after training on a set, in percent of the class, seeds together."""
    ax = ax or new_figure(5.4, 4.8).subplots()
    table = found.confusion(name, test).astype(float)
    share = 100 * table / np.maximum(table.sum(1, keepdims=True), 1)
    drawn = ax.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(share):
        ax.text(column, row, f"{value:.0f}", ha="center", va="center", color=ink_on(drawn.cmap(value / 100)))
    names = [label.replace("_", "\n") for label in found.classes]
    ax.set_xticks(range(len(names)), names, fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set(xlabel="said", ylabel="was")
    accuracy = 100 * found.accuracy(name, test).mean
    ax.set_title(f"trained on {name}, tested on {test}: {accuracy:.1f}%", fontsize=10, color=INK)
    said = (
        f"Table: what was said of each class, per cent, trained on {name}, tested on {test}; {accuracy:.0f}% right in all. Right by class: "
        + amounts({label.replace("_", " "): share[i, i] for i, label in enumerate(found.classes)}, "{:.0f}%") + "."
    )
    return describe(cast("Figure", ax.figure), said)


def accuracy_by_count(
    found: Inspections,
    tests: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Accuracy against the number of pictures trained on: every training set is a point, by its size."""
    tests = _tests(found, tests)
    ax = ax or new_figure(6.4, 4.0).subplots()
    names = sorted(found.runs, key=found.sizes.__getitem__)
    sizes = np.array([found.sizes[name] for name in names])
    for i, test in enumerate(tests):
        values = [found.accuracy(name, test) for name in names]
        ax.errorbar(sizes, [100 * v.mean for v in values], yerr=[_half(v) for v in values], ms=5,
                    color=COLOURS[i % 5], marker=MARKERS[i % 5], capsize=3, label=_label(labels, test))
        seeds = [(size, 100 * x) for size, value in zip(sizes, values) for x in value.values]
        ax.plot(*zip(*seeds), ".", color=COLOURS[i % 5], alpha=0.5, ms=4)
    _chance(ax.axhline, found)
    ax.set_xscale("log")
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    ax.set(xlabel="pictures trained on", ylabel="accuracy (%)", ylim=(0, 102))
    ax.set_title(_seeds(found), fontsize=10, color=INK)
    ax.legend(title="tested on", fontsize=8)
    said = (
        f"Lines of accuracy by pictures trained on, from {sizes[0]:,} to {sizes[-1]:,}, a line for each test set: "
        + trends({_label(labels, test): [100 * found.accuracy(name, test).mean for name in names] for test in tests}, "{:.0f}%") + "."
    )
    return describe(_done(ax, "both"), said)


def _tests(found: Inspections, tests: Sequence[str] | None) -> tuple[str, ...]:
    for test in tests or ():
        if test not in found.tests:
            raise unknown("test set", test, found.tests)
    return tuple(tests or found.tests)


def _half(value: Estimate) -> float:
    return 100 * value.half if math.isfinite(value.half) else 0.0


def _label(labels: Mapping[str, str] | None, name: str) -> str:
    return (labels or {}).get(name, name)


def _chance(line: Callable[..., object], found: Inspections) -> None:
    line(100 / len(found.classes), color=GREY, lw=1, ls="--", zorder=0)


def _seeds(found: Inspections) -> str:
    if len(found.seeds) == 1:
        return "one seed: no interval; dashed: chance"
    return f"{len(found.seeds)} seeds (dots), 95% intervals; dashed: chance"


def _done(ax: Axes, axis: Literal["both", "x", "y"]) -> Figure:
    ax.grid(axis=axis, alpha=0.25)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return cast("Figure", ax.figure)
