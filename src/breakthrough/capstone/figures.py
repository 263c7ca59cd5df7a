"""The charts of a line's report, drawn from its facts.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot. Intervals are of 95%. What a
colour says, a mark says too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from breakthrough.capstone.line import DOMAINS, LINE, SYNTHETIC
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, amounts, describe, ink_on, listed, new_figure, trend
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Facts = Mapping[str, Any]
GRID = "#dddddd"
TITLES = {SYNTHETIC: "synthetic", LINE: "path traced"}
DOMAIN_LOOKS = {SYNTHETIC: (BLUE, "o"), LINE: (RED, "s")}
VERSION_LOOKS = ((INK, "o"), (BLUE, "s"), (ORANGE, "^"), (GREEN, "D"), (PURPLE, "v"))


def words(name: str) -> str:
    """A class as it is written in a sentence."""
    return "no defect" if name == "none" else name.replace("_", " ")


def literal(text: str) -> str:
    """A text that matplotlib draws as it is, whatever a factory is called."""
    return text.replace("\\", r"\\").replace("$", r"\$") if "$" in text else text


def draw_accuracy(facts: Facts) -> Figure:
    """The share of pictures named rightly, by factory, a dot for each version on the way to being served."""
    names = [*facts["factories"], "all"]
    figure = new_figure(10, 1.3 + 0.62 * len(names))
    for axes, domain in zip(figure.subplots(1, 2, sharey=True), DOMAINS):
        for place, (version, (colour, mark)) in enumerate(zip(facts["versions"], VERSION_LOOKS)):
            told = facts["accuracy"][domain][version]
            shares = [*told["factories"].values(), told["all"]]
            at = np.arange(len(names)) + 0.17 * (place - (len(facts["versions"]) - 1) / 2)
            _dots(axes, shares, at, colour, mark, version)
        n = facts["accuracy"][domain][facts["versions"][0]]["all"]["n"]
        _by_name(axes, [literal(name) for name in names], f"{TITLES[domain]}, {n:,} pictures")
        axes.set_xlabel("named rightly, %")
    _legend_below(figure, len(facts["versions"]))
    said = (
        "Dots with intervals: share of pictures named rightly, by factory and version. All factories: "
        + "; ".join(f"{TITLES[domain]} " + amounts({version: 100 * facts["accuracy"][domain][version]["all"]["value"] for version in facts["versions"]}, "{:.1f}%") for domain in DOMAINS) + "."
    )
    return describe(figure, said)


def draw_recall(facts: Facts) -> Figure:
    """Of each class the share that the served version names so, and of all defects the share it takes for any defect."""
    kinds = [name for name in facts["classes"] if name != "none"]
    rows = [*map(words, kinds), "any defect", "sound parts"]
    figure = new_figure(8, 1.4 + 0.5 * len(rows))
    axes = figure.subplots()
    for place, domain in enumerate(DOMAINS):
        colour, mark = DOMAIN_LOOKS[domain]
        shares = [*(facts["recall"][domain][name] for name in kinds), facts["detection"][domain]["recall"], facts["recall"][domain]["none"]]
        _dots(axes, shares, np.arange(len(rows)) + 0.26 * (place - 0.5), colour, mark, TITLES[domain])
    axes.axhline(len(rows) - 1.5, color=GRID, lw=1)
    _by_name(axes, rows, "")
    axes.set_xlabel("found, % of those that are there")
    _legend_below(figure, 2)
    said = (
        "Dots with intervals: share of each class found by the served version. "
        + "; ".join(f"{TITLES[domain]}: " + amounts({words(name): 100 * facts["recall"][domain][name]["value"] for name in facts["classes"] if facts["recall"][domain][name]["n"]}, "{:.1f}%") for domain in DOMAINS) + "."
    )
    return describe(figure, said)


def draw_gap(facts: Facts) -> Figure:
    """How many points fewer are right on the path-traced line, by factory and by class."""
    gap = facts["gap"]
    rows = {"all": gap["all"]} | {f"in {name}": one for name, one in gap["factories"].items()} | {words(name): one for name, one in gap["classes"].items()}
    figure = new_figure(8, 1.0 + 0.36 * len(rows))
    axes = figure.subplots()
    _dots(axes, list(rows.values()), np.arange(len(rows)), BLUE, "o", None)
    axes.axvline(0, color=INK, lw=1)
    for edge in (0.5, len(gap["factories"]) + 0.5):
        axes.axhline(edge, color=GRID, lw=1)
    axes.set(yticks=range(len(rows)), yticklabels=[literal(name) for name in rows], ylim=(len(rows) - 0.5, -0.5))
    axes.set_xlabel("points: right on synthetic pictures less right on path-traced ones")
    _finish(axes, "x")
    said = (
        "Dots with intervals: how many points fewer are right on path-traced pictures than on synthetic ones. "
        + amounts({name: 100 * one["value"] for name, one in rows.items() if one["value"] is not None}, "{:+.1f}") + "."
    )
    return describe(figure, said)


def draw_confusion(facts: Facts) -> Figure:
    """What pictures show against what the served version says of them: counts, shaded by their share of the row."""
    names = [words(name) for name in facts["classes"]]
    figure = new_figure(10.4, 4.9)
    for axes, domain in zip(figure.subplots(1, 2), DOMAINS):
        table = np.array(facts["confusion"][domain])
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25)
        for (row, column), count in np.ndenumerate(table):
            ink = "#666666" if not count else ink_on(image.cmap(shares[row, column] / 1.25))
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink, fontsize=10.5)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="what was said")
        axes.set_title(f"{TITLES[domain]}, {table.sum():,} pictures", fontsize=11)
        axes.tick_params(length=0)
        plain(axes)
        axes.spines[:].set_visible(False)
    figure.axes[0].set_ylabel("what it was")
    said = (
        "Two tables of counts: what pictures show against what the served version said. Named rightly: "
        + "; ".join(f"{TITLES[domain]} {np.trace(np.array(facts['confusion'][domain])):,} of {np.sum(facts['confusion'][domain]):,}" for domain in DOMAINS) + "."
    )
    return describe(figure, said)


def draw_tradeoff(facts: Facts) -> Figure:
    """The share of defects stopped against the sound parts stopped, with the points at which the line may stand."""
    figure = new_figure(10.5, 4.2)
    for axes, domain in zip(figure.subplots(1, 2), DOMAINS):
        curve, points = facts["tradeoff"][domain], list(_points(facts, domain))
        axes.plot(100 * np.array(curve["false_alarms"]), 100 * np.array(curve["recall"]), color=GREY, lw=1.8, label="every threshold")
        for name, (colour, mark), recall, alarms in points:
            across, up = _ends([alarms]), _ends([recall])
            axes.errorbar(*across[0], *up[0], xerr=across[1], yerr=up[1], fmt=mark, color=colour, ms=8, mec="white", mew=0.8, elinewidth=1.2, label=name)
        _goal_across(axes, 100 * facts["operating"]["goal"])
        lowest = min((100 * recall["low"] for _, _, recall, _ in points), default=0.0)
        widest = max((100 * alarms["high"] for *_, alarms in points), default=100.0)
        axes.set(xlim=(-0.02 * widest, min(100.5, 1.1 * widest)), ylim=(max(0, lowest - 0.15 * (100 - lowest)), 100 + 0.02 * (100 - lowest)))
        axes.set(xlabel="false alarms, % of sound parts")
        axes.set_title(TITLES[domain], fontsize=11)
        _finish(axes, "both")
    figure.axes[0].set_ylabel("defects stopped, %")
    _legend_below(figure, 4)
    said = (
        "Curves of defects stopped against false alarms, with the thresholds that may be chosen. "
        + "; ".join(f"{TITLES[domain]}: " + listed(f"{name} stops {100 * recall['value']:.1f}% for {100 * alarms['value']:.1f}% false alarms" for name, _, recall, alarms in _points(facts, domain)) for domain in DOMAINS) + "."
    )
    return describe(figure, said)


def draw_load(facts: Facts) -> Figure:
    """What the service answered in a second, and how long that took, by the number of clients at once."""
    load = sorted(facts["measured"]["load"], key=lambda one: one["clients"])
    figure = new_figure(9, 3.3)
    left, right = figure.subplots(1, 2)
    clients = [one["clients"] for one in load]
    left.plot(clients, [one["throughput"] for one in load], "o-", color=BLUE)
    left.set(ylabel="answered a second", ylim=(0, None))
    for name, look, colour in (("p50", "o-", BLUE), ("p90", "s--", ORANGE), ("p99", "^:", RED)):
        right.plot(clients, [one[f"{name}_ms"] for one in load], look, color=colour, label=name)
    right.set(ylabel="latency, ms", ylim=(0, None))
    right.legend(frameon=False, fontsize=10)
    for axes in (left, right):
        if clients:
            axes.set_xscale("log")
        axes.set_xticks(clients, [f"{n:,}" for n in clients])
        axes.minorticks_off()
        axes.set_xlabel("clients at once")
        _finish(axes, "y")
    return describe(figure, f"Two line charts by clients at once: answered a second, {trend((one['throughput'] for one in load), '{:,.0f}')}, and latency, p99 {trend((one['p99_ms'] for one in load), '{:.3g} ms')}.")


def _points(facts: Facts, domain: str) -> Iterable[tuple[str, tuple[str, str], Any, Any]]:
    """Where the line may stand: name, look, recall and false alarms; only where pictures tell both."""
    places = (
        ("likeliest class", (INK, "o"), facts["detection"][domain]),
        ("chosen for 99.5%", (BLUE, "D"), facts["operating"][domain]),
        ("cheapest", (RED, "^"), facts["cost"][domain]["rates"]),
    )
    for name, look, one in places:
        if one["recall"]["n"] and one["false_alarms"]["n"]:
            yield name, look, one["recall"], one["false_alarms"]


def _goal_across(axes: Axes, goal: float) -> None:
    axes.axhline(goal, color=INK, lw=1, ls=":")
    axes.annotate(f"{goal:g}%", (1, goal), (-2, -3), xycoords=("axes fraction", "data"), textcoords="offset points", va="top", ha="right", fontsize=9)


def _ends(shares: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Values in per cent and how far their intervals reach; NaN where no picture tells. Shapes: (n,), (2, n)."""
    value, low, high = 100 * np.array([[math.nan if one[key] is None else one[key] for key in ("value", "low", "high")] for one in shares]).T
    return value, np.maximum(0, np.stack((value - low, high - value)))


def _dots(axes: Axes, shares: Sequence[Mapping[str, Any]], at: np.ndarray, colour: str, mark: str, label: str | None) -> None:
    value, reach = _ends(shares)
    axes.errorbar(value, at, xerr=reach, fmt=mark, color=colour, ms=6.5, mec="white", mew=0.6, elinewidth=1.4, capsize=2.5, label=label)


def _by_name(axes: Axes, names: Sequence[str], title: str) -> None:
    """Rows by name from above, per cent to the right up to 100, the goal as a line."""
    axes.axvline(99.5, color=INK, lw=1, ls=":")
    axes.annotate("99.5%", (99.5, 1), (-3, 3), xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=9, ha="center", color=INK)
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    low = axes.get_xlim()[0]
    axes.set_xlim(min(low, 98.0), 100 + 0.02 * (100 - min(low, 98.0)))
    if title:
        axes.set_title(title, fontsize=11, pad=16)
    _finish(axes, "x")


def _finish(axes: Axes, along: Literal["both", "x", "y"]) -> None:
    axes.grid(color=GRID, lw=0.7, axis=along)
    axes.set_axisbelow(True)
    plain(axes)


def _legend_below(figure: Figure, columns: int) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=10)
