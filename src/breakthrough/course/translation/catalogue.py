"""Catalogues in gettext's format: read, kept in step with their sources, written.

When a source text changes, its old translation stays as a proposal (fuzzy) with the text it was made for; what
is gone from the source is kept as obsolete, in case it comes back. No dates: the same catalogue has the same bytes.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polib

from breakthrough import files, language
from breakthrough.course.translation.units import TEMPLATE, Unit
from breakthrough.errors import ConfigError, expected

ALIKE = 0.6  # texts that have so much in common may share a translation, as a proposal
FUZZY = "fuzzy"


@dataclass(frozen=True)
class Coverage:
    """How far a catalogue is.

    Units: numbers of units; `drifted` are those whose English has changed since they were translated
    """

    units: int
    translated: int
    drifted: int

    @property
    def missing(self) -> int:
        """How many have no translation at all."""
        return self.units - self.translated - self.drifted

    def line(self) -> str:
        """What commands print."""
        share = f"{100 * self.translated // max(self.units, 1)}%"
        rest = [f"{n} {what}" for n, what in ((self.drifted, "drifted"), (self.missing, "missing")) if n]
        return f"{share:>4} of {self.units} units" + (f": {', '.join(rest)}" if rest else "")


def read(path: Path, to: str) -> polib.POFile:
    """A catalogue; a new one, empty, when there is no file.

    Raises: ConfigError when the file is no catalogue
    """
    if path.is_file():
        try:
            made = polib.pofile(str(path), encoding="utf-8")
        except OSError as error:
            raise ConfigError(expected(f"a catalogue at {path}", str(error))) from None
    else:
        made = polib.POFile()
    made.wrapwidth = 0  # a unit is a line: a change shows as one
    made.metadata = {"Language": to, "Content-Type": "text/plain; charset=UTF-8", "Content-Transfer-Encoding": "8bit"}
    return made


def text(made: polib.POFile) -> str:
    """A catalogue as its file has it."""
    return str(made).rstrip("\n") + "\n"


def write(made: polib.POFile, path: Path) -> bool:
    """Write a catalogue; whether it changed."""
    if path.is_file() and path.read_text(encoding="utf-8") == text(made):
        return False
    files.write_text(path, text(made))
    return True


def translations(made: polib.POFile) -> dict[tuple[str, str], str]:
    """What is translated, by context and text."""
    return {_key(entry): entry.msgstr for entry in made if entry.translated()}


def coverage(made: polib.POFile, units: Sequence[Unit]) -> Coverage:
    """How far a catalogue is for the units of its source."""
    keys = {(unit.context, unit.text) for unit in units}
    fuzzy = sum(entry.fuzzy for entry in made if _key(entry) in keys)
    return Coverage(len(keys), sum(key in keys for key in translations(made)), fuzzy)


def merged(old: polib.POFile, units: Sequence[Unit]) -> polib.POFile:
    """A catalogue with the units of its source, in their order, and the translations it had."""
    made = polib.POFile(wrapwidth=0)
    made.metadata = old.metadata
    left = {_key(entry): entry for entry in old if not entry.obsolete}
    gone = [entry for entry in old if entry.obsolete]
    kept = {(unit.context, unit.text): left.pop((unit.context, unit.text), None) for unit in units}
    waiting = [*left.values(), *gone]
    for unit in units:
        before = kept[unit.context, unit.text] or _taken(unit, waiting)
        made.append(_entry(unit, before))
    for entry in waiting:
        if entry.msgstr:
            made.append(polib.POEntry(msgctxt=entry.msgctxt, msgid=entry.msgid, msgstr=entry.msgstr, obsolete=True))
    return made


def _key(entry: polib.POEntry) -> tuple[str, str]:
    return entry.msgctxt or "", entry.msgid


def _entry(unit: Unit, before: polib.POEntry | None) -> polib.POEntry:
    flags = [language.TEMPLATE] if unit.kind == TEMPLATE else []
    made = polib.POEntry(msgctxt=unit.context or None, msgid=unit.text, comment=unit.kind, occurrences=[(unit.where, "")], flags=flags)
    if before is None:
        return made
    made.msgstr, made.tcomment = before.msgstr, before.tcomment
    same = before.msgid == unit.text
    if made.msgstr and (before.fuzzy or not same):
        made.flags.append(FUZZY)
        made.previous_msgid = before.previous_msgid if same else before.msgid
    return made


def _taken(unit: Unit, waiting: list[polib.POEntry]) -> polib.POEntry | None:
    """The entry that a new unit most likely was before, taken out of those that wait: the same text, else the most alike."""
    same = next((one for one in waiting if one.msgstr and one.msgid == unit.text), None)
    found = same or max((one for one in waiting if one.msgstr and _alike(unit, one) > ALIKE), key=lambda one: _alike(unit, one), default=None)
    if found is not None:
        waiting.remove(found)
    return found


def _alike(unit: Unit, entry: polib.POEntry) -> float:
    matcher = difflib.SequenceMatcher(None, unit.text, entry.msgid, autojunk=False)
    if min(matcher.real_quick_ratio(), matcher.quick_ratio()) <= ALIKE - 0.1:
        return 0.0
    return matcher.ratio() + 0.1 * (unit.context == (entry.msgctxt or ""))  # in its own cell a text is sooner what it was
