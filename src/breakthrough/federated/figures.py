"""The charts of lesson and lab 03: who holds what, what factories see, how clients drift, how rounds go.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot. Colours are
Okabe and Ito's; what a colour says is said by a mark, a line style or words too.
Shape legend: N samples, K parts, C classes, S seeds, R rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.errors import ConfigError, ShapeError, expected
from breakthrough.federated.partition import Partition
from breakthrough.language import counted
from breakthrough.pictures import BLUE, COLOURS, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, describe, ink_on, listed, new_figure, readable, trends
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from breakthrough.train.pictures import Pictures

LINES = ((BLUE, "-", "o"), (RED, "--", "s"), (GREEN, "-.", "^"), (PURPLE, ":", "D"), (ORANGE, (0, (5, 1, 1, 1, 1, 1)), "v"), (INK, (0, (1, 1)), "P"))

DISC = 900  # square points of the largest
FITS = 0.25  # of the largest disc: a smaller one has no room for its number


def draw_split(partition: Partition | Mapping[str, Partition], labels: np.ndarray, classes: Sequence[str]) -> Figure:
    """How many samples of every class each part holds, as discs; several splits of the same samples side by side.

    Shapes: labels (N,)
    Units:  a disc's area goes with the number in it
    """
    splits = partition if isinstance(partition, Mapping) else {"": partition}
    tables = {name: split.counts(labels, len(classes)) for name, split in splits.items()}  # (K, C) each
    most = max(table.max() for table in tables.values())
    wide = [len(table) for table in tables.values()]
    figure = new_figure(1.5 + sum(0.2 + 0.58 * k for k in wide), 0.9 + 0.5 * len(classes))
    panels = figure.subplots(1, len(tables), squeeze=False, sharey=True, width_ratios=wide)[0]
    for axes, (name, table) in zip(panels, tables.items()):
        part, kind = np.indices(table.shape).reshape(2, -1)
        count = table.ravel()
        axes.scatter(part, kind, s=DISC * count / most, c=[COLOURS[k % len(COLOURS)] for k in kind], ec=INK, lw=0.6)
        for x, y, value in zip(part, kind, count):
            beside = 0 < value < most * FITS  # the disc is smaller than its number
            style = {"ha": "left" if beside else "center", "va": "center", "fontsize": 8.5, "color": "#666666" if not value else "black" if beside else ink_on(COLOURS[y % len(COLOURS)])}
            axes.annotate(f"{value}", (x, y), (beside * (2 + np.sqrt(DISC * value / most) / 2), 0), textcoords="offset points", **style)
        axes.set(xlim=(-0.6, len(table) - 0.4), ylim=(len(classes) - 0.4, -0.6), xlabel="part, and its samples")
        axes.set_xticks(range(len(table)), [f"{k}\n{size}" for k, size in enumerate(table.sum(1))])
        skew = f"skew {splits[name].skew(labels):.2f}"
        axes.set_title(f"{name}\n{skew}" if name else skew, fontsize=10.5)
        plain(axes)
    panels[0].set_yticks(range(len(classes)), [label.replace("_", " ") for label in classes])
    said = (
        f"Discs: how many samples of each of {len(classes)} classes every part holds, the larger the more. "
        + "; ".join(f"{name or 'this split'}: {len(tables[name])} parts of {listed(str(n) for n in tables[name].sum(1))} samples, skew {one.skew(labels):.2f}" for name, one in splits.items()) + "."
    )
    return describe(figure, said)


def draw_factories(pictures: Mapping[str, Pictures]) -> Figure:
    """What each factory sees: a picture of every class, its mix of classes, its pixel values.

    Units:  shares in per cent; pixel values in 32 bins of 8, all channels together
    """
    names = tuple(pictures)
    classes = pictures[names[0]].classes
    figure = new_figure(10.5, 0.8 + 1.12 * len(names))
    grid = figure.subplots(len(names), 3, squeeze=False, width_ratios=[1.0 * len(classes), 2.1, 2.1])
    for row, (name, (left, middle, right)) in enumerate(zip(names, grid)):
        data = pictures[name]
        _examples(left, data)
        left.set_ylabel(name, fontsize=11)
        share = 100 * np.bincount(data.labels, minlength=len(classes)) / len(data)
        middle.barh(range(len(classes)), share, color=COLOURS[: len(classes)], ec=INK, lw=0.6)
        for y, value in enumerate(share):
            middle.text(value + 1.5, y, f"{value:.0f}", va="center", fontsize=8.5)
        middle.set_yticks(range(len(classes)), [label.replace("_", " ") for label in classes])
        middle.set(xlim=(0, 100), ylim=(len(classes) - 0.4, -0.6))
        _values(right, data.images)
        for axes in (middle, right):
            plain(axes)
            axes.tick_params(labelbottom=row == len(names) - 1, labelsize=8.5)
    most = max(axes.get_ylim()[1] for axes in grid[:, 2])
    for axes in grid[:, 2]:
        axes.set_ylim(0, most)
    grid[0, 1].set_title("share of its pictures, %", fontsize=10)
    grid[0, 2].set_title("share of its pixel values, %", fontsize=10)
    grid[-1, 2].set_xlabel("pixel value, 0 to 255", size=10)
    side = pictures[names[0]].images.shape[2]
    for i, label in enumerate(classes):
        grid[0, 0].text((side + _gap(side)) * i + side / 2, -0.06 * side, label.replace("_", "\n"), ha="center", va="bottom", fontsize=9)
    said = (
        f"For each of {len(names)} factories an example of every class, bars of its mix of classes, and a histogram of its pixel values. "
        + "; ".join(f"{name}: most are {classes[int(np.bincount(one.labels, minlength=len(classes)).argmax())].replace('_', ' ')}, mean pixel {one.images.mean():.0f}" for name, one in pictures.items()) + "."
    )
    return describe(figure, said)


def _values(axes: Axes, images: np.ndarray) -> None:
    edges, mean = np.arange(0, 257, 8), images.mean()
    axes.stairs(100 * np.histogram(images, edges)[0] / images.size, edges, fill=True, fc=SKY, ec=INK, lw=0.6)
    axes.axvline(mean, color=RED, ls="--", lw=1.4)
    axes.text(0.98, 0.96, f"mean {mean:.0f}", color=readable(RED), fontsize=9, ha="right", va="top", transform=axes.transAxes)
    axes.set(xlim=(0, 256))


def _gap(side: int) -> int:
    return max(1, side // 24)


def _examples(axes: Axes, data: Pictures) -> None:
    height, width = data.images.shape[1:3]
    blank = np.full((height, width, 3), 255, np.uint8)
    found = [np.flatnonzero(data.labels == kind)[:1] for kind in range(len(data.classes))]
    shown = [data.images[at[0]] if len(at) else blank for at in found]
    white = np.full((height, _gap(width), 3), 255, np.uint8)
    strip = np.concatenate([piece for one in shown for piece in (one, white)][:-1], axis=1)
    axes.imshow(strip, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


# two clients' losses ½ (w − c)ᵀ H (w − c): each is flat along a line of its own, and steep across it
OPTIMA = np.array([[-1.6, -0.2], [1.5, 0.9]])
CURVATURES = np.array([[[2.2, 1.3], [1.3, 1.0]], [[0.5, 0.1], [0.1, 2.4]]])


def drift_path(local_steps: int, rounds: int, lr: float, start: tuple[float, float]) -> np.ndarray:
    """Federated averaging of two clients by gradient descent on `OPTIMA` and `CURVATURES`.

    Shapes: → (rounds, 2, local_steps + 1, 2): each round, client and step, where its weights are
    Raises: ConfigError for less than one step or round
    """
    if local_steps < 1 or rounds < 1:
        raise ConfigError(expected("at least one local step and one round", (local_steps, rounds)))
    path = np.empty((rounds, 2, local_steps + 1, 2))
    mean = np.asarray(start, float)
    for r in range(rounds):
        path[r, :, 0] = mean
        for step in range(local_steps):
            gradient = np.einsum("kij,kj->ki", CURVATURES, path[r, :, step] - OPTIMA)
            path[r, :, step + 1] = path[r, :, step] - lr * gradient
        mean = path[r, :, -1].mean(0)
    return path


def drift_optimum() -> np.ndarray:
    """Where the mean of the two clients' losses is lowest.

    Shapes: → (2,)
    """
    return np.linalg.solve(CURVATURES.sum(0), np.einsum("kij,kj->i", CURVATURES, OPTIMA))


def draw_drift(local_steps: Sequence[int] = (1, 20), rounds: int = 30, lr: float = 0.15, start: tuple[float, float] = (0.6, 2.3)) -> Figure:
    """Client drift: two clients with optima of their own, few and many local steps a round, as many rounds.

    Contours are of the mean loss. What is drawn was computed by gradient descent, by `drift_path`.
    """
    best, paths = drift_optimum(), [drift_path(steps, rounds, lr, start) for steps in local_steps]
    every = np.concatenate([*(path.reshape(-1, 2) for path in paths), OPTIMA])
    low, high = every.min(0) - 0.25, every.max(0) + 0.25
    figure = new_figure(4.7 * len(local_steps), 1.35 + 4.2 * (high - low)[1] / (high - low)[0])
    for axes, steps, path in zip(figure.subplots(1, len(local_steps), squeeze=False)[0], local_steps, paths):
        means = np.concatenate((path[:, 0, 0], path[-1, :, -1].mean(0)[None]))  # (rounds + 1, 2)
        _contours(axes, low, high)
        for client, (colour, style, mark) in enumerate(LINES[:2]):
            for way in path[:, client]:  # (local steps + 1, 2)
                axes.plot(*way.T, color=colour, ls=style, lw=1.1, alpha=0.8)
            axes.plot(*OPTIMA[client], mark, color=colour, ms=9, mec="white", label=f"best for client {client + 1}", zorder=4)
        axes.plot(*means.T, color=INK, lw=1.8, marker=".", ms=7, label="the average, each round")
        axes.plot(*best, "*", color=ORANGE, ms=17, mec=INK, label="best for both", zorder=4)
        axes.plot(*means[-1], "X", color=INK, ms=9, mec="white", zorder=5, label="where it ends")
        away = np.linalg.norm(means[-1] - best)
        axes.set_title(f"{counted(steps, 'local step')} a round: after {rounds} rounds\n{away:.2f} from the best for both", fontsize=10.5)
        axes.set(xlabel="weight 1", ylabel="weight 2", aspect="equal", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        plain(axes)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    said = (
        f"Paths of two clients' weights and of their average over contours of the mean loss, {rounds} rounds. "
        + "; ".join(f"{counted(steps, 'local step')} a round end {np.linalg.norm(path[-1, :, -1].mean(0) - best):.2f} from the best for both" for steps, path in zip(local_steps, paths)) + "."
    )
    return describe(figure, said)


def _contours(axes: Axes, low: np.ndarray, high: np.ndarray) -> None:
    x, y = np.meshgrid(*np.linspace(low, high, 90).T)
    apart = np.stack((x, y), -1)[None] - OPTIMA[:, None, None]  # (2, 90, 90, 2)
    loss = np.einsum("kyxi,kij,kyxj->yx", apart, CURVATURES, apart) / 4  # the mean of two halves
    levels = loss.min() + np.geomspace(0.02, loss.max() - loss.min(), 11)
    axes.contour(x, y, loss, levels, colors=GREY, linewidths=0.7, alpha=0.7)


def draw_history(
    runs: Mapping[str, np.ndarray], what: str = "accuracy, %", *, first: int = 1, goal: tuple[str, float] | None = None, log: bool = False
) -> Figure:
    """A measure over rounds: a line for the mean over seeds, a band from the lowest seed to the highest.

    Shapes: each run (S, R) or (R,)
    Units:  the first column is round `first`; goal is a name and a value, drawn as a line
    Raises: ConfigError for no runs; ShapeError for one of another shape
    """
    if not runs:
        raise ConfigError(expected("at least one run", "none"))
    figure = new_figure(8, 3.8)
    axes = figure.subplots()
    for i, (name, values) in enumerate(runs.items()):
        table = np.atleast_2d(np.asarray(values, float))
        if table.ndim != 2 or not table.size:
            raise ShapeError(expected(f"{name} of shape (S, R)", np.shape(values)))
        rounds, (colour, style, mark) = np.arange(first, first + table.shape[1]), LINES[i % len(LINES)]
        axes.fill_between(rounds, table.min(0), table.max(0), color=colour, alpha=0.18, lw=0)
        every = max(1, table.shape[1] // 10)
        axes.plot(rounds, table.mean(0), color=colour, ls=style, lw=1.9, marker=mark, ms=5, markevery=(i % every, every), label=name)
    if goal is not None:
        axes.axhline(goal[1], color=INK, lw=1, ls=(0, (6, 3)))
        begin = np.mean([np.atleast_2d(np.asarray(values, float))[:, 0].mean() for values in runs.values()])
        side = "bottom" if begin < goal[1] else "top"  # where the lines do not begin
        axes.annotate(
            goal[0], (0.01, goal[1]), (0, 3 if side == "bottom" else -3), axes.get_yaxis_transform(), "offset points", fontsize=9.5, va=side
        )  # clear of the line, which letters below their baseline would touch
        axes.margins(y=0.1)
    axes.set(xlabel="round", ylabel=what, yscale="log" if log else "linear")
    axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False, fontsize=10, loc="upper left", bbox_to_anchor=(1, 1))
    seeds = sorted({len(np.atleast_2d(values)) for values in runs.values()})
    axes.set_title("one seed" if seeds == [1] else f"mean of {' to '.join(map(str, seeds))} seeds; bands: lowest to highest", fontsize=10)
    plain(axes)
    said = (
        f"Lines of {what.replace(', %', ' in per cent')} over rounds {first} to {rounds[-1]}: "
        + trends({name: np.atleast_2d(np.asarray(values, float)).mean(0) for name, values in runs.items()})
        + (f"; {goal[0]}: {goal[1]:.3g}." if goal else ".")
    )
    return describe(figure, said)
