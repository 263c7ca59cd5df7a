"""The report of a run: one page that needs nothing beside it. Everything on it is escaped."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.course import claims, grade, notebooks, runs
from breakthrough.course.charts import module_points, shares
from breakthrough.errors import NotebookError
from breakthrough.language import counted

TEMPLATE = "report.html.j2"
IMAGES = ("image/svg+xml", "image/png", "image/jpeg")  # the first of an output that is there


@dataclass(frozen=True)
class Picture:
    """One figure of an executed notebook; `alt` are its own words, or its caption where it has none."""

    caption: str
    uri: str
    alt: str = ""


def write(plan: runs.Plan) -> Path:
    """Write build/report/index.html from the last run of a profile, aside and then renamed; its path."""
    target = (plan.build or plan.course.root / "build") / "report" / "index.html"
    files.write_text(target, render(plan))
    return target


def render(plan: runs.Plan) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    jinja = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
                        trim_blocks=True, lstrip_blocks=True)
    jinja.filters.update(plain=lambda number: f"{number:g}", counted=counted, duration=duration)
    found = runs.load_results(plan)
    results = list(found.values())
    records = [record for result in results for record in result.claims.values()]
    return jinja.get_template(TEMPLATE).render(
        plan=plan, course=plan.course, results=results, failed=[r for r in results if not r.whole],
        ledger=claims.ledger(plan.course, records), signs={name: sign for name, (sign, _) in claims.VERDICTS.items()},
        grade=grade.of(plan.course, _scores(plan, results)), shares_svg=shares(plan.course), modules_svg=module_points(plan.course, results),
        figures=list(_figures(plan, found)), environment=_environment(plan),
    )


def pictures(notebook: notebooks.Notebook) -> Iterator[Picture]:
    """The images in a notebook's outputs, each captioned by the heading above it."""
    heading, count = "", 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            for line in _headings(cell["source"]):
                heading, count = line, 0
        for output in cell.get("outputs", []):
            mime = next((mime for mime in IMAGES if mime in output.get("data", {})), None)
            if mime is not None:
                count += 1
                caption = heading or "Figure"
                caption = caption if count == 1 else f"{caption} ({count})"
                yield Picture(caption, _uri(mime, output["data"][mime]), notebooks.alt(output) or caption)


def duration(seconds: float) -> str:
    """Seconds as people read them: `48 s`, `3 min 20 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 90 else f"{whole // 60} min {whole % 60:02d} s"


def _scores(plan: runs.Plan, results: list[runs.Result]) -> dict[str, dict[str, grade.Score]]:
    """What the run earned: of a notebook that was not run, nothing is known."""
    found: dict[str, dict[str, grade.Score]] = {}
    for one in results:
        of = getattr(plan.course.find(one.module).points, one.kind)
        found.setdefault(one.module, {})[one.kind] = grade.Score(min(one.points, of), of, of)
    return found


def _figures(plan: runs.Plan, found: dict[str, runs.Result]) -> Iterator[tuple[str, list[Picture]]]:
    for task in plan.tasks():
        if task.name not in found or not task.target.is_file():
            continue
        try:
            group = list(pictures(notebooks.read(task.target)))
        except NotebookError:  # damaged after the run: its line in the table still stands
            continue
        if group:
            yield task.name, group


def _headings(markdown: str) -> Iterator[str]:
    fenced = False
    for line in markdown.splitlines():
        fenced ^= line.startswith("```")
        if not fenced and re.match(r"#{1,6} ", line):
            yield re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`]", r"\1", line.lstrip("# ")).strip()


def _uri(mime: str, data: str | list[str]) -> str:
    text = data if isinstance(data, str) else "".join(data)
    if mime == "image/svg+xml":
        text = base64.b64encode(text.encode()).decode()
    return f"data:{mime};base64," + re.sub(r"\s+", "", text)


def _environment(plan: runs.Plan) -> dict[str, Any]:
    try:
        return json.loads((plan.folder / runs.ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"run": "none yet"}
