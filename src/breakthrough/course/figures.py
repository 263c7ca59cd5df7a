"""Pictures of the course itself: the path of modules and artifacts, and the shape of the hours.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from breakthrough.course.schema import KINDS, Module, Syllabus
from breakthrough.language import counted
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, describe, ink_on, listed, new_figure, readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPLIT = dict(zip(KINDS, (BLUE, ORANGE, GREEN)))
SAYS = {"lab": "labs", "exchange": "exchange", "lesson": "lessons"}


def path(course: Syllabus) -> Figure:
    """The modules in order, and on the arrows what each hands on. Dashed: in preparation."""
    modules = course.modules
    figure = new_figure(7, 0.85 * len(modules))
    axes = figure.subplots()
    axes.set(xlim=(-0.2, 10.2), ylim=(-1.35 * (len(modules) - 1) - 0.1, 0.9))
    axes.axis("off")
    for index, module in enumerate(modules):
        y = -1.35 * index
        _module(axes, y, module.built)
        axes.text(0.35, y + 0.42, module.id[:2], va="center", fontsize=13, weight="bold", color=readable(BLUE if module.built else GREY))
        axes.text(1.15, y + 0.42, module.title, va="center", fontsize=11, color=INK)
        says = _amount(module) if module.built else "in preparation"
        axes.text(9.8, y + 0.42, says, va="center", ha="right", fontsize=9.5, color=INK if module.built else readable(GREY))
        if index + 1 < len(modules):
            axes.annotate("", (5, y - 0.48), (5, y), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.2,
                                                               "shrinkA": 0, "shrinkB": 0})
            axes.text(5.15, y - 0.22, _handed_on(course, index), va="center", fontsize=9.5, family="monospace", color=INK)
    return describe(figure, f"Diagram: the {len(modules)} modules of the course as boxes from top to bottom, {listed(f'{m.id[:2]} {m.title}' for m in modules)}. Arrows name what each hands on to the next. ")


def shape(course: Syllabus) -> Figure:
    """One bar: how the hours and the grade are meant to be split."""
    figure = new_figure(8, 1.2)
    axes = figure.subplots()
    axes.axis("off")
    left = 0.0
    for kind in KINDS:
        share = getattr(course.shape, kind)
        axes.barh(0, share, left=left, color=SPLIT[kind], ec="white", height=0.8)
        axes.text(left + share / 2, 0, f"{share:g}%", ha="center", va="center", fontsize=12, weight="bold",
                  color=ink_on(SPLIT[kind]))
        axes.text(left + share / 2, -0.62, SAYS[kind], ha="center", va="center", fontsize=10, color=INK)
        left += share
    axes.set(xlim=(0, left), ylim=(-0.85, 0.45))
    return describe(figure, f"One bar split into {listed(f'{getattr(course.shape, kind):g}% {SAYS[kind]}' for kind in KINDS)}: how hours and grade are meant to be shared.")


def _amount(module: Module) -> str:
    hours, points = module.hours.total, module.points.total
    time = f"{hours:g} h" if hours >= 1 else f"{60 * hours:.0f} min"
    return f"{time}, {counted(points, 'point')}"


def _handed_on(course: Syllabus, index: int) -> str:
    """What a module gives, and to whom where that is not the next one."""
    parts = []
    for kind in course.modules[index].gives:
        takers = [m.id[:2] for m in course.modules if kind in m.takes]
        direct = takers[:1] == [course.modules[index + 1].id[:2]]
        parts.append(kind if direct or not takers else f"{kind} (for {', '.join(takers)})")
    return ", ".join(parts)


def _module(axes, y: float, built: bool) -> None:
    from matplotlib.patches import FancyBboxPatch

    look: dict[str, Any] = {"fc": "#eaf3f9", "ec": BLUE, "lw": 1.6} if built else {"fc": "white", "ec": GREY, "lw": 1.1, "ls": "--"}
    axes.add_patch(FancyBboxPatch((0.1, y + 0.05), 9.8, 0.75, boxstyle="round,pad=0,rounding_size=0.15", **look))


def shares(names: Sequence[str], scores: Sequence[float], probabilities: Sequence[float]) -> Figure:
    """Scores, and beside them the shares that softmax makes of them.

    Shapes: one of each per name
    """
    figure = new_figure(8, 2.7)
    left, right = figure.subplots(1, 2)
    for axes, values, form, title in ((left, scores, "{:g}", "scores"), (right, probabilities, "{:.2f}", "softmax")):
        bars = axes.bar(names, values, color=BLUE if axes is left else GREEN, width=0.7)
        axes.bar_label(bars, [form.format(value) for value in values], fontsize=10, padding=2)
        axes.set_title(title, fontsize=11)
        axes.set_ylim(0, 1.2 * max(values))
        axes.set_yticks([])
        axes.tick_params(length=0, labelsize=10)
        axes.spines[["top", "left", "right"]].set_visible(False)
    return describe(figure, f"Two bar charts of {listed(names)}: scores {listed(f'{x:g}' for x in scores)}; softmax makes shares of them, {listed(f'{x:.2f}' for x in probabilities)}.")
