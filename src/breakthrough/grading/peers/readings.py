"""What the instructor has read: levels for a work after a spot check or an appeal. They count as known in the next scoring."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from breakthrough import files
from breakthrough.course.exchange import rubric as rubrics
from breakthrough.course.exchange.rubric import LEVELS, Rubric
from breakthrough.errors import InputError, expected
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.peers import rounds

READINGS, APPEALS = "readings.json", "appeals.json"


@dataclass(frozen=True)
class Reading:
    """An instructor's levels for an author's work, by criterion, and why.

    Units: `time_s` is seconds since 1970
    """

    author: str
    levels: Mapping[str, int]
    because: str
    time_s: float


@dataclass(frozen=True)
class Appeal:
    """An author who asks for their work to be read again, and why. It is open until the instructor has read it.

    Units: times are seconds since 1970
    """

    author: str
    reason: str
    opened_s: float
    decided_s: float = 0.0

    @property
    def open(self) -> bool:
        """Whether nobody has read the work since."""
        return not self.decided_s


def readings(cohort: Cohort, module: str) -> dict[str, Reading]:
    """The readings of a module, by author."""
    return {one["author"]: Reading(**one) for one in _load(rounds.folder(cohort, module) / READINGS)}


def appeals(cohort: Cohort, module: str) -> list[Appeal]:
    """The appeals of a module, oldest first."""
    return [Appeal(**one) for one in _load(rounds.folder(cohort, module) / APPEALS)]


def appeal(cohort: Cohort, module: str, author: str, reason: str) -> Appeal:
    """Open an appeal.

    Raises: InputError for somebody whose work is not reviewed, without a reason, or while one of theirs is open
    """
    with rounds.writing(cohort, module):
        _check_author(cohort, module, author)
        found = appeals(cohort, module)
        if not reason.strip():
            raise InputError(expected(f"a reason for {author}'s appeal", "none", "the criterion, and what the reviewers overlooked"))
        if any(one.author == author and one.open for one in found):
            raise InputError(expected(f"one open appeal of {author}", "another one", f"breakthrough exchange read {module} {author}"))
        made = Appeal(author, reason.strip(), round(time.time(), 3))
        _save(rounds.folder(cohort, module) / APPEALS, [*found, made])
        return made


def read(cohort: Cohort, module: str, author: str, levels: Mapping[str, int], because: str) -> Reading:
    """Record the instructor's levels for a work, in place of earlier ones; an open appeal of its author is decided by it.

    Raises: InputError unless every criterion has a level from 0 to 4, and without a reason
    """
    rubric = rubrics.load(module)
    with rounds.writing(cohort, module):
        _check_author(cohort, module, author)
        _check_levels(rubric, levels)
        if not because.strip():
            raise InputError(expected("a reason that the author will read", "none", "--because"))
        now = round(time.time(), 3)
        made = Reading(author, dict(levels), because.strip(), now)
        _save(rounds.folder(cohort, module) / READINGS, list((readings(cohort, module) | {author: made}).values()))
        decided = [replace(one, decided_s=now) if one.author == author and one.open else one for one in appeals(cohort, module)]
        _save(rounds.folder(cohort, module) / APPEALS, decided)
        return made


def parse_levels(rubric: Rubric, given: Sequence[str]) -> dict[str, int]:
    """Levels out of `code=3 baseline=2 …`.

    Raises: InputError for anything else
    """
    levels: dict[str, int] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not value.isdigit():
            raise InputError(expected("a level as criterion=0 … criterion=4", repr(text), " ".join(f"{one.id}=3" for one in rubric.criteria)))
        levels[name] = int(value)
    _check_levels(rubric, levels)
    return levels


def _check_levels(rubric: Rubric, levels: Mapping[str, int]) -> None:
    names = [one.id for one in rubric.criteria]
    bad = [name for name, level in levels.items() if name not in names or not 0 <= level < LEVELS]
    if bad or set(levels) != set(names):
        got = ", ".join(f"{name}={levels[name]}" for name in bad) or f"none for {', '.join(name for name in names if name not in levels)}"
        raise InputError(expected(f"a level from 0 to {LEVELS - 1} for each of {', '.join(names)}", got))


def _check_author(cohort: Cohort, module: str, author: str) -> None:
    known = {name for many in rounds.read(cohort, module).given.values() for name in many}
    if author not in known:
        raise InputError(expected(f"somebody whose work of {module} is reviewed", repr(author), "their id, as in the list of students"))


def _load(path: Path) -> list[dict]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise InputError(expected(f"a whole {path}", repr(error), "the file from a backup")) from None


def _save(path: Path, entries: Sequence[Reading | Appeal]) -> None:
    files.write_text(path, json.dumps([asdict(one) for one in entries], indent=1, ensure_ascii=False) + "\n")
