"""What a translation must not lose or change: shape, code, links, numbers, formulas, tags, places; and how Chinese is set.

The shape is read by a Markdown parser: the same headings, paragraphs, lists of so many items, tables of so many cells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from breakthrough import language
from breakthrough.course.translation.units import CODE_KINDS, FENCE, MESSAGE, PROSE, TEMPLATE, WORD, Unit, without_comments

SYMBOLS = re.compile(r"[=≈≤≥<>±×÷√Σ∑∏⌈⌉⌊⌋→←↵·²³⁻¹½¼¾ₑᵢ−]")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
IDENTIFIER = re.compile(r"\b[A-Za-z]\w*(?:_\w+)+|\b[A-Za-z]\w*(?:\.[A-Za-z_]\w*)+|\b[A-Za-z_]\w*(?=\()")
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
WORDS = ("{('", "{_name(", "{LADDER[")  # places for words, which may be Chinese
LONG = 4  # English words after which a translation without a Chinese character is none

_STYLE = (
    (re.compile(rf"[{language.HAN}][,.;:?!](?![\w.])"), "half-width punctuation after Chinese"),
    (re.compile(rf"[,;?!]\s?[{language.HAN}]"), "half-width punctuation before Chinese"),
    (re.compile(rf"\([^()]*[{language.HAN}][^()]*\)"), "half-width brackets around Chinese"),
    (re.compile(rf"[{language.HAN}][A-Za-z0-9]|[A-Za-z0-9%][{language.HAN}]"), "no space between Chinese and Latin or digits"),
    (re.compile(r"[^\S\n][，。；：？！、（）“”]|[，。；：？！、（）][^\S\n](?!\|)"), "a space beside full-width punctuation"),
    (re.compile(rf"[{language.HAN}][\"']|[\"'][{language.HAN}]"), "straight quotes beside Chinese"),
)


def faults(unit: Unit, translation: str, to: str = "zh") -> Iterator[str]:
    """What is wrong with the translation of a unit: a sentence for each fault."""
    if unit.kind == FENCE:
        yield from _differs("code", lambda text: without_comments(text).split("\n"), unit.text, translation)
        return
    if unit.kind == PROSE:
        yield from _differs("shape", _shape, unit.text, translation)
        yield from _differs("emphasis marks that are not rendered", _stray, unit.text, translation)
    for what, read in _KEPT.items():
        if what != "identifiers" or unit.kind in (*CODE_KINDS, PROSE):
            yield from _differs(what, read, unit.text, translation)
    if unit.kind == TEMPLATE:
        yield from _differs("places", _places, unit.text, translation)
    if to == "zh":
        yield from _chinese(unit, translation)


def style(text: str, pseudocode: bool = False) -> Iterator[str]:
    """What is set wrongly in a Chinese text: punctuation, brackets, quotes, spaces; each with its place.

    Pseudocode keeps the punctuation of code.
    """
    placed = language.PLACE.sub(lambda place: "○" if place[0].startswith(WORDS) else "x", text)  # `say` sets the space
    placed = re.sub(r"([。？！，：）”])(\*+) ", r"\1", placed)  # CommonMark closes no emphasis between a mark and a letter, so a space has to stand
    bare = re.sub(r"[*\[\]]", "", TAG.sub("", LINK.sub("]", CODE.sub("x", placed))))
    for pattern, says in _STYLE[3:5] if pseudocode else _STYLE:
        for found in pattern.finditer(bare):
            around = bare[max(0, found.start() - 8) : found.end() + 8].replace("\n", " ")
            yield f"{says}: …{around}…"


def _chinese(unit: Unit, translation: str) -> Iterator[str]:
    words = WORD.findall(TAG.sub("", CODE.sub("", language.PLACE.sub("", unit.text))))
    if len(words) >= LONG and not re.search(f"[{language.HAN}]", translation):
        yield "no Chinese in it"
    yield from style(translation, unit.kind in (MESSAGE, TEMPLATE) and "\n" in unit.text)


def _differs(what: str, read: Callable[[str], object], source: str, translation: str) -> Iterator[str]:
    want, got = read(source), read(translation)
    if want == got:
        return
    if isinstance(want, Counter) and isinstance(got, Counter):
        lost, added = (", ".join(map(str, (a - b).elements())) for a, b in ((want, got), (got, want)))
        told = [f"{name} {text}" for name, text in (("lost", lost), ("added", added)) if text]
        yield f"{what}: {'; '.join(told)}"
    else:
        yield f"{what}: expected {want}, got {got}"


def _places(text: str) -> Counter[str]:
    """The places of a template; English plurals, {'s' * many}, may be left out."""
    return Counter(place for place in set(language.PLACE.findall(text)) if not place.startswith("{'s'"))


def _bare(text: str) -> str:
    """A text without code, links' addresses and tags, which are compared by themselves."""
    return TAG.sub(" ", LINK.sub("] ", CODE.sub(" ", language.PLACE.sub(" ", text))))


_KEPT: dict[str, Callable[[str], Counter[str]]] = {
    "code spans": lambda text: Counter(found[2] for found in CODE.finditer(text)),
    "links": lambda text: Counter(LINK.findall(text)),
    "tags": lambda text: Counter(TAG.findall(CODE.sub("", text))),
    "numbers": lambda text: Counter(NUMBER.findall(_bare(text))),
    "formulas": lambda text: Counter(SYMBOLS.findall(_bare(text))),
    "identifiers": lambda text: Counter(IDENTIFIER.findall(_bare(text))),
}


def _shape(text: str) -> list[str]:
    return [f"{token.type} {token.tag}".strip() for token in _parsed(text) if token.block and token.type != "inline"]


def _stray(text: str) -> int:
    """How many emphasis marks a reader would see: `**` closes nothing between a bracket and a Chinese character."""
    inline = (child for token in _parsed(text) for child in token.children or ())
    return sum(child.content.count("*") for child in inline if child.type == "text")


def _parsed(text: str):
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").parse(text)
