"""Keeping catalogues in step with their sources, and saying what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from breakthrough.course.schema import Module, Syllabus
from breakthrough.course.translation import catalogue, making
from breakthrough.course.translation.catalogue import Coverage
from breakthrough.course.translation.faults import faults
from breakthrough.course.translation.sources import PAGE, Source, sources


@dataclass(frozen=True)
class Reviewed:
    """One catalogue: how far it is, which units wait for a translator, and what is wrong.

    `faults` fail a check: a catalogue that is not in step with its source, a translation that broke something.
    """

    name: str
    module: str
    coverage: Coverage
    exists: bool
    drifted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    changed: bool = False

    def lines(self) -> Iterator[str]:
        """What `--check` prints."""
        yield f"{self.name}: {self.coverage.line() if self.exists else 'no catalogue yet'}"
        for what, texts in (("wrong", self.faults), ("drifted", self.drifted), ("missing", self.missing if self.exists else ())):
            yield from (f"  {what}: {text}" for text in texts)


def update(course: Syllabus, language: str, modules: Sequence[Module] | None = None, *, new: bool = False) -> list[Reviewed]:
    """Bring catalogues in step with their sources, and the README made from its own; with `new` also those that are not there yet."""
    done = []
    for source in sources(course, language, modules):
        changed = False
        if new or source.catalogue.is_file():
            made = catalogue.merged(catalogue.read(source.catalogue, language), source.units)
            changed = catalogue.write(made, source.catalogue)
            if source.kind == PAGE:
                making.write_page(course, source, language)
        done.append(_reviewed(course, source, language, changed))
    return done


def check(course: Syllabus, language: str, modules: Sequence[Module] | None = None) -> list[Reviewed]:
    """Say of every catalogue how far it is and what is wrong; nothing is written."""
    return [_reviewed(course, source, language) for source in sources(course, language, modules)]


def broken(source: Source, language: str) -> Iterator[str]:
    """What is wrong with the translations of one source, a sentence for each fault."""
    said = catalogue.translations(catalogue.read(source.catalogue, language))
    for unit in source.units:
        translation = said.get((unit.context, unit.text))
        if translation is not None:
            yield from (f"{_named(unit.context, unit.text)}: {fault}" for fault in faults(unit, translation, language))


def _reviewed(course: Syllabus, source: Source, language: str, changed: bool = False) -> Reviewed:
    made = catalogue.read(source.catalogue, language)
    exists, said = source.catalogue.is_file(), catalogue.translations(made)
    fuzzy = {(entry.msgctxt or "", entry.msgid) for entry in made if entry.fuzzy and not entry.obsolete}
    keys = [(unit.context, unit.text) for unit in source.units]
    found = list(_out_of_step(course, source, language)) + list(broken(source, language)) if exists else []
    return Reviewed(
        source.name, source.module, catalogue.coverage(made, source.units), exists,
        tuple(_named(*key) for key in keys if key in fuzzy),
        tuple(_named(*key) for key in keys if key not in fuzzy and key not in said), tuple(found), changed,
    )


def _out_of_step(course: Syllabus, source: Source, language: str) -> Iterator[str]:
    made = catalogue.read(source.catalogue, language)
    have = {(entry.msgctxt or "", entry.msgid) for entry in made if not entry.obsolete}
    want = {(unit.context, unit.text) for unit in source.units}
    hint = "breakthrough translate"
    yield from (f"{_named(*key)}: not in the catalogue; try {hint}" for key in sorted(want - have))
    yield from (f"{_named(*key)}: no longer in the source; try {hint}" for key in sorted(have - want))
    if have == want and source.catalogue.read_text(encoding="utf-8") != catalogue.text(catalogue.merged(made, source.units)):
        yield f"the catalogue is not as it would be written; try {hint}"
    if source.kind == PAGE:
        target = making.where(course, source, language)
        if not target.is_file() or target.read_text(encoding="utf-8") != making.page(course, source, language):
            yield f"{target.name} is not what the catalogue makes; try {hint}"


def _named(context: str, text: str) -> str:
    line = " ".join(text.split())
    return f"{context}: {line[:70]}" if context else line[:70]
