"""What is translated, and where its catalogues lie: lessons, labs, the README, and the messages of cards and rooms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from breakthrough import language as languages
from breakthrough.course import notebooks
from breakthrough.course.notebooks import Notebook
from breakthrough.course.schema import Module, Syllabus
from breakthrough.course.translation import messages, units
from breakthrough.course.translation.units import Unit

README, CARDS = "README.md", "cards"
LESSON, LAB, PAGE, ROOM = "lesson", "lab", "page", "messages"


@dataclass(frozen=True)
class Source:
    """One text in English with a catalogue of its own; a module's, or nobody's."""

    name: str
    kind: str
    path: Path
    catalogue: Path
    module: str = ""

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """What of it is translated, each once, in order."""
        if self.kind == ROOM:
            found: Iterator[Unit] = messages.units(self.name.rpartition("/")[2])
        elif self.kind == PAGE:
            text = self.path.read_text(encoding="utf-8")
            found = (Unit("", text, kind, self.path.name) for kind, text in units.in_markdown(text))
        else:
            found = _in_notebook(notebooks.read(self.path), self.path.name)
        return tuple({(one.context, one.text): one for one in found}.values())


def folder(course: Syllabus, language: str) -> Path:
    """Where a language's catalogues of notebooks lie."""
    return course.root / "translations" / language


def sources(course: Syllabus, language: str, modules: Sequence[Module] | None = None) -> list[Source]:
    """All that is translated of these modules; of the whole course, the README and what all cards say, when none is given.

    A lab's units are read from its master: what stands there outside of solutions is what the lab has.
    """
    home = folder(course, language)
    found = [] if modules else [
        Source("README", PAGE, course.root / README, home / "readme.po"),
        Source(f"messages/{CARDS}", ROOM, languages.FOLDER, languages.FOLDER / language / f"{CARDS}.po"),
    ]
    for module in modules or course.built:
        found.append(Source(f"lessons/{module.id}", LESSON, course.lesson(module), home / "lessons" / f"{module.id}.po", module.id))
        if module.has_lab:
            found.append(Source(f"labs/{module.id}", LAB, course.solution(module), home / "labs" / f"{module.id}.po", module.id))
        if messages.files(module.room):
            found.append(Source(f"messages/{module.room}", ROOM, languages.FOLDER, languages.FOLDER / language / f"{module.room}.po", module.id))
    return found


def _in_notebook(notebook: Notebook, name: str) -> Iterator[Unit]:
    for cell in notebook["cells"]:
        read = units.in_code if cell["cell_type"] == "code" else units.in_markdown
        for kind, text in read(cell["source"]):
            yield Unit(cell["id"], text, kind, name)
