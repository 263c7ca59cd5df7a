"""The benchmark pages: the results as they were kept, with a plot where figures have a spread."""

from __future__ import annotations

import re
from pathlib import Path

from breakthrough.course.site import links, plots
from breakthrough.course.site.layout import RESULTS, Site
from breakthrough.course.site.plots import Plot, lines, table

_RANGE = r"(?P<value>[\d.]+) \((?P<low>[\d.]+) to (?P<high>[\d.]+)\)"
_LAYERS = ("ours auto", "hf eager", "hf grouped_mm")
_MOE = "T {}, d {}, E {}, k {}"
_SERVED = r"^(?P<row>[A-Za-z].*, (?:image|application)/\S+)$"
DATE = re.compile(r"\b20\d\d-\d\d-\d\d\b")

PLOTS = (
    *(Plot("moe-*.md", "", f"Time of a step, {dtype}", "× the ideal's time, less is better",
           table(("T", "d", "E", "k"), _LAYERS, ("dtype", dtype), _MOE), (1, "the ideal"), "log") for dtype in ("float32", "bfloat16")),
    Plot("deploy-cpu.md", "1. Latency", "Speed beside PyTorch's eager mode, by net and batch size", "× eager's speed, more is better",
         lines(rf"^(?P<net>(?P<row>[a-z_]+ +\d)) (?P<series>(?!eager).+?) +[\d.]+ .* {_RANGE.replace(' ', ' × ', 1)}"), (1, "eager"), "log"),
    Plot("deploy-cpu.md", "6. Serving", "Throughput with batching, by clients", "× the throughput without, more is better",
         lines(rf"^ *(?P<row>\d+) \|.*\| {_RANGE} \|", _SERVED), (1, "without batching")),
    Plot("exchange-cpu.md", "Scores", "Error of a work's score", "× the plain mean's error, less is better",
         table(("reviewers",), ("PG1 / mean", "effort / mean")), (1, "the plain mean")),
    Plot("exchange-cpu.md", "Share of lazy", "Error of a work's score, by the share of lazy reviewers", "× the plain mean's error, less is better",
         table(("reviewers",), ("PG1 / mean", "effort / mean")), (1, "the plain mean")),
    Plot("federated-ckks-cpu.md", "", "Encrypting 100,000 values", "ms a client, less is better",
         lines(r"^(?P<row>.+\]) +(?P<value>[\d.]+) \((?P<low>[\d.]+)–(?P<high>[\d.]+)\)")),
    Plot("federated-cpu.md", "Accuracy lost: digits", "Accuracy lost against training in one place", "points, less is better",
         lines(r"^(?P<row>.+?)  +(?P<series>[a-zε].*?)  +[\d.]+ ± [\d.]+% +(?P<value>[\d.−-]+) ± +(?P<half>[\d.]+)"), (3, "the article's claim: less than 3"), "symlog", 3),
    Plot("federated-cpu.md", "Time, masks", "A simulated round", "× the time of bare training, less is better",
         lines(rf"^(?P<row>.+?): bare .* simulated / bare {_RANGE}"), (1.5, "the goal")),
    Plot("grading-cpu.md", "Beside stock", "Grading a cohort beside stock nbgrader", "× stock's throughput, more is better",
         table(("lab 01",), ("throughput over stock",)), (3, "the goal")),
    Plot("quant-cpu.md", "1. Perplexity", "Perplexity's rise by scheme", "per cent above float32, less is better",
         lines(r"^(?P<series>dense|moe) +(?P<row>\S+) .* (?P<value>-?[\d.]+) ± +(?P<half>[\d.]+)$"), scale="symlog"),
    Plot("quant-cpu.md", "5. Quantize", "Speed beside bitsandbytes", "× bitsandbytes' speed, more is better",
         lines(rf"^(?P<row>.+?)  +[\d.]+ ms, theirs .* {_RANGE.replace(' ', ' × its speed ', 1)}"), (0.9, "the goal")),
    Plot("quant-cpu.md", "6. A linear", "A linear layer beside float32", "× float32's speed, more is better",
         lines(rf"^(?P<row>\S.*?)  +(?P<series>1|64)  .*? {_RANGE}", of="batch {}"), (1, "float32"), "log"),
    Plot("scenes-cpu.md", "", "Making labelled pictures", "× the first one's time over the second's",
         lines(rf"^(?P<row>.+?)  +[\d.]+ ms +[\d.]+ ms +ratio {_RANGE}")),
    Plot("scenes-cpu.md", "The line", "Accuracy by test set", "per cent, 95% intervals over three seeds",
         lines(r"^(?P<row>all → [^:]+): (?P<value>[\d.]+) ± (?P<half>[\d.]+)%", r"^(?P<row>[\d,]+ pictures)$")),
    Plot("capstone-cpu.md", "The line at", "Held-out rendered pictures named rightly", "per cent, 95% intervals",
         table(("rendered, held out",), ("accuracy",))),
    Plot("capstone-cpu.md", "Path traced", "What moves the accuracy on path-traced pictures", "per cent, 95% intervals over three seeds",
         table(("what was changed",), ("rendered", "path traced"))),
)


def pages(site: Site) -> dict[str, str]:
    """The pages of all benchmarks with their plots, and an index of them, by path."""
    found: dict[str, str] = {}
    rows = []
    for path in sorted((site.root / RESULTS).glob("*.md")):
        found |= page(site, path)
        text = path.read_text(encoding="utf-8")
        rows.append(f"| [{_title(text)}](/measured/{path.name}) | {', '.join(dict.fromkeys(DATE.findall(text))) or '–'} |")
    return found | {"measured/index.md": _index(rows)}


def page(site: Site, path: Path) -> dict[str, str]:
    """One benchmark's page, and the plots on it."""
    text = path.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    turned = _one_title(links.turn(site, text, path.relative_to(site.root).as_posix()))
    for number, plot in reversed(list(enumerate(plots.of_page(path.name, PLOTS), start=1))):  # the last goes in first: they share a place
        points = list(plot.read(plots.section(text, plot.section)))
        if points:
            name = f"measured/{path.stem}-{number}.svg"
            found[name] = plots.svg(plot, points)
            turned = _after_heading(turned, plot.section, _picture(name, plot, points, _made(text, plot)))
    return found | {f"measured/{path.name}": turned}


def _made(text: str, plot: Plot) -> str:
    """When the plot's figures were measured, and on what: as the section or else the page says."""
    part = plots.section(text, plot.section)
    dates = DATE.findall(part) if plot.section else []
    date = (dates or DATE.findall(text) or ["undated"])[0]
    machine = re.search(r"AMD \w+|Intel\(R\) [^,.]+|NVIDIA [^,.]+", part) or re.search(r"AMD \w+|Intel\(R\) [^,.]+|NVIDIA [^,.]+", text)
    cores = re.search(r"\bcores 2\b|\b2(?: CPU)? cores\b", text, re.IGNORECASE)
    return ", ".join([date, *([machine[0]] if machine else []), *(["2 cores"] if cores else [])])


def _picture(name: str, plot: Plot, points: list[plots.Point], made: str) -> str:
    said = plots.alt(plot, points).replace("\n", " ")
    return f":::{{figure}} /{name}\n:alt: {said}\n:class: measured\n\n{plot.title}. Measured {made}; bars are the spread that the figures below state.\n:::"


def _after_heading(text: str, heading: str, block: str) -> str:
    found = re.search(rf"^#+ {re.escape(heading)}.*$", text, re.MULTILINE) if heading else re.search(r"^# .*$", text, re.MULTILINE)
    if not found:
        return text
    return f"{text[:found.end()]}\n\n{block}\n{text[found.end():]}"


def _one_title(text: str) -> str:
    """A page has one title: later ones become sections."""
    first = re.search(r"^# .*$", text, re.MULTILINE)
    if not first:
        return text
    return text[:first.end()] + re.sub(r"^# ", "## ", text[first.end():], flags=re.MULTILINE)


def _title(text: str) -> str:
    return next(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))


def _index(rows: list[str]) -> str:
    return "\n".join((
        "# Benchmarks", "",
        "What was measured, on which day, on which machine. Each page says which command measures it again; "
        "`breakthrough bench` runs them. Ratios were taken in turns in one process, and carry their spread.", "",
        "| page | measured on |", "|---|---|", *rows, "",
        "```{toctree}", ":hidden:", ":glob:", "", "*-*", "```", "",
    ))
