"""A learner's account of the experiment, out of the lab: the sections under `## Your account`, which reviewers read.

The lab asks for each section in a line of italics; what the learner writes stands below it, or in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

HEADING = "your account"
LONGEST = 6_000  # characters of one section: a reviewer has half an hour for a work
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_PROMPT = re.compile(r"^\s*\*[^*].*\*\s*$")


def account(texts: Iterable[str], sections: Sequence[str]) -> dict[str, str]:
    """The account in the texts of a notebook's Markdown cells, by section; empty text for a section that is not there.

    Cells that follow the heading belong to it up to the next heading of its level.
    """
    found: dict[str, list[str]] = {name: [] for name in sections}
    depth, current = 0, ""
    for line in _lines(texts):
        if heading := _HEADING.match(line):
            level, title = len(heading[1]), heading[2].casefold()
            if HEADING in title:
                depth, current = level, ""
                continue
            if depth and level <= depth:
                depth = 0
            named = next((name for name in sections if title.startswith(name)), "") if depth else ""
            if named:
                current = named
                continue
        if depth and current and not _PROMPT.match(line):
            found[current].append(line)
    return {name: "\n".join(lines).strip()[:LONGEST] for name, lines in found.items()}


def _lines(texts: Iterable[str]) -> Iterable[str]:
    fenced = False
    for text in texts:
        for line in text.splitlines():
            fenced ^= line.lstrip().startswith("```")
            # a comment in a block of code begins like a heading
            yield f" {line}" if fenced and line.startswith("#") else line
        fenced = False
        yield ""
