"""What benchmarks/moe.py makes of its times: ratios, verdicts, tables."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

DENSE = ("dense", "dense fused")
HUGGING_FACE = ("eager", "batched_mm", "grouped_mm")
OURS = "ours auto"
TIE = "tie within the spread"
HOLDS = {True: "yes", False: "no", None: "–", TIE: TIE}

# (what, limit of ours / ideal, the points it covers)
TARGETS = (
    ("fp32, T ≥ 4096, d = 512, E = 8, k = 2", 1.10,
     lambda p: (p["dtype"], p["d_model"], p["n_experts"], p["top_k"]) == ("float32", 512, 8, 2)),
    ("fp32, whole grid", 1.25, lambda p: p["dtype"] == "float32" and p["d_model"] <= 512),
    ("bf16, whole grid", 1.60, lambda p: p["dtype"] == "bfloat16" and p["d_model"] <= 512),
    ("GPU, bf16, T = 16384, d = 1024, E = 64, k = 2", 1.30,
     lambda p: (p["dtype"], p["d_model"]) == ("bfloat16", 1024)),
)  # fmt: skip


def ratios(times: dict[str, list[float]]) -> dict:
    """Median seconds, the ratio to the ideal's with its range, and our ratio to Hugging Face's."""
    median = {name: statistics.median(values) for name, values in times.items()}
    ideal = min(DENSE, key=median.__getitem__)
    paired = {name: _paired(values, times[ideal]) for name, values in times.items()}
    races = {name: _paired(times[OURS], times[name]) for name in times if name.startswith("hf ")}
    return {
        "ideal": ideal,
        "seconds": median,
        "ratio": {name: statistics.median(values) for name, values in paired.items()},
        "spread": {name: [min(values), max(values)] for name, values in paired.items()},
        "races": {name: [statistics.median(v), *interval(v)] for name, v in races.items()},
    }


def _paired(ours: list[float], theirs: list[float]) -> list[float]:
    """Ratios round by round; a far contender has one round only."""
    return [a / b for a, b in zip(ours, theirs, strict=False)]


def interval(values: list[float]) -> tuple[float, float]:
    """Two of the values that hold the median between them with a chance of 95%, if there are 6.

    Source: the sign test: the median's rank is binomial (n, ½), whatever the distribution
    """
    values, n = sorted(values), len(values)
    tails = [2 * sum(math.comb(n, i) for i in range(cut + 1)) / 2**n for cut in range(n // 2)]
    cut = max(sum(tail <= 0.05 for tail in tails) - 1, 0)
    return values[cut], values[-1 - cut]


def verdicts(points: list[dict]) -> list[dict]:
    """Each target with the worst point it covers; no point, no verdict."""
    found = []
    for name, limit, covers in TARGETS:
        met = {_place(p): p["ratio"][OURS] for p in points if covers(p)}
        holds = max(met.values()) <= limit if met else None
        found.append(_verdict(f"≤ {limit:.2f} of the ideal: {name}", met, holds))
    for name in (f"hf {n}" for n in HUGGING_FACE):
        met = {_place(p): p["races"][name] for p in points if name in p["races"]}
        medians = {place: race[0] for place, race in met.items()}
        found.append(_verdict(f"≤ 1.00 of {name}, at {len(met)} points", medians, _never_slower(met)))
    return found


def _verdict(target: str, met: dict[str, float], holds: bool | str | None) -> dict:
    worst = max(met, key=met.__getitem__, default=None)
    return {"target": target, "worst": met.get(worst), "at": worst, "holds": holds}


def _never_slower(races: dict[str, list[float]]) -> bool | str | None:
    """Yes, no, a tie, or None without races; a race is (median ratio, low, high)."""
    slower = [low for ratio, low, _ in races.values() if ratio > 1]
    if not slower:
        return True if races else None
    return TIE if all(low <= 1 for low in slower) else False


def _place(p: dict) -> str:
    return "{dtype} T={tokens} d={d_model} E={n_experts} k={top_k}".format_map(p)


def markdown(report: dict, method: str) -> str:
    """The report as tables, with the method below."""
    facts = ", ".join(f"{key} {value}" for key, value in report["machine"].items() if value)
    points = report["points"]
    names = list(dict.fromkeys(n for p in points for n in (*p["ratio"], *p["skipped"])))
    head = ["dtype", "T", "d", "E", "k", "ideal ms", *names, "ours / hf grouped_mm", "rounds",
            "kept MB: ideal / ours / hf eager"]  # fmt: skip
    lines = ["# Sparse layer: time of a step over the ideal's", "", facts, ""]
    lines += ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cells(p, names)) + " |" for p in points]
    lines += ["", "Median ratio (lowest–highest of the rounds; of ours / hf the 95% interval).", ""]
    lines += ["| target | worst | at | holds |", "| --- | --- | --- | --- |"]
    for v in report["verdicts"]:
        figure = "not measured" if v["worst"] is None else f"{v['worst']:.3f}"
        lines += [f"| {v['target']} | {figure} | {v['at'] or '–'} | {HOLDS[v['holds']]} |"]
    skipped = {f"- {name} skipped at {_place(p)}: {why}" for p in points
               for name, why in p["skipped"].items()}  # fmt: skip
    return "\n".join([*lines, "", *sorted(skipped), "", *_method(method), ""])


def _method(text: str) -> list[str]:
    """The docstring without its first line and its usage."""
    return text[text.index("One step is") :].strip().splitlines()


def _cells(p: dict, names: list[str]) -> list[str]:
    place = [p["dtype"], *(str(p[n]) for n in ("tokens", "d_model", "n_experts", "top_k"))]
    ratio = [_range([p["ratio"][n], *p["spread"][n]]) if n in p["ratio"] else "–" for n in names]
    race = _range(p["races"]["hf grouped_mm"]) if "hf grouped_mm" in p["races"] else "–"
    kept = [p["kept_bytes"].get(n) for n in (p["ideal"], OURS, "hf eager")]
    kept_mb = ("–" if b is None else f"{b / 1e6:.0f}" for b in kept)
    ideal = f"{1e3 * p['seconds'][p['ideal']]:.1f}"
    return [*place, ideal, *ratio, race, str(p["rounds"]), " / ".join(kept_mb)]


def _range(figures: list[float]) -> str:
    return "{:.2f} ({:.2f}–{:.2f})".format(*figures)


def write(report: dict, path: Path, method: str) -> None:
    """The report as JSON, and as Markdown beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(report, method))
