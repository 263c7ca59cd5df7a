"""The course's map as inline SVG: modules, and on the arrows what each hands on. It takes the page's colours."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from breakthrough.course.schema import Module, Syllabus
from breakthrough.language import counted

# sized for a phone: at 360 pixels its text is 11 pixels high
WIDTH, BOX, GAP, LEFT, TEXT = 560, 58, 40, 130, 18


def svg(course: Syllabus, page: str = "lessons/{id}.html") -> str:
    """The modules in one column, an arc where something is handed on over others' heads."""
    modules = course.built
    height = len(modules) * (BOX + GAP) - GAP + 8
    says = "; ".join(_handed(course, module) for module in modules)
    parts = [*_arrows(course), *(_box(module, index, page) for index, module in enumerate(modules))]
    return (
        f'<svg class="course-map" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="map-title map-says">'
        f'<title id="map-title">The modules of the course in their order</title><desc id="map-says">{escape(says)}</desc>'
        '<defs><marker id="map-tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0 10 5 0 10z"/></marker></defs>' + "".join(parts) + "</svg>"
    )


def _handed(course: Syllabus, module: Module) -> str:
    takers = {kind: [other.id[:2] for other in course.built if kind in other.takes] for kind in module.gives}
    given = [f"{kind} to {', '.join(to)}" if to else kind for kind, to in takers.items()]
    return f"{module.id[:2]} {module.title}" + (f" gives {' and '.join(given)}" if given else "")


def _box(module: Module, index: int, page: str) -> str:
    top = 4 + index * (BOX + GAP)
    hours = f"{module.hours.total:g} h" if module.hours.total >= 1 else f"{60 * module.hours.total:.0f} min"
    return (
        f'<a href="{escape(page.format(id=module.id))}"><rect class="box" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 2}" height="{BOX}" rx="8"/>'
        f'<text class="number" x="{LEFT + 16}" y="{top + 36}">{module.id[:2]}</text>'
        f'<text x="{LEFT + 58}" y="{top + 25}">{escape(module.title.split(": ")[0])}</text>'
        f'<text class="small" x="{LEFT + 58}" y="{top + 47}">{hours}, {counted(module.points.total, "point")}</text></a>'
    )


def _arrows(course: Syllabus) -> Iterator[str]:
    modules = course.built
    for index, module in enumerate(modules[:-1]):
        bottom, middle = 4 + index * (BOX + GAP) + BOX, LEFT + 60
        after = modules[index + 1]
        kinds = [kind for kind in module.gives if kind in after.takes]
        plain = "" if kinds else " faint"
        yield f'<path class="arrow{plain}" marker-end="url(#map-tip)" d="M{middle} {bottom}v{GAP - 1}"/>'
        yield _label(middle + 14, bottom + GAP / 2 + 6, ", ".join(kinds))
        for far in range(index + 2, len(modules)):
            kinds = [kind for kind in module.gives if kind in modules[far].takes]
            if kinds:
                yield _arc(index, far, ", ".join(kinds))


def _arc(index: int, far: int, kinds: str) -> str:
    begin, end = (4 + at * (BOX + GAP) + BOX / 2 for at in (index, far))
    path = f'<path class="arrow" marker-end="url(#map-tip)" d="M{LEFT} {begin}C{LEFT - 70} {begin} {LEFT - 70} {end} {LEFT - 1} {end}"/>'
    return path + _label(LEFT - 62, (begin + end) / 2 + 6, kinds, "end")


def _label(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text class="kind" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>' if text else ""
