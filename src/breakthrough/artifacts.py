"""Artifacts: what one stage hands to the next. Files with hashes, parents, metrics, profile.

An artifact is a folder `<store>/<kind>/<id>/` of safetensors, npz, JSON and tar files, and of compiled
libraries, in folders of their own where that helps, beside a `manifest.json`. `id` is the time of writing and the first digits of
the content's hash.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path, PurePosixPath
from typing import Any

from breakthrough.digests import digest_of
from breakthrough.errors import ArtifactError, InputError, expected
from breakthrough.events import project_root

VARIABLE = "BREAKTHROUGH_ARTIFACTS"
FOLDER, MANIFEST = "artifacts", "manifest.json"
SUFFIXES = (".safetensors", ".npz", ".json", ".tar", ".so")
Writer = Callable[[Path], object]


@dataclass(frozen=True)
class Artifact:
    """One saved result.

    Units: `files` maps a file's name to its SHA-256; `parents` are ids of artifacts it was made from
    """

    kind: str
    id: str
    folder: Path
    files: Mapping[str, str]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    profile: str = "quick"
    staff: bool = False
    created_s: float = 0.0

    @property
    def digest(self) -> str:
        """What is in it, whenever and wherever it was made: one SHA-256 over the names and hashes of its files."""
        return digest_of(dict(self.files))

    def path(self, name: str) -> Path:
        """The path of one of the files.

        Raises: ArtifactError when the artifact has no such file
        """
        if name not in self.files:
            raise ArtifactError(expected(f"a file of {self.kind}/{self.id}", repr(name), ", ".join(self.files)))
        return self.folder / name


def store() -> Path:
    """Where artifacts lie: $BREAKTHROUGH_ARTIFACTS, else `artifacts/` in the project."""
    return Path(os.environ.get(VARIABLE) or project_root() / FOLDER)


@contextmanager
def storing_in(folder: Path | str) -> Iterator[None]:
    """Let a folder be the store while a block runs, in this process and those it starts."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def save(
    kind: str,
    files: Mapping[str, Writer | Path],
    *,
    metrics: Mapping[str, Any] | None = None,
    parents: tuple[Artifact | str, ...] = (),
    profile: str = "quick",
    staff: bool = False,
) -> Artifact:
    """Save files as a new artifact; written aside, then renamed, so it is there whole or not at all.

    `files` maps names to a path to copy or to a function that writes to the path it is given.

    Raises: InputError for a kind or file name that is not allowed, and for metrics that are not plain
            finite data
    """
    _validate(kind, files)
    _validate_metrics(metrics or {})
    home = store() / kind
    home.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=home))
    try:
        for name, source in files.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, aside / name) if isinstance(source, Path) else source(aside / name)
        artifact = _describe(kind, aside, tuple(files), metrics, parents, profile, staff)
        _write_manifest(artifact, aside)
        os.replace(aside, artifact.folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return artifact


def load(path: Path | str) -> Artifact:
    """Read an artifact and verify every file against its hash.

    Raises: ArtifactError that names the file that is missing or differs
    """
    folder = Path(path)
    artifact = read_manifest(folder)
    for name, digest in artifact.files.items():
        if not (folder / name).is_file():
            raise ArtifactError(expected(f"the file {name} in {folder}", "no such file", "saving it again"))
        if sha256(folder / name) != digest:
            got = f"{sha256(folder / name)[:12]}…, so the file was changed after it was saved"
            raise ArtifactError(expected(f"{name} with SHA-256 {digest[:12]}…", got, "saving it again"))
    return artifact


def read_manifest(folder: Path) -> Artifact:
    """What an artifact's manifest says; nothing of it is verified.

    Raises: ArtifactError when there is none, or none that can be read
    """
    try:
        record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Artifact(**{**record, "folder": folder, "parents": tuple(record["parents"])})
    except FileNotFoundError as error:
        raise ArtifactError(expected(f"a {MANIFEST} in {folder}", "none")) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(expected(f"a readable {MANIFEST} in {folder}", repr(error))) from error


def latest(kind: str) -> Artifact:
    """The newest whole artifact of a kind; without one, the staff's small one, built on demand.

    Raises: ArtifactError when there is neither
    """
    for folder in sorted((store() / kind).glob("[0-9]*"), reverse=True):
        if (folder / MANIFEST).is_file():
            return load(folder)
    builders = staff_builders()
    if kind in builders:
        return builders[kind].load()()
    raise ArtifactError(expected(f"an artifact of kind {kind!r} in {store()}", "none", "running the lab that makes it"))


def parent_folder(artifact: Artifact, kind: str) -> Path | None:
    """The folder of the first parent of a kind that is there: beside the artifact in its store, or in this one."""
    return next(parent_folders(artifact, kind), None)


def parent_folders(artifact: Artifact, kind: str) -> Iterator[Path]:
    """The folders of all parents of a kind that are there, in order."""
    stores = dict.fromkeys((artifact.folder.resolve().parents[1], store().resolve()))
    for name in artifact.parents:
        yield from itertools.islice((home / kind / name for home in stores if (home / kind / name / MANIFEST).is_file()), 1)


def staff_builders() -> dict[str, EntryPoint]:
    """The functions that build a small staff artifact of a kind, by kind.

    Source: the entry points `breakthrough.staff` in pyproject.toml, so that this file imports no room
    """
    return {entry.name: entry for entry in entry_points(group="breakthrough.staff")}


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _validate(kind: str, files: Mapping[str, Writer | Path]) -> None:
    if not kind.replace("_", "").isalnum():
        raise InputError(expected("a kind of letters, digits and _", repr(kind)))
    if not files:
        raise InputError(expected("at least one file", "none"))
    for name in files:
        path = PurePosixPath(name)
        inside = str(path) == name and not path.is_absolute() and ".." not in path.parts
        if not inside or path.suffix not in SUFFIXES or name == MANIFEST:
            raise InputError(expected(f"a file name, relative and plain, ending in {', '.join(SUFFIXES)}", repr(name)))


def _validate_metrics(metrics: Mapping[str, Any]) -> None:
    for name, value in metrics.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            what = f"a finite float or other plain data for the metric {name!r}"
            got = f"{type(value).__name__} {value!r}"
            raise InputError(expected(what, got, f"float(…) of {name}")) from None


def _describe(kind, aside, names, metrics, parents, profile, staff) -> Artifact:
    files = {name: sha256(aside / name) for name in names}
    now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)) + f"-{int(now % 1 * 1e6):06d}"
    ids = tuple(p.id if isinstance(p, Artifact) else p for p in parents)
    made = Artifact(kind, "", store() / kind, files, dict(metrics or {}), ids, profile, staff, now)
    name = f"{stamp}-{made.digest[:8]}"
    return replace(made, id=name, folder=store() / kind / name)


def _write_manifest(artifact: Artifact, folder: Path) -> None:
    record = {key: value for key, value in asdict(artifact).items() if key != "folder"}
    (folder / MANIFEST).write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")
