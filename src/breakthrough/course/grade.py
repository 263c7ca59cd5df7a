"""The grade: labs, exchange and lessons weighed as course.yml says, 70/20/10. The one place where it is computed.

What is not there yet counts for nothing and is named: a grade of 60% with a fifth of the course still open is another
thing than a grade of 60%.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from breakthrough.course.schema import KINDS, Module, Syllabus


@dataclass(frozen=True)
class Score:
    """What is known of one module's points of one kind.

    Units: points; `earned` of the `there` that were attempted, handed in or read, out of the `of` that there are
    """

    earned: float
    there: float
    of: float

    @property
    def open(self) -> float:
        """The points of which nothing is known yet."""
        return max(0.0, self.of - self.there)


@dataclass(frozen=True)
class Part:
    """One kind's share of the grade: lab, exchange or lesson, over all modules that count.

    Units: `weight`, `percent` and `open_percent` in per cent of the grade; the score in points
    """

    kind: str
    weight: float
    score: Score
    missing: tuple[str, ...]  # modules of which nothing of this kind is there

    @property
    def percent(self) -> float:
        """What this kind gives to the grade."""
        return self.weight * self.score.earned / self.score.of if self.score.of else 0.0

    @property
    def open_percent(self) -> float:
        """What it may still give."""
        return self.weight * self.score.open / self.score.of if self.score.of else 0.0


@dataclass(frozen=True)
class Grade:
    """A grade, and what it is made of.

    Units: per cent of the whole course, or of the modules that it is of
    """

    parts: tuple[Part, ...]

    @property
    def percent(self) -> float:
        """What is earned; what is open counts for nothing."""
        return sum(part.percent for part in self.parts)

    @property
    def open_percent(self) -> float:
        """What is not there yet: nobody knows whether it will be earned."""
        return sum(part.open_percent for part in self.parts)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.open_percent < 1e-9

    def line(self) -> str:
        """The grade as a sum; in a second line what is missing, if anything is."""
        sums = " + ".join(f"{part.weight:g}% × {part.score.earned:g}/{part.score.of:g} ({part.kind})" for part in self.parts)
        return f"grade: {self.percent:.1f}% = {sums}" + ("" if self.whole else f"\n{self.missing_line()}")

    def missing_line(self) -> str:
        """What is not there yet, and how much of the grade that is; empty when nothing is missing."""
        if self.whole:
            return ""
        named = [f"{part.kind} {_named(part)}" for part in self.parts if part.score.open > 1e-9]
        return f"{self.open_percent:.1f}% of it not there yet: {'; '.join(named)}"


def of(course: Syllabus, scores: Mapping[str, Mapping[str, Score]], modules: Iterable[Module] | None = None) -> Grade:
    """The grade from scores by module and kind. A score that is not given is missing: nothing is known of it.

    Kinds without points in these modules have no weight, and the others share it.
    """
    chosen = tuple(course.built if modules is None else modules)
    there = [kind for kind in KINDS if _of(chosen, kind) and getattr(course.shape, kind)]
    whole = sum(getattr(course.shape, kind) for kind in there)
    return Grade(tuple(_part(kind, 100 * getattr(course.shape, kind) / whole, chosen, scores) for kind in there))


def _part(kind: str, weight: float, modules: tuple[Module, ...], scores: Mapping[str, Mapping[str, Score]]) -> Part:
    counted = [module for module in modules if getattr(module.points, kind)]
    found = {module.id: _in_points(scores.get(module.id, {}).get(kind), getattr(module.points, kind)) for module in counted}
    earned, there = sum(one.earned for one in found.values()), sum(one.there for one in found.values())
    missing = tuple(name for name, one in found.items() if one.there <= 0)
    return Part(kind, weight, Score(earned, there, _of(modules, kind)), missing)


def _in_points(score: Score | None, points: float) -> Score:
    """A score in the module's own points: a gradebook may have given a lab others."""
    if score is None or not score.of:
        return Score(0.0, 0.0, points)
    scale = points / score.of
    return score if scale == 1 else Score(scale * score.earned, scale * score.there, points)


def _of(modules: Iterable[Module], kind: str) -> float:
    return sum(getattr(module.points, kind) for module in modules)


def _named(part: Part) -> str:
    """How many points are open, and the modules of which nothing is there."""
    names = part.missing if len(part.missing) <= 3 else (f"{part.missing[0]} to {part.missing[-1]}",)
    every = f", nothing of {', '.join(names)}" if names else ""
    return f"{part.score.open:g} of {part.score.of:g} points{every}"
