"""How a scored review looks: a card in JupyterLab, with a plain twin for terminals and screen readers."""

from __future__ import annotations

from html import escape
from typing import Any

from breakthrough.course.exchange.scoring import FALSE, FOUND, MISSED, NOT_RATED, PARTLY, SOUND, Item, Scored
from breakthrough.language import counted
from breakthrough.palette import BAD, GOOD, NOTE, QUIET, faint, framed, prose, toned

MIME = "application/vnd.breakthrough.review+json"
_LOOKS = {  # the sign and the word carry the meaning too
    FOUND: ("✓", GOOD), SOUND: ("✓", GOOD), PARTLY: ("◐", NOTE), MISSED: ("○", QUIET), NOT_RATED: ("○", QUIET), FALSE: ("✗", BAD),
}  # fmt: skip


class Card:
    """A scored review to be shown. `note` says whether it was the first score."""

    def __init__(self, scored: Scored, title: str, note: str = "") -> None:
        self.scored, self.title, self.note = scored, title, note

    def __repr__(self) -> str:
        """The card as text."""
        return "\n".join([*self._head(), *(line for item in self.scored.items for line in _lines(item)), "", *_levels(self.scored)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        scored = self.scored
        record = {"points": scored.points, "of": scored.of, "findings": round(scored.findings, 3), "ratings": round(scored.ratings, 3)}
        return {"text/html": self.html(), "text/plain": repr(self), MIME: record}

    def html(self) -> str:
        """The card as HTML with inline style."""
        head, *facts = self._head()
        works = dict.fromkeys(item.work for item in self.scored.items)
        parts = "".join(_work(work, [item for item in self.scored.items if item.work == work]) for work in works)
        rows = "<pre style='margin:.3em 0'>" + escape("\n".join(_levels(self.scored))) + "</pre>"
        inside = (
            f"<b style='font-size:1.1em'>{escape(head)}</b>" + "".join(f"<div>{escape(one)}</div>" for one in facts) + parts
            + f"<details style='margin-top:.5em'><summary>your levels beside the key's</summary>{rows}</details>"
        )
        return framed(NOTE, inside, "56em")

    def _head(self) -> list[str]:
        scored = self.scored
        head = [f"{self.title}: {scored.points:g} of {scored.of:g} points"]
        if scored.empty:
            return [*head, "Nothing was rated and nothing found yet: an empty review earns nothing.", *([self.note] if self.note else [])]
        alarms = sum(item.status == FALSE for item in scored.items)
        flaws = [item for item in scored.items if item.exercise and item.status != FALSE]
        found = sum(item.earned > 0 for item in flaws)
        head.append(f"found {found} of {counted(len(flaws), 'flaw')}, {counted(alarms, 'false alarm')}; "
                    f"findings {scored.findings:.0%} (70% of the points), levels {scored.ratings:.0%} (30%)")
        return [*head, *([self.note] if self.note else [])]


def _lines(item: Item) -> list[str]:
    sign, _ = _LOOKS[item.status]
    place = f"{item.exercise}, " if item.exercise else ""
    rows = [f"{sign} work {item.work}: {place}{item.title}: {item.status}, {item.earned:+.1f}"]
    return [*rows, *(f"    {note}" for note in item.notes), *([f"    {item.says}"] if item.says else [])]


def _work(work: str, items: list[Item]) -> str:
    rows = []
    for item in items:
        sign, hue = _LOOKS[item.status]
        place, ink = f"<code>{escape(item.exercise)}</code> " if item.exercise else "", toned("color:", hue)
        notes = f"<div style='opacity:.8'>{escape('; '.join(item.notes))}</div>" if item.notes else ""
        says = f"<div>{prose(item.says)}</div>" if item.says else ""
        rows.append(
            f"<div style='display:grid;grid-template-columns:1.4em 1fr 4em;gap:.2em;margin:.35em 0'><b style='{ink}'>{sign}</b>"
            f"<div>{place}<b>{escape(item.title)}</b> <span style='{ink}'>{item.status}</span>{notes}{says}</div>"
            f"<div style='text-align:right'>{item.earned:+.1f}</div></div>")
    return f"<div style='margin-top:.6em;{faint('border-top:1px solid ')}'><b>work {escape(work)}</b>{''.join(rows)}</div>"


def _levels(scored: Scored) -> list[str]:
    names = list(next(iter(scored.distances.values()), {}))
    width = max(map(len, names), default=0)
    head = f"{'level':{width}}  " + "  ".join(f"{work:<5}" for work in scored.distances) + "  yours / right" if names else ""
    rows = [f"{name:{width}}  " + "  ".join(_pair(*work[name]) for work in scored.distances.values()) for name in names]
    return [head, *rows]


def _pair(given: int | None, key: int) -> str:
    return f"{'–' if given is None else given} / {key}"
