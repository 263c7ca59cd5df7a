"""The model card and the data sheet of a line, in Markdown, written from its facts. What a name holds is escaped.

Source: Mitchell et al. 2019, "Model cards for model reporting"; Gebru et al. 2021, "Datasheets for datasets"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.capstone.facts import facts_of
from breakthrough.capstone.line import Line
from breakthrough.capstone.report import environment
from breakthrough.capstone.spec import Spec
from breakthrough.scenes import ranges
from breakthrough.scenes.spec import DEFECTS

MODEL_CARD, DATA_SHEET = "model_card.md", "data_sheet.md"
PARTS = ("train", "valid", "test", "traced")


def write(line: Line, folder: str | Path, facts: Mapping[str, Any] | None = None) -> tuple[Path, Path]:
    """Write both cards into a folder, aside and then renamed. Their paths, the model card first.

    Raises: as `facts_of`
    """
    found = facts_of(line) if facts is None else facts
    targets = Path(folder) / MODEL_CARD, Path(folder) / DATA_SHEET
    for target, text in zip(targets, (model_card(line, found), data_sheet(line, found))):
        files.write_text(target, text)
    return targets


def model_card(line: Line, facts: Mapping[str, Any] | None = None) -> str:
    """What the served net is, for whom, and how well it does, by factory and by defect.

    Raises: as `facts_of`
    """
    return _render(f"{MODEL_CARD}.j2", line, facts)


def data_sheet(line: Line, facts: Mapping[str, Any] | None = None) -> str:
    """What the pictures are, how they were made, from which ranges and seeds.

    Raises: as `facts_of`
    """
    return _render(f"{DATA_SHEET}.j2", line, facts)


def cell(text: object) -> str:
    """A text that stands in a table of Markdown as it is."""
    return re.sub(r"([\\|`*_\[\]#])", r"\\\1", " ".join(str(text).split()))


def sources(spec: Spec) -> list[dict[str, Any]]:
    """What every part of every factory was made from: number of pictures, renderer, samples a pixel, seed."""
    found = []
    for name in spec.names:
        for part in PARTS:
            one = spec.settings(name, part)
            samples = one.spp if one.renderer == "pathtrace" else one.supersample**2
            found.append({"factory": name, "part": part, "count": one.n, "renderer": one.renderer, "samples": samples, "seed": one.seed})
    return found


def ranges_alike(spec: Spec) -> list[tuple[str, str, str]]:
    """Rows of name, value and unit of what varies alike in all factories."""
    return [rows[0] for rows in _rows(spec) if len(set(rows)) == 1]


def ranges_apart(spec: Spec) -> list[tuple[str, tuple[str, ...], str]]:
    """Rows of name, a value for each factory, and unit, of what sets the factories apart."""
    return [(rows[0][0], tuple(row[1] for row in rows), rows[0][2]) for rows in _rows(spec) if len(set(rows)) > 1]


def _rows(spec: Spec) -> list[tuple[tuple[str, str, str], ...]]:
    # the mix of defects has a table of its own
    return list(zip(*(ranges.table(replace(one.ranges, defects=DEFECTS)) for one in spec.factories)))


def _render(template: str, line: Line, facts: Mapping[str, Any] | None) -> str:
    found = facts_of(line) if facts is None else facts
    jinja = environment()
    jinja.filters["cell"] = cell
    spec = line.spec
    return jinja.get_template(template).render(
        facts=found, measured=found["measured"], sources=sources(spec), alike=ranges_alike(spec), apart=ranges_apart(spec), served=found["versions"][-1]
    )
