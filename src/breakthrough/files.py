"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to; renamed to it at the end, removed when the block raises.

    The suffix stays, because some writers look at it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield path
        os.replace(path, target)
    finally:
        path.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file aside, then rename it over what was there."""
    with aside(target) as path:
        path.write_text(text, encoding="utf-8")
