"""Links of the project's Markdown, turned towards the site's pages."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from breakthrough.course.site.layout import Site
from breakthrough.errors import InputError, expected

_FENCED = re.compile(r"^(?P<fence>`{3,}|~{3,}|:{3,})[^\n]*\n.*?^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = r"(?P<code>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))"
_TEXT = r"\[(?P<text>(?:`[^`]*`|\[[^\]]*\]|[^\[\]`])*)\]"
_TARGET = r"\((?P<target>[^()\s]+)(?:\s+\"[^\"]*\")?\)"
_IMAGE = re.compile(f"{_CODE}|!{_TEXT}{_TARGET}", re.DOTALL)
_LINK = re.compile(f"{_CODE}|(?<!!){_TEXT}{_TARGET}", re.DOTALL)
_AWAY = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def turn(site: Site, text: str, source: str) -> str:
    """Markdown of a file, with every link to a file of the project turned to its page.

    A file without a page becomes an address in the repository where one is set, else its path as code.
    A picture from the network becomes its words: the site loads nothing from elsewhere.

    Raises: InputError for a link to a file that is not there
    """

    def image(match: re.Match[str]) -> str:
        return match["text"] if match["target"].startswith(("http:", "https:", "//")) else match[0]

    def link(match: re.Match[str]) -> str:
        return _turned(site, match["text"], match["target"], source)

    return _outside_fences(text, lambda part: _each(_LINK, _each(_IMAGE, part, image), link))


def outside_code(text: str) -> str:
    """Markdown without its fenced blocks."""
    return _FENCED.sub("", text)


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in _FENCED.finditer(text):
        parts += [change(text[end:fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def _each(pattern: re.Pattern[str], text: str, change: Callable[[re.Match[str]], str]) -> str:
    return pattern.sub(lambda match: match[0] if match["code"] else change(match), text)


def _turned(site: Site, text: str, target: str, source: str) -> str:
    if target.startswith("#") or _AWAY.match(target):
        return f"[{text}]({target})"
    name, _, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
    if path.startswith("..") or not (site.root / path).exists():
        raise InputError(expected(f"{source} to link to files of the project", repr(target), "correcting the link"))
    page = site.page_of(path)
    if page:
        return f"[{text}](/{page}{'#' + anchor if anchor else ''})"
    if site.repository:
        kind = "tree" if (site.root / path).is_dir() else "blob"
        return f"[{text}]({site.repository}/{kind}/HEAD/{path}{'#' + anchor if anchor else ''})"
    said = text.strip("`/")
    return f"`{path}`" if said in (path, posixpath.basename(path)) else f"{text} (`{path}`)"
