"""The drawings of lesson 03: what stays in a factory, what travels in a round, and who can read it.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from breakthrough.errors import InputError, expected, unknown
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PALE, RED, SKY, describe, listed, new_figure, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# protection → what goes up, its colour, what the server can read, what is needed besides
TRAVELS = {
    "plain": ("its update", BLUE, "reads every update", "sends back the mean"),
    "masked": ("update + masks", GREEN, "reads the sum alone", "needs shares of secrets, too"),
    "encrypted": ("update, encrypted", ORANGE, "adds, reads nothing", "a key holder opens the sum"),
}
WIDE, HIGH, GAP = 2.3, 1.5, 0.5  # of a factory, and between two
NAMES = ("north", "east", "south", "west")


def draw_round(protections: Sequence[str] = ("plain",), names: Sequence[str] = NAMES) -> Figure:
    """One round: pictures stay in their factory, weights go down, and what each protection lets go up.

    A panel for each protection, "plain", "masked" or "encrypted".

    Raises: InputError for no protection or fewer than two factories; UnknownNameError for another protection
    """
    if not protections or len(names) < 2:
        raise InputError(expected("at least one protection and two factories", f"{len(protections)} and {len(names)}"))
    for name in protections:
        if name not in TRAVELS:
            raise unknown("protection", name, TRAVELS)
    figure = new_figure(9.4, 3.5 * len(protections))
    for axes, name in zip(figure.subplots(len(protections), 1, squeeze=False)[:, 0], protections):
        _panel(axes, name, names)
    said = (
        f"Diagram of one round with {len(names)} factories, {listed(names)}, whose pictures stay; the model goes down. "
        + "; ".join(f"{name}: {TRAVELS[name][0]} goes up, and the server {TRAVELS[name][2]}" for name in protections) + "."
    )
    return describe(figure, said)


def _panel(axes: Axes, protection: str, names: Sequence[str]) -> None:
    sent, colour, reads, besides = TRAVELS[protection]
    width = len(names) * (WIDE + GAP) - GAP
    middle, server = width / 2, 4.1
    _box(axes, middle - 2.1, server, 4.2, 1.0, PALE)
    axes.text(middle, server + 0.66, "server", ha="center", va="center", fontsize=12, weight="bold")
    axes.text(middle, server + 0.28, reads, ha="center", va="center", fontsize=10.5, color=readable(RED, PALE) if protection == "plain" else INK)
    for i, name in enumerate(names):
        left = i * (WIDE + GAP)
        _factory(axes, left, name)
        target = middle + (i - (len(names) - 1) / 2) * 1.1
        _arrow(axes, (target - 0.12, server), (left + WIDE / 2 - 0.3, HIGH), GREY, "--")
        _arrow(axes, (left + WIDE / 2 + 0.3, HIGH), (target + 0.12, server), colour, "-")
        start, end = left + WIDE / 2 + 0.3, target + 0.12
        axes.text(start + (end - start) * (2.3 - HIGH) / (server - HIGH), 2.3, sent, ha="center", va="center", fontsize=9.5, color="black",
                  bbox={"fc": "white", "ec": colour, "lw": 1.6, "boxstyle": "round,pad=0.3"}, zorder=4)
    axes.text(0, server + 0.66, protection, ha="left", va="center", fontsize=14, weight="bold")
    axes.text(width, server + 0.66, besides, ha="right", va="center", fontsize=10.5)
    axes.text(width, server + 0.28, "dashed: the model goes down", ha="right", va="center", fontsize=9.5, color="#666666")
    axes.set(xlim=(-0.1, width + 0.1), ylim=(-0.1, server + 1.15))
    axes.axis("off")


def _factory(axes: Axes, left: float, name: str) -> None:
    from matplotlib.patches import Polygon

    _box(axes, left, 0, WIDE, 1.1, SKY, alpha=0.35)
    roof = [(left, 1.1)]
    for i in range(3):  # a roof of three sheds
        start = left + i * WIDE / 3
        roof += [(start, HIGH - 0.05), (start + WIDE / 3, 1.1)]
    axes.add_patch(Polygon(roof, fc=SKY, alpha=0.35, ec=INK, lw=0.8))
    axes.text(left + WIDE / 2, 0.82, name, ha="center", va="center", fontsize=12, weight="bold")
    axes.text(left + WIDE / 2, 0.36, "pictures stay", ha="center", va="center", fontsize=10)


def _box(axes: Axes, left: float, low: float, width: float, height: float, fill: str, alpha: float = 1.0) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((left, low), width, height, fc=fill, ec=INK, lw=1, alpha=alpha))


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, style: str) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.8, "ls": style, "shrinkA": 0, "shrinkB": 0})
