"""The inspector before and after: what it finds of each defect, how near its answers came to changing, its weights.

Each function makes a figure of its own and returns it. Intervals are of 95% over pictures.

Shape legend: M test pictures, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from breakthrough.errors import unknown
from breakthrough.pictures import GREY, INK, ORANGE, PALE, SKY, amounts, describe, listed, new_figure
from breakthrough.quant.inspecting import BEFORE, VERSIONS, Answers, Share, controls
from breakthrough.quant.weights import quantized_weights
from breakthrough.scenes.diagrams import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {BEFORE: (PALE, "", "o"), "int8": (SKY, "//", "s"), "nf4": (ORANGE, "..", "D")}  # colour, hatch, marker
ALL = "all pictures"


def draw_recall(answers: Answers) -> Figure:
    """Recall of every class before and after; and beside it what was gained or lost, in pairs of the same picture.

    Units:  per cent of a class' test pictures on the left, points on the right
    """
    figure = new_figure(11, 4.4)
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    _recalls(left, answers)
    _gains(right, answers)
    said = (
        f"Bars of recall by class in {listed(LOOKS)}, and dots of the points gained in pairs. All pictures: "
        + amounts({name: 100 * answers.accuracy(name).value for name in LOOKS}, "{:.1f}%") + "."
    )
    return describe(figure, said)


def draw_margins(answers: Answers, version: str = "nf4") -> Figure:
    """How far ahead of the next each picture's answer was, and is: in int8, in NF4, and with a coin for rounding.

    Below zero, a cross, the picture has another answer now. Those that had the larger lead are left out, for
    nothing happens to them.

    Shapes: three panels of about M / 2 points
    """
    control = controls(version)[0]
    shown = {name: _leads(answers, name) for name in (*VERSIONS, control)}
    high = max(answers.margin(), *(before[after < 0].max(initial=0) for before, after in shown.values()))
    near = np.concatenate([after[before <= high] for before, after in shown.values()])
    low, top = min(0, near.min()) - 0.05 * high, near.max() + 0.05 * high
    figure = new_figure(11, 4.0)
    for axes, (name, (before, after)) in zip(figure.subplots(1, 3, sharey=True), shown.items()):
        colour, gone = LOOKS.get(name, (GREY,))[0], after < 0
        axes.plot([0, high], [0, high], color=GREY, lw=1, zorder=0)
        axes.axhspan(low, 0, color=PALE, zorder=0)
        axes.scatter(before[~gone], after[~gone], s=18, color=colour, ec=INK, lw=0.4)
        axes.scatter(before[gone], after[gone], s=48, marker="X", color=colour, ec=INK, lw=0.7)
        axes.set(xlabel=f"lead of the answer in {BEFORE}", xlim=(-0.02 * high, 1.02 * high), ylim=(low, top))
        what = f"{name}: rounded by a coin" if name == control else name
        axes.set_title(f"{what}\n{gone.sum()} of {len(gone)} answers changed", fontsize=11)
        plain(axes)
    figure.axes[0].set_ylabel("lead of the same answer after")
    said = (
        "Three scatter charts: the lead of each answer before quantizing against its lead after. Below zero the answer changed: "
        + amounts({name: int((after < 0).sum()) for name, (_, after) in shown.items()}, "{:d}") + f" of {len(next(iter(shown.values()))[0])} answers."
    )
    return describe(figure, said)


def draw_weights(models: Mapping[str, nn.Module], layer: str = "", outputs: int = 16) -> Figure:
    """The weights of a layer, and the error that each version makes in them, all on one scale of colours.

    Without a name it is the first layer in codes. A row is an output, its inputs side by side; of experts the
    first one's outputs come first.

    Shapes: each panel (outputs, inputs)
    Units:  errors are drawn ten times as strong; above each panel the root of its mean square
    Raises: UnknownNameError for a layer that is not in codes
    """
    versions = {name: dict(quantized_weights(models[name])) for name in VERSIONS}
    layer = layer or next(iter(versions["int8"]))
    if layer not in versions["int8"]:
        raise unknown("layer in codes", layer, versions["int8"])
    rows = versions["int8"][layer].layout.matrix

    def shown(x: Tensor) -> np.ndarray:
        return rows(x.detach())[:outputs].numpy()  # (outputs, inputs)

    weight = shown(models[BEFORE].get_parameter(layer))
    figure = new_figure(11, 5.6)
    top, *rest = figure.subplots(1 + len(versions), 1, sharex=True)
    limit = float(np.abs(weight).max())
    image = top.imshow(weight, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    top.set_title(f"{layer} in {BEFORE}, {len(weight)} outputs: usual size {_rms(weight):.3f}", fontsize=11)
    for axes, (name, stored) in zip(rest, versions.items()):
        error = shown(stored[layer]()) - weight
        axes.imshow(10 * error, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
        share = _rms(error) / _rms(weight)
        axes.set_title(f"10 × the error of {name}: usual size {_rms(error):.4f}, {share:.1%} of the weights'", fontsize=11)
    for axes in (top, *rest):
        axes.set(ylabel="output", yticks=[])
    rest[-1].set_xlabel("input")
    figure.colorbar(image, ax=[top, *rest], shrink=0.6, label="weight, or 10 × its error")
    said = (
        f"Maps of colours: {len(weight)} rows of the weights of {layer}, and ten times the error of each version. Usual size of the error: "
        + amounts({name: 100 * _rms(shown(stored[layer]()) - weight) / _rms(weight) for name, stored in versions.items()}, "{:.1f}%") + " of the weights'."
    )
    return describe(figure, said)


def _recalls(axes: Axes, answers: Answers) -> None:
    for i, (name, (colour, hatch, _)) in enumerate(LOOKS.items()):
        shares = {**answers.recall(name), ALL: answers.accuracy(name)}
        place = np.arange(len(shares)) + 0.27 * (i - 1)
        values, halves = _bars(shares)
        axes.bar(place, values, 0.25, color=colour, ec=INK, lw=0.7, hatch=hatch, label=name, yerr=halves, error_kw={"lw": 1, "capsize": 2})
    axes.set_xticks(range(len(shares)), [f"{_words(label)}\nof {one.n}" for label, one in shares.items()])
    axes.set(ylabel="found, %", ylim=(0, 100), title="before and after")
    axes.legend(frameon=False, fontsize=9.5, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    plain(axes)


def _gains(axes: Axes, answers: Answers) -> None:
    for i, version in enumerate(VERSIONS):
        colour, _, marker = LOOKS[version]
        shares = {**answers.recall_gained(version), ALL: answers.gained(version)}
        place = np.arange(len(shares)) + 0.22 * (2 * i - 1)
        values, halves = _bars(shares)
        axes.errorbar(place, values, yerr=halves, fmt=marker, color=colour, mec=INK, ecolor=INK, ms=7, lw=1.1, capsize=3, label=version)
    axes.axhline(0, color=GREY, lw=1, zorder=0)
    axes.set_xticks(range(len(shares)), [_words(label) for label in shares])
    axes.set(ylabel=f"points gained over {BEFORE}", title="the same pictures, in pairs")
    axes.legend(frameon=False, fontsize=9.5, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    plain(axes)


def _bars(shares: Mapping[str, Share]) -> tuple[np.ndarray, np.ndarray]:
    """Values in per cent, and how far their intervals reach down and up. Shapes: (n,), (2, n)."""
    value, low, high = 100 * np.array([[one.value, one.low, one.high] for one in shares.values()]).T
    return value, np.maximum(0, np.stack((value - low, high - value)))  # an interval of few pairs may lie beside the value


def _leads(answers: Answers, name: str) -> tuple[np.ndarray, np.ndarray]:
    """How far the answer given before is ahead of the best other one, before and after. Shapes: (M,), (M,)."""
    given = answers.said(BEFORE)[:, None]  # (M, 1)

    def lead(scores: np.ndarray) -> np.ndarray:
        others = scores.copy()
        np.put_along_axis(others, given, -np.inf, 1)
        return np.take_along_axis(scores, given, 1)[:, 0] - others.max(1)

    return lead(answers.logits[BEFORE]), lead(answers.logits[name])


def _words(label: str) -> str:
    """A label on two lines."""
    return label.replace("_", "\n").replace(" ", "\n")


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.square(x).mean()))
