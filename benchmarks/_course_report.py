"""What benchmarks/course.py makes of its results: tables, verdicts, a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

GOAL_S, AGAIN_S = 1800.0, 120.0  # the whole course at quick, set-up included; and with nothing changed
LIMITS_S = {"tiny": 60.0, "quick": 240.0}  # of a notebook
CELLS = 20
BLUE, ORANGE, INK = "#0072B2", "#E69F00", "#222222"  # Okabe and Ito's


def write(found: Mapping[str, Any], out: Path | None) -> str:
    """The report as Markdown; kept beside the bare results where `out` says.

    `found` has facts, and for the first run and the second wall_s and notebooks, as `course.measure` gives them.
    """
    facts, notebooks = found["facts"], found["first"]["notebooks"]
    said = ", ".join(f"{name} {value}" for name, value in facts.items())
    parts = [f"# The course, {facts['profile']}", said + ".", *goals(found), f"![Seconds of every notebook]({out.name if out else 'course'}.png)",
             "## Notebooks", by_notebook(notebooks, facts["profile"]), f"## The {CELLS} costliest cells", by_cell(found["first"]["cells"])]  # fmt: skip
    text = "\n\n".join(parts)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
        draw(notebooks, facts["profile"], out.with_suffix(".png"))
    return text


def goals(found: Mapping[str, Any]) -> list[str]:
    """A sentence for each run, and whether its goal is met; the goals are those of the whole course at quick."""
    facts, first, again, setup_s = found["facts"], found["first"], found["again"], found.get("setup_s")
    counts = facts["profile"] == "quick" and facts["modules"] == "all"
    total = first["wall_s"] + (setup_s or 0.0)
    how = f"{_minutes(total)} from a clean clone, {_minutes(setup_s)} of them for the set-up" if setup_s is not None else f"{_minutes(total)}, without the set-up"
    lines = [f"Executed anew: {how}{_verdict(total, GOAL_S, counts)}."]
    stayed = sum(one["resumed"] for one in again["notebooks"])
    lines.append(f"Again with nothing changed: {again['wall_s']:.1f} s, {stayed} of {len(again['notebooks'])} notebooks stayed as they were{_verdict(again['wall_s'], AGAIN_S, counts)}.")
    failed = [one["name"] for one in (*first["notebooks"], *again["notebooks"]) if one["status"] != "passed"]
    return lines + ([f"NOT PASSED: {', '.join(dict.fromkeys(failed))}."] if failed else [])


def met(found: Mapping[str, Any]) -> bool:
    """Whether every notebook passed, and no goal that counts here was missed."""
    return not any("NOT " in line or "not met" in line for line in goals(found))


def by_notebook(notebooks: Sequence[Mapping[str, Any]], profile: str) -> str:
    """A row for every notebook, in course order, and their sum."""
    limit_s, every = LIMITS_S.get(profile), sum(one["seconds"] for one in notebooks) or 1.0
    head = ["notebook", "seconds", "processor seconds", "cores used", "peak memory, MiB", "share of all seconds"]
    rows = []
    for one in notebooks:
        over = f", above {limit_s:g}" if limit_s and one["seconds"] > limit_s else ""
        cores = f"{one['cpu_s'] / one['seconds']:.1f}" if one["seconds"] else "–"
        rows.append([one["name"], f"{one['seconds']:.0f}{over}", f"{one['cpu_s']:.0f}", cores, f"{one['peak_bytes'] / 2**20:,.0f}", f"{one['seconds'] / every:.1%}"])
    largest = max((one["peak_bytes"] for one in notebooks), default=0)
    rows.append(["all", f"{every:.0f}", f"{sum(one['cpu_s'] for one in notebooks):.0f}", "", f"{largest / 2**20:,.0f} the largest", ""])
    return table(head, rows)


def by_cell(cells: Sequence[Mapping[str, Any]]) -> str:
    """The cells that took longest, whatever their notebook."""
    rows = [[one["notebook"], one["cell"], f"{one['seconds']:.1f}", f"{one['share']:.1%}"] for one in cells[:CELLS]]
    return table(["notebook", "cell", "seconds", "share of its notebook"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(" | ".join(["", *row, ""]).strip() for row in (head, ["---"] * len(head), *rows))


def draw(notebooks: Sequence[Mapping[str, Any]], profile: str, path: Path) -> None:
    """Wall and processor seconds of every notebook, the first on top; the limit of one as a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.9 + 0.45 * len(notebooks)), layout="constrained")
    axes, places = figure.subplots(), range(len(notebooks))
    for key, label, colour, shift, hatch in (("seconds", "from begin to end", BLUE, -0.2, ""), ("cpu_s", "of a processor core", ORANGE, 0.2, "///")):
        axes.barh([at + shift for at in places], [one[key] for one in notebooks], 0.36, color=colour, hatch=hatch, ec="white", lw=0, label=label)
    reach = max([max(one["seconds"], one["cpu_s"]) for one in notebooks], default=1.0)
    for at, one in zip(places, notebooks):
        axes.text(max(one["seconds"], one["cpu_s"]) + 0.01 * reach, at, f"{one['peak_bytes'] / 2**20:,.0f} MiB", va="center", fontsize=8.5, color=INK, bbox={"fc": "white", "ec": "none", "pad": 1})
    if profile in LIMITS_S:
        axes.axvline(LIMITS_S[profile], color=INK, ls="--", lw=1, label=f"the design's limit, {LIMITS_S[profile]:g} s")
    axes.set(xlabel=f"seconds, profile {profile}; peak memory at the bar's end", xlim=(0, 1.16 * reach))
    axes.set_yticks(list(places), [one["name"] for one in notebooks])
    axes.invert_yaxis()
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=9, loc="outside upper center", ncols=3)
    figure.savefig(path, dpi=110)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _verdict(seconds: float, goal_s: float, counts: bool) -> str:
    if not counts:
        return ""
    return f"; the goal is {_minutes(goal_s)}: {'met' if seconds <= goal_s else 'not met'}"
