"""Sets of pictures as an artifact, `<name>.npz` each, and several sets as one.

An inspector that learned from such artifacts names them among its parents, so that whoever has the inspector finds
the pictures to calibrate with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError, ConfigError, InputError, expected
from breakthrough.train.pictures import Pictures

KIND = "pictures"


def save_sets(sets: Mapping[str, Pictures], metrics: Mapping[str, Any], profile: str, *, parents: tuple[Artifact | str, ...] = ()) -> Artifact:
    """Save sets of pictures of one size as an artifact; its metrics tell their side, in pixels.

    Raises: InputError for a name that cannot be a file's, for no sets, and for pictures of several sizes
    """
    side, _ = _one_size(sets.values())
    files = {f"{name}.npz": partial(one.save, compressed=True) for name, one in sets.items()}
    return artifacts.save(KIND, files, metrics={**metrics, "side": side}, profile=profile, parents=parents)


def load_set(artifact: Artifact | str | Path, name: str) -> Pictures:
    """One set of an artifact, its files verified.

    Raises: ArtifactError when it is not of this kind, has no such set, or a file is missing or altered
    """
    found = artifacts.load(artifact.folder if isinstance(artifact, Artifact) else artifact)
    if found.kind != KIND:
        raise ArtifactError(expected(f"an artifact of kind {KIND!r}", repr(found.kind)))
    return Pictures.load(found.path(f"{name}.npz"))


def parents_set(artifact: Artifact, name: str) -> Pictures | None:
    """The sets of a name of all picture artifacts among an artifact's parents, together; None where there is none."""
    homes = [artifacts.read_manifest(home) for home in artifacts.parent_folders(artifact, KIND)]
    found = [load_set(home, name) for home in homes if f"{name}.npz" in home.files]  # verified there
    return together(found) if found else None


def parents_side(artifact: Artifact) -> int | None:
    """The side of the pictures among an artifact's parents, no picture read; None where there are none.

    Units:  pixels
    """
    sides = (artifacts.read_manifest(home).metrics.get("side") for home in artifacts.parent_folders(artifact, KIND))
    return next((side for side in sides if side), None)


def together(sets: Sequence[Pictures]) -> Pictures:
    """All pictures as one set, as a centralised control trains on; scenes keep their numbers.

    Raises: ConfigError for no sets, or sets of other classes; InputError for pictures of other sizes
    """
    if not sets or len({one.classes for one in sets}) > 1:
        raise ConfigError(expected("sets of the same classes", [one.classes for one in sets]))
    _one_size(sets)
    arrays = (np.concatenate([getattr(one, name) for one in sets]) for name in ("images", "labels", "scenes"))
    images, labels, scenes = arrays
    parts = None if any(one.parts is None for one in sets) else np.concatenate([one.parts for one in sets])
    return Pictures(images, labels, sets[0].classes, scenes, parts)


def _one_size(sets: Iterable[Pictures]) -> tuple[int, int]:
    """Height and width of all pictures."""
    sizes = sorted({one.images.shape[1:3] for one in sets})
    if len(sizes) != 1:
        raise InputError(expected("pictures of one size", sizes or "no sets"))
    return sizes[0]
