"""What the disk says, told in the project's words; and a folder held by one command at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from breakthrough.errors import ArtifactError, InputError, expected

REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what goes wrong with the disk in a block into an error that names the path.

    Raises: InputError for a path that cannot be written; ArtifactError for a full or broken disk
    """
    try:
        yield
    except OSError as error:
        if error.errno in IN_THE_WAY:
            raise InputError(expected(f"a folder at {path}", "a file in its way", "another --out")) from error
        if error.errno in REFUSED:
            raise InputError(expected(f"a path that can be written at {path}", error.strerror, "another --out")) from error
        hint = "again when that is mended (a dataset: with --resume); what is finished is kept"
        raise ArtifactError(expected(f"room to write {path}", error.strerror or error, hint)) from error


def empty(folder: Path) -> Path:
    """A folder to write to: new, or there and empty.

    Raises: InputError when something is in it, or it cannot be written
    """
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(expected(f"an empty folder at {folder}", "files in it", "another --out"))
    return folder


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder, so that two commands never write the same dataset at once.

    Raises: InputError when another command holds it
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows: folders cannot be locked; shards are renamed whole all the same
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InputError(expected(f"{folder} to itself", "another command that writes it", "again when that has ended")) from error
    finally:
        os.close(descriptor)
