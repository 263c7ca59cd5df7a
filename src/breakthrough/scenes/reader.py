"""Open a dataset: its pictures one by one, by number, or all at once as arrays.

Legend: N pictures, H, W their size.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from breakthrough.errors import ArtifactError, InputError, expected
from breakthrough.scenes import manifest, shards
from breakthrough.scenes.manifest import SHARDS, Manifest, Settings


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """What a classifier trains on.

    Shapes: rgb (N, H, W, 3) uint8, classes (N,) int64, scenes (N,) int64
    Units:  classes index `spec.DEFECTS`; pictures of one scene show the same part: split by scene
    """

    rgb: np.ndarray
    classes: np.ndarray
    scenes: np.ndarray


class Dataset:
    """A dataset on disk. Every shard is compared with its SHA-256 when it is read.

    Raises: ArtifactError naming the shard that is missing or altered, when it is reached
    """

    def __init__(self, folder: Path, state: Manifest) -> None:
        self.folder = folder
        self.manifest = state
        self._shards = {shard.name: shard for shard in state.shards}
        self._load = functools.lru_cache(maxsize=2)(self._read)

    def __repr__(self) -> str:
        settings = self.settings
        return f"Dataset({str(self.folder)!r}: {len(self)} pictures of {settings.size}², ranges {settings.to_dict()['settings']['ranges']})"

    def __len__(self) -> int:
        return self.manifest.images

    def __iter__(self) -> Iterator[shards.Picture]:
        for name in self._shards:
            yield from self._read(name)

    def __getitem__(self, i: int) -> shards.Picture:
        left = i + len(self) if i < 0 else i
        for shard in self.manifest.shards:
            if 0 <= left < shard.images:
                return self._load(shard.name)[left]
            left -= shard.images
        raise IndexError(expected(f"a picture's number below {len(self)}", i))

    @property
    def settings(self) -> Settings:
        """What the dataset was made with."""
        return self.manifest.settings

    def scene(self, scene: int) -> list[shards.Picture]:
        """All shots of a scene.

        Raises: InputError when the dataset has no such scene
        """
        for number, scenes in enumerate(self.settings.shards()):
            name = f"{number:06d}.tar"
            if scene in scenes and name in self._shards:
                return [picture for picture in self._load(name) if picture.key.startswith(f"{scene:06d}-")]
        raise InputError(expected(f"a scene from 0 to {self.settings.scenes() - 1} that is made", scene))

    def arrays(self) -> Arrays:
        """All pictures with class and scene, in memory.

        Units: H × W × 3 bytes a picture
        """
        size = self.settings.size
        rgb = np.empty((len(self), size, size, 3), np.uint8)
        numbers = np.empty((len(self), 2), np.int64)
        for i, picture in enumerate(self):
            labels = picture.labels
            rgb[i] = picture.rgb
            numbers[i] = labels["class"], labels["scene"]
        return Arrays(rgb, numbers[:, 0].copy(), numbers[:, 1].copy())

    def _read(self, name: str) -> list[shards.Picture]:
        return shards.read(self.folder / SHARDS / name, self._shards[name].sha256)


def open_dataset(folder: str | Path, *, unfinished: bool = False) -> Dataset:
    """Open a dataset; one that is not finished only when that is asked for.

    Raises: ArtifactError when there is none, or it is not finished
    """
    home = Path(folder).resolve()
    state = manifest.read(home)
    if not state.complete and not unfinished:
        got = f"{state.images} of {state.settings.n} pictures"
        raise ArtifactError(expected(f"a finished dataset in {home}", got, "breakthrough scenes make … --resume"))
    return Dataset(home, state)
