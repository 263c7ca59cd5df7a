"""Where an artifact comes from: the chain of its parents back to the settings it began with, every hash verified.

An artifact's manifest names its parents by their ids, which end with the first digits of their content's hash. Parents are
looked for beside the artifact, in the store, and in the stores within it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough import artifacts
from breakthrough.artifacts import MANIFEST, Artifact
from breakthrough.errors import ArtifactError, expected
from breakthrough.language import counted

WHOLE, ALTERED, MISSING = "whole", "altered", "missing"
QUIET = ("shots", "shard_images", "physics", "spp", "supersample")  # left out where a line has to do


@dataclass(frozen=True)
class Link:
    """One artifact of a chain.

    `state` is whole where every file has its hash, and the id the content's; `why` says what is wrong. `artifact` is None
    where it is missing.
    """

    id: str
    state: str
    why: str = ""
    artifact: Artifact | None = None
    parents: tuple[Link, ...] = ()

    @property
    def name(self) -> str:
        """What it is called: its stage where it has one, else its kind."""
        if self.artifact is None:
            return "?"
        return str(self.artifact.metrics.get("stage") or self.artifact.kind)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What it was made with."""
        return {} if self.artifact is None else self.artifact.metrics.get("settings") or {}

    def each(self) -> Iterator[Link]:
        """Every artifact of the chain once, those before whom they were made from."""
        seen: set[str] = set()
        todo = [self]
        while todo:
            one = todo.pop(0)
            if one.id not in seen:
                seen.add(one.id)
                todo += one.parents
                yield one

    @property
    def broken(self) -> list[Link]:
        """Those that are not whole."""
        return [one for one in self.each() if one.state != WHOLE]


def trace(artifact: Artifact | str | Path) -> Link:
    """The chain of an artifact: of one at hand, in a folder, of an id, or the newest of a kind.

    Raises: ArtifactError when there is no such artifact
    """
    known: dict[str, Link] = {}
    folder = artifact.folder if isinstance(artifact, Artifact) else _find(str(artifact))
    return _link(folder.name, folder, _homes(folder), known)


def lines(link: Link, full: bool = False) -> Iterator[str]:
    """The chain as a tree of text, each artifact once with what it was made with; `full` tells every range."""
    yield from _tree(link, "", "", set(), full)
    broken = link.broken
    yield ""
    count = sum(1 for _ in link.each())
    yield f"{counted(count, 'artifact')}, every file of each has its hash" if not broken else f"{counted(count, 'artifact')}, {len(broken)} not whole:"
    yield from (f"  {one.name}/{one.id}: {one.why}" for one in broken)


def words(link: Link) -> str:
    """In a few words, what an artifact was made with: seeds, numbers, how many ranges."""
    return ", ".join(_words(name, value) for name, value in link.settings.items())


def everything(settings: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Settings in full, a line each, the inner ones by their path."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from everything(value, f"{before}{name}.")
        else:
            yield f"{before}{name} = {json.dumps(value, ensure_ascii=False)}"


def _find(name: str) -> Path:
    if (Path(name) / MANIFEST).is_file():
        return Path(name).resolve()
    homes = _homes(artifacts.store() / "x" / "y")
    plain = name.replace("_", "").replace("-", "").isalnum()  # an id or a kind, no path
    found = [place.parent for home in homes for place in home.glob(f"*/{name}/{MANIFEST}")] if plain else []
    if plain and not found:
        found = sorted((place.parent for home in homes for place in home.glob(f"{name}/[0-9]*/{MANIFEST}")), key=lambda one: one.name)
    if not found:
        kinds = sorted({place.parents[1].name for home in homes for place in home.glob(f"*/[0-9]*/{MANIFEST}")})
        raise ArtifactError(expected("an artifact's folder, id or kind", repr(name), ", ".join(kinds) or "breakthrough capstone, which makes some"))
    return found[-1].resolve()


def _homes(folder: Path) -> list[Path]:
    store = artifacts.store().resolve()
    inner = sorted(place.parents[2] for place in store.glob(f"*/*/[0-9]*/{MANIFEST}"))
    return list(dict.fromkeys((folder.resolve().parents[1], store, *inner)))


def _link(name: str, folder: Path | None, homes: list[Path], known: dict[str, Link]) -> Link:
    if name in known:
        return known[name]
    known[name] = Link(name, MISSING, "it is in no store that was looked into")
    if folder is None:
        return known[name]
    found: Artifact | None
    try:
        found, state, why = artifacts.load(folder), WHOLE, ""
        if not name.endswith(found.digest[:8]):
            state, why = ALTERED, f"its content's hash begins with {found.digest[:8]}, its id ends otherwise"
    except ArtifactError as error:
        state, why, found = ALTERED, str(error), _unverified(folder)
    parents = () if found is None else tuple(_link(one, _place(one, homes), homes, known) for one in found.parents)
    inputs: Mapping[str, str] = (found.metrics.get("inputs") if found is not None else None) or {}
    for parent in parents if state == WHOLE else ():
        wanted = inputs.get(parent.name)
        if parent.artifact is not None and wanted not in (None, parent.artifact.digest):
            state, why = ALTERED, f"it was made from {parent.name} with content {wanted[:12]}…, its parent's is {parent.artifact.digest[:12]}…"
    known[name] = Link(name, state, why, found, parents)
    return known[name]


def _place(name: str, homes: list[Path]) -> Path | None:
    return next((place.parent for home in homes for place in home.glob(f"*/{name}/{MANIFEST}")), None)


def _unverified(folder: Path) -> Artifact | None:
    """What a manifest says, though its files do not agree; None where there is none to read."""
    try:
        return artifacts.read_manifest(folder)
    except ArtifactError:
        return None


def _tree(link: Link, before: str, below: str, seen: set[str], full: bool) -> Iterator[str]:
    sign = {WHOLE: "✓", ALTERED: "✗", MISSING: "?"}[link.state]
    again = link.id in seen and bool(link.parents)
    told = list(everything(link.settings)) if full else [words(link)] if link.settings else []
    yield f"{before}{sign} {link.name}  {link.id}" + ("  (above)" if again else "")
    if link.id not in seen:
        yield from (f"{below}{'│  ' if link.parents else '   '}{line}" for line in told)
    if not again:
        seen.add(link.id)
        for i, parent in enumerate(link.parents):
            last = i == len(link.parents) - 1
            yield from _tree(parent, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), seen, full)


def _words(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        inner = [f"{len(one)} {key}" if isinstance(one, Mapping) else f"{key} {one}" for key, one in value.items() if key not in QUIET]
        return f"{name} ({', '.join(inner)})"
    return f"{name} {value}"
