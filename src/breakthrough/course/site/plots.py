"""Plots of benchmark pages: figures with their spread, read from the page's own tables and lines."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from breakthrough.course.figures import BLUE, GREEN, GREY, INK, ORANGE
from breakthrough.language import counted

# Okabe and Ito's; marks differ too, so that a plot reads without its colours
LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), ("#cc79a7", "D"), ("#56b4e9", "v"), ("#d55e00", "P"), (INK, "X"))
WIDTH = 5.0  # inches: on a phone's screen its text is still 9 pixels high
_NUMBER = r"[−+-]?\d+(?:,\d{3})*(?:\.\d+)?"
_RANGE = re.compile(rf"({_NUMBER})%? ?\(({_NUMBER})(?: to |–)({_NUMBER})\)")
_PLUS_MINUS = re.compile(rf"({_NUMBER})%? ± ({_NUMBER})")


@dataclass(frozen=True)
class Point:
    """One measured figure: its row and series, and how far it spreads."""

    row: str
    series: str
    value: float
    low: float
    high: float


Reader = Callable[[str], Iterable[Point]]


@dataclass(frozen=True)
class Plot:
    """What is drawn of a section of a page.

    `page` is a pattern of file names, `section` the beginning of a heading, empty for the page's top; `mark` is a
    line to compare with, and what it is.
    """

    page: str
    section: str
    title: str
    axis: str
    read: Reader
    mark: tuple[float, str] | None = None
    scale: str = "linear"
    straight: float = 0.1  # how far from 0 a symlog scale is linear


def spread(text: str) -> tuple[float, float, float] | None:
    """The figure, lowest and highest of `2.6 (2.4 to 2.6)`, `0.93 (0.69–1.11)` or `93.2% ± 7.6`; None for anything else."""
    found = _RANGE.search(text)
    if found:
        value, low, high = map(number, found.groups())
        return value, low, high
    found = _PLUS_MINUS.search(text)
    if found:
        value, half = map(number, found.groups())
        return value, value - half, value + half
    return None


def number(text: str) -> float:
    """A number as the pages write it: with a minus sign, a plus, commas between thousands."""
    return float(text.replace("−", "-").replace(",", ""))


def tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Every Markdown table: its head, and its rows."""
    for block in re.findall(r"(?:^\|.*\|[ \t]*\n?)+", text, re.MULTILINE):
        rows = [[cell.strip().strip("*") for cell in line.strip().strip("|").split("|")] for line in block.strip().splitlines()]
        if len(rows) > 2 and set("".join(rows[1])) <= set("-: "):
            yield rows[0], rows[2:]


def table(rows: Sequence[str], series: Sequence[str], only: tuple[str, str] | None = None, form: str = "") -> Reader:
    """Read columns of the section's first table that has them: `rows` name a row, each of `series` is measured.

    `only` keeps the rows with a value in a column; `form` writes a row's name.
    """

    def read(text: str) -> Iterator[Point]:
        for head, body in tables(text):
            if {*rows, *series} <= set(head):
                for cells in body:
                    named = dict(zip(head, cells))
                    if only is None or named[only[0]] == only[1]:
                        yield from _points(named, rows, series, form)
                return

    return read


def lines(pattern: str, context: str = "", of: str = "{}") -> Reader:
    """Read lines of text: the pattern's groups `row` and `series` name a figure, `value`, `low`, `high` or `half` measure it.

    `context` matches lines whose group `row` goes before the rows that follow; `of` writes a series' name.
    """
    search, above = re.compile(pattern), re.compile(context or r"(?!)")

    def read(text: str) -> Iterator[Point]:
        before = ""
        for line in text.splitlines():
            if found := above.search(line):
                before = found["row"] + ", "
            elif found := search.search(line):
                part = found.groupdict()
                value = number(part["value"])
                low, high = (number(part["low"]), number(part["high"])) if part.get("low") else (value, value)
                if part.get("half"):
                    low, high = value - number(part["half"]), value + number(part["half"])
                series = of.format(part["series"].strip()) if part.get("series") else ""
                yield Point(before + " ".join(part["row"].split()), series, value, low, high)

    return read


def section(text: str, heading: str) -> str:
    """The part of a page under a heading that begins so, down to the next of its level or above."""
    if not heading:
        return text
    found = re.search(rf"^(#+) {re.escape(heading)}.*$", text, re.MULTILINE)
    if not found:
        return ""
    end = re.compile(rf"^#{{1,{len(found[1])}}} ", re.MULTILINE).search(text, found.end())
    return text[found.end():end.start() if end else len(text)]


def of_page(name: str, plots: Iterable[Plot]) -> list[Plot]:
    """The plots of a page of this name."""
    return [plot for plot in plots if fnmatch(name, plot.page)]


def alt(plot: Plot, points: Sequence[Point]) -> str:
    """The plot in words: what is on its axes, and from where to where each series goes."""
    parts = [f"{plot.title}: {plot.axis}, for {counted(len(_unique(point.row for point in points)), 'row')}"]
    for name in _unique(point.series for point in points):
        mine = [point for point in points if point.series == name]
        least, most = min(mine, key=_value), max(mine, key=_value)
        ends = f"{least.value:g} ({least.row})" + (f" to {most.value:g} ({most.row})" if len(mine) > 1 else "")
        parts.append(f"{name}: {ends}" if name else ends)
    return "; ".join(parts) + ". The figures stand below."


def svg(plot: Plot, points: Sequence[Point]) -> str:
    """The plot: a row a line, a mark a series, a bar for its spread."""
    import matplotlib
    from matplotlib.figure import Figure

    rows, names = _unique(point.row for point in points), _unique(point.series for point in points)
    with matplotlib.rc_context({"svg.hashsalt": plot.title, "svg.fonttype": "path", "font.size": 10}):
        labels = [textwrap.fill(row, 26) for row in rows]
        height = 1.3 + sum(max(0.17 * label.count("\n") + 0.28, 0.14 * len(names) + 0.14) for label in labels) + 0.2 * len(names)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        _draw(axes, plot, points, rows, names)
        _dress(axes, plot, labels)
        if names != [""] or plot.mark:
            figure.legend(loc="outside lower left", ncols=2, fontsize=9, frameon=False)
        out = io.StringIO()
        figure.savefig(out, format="svg", facecolor="white", metadata={"Date": None, "Title": plot.title})
    return out.getvalue()


def _draw(axes, plot: Plot, points: Sequence[Point], rows: list[str], names: list[str]) -> None:
    for index, name in enumerate(names):
        mine = [point for point in points if point.series == name]
        colour, mark = LOOKS[index % len(LOOKS)]
        heights = [-rows.index(point.row) - (index - (len(names) - 1) / 2) * 0.7 / len(names) for point in mine]
        values = [point.value for point in mine]
        spans = [[max(v - p.low, 0) for v, p in zip(values, mine)], [max(p.high - v, 0) for v, p in zip(values, mine)]]
        axes.errorbar(values, heights, xerr=spans, fmt=mark, color=colour, ms=5, lw=1.6, label=name or None)
    if plot.mark:
        axes.axvline(plot.mark[0], color=INK, ls="--", lw=1, label=plot.mark[1], zorder=0)


def _dress(axes, plot: Plot, labels: list[str]) -> None:
    for index in range(0, len(labels), 2):
        axes.axhspan(-index - 0.5, -index + 0.5, color="#f4f4f4", zorder=-1)
    axes.set_xscale(plot.scale, **({"linthresh": plot.straight} if plot.scale == "symlog" else {}))
    _ticks(axes, plot.scale)
    axes.set_yticks([-index for index in range(len(labels))], labels, fontsize=9)
    axes.set(ylim=(-len(labels) + 0.5, 0.5), xlabel=plot.axis)
    axes.set_title(textwrap.fill(plot.title, 48), fontsize=11, loc="left", x=0, ha="left")
    axes.grid(axis="x", color=GREY, alpha=0.25)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _ticks(axes, scale: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    def plain(value: float, _: object) -> str:
        return f"{value:g}".replace("-", "−")

    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(NullFormatter())
    if scale == "log":
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,)))
        axes.xaxis.set_minor_locator(NullLocator())


def _points(named: dict[str, str], rows: Sequence[str], series: Sequence[str], form: str) -> Iterator[Point]:
    row = form.format(*(named[column] for column in rows)) if form else ", ".join(named[column] for column in rows)
    for column in series:
        found = spread(named[column])
        if found:
            yield Point(row, column, *found)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _value(point: Point) -> float:
    return point.value
