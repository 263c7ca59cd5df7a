"""The local event log: what was checked, hinted, claimed and run, one JSON object a line.

Several notebooks may write at once: a line is one `write` to a file opened for appending, under a
lock where the system has one. A damaged line is skipped and counted, never fatal.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VARIABLE = "BREAKTHROUGH_PROGRESS"
FILE = "events.jsonl"


def project_root(start: Path | None = None) -> Path:
    """The folder with course.yml: the nearest one above `start`, else the one the library lives in."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "course.yml").is_file():
            return folder
    return Path(__file__).resolve().parents[2]


def folder() -> Path:
    """Where the log lies: $BREAKTHROUGH_PROGRESS, else `.progress/` in the project."""
    return Path(os.environ.get(VARIABLE) or project_root() / ".progress")


def append(kind: str, log: Path | None = None, /, **fields: Any) -> dict[str, Any]:
    """Add one event to the log, to the one in another folder when it is given, and return it.

    Units: `time_s` is seconds since 1970
    """
    event = {"kind": kind, "time_s": round(time.time(), 3), **fields}
    # a leading newline keeps this event whole even when the line before it was cut short
    line = ("\n" + json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n").encode()
    target = log or folder()
    target.mkdir(parents=True, exist_ok=True)
    with (target / FILE).open("ab", buffering=0) as file:
        _lock(file.fileno())
        file.write(line)
    return event


def read(path: Path | None = None) -> Iterator[dict[str, Any]]:
    """All whole events in the order they were written; damaged lines are skipped."""
    for line in _lines(path):
        event = _parse(line)
        if event is not None:
            yield event


def damaged(path: Path | None = None) -> int:
    """How many lines of the log `read` skips because they are no events."""
    return sum(_parse(line) is None for line in _lines(path))


def _lines(path: Path | None) -> list[bytes]:
    source = (path or folder()) / FILE
    return [line for line in source.read_bytes().splitlines() if line.strip()] if source.is_file() else []


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(event, dict) and isinstance(event.get("kind"), str)
    return event if whole and isinstance(event.get("time_s"), (int, float)) else None


def _lock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: one append is one write, which is enough for short lines
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
