"""Files as they were handed in, from a folder or an archive: read within limits, never followed, never unpacked by name."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

from breakthrough.errors import InputError, expected

CHUNK = 1 << 20
JUNK = ("__MACOSX", ".DS_Store", ".ipynb_checkpoints", "__pycache__", "Thumbs.db", "desktop.ini")
_END = b"PK\x05\x06"
BAD = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError, OSError)


@dataclass(frozen=True)
class Limits:
    """The most that one submission may be.

    Units: `bytes_` and `notebook_bytes` as they come out of an archive; `directory_bytes` of the archive's own list
    """

    files: int = 200
    bytes_: int = 100_000_000  # nbgrader's exchange takes no more either
    notebook_bytes: int = 30_000_000
    directory_bytes: int = 1_000_000


LIMITS = Limits()
PLATFORM = Limits(files=200_000, directory_bytes=64_000_000)  # an archive of a whole cohort


@dataclass(frozen=True)
class Entry:
    """One file that was handed in: its place, its time, and how to read it. `fault` says why it may not be read.

    Units: `time_s` is seconds since 1970
    """

    parts: tuple[str, ...]
    time_s: float
    open: Callable[[], IO[bytes]]
    fault: str = ""

    @property
    def suffix(self) -> str:
        """The end of its name, in small letters."""
        return Path(self.parts[-1]).suffix.lower()

    def below(self, depth: int) -> Entry:
        """The same file, its place seen from a folder that many levels down."""
        return replace(self, parts=self.parts[depth:])

    def read(self, most: int) -> bytes:
        """Its bytes.

        Raises: InputError when there are more than `most`, or they cannot be read
        """
        if self.fault:
            raise InputError(expected(f"a plain file {'/'.join(self.parts)[:80]}", self.fault))
        got = io.BytesIO()
        try:
            with self.open() as file:
                while chunk := file.read(min(CHUNK, most + 1 - got.tell())):  # what really comes out counts, not what a header says
                    got.write(chunk)
                    if got.tell() > most:
                        raise InputError(expected(f"at most {most} bytes in {'/'.join(self.parts)[:80]}", "more"))
        except BAD as error:
            raise InputError(expected(f"{'/'.join(self.parts)[:80]} that can be read", repr(error))) from None
        return got.getvalue()


@contextmanager
def opened(source: Path) -> Iterator[list[Entry]]:
    """All files of a folder or a zip, while the block runs.

    Raises: InputError when it is neither, or too long a list
    """
    if source.is_dir():
        yield list(_of_folder(source))
    elif source.is_file() and zipfile.is_zipfile(source):
        with source.open("rb") as file, _archive(file, source.name, PLATFORM) as archive:
            yield list(_of_archive(archive))
    else:
        got = "no such file" if not source.exists() else "another kind of file"
        raise InputError(expected(f"a folder or a zip of submissions at {source}", got))


@contextmanager
def opened_inside(entry: Entry) -> Iterator[list[Entry]]:
    """The files of a zip that is itself a file of a submission; they have the time of the zip.

    Raises: InputError when it is no zip, or too much
    """
    data = entry.read(LIMITS.bytes_)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        del data
        with _archive(file, entry.parts[-1], LIMITS) as archive:
            yield [replace(one, time_s=entry.time_s) for one in _of_archive(archive)]


def _of_folder(root: Path) -> Iterator[Entry]:
    for folder, names, found in os.walk(root, followlinks=False):
        names.sort()
        linked = [name for name in names if Path(folder, name).is_symlink()]
        for name in (*linked, *sorted(found)):
            path = Path(folder, name)
            about = path.lstat()
            fault = "" if stat.S_ISREG(about.st_mode) else "a link, or no plain file"
            parts = path.relative_to(root).parts
            if not set(parts) & set(JUNK):
                yield Entry(parts, about.st_mtime, partial(_without_following, path), fault)


def _without_following(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def _of_archive(archive: zipfile.ZipFile) -> Iterator[Entry]:
    for info in archive.infolist():
        parts = tuple(info.filename.replace("\\", "/").split("/"))
        if info.is_dir() or set(parts) & set(JUNK):
            continue
        outside = any(part in ("", ".", "..") or ":" in part or "\0" in part or not part.isprintable() for part in parts)
        linked = stat.S_ISLNK(info.external_attr >> 16)
        fault = "a path that leads out of its folder" if outside else "a link" if linked else ""
        yield Entry(parts, _time_s(info), partial(archive.open, info), fault)


@contextmanager
def _archive(file: IO[bytes], name: str, limits: Limits) -> Iterator[zipfile.ZipFile]:
    _check_directory(file, name, limits)
    try:
        archive = zipfile.ZipFile(file)
    except BAD as error:
        raise InputError(expected(f"a zip that can be read, {name}", repr(error))) from None
    with archive:
        if len(archive.infolist()) > limits.files:
            raise InputError(expected(f"at most {limits.files} files in {name}", len(archive.infolist())))
        yield archive


def _check_directory(file: IO[bytes], name: str, limits: Limits) -> None:
    # zipfile makes an object for every line of the archive's list, before anyone can count them
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 66_000))
    tail = file.read()
    at = tail.rfind(_END)
    listed = int.from_bytes(tail[at + 12:at + 16], "little") if at >= 0 else 0
    if listed > limits.directory_bytes:
        raise InputError(expected(f"a list of files of at most {limits.directory_bytes} bytes in {name}", listed))
    file.seek(0)


def _time_s(info: zipfile.ZipInfo) -> float:
    try:
        return time.mktime((*info.date_time, 0, 0, -1))  # local time, as archives have it
    except (ValueError, OverflowError):
        return 0.0
