"""The charts of lesson 01: what a router chose, how full experts are, what a model costs.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
Shape legend: T tokens, E experts, k experts a token, S steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from breakthrough.errors import ShapeError, expected
from breakthrough.moe.published import Published
from breakthrough.pictures import BLUE, COLOURS, GREY, INK, ORANGE, RED, amounts, describe, ink_on, listed, new_figure, trend, trends

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = "os^Dv*PX"  # by expert, beside the colour
NUDGED = {"Kimi K2": (6, 9), "DeepSeek-V3": (-24, 12)}  # neighbours; points right and up


def routing_table(probs: Tensor, experts: Tensor) -> Figure:
    """Each token's probabilities, with a frame around the experts it goes to.

    Shapes: probs (T, E), experts (T, k)
    """
    from matplotlib.patches import Rectangle

    count, n_experts = probs.shape
    figure = new_figure(1.1 * n_experts + 2.2, 0.62 * count + 1.0)
    axes = figure.subplots()
    image = axes.imshow(probs.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for t, e in np.ndindex(count, n_experts):
        axes.text(e, t, f"{probs[t, e]:.2f}", ha="center", va="center", fontsize=11, color=ink_on(image.cmap(float(probs[t, e]))))
    for t, chosen in enumerate(experts.tolist()):
        for e in chosen:
            axes.add_patch(Rectangle((e - 0.46, t - 0.44), 0.92, 0.88, fill=False, ec=RED, lw=2.5))
    axes.set_xticks(range(n_experts), [f"E{e}" for e in range(n_experts)])
    axes.set_yticks(range(count), [f"token {t}" for t in range(count)])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=10)
    figure.colorbar(image, ax=axes, label="probability", shrink=0.9)
    said = (
        f"Table of router probabilities, {count} tokens by {n_experts} experts, with frames around the chosen: "
        + "; ".join(f"token {t} goes to {listed(f'E{e} ({probs[t, e]:.2f})' for e in chosen)}" for t, chosen in enumerate(experts.tolist()[:6])) + "."
    )
    return describe(figure, said)


def expert_text(text: str, experts: Sequence[int], n_experts: int, width: int = 84) -> Figure:
    """Source text, every character on the colour of the expert that took it. A dot is a space.

    Eight colours and four hatches tell 32 experts apart.

    Shapes: experts (T,), one for every character of the text
    """
    if len(text) != len(experts):
        raise ShapeError(expected("one expert a character", f"{len(experts)} for {len(text)} characters"))
    from matplotlib.patches import Patch, Rectangle

    places = _places(text, width)
    rows = 1 + max(row for row, _ in places)
    keys_rows = -(-n_experts // len(COLOURS))
    figure = new_figure(9, 0.195 * rows + 0.3 + 0.25 * keys_rows)
    axes = figure.subplots()
    axes.set(xlim=(0, width), ylim=(rows, 0))
    axes.axis("off")
    for letter, (row, column), expert in zip(text, places, experts):
        axes.add_patch(Rectangle((column, row), 1, 1, **_face(expert)))
        shown = {" ": "·", "\n": "↵"}.get(letter, letter)
        axes.text(column + 0.5, row + 0.52, shown, ha="center", va="center", fontsize=9.5, family="monospace")
    keys = [Patch(label=f"E{e}", **_face(e)) for e in range(n_experts)]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(COLOURS), fontsize=10, frameon=False,
                  handlelength=1.2, columnspacing=1.4)
    said = (
        f"Source text in {rows} lines, every character on the colour of the expert that took it. "
         "Characters taken: " + amounts({f"E{e}": experts.count(e) for e in sorted(set(experts), key=experts.count, reverse=True)[:8]}) + "."
    )
    return describe(figure, said)


def _face(expert: int) -> dict[str, Any]:
    hatch = ("", "////", "....", "xxxx")[expert // len(COLOURS) % 4]
    return {"fc": COLOURS[expert % len(COLOURS)], "ec": "white", "lw": 0, "hatch": hatch, "alpha": 0.6}


def _places(text: str, width: int) -> list[tuple[int, int]]:
    row, column, found = 0, 0, []
    for letter in text:
        found.append((row, column))
        column += 1
        if letter == "\n" or column == width:
            row, column = row + 1, 0
    return found


def kinds_by_expert(shares: Mapping[str, Sequence[float]]) -> Figure:
    """Which expert takes which kind of character.

    Shapes: shares maps a kind to (E,)
    Units:  per cent of the characters of that kind, so that a row sums to 100
    """
    table = 100 * np.array(list(shares.values()))
    figure = new_figure(8.5, 0.42 * len(shares) + 0.9)
    axes = figure.subplots()
    image = axes.imshow(table, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for row, e in np.ndindex(*table.shape):
        if table[row, e] >= 1:
            axes.text(e, row, f"{table[row, e]:.0f}", ha="center", va="center", fontsize=10, color=ink_on(image.cmap(table[row, e] / 100)))
    axes.set_xticks(range(table.shape[1]), [f"E{e}" for e in range(table.shape[1])])
    axes.set_yticks(range(len(shares)), list(shares))
    axes.tick_params(length=0, labelsize=10)
    axes.set_xlabel("share of the characters of a kind, per cent (empty: below 1)", fontsize=10)
    said = (
        "Table of shares: which expert takes which kind of character. The largest of each kind: "
        + amounts({f"{name} E{row.argmax()}": row.max() for name, row in zip(shares, table)}, "{:.0f}%") + "."
    )
    return describe(figure, said)


def load_bars(loads: Mapping[str, Sequence[float]]) -> Figure:
    """The share of the assignments that each expert gets, one panel for each named load.

    Shapes: each load (E,)
    Units:  shares that sum to 1 are drawn as per cent
    """
    figure = new_figure(4.5 * len(loads), 3)
    panels = figure.subplots(1, len(loads), sharey=True, squeeze=False)[0]
    for axes, (name, load) in zip(panels, loads.items()):
        share = 100 * np.asarray(load, float) / np.sum(load)
        axes.bar(range(len(share)), share, color=COLOURS[: len(share)], ec=INK, lw=0.8)
        axes.axhline(100 / len(share), color=INK, ls="--", lw=1)
        axes.text(1.01, 100 / len(share), "even", va="center", fontsize=9.5, transform=axes.get_yaxis_transform())
        axes.set_title(f"{name}\nCV {share.std() / share.mean():.2f}", fontsize=11)
        axes.set_xticks(range(len(share)), [f"E{e}" for e in range(len(share))])
        _plain(axes)
    panels[0].set_ylabel("share of the assignments, %")
    said = (
        "Bars of each expert's share of the assignments. "
        + "; ".join(f"{name}: {len(load)} experts, from {100 * min(load) / sum(load):.0f}% to {100 * max(load) / sum(load):.0f}%" for name, load in ((n, [float(x) for x in one]) for n, one in loads.items())) + "."
    )
    return describe(figure, said)


def loads_over_steps(runs: Mapping[str, Sequence[tuple[Sequence[int], np.ndarray]]]) -> Figure:
    """How the load moves while training: a row of panels for each named arm, a column for each seed.

    Shapes: every run is (steps (S,), shares (S, E)); a band's height is its expert's share
    """
    columns = max(map(len, runs.values()))
    figure = new_figure(9, 2.15 * len(runs) + 0.5)
    grid = figure.subplots(len(runs), columns, sharex=True, sharey=True, squeeze=False)
    for row, (name, seeds) in zip(grid, runs.items()):
        for seed, (axes, (steps, share)) in enumerate(zip(row, seeds)):
            axes.stackplot(steps, 100 * share.T, colors=COLOURS, ec="white", lw=0.5)
            axes.set(xlim=(min(steps), max(steps)), ylim=(0, 100))
            axes.set_title(f"{name}, seed {seed}", fontsize=10)
            axes.tick_params(labelsize=9)
        row[0].set_ylabel("assignments, %", fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("training step", fontsize=10)
    bands = [f"E{e}" for e in range(next(iter(runs.values()))[0][1].shape[1])]
    figure.legend(grid[0, 0].collections, bands, loc="outside lower center", ncols=len(COLOURS), frameon=False, fontsize=9.5, title="bands from below", title_fontsize=9.5)
    said = (
        f"Stacked areas over training steps: each expert's share of the assignments, {columns} seeds in a row. The busiest expert's share at the end: "
        + "; ".join(f"{name} {listed(f'{100 * np.max(share[-1]):.0f}%' for _, share in seeds)}" for name, seeds in runs.items()) + "."
    )
    return describe(figure, said)


def drop_curves(factors: Sequence[float], curves: Mapping[str, Sequence[float]]) -> Figure:
    """How many assignments are dropped at each capacity factor.

    Shapes: every curve has one share in 0…1 for each factor
    """
    figure = new_figure(7.5, 3.4)
    axes = figure.subplots()
    for (name, curve), colour, mark in zip(curves.items(), (RED, BLUE), "so"):
        axes.plot(factors, 100 * np.asarray(curve), color=colour, marker=mark, ms=5, lw=2, label=name)
    axes.set(xlabel="capacity factor", ylabel="dropped, % of assignments", ylim=(0, None))
    axes.legend(frameon=False, fontsize=10)
    _plain(axes)
    return describe(figure, f"Lines: per cent of assignments dropped by capacity factor, {trend(factors, '{:g}')}. {trends({name: [100 * x for x in curve] for name, curve in curves.items()}, '{:.0f}%')}.")


def bias_path(loads: np.ndarray, biases: np.ndarray) -> Figure:
    """Loss-free balancing at work: the load of every expert, and the bias that moves it.

    Shapes: loads (S, E) as shares, biases (S, E)
    """
    figure = new_figure(9, 3.3)
    left, right = figure.subplots(1, 2)
    for e in range(loads.shape[1]):
        style = {"color": COLOURS[e], "lw": 2, "marker": MARKS[e % len(MARKS)], "ms": 6, "mec": "white", "mew": 0.5, "markevery": (2 * e, max(1, len(loads) // 7))}
        left.plot(100 * loads[:, e], label=f"E{e}", **style)
        right.plot(biases[:, e], **style)
        right.annotate(f"E{e}", (1, biases[-1, e]), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center", fontsize=9.5)
    left.axhline(100 / loads.shape[1], color=INK, ls="--", lw=1)
    left.set(xlabel="update", ylabel="share of the assignments, %", ylim=(0, None))
    right.set(xlabel="update", ylabel="bias added for the choice")
    left.legend(frameon=False, ncols=2, fontsize=9.5)
    for axes in (left, right):
        _plain(axes)
    said = (
        f"Two line charts over {len(loads)} updates, a line for each of {loads.shape[1]} experts. Shares begin between {100 * loads[0].min():.0f}% and {100 * loads[0].max():.0f}% "
        f"and end between {100 * loads[-1].min():.0f}% and {100 * loads[-1].max():.0f}%; biases spread from 0 to between {biases[-1].min():.2f} and {biases[-1].max():.2f}."
    )
    return describe(figure, said)


def sizes(models: Sequence[Published]) -> Figure:
    """Parameters held against parameters used, both logarithmic: the farther below the line, the sparser."""
    figure = new_figure(9, 5.6)
    axes = figure.subplots()
    line = np.array([1e9, 2e12])
    for share, style in ((1, "-"), (10, "--"), (100, ":")):
        axes.plot(line, line / share, color=GREY, lw=1, ls=style, zorder=1)
        label = "dense:\nall used" if share == 1 else f"1 in {share}\nused"
        axes.text(2.2e12, 2e12 / share, label, fontsize=9.5, va="center", color="#666666")
    for model in models:
        colour, mark = (BLUE, "o") if model.sparse else (ORANGE, "s")
        axes.scatter(model.total, model.active, c=colour, marker=mark, s=48, zorder=3, ec=INK, lw=0.6)
        side, gap = ("left", NUDGED.get(model.name, (8, 0))) if model.sparse else ("right", (-8, 4))
        axes.annotate(model.name, (model.total, model.active), gap, textcoords="offset points",
                      ha=side, va="center", fontsize=9.5, bbox={"fc": "white", "ec": "none", "pad": 0.5})
    for colour, mark, kind in ((ORANGE, "s", "dense"), (BLUE, "o", "sparse")):
        axes.scatter([], [], c=colour, marker=mark, s=48, ec=INK, lw=0.6, label=kind)
    axes.legend(frameon=False, fontsize=10, loc="upper left")
    axes.set(xscale="log", yscale="log", xlim=(6e8, 4.5e12), ylim=(8e8, 3e12))
    axes.set_xlabel("parameters held (memory)")
    axes.set_ylabel("parameters used per token")
    work = axes.secondary_yaxis("right", functions=(lambda p: 2 * np.asarray(p), lambda f: np.asarray(f) / 2))
    work.set_ylabel("forward FLOPs per token ≈ 2 × parameters used")
    _plain(axes)
    said = (
        f"Scatter chart on logarithmic axes: parameters used per token against parameters held. {sum(not m.sparse for m in models)} dense models lie on the line where all are used, {sum(m.sparse for m in models)} sparse ones below it; "
        + "the sparsest is {.name}, which uses 1 in {:.0f}.".format(*max(((m, m.total / m.active) for m in models), key=lambda pair: pair[1]))
    )
    return describe(figure, said)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9.5)
    axes.xaxis.label.set_fontsize(10)
    axes.yaxis.label.set_fontsize(10)
