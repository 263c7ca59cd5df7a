"""What benchmarks/exchange.py makes of its results: tables, verdicts, a figure."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np

WAYS = ("mean", "median", "PG1", "effort")
GOAL = 0.5  # of the plain mean's RMSE
GOALS = ("30% lazy, 10% pact", "30% lazy, 10% ring")
# Okabe and Ito's colours; line and mark say the same
LOOKS = {"mean": ("#D55E00", "o", "-"), "median": ("#E69F00", "s", "--"), "PG1": ("#009E73", "^", "-."), "effort": ("#0072B2", "D", "-")}


def spread(values: list[float], digits: int = 3) -> str:
    """A mean over seeds, and the smallest and the largest."""
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def kept(out: Path | None) -> dict:
    """Parts that were measured and kept before."""
    path = out.with_suffix(".json") if out else None
    return json.loads(path.read_text())["parts"] if path and path.exists() else {}


def write(parts: dict, facts: dict, out: Path | None) -> str:
    """The report as Markdown; kept beside the bare results where `out` says.

    A part is {"facts": learners, seeds, date, "found": {setting: [results of a seed]}}.
    """
    makers = {"scores": _scores, "rings": _rings, "spots": _spots, "sizes": _sizes, "shares": _shares}
    said = ", ".join(f"{name} {value}" for name, value in facts.items())
    text = f"# Exchange, CPU\n\nPython {platform.python_version()}, numpy {np.__version__}; {said}. Means over seeds, smallest and largest in brackets."
    for name, make in makers.items():
        if name in parts:
            said = ", ".join(f"{name} {value}" for name, value in parts[name]["facts"].items())
            head, _, body = make(parts[name]["found"], facts).partition("\n\n")
            text += f"\n\n{head}\n\nMeasured with: {said}.\n\n{body}"
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".json").write_text(json.dumps({"facts": facts, "parts": parts}) + "\n")
        out.with_suffix(".md").write_text(text + "\n")
    return text


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(" | ".join(["", *row, ""]).strip() for row in (head, ["---"] * len(head), *rows))


def _errors(name: str, runs: list[dict]) -> list[str]:
    ratios = {way: [one[way] / one["mean"] for one in runs] for way in WAYS}
    covers = [spread([one[f"{way} covers"] for one in runs], 2) for way in ("PG1", "effort")]
    return [name, *[f"{np.mean([one[way] for one in runs]):.3f}" for way in WAYS], spread(ratios["PG1"], 2), spread(ratios["effort"], 2), *covers]


ERRORS = ["reviewers", *WAYS, "PG1 / mean", "effort / mean", "PG1's 90% covers", "effort's 90% covers"]


def _scores(found: dict, facts: dict) -> str:
    text = "## Scores: RMSE of a work's score, 0 to 1\n\n" + _table(ERRORS, [_errors(name, runs) for name, runs in found.items()])
    for name in GOALS:
        if name in found:
            ratios = [one["effort"] / one["mean"] for one in found[name]]
            met = sum(ratio <= GOAL for ratio in ratios)
            verdict = "met" if np.mean(ratios) <= GOAL else "not met"
            text += f"\n\nGoal, {name}: at most {GOAL} of the plain mean's RMSE: {verdict} in the mean, in {met} of {len(ratios)} cohorts."
    text += f"\n\n## Flags: shares of reviewers, at a stated rate of {facts['stated rate of false flags']:.0%} of honest ones for each kind of flag\n\n"
    text += _table(FLAGS, [row for name, runs in found.items() for row in _flags(name, [one["flags"] for one in runs])])
    kinds = sorted({kind for runs in found.values() for one in runs for kind in one["quality"]})
    text += "\n\n## Quality of reviews, 0 to 1: means by kind of reviewer (all criteria rated, findings not asked for)\n\n"
    rows = [[name, *[_mean([one["quality"][kind] for one in runs if kind in one["quality"]]) for kind in kinds]] for name, runs in found.items()]
    return text + _table(["reviewers", *kinds], rows)


FLAGS = ["cohort", "kind of reviewer", "flagged for effort", "flagged for favour", "reviewers in all"]


def _mean(values: list[float]) -> str:
    return f"{np.mean(values):.2f}" if values else "–"


def _flags(name: str, runs: list[dict]) -> list[list[str]]:
    rows = []
    for kind in dict.fromkeys(kind for one in runs for kind in one):
        row = [name, kind]
        for flag in ("effort", "favour"):
            pairs = [one[kind][flag] for one in runs if kind in one]
            each = [100 * got / of for got, of in pairs]
            row.append(f"{100 * sum(got for got, _ in pairs) / sum(of for _, of in pairs):.1f}% ({min(each):.1f}–{max(each):.1f})")
        rows.append([*row, str(sum(of for _, of in pairs))])
    return rows


def _rings(found: dict, facts: dict) -> str:
    rows = [row for name, runs in found.items() for number in runs[0] for row in _flags(f"{name}, in any of {number}", [one[number] for one in runs])]
    return "## Rings of four: flags in the first module, and in any of five (10% lazy, 12% in rings, no pair twice)\n\n" + _table(FLAGS, rows)


def _spots(found: dict, facts: dict) -> str:
    rows = [[name, *[spread([one[way] for one in runs]) for way in ("before", "by lot", "chosen")]] for name, runs in found.items()]
    return "## Spot checks: RMSE when a tenth of the works is read\n\n" + _table(["cohort", "none read", "read by lot", "chosen"], rows)


def _sizes(found: dict, facts: dict) -> str:
    text = "## Sizes: 30% lazy, 10% pact\n\n" + _table(["learners", *ERRORS[1:]], [_errors(name, runs) for name, runs in found.items()])
    head = ["learners", "combine (s)", "flags (s)", "assign (s)", "reviews of a work", "works of a reviewer", "mean sd of a score"]
    rows = []
    for name, runs in found.items():
        times = [spread([one["seconds"][what] for one in runs if what in one["seconds"]], 2) for what in ("combine", "flags", "assign")]
        levels = [", ".join(map(str, sorted({value for one in runs for value in one["balance"][what]}))) for what in ("reviews of a work", "works of a reviewer")]
        rows.append([name, *times, *levels, _mean([one["sd"] for one in runs])])
    return text + "\n\nProcessor seconds of one core:\n\n" + _table(head, rows)


def _shares(found: dict, facts: dict) -> str:
    rows = [_errors(f"{float(name):.0%} lazy", runs) for name, runs in found.items()]
    return "## Share of lazy reviewers\n\n" + _table(ERRORS, rows)


def draw(found: dict, path: Path) -> None:
    """RMSE against the share of lazy reviewers: means over seeds, bands from the 5th to the 95th percentile."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    x = 100 * np.array([float(name) for name in found])
    for way, (colour, mark, line) in LOOKS.items():
        values = np.array([[one[way] for one in runs] for runs in found.values()])  # (shares, seeds)
        axes.plot(x, values.mean(1), color=colour, marker=mark, ls=line, lw=1.8, label={"effort": "effort model"}.get(way, way))
        axes.fill_between(x, *np.quantile(values, (0.05, 0.95), axis=1), color=colour, alpha=0.15, lw=0)
    axes.set_xlabel("share of reviewers who give full marks unread, %")
    axes.set_ylabel("RMSE of a work's score (0 to 1)")
    axes.set_ylim(0)
    axes.grid(axis="y", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
