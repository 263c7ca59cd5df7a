"""Handing in: the lab, the newest artifacts it gives with what they were made from, and its lines of the log, as one folder and one zip."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from breakthrough import artifacts, events, files
from breakthrough.artifacts import Artifact
from breakthrough.course import answers, notebooks
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import ArtifactError, InputError, expected
from breakthrough.grading.intake import LIMITS
from breakthrough.language import ENGLISH, counted


@dataclass(frozen=True)
class HandIn:
    """What was packed.

    `missing` are the kinds of artifacts that the module gives and the learner has not made; `lost` are artifacts
    that one of the packed ones was made from and that are no longer there.

    Units: `bytes_` in the folder
    """

    module: str
    folder: Path
    archive: Path
    artifacts: tuple[str, ...]
    missing: tuple[str, ...]
    lost: tuple[str, ...]
    events: int
    bytes_: int

    def lines(self) -> list[str]:
        """What the command prints."""
        lines = [f"{self.archive}: the notebook, {counted(len(self.artifacts), 'artifact')}, {counted(self.events, 'line')} of your log, {self.bytes_ / 1e6:.1f} MB"]
        lines += [f"no {kind} of your own yet: the lab makes it" for kind in self.missing]
        lines += [f"{name}, from which one of them was made, is not in your store: without it the experiment earns nothing" for name in self.lost]
        return [*lines, f"next: upload the zip, or cd {self.folder.parent} && nbgrader submit {self.module}"]


def pack(course: Syllabus, module: Module, *, log: bool = True, language: str = ENGLISH) -> HandIn:
    """Pack a learner's lab of a module, in the language they worked in, into build/handin, in place of what was packed before.

    Raises: InputError when there is no lab, or it is larger than what is taken; NotebookError when it is no notebook;
            ArtifactError when an artifact was altered
    """
    lab = course.lab(answers.find_lab(course, module.id, language), language)
    notebooks.read(lab)
    own = {kind: _newest_own(kind) for kind in module.gives}
    made, lost = [one for one in own.values() if one is not None], list[str]()
    if module.takes:  # then what it gives is measured against what it was made from
        made, lost = _with_parents(made)
    lines = list(_lines(module)) if log else []
    size = _check_size(lab, made, lines)
    home = course.root / "build" / "handin"
    with files.folder_aside(home / module.id) as folder:
        shutil.copyfile(lab, folder / f"{module.id}.ipynb")
        for one in made:
            for name in (*one.files, artifacts.MANIFEST):
                target = folder / artifacts.FOLDER / one.kind / one.id / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(one.folder / name, target)
        if lines:
            (folder / events.FILE).write_text("".join(lines), encoding="utf-8")
    archive = _archive(home / module.id)
    names, missing = tuple(f"{one.kind}/{one.id}" for one in made), tuple(kind for kind, one in own.items() if one is None)
    return HandIn(module.id, home / module.id, archive, names, missing, tuple(lost), len(lines), size)


def _with_parents(made: list[Artifact]) -> tuple[list[Artifact], list[str]]:
    """Artifacts with all that they were made from, the staff's too; and the ids of what is no longer there."""
    kinds = sorted(folder.name for folder in artifacts.store().iterdir()) if made else []
    found, lost, todo = {one.id: one for one in made}, set(), list(made)
    while todo:
        one = todo.pop()
        parents = [artifacts.load(folder) for kind in kinds for folder in artifacts.parent_folders(one, kind) if folder.name not in found]
        found |= {parent.id: parent for parent in parents}
        lost |= set(one.parents) - set(found)
        todo += parents
    return list(found.values()), sorted(lost)


def _newest_own(kind: str) -> Artifact | None:
    """The newest artifact of a kind that is not the staff's, verified; none when there is none."""
    for folder in sorted((artifacts.store() / kind).glob("[0-9]*"), reverse=True):
        try:
            if artifacts.read_manifest(folder).staff:
                continue
        except ArtifactError:  # a folder that was never finished
            continue
        return artifacts.load(folder)
    return None


def _lines(module: Module) -> Iterator[str]:
    """The module's events in the learner's log, a line each."""
    own = {*module.exercises, *module.questions}
    for event in events.read():
        if event.get("exercise") in own or (event["kind"] == "claim" and event.get("claim") in module.claims):
            yield json.dumps(event, ensure_ascii=False) + "\n"


def _check_size(lab: Path, made: list[Artifact], lines: list[str]) -> int:
    notebook = lab.stat().st_size
    if notebook > LIMITS.notebook_bytes:
        got = f"{notebook / 1e6:.0f} MB"
        raise InputError(expected(f"a notebook of at most {LIMITS.notebook_bytes // 10**6} MB", got, "clearing the outputs of the large cells"))
    paths = [one.folder / name for one in made for name in (*one.files, artifacts.MANIFEST)]
    size = notebook + sum(path.stat().st_size for path in paths) + sum(len(line.encode()) for line in lines)
    if size > LIMITS.bytes_ or len(paths) + 2 > LIMITS.files:
        what = f"a hand-in of at most {LIMITS.bytes_ // 10**6} MB and {LIMITS.files} files"
        raise InputError(expected(what, f"{size / 1e6:.0f} MB in {len(paths) + 2} files", "saving a smaller artifact"))
    return size


def _archive(folder: Path) -> Path:
    target = folder.with_suffix(".zip")
    with files.aside(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder.parent))
    return target
