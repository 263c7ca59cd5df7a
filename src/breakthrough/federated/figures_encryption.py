"""The chart of what encrypted sums cost, packing by packing.

The function returns a matplotlib Figure of its own; nothing is registered with pyplot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from breakthrough.errors import InputError, expected
from breakthrough.federated.ckks_cost import FLOAT32_BYTES, Cost, spread
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, SKY, amounts, describe, new_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS = (("encrypt", SKY), ("add", ORANGE), ("decrypt", GREEN))


def packings(costs: Sequence[Cost]) -> Figure:
    """Bytes a client sends for each value, and seconds of a whole round, one row for each packing.

    Units:  bytes per value, beside float32's 4; CPU milliseconds on one thread: all clients' encryption, the sum, its
            decryption; the whisker is from quartile to quartile of the encryption
    Raises: InputError when there is nothing to draw
    """
    if not costs:
        raise InputError(expected("costs of at least one packing", "none", "measure(...)"))
    figure = new_figure(9.5, 0.34 * len(costs) + 1.3)
    left, right = figure.subplots(1, 2, sharey=True)
    best = min(costs, key=lambda cost: cost.up_bytes)
    for y, cost in enumerate(costs):
        _sent(left, y, cost, cost is best)
        _took(right, y, cost)
    left.axvline(FLOAT32_BYTES, color=INK, ls="--", lw=1)
    left.text(FLOAT32_BYTES, -0.75, " float32", ha="left", va="center", fontsize=9.5)
    left.set_yticks(range(len(costs)), [f"{c.packing}, N = {c.degree:,}" for c in costs])
    left.set(xlabel="bytes sent for a value", xlim=(0, 1.17 * max(c.up_bytes / c.size for c in costs)), ylim=(len(costs) - 0.4, -1.1))
    right.set(xlabel=f"CPU ms of a round: {costs[0].clients} clients, {costs[0].size:,} values", xlim=(0, None))
    right.legend(*_legend(right), frameon=False, fontsize=9.5, ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 0.99))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    said = (
        f"By way of packing, dots of the bytes sent for a value, beside float32's {FLOAT32_BYTES}, and bars of the CPU time of a round. Bytes: "
        + amounts({f"{cost.packing}, N = {cost.degree}": cost.up_bytes / cost.size for cost in costs}, "{:.1f}") + "."
    )
    return describe(figure, said)


def _sent(axes: Axes, y: int, cost: Cost, best: bool) -> None:
    value = cost.up_bytes / cost.size
    axes.plot([0, value], [y, y], color=GREY, lw=1, zorder=1)
    axes.scatter([value], [y], c=BLUE, ec=INK, lw=0.6, s=45 if best else 30, marker="D" if best else "o", zorder=2)
    axes.text(value, y, f"   {value:.1f}" + (" (fewest)" if best else ""), va="center", fontsize=9.5)


def _took(axes: Axes, y: int, cost: Cost) -> None:
    left_ms = 0.0
    for (name, colour), times, times_over in zip(STEPS, (cost.encrypt_s, cost.add_s, cost.decrypt_s), (cost.clients, 1, 1)):
        low, middle, high = (1000 * times_over * t for t in spread(times))
        axes.barh(y, middle, left=left_ms, color=colour, ec=INK, lw=0.6, height=0.62, label=name)
        if name == "encrypt":
            axes.plot([low, high], [y, y], color=INK, lw=1.6, zorder=3)
        left_ms += middle


def _legend(axes: Axes) -> tuple[list[Artist], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    return handles[: len(STEPS)], labels[: len(STEPS)]
