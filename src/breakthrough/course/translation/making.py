"""Making notebooks and the README in another language: the source, the catalogue, and nothing by hand.

They lie in a folder of the language, in the same order as the English ones, so that links between them hold:
zh/notebooks/01_moe.ipynb, zh/labs/01_moe/01_moe.ipynb. Lessons keep the outputs of the English run.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakthrough import files
from breakthrough.course import notebooks, release
from breakthrough.course.notebooks import Cell, Notebook
from breakthrough.course.schema import Module, Syllabus
from breakthrough.course.translation import cards, catalogue, sources, units
from breakthrough.course.translation.sources import LAB, PAGE, ROOM, Source

MADE = ".made.json"  # what was written here, so that a learner's work is known from what nobody touched
NAMES = {"zh": "中文"}
WAITS = {"zh": "〔上面这段英文尚待翻译或更新〕"}
WHOLE = {"zh": "〔本篇尚未译成中文，以下为英文原文。〕"}
SPEAKS = {"zh": "让 check、ask、hint 用中文回答"}
LINK = re.compile(r"\]\((?![a-z]+:|#|/)([^()\s#]+)(#[^()\s]*)?\)")


@dataclass(frozen=True)
class Made:
    """What became of one file: written, in step, or a learner's own and left alone."""

    file: str
    state: str

    def line(self) -> str:
        """What the command prints."""
        return f"{self.file}: {self.state}"


def make(course: Syllabus, language: str, modules: Sequence[Module] | None = None) -> list[Made]:
    """Write the notebooks of these modules, and the README when none is given.

    A notebook that was opened and saved since it was made is a learner's, and is left as it is.

    Raises: NotebookError when a master is missing; MissingDependency without nbgrader
    """
    home = course.root / language
    record = _record(home)
    done = []
    for source in sources.sources(course, language, modules):
        if source.kind == ROOM:
            continue
        if source.kind == PAGE:
            done.append(write_page(course, source, language))
            continue
        target = where(course, source, language)
        name = str(target.relative_to(home))
        if target.is_file() and record.get(name) != _hash(target.read_text(encoding="utf-8")):
            done.append(Made(f"{language}/{name}", "you worked in it, so it was left alone; move it away for a fresh one"))
            continue
        text = json.dumps(notebook(course, source, language), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        state = "in step" if record.get(name) == _hash(text) and target.is_file() else "written"
        files.write_text(target, text)
        record[name] = _hash(text)
        done.append(Made(f"{language}/{name}", state))
    files.write_text(home / MADE, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return done


def where(course: Syllabus, source: Source, language: str) -> Path:
    """Where a source's translation is made."""
    if source.kind == PAGE:
        return course.root / f"README.{ {'zh': 'zh-CN'}[language] }.md"
    module = course.find(source.module)
    english = course.lab(module) if source.kind == LAB else course.lesson(module)
    return course.root / language / english.relative_to(course.root)


def page(course: Syllabus, source: Source, language: str) -> str:
    """The README in another language."""
    said = catalogue.translations(catalogue.read(source.catalogue, language))
    text = source.path.read_text(encoding="utf-8")
    made = units.markdown(text, lambda kind, unit: said.get(("", unit), unit))
    twin = where(course, source, language).name  # each points at the other
    return made.replace(f"]({twin})", f"]({source.path.name})")


def notebook(course: Syllabus, source: Source, language: str) -> Notebook:
    """A lesson or a lab in another language; in English with a note at its top, when it has no catalogue."""
    made = _english(source)
    said = catalogue.translations(catalogue.read(source.catalogue, language))
    home = posixpath.dirname(str(where(course, source, language).relative_to(course.root / language)))
    for cell in made["cells"]:
        translated(cell, said, WAITS[language] if said else "")
        if cell["cell_type"] == "markdown":
            cell["source"] = LINK.sub(lambda found: f"]({_relinked(course, home, found[1])}{found[2] or ''})", cell["source"])
    if not said:
        made["cells"][0]["source"] += f"\n\n*{WHOLE[language]}*"
    if source.kind != LAB:
        cards.reshown(made, language)
    _speak(made, language)
    for cell in made["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    return made


def translated(cell: Cell, said: Mapping[tuple[str, str], str], waits: str = "") -> None:
    """Translate a cell in place; a block of text that has no translation gets a small mark below it."""

    def translate(kind: str, text: str) -> str:
        found = said.get((cell["id"], text))
        if found is None and waits and kind == units.PROSE:
            return f"{text}\n\n<small>{waits}</small>"
        return text if found is None else found

    walk = units.code if cell["cell_type"] == "code" else units.markdown
    cell["source"] = walk(cell["source"], translate)


def _english(source: Source) -> Notebook:
    if source.kind != LAB:
        return notebooks.read(source.path)
    with tempfile.TemporaryDirectory(prefix="breakthrough-release-") as scratch:
        made = Path(scratch) / source.module
        release.generate(source.path, made)  # not labs/, where a learner works
        return notebooks.read(made / source.path.name)


def _speak(made: Notebook, language: str) -> None:
    """A cell before the first code that turns the library's language."""
    at = next((i for i, cell in enumerate(made["cells"]) if cell["cell_type"] == "code"), len(made["cells"]))
    source = f'from breakthrough import language\n\nlanguage.use("{language}")  # {SPEAKS[language]}'
    made["cells"].insert(at, {"cell_type": "code", "execution_count": None, "id": f"language-{language}", "metadata": {}, "outputs": [], "source": source})


def _relinked(course: Syllabus, home: str, link: str) -> str:
    """A link out of a made notebook: to notebooks of its own language as it stands, to the README's twin, else a folder further up."""
    target = posixpath.normpath(posixpath.join(home, link))
    ours = {str(path.relative_to(course.root)) for m in course.built for path in (course.lesson(m), *([course.lab(m)] if m.has_lab else []))}
    if target in ours:
        return link
    return posixpath.join("..", link.replace("README.md", "README.zh-CN.md"))


def write_page(course: Syllabus, source: Source, language: str) -> Made:
    """Write the README in another language."""
    target, text = where(course, source, language), page(course, source, language)
    before = target.read_text(encoding="utf-8") if target.is_file() else ""
    if before != text:
        files.write_text(target, text)
    return Made(target.name, "in step" if before == text else "written")


def _record(home: Path) -> dict[str, str]:
    path = home / MADE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def names(languages: Iterable[str]) -> str:
    """Languages by their own names, for help texts."""
    return ", ".join(f"{one} ({NAMES[one]})" for one in languages)
