"""A review alone: specimens made into a folder, and the score of the review written there."""

from __future__ import annotations

import time
from pathlib import Path

from breakthrough import events
from breakthrough.course import syllabus
from breakthrough.course.exchange import reviews, rubric as rubrics, scoring, sheet, specimens, works
from breakthrough.course.exchange.result_card import Card
from breakthrough.course.exchange.works import MANIFEST, Packet
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import InputError, expected
from breakthrough.language import counted

EVENT = "exchange"
HOME = "exchange"


def home(course: Syllabus, module: Module) -> Path:
    """Where a learner's review lies unless told otherwise."""
    return course.root / HOME / module.id


def prepare(course: Syllabus, module: Module, seed: int | None = None, out: Path | None = None, *, again: bool = False) -> tuple[Path, Path | None]:
    """Make three specimens and their notebooks; where they are, and where an older review was kept.

    A review that is there is never overwritten: `again` keeps it aside.

    Raises: InputError when there is a review already, or other files; UnknownNameError for a module without a rubric
    """
    rubric = rubrics.load(module.id)
    folder = out or home(course, module)
    there = (folder / MANIFEST).is_file()
    if there and not again:
        raise InputError(expected("no review in progress", f"the one in {folder}", f"opening {folder / sheet.REVIEW}, or --again for fresh specimens"))
    if not there and folder.is_dir() and any(folder.iterdir()):
        raise InputError(expected("a new or empty folder", f"{folder} with other files", "--out with another folder"))
    seed = _next_seed(module.id, folder) if seed is None else seed
    kept = _aside(folder) if there else None
    made = specimens.make(module.id, seed, rubric)
    packet = Packet(module=module.id, packet=f"solo-{seed}", seed=seed, code={one.name: dict(one.code) for one in made})
    sheet.write(folder, module.id, packet, {one.name: one for one in made}, rubric, module.title)
    return folder, kept


def score(folder: Path) -> Card:
    """Score the review in a folder, and log the first score of these specimens.

    Raises: InputError when there is no review, or its specimens cannot be made again
    """
    packet = works.read(folder)
    if packet.seed is None:
        raise InputError(expected("specimens made for you alone", f"{packet.packet}, which your instructor scores"))
    handed = reviews.read(folder / reviews.FILE)
    rubric = rubrics.load(packet.module)
    made = specimens.make(packet.module, packet.seed, rubric)
    if {one.name: dict(one.code) for one in made} != packet.code:
        hint = f"breakthrough exchange solo {packet.module} --again"
        raise InputError(f"{folder}: " + expected("specimens as this version of the course makes them", "others", hint))
    module = syllabus.load().find(packet.module)
    scored = scoring.score(handed, made, rubric, module.points.exchange)
    title = f"Review of {module.title}, specimens {packet.seed}"
    if scored.empty:
        return Card(scored, title)
    first = _first(packet)
    if first is not None:
        return Card(scored, title, f"The first score of these specimens stands: {counted(first, 'point')}. `breakthrough exchange solo {module.id} --again` makes fresh ones.")
    events.append(EVENT, module=module.id, points=scored.points, of=scored.of, seed=packet.seed, share=round(scored.share, 4))
    return Card(scored, title)


def _first(packet: Packet) -> float | None:
    """The first score of these specimens: after it their key is known."""
    own = (e for e in events.read() if e["kind"] == EVENT and e.get("module") == packet.module and e.get("seed") == packet.seed)
    return next((float(e["points"]) for e in own if isinstance(e.get("points"), (int, float))), None)


def _next_seed(module: str, folder: Path) -> int:
    """The first seed that neither the log nor a folder beside has."""
    used = {e.get("seed") for e in events.read() if e["kind"] == EVENT and e.get("module") == module}
    for manifest in folder.parent.glob(f"*/{MANIFEST}") if folder.parent.is_dir() else ():
        packet = works.read(manifest.parent)
        used |= {packet.seed} if packet.module == module else set()
    return next(seed for seed in range(1, 10**6) if seed not in used)


def _aside(folder: Path) -> Path:
    kept = folder.with_name(f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    folder.rename(kept)
    return kept
