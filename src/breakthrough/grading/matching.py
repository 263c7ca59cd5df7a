"""Which cell of a submission is which cell of the released lab, however it was saved, copied, retyped or moved.

The metadata of a submission is a label at most. What has no label is found by its cell id, by its text, by the names
that it defines, and last by likeness between its neighbours.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakthrough.course import notebooks
from breakthrough.grading.names import defined, python
from breakthrough.grading.reading import Submitted

LIKE = 0.6  # the share of equal lines, or characters of a short cell, from which a cell is an edited one
COMPARISONS = 5000  # the most that one submission is worth
_FENCE = re.compile(r"\s*```[^\n]*\n(.*?)\n?```\s*", re.DOTALL)


@dataclass(frozen=True)
class Released:
    """A cell of the released lab. `role` is given, answer, check, manual or text; `variable` is what a check passes."""

    type: str
    source: str
    role: str
    id: str = ""
    grade_id: str = ""
    exercise: str = ""
    variable: str = ""

    @property
    def defines(self) -> frozenset[str]:
        """The names by which an answer is known: what its stub defines, or asks for in its comment."""
        comments = (line for line in self.source.split("\n") if line.startswith("#"))
        return defined(self.source) or frozenset(word for line in comments for word in re.findall(r"[A-Za-z]\w*_\w+", line))


def skeleton(lab: Path) -> tuple[Released, ...]:
    """The cells of a released lab.

    Raises: NotebookError when it is no notebook
    """
    cells = notebooks.read(lab)["cells"]
    checked = {}
    for cell in cells:
        if _role(cell) == "check":
            calls = notebooks.check_calls(cell["source"])
            checked[notebooks.grade_id(cell)] = calls[0][:2] if calls else ("", "")
    return tuple(_released(cell, place, checked) for place, cell in enumerate(cells))


def match(released: Sequence[Released], cells: Sequence[Submitted]) -> list[int | None]:
    """For every submitted cell the place of the released one that it is; none for the learner's own."""
    found: list[int | None] = [None] * len(cells)
    by_label = {cell.grade_id: place for place, cell in enumerate(released) if cell.grade_id}
    by_id = {cell.id: place for place, cell in enumerate(released) if cell.id}
    for at, cell in enumerate(cells):
        found[at] = by_label.get(cell.label)
        if found[at] is None and _may_be(cell, released, by_id.get(cell.id)):
            found[at] = by_id[cell.id]
    for step in (_by_text, _by_names, _by_likeness):
        for at, place in step(released, cells, found):
            found[at] = place
    return found


def as_code(cell: Submitted) -> str:
    """The code of a cell, also of one that was retyped as text; empty when the text is no code."""
    if cell.type == "code":
        return cell.source
    fenced = _FENCE.fullmatch(cell.source)
    text = fenced[1] if fenced else cell.source
    return text if python(text) is not None else ""


def _role(cell: notebooks.Cell) -> str:
    graded = cell.get("metadata", {}).get("nbgrader", {})
    if cell["cell_type"] == "code":
        return "answer" if graded.get("solution") else "check" if graded.get("grade") else "given"
    return "manual" if graded.get("solution") or graded.get("task") else "text"


def _released(cell: notebooks.Cell, place: int, checked: Mapping[str, tuple[str, str]]) -> Released:
    role, grade_id = _role(cell), notebooks.grade_id(cell)
    of = checked.get(grade_id.removesuffix("-answer") if role == "answer" else grade_id, ("", ""))
    return Released(cell["cell_type"], cell["source"], role, cell.get("id", f"cell-{place}"), grade_id, *of)


def _may_be(cell: Submitted, released: Sequence[Released], place: int | None) -> bool:
    """Whether an equal id is believed: code in the place of a text is the learner's own."""
    return place is not None and not (cell.type == "code" and released[place].type != "code")


def _left(released: Sequence[Released], found: Sequence[int | None]) -> list[int]:
    taken = set(found)
    return [place for place in range(len(released)) if place not in taken]


def _by_text(released: Sequence[Released], cells: Sequence[Submitted], found: Sequence[int | None]) -> Iterator[tuple[int, int]]:
    """Cells with the very text of a released one, in order."""
    waiting: dict[tuple[str, str], list[int]] = {}
    for place in _left(released, found):
        waiting.setdefault((released[place].type, released[place].source.strip()), []).append(place)
    for at, cell in enumerate(cells):
        places = waiting.get((cell.type, cell.source.strip()))
        if found[at] is None and places:
            yield at, places.pop(0)


def _by_names(released: Sequence[Released], cells: Sequence[Submitted], found: Sequence[int | None]) -> Iterator[tuple[int, int]]:
    """For every answer that is missing the first cell that defines what its stub does."""
    missing = {place: released[place].defines for place in _left(released, found) if released[place].role == "answer"}
    for at, cell in enumerate(cells):
        if found[at] is None and missing:
            names = defined(as_code(cell))
            place = next((place for place, wanted in missing.items() if names & wanted), None)
            if place is not None:
                del missing[place]
                yield at, place


def _by_likeness(released: Sequence[Released], cells: Sequence[Submitted], found: Sequence[int | None]) -> Iterator[tuple[int, int]]:
    """Edited cells: each is the most alike of the missing ones between its neighbours."""
    missing, budget = {place for place in _left(released, found) if released[place].role in ("given", "answer")}, COMPARISONS
    following = _following(found, len(released))
    before = -1
    for at, cell in enumerate(cells):
        if (known := found[at]) is not None:
            before = known
        elif cell.type == "code" and cell.source.strip():
            between = sorted(place for place in missing if before < place < following[at])
            budget -= len(between)
            if budget < 0:
                return
            best = max(between, key=lambda place: _likeness(released[place].source, cell.source), default=None)
            if best is not None and _likeness(released[best].source, cell.source) >= LIKE:
                missing.discard(best)
                yield at, best


def _following(found: Sequence[int | None], end: int) -> list[int]:
    """For every submitted cell the place of the next one that is known."""
    following, after = [], end
    for place in reversed(found):
        following.append(after)
        after = after if place is None else place
    return following[::-1]


def _likeness(one: str, other: str) -> float:
    """From 0 to 1. Lines are compared, characters only of short cells, because of the time that takes."""
    if max(len(one), len(other)) <= 300:
        return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
    lines, others = ([line.strip() for line in text[:8000].split("\n")[:60]] for text in (one, other))
    return difflib.SequenceMatcher(None, lines, others, autojunk=False).ratio()


