"""The drawings of lab 06: what a learner's functions said of a line, and what was measured with them.

Every function returns a matplotlib Figure of its own; nothing in here computes what an exercise asks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, SKY, amounts, describe, ink_on, listed, new_figure, trend, trends
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Bounds = Callable[[int, int], tuple[float, float, int]]
LOOKS = ((BLUE, "o"), (RED, "s"), (GREEN, "^"), (ORANGE, "D"), (PURPLE, "v"))
VERDICTS = {"promote": (BLUE, "^"), "roll back": (RED, "v"), "go on": (GREY, "o")}
BELOW: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": 9.5}


def draw_shares(shares: Mapping[str, Mapping[str, tuple[float, float, float]]], goal: float | None = None, title: str = "") -> Figure:
    """Rows of shares with their intervals, a look for each series. Units: value, low and high from 0 to 1, drawn in per cent."""
    figure = new_figure(8.5, 1.2 + 0.42 * len(shares))
    axes = figure.subplots()
    series = list(dict.fromkeys(name for row in shares.values() for name in row))
    for place, (name, (colour, mark)) in enumerate(zip(series, LOOKS)):
        at = [y + 0.7 * ((place + 0.5) / len(series) - 0.5) for y, row in enumerate(shares.values()) if name in row]
        value, low, high = 100 * np.array([row[name] for row in shares.values() if name in row]).T
        reach = np.maximum(0, (value - low, high - value))
        axes.errorbar(value, at, xerr=reach, fmt=mark, color=colour, ms=5.5, mec="white", mew=0.5, elinewidth=1.3, capsize=2.5, label=name)
    if goal is not None:
        axes.axvline(100 * goal, color=INK, lw=1, ls=":", label=f"{100 * goal:g}%")
    axes.set(yticks=range(len(shares)), yticklabels=list(shares), ylim=(len(shares) - 0.5, -0.5), xlabel="%", title=title)
    axes.set_xlim(right=100 + 0.02 * (100 - axes.get_xlim()[0]))
    axes.grid(axis="x", color=PALE)
    plain(axes)
    figure.legend(ncols=len(series) + 1, **BELOW)
    said = (
        f"Dots with intervals, {title or 'shares in per cent'}: "
        + "; ".join(f"{name} " + amounts({one: 100 * told[0] for one, told in row.items()}, "{:.1f}%") for name, row in shares.items()) + "."
    )
    return describe(figure, said)


def draw_enough(ways: Mapping[str, Bounds], claim: float, counts: Sequence[int]) -> Figure:
    """What a line may err all the same when m of m answers were right, against m; hollow at the foot where a way says 0."""
    figure = new_figure(8, 3.4)
    axes = figure.subplots()
    floor = 20 * (1 - claim)  # per cent: a fifth of what the claim allows
    for (name, way), (colour, mark) in zip(ways.items(), LOOKS):
        errs = np.array([100 * (1 - way(m, m)[0]) for m in counts])
        none = errs <= 0
        label = f"{name}: 0 for every number" if none.all() else name
        axes.loglog(counts, np.maximum(errs, floor), mark + "-", color=colour, mfc="none" if none.all() else colour, ms=5, clip_on=False, label=label)
    axes.axhline(100 * (1 - claim), color=INK, lw=1, ls=":", label=f"what a claim of {100 * claim:g}% allows")
    ticks = [tick for tick in (0.1, 0.5, 1, 5, 10, 50) if tick >= floor]
    axes.set(xlabel="pictures, all of them right", ylabel="may err in up to, %", ylim=(floor, 110))
    axes.set_xticks(counts, [f"{m:,}" for m in counts])
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    plain(axes)
    axes.legend(frameon=False, fontsize=9.5)
    said = (
        f"Lines on logarithmic axes: what a line may err in per cent when every picture was right, by their number, beside what a claim of {100 * claim:g}% allows. From {counts[0]:,} to {counts[-1]:,} pictures: "
        + trends({name: [100 * (1 - bounds(m, m)[0]) for m in (counts[0], counts[-1])] for name, bounds in ways.items()}, "{:.2g}%") + "."
    )
    return describe(figure, said)


def draw_costs(thresholds: np.ndarray, curves: Mapping[str, np.ndarray], best: Mapping[str, tuple[float, float]]) -> Figure:
    """What 1,000 inspections cost by the threshold, a curve for each rate of faults, and the place that was chosen.

    Shapes: thresholds (T,), each curve (T,)
    Units:  best: threshold and cost; a threshold of ∞ stands beyond the right end
    """
    figure = new_figure(8.5, 3.6)
    axes = figure.subplots()
    wide = float(np.ptp(thresholds)) or 1.0
    beyond = float(thresholds.max()) + 0.06 * wide
    for (name, curve), (colour, mark) in zip(curves.items(), LOOKS):
        axes.step(thresholds, curve, where="post", color=colour, lw=1.6)
        at, cost = best[name]
        place = "nothing is stopped" if math.isinf(at) else f"from {at:.2f}"
        axes.plot(min(at, beyond), cost, mark, color=colour, ms=9, mec="white", clip_on=False, zorder=4, label=f"{name}: {place}, {cost:,.4g} €")
    axes.axvline(0, color=GREY, lw=1, ls="--")
    axes.annotate("as likely as not", (0, 1), (3, -2), xycoords=("data", "axes fraction"), textcoords="offset points", va="top", fontsize=9, color=INK)
    axes.set(xlabel="threshold: log-odds of a defect", ylabel="€ for 1,000 inspections")
    axes.set_yscale("symlog", linthresh=10)
    axes.set_ylim(0, 2 * max(float(curve.max()) for curve in curves.values()) + 1)
    plain(axes)
    figure.legend(ncols=len(curves), **BELOW)
    said = (
        "Step curves: euros for 1,000 inspections by the threshold, a curve a rate of faults. Chosen: "
        + "; ".join(f"{name} {'nothing is stopped' if math.isinf(at) else f'from {at:.2f}'}, {cost:,.0f} €" for name, (at, cost) in best.items()) + "."
    )
    return describe(figure, said)


def draw_grid(states: Mapping[str, Mapping[str, str]], looks: Mapping[str, tuple[str, str]], notes: Mapping[str, str] | None = None) -> Figure:
    """A table of stages by cases, each cell a colour and a sign.

    `states`: case → stage → state; a stage that a case has not is left out. `looks`: state → colour, sign. `notes` stand
    below the cases' names.
    """
    rows = list(dict.fromkeys(stage for case in states.values() for stage in case))
    figure = new_figure(2 + 1.45 * len(states), 1.4 + 0.27 * len(rows))
    axes = figure.subplots()
    for x, case in enumerate(states.values()):
        for y, stage in enumerate(rows):
            colour, sign = looks[case[stage]] if stage in case else ("white", "")
            axes.barh(y, 0.92, 0.88, left=x - 0.46, color=colour)
            axes.text(x, y, sign, ha="center", va="center", fontsize=9.5, color=INK)
    labels = [name + (f"\n{notes[name]}" if notes else "") for name in states]
    axes.set(xlim=(-0.5, len(states) - 0.5), ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)), yticklabels=rows)
    axes.set_xticks(range(len(states)), labels, fontsize=9.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for state, (colour, _) in looks.items():
        axes.bar(0, 0, color=colour, label=state)
    figure.legend(ncols=len(looks), **BELOW)
    said = (
        f"Table of {len(rows)} stages by {len(states)} cases, each cell one of {listed(looks)}. "
        + "; ".join(f"{name}: " + amounts({state: list(case.values()).count(state) for state in looks if state in case.values()}) for name, case in states.items()) + "."
    )
    return describe(figure, said)


def draw_promise(promised: Mapping[int, Sequence[float]], paid: Mapping[int, Sequence[float]]) -> Figure:
    """What a threshold promises on the pictures that it was chosen with, and what it costs on others, by how many they were.

    Units: € for 1,000 inspections; a line is the mean, a band goes from the 10th to the 90th percentile
    """
    figure = new_figure(7.5, 3.2)
    axes = figure.subplots()
    for (name, told), (colour, mark) in zip({"promised, on those pictures": promised, "paid, on the others": paid}.items(), LOOKS):
        sizes, costs = list(told), np.array(list(told.values()), float)  # (sizes, draws)
        axes.fill_between(sizes, *np.percentile(costs, (10, 90), axis=1), color=colour, alpha=0.15, lw=0)
        axes.plot(sizes, costs.mean(1), mark + "-", color=colour, label=name)
    axes.set(xlabel="pictures that the threshold was chosen with", ylabel="€ for 1,000 inspections", xticks=sizes, ylim=(0, None))
    plain(axes)
    figure.legend(ncols=2, **BELOW)
    said = (
        f"Lines with bands: euros for 1,000 inspections by the pictures that a threshold was chosen with, {trend(sizes, '{:g}')}. "
        + trends({name: [np.mean(costs) for costs in told.values()] for name, told in {"promised on those": promised, "paid on others": paid}.items()}, "{:,.0f} €") + "."
    )
    return describe(figure, said)


def draw_watch(shifts: Mapping[str, tuple[np.ndarray, float, tuple[int, int] | None]], features: Sequence[str], window: int) -> Figure:
    """Distances by window and feature, a panel for each shift; × is above the limit, the frame is where the alarm came.

    Shapes: distances (K, F)
    """
    figure = new_figure(11, 1.3 + 2.3 * -(-len(shifts) // 3))
    panels = figure.subplots(-(-len(shifts) // 3), 3, squeeze=False).ravel()
    for axes in panels[len(shifts) :]:
        axes.axis("off")
    for at, (axes, (name, (distances, limit, alarm))) in enumerate(zip(panels, shifts.items())):
        found = np.asarray(distances, float).reshape(-1, len(features))
        image = axes.imshow(found.T if len(found) else np.zeros((len(features), 1)), cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for k, f in np.argwhere(found > limit):
            axes.text(k, f, "×", ha="center", va="center", color=ink_on(image.cmap(found[k, f])), fontsize=11, weight="bold")
        said = "no alarm"
        if alarm is not None:
            pictures, f = alarm
            axes.plot(pictures // window - 1, f, "s", mfc="none", mec=RED, ms=17, mew=2)
            said = f"alarm after {pictures}: {features[f]}"
        axes.set(xticks=range(len(found)), xticklabels=[window * (k + 1) for k in range(len(found))], yticks=range(len(features)))
        axes.set_yticklabels(features if at % 3 == 0 else [])
        axes.set_title(f"{name}\nlimit {limit:.2f}: {said}", fontsize=9.5)
        axes.set_xlabel("pictures")
        plain(axes)
        axes.tick_params(length=0)
    figure.colorbar(image, ax=list(panels), label="distance", shrink=0.7)
    said = (
        f"Maps of distances by window and feature, a panel for each of {len(shifts)} shifts, crosses where a limit is passed. "
        + "; ".join(f"{name}: " + ("no alarm" if alarm is None else f"alarm after {alarm[0]} pictures by {features[alarm[1]]}") for name, (_, _, alarm) in shifts.items()) + "."
    )
    return describe(figure, said)


def draw_canaries(found: Mapping[str, Mapping[str, Sequence[tuple[str, int]]]], most: int) -> Figure:
    """When which verdict came, a dot for each stream: by candidate and by the way to decide; hollow at the right end: none."""
    rows = [(candidate, way, ends) for candidate, ways in found.items() for way, ends in ways.items()]
    figure = new_figure(9, 1.2 + 0.36 * len(rows))
    axes = figure.subplots()
    for y, (_, _, ends) in enumerate(rows):
        shift = 0.6 * ((np.arange(len(ends)) + 0.5) / len(ends) - 0.5)
        for verdict, (colour, mark) in VERDICTS.items():
            mine = [i for i, (said, _) in enumerate(ends) if said == verdict]
            place = [most if verdict == "go on" else ends[i][1] for i in mine]
            filled = "none" if verdict == "go on" else colour
            (drawn,) = axes.plot(place, y + shift[mine], mark, color=colour, mfc=filled, ms=5, alpha=0.8, clip_on=False, label=verdict if y == 0 else None)
            drawn.set_in_layout(False)
    for edge in np.cumsum([len(ways) for ways in found.values()])[:-1]:
        axes.axhline(edge - 0.5, color=PALE, lw=1.5)
    axes.set(yticks=range(len(rows)), yticklabels=[f"{candidate}: {way}" for candidate, way, _ in rows], ylim=(len(rows) - 0.5, -0.5))
    axes.set(xlabel="inspections until the verdict (at the right end: none)", xlim=(0, 1.03 * most))
    plain(axes)
    figure.legend(ncols=len(VERDICTS), **BELOW)
    said = (
        f"Dots: after how many of {most:,} inspections which verdict came. "
        + "; ".join(f"{candidate}, {way}: " + amounts({verdict: [said for said, _ in ends].count(verdict) for verdict in VERDICTS if verdict in [said for said, _ in ends]}) for candidate, way, ends in rows) + "."
    )
    return describe(figure, said)


def draw_pictures(rows: Mapping[str, Sequence[np.ndarray]], titles: Sequence[str] = ()) -> Figure:
    """Pictures in rows with their names. Shapes: each (H, W, 3) uint8."""
    columns = max(map(len, rows.values()))
    figure = new_figure(1.6 * columns + 1.4, 1.65 * len(rows) + 0.3)
    panels: Any = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(panels, rows.items()):
        for axes, image in zip(line, images):
            axes.imshow(image)
        for axes in line:
            _bare(axes)
        line[0].set_ylabel(name, fontsize=10)
    for axes, title in zip(panels[0], titles):
        axes.set_title(title, fontsize=10)
    return describe(figure, f"Pictures in {len(rows)} rows, {listed(rows)}, {columns} in each" + (f": {listed(titles)}." if titles else "."))


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


RUN = {"run": (ORANGE, "run"), "follows, but need not": (SKY, "–"), "stays": (PALE, "")}
CAUSES = {"cause": (ORANGE, "cause"), "differs, inherited": (SKY, "differs"), "the same": (PALE, "=")}
