"""What the room measured, as pictures: perplexity against bytes, latency, the roofline, adaptation, optimizers.

Every function returns a matplotlib Figure of its own. Colours are Okabe and Ito's; a mark's shape says the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.language import counted
from breakthrough.pictures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, amounts, describe, listed, new_figure, readable
from breakthrough.quant.adapted import Adaptation
from breakthrough.quant.answers import ACCELERATORS, BITS, LIMIT_S, MODELS, devices_for
from breakthrough.quant.curves import Curves
from breakthrough.quant.latency import Latencies
from breakthrough.quant.ledger import BASE, CONTROLS, Ledger
from breakthrough.quant.memory_figures import COLOURS, HATCHES
from breakthrough.quant.roofline import Roofline
from breakthrough.scenes.diagrams import plain
from breakthrough.train.comparison import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID = "#dddddd"
TITLES = {"dense": "dense", "moe": "sparse (MoE)"}
FAMILIES = {  # colour, mark and what the legend says of a scheme
    "floats": (INK, "s", "floats"),
    "plain": (BLUE, "o", "rounded to the nearest"),
    "calibrated": (GREEN, "D", "calibrated (GPTQ, AWQ)"),
    "control": (RED, "X", "control: rounded by a coin"),
}
KERNEL_STYLES = ((INK, "s"), (BLUE, "o"), (GREEN, "D"), (PURPLE, "^"), (ORANGE, "v"))
METHOD_STYLES = ((BLUE, "o"), (SKY, "P"), (ORANGE, "s"), (GREEN, "D"), (RED, "X"))
ADAPTED_STYLES = ((INK, "o", 11, 4.0), (SKY, "P", 6, 1.5), (RED, "s", 11, 4.0), (GREEN, "D", 6, 1.5), (GREY, "X", 8, 1.5))  # size, width: thin lies on thick
LOWEST, BEYOND = -0.6, 1.8  # where a ledger's vertical axis begins, and how far above the limit it ends
BITS_MARKS = {"bf16": "s", "int8": "D", "nf4": "^"}
NAMES_AT = ((2.5e10, 4e-3), (1.7e11, 1.6e-3), (6e11, 5e-3), (3.5e10, 2e-4))  # bytes and seconds where a model's name stands


def draw_ledger(ledger: Ledger, goal: float | None = 3.0, limit: float = 40.0) -> Figure:
    """The rise of perplexity against bits a weight, a panel an architecture: means with 95% intervals, single seeds as bars.

    The vertical axis is linear up to 0.1% and logarithmic beyond.

    Units:  goal and limit in per cent; what rises beyond the limit is drawn at it, with an arrow and its figure
    """
    names = ledger.architectures
    figure = new_figure(7 * len(names), 5.8)
    for axes, architecture in zip(figure.subplots(1, len(names), squeeze=False, sharey=True)[0], names):
        _ledger_panel(axes, ledger, architecture, goal, limit)
    first = figure.axes[0]
    first.set_ylabel("rise of perplexity over fp32, %")
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9.5)
    figure.suptitle(f"What a bit buys: {len(ledger.seeds)} seeds, 95% intervals; short bars are single seeds", fontsize=11)
    said = (
        f"Dots with 95% intervals over {len(ledger.seeds)} seeds: rise of perplexity over fp32 in per cent against bits a weight, a panel for each of {listed(names)}. "
        + "; ".join(f"{TITLES.get(one, one)}: " + amounts({name: ledger.rise(one, name).mean for name in ledger.schemes if name in ("int8", "nf4", "nf4_gptq")}, "{:+.2f}%") for one in names) + "."
    )
    return describe(figure, said)


def _ledger_panel(axes: Axes, ledger: Ledger, architecture: str, goal: float | None, limit: float) -> None:
    seen: set[str] = set()
    axes.set_yscale("symlog", linthresh=0.1, linscale=0.7)
    axes.set_xscale("log", base=2)
    rows = [name for name in ledger.schemes if name != BASE]
    for name in rows:
        colour, mark, label = FAMILIES[family(name)]
        risen, bits = ledger.rise(architecture, name), ledger.bits(architecture, name)
        bits *= 1.035 if name in CONTROLS else 1.0  # else it would hide behind the scheme that it is beside
        middle, half = min(risen.mean, limit), 0.0 if risen.mean > limit else _half(risen)
        axes.errorbar(bits, middle, yerr=half, color=colour, marker=mark, ms=7, capsize=3, lw=1.3, ls="none", label=None if label in seen else label)
        axes.plot([bits] * len(risen.values), np.minimum(risen.values, limit), "_", color=colour, ms=9, alpha=0.6)
        if risen.mean > limit:
            axes.annotate("", (bits, 0.97 * BEYOND * limit), (bits, limit), arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.5})
        seen.add(label)
    axes.axhline(0, color=INK, lw=1)
    if goal is not None:
        axes.axhline(goal, color=GREY, lw=1, ls="--")
        axes.annotate(f"{goal:g}%", (1, goal), (-2, 2), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", fontsize=9, color=readable(GREY))
    ticks = [-1, -0.1, 0, 0.1, 0.3, 1, 3, 10, 30]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([3, 4, 8, 16], ["3", "4", "8", "16"])
    axes.minorticks_off()
    axes.set(xlim=(2.2, 28), ylim=(LOWEST, BEYOND * limit), xlabel="bits a quantized weight, scales included")
    axes.set_title(f"{TITLES.get(architecture, architecture)}, fp32: perplexity {ledger.perplexity(architecture, BASE).mean:.3f}", fontsize=10.5)
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    _name_points(axes, ledger, architecture, rows, limit)
    plain(axes)


def _name_points(axes: Axes, ledger: Ledger, architecture: str, rows: Sequence[str], limit: float) -> None:
    """Beside each group of schemes of nearly the same bits their names with figures, each with a line to its point."""
    to_scale, back = axes.yaxis.get_transform(), axes.yaxis.get_transform().inverted()
    low, high = to_scale.transform(np.array([LOWEST, BEYOND * limit]))
    gap = (high - low) / 27
    for near in ((0, 3), (3, 6), (6, 12), (12, 99)):
        names = [name for name in rows if near[0] <= ledger.bits(architecture, name) < near[1]]
        names.sort(key=lambda name: ledger.rise(architecture, name).mean)
        at = [min(ledger.rise(architecture, name).mean, limit) for name in names]
        wanted = to_scale.transform(np.array(at)) if names else ()
        place = -math.inf
        for name, value, scaled in zip(names, at, wanted):
            place = max(scaled, place + gap)
            bits = ledger.bits(architecture, name)
            risen = ledger.rise(architecture, name).mean
            text = f"{name} {risen:+.2f}" + ", off the scale" * (risen > limit)
            x, y = 1.13 * max(ledger.bits(architecture, other) for other in names), float(back.transform(np.array([place]))[0])
            axes.plot([bits * (1.035 if name in CONTROLS else 1.0), 0.985 * x], [value, y], color=GREY, lw=0.5, zorder=1)
            axes.text(x, y, text, va="center", fontsize=8, color=INK, bbox={"fc": "white", "ec": "none", "pad": 0.6})


def family(name: str) -> str:
    """Which of FAMILIES a scheme belongs to."""
    if name in CONTROLS:
        return "control"
    if name.endswith(("_gptq", "_awq")):
        return "calibrated"
    return "floats" if name in ("fp32", "bf16", "fp16") else "plain"


def draw_latency(found: Latencies, limit_s: float = LIMIT_S) -> Figure:
    """Seconds a token against the bytes of weights: measured here, the line through them, published machines beyond.

    Marks on the right are published models on as many H100 as hold them: reading alone, by dtype.
    """
    figure = new_figure(12, 5.8)
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlabel="bytes of weights that a token meets", ylabel="seconds a token, one request")
    reach = np.array([1e6, 2e12])
    for kernel, (colour, mark) in zip(found.kernels, KERNEL_STYLES):
        rows, line = found.of(kernel), found.fit(kernel)
        middle = np.array([row.median_s for row in rows])
        ends = np.abs(np.quantile([row.seconds for row in rows], (0.25, 0.75), axis=1) - middle)
        label = f"{kernel}: {line.bandwidth / 1e9:.1f} GB/s"
        axes.errorbar([row.bytes for row in rows], middle, yerr=ends, color=colour, marker=mark, ms=6, lw=0, elinewidth=1.2, capsize=2, label=label)
        if kernel in ("fp32", "bf16", "int8", "nf4"):
            beyond = reach[reach > rows[-1].bytes].tolist()
            axes.plot([rows[-1].bytes, *beyond], [line.seconds(x) for x in (rows[-1].bytes, *beyond)], color=colour, lw=1, ls=":")
    axes.plot(reach, reach / found.bandwidth, color=GREY, lw=1.5, label=f"this {found.device}, reading alone: {found.bandwidth / 1e9:.1f} GB/s")
    for name, colour in (("A100 80GB SXM", SKY), ("H100 SXM", PURPLE), ("B200", GREEN)):
        one = ACCELERATORS[name]
        axes.plot(reach[1] * np.array([1e-3, 1]), reach[1] * np.array([1e-3, 1]) / one.bandwidth, color=colour, lw=1.3, ls="--", label=f"one {name}, published: {one.bandwidth / 1e12:.2f} TB/s")
    _published(axes)
    axes.axvspan(1e6, found.cache_bytes, color=GREY, alpha=0.12, lw=0)
    axes.text(found.cache_bytes, 1.5e-5, "in the cache ", ha="right", fontsize=9, color=INK)
    axes.axhline(limit_s, color=RED, lw=1.2)
    axes.text(1.2e6, limit_s * 1.15, f"claim C09: {1000 * limit_s:.0f} ms", color=readable(RED), fontsize=9.5)
    axes.set(xlim=reach, ylim=(1e-5, 300))
    axes.legend(fontsize=8.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.grid(color=GRID, lw=0.7)
    plain(axes)
    said = (
        "Dots on logarithmic axes: seconds a token against bytes of weights, measured, with lines beyond to published models and machines, and claim C09's limit. Bandwidth reached: "
        + amounts({kernel: found.fit(kernel).bandwidth / 1e9 for kernel in found.kernels}, "{:.1f} GB/s") + f"; reading alone {found.bandwidth / 1e9:.1f} GB/s."
    )
    return describe(figure, said)


def _published(axes: Axes) -> None:
    h100 = ACCELERATORS["H100 SXM"]
    for model, place in zip(MODELS.values(), NAMES_AT):
        for name, bits in BITS.items():
            nbytes, count = model.active * bits / 8, devices_for(model.parameters * bits / 8, h100)
            axes.plot(nbytes, nbytes / (count * h100.bandwidth), BITS_MARKS[name], color=RED, ms=5)
            axes.annotate("", (nbytes, nbytes / (count * h100.bandwidth)), place, arrowprops={"arrowstyle": "-", "color": RED, "lw": 0.5, "alpha": 0.6})
        axes.text(*place, model.name, ha="center", va="top", fontsize=8.5, color=readable(RED), bbox={"fc": "white", "ec": "none", "pad": 0.5, "alpha": 0.8})
    for name, mark in BITS_MARKS.items():
        axes.plot([], [], mark, color=RED, ms=5, ls="none", label=f"published models in {name}, on as many H100 as hold them")


def draw_roofline(found: Roofline) -> Figure:
    """Layers under the machine's roof, a panel a batch size: what stands below it spends its time otherwise."""
    figure = new_figure(5.6 * len(found.batches), 4.8)
    intensity = np.geomspace(0.2, 1000, 200)
    for axes, batch in zip(figure.subplots(1, len(found.batches), squeeze=False, sharey=True)[0], found.batches):
        for dtype, colour, style in (("float32", INK, "-"), ("bfloat16", GREY, "--")):
            axes.plot(intensity, [found.roof(x, dtype) / 1e9 for x in intensity], color=colour, ls=style, lw=1.6, label=f"roof, {dtype}")
        marks = "sPoXD^vd*<>"
        colours = (INK, GREY, BLUE, SKY, ORANGE, GREEN, PURPLE, RED)
        for place, scheme in enumerate(found.schemes):
            layer = found.layer(scheme, batch)
            label = f"{scheme}: {1e3 * layer.median_s:.2g} ms"
            axes.plot(layer.intensity, layer.rate / 1e9, marks[place % len(marks)], color=colours[place % len(colours)], ms=9, label=label, mec="white", mew=0.6)
        axes.set(xscale="log", yscale="log", xlabel="operations for each byte moved")
        axes.set_title(f"batch {batch}, {found.width} × {found.width}", fontsize=10.5)
        axes.legend(fontsize=8, frameon=False, loc="lower right", ncols=2)
        axes.grid(color=GRID, lw=0.7)
        plain(axes)
    figure.axes[0].set_ylabel("GFLOP/s")
    low = min(layer.rate for layer in found.layers) / 1e9
    figure.axes[0].set_ylim(min(low, 1) / 40, 2 * max(found.peaks.values()) / 1e9)
    figure.suptitle(f"{found.device}, {counted(found.threads, 'thread')}: {found.bandwidth / 1e9:.1f} GB/s of reading", fontsize=11)
    said = (
        f"Dots under a machine's roof, GFLOP/s against operations for each byte moved, a panel for each batch of {listed(str(n) for n in found.batches)}. "
        + "; ".join(f"batch {batch}: " + amounts({scheme: 1e3 * found.layer(scheme, batch).median_s for scheme in found.schemes}, "{:.2g} ms") for batch in found.batches) + "."
    )
    return describe(figure, said)


def draw_adaptation(found: Adaptation, architecture: str = "dense") -> Figure:
    """What was learned of the new domain against what was forgotten of the old, and the bytes of a step."""
    figure = new_figure(12.5, 4.6)
    layout: Any = figure.get_layout_engine()  # the constrained one, of `new_figure`
    layout.set(w_pad=0.15)  # inches: else the names of the bars touch the panel before
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.1, 1.1, 1])
    for method, (colour, mark, size, width) in zip(found.methods, ADAPTED_STYLES):
        runs = found.runs[architecture, method]
        curve = np.mean([run.new for run in runs], axis=0)
        left.plot(runs[0].steps, curve, color=colour, marker=mark, ms=0.7 * size, lw=width)
        left.fill_between(runs[0].steps, *(np.array([run.new for run in runs]).min(0), np.array([run.new for run in runs]).max(0)), color=colour, alpha=0.15, lw=0)
        new, old = (found.after(method, architecture, domain) for domain in ("new", "old"))
        middle.errorbar(old.mean, new.mean, xerr=_half(old), yerr=_half(new), color=colour, marker=mark, ms=size, capsize=0.5 * size, lw=width, ls="none", label=method)
    left.set(xlabel="step", ylabel="loss on the new domain, nats a byte")
    before = found.runs[architecture, found.methods[0]]
    middle.plot(np.mean([run.old[0] for run in before]), np.mean([run.new[0] for run in before]), "*", color="white", mec=INK, ms=13, ls="none", label="before")
    middle.set(xlabel="loss on the old domain after, nats a byte", ylabel="loss on the new domain after")
    middle.legend(fontsize=8.5, frameon=False)
    _step_bytes(right, found, architecture)
    for axes in (left, middle):
        axes.grid(color=GRID, lw=0.7)
    for axes in figure.axes:
        axes.set_axisbelow(True)
        plain(axes)
    figure.suptitle(f"A new domain, {TITLES.get(architecture, architecture)}: {len(found.seeds)} seeds, 95% intervals; bands are the range of seeds", fontsize=11)
    said = (
        "Left lines of the loss on the new domain by step; in the middle dots of it against the loss on the old domain; right bars of a step's bytes. Loss at the end, new and old: "
        + "; ".join(f"{method} {found.after(method, architecture, 'new').mean:.2f} and {found.after(method, architecture, 'old').mean:.2f}" for method in found.methods) + "."
    )
    return describe(figure, said)


def _step_bytes(axes: Axes, found: Adaptation, architecture: str) -> None:
    names = [name for name in found.methods if "old" not in name]
    for place, name in enumerate(names):
        step, start = found.bytes(name, architecture), 0.0
        for part in ("weights", "gradients", "state"):
            size = getattr(step, part) / 1e6
            axes.barh(place, size, left=start, color=COLOURS[part], hatch=HATCHES[part], ec="white", lw=0.5, label=part if place == 0 else None)
            start += size
        axes.text(start, place, f" {start:.2f} MB, peak {step.peak / 1e6:.1f}", va="center", fontsize=9, color=INK)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.75 * axes.get_xlim()[1])
    axes.set_xlabel("MB, without activations")
    axes.legend(fontsize=8.5, frameon=False, loc="lower right")


def draw_curves(found: Curves) -> Figure:
    """Validation loss by optimizer, and how far each lies from 32-bit Adam beside the seeds' spread."""
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    for (name, runs), (colour, mark) in zip(found.runs.items(), METHOD_STYLES):
        steps, losses = runs[0].steps, np.array([run.losses for run in runs])
        left.plot(steps, losses.mean(0), color=colour, marker=mark, ms=5, label=f"{name}: {runs[0].state / 1e3:.0f} kB of state")
        left.fill_between(steps, losses.min(0), losses.max(0), color=colour, alpha=0.2, lw=0)
        apart = [found.difference(name, place) for place in range(len(steps))]
        right.errorbar(steps, [one.mean for one in apart], yerr=[_half(one) for one in apart], color=colour, marker=mark, ms=5, capsize=3)
    spread = np.array([_half(found.base(place)) for place in range(len(steps))])
    right.fill_between(steps, -spread, spread, color=GREY, alpha=0.25, lw=0, label="95% interval of 32-bit AdamW over seeds")
    left.set(xlabel="step", ylabel="validation loss, nats a byte")
    right.set(xlabel="step", ylabel="minus 32-bit AdamW, paired")
    for axes in (left, right):
        axes.legend(fontsize=8.5, frameon=False)
        axes.grid(color=GRID, lw=0.7)
        plain(axes)
    said = (
        f"Left lines of validation loss by step for {len(found.runs)} optimizers; right each one's distance from 32-bit AdamW beside the seeds' spread. Loss at the end: "
        + amounts({name: np.mean([run.losses[-1] for run in runs]) for name, runs in found.runs.items()}, "{:.3f}") + "."
    )
    return describe(figure, said)


def _half(found: Estimate) -> float:
    return found.half if math.isfinite(found.half) else 0.0
