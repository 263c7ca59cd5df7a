"""The drawings of lesson 06: intervals, alarms as dots, lamps that age, tests looked at too often.

Every function returns a matplotlib Figure of its own. Colours are Okabe and Ito's; a mark or a word says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.errors import InputError, ShapeError, expected
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, RED, amounts, describe, listed, new_figure, trends
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (GREEN, "D", "-."))


def none_missed(counts: Sequence[int], most: float = 0.032, alpha: float = 0.05) -> Figure:
    """How likely a run of n parts without an error is, by the true rate of errors; a line for each n, marked where it is alpha.

    Units:  shares from 0 to 1; drawn in per cent
    """
    rates = np.linspace(0, most, 400)
    figure = new_figure(9, 3.8)
    axes = figure.subplots()
    for count, (colour, mark, line) in zip(counts, STYLES):
        bound = 1 - alpha ** (1 / count)
        axes.plot(100 * rates, 100 * (1 - rates) ** count, line, color=colour, lw=2, label=f"{count:,} parts: down to {100 * alpha:g}% at a rate of {100 * bound:.2f}%")
        axes.plot(100 * bound, 100 * alpha, mark, color=colour, ms=8)
    axes.axhline(100 * alpha, color=INK, lw=1, ls=":")
    axes.set(xlim=(0, 100 * most), ylim=(0, 103), xlabel="true share of wrong answers, %", ylabel="chance of not one wrong answer, %")
    axes.legend(frameon=False, fontsize=10)
    plain(axes)
    said = (
        f"Falling curves: the chance of not one wrong answer by the true share of wrong answers. Down to {100 * alpha:g}% at a rate of "
        + listed(f"{100 * (1 - alpha ** (1 / count)):.2f}% with {count:,} parts" for count in counts) + "."
    )
    return describe(figure, said)


def draw_intervals(panels: Mapping[str, Sequence[tuple[float, float]]], truth: float) -> Figure:
    """The intervals of many repeated measurements, a panel for each way to make them; those that miss the truth in red, with a cross.

    Units:  shares from 0 to 1; drawn in per cent
    """
    figure = new_figure(11, 4.2)
    for axes, (name, intervals) in zip(figure.subplots(1, len(panels), squeeze=False, sharey=True, sharex=True)[0], panels.items()):
        missing = 0
        for row, (low, high) in enumerate(intervals):
            there = low <= truth <= high
            missing += not there
            axes.plot([100 * low, 100 * high], [row, row], color=GREY if there else RED, lw=2)
            axes.plot([100 * (low + high) / 2], [row], "|" if there else "x", color=GREY if there else RED, ms=5 if there else 7)
        axes.axvline(100 * truth, color=INK, lw=1.2, ls="--")
        axes.set(xlabel="accuracy, %", yticks=[])
        axes.set_title(f"{name}: {missing} of {len(intervals)} miss the truth", fontsize=11, loc="left")
        plain(axes)
        axes.spines["left"].set_visible(False)
    said = (
        f"Horizontal lines: intervals of many repeated measurements beside the truth, {100 * truth:g}%. "
        + "; ".join(axes.get_title(loc="left") for axes in figure.axes) + "."
    )
    return describe(figure, said)


def draw_coverage(counts: Sequence[int], shares: Mapping[str, Sequence[float]], aim: float = 0.95) -> Figure:
    """How often the intervals of each way hold the truth, by the number of pictures; what they promise as a dashed line.

    Shapes: each of shares (len(counts),)
    Raises: ShapeError for another length
    """
    figure = new_figure(9, 3.8)
    axes = figure.subplots()
    for (name, found), (colour, mark, line) in zip(shares.items(), STYLES):
        if len(found) != len(counts):
            raise ShapeError(expected(f"{len(counts)} shares of {name}", len(found)))
        axes.plot(counts, 100 * np.asarray(found), mark + line, color=colour, lw=1.8, ms=6, label=name)
    axes.axhline(100 * aim, color=INK, lw=1.2, ls=":")
    axes.annotate("promised", (1, 100 * aim), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=9.5, color=INK, va="center")
    axes.set(xscale="log", xlabel="pictures measured", ylabel="intervals that hold the truth, %", ylim=(0, 104))
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=10, loc="lower right")
    plain(axes)
    said = (
        f"Lines: per cent of intervals that hold the truth by pictures measured, from {counts[0]:,} to {counts[-1]:,}, where {100 * aim:g}% were promised. "
        + trends({name: [100 * x for x in found] for name, found in shares.items()}, "{:.0f}%") + "."
    )
    return describe(figure, said)


@dataclass(frozen=True)
class Alarms:
    """What a line does with parts: how many are faulty, and how many of each sort raise an alarm.

    Units:  numbers of parts
    """

    faulty: int
    found: int
    sound: int
    false: int

    @classmethod
    def of(cls, parts: int, faulty: int, recall: float, false_alarms: float) -> Alarms:
        """What is to be expected, in whole parts.

        Raises: InputError for shares outside 0 to 1, or more faulty parts than parts
        """
        if not (0 <= recall <= 1 and 0 <= false_alarms <= 1 and 0 <= faulty <= parts):
            raise InputError(expected("shares from 0 to 1, and no more faulty parts than parts", f"{recall}, {false_alarms}, {faulty} of {parts}"))
        return cls(faulty, round(faulty * recall), parts - faulty, round((parts - faulty) * false_alarms))

    @property
    def real(self) -> float:
        """The share of alarms that a faulty part raised."""
        return self.found / (self.found + self.false) if self.found + self.false else float("nan")


def draw_alarms(panels: Mapping[str, Alarms], wide: int = 40) -> Figure:
    """Every part a dot: the faulty ones dark, alarms with a ring, false ones too."""
    figure = new_figure(11.5, 4.3)
    for axes, (name, one) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items()):
        numbers = np.arange(one.faulty + one.sound)
        x, y = numbers % wide, numbers // wide
        faulty = numbers < one.faulty
        alarm = (numbers < one.found) | ((numbers >= one.faulty) & (numbers < one.faulty + one.false))
        axes.scatter(x[~faulty], y[~faulty], s=10, color="#cccccc", lw=0)
        axes.scatter(x[faulty], y[faulty], s=26, color=INK, lw=0, label=f"{one.faulty} faulty, {one.faulty - one.found} of them not found")
        axes.scatter(x[alarm & faulty], y[alarm & faulty], s=70, fc="none", ec=BLUE, lw=1.5, label=f"{one.found} real alarms")
        axes.scatter(x[alarm & ~faulty], y[alarm & ~faulty], s=46, fc="none", ec=RED, marker="s", lw=1.3, label=f"{one.false} false alarms")
        axes.set(ylim=(numbers[-1] // wide + 0.8, -0.8), aspect="equal")
        axes.axis("off")
        axes.set_title(f"{name}: {100 * one.real:.0f}% of alarms are real", fontsize=11, loc="left")
        axes.legend(frameon=False, fontsize=9.5, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, handletextpad=0.2, columnspacing=1)
    said = (
        "Fields of dots, one for each part, with rings around alarms. "
        + "; ".join(f"{name}: {one.faulty} of {one.faulty + one.sound} parts are faulty, {one.found} real and {one.false} false alarms, so {100 * one.real:.0f}% of alarms are real" for name, one in panels.items()) + "."
    )
    return describe(figure, said)


def draw_lamps(rows: Mapping[str, np.ndarray], most: int = 7) -> Figure:
    """The first pictures of each set in a row, so that equal scenes stand below each other.

    Shapes: each (N, H, W, 3) uint8
    """
    count = min(most, *map(len, rows.values()))
    figure = new_figure(1.5 * count + 0.5, 1.5 * len(rows) + 0.1)
    for (name, images), panels in zip(rows.items(), figure.subplots(len(rows), count, squeeze=False)):
        panels[0].set_ylabel(name, fontsize=10)
        for axes, image in zip(panels, images):
            axes.imshow(image)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
    said = (
        f"{count} pictures in each of {len(rows)} rows, {listed(rows)}, of the same scenes: mean pixel value "
        + amounts({name: float(np.mean(images[:count])) for name, images in rows.items()}, "{:.0f}") + "."
    )
    return describe(figure, said)


def draw_features(names: Sequence[str], sets: Mapping[str, np.ndarray]) -> Figure:
    """A panel for each feature: which share of a set's pictures lies below a value; the first set is what others are compared with.

    The largest distance of each line from the first, upwards or downwards, stands below.

    Shapes: each of sets (N, F), F names
    Raises: ShapeError for another number of features
    """
    figure = new_figure(11.5, 3.5)
    first = next(iter(sets.values()))
    for f, (axes, name) in enumerate(zip(figure.subplots(1, len(names), squeeze=False, sharey=True)[0], names)):
        told = []
        for (label, values), colour, line in zip(sets.items(), (INK, BLUE, RED), ("-", "--", "-.")):
            if values.shape[1] != len(names):
                raise ShapeError(expected(f"{len(names)} features of {label}", values.shape))
            axes.ecdf(values[:, f], color=colour, ls=line, lw=1.8, label=label)
            told.append(f"{label} {100 * distance(first[:, f], values[:, f]):.0f}%")
        axes.set(title=name, xlabel="largest distance:\n" + "\n".join(told[1:]))
        plain(axes)
    figure.axes[0].set_ylabel("share of pictures below")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=10)
    said = (
        f"Cumulative curves of {len(names)} features, {listed(names)}, for {listed(sets)}. Largest distance from {next(iter(sets))}: "
        + "; ".join(f"{label} " + amounts({name: 100 * distance(first[:, f], values[:, f]) for f, name in enumerate(names)}, "{:.0f}%") for label, values in list(sets.items())[1:]) + "."
    )
    return describe(figure, said)


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """The largest difference, at any number, between the shares of two samples that are at most this number.

    Shapes: first (N,), second (M,)
    Source: Smirnov 1939
    """
    x = np.concatenate([first, second])
    shares = (np.searchsorted(np.sort(one), x, side="right") / len(one) for one in (first, second))
    return float(np.abs(next(shares) - next(shares)).max())


def draw_looks(z: np.ndarray, limit: float, shares: Mapping[str, np.ndarray], aim: float) -> Figure:
    """On the left some streams' statistic, those in red that went beyond the limit; on the right how many have, by the number of looks.

    A look that was not taken is NaN.

    Shapes: z (streams, looks), each of shares (looks,)
    Units:  shares from 0 to 1; drawn in per cent
    """
    figure = new_figure(11.5, 4)
    left, right = figure.subplots(1, 2)
    beyond = np.abs(z) > limit
    for row, gone in zip(z, beyond):
        left.plot(np.arange(1, len(row) + 1), row, color=RED if gone.any() else "#bbbbbb", lw=1)
        if gone.any():
            left.plot(gone.argmax() + 1, row[gone.argmax()], "x", color=RED, ms=7)
    for sign in (-1, 1):
        left.axhline(sign * limit, color=INK, lw=1.2, ls="--")
    left.set(xscale="log", xlabel="looks so far", ylabel="difference in standard errors")
    left.set_title(f"{beyond.any(1).sum()} of {len(z)} streams cross {limit:g} somewhere", fontsize=11, loc="left")
    for (name, share), (colour, _mark, line) in zip(shares.items(), STYLES):
        right.plot(np.arange(1, len(share) + 1), 100 * np.asarray(share), line, color=colour, lw=2, label=f"{name}: {100 * share[-1]:.1f}%")
    right.axhline(100 * aim, color=INK, lw=1.2, ls=":")
    right.annotate(f"{100 * aim:g}%", (1, 100 * aim), (3, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center", fontsize=9.5)
    right.set(xscale="log", xlabel="looks so far", ylabel="streams with a verdict, %", ylim=(0, None))
    right.legend(frameon=False, fontsize=10, loc="upper left", title="after the last look", alignment="left")
    for axes in (left, right):
        plain(axes)
        axes.xaxis.set_major_formatter("{x:,.0f}")
    said = (
        f"Left lines of {len(z)} streams' difference in standard errors over looks, of which {beyond.any(1).sum()} cross {limit:g}; right lines: per cent of streams with a verdict by looks. After the last: "
        + amounts({name: 100 * float(share[-1]) for name, share in shares.items()}, "{:.1f}%") + f", where {100 * aim:g}% were promised."
    )
    return describe(figure, said)
