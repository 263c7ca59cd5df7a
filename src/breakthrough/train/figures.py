"""Pictures of the experiment. Colours are those of Okabe and Ito, told apart by every eye.

Each function draws on the axes it is given, or makes a figure, and returns the figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from breakthrough.errors import unknown
from breakthrough.pictures import amounts, describe, new_figure, trends
from breakthrough.train.comparison import estimate, point_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from breakthrough.train.comparison import Comparison

COLOURS = {"moe": "#0072B2", "dense": "#D55E00", "control": "#009E73"}
MARKERS = {"moe": "o", "dense": "s", "control": "^"}
LABELS = {"moe": "sparse (MoE)", "dense": "dense", "control": "sparse, no balancing"}
HORIZONTAL = ("steps", "time")


def loss_curves(comparison: Comparison, against: str = "steps", ax: Axes | None = None) -> Figure:
    """Validation loss of every arm against steps or against training time.

    Bands are 95% confidence intervals over seeds. Time is the mean over seeds.
    """
    if against not in HORIZONTAL:
        raise unknown("horizontal axis", against, HORIZONTAL)
    ax = ax or _axes(6.4, 4.2)
    for arm, runs in comparison.runs.items():
        points = min(map(len, runs))
        loss = [estimate(run.column("valid_loss")[i] for run in runs) for i in range(points)]
        name = "step" if against == "steps" else "train_s"
        x = np.mean([run.column(name)[:points] for run in runs], axis=0)
        middle = np.array([e.mean for e in loss])
        half = np.nan_to_num([e.half for e in loss], posinf=0.0)
        ax.plot(x, middle, marker=MARKERS[arm], markersize=4, color=COLOURS[arm], label=LABELS[arm])
        ax.fill_between(x, middle - half, middle + half, color=COLOURS[arm], alpha=0.2, lw=0)
    _zoom(ax, comparison)
    clock = "CPU seconds" if comparison.device == "cpu" else "seconds"
    ax.set_xlabel("training step" if against == "steps" else f"training time ({clock})")
    ax.set_ylabel("validation loss (nats per byte)")
    basis = "active FLOPs" if against == "steps" else "time"
    ax.set_title(f"Equal {basis}: {len(comparison.seeds)} seeds, 95% intervals")
    ax.legend()
    said = (
        f"Lines of validation loss in nats per byte by {ax.get_xlabel()}, {len(comparison.seeds)} seeds with bands. At the end: "
        + amounts({LABELS[arm]: np.mean([run.column("valid_loss")[-1] for run in runs]) for arm, runs in comparison.runs.items()}, "{:.3f}") + "."
    )
    return describe(_done(ax), said)


def loss_bars(comparison: Comparison, ax: Axes | None = None) -> Figure:
    """Sparse minus dense at equal active FLOPs and at equal time: every seed, mean and interval."""
    ax = ax or _axes(5.2, 3.2)
    for row, (basis, label) in enumerate((("flops", "equal active FLOPs"), ("time", "equal time"))):
        found = comparison.difference(basis)
        half = 0.0 if found.half == float("inf") else found.half
        ax.errorbar(found.mean, row, xerr=half, fmt="o", capsize=5, color="black")
        ax.plot(found.values, [row] * len(found.values), "|", ms=14, color=COLOURS["moe"])
        ax.annotate(f"{label}: {found}", (found.mean, row + 0.16), ha="center")
    ax.axvline(0, color="grey", lw=1, ls="--")
    ax.set(ylim=(-0.5, 1.6), yticks=[])
    ax.set_xlabel("sparse − dense (nats per byte); left of 0 sparse wins")
    ax.set_title("Paired differences, 95% intervals")
    ax.margins(x=0.35)
    said = (
        f"Dots with 95% intervals over {len(comparison.seeds)} seeds: loss of the sparse model minus the dense one, nats per byte, below 0 sparse wins. "
        f"At equal active FLOPs {comparison.difference('flops')}, at equal time {comparison.difference('time')}."
    )
    return describe(_done(ax), said)


def gap_curves(comparison: Comparison, ax: Axes | None = None) -> Figure:
    """Sparse minus dense for every budget up to the whole: where the extra weights begin to pay."""
    ax = ax or _axes(6.4, 3.8)
    runs = comparison.runs["moe"]
    steps = [point.step for point in runs[0] if point.step <= comparison.steps]
    names = {"flops": ("equal active FLOPs", "moe", "o"), "time": ("equal time", "dense", "s")}
    for basis, (label, arm, marker) in names.items():
        found = [comparison.at(step).difference(basis) for step in steps]
        middle = np.array([e.mean for e in found])
        half = np.nan_to_num([e.half for e in found], posinf=0.0)
        ax.plot(steps, middle, marker=marker, markersize=4, color=COLOURS[arm], label=label)
        ax.fill_between(steps, middle - half, middle + half, color=COLOURS[arm], alpha=0.2, lw=0)
    ax.axhline(0, color="grey", lw=1, ls="--")
    ax.set(xlabel="sparse training steps", ylabel="sparse − dense (nats per byte)")
    ax.set_title("Below 0 the sparse model wins (paired, 95% intervals)")
    ax.legend()
    said = (
        "Lines with bands by training steps: loss of the sparse model minus the dense one, nats per byte, below 0 sparse wins. "
        + trends({label: [comparison.at(steps[at]).difference(basis).mean for at in (0, -1)] for basis, (label, *_) in names.items()}, "{:+.3f}") + "."
    )
    return describe(_done(ax), said)


def expert_loads(comparison: Comparison, block: int = 0, ax: Axes | None = None) -> Figure:
    """The share of the choices each expert got, busiest first, with and without balancing.

    Experts are ordered in each run before the mean over seeds is taken: their numbers mean nothing.
    """
    ax = ax or _axes(6.4, 3.8)
    for arm, shift in (("moe", -0.2), ("control", 0.2)):
        points = [point_at(run, comparison.control_steps) for run in comparison.runs[arm]]
        shares = [sorted(point.load[block], reverse=True) for point in points]
        found = [estimate(column) for column in zip(*shares)]
        x = np.arange(len(found)) + shift
        spread = np.std(shares, axis=0)
        dead = np.mean([point.dead[block] for point in points])
        label = f"{LABELS[arm] if arm == 'control' else 'sparse, balanced'}: {dead:.1f} dead"
        ax.bar(x, [100 * e.mean for e in found], 0.4, yerr=100 * spread, color=COLOURS[arm], label=label, capsize=2, ecolor="#444444")
    ax.axhline(100 / len(found), color="grey", lw=1, ls="--", label="an even share")
    ax.set(xlabel="expert, busiest first", ylabel="share of the choices (%)", ylim=(0, None))
    title = f"Load of the experts of block {block} after {comparison.control_steps} steps"
    ax.set_title(f"{title}\n(mean ± standard deviation over {len(comparison.seeds)} seeds)")
    ax.set_xticks(range(len(found)))
    ax.legend()
    said = (
        f"Bars: share of the choices by expert, busiest first, mean of {len(comparison.seeds)} seeds. The busiest expert gets "
        + amounts({LABELS[arm]: 100 * np.mean([max(point_at(run, comparison.control_steps).load[block]) for run in comparison.runs[arm]]) for arm in ("moe", "control")}, "{:.0f}%") + "."
    )
    return describe(_done(ax), said)


def _zoom(ax: Axes, comparison: Comparison) -> None:
    # The first evaluations are far above the rest, and hide the differences that matter.
    late = [p.valid_loss for runs in comparison.runs.values() for r in runs for p in r.points[1:]]
    if late:
        ax.set_ylim(min(late) - 0.04, max(late) + 0.08)


def _axes(width: float, height: float) -> Axes:
    return new_figure(width, height).subplots()


def _done(ax: Axes) -> Figure:
    ax.grid(alpha=0.25)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return cast("Figure", ax.figure)
