"""Which cells of a submission have to run, so that what its checks ask for is there.

The experiments and pictures of a lab take minutes, and earn nothing where answers are judged by calling them. Names are
followed through the cells as they are written; where a cell may do more than its syntax shows, it is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from breakthrough.grading.names import Names, names_of
from breakthrough.grading.records import ADDED, ANSWER, CHECK, GIVEN, Program, ProgramCell

LEARNERS = (ANSWER, ADDED)


def needed(program: Program, measured: Collection[str] = ()) -> tuple[ProgramCell, ...]:
    """The cells that must run before the answers can be called, in order; checks are not among them.

    Cells before a check count that bind or change a name that it needs, and those that such cells need in turn, as do
    imports, and the learner's cells that cannot be read. `measured` are the exercises that are judged by files: their
    variables are not asked for.
    """
    trace = _Trace(program.cells)
    for place in filter(trace.always, range(len(program.cells))):
        trace.keep(place)
    for place, cell in reversed(list(enumerate(program.cells))):  # the last one's functions may look furthest
        if cell.kind == CHECK and cell.variable and cell.exercise not in measured:
            trace.require(cell.variable, place, place)
    return tuple(cell for place, cell in enumerate(program.cells) if place in trace.kept)


def left_out(program: Program, kept: Sequence[ProgramCell]) -> tuple[ProgramCell, ...]:
    """The learner's added cells that are not among the kept ones: when an answer fails without them, it may be run again with all."""
    there = {cell.id for cell in kept}
    return tuple(cell for cell in program.cells if cell.kind == ADDED and cell.id not in there)


def with_learners(program: Program, kept: Sequence[ProgramCell]) -> tuple[ProgramCell, ...]:
    """The kept cells and every added cell of the learner, in order."""
    there = {cell.id for cell in (*kept, *left_out(program, kept))}
    return tuple(cell for cell in program.cells if cell.id in there)


class _Trace:
    """The cells kept so far, and for every name that was asked for the place before which it was."""

    def __init__(self, cells: Sequence[ProgramCell]) -> None:
        self.cells = cells
        self.names = [names_of(cell.source) if cell.kind != CHECK else Names() for cell in cells]
        self.suppliers = _suppliers(cells, self.names)
        self.kept: set[int] = set()
        self.asked: dict[tuple[str, bool], int] = {}

    def always(self, place: int) -> bool:
        """Whether a cell is kept whatever is asked for."""
        cell, names = self.cells[place], self.names[place]
        learners = cell.kind in LEARNERS and (names.dynamic or not names.parses)
        return learners or names.imports or "import *" in cell.source

    def keep(self, place: int) -> None:
        """Keep a cell, and what it needs of the learner's cells and of imports: a note may not start an experiment."""
        for name, before in self.follow(place, len(self.cells)):
            self.require(name, before, len(self.cells), light=True)

    def require(self, name: str, before: int, end: int, light: bool = False) -> None:
        """Keep the cells before a place that supply a name, and what they need; functions may look names up until `end`."""
        todo = [(name, before)]
        while todo:
            name, before = todo.pop()
            done = self.asked.get((name, light), 0)
            self.asked[name, light] = max(done, before)
            for place in self.suppliers.get(name, ()):
                if done <= place < before and (not light or self.light(place)):
                    todo += self.follow(place, end)

    def follow(self, place: int, end: int) -> list[tuple[str, int]]:
        """Keep a cell; the names that it needs, with the place before which they have to be bound."""
        self.kept.add(place)
        names = self.names[place]
        return [(name, place) for name in names.reads | names.changes] + [(name, end) for name in names.late]

    def light(self, place: int) -> bool:
        """Whether a cell is the learner's, or mostly imports."""
        return self.cells[place].kind in LEARNERS or self.names[place].imports


def _suppliers(cells: Sequence[ProgramCell], names: Sequence[Names]) -> dict[str, list[int]]:
    """The cells that bind a name or may change its object, by name."""
    effects: dict[str, set[str]] = {}
    for one in names:
        for function, changed in one.effects:
            effects.setdefault(function, set()).update(changed)
    values = {name for one in names for name in one.values}
    found: dict[str, list[int]] = {}
    for place, (cell, one) in enumerate(zip(cells, names, strict=True)):
        if cell.kind == GIVEN:  # its calls change data, not modules and functions
            supplied = one.binds | one.changes | (one.touches & values)
        else:
            supplied = one.binds | one.changes | one.touches | {name for called in one.calls & effects.keys() for name in effects[called]}
        for name in supplied:
            found.setdefault(name, []).append(place)
    return found
