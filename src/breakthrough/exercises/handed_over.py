"""Artifacts as answers: found, whole, of the right kind; then a module's own judge measures what is in them."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from breakthrough import artifacts
from breakthrough.artifacts import MANIFEST, Artifact
from breakthrough.errors import ArtifactError, type_of
from breakthrough.exercises.compare import Outcome


def examine(
    answer: Any,
    kind: str,
    files: Sequence[str],
    judge: Callable[[Artifact], Outcome],
    instead: Callable[[Any], Outcome | None] = lambda answer: None,
) -> Outcome:
    """Judge an artifact, or the path of its folder; a function is called for it, with a store of its own.

    `files` have to be in it; `instead` names what is often passed in an artifact's place.
    """
    fault = instead(answer)
    if fault is not None:
        return fault
    if callable(answer) and not _needs_arguments(answer):
        with tempfile.TemporaryDirectory() as folder, artifacts.storing_in(folder):
            return examine(answer(), kind, files, judge, instead)
    if not isinstance(answer, (Artifact, str, Path)):
        got = "a function that needs arguments" if callable(answer) else type_of(answer)
        return Outcome("no artifact", f"this is {got}, not an artifact", "what artifacts.save returns", got)
    found = _found(Path(answer.folder if isinstance(answer, Artifact) else answer), kind, files)
    return found if isinstance(found, Outcome) else judge(found)


def _needs_arguments(answer: Any) -> bool:
    try:
        inspect.signature(answer).bind()
    except TypeError:
        return True
    return False


def _found(folder: Path, kind: str, files: Sequence[str]) -> Artifact | Outcome:
    """The artifact, whole and of the kind, or what keeps it from being that."""
    if not (folder / MANIFEST).is_file():
        what = "the folder holds no artifact" if folder.is_dir() else "there is no such folder"
        return Outcome("nothing there", what, f"a folder with a {MANIFEST}", str(folder))
    try:
        found = artifacts.load(folder)
    except ArtifactError as error:
        faults = {"was changed": "changed after saving", "no such file": "a file is missing"}
        return Outcome(next((f for words, f in faults.items() if words in str(error)), "unreadable"), str(error))
    if found.kind != kind:
        return Outcome("another kind", "the artifact is of another kind", kind, found.kind)
    missing = [name for name in files if name not in found.files]
    if missing:
        text = f"the artifact has no file {' and no file '.join(missing)}"
        return Outcome("a file is missing", text, " and ".join(files), ", ".join(list(found.files)[:8]))
    return found
