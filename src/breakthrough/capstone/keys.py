"""When a stage need not be done again: its settings, its code and the content of its inputs are what they were.

A key is made of content, never of times or names of artifacts: an input that was made again and came out the same
changes no key, so the work stops there. What the key led to is verified, file by file, before it is taken.

    <store>/made/<key>.json   which artifact a key led to
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from breakthrough import artifacts, files
from breakthrough.artifacts import Artifact
from breakthrough.digests import digest_of
from breakthrough.errors import ArtifactError

MADE = "made"
SOURCES = ("*.py", "*.cc", "*.gz")
HOME = Path(artifacts.__file__).parent


def key_of(stage: str, settings: Mapping[str, Any], code: str, inputs: Mapping[str, Artifact]) -> str:
    """The key of a stage: equal exactly when it would make the same."""
    facts = {"stage": stage, "settings": settings, "code": code, "inputs": {name: one.digest for name, one in inputs.items()}}
    return digest_of(facts, 32)


@cache
def code_of(rooms: tuple[str, ...], packages: tuple[str, ...] = ()) -> str:
    """The hash of the source files of rooms, or of single files, and of the versions of packages."""
    found = hashlib.sha256()
    for room in sorted(rooms):
        place = HOME / room
        paths = [place] if place.is_file() else sorted(path for pattern in SOURCES for path in place.rglob(pattern))
        for path in paths:
            found.update(path.relative_to(HOME).as_posix().encode() + b"\0" + path.read_bytes())
    for package in sorted(packages):
        found.update(f"{package} {_version(package)}\0".encode())
    return found.hexdigest()[:16]


@cache
def processor() -> str:
    """What machine code depends on: the kind of processor and what it can do."""
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        flags = platform.processor()
    return hashlib.sha256(f"{platform.machine()} {flags}".encode()).hexdigest()[:12]


def find(store: Path, key: str) -> Artifact | None:
    """The artifact that a key led to, verified; None when it is not there, or no longer what it was."""
    try:
        record = json.loads((store / MADE / f"{key}.json").read_text(encoding="utf-8"))
        found = artifacts.load(store / record["artifact"])
        return found if found.digest == record["digest"] else None
    except (OSError, ValueError, KeyError, TypeError, ArtifactError):
        return None


def keep(store: Path, key: str, stage: str, made: Artifact) -> None:
    """Write down which artifact a key led to."""
    record = {"stage": stage, "artifact": f"{made.kind}/{made.id}", "digest": made.digest}
    files.write_text(store / MADE / f"{key}.json", json.dumps(record, indent=1) + "\n")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
