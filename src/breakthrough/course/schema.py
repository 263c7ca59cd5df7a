"""What course.yml may say: the models of the syllabus. `syllabus.load` reads and validates it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from breakthrough.errors import UnknownNameError, expected, unknown
from breakthrough.language import ENGLISH

KINDS = ("lab", "exchange", "lesson")
ModuleId = Annotated[str, StringConstraints(pattern=r"^\d\d_[a-z][a-z0-9]*$")]
ClaimId = Annotated[str, StringConstraints(pattern=r"^C\d\d$")]
ExerciseName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*\.[a-z][a-z0-9_]*$")]
ArtifactKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(_Entry):
    """Hours or points over lab, exchange and lesson."""

    lab: Amount = 0
    exchange: Amount = 0
    lesson: Amount = 0

    @property
    def total(self) -> float:
        """The sum of the three."""
        return self.lab + self.exchange + self.lesson


class Exchange(_Entry):
    """How the exchange's points are shared: for one's reviews of others, and for one's own work as they see it.

    Units: per cent
    """

    reviews: Amount = 60
    work: Amount = 40


class Module(_Entry):
    """One module of the course.

    Units: hours in hours; `points` carry the grade; both are empty while `state` is planned; `early` are long
           notebooks that begin before others where several run at a time, so that none is left alone at the end
    """

    id: ModuleId
    title: Text
    room: Text
    state: Literal["built", "planned"] = "built"
    prerequisites: tuple[ModuleId, ...] = ()
    hours: Split = Split()
    points: Split = Split()
    exercises: tuple[ExerciseName, ...] = ()
    questions: tuple[ExerciseName, ...] = ()
    claims: tuple[ClaimId, ...] = ()
    takes: tuple[ArtifactKind, ...] = ()
    gives: tuple[ArtifactKind, ...] = ()
    early: tuple[Literal["lesson", "lab"], ...] = ()

    @property
    def built(self) -> bool:
        """Whether the module is there, as against planned."""
        return self.state == "built"

    @property
    def has_lab(self) -> bool:
        """Whether there is an assignment: a module without exercises is a lesson alone."""
        return self.built and bool(self.exercises)


class Claim(_Entry):
    """One claim of the article the course grew from."""

    id: ClaimId
    claim: Text
    where: Text
    measures: Text


class Syllabus(_Entry):
    """The whole of course.yml, and the folder it lies in."""

    title: Text
    subtitle: Text
    shape: Split
    exchange: Exchange = Exchange()
    modules: tuple[Module, ...]
    claims: tuple[Claim, ...]
    root: Path = Path()

    @cached_property
    def built(self) -> tuple[Module, ...]:
        """The modules that are there, in order."""
        return tuple(module for module in self.modules if module.built)

    @cached_property
    def exercises(self) -> tuple[str, ...]:
        """The names of all exercises and questions, in course order."""
        return tuple(name for m in self.modules for name in (*m.exercises, *m.questions))

    @cached_property
    def labs(self) -> tuple[Module, ...]:
        """The modules that have an assignment, in order."""
        return tuple(module for module in self.built if module.has_lab)

    def find(self, name: str, offer: Sequence[Module] | None = None) -> Module:
        """The module with this id, number or room, or whose id or room begins so: 01_moe, 01, moe.

        Raises: UnknownNameError when none fits, or more than one; it names those to offer, all if not given
        """
        exact = [m for m in self.modules if name in (m.id, m.id[:2], m.room)]
        near = exact or [m for m in self.modules if name and (m.id.startswith(name) or m.room.startswith(name))]
        if not near:
            ids = [m.id for m in offer or self.modules]
            likely = difflib.get_close_matches(name, ids, n=3, cutoff=0.4) or ids
            raise UnknownNameError(expected("the name of a known module", repr(name), " or ".join(likely)))
        if len(near) > 1:
            raise UnknownNameError(expected("the name of one module", repr(name), " or ".join(m.id for m in near)))
        return near[0]

    def find_built(self, name: str, offer: Sequence[Module] | None = None) -> Module:
        """Like `find`, for a module that is there.

        Raises: UnknownNameError also when the module is only planned; it names those to offer, all built if not given
        """
        module = self.find(name, offer or self.built)
        if not module.built:
            ready = " or ".join(m.id for m in offer or self.built)
            raise UnknownNameError(expected("a module that is built", f"{module.id}, in preparation", ready))
        return module

    def find_claim(self, name: str) -> Claim:
        """The claim with this id.

        Raises: UnknownNameError when there is none
        """
        for claim in self.claims:
            if claim.id == name:
                return claim
        raise unknown("claim", name, [claim.id for claim in self.claims])

    def owner(self, exercise: str) -> Module:
        """The module an exercise or question belongs to.

        Raises: UnknownNameError when no module has it
        """
        for module in self.modules:
            if exercise in (*module.exercises, *module.questions):
                return module
        raise unknown("exercise", exercise, self.exercises)

    def lesson(self, module: Module) -> Path:
        """Where the module's lesson lies."""
        return self.root / "notebooks" / f"{module.id}.ipynb"

    def solution(self, module: Module) -> Path:
        """Where the master of the module's lab lies."""
        return self.root / "solutions" / module.id / f"{module.id}.ipynb"

    def lab(self, module: Module, language: str = ENGLISH) -> Path:
        """Where the module's released lab lies, in a language: the learner's own file."""
        home = self.root if language == ENGLISH else self.root / language
        return home / "labs" / module.id / f"{module.id}.ipynb"
