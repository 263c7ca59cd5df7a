"""A round of reviews of one module: its packets, kept with the cohort. Names of people stand here and nowhere in a packet."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from breakthrough import files
from breakthrough.errors import InputError, expected
from breakthrough.grading.cohort import Cohort

FOLDER, FILE, LOCK = "reviews", "round.json", ".lock"
NAMES = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True)
class Handout:
    """One work in a packet: the name it goes by there, and whose it is, or which calibration specimen."""

    name: str
    author: str = ""
    specimen: int = -1

    @property
    def calibrates(self) -> bool:
        """Whether it is a specimen, of which the right levels are known."""
        return not self.author


@dataclass(frozen=True)
class Packet:
    """What one reviewer gets. `token` names it without naming anybody; `released` reviews are others' to do now."""

    token: str
    reviewer: str
    handouts: tuple[Handout, ...]
    released: bool = False

    @property
    def authors(self) -> tuple[str, ...]:
        """Whose works are in it."""
        return tuple(one.author for one in self.handouts if one.author)

    def handout(self, name: str) -> Handout | None:
        """The work that goes by a name in this packet."""
        return next((one for one in self.handouts if one.name == name), None)


@dataclass(frozen=True)
class Round:
    """A module's reviews: how many each work gets, the exercises shown, how many specimens there are, and all packets.

    `seed_id` names the cohort's secret seed that specimens are drawn from.
    """

    module: str
    k: int
    seed_id: str
    specimens: int
    exercises: tuple[str, ...]
    packets: tuple[Packet, ...] = ()

    @property
    def reviewers(self) -> tuple[str, ...]:
        """Those who still review."""
        return tuple(one.reviewer for one in self.packets if not one.released)

    @property
    def given(self) -> dict[str, tuple[str, ...]]:
        """The authors whose works each reviewer has, of those who still review."""
        return {one.reviewer: one.authors for one in self.packets if not one.released}

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Every reviewer with every author whose work they were given, released ones too: they have seen it."""
        return frozenset((one.reviewer, author) for one in self.packets for author in one.authors)

    def packet_of(self, reviewer: str) -> Packet | None:
        """A reviewer's packet."""
        return next((one for one in self.packets if one.reviewer == reviewer), None)


def folder(cohort: Cohort, module: str) -> Path:
    """Where a module's reviews lie: private to the staff."""
    return cohort.folder / FOLDER / module


def there(cohort: Cohort, module: str) -> bool:
    """Whether a module's reviews were assigned."""
    return (folder(cohort, module) / FILE).is_file()


def read(cohort: Cohort, module: str) -> Round:
    """A module's round.

    Raises: InputError when nothing was assigned, or the file is damaged
    """
    path = folder(cohort, module) / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        packets = tuple(_packet(one) for one in data.pop("packets"))
        return Round(**{**data, "exercises": tuple(data["exercises"])}, packets=packets)
    except FileNotFoundError:
        raise InputError(expected(f"reviews of {module} that were assigned", "none", f"breakthrough exchange assign {module}")) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(expected(f"a whole {path}", repr(error), "the file from a backup")) from None


def write(cohort: Cohort, found: Round) -> None:
    """Keep a round, whole or not at all."""
    private(cohort, found.module)
    files.write_text(folder(cohort, found.module) / FILE, json.dumps(asdict(found), indent=1) + "\n")


def assigned(cohort: Cohort) -> list[str]:
    """The modules whose reviews were assigned, in order."""
    return sorted(path.parent.name for path in (cohort.folder / FOLDER).glob(f"*/{FILE}"))


def earlier_pairs(cohort: Cohort, module: str) -> frozenset[tuple[str, str]]:
    """Who has reviewed whom in the other modules."""
    return frozenset(pair for other in assigned(cohort) if other != module for pair in read(cohort, other).pairs)


def release(found: Round, reviewers: frozenset[str]) -> Round:
    """The round without these reviewers: what they had to review waits for others."""
    return replace(found, packets=tuple(replace(one, released=one.released or one.reviewer in reviewers) for one in found.packets))


@contextmanager
def writing(cohort: Cohort, module: str) -> Iterator[None]:
    """One writer of a module's reviews at a time, while the block runs.

    Raises: InputError while another one writes
    """
    path = private(cohort, module) / LOCK
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(expected(f"one writer of the reviews of {module} at a time", "another one", "again when it has ended")) from None
        yield


def private(cohort: Cohort, module: str) -> Path:
    """The folder of a module's reviews, made for its owner only."""
    (cohort.folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    folder(cohort, module).mkdir(mode=0o700, exist_ok=True)
    return folder(cohort, module)


def _packet(data: dict) -> Packet:
    return Packet(**{**data, "handouts": tuple(Handout(**one) for one in data["handouts"])})
