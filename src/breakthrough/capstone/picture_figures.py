"""The pictures of a line's report: a contact sheet, and what it got wrong. The defect is outlined where `parts` tell it.

Shape legend: N pictures, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.capstone.figures import TITLES, literal, words
from breakthrough.capstone.line import DOMAINS, Line
from breakthrough.pictures import INK, PALE, describe, listed, new_figure
from breakthrough.train.pictures import Pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6  # of wrong answers


def draw_contact_sheet(line: Line) -> Figure:
    """Factories by classes: a synthetic picture above a path-traced one, chosen by the size of their defect alone.

    Of each cell's pictures it is the one with the median number of pixels of defect; without `parts`, the first.
    """
    names, classes = line.spec.names, line.sets[DOMAINS[0]].classes
    figure = new_figure(1.5 * len(classes) + 0.6, 3.0 * len(names) + 0.5)
    panels = figure.subplots(2 * len(names), len(classes), squeeze=False)
    layout: Any = figure.get_layout_engine()  # the constrained one, of `new_figure`
    layout.set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    for place, name in enumerate(names):
        for half, domain in enumerate(DOMAINS):
            row = panels[2 * place + half]
            row[0].set_ylabel(literal(f"{_short(name)}\n{TITLES[domain]}"), fontsize=10)
            for kind, axes in enumerate(row):
                pictures = line.sets[domain]
                index = middle_of(pictures, np.flatnonzero((line.factory[domain] == place) & (pictures.labels == kind)))
                _show(axes, pictures, index)
    for axes, name in zip(panels[0], classes):
        axes.set_title(words(name), fontsize=10.5)
    return describe(figure, f"Contact sheet of factories {listed(names)} by classes {listed(map(words, classes))}: a synthetic picture above a path-traced one, each defect outlined.")


def draw_errors(line: Line, facts: Mapping[str, Any], domain: str) -> Figure:
    """The pictures that the served version got wrong, the surest first: what it was, what was said, where, how sure."""
    shown = facts["errors"][domain]["shown"]
    rows = max(1, -(-len(shown) // COLUMNS))
    figure = new_figure(1.75 * COLUMNS, 2.25 * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in panels[len(shown) :]:
        axes.axis("off")
    for axes, one in zip(panels, shown):
        _show(axes, line.sets[domain], one["index"])
        text = f"{words(one['was'])}\nsaid: {words(one['said'])}\n{_short(one['factory'])}, {100 * one['probability']:.0f}% sure"
        axes.set_title(literal(text), fontsize=9, color=INK, linespacing=1.15)
    if not shown:
        panels[0].text(0, 0.5, "not one", fontsize=12, transform=panels[0].transAxes)
    said = (
        f"{len(shown)} {TITLES[domain]} pictures that were named wrongly, the surest first, defects outlined: "
        + "; ".join(f"{words(one['was'])} said to be {words(one['said'])}, {100 * one['probability']:.0f}% sure" for one in shown[:4]) + "."
    )
    return describe(figure, said)


def middle_of(pictures: Pictures, indices: np.ndarray) -> int | None:
    """The index of the picture whose defect has the median number of pixels, of some; None when there are none."""
    if not len(indices):
        return None
    if pictures.parts is None:
        return int(indices[0])
    sizes = [int(defect_of(pictures, i).sum()) for i in indices]
    return int(indices[np.argsort(sizes, kind="stable")[len(sizes) // 2]])


def defect_of(pictures: Pictures, index: int) -> np.ndarray:
    """Where a picture's defect is; nowhere on a sound part, or without `parts`. Shapes: → (H, W) bool."""
    label = pictures.labels[index]
    if pictures.parts is None or not label:
        return np.zeros(pictures.images.shape[1:3], bool)
    return pictures.parts[index] == label


def _show(axes: Axes, pictures: Pictures, index: int | None) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if index is None:
        axes.set_facecolor(PALE)
        axes.text(0.5, 0.5, "no picture", ha="center", va="center", color=INK, fontsize=9, transform=axes.transAxes)
        axes.set_aspect("equal")
        return
    axes.imshow(pictures.images[index], interpolation="nearest")
    mask = defect_of(pictures, index)
    if mask.any():
        outline(axes, mask)


def outline(axes: Axes, mask: np.ndarray) -> None:
    """Draw a line around a mask, two pixels off so that it hides nothing: white on black, seen on any ground."""
    wide = grown(mask, 2)
    height, width = mask.shape
    for colour, size in (("black", 2.2), ("white", 1.0)):
        axes.contour(np.pad(wide, 1).astype(float), [0.5], colors=colour, linewidths=size, extent=(-1.5, width + 0.5, -1.5, height + 0.5))
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A mask grown by some pixels on every side. Shapes: (H, W) → (H, W)."""
    padded = np.pad(mask, pixels)
    height, width = mask.shape
    steps = range(2 * pixels + 1)
    return np.any([padded[y : y + height, x : x + width] for y in steps for x in steps], axis=0)


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
