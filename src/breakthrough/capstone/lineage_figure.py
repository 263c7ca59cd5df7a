"""The chain of an artifact as a figure: from seeds and ranges on the left to what is served on the right."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from breakthrough import files
from breakthrough.errors import InputError, expected
from breakthrough.lineage import WHOLE, Link
from breakthrough.pictures import BLUE, GREY, INK, RED, describe, listed, new_figure

GOOD, BAD = BLUE, RED
SUFFIXES = (".svg", ".png", ".pdf")


def draw(link: Link, *, direct: bool = True) -> Figure:
    """A box for every artifact, in columns by how many steps it is from the first; arrows from parents.

    With `direct`, arrows that a longer way says already are left out.
    """
    links = list(link.each())
    depth: dict[str, int] = {}
    for one in reversed(_sorted(link)):
        depth[one.id] = 1 + max((depth[parent.id] for parent in one.parents), default=-1)
    place = _places(links, depth)
    columns, high = 1 + max(x for x, _ in place.values()), 1 + max(y for _, y in place.values())
    figure = new_figure(2.4 * columns + 1.2, 0.66 * high + 0.4)
    axes = figure.add_subplot()
    boxes = {}
    for one in links:
        colour = GOOD if one.state == WHOLE else BAD
        text = "\n".join((f"{one.name}  {one.id[-8:]}", *_said(one)))
        box = {"boxstyle": "round", "fc": "white", "ec": colour, "lw": 1.4}
        boxes[one.id] = axes.text(*place[one.id], text, ha="center", va="center", fontsize=9, color=INK, bbox=box, zorder=1)
    reach = _reach(link) if direct else {}
    for one in links:
        for parent in one.parents:
            if not any(parent.id in reach.get(other.id, ()) for other in one.parents if other.id != parent.id):
                ends = {"patchA": boxes[parent.id].get_bbox_patch(), "patchB": boxes[one.id].get_bbox_patch()}
                arrow = {"arrowstyle": "-|>", "color": GREY, "lw": 1, "shrinkA": 0, "shrinkB": 0} | ends
                axes.annotate("", place[one.id], place[parent.id], arrowprops=arrow, zorder=2)  # above: boxes have their size when drawn
    columns, high = columns - 1, high - 1
    axes.set(xlim=(-0.6, columns + 0.6), ylim=(high + 0.6, -0.6))
    axes.set_axis_off()
    said = (
        f"Diagram of {len(links)} artifacts as boxes, with arrows from what each was made of, in {round(columns) + 1} columns: {listed(dict.fromkeys(one.name.partition('.')[0] for one in sorted(links, key=lambda one: depth[one.id])))}. "
        + (f"{sum(one.state != WHOLE for one in links)} of them are not whole." if any(one.state != WHOLE for one in links) else "All are whole.")
    )
    return describe(figure, said)


def save(link: Link, path: Path) -> None:
    """Write the figure.

    Raises: InputError for another suffix than svg, png and pdf
    """
    if path.suffix not in SUFFIXES:
        raise InputError(expected(f"a file that ends in {', '.join(SUFFIXES)}", path))
    with files.aside(path) as aside:
        draw(link).savefig(aside, dpi=150)


def _places(links: list[Link], depth: dict[str, int]) -> dict[str, tuple[float, float]]:
    """A column for each depth; in the first, those that are needed first stand above, later ones near their parents."""
    needed = {one.id: min((depth[child.id] for child in links if one.id in {parent.id for parent in child.parents}), default=0) for one in links}
    first = sorted((one for one in links if depth[one.id] == 0), key=lambda one: (needed[one.id], one.name))
    place = {one.id: (0.0, float(i)) for i, one in enumerate(first)}
    for column in range(1, 1 + max(depth.values())):
        those = [one for one in links if depth[one.id] == column]
        near = {one.id: sum(place[parent.id][1] for parent in one.parents) / len(one.parents) for one in those}
        last = -2.0
        for one in sorted(those, key=lambda each: (near[each.id], each.name)):
            last = max(near[one.id] - 0.8 * (len(those) > 1), last + 1.6)
            place[one.id] = (float(column), last)
    return place


def _said(link: Link) -> list[str]:
    """A line of what a picture's artifact was drawn from; what is wrong with one that is not whole."""
    if link.state != WHOLE:
        return [link.state]
    drawn = [one for one in link.settings.values() if isinstance(one, dict) and "seed" in one] if not link.parents else []
    return [f"{one['n']:,} from {len(one.get('ranges', ()))} ranges, seed {str(one['seed'])[:5]}…" for one in drawn[:1]]


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
