"""A review: levels by criterion with reasons, and findings with evidence. Plain data: a file that anybody may open.

A review notebook writes `review.json`; solo scoring and a cohort's collecting read it. Nothing in it is ever run: evidence
is the input of a function as numbers and arrays, not as code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from breakthrough import files
from breakthrough.errors import InputError, expected

FILE = "review.json"
MOST_BYTES = 4_000_000
EXPERIMENT = "experiment"  # in place of an exercise's name, for a finding about the experiment
Short = Annotated[str, StringConstraints(max_length=200)]
Prose = Annotated[str, StringConstraints(max_length=5_000)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(_Entry):
    """Something that is wrong: in which exercise (or the experiment), of which kind, and what shows it.

    `evidence` is encoded by `plain.encode`: a function's arguments; for the experiment, the name of a section.
    """

    exercise: Short
    kind: Short
    evidence: Any = None
    note: Prose = ""


class Review(_Entry):
    """One work reviewed. `work` is the name it was handed out under: A, B, C, …

    Units: ratings are levels from 0 to 4, by criterion
    """

    work: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,7}$")]
    ratings: dict[Short, Annotated[int, Field(ge=0, le=4)]] = {}
    reasons: dict[Short, Prose] = {}
    findings: Annotated[tuple[Finding, ...], Field(max_length=40)] = ()
    comment: Prose = ""


class Handed(_Entry):
    """All that one reviewer hands in for a module. `packet` is the packet's name, which says nothing about people."""

    version: Literal[1] = 1
    module: Short
    packet: Short
    reviews: Annotated[tuple[Review, ...], Field(max_length=20)] = ()

    def of(self, work: str) -> Review | None:
        """The review of a work, if there is one."""
        return next((one for one in self.reviews if one.work == work), None)


def write(path: Path, handed: Handed) -> None:
    """Write reviews to a file, whole or not at all."""
    files.write_text(path, handed.model_dump_json(indent=1) + "\n")


def read(path: Path) -> Handed:
    """Read reviews from a file.

    Raises: InputError when it is missing, too large, or not a file of reviews
    """
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MOST_BYTES else b""
    except OSError as error:
        raise InputError(f"{path}: " + expected("a file of reviews", error.strerror, "to run the review notebook to its last cell")) from None
    if size > MOST_BYTES:
        raise InputError(f"{path}: " + expected(f"at most {MOST_BYTES:,} bytes", f"{size:,}", "smaller inputs as evidence"))
    try:
        return parse(data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def parse(data: bytes) -> Handed:
    """Reviews from a file's bytes.

    Raises: InputError when they are not reviews
    """
    try:
        return Handed.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(expected(f"reviews as the review notebook writes them, {where}: {first['msg']}", str(first.get("input"))[:80])) from None
