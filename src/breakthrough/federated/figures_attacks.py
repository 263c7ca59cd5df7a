"""The figures of what leaks: pictures rebuilt from updates, and members told from others.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
Shape legend: V pictures, M members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from breakthrough.errors import InputError, expected
from breakthrough.federated.leaks import Leak, Rebuilt, Told
from breakthrough.federated.membership import LOW_RATE, bound, roc
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, amounts, describe, new_figure, trend, trends
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = ((RED, "-"), (BLUE, "--"), (GREEN, "-."), (PURPLE, ":"))


def draw_reconstructions(original: Tensor, guess: Rebuilt, leaks: Sequence[Leak], count: int = 5) -> Figure:
    """Originals in the first row, and below them what inversion makes of what each protection lets a server see.

    Shapes: original (V, channels, H, W); the first `count` are drawn
    Units:  the number is the mean correlation with the original, over all pictures; 1 is the same picture
    Raises: InputError when there is nothing to draw
    """
    if not leaks or count < 1:
        raise InputError(expected("at least one row and one picture", f"{len(leaks)} and {count}"))
    rows = [("original", "", None, original), ("a guess", "the mean of other pictures", guess, guess.pictures)]
    rows += [(leak.protection, f"sees {leak.seen}", leak.rebuilt, leak.rebuilt.pictures) for leak in leaks]
    count = min(count, len(original))
    figure = new_figure(2.6 + 0.82 * count + 1.0, 0.72 * len(rows) + 0.3)
    panels = figure.subplots(len(rows), count + 2, width_ratios=[3.4, *[1] * count, 1.2], squeeze=False)
    for line, (name, seen, rebuilt, pictures) in zip(panels, rows):
        for axes in line:
            axes.axis("off")
        line[0].text(0, 0.5 if not seen else 0.66, name, fontsize=11, va="center", transform=line[0].transAxes)
        line[0].text(0, 0.22, seen, fontsize=9, va="center", color="#666666", transform=line[0].transAxes)
        for axes, picture in zip(line[1:-1], pictures):
            _show(axes, picture)
        if rebuilt is not None:
            line[-1].text(0.1, 0.5, f"{rebuilt.likeness.mean():.2f}".replace("-", "−"), fontsize=12, va="center", transform=line[-1].transAxes)
    panels[0, -1].text(0.1, 0.5, "likeness", fontsize=9.5, va="center", transform=panels[0, -1].transAxes)
    said = (
        f"Rows of {count} pictures: originals, a guess, and what inversion rebuilds from what a server sees. Likeness to the original, 1 is the same: "
        + amounts({"guess": guess.likeness.mean()} | {leak.protection: leak.rebuilt.likeness.mean() for leak in leaks}, "{:.2f}") + "."
    )
    return describe(figure, said)


def draw_likeness(guess: Rebuilt, leaks: Sequence[Leak]) -> Figure:
    """How like the originals what was rebuilt is, a dot for each picture, beside the likeness to strangers' pictures.

    Units:  correlation; the grey line is the guess that has seen nothing
    """
    figure = new_figure(8, 0.48 * len(leaks) + 1.1)
    axes = figure.subplots()
    for y, leak in enumerate(leaks):
        axes.scatter(leak.rebuilt.likeness, [y] * len(leak.rebuilt.likeness), c=BLUE, s=20, alpha=0.7, label="the picture itself" if not y else None)
        axes.scatter([leak.rebuilt.stranger], [y], marker="x", c=RED, s=50, lw=2, zorder=3, label="strangers' pictures, mean" if not y else None)
    axes.axvline(guess.likeness.mean(), color=GREY, lw=1.5, ls="--", label="a guess")
    axes.set_yticks(range(len(leaks)), [leak.protection for leak in leaks])
    axes.set(xlabel="correlation with the original", xlim=(-0.4, 1.04), ylim=(len(leaks) - 0.5, -0.5))
    axes.legend(frameon=False, fontsize=9.5, loc="upper left", bbox_to_anchor=(1, 1))
    plain(axes)
    said = (
        f"Dots: correlation of each rebuilt picture with its original, a row a protection, beside a guess at {guess.likeness.mean():.2f}. Means: "
        + amounts({leak.protection: leak.rebuilt.likeness.mean() for leak in leaks}, "{:.2f}") + "."
    )
    return describe(figure, said)


def draw_fading(counts: Sequence[int], lines: Mapping[str, Sequence[Rebuilt]]) -> Figure:
    """How like its original a rebuilt picture is, over how many pictures the update was made from.

    Units:  correlation, mean and standard error over pictures; thin lines are strangers' pictures: where the two meet
            nothing of a single picture is left
    """
    figure = new_figure(7.5, 3.6)
    axes = figure.subplots()
    for i, ((name, found), (colour, style)) in enumerate(zip(lines.items(), LINES)):
        mean, spread = (np.array([f(one.likeness) for one in found]) for f in (np.mean, _error_of_mean))
        x = np.asarray(counts) * 1.03**i  # side by side, so that error bars can be read
        axes.errorbar(x, mean, spread, color=colour, ls=style, lw=2, marker="o", ms=5, capsize=3, label=name)
        axes.plot(x, [one.stranger for one in found], color=colour, ls=style, lw=0.9, marker="x", ms=5)
    axes.plot([], [], color=INK, lw=0.9, marker="x", ms=5, label="strangers' pictures")
    axes.set(xlabel="pictures in the update", ylabel="correlation with the original", xscale="log", ylim=(None, 1.05))
    axes.set_xticks(list(counts), [str(count) for count in counts])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=10, loc="upper left", bbox_to_anchor=(1, 1))
    plain(axes)
    said = (
        f"Lines with error bars: likeness of rebuilt pictures to their originals by the number of pictures in the update, {trend(counts, '{:g}')}. "
        + trends({name: [one.likeness.mean() for one in found] for name, found in lines.items()}, "{:.2f}") + "; thin lines are strangers' pictures."
    )
    return describe(figure, said)


def draw_membership(told: Mapping[str, Told]) -> Figure:
    """Scores of members and others, a panel for each model, and the rates of the attack on logarithmic scales.

    Units:  scores in deviations of the reference models; rates are shares of 1; a thin line is the
            most that any attack can reach at the model's ε, where ε is small enough to say something
    Raises: InputError when there is no model
    """
    if not told:
        raise InputError(expected("at least one model", "none"))
    figure = new_figure(4 + 2.5 * len(told), 3.7)
    panels = figure.subplots(1, len(told) + 1, width_ratios=[*[1] * len(told), 1.5])
    for axes, (name, one) in zip(panels, told.items()):
        _scores(axes, name, one)
    panels[0].set_ylabel("share of the samples, %")
    panels[0].set_ylim(0, 1.3 * panels[0].get_ylim()[1])
    panels[0].legend(frameon=False, fontsize=9.5, loc="upper left", ncols=2, columnspacing=1)
    rates, least = panels[-1], 1 / max(len(one.others) for one in told.values())
    note: str | None = "thin: the most that ε allows"
    for (name, one), (colour, style) in zip(told.items(), LINES):
        false, true = roc(one.members, one.others)
        rates.step(np.maximum(false, least / 2), np.maximum(true, least / 2), color=colour, ls=style, lw=2, where="post", label=name)
        if one.epsilon is not None and bound(one.epsilon, one.delta, LOW_RATE) < 0.5:  # a large ε promises nothing here
            grid = np.geomspace(least, 1, 200)
            rates.plot(grid, bound(one.epsilon, one.delta, grid), color=colour, ls=style, lw=0.8, label=note)
            note = None  # said once
    rates.plot([least, 1], [least, 1], color=GREY, lw=1, label="guessing")
    rates.axvline(LOW_RATE, color=INK, lw=0.8, ls=(0, (6, 3)))
    rates.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.15), xlabel="others taken for members", ylabel="members found")
    rates.legend(frameon=False, fontsize=9, loc="lower right")
    plain(rates)
    said = (
        "Histograms of an attack's scores for members and others, and curves of members found against others taken for members. "
        + "; ".join(f"{name}: AUC {one.found.auc:.2f} from {one.found.low:.2f} to {one.found.high:.2f}" for name, one in told.items()) + ", where guessing gives 0.50."
    )
    return describe(figure, said)


def _scores(axes: Axes, name: str, told: Told) -> None:
    both = np.concatenate((told.members, told.others))
    low, high = np.percentile(both, (0.5, 99.5))
    edges = np.linspace(low, high, 25)
    for scores, colour, label in ((told.others, GREY, "others"), (told.members, ORANGE, "members")):
        share = 100 * np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0] / len(scores)
        axes.stairs(share, edges, color=INK if label == "others" else RED, fill=False, lw=1.2)
        axes.stairs(share, edges, color=colour, fill=True, alpha=0.45, label=label)
    limit = "" if told.epsilon is None else f", ε = {told.epsilon:.1f} at δ = {told.delta:g}"
    axes.set_title(f"{name}\nAUC {told.found.auc:.2f} [{told.found.low:.2f}, {told.found.high:.2f}]\naccuracy {told.accuracy:.0%}{limit}", fontsize=9.5)
    axes.set(xlabel="score", ylim=(0, None))
    plain(axes)


def _error_of_mean(x: np.ndarray) -> float:
    return float(np.std(x, ddof=1) / len(x) ** 0.5) if len(x) > 1 else 0.0


def _show(axes: Axes, picture: Tensor) -> None:
    shown = picture.detach().cpu().float().clamp(0, 1).numpy()
    if len(shown) == 1:
        axes.imshow(shown[0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(np.moveaxis(shown, 0, -1), interpolation="nearest")
