"""Specimens for review: three works of which one is faultless, with a key that says what is wrong with the others.

Fresh ones by seed: which exercises, whose style, which mistakes, which figures. Right and wrong answers are drawn from the same
ways to write them, as far as wrong ones are at hand in each, and go through the same restyling: running and reading tells them apart.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from breakthrough.course.exchange import accounts, rubric as rubrics
from breakthrough.course.exchange.reviews import EXPERIMENT
from breakthrough.course.exchange.rubric import CODE, Flaw, Rubric
from breakthrough.course.exchange.works import Work
from breakthrough.errors import ConfigError, expected

if TYPE_CHECKING:
    from breakthrough.exercises.plants import Plant

NAMES = ("A", "B", "C")
FEWEST, MOST = 5, 6  # exercises in a specimen
CODE_FLAWS = (1, 1, 2, 2, 3)  # how many, by lot
_LEVELS = {0: 4, 1: 2, 2: 1}  # of the criterion `code`, by flaws; 0 from three on, and 3 for a single one in a corner


@dataclass(frozen=True)
class Planted:
    """One thing that is wrong: where, of which kind, and the sentence that helps. `section` for the experiment's."""

    exercise: str
    kind: str
    says: str
    section: str = ""


@dataclass(frozen=True)
class Key:
    """What is wrong with a specimen, and the levels that follow from it, by criterion."""

    flaws: tuple[Planted, ...]
    levels: Mapping[str, int]

    @property
    def faultless(self) -> bool:
        """Whether nothing is wrong."""
        return not self.flaws


@dataclass(frozen=True)
class Specimen(Work):
    """A work made for review, with its name and its key."""

    name: str = ""
    key: Key = Key((), {})


def make(module: str, seed: int, rubric: Rubric | None = None) -> tuple[Specimen, ...]:
    """Three specimens of a module, by its id: one faultless, at least one with a flaw in its experiment.

    Raises: UnknownNameError for a module without a rubric; ConfigError for one without mistakes to plant
    """
    rubric = rubric or rubrics.load(module)
    lot = _lot(module, seed)
    names = _exercises(module, lot)
    sound = lot.randrange(len(NAMES))
    with_flaw = {place for place in range(len(NAMES)) if place != sound}
    in_experiment = lot.choice([with_flaw, {lot.choice(sorted(with_flaw))}])
    flaws = lot.sample(rubric.account.flaws, len(NAMES))
    made: list[Specimen] = []
    used: set[str] = set()
    for place, name in enumerate(NAMES):
        plants = _plants(names, lot.choice(CODE_FLAWS), used, lot) if place in with_flaw else []
        made.append(_specimen(name, names, plants, flaws[place] if place in in_experiment else None, rubric, lot))
    return tuple(made)


def specimen(module: str, seed: int, name: str = "A", *, code_flaws: int | None = None, experiment: bool | None = None,
             rubric: Rubric | None = None, names: tuple[str, ...] = ()) -> Specimen:
    """One specimen, to see how well reviewers review: it has flaws, and a secret seed tells which.

    Its exercises, how many flaws in the code, and whether one in the experiment, are drawn unless given.

    Raises: as `make`
    """
    rubric = rubric or rubrics.load(module)
    lot = _lot(module, seed, "one")
    names = names or _exercises(module, lot)
    plants = _plants(names, lot.choice(CODE_FLAWS) if code_flaws is None else code_flaws, set(), lot)
    flawed = lot.random() < 0.5 if experiment is None else experiment
    flaw = lot.choice(rubric.account.flaws)
    return _specimen(name, names, plants, flaw if flawed else None, rubric, lot)


def exercises(module: str, seed: int) -> tuple[str, ...]:
    """The exercises that specimens and works of one round show, in course order.

    Raises: ConfigError for a module without mistakes to plant
    """
    return _exercises(module, _lot(module, seed, "exercises"))


def levels(rubric: Rubric, plants: Sequence[Plant], flaw: Flaw | None) -> dict[str, int]:
    """The levels of a specimen: full marks, but for what is wrong."""
    code = 3 if len(plants) == 1 and plants[0].corner else _LEVELS.get(len(plants), 0)
    found = {one.id: 4 for one in rubric.criteria} | {CODE: code}
    return found | ({flaw.criterion: min(flaw.level, found[flaw.criterion])} if flaw else {})


def _lot(module: str, seed: int, *more: str) -> random.Random:
    return random.Random("/".join(map(str, ("specimens", module, seed, *more))))  # what a seed makes can be made again


def _exercises(module: str, lot: random.Random) -> tuple[str, ...]:
    from breakthrough.exercises import plants

    room = module.partition("_")[2]
    there = [name for name in plants.table() if name.partition(".")[0] == room]
    if len(there) < FEWEST:
        raise ConfigError(expected(f"mistakes to plant in {FEWEST} exercises of {module}", f"in {len(there)}", "plants.yml"))
    chosen = set(lot.sample(there, min(lot.randint(FEWEST, MOST), len(there))))
    return tuple(name for name in there if name in chosen)


def _plants(names: tuple[str, ...], count: int, used: set[str], lot: random.Random) -> list[Plant]:
    """Mistakes in as many exercises, none of which another specimen has: comparing two would give it away."""
    from breakthrough.exercises import plants

    fresh = [name for name in names if name not in used]
    chosen = lot.sample(fresh, min(count, len(fresh)))
    used.update(chosen)
    return [lot.choice(plants.table()[name]) for name in chosen]


def _specimen(name: str, names: tuple[str, ...], plants: list[Plant], flaw: Flaw | None, rubric: Rubric, lot: random.Random) -> Specimen:
    from breakthrough.exercises import styles

    style = styles.draw(lot)
    planted = {plant.exercise: plant for plant in plants}
    code = {one: _code(one, planted.get(one), style, lot) for one in names}
    found = [Planted(one, planted[one].kind, _says(planted[one])) for one in names if one in planted]
    if flaw:
        found.append(Planted(EXPERIMENT, flaw.kind, flaw.says, flaw.section))
    told = accounts.tell(rubric.account, lot, flaw)
    return Specimen(code, told, name, Key(tuple(found), levels(rubric, plants, flaw)))


def _code(name: str, plant: Plant | None, style, lot: random.Random) -> str:
    from breakthrough.exercises import plants, standing, styles
    from breakthrough.exercises.exercise import load

    exercise = load(name)
    ways = standing.right_ways(exercise)
    # half of the right answers are written in the ways of wrong ones, the others in any: three alike would be compared line by line
    way = lot.choice([lot.choice(plants.table()[name]).of, lot.choice(list(ways))])
    text = plants.source(plant) if plant else ways[way]
    return styles.restyle(text, exercise.reference.__name__, inspect.getdoc(exercise.reference) or exercise.title, style, lot)


def _says(plant: Plant) -> str:
    from breakthrough.exercises.exercise import load

    return next(one.says for one in load(plant.exercise).misconceptions if one.name == plant.kind)
