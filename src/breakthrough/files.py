"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from breakthrough.errors import InputError, expected


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


def check_ours(folder: Path, marks: Iterable[str], what: str, otherwise: str = "another folder") -> None:
    """Refuse to replace a folder that holds files and not all of `marks`, by whose names our own is known.

    Raises: InputError, with `what` a folder of ours is
    """
    ours = all((folder / name).is_file() for name in marks)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not ours):
        raise InputError(expected(f"a new or empty folder, or {what} to replace", f"{folder} with other files", otherwise))


@contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """A new folder beside `target` to write to; put in its place at the end, removed when the block raises.

    Whether a folder that is there may be replaced is for the caller to ask before (`check_ours`).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield path
        path.chmod(0o755)
        replace_folder(path, target)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def replace_folder(ready: Path, target: Path) -> None:
    """Put a folder in the place of another on the same file system, which is removed only once the new one is there."""
    if not target.exists():
        ready.rename(target)
        return
    before = Path(tempfile.mkdtemp(prefix=f".{target.name}.before.", dir=target.parent))
    before.rmdir()
    target.rename(before)
    try:
        ready.rename(target)
    except OSError:
        before.rename(target)
        raise
    shutil.rmtree(before)
