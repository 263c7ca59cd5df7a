"""The picture of a step's bytes: a stack for every way to train a model or to ask it, and its peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from breakthrough.errors import InputError, expected
from breakthrough.pictures import BLUE, GREEN, INK, ORANGE, PURPLE, amounts, describe, listed, new_figure
from breakthrough.quant.memory import PARTS, Bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(PARTS, (BLUE, ORANGE, PURPLE, GREEN)))
HATCHES = dict(zip(PARTS, ("", "////", "....", "xx")))
LABELS = {"state": "optimizer state"}
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))
VERBS = {"train": "one step of training", "answer": "one answer, without gradients"}


def draw_memory(found: Mapping[str, Bytes], title: str = "") -> Figure:
    """Weights, gradients, optimizer state and activations stacked, a bar a case; a line with a number is the peak.

    Cases named "train …" and "answer …" get a panel each.

    Raises: InputError when there is nothing to draw
    """
    if not found:
        raise InputError(expected("at least one measured case", "none"))
    panels = _panels(found)
    scale, unit = next((one for one in UNITS if max(b.peak for b in found.values()) >= one[0]), UNITS[-1])
    figure = new_figure(9.5, 4.4)
    axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=[max(2, len(cases)) for cases in panels.values()])[0]
    for one, (verb, cases) in zip(axes, panels.items()):
        _stacks(one, cases, scale)
        one.set_title(VERBS.get(verb, title), fontsize=11)
    axes[0].set_ylabel(unit)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend([*handles[1:], handles[0]], [*labels[1:], labels[0]], loc="outside lower center", ncols=5, frameon=False, fontsize=10)
    if title and list(panels) != [""]:
        figure.suptitle(title, fontsize=12)
    said = (
        f"Stacked bars of {listed(LABELS.get(part, part) for part in PARTS)} in {unit}, with the peak as a line. Peaks: "
        + amounts({name: one.peak / scale for name, one in found.items()}, "{:.3g} " + unit) + "."
    )
    return describe(figure, said)


def _panels(found: Mapping[str, Bytes]) -> dict[str, dict[str, Bytes]]:
    panels: dict[str, dict[str, Bytes]] = {}
    for name, one in found.items():
        verb, _, rest = name.partition(" ")
        known = verb in VERBS and rest
        panels.setdefault(verb if known else "", {})[rest if known else name] = one
    return panels


def _stacks(axes: Axes, cases: Mapping[str, Bytes], scale: float) -> None:
    bottom = [0.0] * len(cases)
    for part in PARTS:
        sizes = [getattr(one, part) / scale for one in cases.values()]
        axes.bar(
            range(len(cases)), sizes, 0.62, bottom=bottom, label=LABELS.get(part, part),
            color=COLOURS[part], hatch=HATCHES[part], edgecolor="white", linewidth=0.5,
        )
        bottom = [low + size for low, size in zip(bottom, sizes)]
    peaks = [one.peak / scale for one in cases.values()]
    places = range(len(cases))
    axes.hlines(peaks, [x - 0.42 for x in places], [x + 0.42 for x in places], color=INK, lw=2.5, label="peak: the number above")
    top = max(*bottom, *peaks)
    for x, (peak, high) in enumerate(zip(peaks, bottom)):
        axes.text(x, max(peak, high) + 0.015 * top, f"{peak:.3g}", ha="center", va="bottom", fontsize=10.5, color=INK)
    axes.set_ylim(0, 1.1 * top)
    axes.set_xlim(-0.6, len(cases) - 0.4)
    axes.set_xticks(range(len(cases)), list(cases), fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
