"""The language in which learners are spoken to: English, and others from a catalogue of messages.

Exercises say everything in English, and records keep it. A text is translated when it is shown, by the text itself.
Where it was made with values in it ("4 of 12 values differ"), the values are read back out of it by the catalogue's
template ("{n} of {total} values differ") and set into the translation. What has no translation stays English.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from breakthrough.errors import ConfigError, expected

VARIABLE = "BREAKTHROUGH_LANG"
ENGLISH = "en"
FOLDER = Path(__file__).parent / "languages"
TEMPLATE = "python-brace-format"  # gettext's own flag for a message with {values} in it
PLACE = re.compile(r"\{[^{}]*\}")
HAN = "\u3400-\u9fff"
_WITHIN = re.compile(rf"(?<=[{HAN}]) (?=[{HAN}])")
_BETWEEN = re.compile(rf"(?<=[{HAN}])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[{HAN}])")


def counted(number: float, noun: str, plural: str = "") -> str:
    """A number with its noun, in English: `1 student`, `2 students`, `0 entries`."""
    return f"{number:g} {noun}" if number == 1 else f"{number if isinstance(number, int) else format(number, 'g')} {plural or noun + 's'}"


def known() -> tuple[str, ...]:
    """The languages there are, English first."""
    return (ENGLISH, *sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir()))


def cleaned(name: str) -> str:
    """The short name of a language: zh of zh_CN.UTF-8, zh-CN or zh.

    Raises: ConfigError for one that is not there
    """
    short = re.split(r"[-_.]", name.strip().lower())[0] or ENGLISH
    if short not in known():
        raise ConfigError(expected(f"a language out of {', '.join(known())}", repr(name)))
    return short


def current() -> str:
    """The language in force: $BREAKTHROUGH_LANG, else English.

    Raises: ConfigError when it is set to a language that is not there
    """
    return cleaned(os.environ.get(VARIABLE, ""))


def use(name: str) -> None:
    """Speak a language from here on, in this process and those that it starts.

    Raises: ConfigError for one that is not there
    """
    os.environ[VARIABLE] = cleaned(name)


def say(text: str) -> str:
    """A text in the language in force, as it stands when there is no translation."""
    language = current()
    return text if language == ENGLISH or not text.strip() else _said(text, catalogue(language))


@dataclass(frozen=True)
class Template:
    """A message with values: how to read them out of an English text, and the translation they go into."""

    pattern: re.Pattern[str]
    places: tuple[str, ...]
    translation: str


@dataclass(frozen=True)
class Catalogue:
    """The messages of one language: whole texts, and templates with the most literal first."""

    texts: dict[str, str]
    templates: tuple[Template, ...]


@cache
def catalogue(language: str) -> Catalogue:
    """The messages of a language, from its files in gettext's format; what is marked as fuzzy is left out."""
    import polib

    texts, found = {}, []
    for path in sorted((FOLDER / language).glob("*.po")):
        for entry in polib.pofile(str(path), encoding="utf-8"):
            if not entry.msgstr or entry.fuzzy or entry.obsolete:
                continue
            if TEMPLATE in entry.flags:
                found.append((len(PLACE.sub("", entry.msgid)), template(entry.msgid, entry.msgstr)))
            else:
                texts[entry.msgid] = entry.msgstr
    return Catalogue(texts, tuple(one for _, one in sorted(found, key=lambda pair: -pair[0])))


def template(english: str, translation: str) -> Template:
    """The template of a message: each {place} matches anything, and the same everywhere it stands."""
    places: list[str] = []
    pattern = ""
    for literal, place in _pieces(english):
        pattern += re.escape(literal)
        if place and place in places:
            pattern += rf"(?P=v{places.index(place)})"
        elif place:
            pattern += rf"(?P<v{len(places)}>.*?)"
            places.append(place)
    return Template(re.compile(pattern, re.DOTALL), tuple(places), translation)


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    for found in PLACE.finditer(text):
        yield text[at : found.start()], found[0]
        at = found.end()
    yield text[at:], ""


def _said(text: str, messages: Catalogue) -> str:
    for known in (text, text[:1].lower() + text[1:]):  # "Six factories" begins with the message "six"
        if known in messages.texts:
            return messages.texts[known]
    head, colon, rest = text.partition(": ")
    # "the output: 4 of 12 values differ" is two texts: a value that reaches over a colon is tried last
    found = _filled(text, messages, whole=bool(colon))
    if found is None and colon:
        parts = [_said(part, messages) for part in (head, rest)]
        found = "：".join(parts) if parts != [head, rest] else _filled(text, messages, whole=False)
    return text if found is None else found


def _filled(text: str, messages: Catalogue, whole: bool) -> str | None:
    """The translation by the first template that fits, with the values set in; with `whole`, of values without a colon in them."""
    for one in messages.templates:
        found = one.pattern.fullmatch(text)
        if found and not (whole and any(": " in value for value in found.groups())):
            # a value may be a message of its own ("the output")
            values = {place: _said(found[f"v{i}"], messages) for i, place in enumerate(one.places)}
            return _spaced(_set_in(one.translation, values))
    return None


def _set_in(template: str, values: Mapping[str, str]) -> str:
    return PLACE.sub(lambda place: values.get(place[0], place[0]), template)


def _spaced(text: str) -> str:
    """A space where a value brought Chinese and Latin together, and none within Chinese: which it is, is not known before."""
    return _BETWEEN.sub(" ", _WITHIN.sub("", text))
