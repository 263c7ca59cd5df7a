"""A submission as a program: the released lab as skeleton, with the learner's sources in it.

Which cells there are, their order, and every check come from the release. Of the submission only sources are used, and
nothing that it says about itself is believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from breakthrough.errors import NotebookError, expected
from breakthrough.grading.matching import Released, as_code, match, skeleton
from breakthrough.grading.names import alike, defined, python
from breakthrough.grading.reading import Submitted, notebooks_in, read_cells
from breakthrough.grading.records import ADDED, ANSWER, CHECK, GIVEN, Program, ProgramCell

TRIED = 10  # notebooks of one submission that are looked at, when none has the lab's name


def normalize(lab: Path, submission: Path) -> Program:
    """The program of a submission for a released lab, a notebook or its folder.

    Raises: NotebookError in one sentence when there is no notebook that can be read
    """
    lab = lab / f"{lab.name}.ipynb" if lab.is_dir() else lab
    released = skeleton(lab)
    path, cells, notes = _chosen(released, lab.name, notebooks_in(submission))
    return _Work(released, cells, notes + ([f"the notebook is named {path.name!r}"] if path.name != lab.name else [])).program()


def _chosen(released: Sequence[Released], name: str, paths: Sequence[Path]) -> tuple[Path, tuple[Submitted, ...], list[str]]:
    """The notebook to grade: the one with the lab's name, else the only one, else the one most alike."""
    named = [path for path in paths if path.name == name] or (list(paths) if len(paths) == 1 else [])
    if named:
        others = sorted(path.name for path in paths if path != named[0])
        return named[0], read_cells(named[0]), [f"not looked at: {', '.join(map(repr, others[:5]))}"] if others else []
    scored, fault = [], None
    for path in paths[:TRIED]:
        try:
            cells = read_cells(path)
            scored.append((_in_common(released, cells), path, cells))
        except NotebookError as error:
            fault = error
    if not scored:
        raise fault or NotebookError(expected("a notebook", "none"))
    scored.sort(key=lambda one: one[0], reverse=True)  # of equals the first by name
    score, path, cells = scored[0]
    equal = [other.name for points, other, _ in scored[1:] if points == score]
    notes = [f"of {len(paths)} notebooks {path.name!r} was taken, " + (
        f"though {', '.join(map(repr, equal))} has as much of the lab in it" if equal else "which has the most of the lab in it")]
    return path, cells, notes


def _in_common(released: Sequence[Released], cells: Sequence[Submitted]) -> tuple[int, int]:
    """How many answers of a lab a notebook has that are not its stubs, and how many of its cells."""
    found = match(released, cells)
    answered = {place for cell, place in zip(cells, found, strict=True)
                if place is not None and released[place].role == "answer" and not alike(cell.source, released[place].source)}
    return len(answered), len(set(found) - {None})


@dataclass
class _Work:
    """The parts of one submission, sorted by the released cells they belong to."""

    released: Sequence[Released]
    cells: Sequence[Submitted]
    notes: list[str]
    mine: dict[int, list[Submitted]] = field(default_factory=dict)  # by place: the submitted cells that are this one
    extra: dict[int, list[Submitted]] = field(default_factory=dict)  # by place: the learner's own cells after this one
    manual: dict[str, str] = field(default_factory=dict)
    moved: dict[int, Submitted] = field(default_factory=dict)  # by place: code for an answer that was found elsewhere
    used: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)  # the last one given to the cells of a name

    def program(self) -> Program:
        """The whole program."""
        self._sort()
        self._find_elsewhere()
        self.used = {cell.id for cell in self.released}
        made = [cell for place in range(-1, len(self.released)) for cell in (*self._own(place), *self._extras(place))]
        return Program(tuple(made), self.manual, tuple(self.notes))

    def _sort(self) -> None:
        at = -1
        found = match(self.released, self.cells)
        if self.cells and not any(place is not None and self.released[place].role in ("answer", "check") for place in found):
            self.notes.append("no answer and no check of the lab is in this notebook: is it the notebook of another module?")
        for cell, place in zip(self.cells, found, strict=True):
            at = at if place is None else place
            if place is not None:
                self.mine.setdefault(place, []).append(cell)
            elif cell.type == "code" and cell.source.strip():
                self.extra.setdefault(at, []).append(cell)

    def _find_elsewhere(self) -> None:
        """For answers whose cell has no code of the learner's: the last other cell that defines what it should."""
        defining: dict[str, tuple[int | None, Submitted]] = {}
        for place, cells in self.mine.items():
            if self.released[place].role == "answer":
                defining |= {name: (None, cell) for cell in cells if not _is_stub(cell, self.released) for name in defined(as_code(cell))}
        for place in sorted(self.extra):
            defining |= {name: (place, cell) for cell in self.extra[place] for name in defined(cell.source)}
        for place, one in enumerate(self.released):
            if one.role == "answer" and not self._answers(place):
                where, cell = next((defining[name] for name in one.defines if name in defining), (None, None))
                if cell is not None:
                    self._move(place, where, cell)

    def _move(self, place: int, where: int | None, cell: Submitted) -> None:
        self.moved[place] = cell
        if where != place:  # where it stands right behind its stub it only takes the stub's part
            self.notes.append(f"{self._name(place)}: its code was found in another cell")
            if where is not None:
                self.extra[where] = [other for other in self.extra[where] if other is not cell]

    def _name(self, place: int) -> str:
        return self.released[place].grade_id or self.released[place].id

    def _answers(self, place: int) -> list[str]:
        """The learner's sources for an answer, each once, in order; none when all are the stub."""
        found: list[str] = []
        for cell in self.mine.get(place, ()):
            code = as_code(cell)
            if code.strip() and not alike(code, self.released[place].source) and not any(alike(code, other) for other in found[-3:]):
                found.append(code)
        return found

    def _own(self, place: int) -> Iterator[ProgramCell]:
        """The program's cells for one released cell."""
        if place < 0:
            return
        one, cells = self.released[place], self.mine.get(place, [])
        if one.role == "manual":
            self.manual[one.grade_id] = "\n\n".join(dict.fromkeys(cell.source for cell in cells))
        elif one.role == "answer":
            yield from self._answer(place, one, cells)
        elif one.role == "check":
            yield from self._edits(one, [cell for cell in cells if defined(as_code(cell))])
            yield ProgramCell(one.id, one.source, CHECK, one.exercise, one.variable)
        elif one.role == "given":
            yield from self._given(one, cells)

    def _answer(self, place: int, one: Released, cells: Sequence[Submitted]) -> Iterator[ProgramCell]:
        sources, name = self._answers(place), self._name(place)
        if len(cells) > 1:
            self.notes.append(f"{name}: {len(cells)} cells have this name, {len(sources)} of them with code of the learner's")
        if any(cell.type != "code" for cell in cells):
            self.notes.append(f"{name}: a cell of text was read as code")
        if place in self.moved:
            if all(cell is not self.moved[place] for cell in self.extra.get(place, ())):
                yield ProgramCell(one.id, self.moved[place].source, ANSWER, one.exercise)
            return
        if not sources:
            self.notes.append(f"{name}: {'not answered' if cells else 'deleted'}")
        for number, source in enumerate(sources or [one.source]):
            yield ProgramCell(self._fresh(one.id) if number else one.id, source, ANSWER, one.exercise)

    def _given(self, one: Released, cells: Sequence[Submitted]) -> Iterator[ProgramCell]:
        code = [cell for cell in cells if cell.type == "code" and cell.source.strip()]
        edits = [cell for cell in code if not alike(cell.source, one.source) and python(cell.source) is not None]
        if not edits or len(edits) < len(code):
            yield ProgramCell(one.id, one.source, GIVEN)
            if not code:
                self.notes.append(f"{one.id}: deleted, and put back")
            elif any(python(cell.source) is None for cell in code):
                self.notes.append(f"{one.id}: edited into what is no Python, and put back")
        yield from self._edits(one, edits, first=one.id if len(edits) == len(code) else "")

    def _edits(self, one: Released, cells: Sequence[Submitted], first: str = "") -> Iterator[ProgramCell]:
        """Released cells that the learner edited, each text once."""
        edits = [source for source in dict.fromkeys(map(as_code, cells)) if not alike(source, one.source)]
        for number, source in enumerate(edits):
            self.notes.append(f"{one.grade_id or one.id}: edited")
            yield ProgramCell(first if first and not number else self._fresh(one.id), source, ADDED)

    def _extras(self, place: int) -> Iterator[ProgramCell]:
        for cell in self.extra.get(place, ()):
            if self.moved.get(place) is cell:
                yield ProgramCell(self.released[place].id, cell.source, ANSWER, self.released[place].exercise)
            else:
                name = cell.id if cell.id and cell.id not in self.used else self._fresh("added")
                self.used.add(name)
                yield ProgramCell(name, cell.source, ADDED)

    def _fresh(self, stem: str) -> str:
        number = self.numbers.get(stem, 1) + 1
        while f"{stem[:50]}-{number}" in self.used:
            number += 1
        self.numbers[stem] = number
        self.used.add(f"{stem[:50]}-{number}")
        return f"{stem[:50]}-{number}"


def _is_stub(cell: Submitted, released: Sequence[Released]) -> bool:
    return any(one.role == "answer" and alike(cell.source, one.source) for one in released)
