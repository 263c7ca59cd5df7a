"""The dataset as an artifact: what module 2 hands to the modules after it.

    dataset/       the dataset as it was made: manifest, COCO annotations, shards
    parts.npz      `part` (N,) int8: 0 training, 1 validation, 2 test; by picture, parted by scene
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError, InputError, ShapeError, expected, unknown
from breakthrough.scenes import coco, manifest
from breakthrough.scenes.manifest import SHARDS
from breakthrough.scenes.reader import Arrays, Dataset, open_dataset

KIND = "scenes"
FOLDER, PARTS = "dataset", "parts.npz"
NAMES = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class Scenes:
    """A dataset and which of its pictures are for what.

    Shapes: part (N,) int8, an index into NAMES for every picture
    """

    dataset: Dataset
    part: np.ndarray

    def arrays(self, name: str | None = None) -> Arrays:
        """The pictures of a part in memory; all of them without a name.

        Raises: UnknownNameError for another part than train, valid and test
        """
        if name is not None and name not in NAMES:
            raise unknown("part of a dataset", name, NAMES)
        every = self.dataset.arrays()
        if name is None:
            return every
        mine = self.part == NAMES.index(name)
        return Arrays(every.rgb[mine], every.classes[mine], every.scenes[mine])


def save_scenes(
    dataset: Dataset | str | Path,
    part: np.ndarray,
    profile: str,
    *,
    metrics: Mapping[str, Any] | None = None,
    staff: bool = False,
    kind: str = KIND,
) -> Artifact:
    """Save a finished dataset and its split as an artifact. The validity counts are among its metrics.

    Shapes: part (N,) whole numbers from 0 to 2: training, validation, test
    Raises: ShapeError, InputError for a split of another form; ArtifactError for no finished dataset
    """
    made = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    part = np.asarray(part)
    if part.shape != (len(made),):
        raise ShapeError(expected(f"part of shape ({len(made)},), one number a picture", part.shape))
    if part.dtype.kind not in "biu" or part.min() < 0 or part.max() >= len(NAMES):
        raise InputError(expected("part in whole numbers from 0 to 2", f"{part.dtype}, {part.min()} to {part.max()}"))
    inside = [manifest.NAME, coco.NAME, *(f"{SHARDS}/{shard.name}" for shard in made.manifest.shards)]
    files: dict[str, Any] = {f"{FOLDER}/{name}": made.folder / name for name in inside}
    files[PARTS] = lambda path: np.savez_compressed(path, part=part.astype(np.int8))
    told = made.manifest.counts() | dict(metrics or {})
    return artifacts.save(kind, files, metrics=told, profile=profile, staff=staff)


def load_scenes(artifact: Artifact | str | Path) -> Scenes:
    """The dataset and the split of an artifact, its files verified.

    Raises: ArtifactError when a file is missing, altered, or not of a dataset
    """
    found = artifacts.load(artifact.folder if isinstance(artifact, Artifact) else artifact)
    dataset = open_dataset(found.folder / FOLDER)
    try:
        with np.load(found.path(PARTS), allow_pickle=False) as data:
            part = data["part"]
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise ArtifactError(expected(f"the split of a dataset in {found.folder / PARTS}", repr(error))) from error
    if part.shape != (len(dataset),):
        raise ArtifactError(expected(f"a part for each of {len(dataset)} pictures in {PARTS}", part.shape))
    return Scenes(dataset, part)
