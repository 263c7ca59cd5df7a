"""The reviewer's desk: what a review notebook calls to run works, rate them and write findings."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from breakthrough.course.exchange import plain, reviews, rubric as rubrics, works
from breakthrough.course.exchange.reviews import EXPERIMENT, FILE, Finding, Handed, Review
from breakthrough.course.exchange.rubric import LEVELS, Rubric
from breakthrough.course.exchange.works import Packet, Runnable
from breakthrough.errors import InputError, expected, unknown
from breakthrough.language import counted


def open_desk(folder: str | Path = ".") -> Desk:
    """The desk of the folder that the notebook lies in; what was written there before is on it.

    Raises: InputError when it is no folder for review
    """
    folder = Path(folder)
    packet = works.read(folder)
    return Desk(folder, packet, rubrics.load(packet.module))


class Table:
    """Rows to look at: a table in a notebook, lines in a terminal. Its rows are found by name."""

    def __init__(self, rows: Mapping[str, str], values: Mapping[str, Any] | None = None) -> None:
        self.rows, self.values = dict(rows), dict(values or rows)

    def __getitem__(self, name: str) -> Any:
        """The row of a name.

        Raises: UnknownNameError with the names there are
        """
        if name not in self.values:
            raise unknown("row", name, self.values)
        return self.values[name]

    def __iter__(self):
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        """One line a row."""
        return "\n".join(f"{name}: {text}" if text else name for name, text in self.rows.items())

    def _repr_html_(self) -> str:
        style = "text-align:left;vertical-align:top;padding:.15em .8em .15em 0"
        rows = "".join(f"<tr><td style='{style};white-space:nowrap'><code style='white-space:nowrap'>{escape(name)}</code></td><td style='{style}'>{escape(text)}</td></tr>"
                       for name, text in self.rows.items())
        return f"<table style='border-collapse:collapse;max-width:60em'>{rows}</table>"


class Desk:
    """The works of a folder, and what a reviewer thinks of them."""

    def __init__(self, folder: Path, packet: Packet, rubric: Rubric) -> None:
        self.folder, self.packet, self.rubric = folder, packet, rubric
        self._reviews = {name: Review(work=name) for name in packet.code}
        if (folder / FILE).is_file():
            there = reviews.read(folder / FILE)
            if (there.module, there.packet) != (packet.module, packet.packet):
                raise InputError(f"{folder / FILE}: " + expected(f"a review of {packet.packet}", there.packet, "moving that file elsewhere"))
            self._reviews |= {one.work: one for one in there.reviews if one.work in self._reviews}

    def work(self, name: str) -> Runnable:
        """A work, to run its functions: `A = desk.work("A")`, then `A.route(…)`. The code runs in this kernel.

        Raises: UnknownNameError for another name
        """
        return Runnable(name, self.packet.code[self._named(name)], self.packet.seed is None)

    def inputs(self, exercise: str, seed: int = 0) -> Table:
        """Inputs that an exercise draws, by label: `desk.inputs("moe.route")["no tokens"].args`. Another seed, other inputs.

        Raises: UnknownNameError for an exercise that no work answers
        """
        from breakthrough.exercises import showing

        drawn = showing.inputs(self._exercise(exercise), seed)
        return Table({label: _short(one.args) for label, one in drawn.items()}, drawn)

    def kinds(self, exercise: str) -> Table:
        """The kinds of mistakes that are known for an exercise, or for `"experiment"`.

        Raises: UnknownNameError for an exercise that no work answers
        """
        if exercise == EXPERIMENT:
            return Table({flaw.kind: rubrics.criterion(self.rubric, flaw.criterion).title for flaw in self.rubric.account.flaws})
        return Table({one.name: _clause(one.says) for one in self._exercise(exercise).misconceptions})

    def rate(self, work: str, *, reasons: Mapping[str, str] | None = None, comment: str = "", **levels: int | None) -> None:
        """Give levels from 0 to 4, by criterion, with reasons; None leaves a criterion open.

        Raises: UnknownNameError for a work or criterion; InputError for another level
        """
        known = [one.id for one in self.rubric.criteria]
        for name in (*levels, *(reasons or {})):
            if name not in known:
                raise unknown("criterion", name, known)
        for name, level in levels.items():
            if level is not None and (isinstance(level, bool) or not isinstance(level, int) or not 0 <= level < LEVELS):
                raise InputError(expected(f"a level from 0 to {LEVELS - 1} for {name}", repr(level)))
        given = {name: level for name, level in levels.items() if level is not None}
        said = {name: text for name, text in (reasons or {}).items() if text.strip()}
        before = self._reviews[self._named(work)]
        self._reviews[work] = before.model_copy(update={"ratings": given, "reasons": said, "comment": comment or before.comment})
        open_ones = [name for name in known if name not in given]
        silent = [name for name in given if name not in said]
        print(f"work {work}: {len(given)} of {len(known)} criteria rated"
              + (f"; open: {', '.join(open_ones)}" if open_ones else "") + (f"; without a reason: {', '.join(silent)}" if silent else ""))

    def finding(self, work: str, exercise: str, *, kind: str, evidence: Any = None, note: str = "") -> None:
        """Say that something is wrong: where, of which kind, and what shows it. A second call for the same place replaces the first.

        Evidence are the function's arguments in a tuple, or one of `desk.inputs(exercise)`; for `"experiment"` the name of a
        section. You are told whether it can count: whether right answers take the input and agree on it.

        Raises: UnknownNameError for a work, exercise, kind or section; InputError for evidence that cannot be written down
        """
        self._named(work)
        known = list(self.kinds(exercise))
        if kind not in known:
            raise unknown(f"kind of mistake for {exercise}", kind, known)
        told, said = self._evidence(exercise, evidence)
        one = Finding(exercise=exercise, kind=kind, evidence=told, note=note)
        before = self._reviews[work]
        others = tuple(other for other in before.findings if other.exercise != exercise)
        self._reviews[work] = before.model_copy(update={"findings": (*others, one)})
        print(f"work {work}, {exercise}, {kind}: noted. {said}")

    def withdraw(self, work: str, exercise: str) -> None:
        """Take a finding back.

        Raises: UnknownNameError when there is none
        """
        before = self._reviews[self._named(work)]
        there = [one.exercise for one in before.findings]
        if exercise not in there:
            raise unknown(f"finding in work {work}", exercise, there)
        self._reviews[work] = before.model_copy(update={"findings": tuple(one for one in before.findings if one.exercise != exercise)})
        print(f"work {work}, {exercise}: taken back")

    @property
    def handed(self) -> Handed:
        """All reviews as they are now."""
        return Handed(module=self.packet.module, packet=self.packet.packet, reviews=tuple(self._reviews.values()))

    def write(self) -> None:
        """Write review.json beside the notebook, and say what is open."""
        reviews.write(self.folder / FILE, self.handed)
        print(f"{self.folder / FILE}: written")
        print(self)

    def score(self) -> Any:
        """The score of a review of specimens, with what was found and missed; what is on the desk is written first.

        Raises: InputError when the works are other people's: their reviews are collected and scored by the instructor
        """
        from breakthrough.course.exchange import solo

        if self.packet.seed is None:
            raise InputError(expected("specimens made for you alone", "others' works, whose reviews your instructor scores", "desk.write() and handing in"))
        reviews.write(self.folder / FILE, self.handed)
        return solo.score(self.folder)

    def __repr__(self) -> str:
        """One line a work."""
        return repr(self._overview())

    def _repr_html_(self) -> str:
        return self._overview()._repr_html_()

    def _overview(self) -> Table:
        count = len(self.rubric.criteria)
        return Table({f"work {name}": f"{len(one.ratings)} of {count} criteria rated, "
                      + (f"{counted(len(one.findings), 'finding')}: " + ", ".join(f.exercise for f in one.findings) if one.findings else "no findings")
                      for name, one in self._reviews.items()})

    def _named(self, work: str) -> str:
        if work not in self.packet.code:
            raise unknown("work", work, self.packet.code)
        return work

    def _exercise(self, name: str) -> Any:
        if name not in self.packet.exercises:
            raise unknown("exercise in these works", name, [*self.packet.exercises, EXPERIMENT])
        from breakthrough.exercises.exercise import load

        return load(name)

    def _evidence(self, exercise: str, evidence: Any) -> tuple[Any, str]:
        """Evidence as it is written, and a sentence about whether it can count."""
        if evidence is None:
            return None, "Without evidence yet: an input that shows it is worth as much as the kind."
        if exercise == EXPERIMENT:
            sections = list(self.rubric.account.sections)
            if evidence not in sections:
                raise unknown("section of the account", str(evidence), sections)
            return evidence, f"Evidence: the section {evidence!r}."
        from breakthrough.exercises import showing

        found = self._exercise(exercise)
        told = plain.encode(showing.plain(found, evidence))
        shown = showing.usable(found, plain.decode(told))
        return told, f"The evidence can be run: {shown.says}." if shown.usable else f"This evidence would not count: {shown.says}. Try another input."


def _clause(says: str) -> str:
    """The first part of a sentence that helps: what was done, not how it is mended."""
    first = " ".join(says.split()).split(": ")[0].split("; ")[0]
    return first if len(first) <= 160 else first[:157].rsplit(" ", 1)[0] + " …"


def _short(args: tuple[Any, ...]) -> str:
    return "(" + ", ".join(_value(one) for one in args) + ("," if len(args) == 1 else "") + ")"


def _value(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if shape is not None and tuple(shape):
        return f"{type(value).__name__.lower()} {tuple(shape)}"
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    if isinstance(value, (list, dict, tuple)) and len(repr(value)) > 60:
        return f"{type(value).__name__} of {len(value)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}…"
