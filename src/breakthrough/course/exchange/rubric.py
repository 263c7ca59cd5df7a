"""A module's rubric: what a reviewer looks at, with anchored levels; and the account of an experiment that specimens tell.

Data in `rubrics/<module>.yml`, validated here. Every rubric asks about the experiment as well as about the code.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from breakthrough.errors import ConfigError, expected, unknown

LEVELS = 5  # 0 to 4
CODE = "code"  # the criterion that every rubric has: does the code compute what it says?
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]*$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Criterion(_Entry):
    """One question of a rubric, with what each level looks like: levels[0] is level 0, and so on to 4.

    `where` are headings of the lab: those of sections between semicolons, › before one within, remarks in brackets.
    Units: `weight` as against the other criteria's
    """

    id: Name
    title: Text
    asks: Text
    where: Text
    levels: Annotated[tuple[Text, ...], Field(min_length=LEVELS, max_length=LEVELS)]
    weight: Annotated[float, Field(gt=0)] = 1.0


class Flaw(_Entry):
    """A way in which an experiment goes wrong: the sections that read otherwise, and the level its criterion then has.

    `section` is where it shows, one of those that change: the evidence for it. It is a flaw of the experiment, so never of the code.
    """

    kind: Text
    criterion: Name
    level: Annotated[int, Field(ge=0, le=LEVELS - 2)]
    section: Name
    changes: dict[Name, Text]
    says: Text

    @model_validator(mode="after")
    def _shows(self) -> Flaw:
        if self.section not in self.changes or self.criterion == CODE:
            raise ValueError(expected(f"a changed section, and another criterion than {CODE}, in {self.kind!r}", f"{self.section}, {self.criterion}"))
        return self


class Range(_Entry):
    """Where a figure of an account is drawn from, and how many digits it has.

    Units: those of the account's text
    """

    low: float
    high: float
    digits: Annotated[int, Field(ge=0, le=6)] = 0

    @model_validator(mode="after")
    def _ends_fit(self) -> Range:
        if self.low > self.high:
            raise ValueError(expected("low, at most high", f"{self.low} and {self.high}"))
        return self


class Account(_Entry):
    """The account of a sound experiment, section by section, with its figures in {braces}; and what may be wrong with it.

    `derived` are figures worked out from drawn ones: plain arithmetic over their names.
    """

    figures: dict[Name, Range]
    derived: dict[Name, Text] = {}
    sections: dict[Name, Text]
    flaws: Annotated[tuple[Flaw, ...], Field(min_length=4)]


class Rubric(_Entry):
    """The rubric of a module: criteria, what groups may talk about, and the account for specimens."""

    module: Text
    intro: Text
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=4, max_length=8)]
    prompts: Annotated[tuple[Text, ...], Field(min_length=4)]
    account: Account

    @property
    def weights(self) -> dict[str, float]:
        """The criteria's weights, which sum to 1."""
        total = sum(one.weight for one in self.criteria)
        return {one.id: one.weight / total for one in self.criteria}

    @property
    def kinds(self) -> tuple[str, ...]:
        """What may be wrong with an experiment, by name."""
        return tuple(flaw.kind for flaw in self.account.flaws)

    @model_validator(mode="after")
    def _names_fit(self) -> Rubric:
        known = [one.id for one in self.criteria]
        if CODE not in known or len(set(known)) != len(known):
            raise ValueError(expected(f"criteria with ids of their own, {CODE} among them", known))
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError(expected("a kind of its own for every flaw", self.kinds))
        for flaw in self.account.flaws:
            if flaw.criterion not in known or not {flaw.section, *flaw.changes} <= set(self.account.sections):
                raise ValueError(expected(f"a criterion and sections that the rubric has, in {flaw.kind!r}", flaw))
        return self


def _loader(yaml):
    """The safe loader: the one in C where there is one, ten times as fast."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def load(module: str) -> Rubric:
    """The rubric of a module, by its id: 01_moe.

    Raises: UnknownNameError for a module without; ConfigError when the file does not fit
    """
    import yaml

    folder = resources.files(__package__) / "rubrics"
    there = sorted(file.name.removesuffix(".yml") for file in folder.iterdir() if file.name.endswith(".yml"))
    if module not in there:
        raise unknown("module with a rubric", module, there)
    try:
        found = Rubric.model_validate(yaml.load((folder / f"{module}.yml").read_text(encoding="utf-8"), _loader(yaml)))
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"rubrics/{module}.yml: " + expected("a rubric", error)) from None
    if found.module != module:
        raise ConfigError(f"rubrics/{module}.yml: " + expected(f"module: {module}", found.module))
    return found


def criterion(rubric: Rubric, name: str) -> Criterion:
    """The criterion of a name.

    Raises: UnknownNameError when the rubric has none of it
    """
    for one in rubric.criteria:
        if one.id == name:
            return one
    raise unknown("criterion", name, [one.id for one in rubric.criteria])
