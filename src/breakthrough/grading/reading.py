"""Reading a submitted notebook: bytes that nobody vouches for, in bounded time and memory.

The file is walked from its first byte to its last, and only what the grader uses is made into objects: a cell's type,
source, id and grade id. Outputs are passed over, however large, and never become data.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough.errors import NotebookError, expected

FILE_BYTES = 256 * 2**20  # of the notebook with its outputs
SOURCE_BYTES = 2**19  # of one cell, and twice that of all: as they are written in the file
METADATA_BYTES = 2**16  # more is not a label, and is passed over
CELLS = 5000
DEPTH = 200
BRACKETS = 4_000_000
ENTRIES = 1000  # files that are looked at in one submission

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+([{}\[\]])', re.DOTALL)
_PLAIN = re.compile(rb"[-+.\w]++")
_TYPES = {"code": "code", "raw": "raw", "markdown": "markdown", "heading": "markdown", "html": "markdown"}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Submitted:
    """One cell of a submission. `type` is code, markdown or raw; `label` the grade id that its metadata claims."""

    type: str
    source: str
    id: str = ""
    label: str = ""


class _Fault(Exception):
    """What is wrong with the bytes, in words."""


def notebooks_in(submission: Path) -> list[Path]:
    """The notebooks of a submission: itself, or the regular files *.ipynb in it, or in its folders when it has none.

    Raises: NotebookError when there is none
    """
    if not submission.is_dir() or submission.is_symlink():
        return [submission]
    here = sorted(_listed(submission), key=lambda entry: entry.name)
    folders = [entry for entry in here if entry.is_dir(follow_symlinks=False) and entry.name[:1] not in ("_", ".")]
    for entries in (here, [inner for entry in folders[:20] for inner in _listed(Path(entry.path))]):
        found = [Path(entry.path) for entry in entries if _is_notebook(entry)]
        if found:
            return found
    odd = [entry for entry in here if entry.name.lower().endswith(".ipynb")]
    got = f"{odd[0].name!r}, which is {_kind(odd[0].stat(follow_symlinks=False).st_mode)}" if odd else f"{len(here)} other files"
    raise NotebookError(expected("a notebook, one file *.ipynb, in the submission", got))


def read_cells(path: Path) -> tuple[Submitted, ...]:
    """The cells of a submitted notebook of format 4 or 3.

    Raises: NotebookError in one sentence, for whatever the file is instead
    """
    try:
        return _cells(_Walk(_as_utf8(_bytes(path))))
    except _Fault as fault:
        raise NotebookError(expected(f"a notebook (JSON, format 4) in {path.name!r}", fault)) from None


def _listed(folder: Path) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        listed = [entry for entry, _ in zip(entries, range(ENTRIES + 1), strict=False)]
    if len(listed) > ENTRIES:
        raise NotebookError(expected(f"at most {ENTRIES} files in a submission", f"more in {folder.name!r}"))
    return listed


def _is_notebook(entry: os.DirEntry) -> bool:
    return entry.name.lower().endswith(".ipynb") and not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFREG: f"a file of more than {FILE_BYTES // 2**20} MiB: clear its outputs", stat.S_IFLNK: "a link",
             stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _bytes(path: Path) -> bytes:
    """The bytes of a regular file; nothing is followed, and nothing is waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _Fault("a link" if error.errno == errno.ELOOP else error.strerror or str(error)) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > FILE_BYTES:
        os.close(descriptor)
        raise _Fault(_kind(status.st_mode))
    with os.fdopen(descriptor, "rb") as file:
        return file.read(status.st_size)


def _as_utf8(data: bytes) -> bytes:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") and len(data) <= FILE_BYTES // 8:
        return data.decode("utf-16", "replace").encode("utf-8")
    return data.removeprefix(b"\xef\xbb\xbf")


class _Walk:
    """A walk over JSON text that steps over what is not asked for."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.seen, self.sources = data, 0, 0, 0

    def peek(self) -> bytes:
        """The next byte that is no space."""
        space = _SPACE.match(self.data, self.at)
        self.at = space.end() if space else self.at
        return self.data[self.at : self.at + 1]

    def take(self, wanted: bytes) -> bytes:
        """The next byte, which has to be one of these."""
        char = self.peek()
        if not char or char not in wanted:
            raise _Fault(f"invalid JSON at byte {self.at}" if char else "a file that ends in the middle")
        self.at += 1
        return char

    def members(self) -> Iterator[str]:
        """The keys of an object, each once; whoever takes one steps over its value."""
        self.take(b"{")
        keys: set[str] = set()
        while self.peek() != b"}" or keys:
            key = self.text(1000)
            if key in keys:
                raise _Fault(f"the key {key[:40]!r} twice in one object")
            keys.add(key)
            self.count()
            self.take(b":")
            yield key
            if self.take(b",}") == b"}":
                return
        self.at += 1

    def elements(self) -> Iterator[int]:
        """The places of an array; whoever takes one steps over its value."""
        self.take(b"[")
        place = 0
        while self.peek() != b"]" or place:
            yield place
            place += 1
            if self.take(b",]") == b"]":
                return
        self.at += 1

    def skip(self) -> memoryview:
        """Step over a value, whatever it is; its bytes."""
        char = self.peek()
        start = self.at
        if char in (b"{", b"["):
            self._skip_nested()
        else:
            found = (_STRING if char == b'"' else _PLAIN).match(self.data, self.at)
            if found is None:
                raise _Fault("a file that ends in the middle" if char in (b"", b'"') else f"invalid JSON at byte {self.at}")
            self.at = found.end()
        return memoryview(self.data)[start : self.at]

    def _skip_nested(self) -> None:
        depth = 0
        while True:
            found = _BRACKET.match(self.data, self.at)
            if found is None:
                raise _Fault("a file that ends in the middle")
            self.at = found.end()
            depth += 1 if found[1] in b"{[" else -1
            self.count(depth)
            if depth == 0:
                return

    def count(self, depth: int = 0) -> None:
        """Count one more object, array or key; too many, or too deep, is a fault."""
        self.seen += 1
        if self.seen > BRACKETS or depth > DEPTH:
            raise _Fault(f"JSON that is nested more than {DEPTH} deep" if depth > DEPTH else f"more than {BRACKETS:,} objects, arrays and keys")

    def value(self, most: int) -> Any:
        """The value here as an object; a fault when it is written in more than `most` bytes."""
        raw = self.skip()
        if len(raw) > most:
            raise _Fault(f"a part of {len(raw) / 2**20:.1f} MiB where at most {most / 2**20:.1f} MiB are read")
        try:
            return json.loads(bytes(raw).decode("utf-8", "replace"), parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise _Fault(f"invalid JSON before byte {self.at}") from None

    def text(self, most: int) -> str:
        """The string here; a fault for anything else."""
        if self.peek() != b'"':
            raise _Fault(f"invalid JSON at byte {self.at}" if self.peek() else "a file that ends in the middle")
        return self.value(most)


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _cells(walk: _Walk) -> tuple[Submitted, ...]:
    cells: list[Submitted] = []
    form: Any = None
    for key in walk.members():
        if key == "cells":
            _read_into(cells, walk)
        elif key == "worksheets":
            _worksheets(cells, walk)
        elif key == "nbformat":
            form = walk.value(100)
        else:
            walk.skip()
    if walk.peek():
        raise _Fault(f"more text after the notebook's end, at byte {walk.at}")
    if form not in (3, 4) or isinstance(form, (bool, float)):
        raise _Fault(f"a notebook of format {str(form)[:20]}" if form is not None else "JSON that is no notebook: it names no format")
    return tuple(cells)


def _worksheets(cells: list[Submitted], walk: _Walk) -> None:
    """The cells of format 3, which had worksheets."""
    for _ in walk.elements():
        for key in walk.members():
            _read_into(cells, walk) if key == "cells" else walk.skip()


def _read_into(cells: list[Submitted], walk: _Walk) -> None:
    for _ in walk.elements():
        cells.append(_cell(walk))
        if len(cells) > CELLS:
            raise _Fault(f"a notebook of more than {CELLS:,} cells")


def _cell(walk: _Walk) -> Submitted:
    found = {"cell_type": "", "id": "", "source": "", "label": ""}
    for key in walk.members():
        if key in ("cell_type", "id"):
            found[key] = _string(walk.value(1000))
        elif key in ("source", "input"):  # input is the source of a code cell in format 3
            before = walk.at
            found["source"] = _source(walk.value(SOURCE_BYTES))
            walk.sources += walk.at - before
            if walk.sources > 2 * SOURCE_BYTES:
                raise _Fault(f"sources of more than {2 * SOURCE_BYTES / 2**20:.1f} MiB")
        elif key == "metadata":
            found["label"] = _label(walk.skip())
        else:
            walk.skip()
    kind, name = _TYPES.get(found["cell_type"], "raw"), found["id"]
    return Submitted(kind, found["source"], name if _ID.fullmatch(name) else "", found["label"])


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _source(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    if not isinstance(value, str):
        raise _Fault(f"a cell whose source is of type {type(value).__name__}")
    text = value.encode("utf-8", "replace").decode("utf-8")  # half a character would stop the next writer
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _label(raw: memoryview) -> str:
    """The grade id in a cell's metadata, of which nothing else is used; none when it is not to be read."""
    if len(raw) > METADATA_BYTES:
        return ""
    try:
        metadata = json.loads(bytes(raw))
    except (ValueError, RecursionError):
        return ""
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return _string(nbgrader.get("grade_id"))[:200] if isinstance(nbgrader, dict) else ""
