"""HTML from a submission, rebuilt from what is allowed: text, tables, lists, colours. Nothing in it can run.

Not filtered but written anew: every tag and attribute that comes out was put there by this file. It takes time in
proportion to its input, where the cleaner that nbconvert uses takes half a minute for a hundred thousand nested tags.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape, unescape
from urllib.parse import urlsplit

LONGEST, DEEPEST, MOST_TAGS, LONGEST_TAG = 100_000, 30, 5_000, 2_000
# what nbconvert's own cleaner lets through, so that it changes nothing any more; other tags become the nearest of them
SAME = {"a", "b", "blockquote", "code", "em", "i", "li", "ol", "strong", "ul", "div", "pre", "span", "table", "tr", "td"}
NEAREST = {
    "th": "td", "p": "div", "h1": "div", "h2": "div", "h3": "div", "h4": "div", "h5": "div", "h6": "div", "details": "div",
    "summary": "div", "dt": "div", "dd": "div", "caption": "div", "section": "div", "article": "div", "samp": "code", "kbd": "code",
    "tt": "code", "mark": "span", "small": "span", "sub": "span", "sup": "span", "u": "span", "font": "span", "br": "div",
}
VOID = {"br"}  # of those above
SWALLOWED = {"script", "style", "template", "noscript", "iframe", "object", "svg", "math", "textarea", "title", "select"}
SCHEMES = {"http", "https", "mailto"}
# of a style: no url(), no expression, no escape, and nothing that takes an element out of its place
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)(?=[\s/>]|$)")
_ATTRIBUTE = re.compile(r"""(?:^|[\s"'/])(href|style)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_VALUE = re.compile(r"[A-Za-z0-9#%.,() +-]{1,80}")
_CALL = re.compile(r"([A-Za-z-]+)\s*\(")
_CALLS = {"rgb", "rgba", "hsl", "hsla", "minmax"}
_STYLES = {
    "color", "background-color", "border", "border-left", "border-right", "border-top", "border-bottom", "border-radius",
    "border-collapse", "padding", "margin", "margin-top", "margin-bottom", "margin-left", "max-width", "line-height", "font-size",
    "font-weight", "font-style", "font-family", "text-align", "vertical-align", "white-space", "display", "gap", "align-items",
    "flex-wrap", "grid-template-columns", "opacity", "overflow-x",
}


@lru_cache(maxsize=1024)  # the cards of a cohort repeat
def clean(text: str) -> str | None:
    """The same HTML with only what is allowed; nothing when there is too much of it.

    Units: at most 100,000 characters, 5,000 tags, 30 levels
    """
    if len(text) > LONGEST or text.count("<") > MOST_TAGS:
        return None
    cleaner = _Cleaner()
    cleaner.feed(text)
    return cleaner.result()


def allowed_link(address: str) -> bool:
    """Whether a link may be followed: to a page or a mailbox, and nothing that runs."""
    bare = "".join(character for character in address if character.isprintable() and not character.isspace())
    try:
        return bare == address and urlsplit(bare).scheme.lower() in SCHEMES
    except ValueError:
        return False


class _Cleaner:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.open: list[tuple[str, str]] = []  # as it was written, as it comes out

    def feed(self, text: str) -> None:
        """Take the text apart at its tags; what looks like no tag is text."""
        at, lower = 0, text.lower()
        while (begin := text.find("<", at)) >= 0:
            self._text(text[at:begin])
            if text.startswith("<!--", begin):
                at = _after(text, "-->", begin)
                continue
            end = text.find(">", begin)
            found = _TAG.match(text, begin, end) if end >= 0 else None
            if found is None:
                self.parts.append("&lt;")
                at = begin + 1
                continue
            at = end + 1
            tag = found[2].lower()
            if tag in SWALLOWED and not found[1]:
                at = _after(text, ">", _after(lower, f"</{tag}", at))
            elif found[1]:
                self._close(tag)
            else:
                self._open(tag, text[found.end():end])
        self._text(text[at:])

    def result(self) -> str:
        """All of it, with what is open closed."""
        return "".join(self.parts) + "".join(f"</{out}>" for _, out in reversed(self.open))

    def _text(self, text: str) -> None:
        self.parts.append(escape(unescape(text)))

    def _open(self, tag: str, attributes: str) -> None:
        out = tag if tag in SAME else NEAREST.get(tag)
        if out is None or len(self.open) >= DEEPEST:
            return
        self.parts.append(f"<{out}{_attributes(out, attributes)}>")
        if tag in VOID:
            self.parts.append(f"</{out}>")
        else:
            self.open.append((tag, out))

    def _close(self, tag: str) -> None:
        if all(tag != written for written, _ in self.open):
            return
        while True:
            written, out = self.open.pop()
            self.parts.append(f"</{out}>")
            if written == tag:
                return


def _after(text: str, what: str, begin: int) -> int:
    """The place after the next `what`; the end of the text without one."""
    found = text.find(what, begin)
    return found + len(what) if found >= 0 else len(text)


def _attributes(tag: str, text: str) -> str:
    kept = {}
    for name, value in _ATTRIBUTE.findall(text[:LONGEST_TAG]):
        name, value = name.lower(), unescape(value.strip("\"'"))
        if name == "href" and tag == "a" and allowed_link(value):
            kept["href"], kept["rel"] = value, "noopener noreferrer"
        elif name == "style" and (style := _style(value)):
            kept["style"] = style
    return "".join(f' {name}="{escape(value)}"' for name, value in kept.items())


def _style(value: str) -> str:
    pairs = (part.split(":", 1) for part in value[:1000].split(";") if ":" in part)
    named = ((name.strip().lower(), text.strip()) for name, text in pairs)
    return ";".join(f"{name}:{text}" for name, text in named if name in _STYLES and _harmless(text))


def _harmless(text: str) -> bool:
    return bool(_VALUE.fullmatch(text)) and {name.lower() for name in _CALL.findall(text)} <= _CALLS
