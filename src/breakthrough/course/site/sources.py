"""All sources of the site, made from the project's files; nothing here is committed."""

from __future__ import annotations

import re
from pathlib import Path

from breakthrough import files
from breakthrough.course.site import course_map, ledger, links, measured, notebook_pages, reference
from breakthrough.course.site.layout import LANDING, Site
from breakthrough.errors import InputError, expected

_MERMAID = re.compile(r"^```mermaid\n.*?^```[ \t]*$", re.MULTILINE | re.DOTALL)


def make(site: Site) -> dict[str, str]:
    """Every source of the site by its path: landing page, lessons, labs, guides, results, ledger, reference.

    Raises: InputError for a link to a file that is not there; NotebookError for a lab somebody worked in
    """
    found = {"index.md": (site.root / "docs" / "index.md").read_text(encoding="utf-8"), LANDING: landing(site), "claims.md": ledger.page(site)}
    for module in site.course.built:
        found[f"lessons/{module.id}.ipynb"] = notebook_pages.lesson(site, module)
    for module in site.course.labs:
        found[f"labs/{module.id}.ipynb"] = notebook_pages.lab(site, module, hints(module.exercises))
    for source, page in site.pages.items():
        if page.startswith("guides/"):
            found[page] = guide(site, source)
    return found | measured.pages(site) | reference.pages(site)


def write(site: Site) -> Path:
    """Write the sources, only those that changed, and remove what no longer belongs; their folder.

    What is unchanged keeps its time, by which Sphinx knows what to read again.
    """
    folder = site.work / "source"
    made = make(site)
    for name, text in made.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            files.write_text(path, text)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in made:
            path.unlink()
    return folder


def landing(site: Site) -> str:
    """The README, with the course's map drawn here in place of its flowchart."""
    text = (site.root / LANDING).read_text(encoding="utf-8")
    drawn = "```{raw} html\n" + course_map.svg(site.course) + "\n```"
    if not _MERMAID.search(text):
        raise InputError(expected(f"a mermaid flowchart in {LANDING}, in whose place the map goes", "none"))
    return links.turn(site, _MERMAID.sub(lambda _: drawn, text, count=1), LANDING)


def guide(site: Site, source: str) -> str:
    """A page of docs/ or CONTRIBUTING.md, with its links turned."""
    return links.turn(site, (site.root / source).read_text(encoding="utf-8"), source)


def hints(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The hints of these exercises by name; the last rung, the solution, is not among them."""
    from breakthrough import exercises

    return {name: exercises.load(name).hints for name in names}
