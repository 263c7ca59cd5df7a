"""The checks of a built site, offline: no dead link, nothing from the network, no solution on any page."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from breakthrough.course import notebooks, release
from breakthrough.course.schema import Syllabus
from breakthrough.errors import InputError, expected

# where a page loads something from, as against where it leads
_LOADS = {"script": ("src",), "img": ("src", "srcset"), "iframe": ("src",), "source": ("src", "srcset"), "video": ("src", "poster"),
          "audio": ("src",), "embed": ("src",), "object": ("data",), "input": ("src",), "track": ("src",), "image": ("href", "xlink:href"),
          "use": ("href", "xlink:href")}
_LOADING_RELS = {"stylesheet", "preload", "modulepreload", "icon", "shortcut", "apple-touch-icon", "preconnect", "dns-prefetch", "prefetch", "manifest"}
_SCRIPT_LOADS = re.compile(r"""(?:\bimport\s*\(?\s*|\bfrom\s*|\.src\s*=\s*|\bfetch\s*\(\s*)["'`](?:https?:)?//[^"'`]+""")
_CSS_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s;]+)""")
_TEXT = {".html", ".js", ".txt", ".css", ".svg", ".json"}
AWAY = ("http", "https", "mailto")


@dataclass(frozen=True)
class Reference:
    """One address on a page: `loads` when the page needs what is there, else it only leads there."""

    page: str
    address: str
    loads: bool


@dataclass
class Page(HTMLParser):
    """What one page names, refers to and says."""

    name: str
    ids: Counter[str] = field(default_factory=Counter)
    references: list[Reference] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    images_without_words: list[str] = field(default_factory=list)
    _inside: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep names and addresses."""
        given = {name: value or "" for name, value in attrs}
        self._inside = tag if tag in ("script", "style") else ""
        self.ids.update(given[name] for name in ("id",) if given.get(name))
        if tag == "a" and given.get("name"):
            self.ids[given["name"]] += 0 if given["name"] == given.get("id") else 1
        if tag in ("a", "area") and "href" in given:
            self._refer(given["href"], loads=False)
        if tag == "link" and "href" in given:
            self._refer(given["href"], loads=bool(set(given.get("rel", "").lower().split()) & _LOADING_RELS))
        for name in _LOADS.get(tag, ()):
            if given.get(name):
                addresses = [part.split()[0] for part in given[name].split(",")] if name == "srcset" else [given[name]]
                for address in addresses:
                    self._refer(address, loads=True)
        for address in _CSS_URL.findall(given.get("style", "")):
            self._refer(address, loads=True)
        if tag == "img" and not given.get("alt", "").strip():
            self.images_without_words.append(given.get("src", "")[:60])

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or style."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """Keep what is read, and what runs."""
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside == "style":
            for address in _CSS_URL.findall(data):
                self._refer(address, loads=True)
        else:
            self.text.append(data)

    @cached_property
    def lines(self) -> set[str]:
        """The lines of the page's text, stripped."""
        return {line.strip() for line in "".join(self.text).splitlines()}

    def _refer(self, address: str, loads: bool) -> None:
        self.references.append(Reference(self.name, address.strip(), loads))


def faults(folder: Path, course: Syllabus | None = None) -> list[str]:
    """Everything that is wrong with a built site, one line each; with the course also solutions that leaked.

    Raises: InputError when there is no site
    """
    pages = read(folder)
    found = [fault for page in pages.values() for fault in _of_page(folder, pages, page)]
    found += [fault for path in sorted(folder.rglob("*.css")) for fault in _of_style(folder, path)]
    return found + (list(leaks(folder, pages, course)) if course else [])


def read(folder: Path) -> dict[str, Page]:
    """The pages of a built site by their paths.

    Raises: InputError when there is none
    """
    if not (folder / "index.html").is_file():
        raise InputError(expected(f"a site in {folder}", "none", "breakthrough docs"))
    pages = {}
    for path in sorted(folder.rglob("*.html")):
        page = Page(path.relative_to(folder).as_posix())
        page.feed(path.read_text(encoding="utf-8"))
        pages[page.name] = page
    return pages


def external(pages: dict[str, Page]) -> Counter[str]:
    """The addresses outside the site that its pages lead to, and how often."""
    return Counter(one.address for page in pages.values() for one in page.references if urlsplit(one.address).scheme in AWAY)


def leaks(folder: Path, pages: dict[str, Page], course: Syllabus) -> Iterator[str]:
    """Lines of the masters' solutions that stand in the site, but in no lesson or released lab."""
    secret = _secret(course)
    for page in pages.values():
        for line in sorted(secret & page.lines):
            yield f"{page.name}: the solution line {line!r}"
    for path in sorted(folder.rglob("*")):
        if path.suffix in _TEXT and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            for mark in (release.BEGIN, release.END):
                if mark in text:
                    yield f"{path.relative_to(folder)}: the marker {mark!r}"


def _secret(course: Syllabus) -> set[str]:
    public: set[str] = set()
    secret: set[str] = set()
    for module in course.built:
        shown = [course.lesson(module), *([course.lab(module)] if module.has_lab else [])]
        public |= {line.strip() for path in shown for cell in notebooks.read(path)["cells"] for line in cell["source"].splitlines()}
        if module.has_lab:
            secret |= set(release.solution_lines(notebooks.read(course.solution(module))))
    return secret - public


def _of_page(folder: Path, pages: dict[str, Page], page: Page) -> Iterator[str]:
    for one in dict.fromkeys(page.references):
        fault = _fault(folder, pages, one)
        if fault:
            yield f"{page.name}: {fault}"
    for script in page.scripts:
        for call in _SCRIPT_LOADS.findall(script):
            yield f"{page.name}: a script loads from the network: {call[:80]}"
    for name, count in page.ids.items():
        if count > 1:
            yield f"{page.name}: the anchor {name!r} stands {count} times"
    for source in page.images_without_words:
        yield f"{page.name}: a picture without words: {source}"


def _fault(folder: Path, pages: dict[str, Page], one: Reference) -> str:
    if one.address.startswith("data:"):
        return ""
    parts = urlsplit(one.address)
    if parts.scheme or parts.netloc:
        return _away(one, parts.scheme, parts.netloc)
    path = unquote(parts.path)
    target = posixpath.normpath(posixpath.join(posixpath.dirname(one.page), path)) if path else one.page
    if path.startswith("/") or target.startswith(".."):
        return f"a link out of the folder: {one.address}"
    if (folder / target).is_dir():
        target = posixpath.join(target, "index.html")
    if not (folder / target).is_file():
        return f"a dead link: {one.address}"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].ids:
        return f"a dead anchor: {one.address}"
    return ""


def _away(one: Reference, scheme: str, host: str) -> str:
    if one.loads:
        return f"something from the network: {one.address}"
    if scheme == "mailto" or (scheme in ("http", "https") and re.fullmatch(r"[\w.-]+(:\d+)?", host)):
        return ""
    return f"an address that is none: {one.address}"


def _of_style(folder: Path, path: Path) -> Iterator[str]:
    name = path.relative_to(folder).as_posix()
    for address in _CSS_URL.findall(path.read_text(encoding="utf-8")):
        if not address.startswith(("data:", "#")):
            fault = _fault(folder, {}, Reference(name, address, loads=True))
            if fault:
                yield f"{name}: {fault}"
