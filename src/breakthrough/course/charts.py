"""The report's two charts, as inline SVG: sizes follow the page, colours follow its theme."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from breakthrough.course.runs import Result
from breakthrough.course.schema import KINDS, Syllabus

WIDTH, ROW, LEFT = 520, 30, 130


def shares(course: Syllabus):
    """Per cent of hours and of points that each kind has in the modules that are built, with the aim."""
    rows = [(kind, unit) for kind in KINDS for unit in ("hours", "points")]
    return _svg(len(rows), "Share of lab, exchange and lesson in hours and points", _share_rows(course, rows))


def module_points(course: Syllabus, results: Iterable[Result]):
    """Points of each module by kind, and how many of them the run earned."""
    earned = {(result.module, result.kind): result.points for result in results}
    height = len(course.built) + 1
    return _svg(height, "Points by module, earned and there", _module_rows(course, earned))


def _svg(rows: int, title: str, parts: Iterable[str]):
    from markupsafe import Markup

    head = f'<svg viewBox="0 0 {WIDTH} {rows * ROW + 8}" role="img" aria-label="{escape(title)}">'
    return Markup(head + f"<title>{escape(title)}</title>" + "".join(parts) + "</svg>")


def _share_rows(course: Syllabus, rows: list[tuple[str, str]]) -> Iterator[str]:
    scale = (WIDTH - LEFT - 60) / 100
    for index, (kind, unit) in enumerate(rows):
        whole = sum(getattr(module, unit).total for module in course.built)
        part = sum(getattr(getattr(module, unit), kind) for module in course.built)
        share, top = 100 * part / whole if whole else 0.0, index * ROW + 6
        aim = LEFT + scale * getattr(course.shape, kind)
        yield _text(0, top, f"{kind}, {unit}")
        yield _bar("track", LEFT, top, scale * 100)
        yield _bar(kind, LEFT, top, scale * share)
        yield f'<line class="aim" x1="{aim:.1f}" x2="{aim:.1f}" y1="{top - 3}" y2="{top + 21}"/>'
        yield _text(LEFT + scale * 100 + 8, top, f"{share:.0f}%")


def _module_rows(course: Syllabus, earned: dict[tuple[str, str], float]) -> Iterator[str]:
    most = max((module.points.total for module in course.built), default=0) or 1
    scale = (WIDTH - LEFT - 90) / most
    for index, module in enumerate(course.built):
        top, left, got = index * ROW + 6, float(LEFT), 0.0
        yield _text(0, top, module.id)
        for kind in KINDS:
            there, here = getattr(module.points, kind), earned.get((module.id, kind), 0.0)
            yield _bar(f"{kind} pale", left, top, scale * there)
            yield _bar(kind, left, top, scale * min(here, there))
            left, got = left + scale * there, got + here
        yield _text(left + 8, top, f"{got:g} / {module.points.total:g}")
    yield from _legend(len(course.built) * ROW + 6)


def _legend(top: float) -> Iterator[str]:
    for index, kind in enumerate(KINDS):
        left = LEFT + 110 * index
        yield _bar(kind, left, top, 14)
        yield _text(left + 20, top, kind)


def _bar(name: str, left: float, top: float, width: float) -> str:
    return f'<rect class="{name}" x="{left:.1f}" y="{top}" width="{max(width, 0):.1f}" height="18" rx="2"/>'


def _text(left: float, top: float, text: str) -> str:
    return f'<text x="{left:.1f}" y="{top + 14}">{escape(text)}</text>'
