"""The drawing of a line's stages: what each needs, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.capstone.stages import Stage
from breakthrough.pictures import GREY, INK, ORANGE, PALE, SKY, describe, listed, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MADE, KEPT = "made", "there"  # what may have become of a stage; one that was not looked at has no state
LOOKS = {MADE: (ORANGE, "made now"), KEPT: (SKY, "was there"), "": ("white", "not asked for")}
ROWS = {"traced": -0.9, "central": 0, "answers": 0, "line": 0.5, "test": 2}  # the others stand in row 1


def draw_stages(stages: Mapping[str, Stage], states: Mapping[str, str] | None = None) -> Figure:
    """A box for each kind of stage, in columns by what must come first; a dot for each factory; coloured by what became of it.

    `states` by stage: MADE or KEPT. Arrows that a longer way says already are left out. Sources stand as late as they may.
    """
    kinds = _kinds(stages)
    column = _columns(kinds)
    figure = new_figure(11, 3.9)
    axes = figure.subplots()
    axes.set(xlim=(-0.45, max(column.values()) + 0.45), ylim=(2.5, -1.35))
    axes.axis("off")
    place = {kind: (column[kind], ROWS.get(kind, 1)) for kind in kinds}
    reach = _reach(kinds)
    for kind, needs in kinds.items():
        for need in needs:
            if not any(need in reach[other] for other in needs):
                (x0, y0), (x1, y1) = place[need], place[kind]
                axes.annotate("", (x1 - 0.36, y1), (x0 + 0.36, y0), arrowprops={"arrowstyle": "-|>", "color": GREY, "lw": 1.2, "shrinkA": 0, "shrinkB": 0})
    for kind, (x, y) in place.items():
        _box(axes, x, y, kind, [name for name in stages if name.partition(".")[0] == kind], states)
    if states is not None:
        for look in LOOKS.values():
            axes.scatter([], [], marker="s", s=90, fc=look[0], ec=INK, lw=0.8, label=look[1])
        axes.legend(frameon=False, fontsize=10, loc="lower left", ncols=3, handletextpad=0.3)
    said = (
        f"Diagram: the stages of a line as boxes with arrows, from {listed(kind for kind, x in column.items() if x == 0)} to {listed(kind for kind, x in column.items() if x == max(column.values()))}: {listed(sorted(kinds, key=column.__getitem__))}. "
        + ("Nothing was run yet." if states is None else "Made now: " + (listed(name for name in stages if states.get(name) == MADE) or "nothing") + "; was there: " + (listed(name for name in stages if states.get(name) == KEPT) or "nothing") + ".")
    )
    return describe(figure, said)


def _kinds(stages: Mapping[str, Stage]) -> dict[str, list[str]]:
    """The kinds of stages with the kinds that they need, each after those."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for name, stage in stages.items():
        found[name.partition(".")[0]].update(dict.fromkeys(need.partition(".")[0] for need in stage.needs))
    return {kind: list(needs) for kind, needs in found.items()}


def _columns(kinds: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Columns by the longest way to a kind; what needs nothing stands one before the first that needs it."""
    deep: dict[str, int] = {}
    for kind, needs in sorted(kinds.items(), key=lambda pair: len(_reach(kinds)[pair[0]])):
        deep[kind] = 1 + max((deep[need] for need in needs), default=-1)
    late = {kind: min((deep[other] for other, wants in kinds.items() if kind in wants), default=1) - 1 for kind, needs in kinds.items() if not needs}
    return deep | late


def _reach(kinds: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """What each kind hangs on, however far."""

    def all_of(kind: str) -> set[str]:
        return set(kinds[kind]).union(*map(all_of, kinds[kind]))

    return {kind: all_of(kind) for kind in kinds}


def _box(axes: Axes, x: float, y: float, kind: str, names: Sequence[str], states: Mapping[str, str] | None) -> None:
    from matplotlib.patches import FancyBboxPatch

    several = len(names) > 1
    look = [LOOKS[(states or {}).get(name, "")][0] for name in names]
    axes.text(x, y - (0.13 if several else 0), kind, ha="center", va="center", fontsize=11, color=INK, zorder=3)
    fill = PALE if several else "white" if states is None else look[0]
    axes.add_patch(FancyBboxPatch((x - 0.36, y - 0.33), 0.72, 0.66, boxstyle="round,pad=0,rounding_size=0.08", fc=fill, ec=INK, lw=1.1, zorder=2))
    if several:
        at = np.linspace(x - 0.24, x + 0.24, len(names))
        axes.scatter(at, [y + 0.14] * len(names), marker="s", s=120, fc=look, ec=INK, lw=0.8, zorder=3)
        for one, name in zip(at, names):
            axes.text(one, y + 0.15, name.partition(".")[2][:1], ha="center", va="center", fontsize=8.5, color=INK, zorder=4)
