"""What the public package index knows: versions of a package, its files with hashes, what a file requires."""

from __future__ import annotations

import email.parser
import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import sys_tags
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from breakthrough.errors import InputError, expected

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

INDEX = "https://pypi.org/simple"
WAIT_S = 60


@dataclass(frozen=True)
class File:
    """A file of a package: a wheel that runs on this machine, or a source distribution."""

    version: Version
    sha256: str
    url: str
    size: int
    wheel: bool


class _Afar(io.RawIOBase):
    """A file of the index, of which only what is read is fetched: a wheel's description is a few of its gigabytes' bytes."""

    def __init__(self, file: File) -> None:
        self.file, self.at = file, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.file.size}[whence]
        return self.at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self.at + len(view), self.file.size)
        if end <= self.at:
            return 0
        data = _get(self.file.url, Range=f"bytes={self.at}-{end - 1}")
        view[: len(data)] = data
        self.at += len(data)
        return len(data)


def _get(url: str, **headers: str) -> bytes:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return answer.read()
    except (urllib.error.URLError, TimeoutError) as error:
        raise InputError(expected(f"an answer from {url}", str(error), "again where the public index can be reached")) from None


@cache
def _tags() -> frozenset:
    return frozenset(sys_tags())


def _file(one: dict) -> File | None:
    try:
        if one["filename"].endswith(".whl"):
            _, version, _, tags = parse_wheel_filename(one["filename"])
            return File(version, one["hashes"]["sha256"], one["url"], one["size"], True) if tags & _tags() else None
        _, version = parse_sdist_filename(one["filename"])
    except (InvalidWheelFilename, InvalidSdistFilename):  # eggs and installers of long ago
        return None
    return File(version, one["hashes"]["sha256"], one["url"], one["size"], False)


@cache
def files(name: str) -> tuple[File, ...]:
    """The files of a package that can be installed here: wheels for this machine, and sources."""
    page = json.loads(_get(f"{INDEX}/{canonicalize_name(name)}/", Accept="application/vnd.pypi.simple.v1+json"))
    found = (_file(one) for one in page["files"] if not one.get("yanked"))
    return tuple(one for one in found if one)


def installable(name: str, version: Version) -> list[File]:
    """The files of one version: wheels, or sources where there is no wheel."""
    here = [one for one in files(name) if one.version == version]
    return [one for one in here if one.wheel] or here


def newest(name: str, allowed: SpecifierSet) -> Version:
    """The newest version of a package that is allowed and runs here.

    Raises: InputError when there is none
    """
    fits = [one.version for one in files(name) if allowed.contains(one.version, prereleases=False)]
    if not fits:
        raise InputError(expected(f"a version of {name} {allowed} on {INDEX}", "none for this machine"))
    return max(fits)


@cache
def _described(name: str, version: Version) -> tuple[str, ...]:
    [wheel, *_] = [one for one in installable(name, version) if one.wheel]
    with zipfile.ZipFile(io.BufferedReader(_Afar(wheel), 1 << 16)) as archive:
        [place] = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA") and one.count("/") == 1]
        text = archive.read(place).decode()
    return tuple(email.parser.Parser().parsestr(text).get_all("Requires-Dist") or ())


def requires(name: str, version: Version, extras: Iterable[str] = ()) -> list[Requirement]:
    """What a version requires on this machine, with some of its extras."""
    found = [Requirement(text) for text in _described(name, version)]
    return [one for one in found if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras))]
