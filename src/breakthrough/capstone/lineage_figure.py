"""The chain of an artifact as a figure: from seeds and ranges on the left to what is served on the right."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure

from breakthrough import files
from breakthrough.errors import InputError, expected
from breakthrough.lineage import WHOLE, Link

INK, GOOD, BAD, PALE = "#333333", "#0072B2", "#D55E00", "#bbbbbb"
SUFFIXES = (".svg", ".png", ".pdf")


def draw(link: Link, *, direct: bool = True) -> Figure:
    """A box for every artifact, in columns by how many steps it is from the first; arrows from parents.

    With `direct`, arrows that a longer way says already are left out.
    """
    links = list(link.each())
    depth: dict[str, int] = {}
    for one in reversed(_sorted(link)):
        depth[one.id] = 1 + max((depth[parent.id] for parent in one.parents), default=-1)
    columns = defaultdict(list)
    for one in sorted(links, key=lambda each: each.name):
        columns[depth[one.id]].append(one)
    high = max(map(len, columns.values()))
    figure = Figure(figsize=(2.1 * len(columns) + 0.6, 0.5 * high + 0.7), layout="constrained")
    axes = figure.add_subplot()
    place = {one.id: (column, (i + 0.5) * high / len(those)) for column, those in columns.items() for i, one in enumerate(those)}
    reach = _reach(link) if direct else {}
    for one in links:
        for parent in one.parents:
            if not any(parent.id in reach.get(other.id, ()) for other in one.parents if other.id != parent.id):
                (x0, y0), (x1, y1) = place[parent.id], place[one.id]
                axes.annotate("", (x1 - 0.38, y1), (x0 + 0.38, y0), arrowprops={"arrowstyle": "-|>", "color": PALE, "lw": 0.9, "shrinkA": 0, "shrinkB": 0})
    for one in links:
        x, y = place[one.id]
        colour = GOOD if one.state == WHOLE else BAD
        text = f"{one.name}\n{one.id[-8:]}" + ("" if one.state == WHOLE else f"\n{one.state}")
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color=INK, bbox={"boxstyle": "round", "fc": "white", "ec": colour, "lw": 1.4})
    axes.set(xlim=(-0.6, len(columns) - 0.4), ylim=(high + 0.2, -0.2))
    axes.set_axis_off()
    return figure


def save(link: Link, path: Path) -> None:
    """Write the figure.

    Raises: InputError for another suffix than svg, png and pdf
    """
    if path.suffix not in SUFFIXES:
        raise InputError(expected(f"a file that ends in {', '.join(SUFFIXES)}", path))
    with files.aside(path) as aside:
        draw(link).savefig(aside, dpi=150)


def _sorted(link: Link) -> list[Link]:
    """Every artifact before its parents, wherever else it stands."""
    done: dict[str, Link] = {}

    def visit(one: Link) -> None:
        if one.id not in done:
            for parent in one.parents:
                visit(parent)
            done[one.id] = one

    visit(link)
    return list(reversed(done.values()))


def _reach(link: Link) -> dict[str, set[str]]:
    """What each artifact hangs on, however far."""
    found: dict[str, set[str]] = {}
    for one in reversed(_sorted(link)):
        found[one.id] = {parent.id for parent in one.parents}.union(*(found[parent.id] for parent in one.parents))
    return found
