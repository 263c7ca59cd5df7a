"""The report of a line: one page that needs nothing beside it. Everything on it is escaped."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from breakthrough import files
from breakthrough.capstone import figures, picture_figures, wording
from breakthrough.capstone.cost import Assumptions
from breakthrough.capstone.facts import facts_of
from breakthrough.capstone.figures import TITLES
from breakthrough.capstone.line import DOMAINS, LINE, SYNTHETIC, Line

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

TEMPLATE, NAME = "report.html.j2", "report.html"
ABLATION = Path(__file__).parent / "ablation.json"
DOTS = 150  # an inch: sharp on screens of two dots a pixel


@dataclass(frozen=True)
class Image:
    """A figure as it stands in the page, with the words for those who do not see it.

    Units: width_px at which its text is of the size of the page's
    """

    uri: str
    alt: str
    width_px: int


def write(line: Line, path: str | Path, lineage: str = "", assumptions: Assumptions | None = None, facts: Mapping[str, Any] | None = None) -> Path:
    """Write the report aside, then rename it; into a folder under its own name. Its path.

    Raises: as `render`
    """
    target = Path(path)
    target = target / NAME if target.is_dir() else target
    files.write_text(target, render(line, lineage, assumptions, facts))
    return target


def render(line: Line, lineage: str = "", assumptions: Assumptions | None = None, facts: Mapping[str, Any] | None = None) -> str:
    """The page as text.

    `lineage` is preformatted text of where the served net came from. `facts` may be given where they were worked out
    already, with the same assumptions.

    Raises: as `facts_of`
    """
    assumptions = assumptions or Assumptions()
    found = facts_of(line, assumptions) if facts is None else facts
    page = environment().get_template(TEMPLATE)
    return page.render(ablation=ablation(), facts=found, measured=found["measured"], images=_images(line, found), assumptions=assumptions.table(), lineage=lineage)


def ablation(path: Path = ABLATION) -> dict[str, Any] | None:
    """What `benchmarks/capstone.py` measured of where the path-traced accuracy comes from; None where it has not been."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def environment() -> Environment:
    """The templates of this room, with the words that facts are told in; what is not marked as safe is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    source = FileSystemLoader(Path(__file__).parent)
    jinja = Environment(loader=source, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    jinja.filters.update(wording.FILTERS)
    jinja.globals.update(wording.SENTENCES | {"domains": DOMAINS, "titles": TITLES, "kind_of": wording.KIND_OF, "synthetic": SYNTHETIC, "traced": LINE})
    return jinja


def data_uri(figure: Figure, dpi: int = DOTS) -> str:
    """A figure as a PNG within an address; the same bytes for the same figure."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=dpi, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()


def _image(figure: Figure, alt: str, dpi: int = DOTS) -> Image:
    return Image(data_uri(figure, dpi), alt, round(100 * figure.get_figwidth()))


def _images(line: Line, facts: Mapping[str, Any]) -> dict[str, Any]:
    served = {domain: wording.interval(facts["accuracy"][domain][facts["versions"][-1]]["all"]) for domain in DOMAINS}
    both = "; ".join(f"{TITLES[domain]} {share}" for domain, share in served.items())
    charts = {
        "accuracy": (figures.draw_accuracy, f"Dots with intervals: accuracy by factory and version. Of all factories, as served: {both}."),
        "recall": (figures.draw_recall, "Dots with intervals: recall of each defect on either domain. " + " ".join(wording.hardest(facts, domain) for domain in DOMAINS)),
        "confusion": (figures.draw_confusion, "Two tables of counts, what pictures show against what was said. " + " ".join(wording.mistake(facts, domain) for domain in DOMAINS)),
        "gap": (figures.draw_gap, f"Dots with intervals: the reality gap by factory and class. {wording.gap(facts)}"),
        "tradeoff": (figures.draw_tradeoff, "Curves of defects stopped against false alarms, with three thresholds marked. " + " ".join(wording.at_goal(facts, domain) for domain in DOMAINS)),
        "load": (figures.draw_load, f"Throughput and latency by clients at once. {wording.loaded(facts)}"),
    }
    found: dict[str, Any] = {name: _image(draw(facts), alt) for name, (draw, alt) in charts.items()}
    sheet = "Pictures by factory and class, a synthetic one above a path-traced one, with each defect outlined."
    found["contact"] = _image(picture_figures.draw_contact_sheet(line), sheet, 110)
    found["errors"] = {
        domain: _image(picture_figures.draw_errors(line, facts, domain), f"Pictures named wrongly, defects outlined. {wording.mistake(facts, domain)}", 110)
        for domain in DOMAINS
        if facts["errors"][domain]["count"]
    }
    return found
