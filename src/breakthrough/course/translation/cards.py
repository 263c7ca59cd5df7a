"""The cards that a lesson's kept outputs show: questions, hints and unanswered checks, shown again in another language.

A question is that of the standard learner, as on the web. What cannot be made again without running the lesson stays.
"""

from __future__ import annotations

import os
import re
from typing import Any

from breakthrough import language as languages
from breakthrough.course.notebooks import CHECK_MIME, Cell, Notebook

HINT = re.compile(r"([a-z]+\.\w+), hint (\d) of \d")


def reshown(notebook: Notebook, language: str) -> None:
    """Make the cards in a notebook's outputs again in a language, in place."""
    before = os.environ.get(languages.VARIABLE)
    languages.use(language)
    try:
        for cell in notebook["cells"]:
            for output in cell.get("outputs", ()):
                if "text/html" in output.get("data", {}):
                    output["data"] |= _again(cell, output["data"])
    finally:
        os.environ.pop(languages.VARIABLE)
        if before is not None:
            os.environ[languages.VARIABLE] = before


def _again(cell: Cell, data: dict[str, Any]) -> dict[str, Any]:
    from breakthrough.exercises import card, load, statement
    from breakthrough.exercises.judge import NOT_ATTEMPTED, Verdict

    plain = "".join(data.get("text/plain", ""))
    asked, hinted, record = re.match(r"\? (\S+): ", plain), HINT.match(plain), data.get(CHECK_MIME)
    if asked:
        return statement.bundle(load(asked[1]).redraw(""), "")
    if hinted:
        return card.hint_bundle(load(hinted[1]), int(hinted[2]))
    if record and record["status"] == NOT_ATTEMPTED:
        return card.bundle(Verdict(load(record["exercise"]), NOT_ATTEMPTED, None), 1)
    return {}
