"""The federated inspector beside its controls: round by round, and factory by factory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from breakthrough.federated.training import CENTRAL, FEDERATED, Federation
from breakthrough.pictures import BLUE, GREY, INK, ORANGE, SKY, describe, new_figure, trend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALONE, OWN = "mean of the factories alone", "its own factory alone"


def draw_federation(federation: Federation) -> Figure:
    """Accuracy of the federated inspector after every round against its controls; then by the factory that a picture looks like.

    Units:  per cent of the test pictures; bars with intervals of 95% over pictures
    """
    figure = new_figure(11, 4.3)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    _rounds(left, federation)
    _factories(right, federation)
    most = max(axes.get_ylim()[1] for axes in (left, right))
    for axes in (left, right):
        axes.set(ylim=(0, min(100, most)))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9.5)
    said = (
        f"Left a line: test accuracy of the federated inspector by round, {trend(100 * np.array(federation.history.series()), '{:.0f}%')}, beside {100 * federation.scores.accuracy(CENTRAL).value:.0f}% for all pictures in one place "
        f"and {100 * federation.scores.mean(tuple(federation.alone)).value:.0f}% for factories alone. Right bars of the same by factory."
    )
    return describe(figure, said)


def _rounds(axes: Axes, federation: Federation) -> None:
    scores, curve = federation.scores, 100 * np.array(federation.history.series())  # (R,)
    rounds = np.arange(1, len(curve) + 1)
    axes.plot(rounds, curve, color=BLUE, marker="o", ms=4.5, lw=1.9, label="federated, after each round")
    levels = (
        ("central, all pictures in one place", scores.accuracy(CENTRAL).value, INK, "--"),
        (ALONE, scores.mean(tuple(federation.alone)).value, ORANGE, "-."),
        ("always the most frequent class", scores.majority(), GREY, ":"),
    )
    for name, value, colour, style in levels:
        axes.axhline(100 * value, color=colour, ls=style, lw=1.6, label=f"{name}: {100 * value:.0f}%")
    axes.set(xlabel="round", ylabel="test accuracy, %", title=f"all {len(scores.labels)} test pictures")
    axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14))


def _factories(axes: Axes, federation: Federation) -> None:
    scores, names = federation.scores, tuple(federation.held)
    rows = ((FEDERATED, BLUE, ""), (CENTRAL, SKY, "//"), (OWN, ORANGE, ".."))
    for i, (row, colour, hatch) in enumerate(rows):
        shares = [scores.accuracy(name if row == OWN else row, name) for name in names]
        place = np.arange(len(names)) + 0.27 * (i - 1)
        heights, halves = ([100 * getattr(share, key) for share in shares] for key in ("value", "half"))
        halves = np.minimum(halves, np.stack((heights, 100 - np.array(heights))))  # (2, K): no share is outside 0 to 100
        axes.bar(place, heights, 0.25, color=colour, ec=INK, lw=0.7, hatch=hatch, label=row, yerr=halves, error_kw={"lw": 1, "capsize": 2})
        for x, height in zip(place, heights):
            if height == height:  # a factory that no test picture looks like has no bar
                axes.text(x, 1.5, f"{height:.0f}", ha="center", va="bottom", fontsize=9, bbox={"fc": "white", "ec": "none", "pad": 0.8})
    sizes = [len(federation.held[name]) for name in names]
    labels = [f"{name}\n{size} to train on\n{scores.accuracy(FEDERATED, name).n} to test on" for name, size in zip(names, sizes)]
    axes.set_xticks(range(len(names)), labels)
    axes.set(title="by the factory that a test picture looks like")
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.25))
