"""Taking people out of a work: names, ids, e-mail addresses and home folders, out of text and out of a program's text.

In a program only comments and strings are changed: a student called Max must not lose `max`. What looks like a name in
the code itself is listed, for a person to look at.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass, replace

from breakthrough.grading.students import Student

GONE = "[removed]"
SHORTEST = 3  # characters of a name that is looked for
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_HOME = re.compile(r"(?:/(?:home|Users)(?:/[\w.@-]+)?|/root|[A-Za-z]:\\+Users\\+[\w.@ -]+)(?=[/\\\s'\"`)\],;:]|$)")
_URL = re.compile(r"https?://(?:www\.)?(?:github|gitlab|linkedin|huggingface)\.(?:com|co)/[\w.-]+\S*")
_TOKEN = re.compile(r"\w+(?:[.@-]\w+)*")
_WORD = re.compile(r"\w+")
_FSTRING, _FIELD = re.compile(r"[rR]?[fF][rR]?['\"]"), re.compile(r"(\{[^{}]*\})")  # one token before Python 3.12
_TEXT = {tokenize.COMMENT, tokenize.STRING, *(getattr(tokenize, name) for name in ("FSTRING_MIDDLE",) if hasattr(tokenize, name))}


@dataclass(frozen=True)
class People:
    """The names to take out: of everybody in the cohort's list, because a work may thank a neighbour.

    `names` as they are written, so that nobody called Will takes `will` from every text; `own`, in small letters, those of
    the author and all ids.
    """

    names: frozenset[str]
    own: frozenset[str]
    ids: frozenset[str]

    def of(self, author: Student) -> People:
        """The same for a work of this author, whose names go however they are written."""
        return replace(self, own=self.own | {name.lower() for name in _names(author)})

    def without(self, text: str) -> str:
        """A text without people."""
        for found in (_URL, _EMAIL):
            text = found.sub(GONE, text)
        return _TOKEN.sub(self._token, _HOME.sub("~", text))

    def without_in_code(self, source: str) -> str:
        """A program without people in its comments and strings; one that is no Python loses them everywhere."""
        try:
            tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        except (tokenize.TokenError, SyntaxError, ValueError):
            return self.without(source)
        starts = [0]
        for line in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        for token in reversed(tokens):
            if token.type in _TEXT:
                begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
                source = source[:begin] + self._without_in_token(source[begin:end]) + source[end:]
        return source

    def _without_in_token(self, text: str) -> str:
        if not _FSTRING.match(text):
            return self.without(text)
        return "".join(part if part.startswith("{") else self.without(part) for part in _FIELD.split(text))

    def suspects(self, source: str) -> list[str]:
        """Names in the code itself that have a student's id in them, for a person to look at."""
        words = {word for word in re.findall(r"\b[^\W\d]\w+\b", source) if len(word) > SHORTEST}
        parts = {word: {*word.lower().split("_"), word.lower()} for word in words}
        return sorted(word for word in words if parts[word] & self.ids)

    def _token(self, match: re.Match[str]) -> str:
        return GONE if self._named(match[0]) else _WORD.sub(lambda word: GONE if self._named(word[0]) else word[0], match[0])

    def _named(self, word: str) -> bool:
        return word in self.names or word.lower() in self.own


def people(students: Iterable[Student]) -> People:
    """The names of these students, as they may stand in a text."""
    listed = list(students)
    names = frozenset(name for one in listed for name in _names(one))
    ids = frozenset(one.id.lower() for one in listed if len(one.id) > SHORTEST and not one.id.isdigit())
    return People(names, ids, ids)


def _names(student: Student) -> set[str]:
    written = [name for name in (student.first_name, student.last_name) if name]
    found = {student.id, *written, "".join(written), *filter(None, (student.lms_user_id,))}
    found |= {word for name in written for word in _WORD.findall(name)}
    return {name for name in found if len(name) >= SHORTEST}
