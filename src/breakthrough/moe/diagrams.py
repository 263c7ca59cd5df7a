"""The drawings of lesson 01: what happens to tokens, drawn with as few boxes as will do.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
Colours are Okabe and Ito's, which people with any colour vision tell apart; what a colour says is
said in words or numbers too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.errors import ShapeError, expected
from breakthrough.pictures import BLUE, COLOURS, GREY, INK, PALE, RED, amounts, describe, ink_on, listed, new_figure, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def dense_and_sparse(n_experts: int = 8, chosen: Sequence[int] = (2, 5)) -> Figure:
    """A dense network beside a sparse one that holds as many weights: what one token uses."""
    figure = new_figure(9, 3.7)
    for axes, used in zip(figure.subplots(1, 2), (range(n_experts), chosen)):
        _canvas(axes, (-0.4, n_experts + 0.4), (-1.5, 5.2))
        middle, sparse = n_experts / 2, len(used) < n_experts
        for e in range(n_experts):
            on = e in used
            _box(axes, e + 0.08, 1.2, 0.84, 1.4, COLOURS[0] if on else PALE, f"E{e}" if sparse else "")
            if on or not sparse:
                _arrow(axes, (middle, 0.62 if not sparse else 0.55), (e + 0.5, 1.15))
                _arrow(axes, (e + 0.5, 2.65), (middle, 3.45))
        _box(axes, middle - 1.6, -0.1, 3.2, 0.65, "white", "token x → router" if sparse else "token x")
        _box(axes, middle - 1.6, 3.5, 3.2, 0.65, "white", "weighted sum" if sparse else "output y")
        title = f"sparse: {len(used)} of {n_experts} blocks work" if sparse else f"dense: all {n_experts} blocks work"
        axes.text(middle, 4.75, title, ha="center", fontsize=12, weight="bold", color=INK)
        text = f"holds the weights of {n_experts} blocks,\na token uses {len(used)} of them"
        axes.text(middle, -1.25, text, ha="center", fontsize=10, color=INK)
    return describe(figure, f"Two diagrams. Dense: a token passes through all {n_experts} blocks. Sparse: a router sends it to {listed(f'E{e}' for e in chosen)}, {len(chosen)} of {n_experts} blocks, whose outputs are summed by weight; the others rest.")


def dispatch(experts: Sequence[int]) -> Figure:
    """One choice per token: from token order to expert order, and back.

    Shapes: experts (T,)
    """
    order = np.argsort(np.asarray(experts), kind="stable")
    count = len(order)
    figure = new_figure(8.5, 4.2)
    axes = figure.subplots()
    _canvas(axes, (-2.6, count + 0.1), (-0.1, 6.1))
    for expert in sorted(set(experts)):
        places = [p for p, token in enumerate(order) if experts[token] == expert]
        axes.text(places[0] + len(places) / 2, 2.22, f"E{expert}", ha="center", va="center", fontsize=10, zorder=3)
        _box(axes, places[0] + 0.01, 2.0, len(places) - 0.02, 1.58, "#f7f7f7", edge=GREY)
    rows = {5.2: range(count), 2.6: order, 0.0: range(count)}
    labels = ("tokens in their order", "sorted by expert:\none matmul each", "back in their order")
    for (y, tokens), label in zip(rows.items(), labels):
        axes.text(-0.25, y + 0.4, label, ha="right", va="center", fontsize=10, color=INK)
        for place, token in enumerate(tokens):
            _box(axes, place + 0.07, y, 0.86, 0.8, COLOURS[experts[token]], f"t{token}")
    for place, token in enumerate(order):
        colour = COLOURS[experts[token]]
        axes.plot((token + 0.5, place + 0.5), (5.15, 3.62), color=colour, lw=2)
        axes.plot((place + 0.5, token + 0.5), (1.96, 0.85), color=colour, lw=2)
    said = (
        f"Diagram: {count} tokens in their order, then sorted so that each expert has its tokens side by side, then back in their order. "
        + "; ".join(f"E{e} gets {listed(f't{t}' for t, choice in enumerate(experts) if choice == e)}" for e in sorted(set(experts))) + "."
    )
    return describe(figure, said)


def slots(experts: Sequence[int], n_experts: int, capacity: int) -> Figure:
    """Experts with a fixed number of slots: who gets one, who is dropped.

    Shapes: experts (T,) the choice of every token, in token order
    """
    figure = new_figure(6.5, 0.55 * n_experts + 0.6)
    axes = figure.subplots()
    widest = max(capacity, max(experts.count(e) for e in range(n_experts)))
    _canvas(axes, (-0.8, widest + 0.6), (-0.1, n_experts + 0.6))
    for e in range(n_experts):
        y = n_experts - 1 - e
        axes.text(-0.2, y + 0.4, f"E{e}", ha="right", va="center", fontsize=11, weight="bold", color=INK)
        queue = [t for t, choice in enumerate(experts) if choice == e]
        for place in range(max(capacity, len(queue))):
            x = place + (0.35 if place >= capacity else 0)
            if place >= len(queue):
                _box(axes, x, y, 0.92, 0.8, "white", "empty", edge=GREY, style=":", size=9)
            elif place < capacity:
                _box(axes, x, y, 0.92, 0.8, COLOURS[e], f"t{queue[place]}")
            else:
                _box(axes, x, y, 0.92, 0.8, "white", f"t{queue[place]} ✗", edge=RED, colour=RED)
    axes.plot((capacity + 0.13,) * 2, (-0.1, n_experts), color=INK, lw=1.5, ls="--")
    axes.text(capacity + 0.03, n_experts + 0.2, f"capacity {capacity}", ha="right", fontsize=10, color=INK)
    axes.text(capacity + 0.28, n_experts + 0.2, "dropped", fontsize=10, color=readable(RED))
    said = (
        f"Diagram: {n_experts} experts with {capacity} slots each, filled in token order. "
        + "; ".join(_filled(e, [t for t, choice in enumerate(experts) if choice == e], capacity) for e in range(n_experts)) + "."
    )
    return describe(figure, said)


def all_to_all(destinations: Sequence[Sequence[int]]) -> Figure:
    """Expert parallelism: one expert per device, every token travels to its expert and home again.

    Shapes: destinations (D, T per device), the device of each token's expert
    """
    width = len(destinations[0])
    if any(len(row) != width for row in destinations):
        raise ShapeError(expected("as many tokens on every device", [len(row) for row in destinations]))
    figure = new_figure(9, 4.9)
    axes = figure.subplots()
    span, count = width + 1.2, len(destinations)
    _canvas(axes, (-3.6, span * count), (-0.8, 7.9))
    homes, work = _homes(destinations, span), _work(destinations, span)
    for y, label in ((6.0, "tokens\nat home"), (3.05, "at their\nexpert"), (0.1, "outputs\nat home")):
        axes.text(-0.9, y + 0.35, label, ha="right", va="center", fontsize=10, color=INK)
        for device in range(count):
            _box(axes, device * span - 0.25, y - 0.2, width + 0.36, 1.2, "#f7f7f7", "", edge=GREY)
    for device in range(count):
        x = device * span + (width - 0.14) / 2
        axes.text(x, 7.3, f"device {device}: expert E{device}", ha="center", fontsize=10, weight="bold", color=INK)
    for token, x in homes.items():
        colour, there = COLOURS[destinations[token[0]][token[1]]], work[token]
        axes.plot((x + 0.44, there + 0.44), (5.95, 3.85), color=colour, lw=1.6)
        axes.plot((there + 0.44, x + 0.44), (3.0, 0.9), color=colour, lw=1.6)
        for place, y in ((x, 6.0), (there, 3.05), (x, 0.1)):
            _box(axes, place, y, 0.86, 0.8, colour, "")
    for y, text in ((4.9, "all-to-all"), (1.95, "all-to-all")):
        axes.text(-0.9, y, text, ha="right", va="center", fontsize=10, style="italic", color=BLUE)
    said = (
        f"Diagram in three rows: {count * width} tokens at home on {count} devices, at the device of their expert, and at home again, lines between. "
         "Tokens at each expert: " + amounts({f"device {d}": sum(list(row).count(d) for row in destinations) for d in range(count)}) + "."
    )
    return describe(figure, said)


def _homes(destinations, span: float) -> dict[tuple[int, int], float]:
    return {(d, t): d * span + t for d, row in enumerate(destinations) for t in range(len(row))}


def _work(destinations, span: float) -> dict[tuple[int, int], float]:
    """Where each token stands at its expert: in the order of devices, squeezed to the box."""
    width = len(destinations[0])
    found: dict[tuple[int, int], float] = {}
    for device in range(len(destinations)):
        queue = [(d, t) for d, row in enumerate(destinations) for t, to in enumerate(row) if to == device]
        step = min(1.0, (width - 1) / max(len(queue) - 1, 1))
        found |= {token: device * span + place * step for place, token in enumerate(queue)}
    return found


def _canvas(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    axes.set(xlim=x, ylim=y)
    axes.axis("off")


def _box(axes: Axes, x, y, width, height, fill, text="", *, edge=INK, style="-", colour=None, size=10) -> None:
    from matplotlib.patches import Rectangle

    colour = readable(colour) if colour else ink_on(fill)
    axes.add_patch(Rectangle((x, y), width, height, fc=fill, ec=edge, ls=style, lw=1, zorder=2))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=size, color=colour, zorder=3)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1, "shrinkA": 0, "shrinkB": 0})


def _filled(expert: int, queue: Sequence[int], capacity: int) -> str:
    dropped = f" and drops {listed(f't{t}' for t in queue[capacity:])}" if len(queue) > capacity else ""
    return f"E{expert} takes {listed(f't{t}' for t in queue[:capacity]) or 'nothing'}{dropped}"
