"""What is handed over with a line: the report, the two cards, the facts that they tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from breakthrough import files, lineage
from breakthrough.capstone import cards, report, wording
from breakthrough.capstone.facts import facts_of
from breakthrough.capstone.line import Line

FACTS = "facts.json"


def deliver(line: Line, folder: Path) -> Iterator[str]:
    """Write report.html, model_card.md, data_sheet.md and facts.json to a folder; the answer in words, and where they lie."""
    facts = facts_of(line)
    chain = "\n".join(lineage.lines(lineage.trace(line.artifacts["line"])))
    yield from wording.summary(facts)
    yield str(report.write(line, folder / "report.html", lineage=chain, facts=facts))
    yield from map(str, cards.write(line, folder, facts=facts))
    files.write_text(folder / FACTS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    yield str(folder / FACTS)
