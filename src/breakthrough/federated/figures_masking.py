"""A picture of masks that cancel: three clients, small numbers, everything modulo a small number.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
Shape legend: 3 clients, D numbers of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.errors import InputError, ShapeError, expected
from breakthrough.pictures import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, describe, listed, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIRS = ((0, 1), (0, 2), (1, 2))
HEADS = ("its vector", "mask of {0}, {1}", "mask of {0}, {2}", "mask of {1}, {2}", "its own mask", "the server sees")
FILLS = (BLUE, SKY, ORANGE, GREEN, PURPLE, INK)
SPAN, GAP, HEIGHT, SUM_ROW = 3.0, 1.0, 0.72, 3.25  # of a column of numbers, between two, of a box


def draw_masks(codes: np.ndarray, generator: np.random.Generator, modulus: int = 100, names: Sequence[str] = ("A", "B", "C")) -> Figure:
    """Three vectors, the masks on them, what the server sees of each, and the sum that is left.

    Shapes: codes (3, D) whole numbers, D up to 3
    Units:  codes from 0, with a sum below the modulus; masks are drawn from `generator`, 0 to modulus − 1
    Raises: ShapeError for another shape, InputError for numbers out of range
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[0] != 3 or not 1 <= codes.shape[1] <= 3:
        raise ShapeError(expected("codes (3, D) with D of 1 to 3", codes.shape))
    if codes.min() < 0 or codes.sum(axis=0).max() >= modulus or modulus > 1000:
        raise InputError(expected("codes from 0 with sums below the modulus, which is at most 1000", f"{codes.tolist()} modulo {modulus}"))
    parts = add_up(codes, generator, modulus)
    figure = new_figure(9.6, 3.7)
    axes = figure.subplots()
    _columns(axes, parts, names)
    _sums(axes, parts, modulus)
    axes.set(xlim=(-1.1, len(parts) * (SPAN + GAP) - GAP + 0.4), ylim=(SUM_ROW + 2.35, -0.95))
    axes.axis("off")
    said = (
        f"Table of boxes: the vectors of {listed(names)}, a mask for each pair that one adds and the other subtracts, each one's own mask, and what the server sees. "
        f"Below, sums modulo {modulus}: pair masks cancel to 0, and with the own masks taken off the sum of the vectors is left, {listed(str(n) for n in codes.sum(axis=0))}."
    )
    return describe(figure, said)


def add_up(codes: np.ndarray, generator: np.random.Generator, modulus: int) -> list[np.ndarray]:
    """The columns of the picture: vectors, a signed mask for each pair, own masks, and their sums modulo `modulus`.

    Shapes: codes (3, D) → 6 arrays (3, D)
    """
    size = codes.shape[1]
    pairs = []
    for first, second in PAIRS:
        mask = np.zeros_like(codes)
        mask[first] = generator.integers(1, modulus, size)
        mask[second] = -mask[first]
        pairs.append(mask)
    own = generator.integers(1, modulus, codes.shape)
    return [codes, *pairs, own, (codes + sum(pairs) + own) % modulus]


def _columns(axes: Axes, parts: list[np.ndarray], names: Sequence[str]) -> None:
    for c, (part, head, fill) in enumerate(zip(parts, HEADS, FILLS)):
        left = c * (SPAN + GAP)
        axes.text(left + SPAN / 2, -0.35, head.format(*names), ha="center", va="center", fontsize=10, weight="bold" if c in (0, 5) else "normal")
        for row in range(3):
            signed = 0 < c < 5
            if part[row].any() or not signed:
                _numbers(axes, left, row, part[row], fill, signed)
            if c == 5:
                axes.text(left - GAP / 2, row + HEIGHT / 2, "=", ha="center", va="center", fontsize=13)
    for row, name in enumerate(names):
        axes.text(-0.35, row + HEIGHT / 2, name, ha="right", va="center", fontsize=13, weight="bold")


def _sums(axes: Axes, parts: list[np.ndarray], modulus: int) -> None:
    right = len(parts) * (SPAN + GAP) - GAP
    axes.plot([-0.9, right], [SUM_ROW - 0.27] * 2, color=INK, lw=1.2)
    axes.text(-0.35, SUM_ROW + HEIGHT / 2, "sum", ha="right", va="center", fontsize=11, weight="bold")
    sums = [part.sum(axis=0) % modulus for part in parts]
    for c, (total, fill) in enumerate(zip(sums, FILLS)):
        _numbers(axes, c * (SPAN + GAP), SUM_ROW, total, fill, signed=False, bold=True)
    middle = 2 * (SPAN + GAP) + SPAN / 2
    note = SUM_ROW + HEIGHT + 0.3
    axes.text(middle, note, "pairs cancel: one adds what the other subtracts", ha="center", va="center", fontsize=10)
    axes.text(right, note, "the sum still wears the own masks", ha="right", va="center", fontsize=10)
    left, row = 5 * (SPAN + GAP), SUM_ROW + 1.4
    _numbers(axes, left, row, (sums[5] - sums[4]) % modulus, BLUE, signed=False, bold=True)
    axes.text(left - 0.25, row + HEIGHT / 2, "those taken off, known from shares: the sum of the vectors  =", ha="right", va="center", fontsize=10)
    axes.text(-0.9, row + HEIGHT / 2, f"modulo {modulus}", ha="left", va="center", fontsize=10, color="#666666")


def _numbers(axes: Axes, left: float, top: float, numbers: np.ndarray, fill: str, signed: bool, bold: bool = False) -> None:
    """A row of boxes with numbers; dark boxes have white ones."""
    from matplotlib.patches import Rectangle

    dark, width = fill == INK, SPAN / len(numbers)
    for i, number in enumerate(numbers):
        box = (left + i * width, top), width, HEIGHT
        axes.add_patch(Rectangle(*box, fc=fill, alpha=1.0 if dark else 0.3, ec="none"))
        axes.add_patch(Rectangle(*box, fc="none", ec="white" if dark else INK, lw=1.6 if bold and not dark else 0.8))
        text = f"{number:+d}".replace("-", "−") if signed else str(number)
        axes.text(left + (i + 0.5) * width, top + HEIGHT / 2, text, ha="center", va="center", fontsize=10,
                  color="white" if dark else "black", weight="bold" if bold else "normal")
