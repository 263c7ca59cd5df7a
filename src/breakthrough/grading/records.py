"""What the parts of the grader hand to each other: a normalized submission, a mark, a graded submission. Plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

GIVEN, ANSWER, ADDED, CHECK = "given", "answer", "added", "check"
PASSED, WRONG, NOT_ATTEMPTED = "passed", "wrong", "not attempted"
Output = dict[str, Any]  # as in a notebook's JSON


@dataclass(frozen=True)
class ProgramCell:
    """One code cell of a normalized submission.

    `kind` is given (as released), answer (a solution cell with the submission's source), added (a learner's
    plain cell, or a released one that was edited) or check (always as released). Of answers and checks
    `exercise` is the name, of checks `variable` is what is passed: `route` of `check("moe.route", route)`.
    """

    id: str
    source: str
    kind: str
    exercise: str = ""
    variable: str = ""


@dataclass(frozen=True)
class Program:
    """A normalized submission: the released lab, with the submission's sources.

    `manual` are the texts of cells that people grade, by grade id; `notes` say what was repaired.
    """

    cells: tuple[ProgramCell, ...]
    manual: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def checks(self) -> tuple[ProgramCell, ...]:
        """The check cells, in order."""
        return tuple(cell for cell in self.cells if cell.kind == CHECK)


@dataclass(frozen=True)
class Mark:
    """The verdict on one exercise.

    `status` is passed, wrong or not attempted; `kind` the sort of failure, as in `exercises.judge`;
    `diagnosis` the name of the misconception that was recognised; `says` the one sentence for the learner;
    `plain` and `html` the whole card, which names the failing case and no seed.

    Units: `points` earned of `of`; `seconds` of judging
    """

    exercise: str
    status: str
    points: float
    of: float
    kind: str = ""
    diagnosis: str = ""
    says: str = ""
    case: str = ""
    plain: str = ""
    html: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all points are earned."""
        return self.status == PASSED


@dataclass(frozen=True)
class Graded:
    """One submission, graded, with all that is needed to say how.

    `outputs` are the outputs of the cells that were run, by cell id; `refused` says why a submission could not be read at all (then all
    marks are zero); `failure` says that the grader itself failed: nothing is to be written for it.

    Units: `duration_s` of grading; times are seconds since 1970
    """

    student: str
    module: str
    marks: tuple[Mark, ...]
    submission_hash: str
    release_hash: str
    tier: str
    seed_id: str
    versions: Mapping[str, str] = field(default_factory=dict)
    duration_s: float = 0.0
    graded_s: float = 0.0
    program: Program = field(default_factory=lambda: Program(()))
    outputs: Mapping[str, tuple[Output, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refused: str = ""
    failure: str = ""

    @property
    def points(self) -> float:
        """The points earned in all."""
        return sum(mark.points for mark in self.marks)

    @property
    def of(self) -> float:
        """The points there are."""
        return sum(mark.of for mark in self.marks)

    def to_json(self) -> str:
        """The record as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Graded:
        """The record of a JSON text that `to_json` made."""
        data = json.loads(text)
        data["marks"] = tuple(Mark(**mark) for mark in data["marks"])
        program = data["program"]
        cells = tuple(ProgramCell(**cell) for cell in program["cells"])
        data["program"] = Program(cells, program["manual"], tuple(program["notes"]))
        data["outputs"] = {name: tuple(outputs) for name, outputs in data["outputs"].items()}
        data["notes"] = tuple(data["notes"])
        return cls(**data)
