"""The API reference: a page a room, from docstrings, and what Sphinx needs to read ours."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from breakthrough.course.site.layout import Site

HOME = Path(__file__).resolve().parents[2]
BASE = "base"  # the files beside the rooms
SECTIONS = ("Shapes", "Units", "Raises", "Source")
_SECTION = re.compile(rf"^({'|'.join(SECTIONS)}): *(.*)$")
_ITEM = re.compile(r"^(- |\d+\. )(.*)$")
_TICKS = re.compile(r"(`+)(.+?)\1")
_MARKS = re.compile(r"([\\*|`<>]|(?<=\w)_(?!\w))")


def pages(site: Site) -> dict[str, str]:
    """The pages of the reference, by path: an index, and one for each room."""
    rooms = {room: found for room, found in _rooms(site).items() if site.rooms is None or room in site.rooms}
    rows = [f"   * - :doc:`{room} </api/{room}>`\n     - {inline(_first(found[0]) if room != BASE else 'What every room stands on.')}"
            for room, found in rooms.items()]
    index = [*_heading("The library"), "From its docstrings: a page for each room. The lines below a description name shapes, units, "
             "errors and sources.", "", ".. list-table::", "   :widths: 20 80", "", *rows, "", ".. toctree::", "   :hidden:", "",
             *(f"   {room}" for room in rooms)]
    found = {"api/index.rst": "\n".join(index) + "\n"}
    return found | {f"api/{room}.rst": _page(room, modules) for room, modules in rooms.items()}


def process(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Sphinx's hook `autodoc-process-docstring`: a docstring of ours as reStructuredText, in place."""
    lines[:] = as_rst(lines)


def as_rst(lines: list[str]) -> list[str]:
    """A docstring in the project's form as reStructuredText.

    Shapes, Units, Raises and Source become a list of fields; indented lines stay as they were
    written; code between backticks is code, and no other sign means anything.
    """
    done: list[str] = []
    kind = ""
    for line in lines:
        before, kind = kind, _kind(line, kind)
        if kind != before and kind in ("field", "literal"):
            done += ["", "::", ""] if kind == "literal" else [""]
        elif before and kind != before and {before, kind} & {"literal", "item"}:
            done.append("")
        done.append(_line(line, kind))
    return [*done, ""]


def _kind(line: str, before: str) -> str:
    """What a line is: text, an item of a list, a field, something to show as it stands, or blank, which changes none of them but text."""
    if not line.strip() or line.strip() in (r"\b", "\b"):  # click's mark for lines that stay as they are
        return "literal" if before == "literal" else ""
    if _SECTION.match(line):
        return "field"
    if _ITEM.match(line):
        return "item"
    if line.startswith(" "):
        return before if before in ("field", "item") else "literal"
    return "text"


def _line(line: str, kind: str) -> str:
    if kind == "literal":
        return "   " + line if line.strip() else ""
    if not line.strip() or kind == "":
        return ""
    if kind == "field":
        section = _SECTION.match(line)
        return f":{section[1]}: {inline(section[2])}" if section else f"   {inline(line.strip())}"
    item = _ITEM.match(line)
    if item:
        return item[1] + inline(item[2])
    return re.match(r" *", line)[0] + inline(line.strip())  # type: ignore[index]  # matches always


def inline(text: str) -> str:
    """One line with only code marked up."""
    parts, end = [], 0
    for code in _TICKS.finditer(text):
        parts += [_escaped(text[end:code.start()]), f"``{code[2]}``"]
        if code.end() < len(text) and (text[code.end()].isalnum() or text[code.end()] == "_"):
            parts.append("\\ ")
        end = code.end()
    return "".join([*parts, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\1", text)


def point(app: object, doctree: Any) -> None:
    """Sphinx's hook `doctree-read`: names in signatures point to what they mean in their own module, or nowhere.

    Sphinx would look for any class of that name, and rooms share names: a Plan is not a Plan.
    """
    from sphinx.addnodes import pending_xref

    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and node.get("reftype") in ("class", "obj", "exc") and node.get("py:module"):
            meant = _meant(node["py:module"], node["reftarget"])
            if meant:
                node["reftarget"] = meant
            else:
                node.replace_self(node.children)


def _meant(module: str, name: str) -> str:
    found: Any = sys.modules.get(module)
    for part in name.removeprefix(f"{module}.").split("."):
        found = getattr(found, part, None)
    home, whole = getattr(found, "__module__", ""), getattr(found, "__qualname__", "")
    return f"{home}.{whole}" if isinstance(home, str) and home.startswith("breakthrough.") and whole else ""


def _rooms(site: Site) -> dict[str, list[str]]:
    """The modules of each room, the room itself first: base, then in the order of the course."""
    subjects = [module.room for module in site.course.modules]
    folders = sorted(path.name for path in HOME.iterdir() if (path / "__init__.py").is_file())
    order = sorted(folders, key=lambda room: (subjects.index(room) if room in subjects else len(subjects), room))
    found = {BASE: [f"breakthrough.{path.stem}" for path in sorted(HOME.glob("[!_]*.py"))]}
    for room in order:
        found[room] = [_name(path) for path in sorted((HOME / room).rglob("*.py"), key=_by_folder) if _shown(path, room, subjects)]
    return found


def _by_folder(path: Path) -> tuple[str, str]:
    return str(path.parent), "" if path.stem == "__init__" else path.stem


def _shown(path: Path, room: str, subjects: list[str]) -> bool:
    """Whether a file belongs on the page: neither private, nor an exercise with its reference."""
    if path.stem.startswith("_") and path.stem != "__init__":
        return False
    return room != "exercises" or path.stem.split("_")[0] not in subjects


def _name(path: Path) -> str:
    parts = path.relative_to(HOME.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _page(room: str, modules: list[str]) -> str:
    title = "What every room stands on" if room == BASE else room
    inner = modules if room == BASE else modules[1:]
    rows = [f"   * - :py:mod:`{name.removeprefix(f'breakthrough.{room}.')} <{name}>`\n     - {inline(_first(name))}" for name in inner]
    lead = [] if room == BASE else [f".. automodule:: {modules[0]}", ""]
    table = [".. list-table::", "   :widths: 25 75", "", *rows, ""] if rows else []
    return "\n".join([*_heading(title), *lead, *table, *(line for name in inner for line in _module(name))]) + "\n"


def _module(name: str) -> Iterator[str]:
    yield from _heading(name.split(".", 1)[1], "-")
    yield from (f".. automodule:: {name}", "   :members:", "")


def _heading(text: str, sign: str = "=") -> tuple[str, str, str]:
    return text, sign * len(text), ""


def _first(name: str) -> str:
    """The first line of a module's docstring, without importing it."""
    path = HOME.parent.joinpath(*name.split("."))
    source = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
    text: Any = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ")
