"""The gate's table: a row an exercise and one of totals, in Markdown, kept between two marks of a page."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from breakthrough import files
from breakthrough.errors import InputError, expected
from breakthrough.exercises.exercise import every
from breakthrough.exercises.gate import Counts
from breakthrough.exercises.mutants import mutated

BEGIN, END = "<!-- gate: begin -->", "<!-- gate: end -->"
COLUMNS = ("Exercise", "Reference", "Misconceptions", "Wrong answers", "killed", "named", "Right answers", "failed",
           "Mutants", "killed", "equivalent", "survived")
TOTAL = "all"
FIELDS = tuple(field.name for field in dataclasses.fields(Counts))


def add(counts: Counts, more: Counts) -> Counts:
    """The counts of two shares of the same exercise together."""
    together = {name: getattr(counts, name) + getattr(more, name) for name in FIELDS[2:]}
    return Counts(counts.exercise, counts.reference or more.reference, **together)


def total(rows: Iterable[Counts]) -> Counts:
    """The sum of rows."""
    sums = Counts(TOTAL)
    for row in rows:
        sums = dataclasses.replace(add(sums, row), reference="")
    return sums


def table(rows: Sequence[Counts], with_mutants: bool = True) -> list[str]:
    """The lines of the table, aligned, so that it reads as text too. Without mutants, their columns are dashes."""
    cells = [COLUMNS, *(_cells(row, with_mutants) for row in (*rows, total(rows)))]
    widths = [max(len(row[i]) for row in cells) for i in range(len(COLUMNS))]
    lines = ["| " + " | ".join(_aligned(row, widths)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (width + 1) + ("-" if i < 2 else ":") for i, width in enumerate(widths)) + "|"
    return [lines[0], rule, *lines[1:]]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]


def _cells(row: Counts, with_mutants: bool) -> tuple[str, ...]:
    values = [str(getattr(row, name)) for name in FIELDS]
    shown = 12 if with_mutants and row.mutants else 8
    return (*values[:shown], *["–"] * (12 - shown))


def rows_of(page: str) -> dict[str, Counts]:
    """The rows that stand between a page's marks, by exercise.

    Raises: InputError when the marks are missing or a row is none
    """
    found = {}
    for line in _between(page).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or "." not in cells[0]:
            continue  # words, a head, a rule, the totals
        if len(cells) != len(FIELDS) or not all(re.fullmatch(r"\d+|–", cell) for cell in cells[2:]):
            raise InputError(expected(f"a row of {len(FIELDS)} cells", repr(line), "breakthrough gate --report"))
        found[cells[0]] = Counts(cells[0], cells[1], *(0 if cell == "–" else int(cell) for cell in cells[2:]))
    return found


def _between(page: str) -> str:
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise InputError(expected(f"a page with {BEGIN} and {END} once each", "another"))
    return page.partition(BEGIN)[2].partition(END)[0]


def write(path: Path, measured: Mapping[str, Counts]) -> list[Counts]:
    """Put rows into a page's table, in course order; those of exercises that were not measured stay. All rows.

    Raises: InputError when the page has no marks
    """
    page = path.read_text(encoding="utf-8")
    known = rows_of(page) | dict(measured)
    rows = [known[exercise.name] for exercise in every() if exercise.name in known]
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    lines = [BEGIN, *summary(rows), "", *table(rows), END]
    files.write_text(path, before + "\n".join(lines) + after)
    return rows


def summary(rows: Sequence[Counts]) -> list[str]:
    """The error rates in all, in words."""
    sums = total(rows)
    judged = sum(mutated(exercise) for exercise in every())
    return [
        f"{len(rows)} exercises, {sums.misconceptions} misconceptions in {sums.wrong} wrong answers: "
        f"{_share(sums.wrong - sums.killed, sums.wrong)} passed, {_share(sums.wrong - sums.diagnosed, sums.wrong)} not named as what they are. "
        f"{sums.right} right answers: {_share(sums.failed, sums.right)} failed. "
        f"{sums.mutants} mutants of {judged} references: {sums.mutants_killed} killed, {sums.equivalent} equivalent, {_share(sums.survived, sums.mutants)} survived.",
    ]


def _share(part: int, of: int) -> str:
    return f"{part} ({100 * part / max(of, 1):.1f}%)"
