"""Four factories, each with its own light, camera, parts and defects; or module 2's dataset shared out among four.

A factory is a corner of module 2's ranges `all`. Nothing else differs: what a class is, is the same everywhere.

Shape legend: N pictures, H × W pixels.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.digests import digest_of
from breakthrough.errors import ArtifactError, InputError, expected, unknown
from breakthrough.federated.partition import Partition
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.handover import NAMES, load_scenes
from breakthrough.scenes.pixels import every
from breakthrough.scenes.ranges import PRESETS, Ranges, degrees
from breakthrough.scenes.reader import Dataset
from breakthrough.scenes.spec import DEFECTS
from breakthrough.seeds import derive
from breakthrough.train.pictures import Pictures

FOLDER = "factories"  # in the store of artifacts


@dataclass(frozen=True)
class Factory:
    """A factory: what its pictures are drawn from.

    `ranges.defects` has a name as often as its share of the parts asks for.
    """

    name: str
    words: str
    ranges: Ranges

    @property
    def mix(self) -> dict[str, float]:
        """The share of every class among its parts."""
        defects = self.ranges.defects
        return {name: defects.count(name) / len(defects) for name in DEFECTS}


def _factory(name: str, words: str, mix: Sequence[int], **corner: Any) -> Factory:
    # a class as often as its number says: every run of as many scenes has just this mix
    defects = tuple(kind for kind, count in zip(DEFECTS, mix, strict=True) for _ in range(count))
    return Factory(name, words, replace(PRESETS["all"], defects=defects, **corner))


# mixes: none, missing_bolt, raised_bolt, misaligned_cap, scratch
FACTORIES: tuple[Factory, ...] = (
    _factory(
        "north", "bright and warm, steel parts, scratched", (8, 1, 2, 1, 8),
        light_power=(1.1, 1.5), ambient=(0.45, 0.7), light_warmth_factor=(1.15, 1.4), light_radius_m=(0.08, 0.15),
        bracket_kinds=("steel", "aluminium"), bolt_kinds=("steel",), cap_kinds=("plastic", "paint"), tray_kinds=("rubber", "plastic"),
        any_colour=(0.0, 0.0), elevation_rad=degrees(60, 66), azimuth_rad=degrees(-94, -86), roll_rad=degrees(-2, 2), distractors=(0, 1),
    ),
    _factory(
        "east", "dim and cold, tilted camera, bolts missing", (6, 9, 3, 1, 1),
        light_power=(0.35, 0.6), ambient=(0.08, 0.25), light_warmth_factor=(0.7, 0.85), lights=(1, 2), variants=("b", "c"),
        bracket_kinds=("aluminium", "cast_iron"), bolt_kinds=("steel", "black_oxide"), tray_kinds=("steel", "paint"),
        any_colour=(0.0, 0.1), elevation_rad=degrees(50, 57), azimuth_rad=degrees(-104, -95), roll_rad=degrees(3, 8), distractors=(0, 3),
    ),
    _factory(
        "south", "one hard lamp from the side, brass and paint, caps off", (8, 1, 2, 8, 1),
        light_power=(0.9, 1.4), ambient=(0.08, 0.2), light_warmth_factor=(0.95, 1.15), lights=(1, 1), light_radius_m=(0.02, 0.04),
        light_elevation_rad=degrees(28, 45), variants=("a", "c"), bracket_kinds=("brass", "paint"), bolt_kinds=("brass", "black_oxide"),
        cap_kinds=("brass", "aluminium", "rubber"), tray_kinds=("wood", "cardboard"), distance_m=(0.24, 0.255),
        azimuth_rad=degrees(-85, -76), roll_rad=degrees(-8, -3), distractors=(1, 3),
    ),
    _factory(
        "west", "many lamps, any colour, cluttered trays, bolts raised", (6, 1, 9, 1, 3),
        light_power=(0.6, 1.0), ambient=(0.25, 0.45), light_warmth_factor=(0.85, 1.0), lights=(3, 3), any_colour=(0.0, 0.25),
        textured=(0.0, 0.6), bracket_kinds=("paint", "cast_iron"), cap_kinds=("black_oxide", "plastic", "rubber"),
        elevation_rad=degrees(62, 68), distance_m=(0.275, 0.29), roll_rad=degrees(-3, 3), distractors=(3, 5),
    ),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Site:
    """What one factory has: pictures to train on, and others of other scenes to be measured on."""

    name: str
    train: Pictures
    test: Pictures


def make_factories(
    n: int,
    seed: int,
    size: int = 64,
    folder: str | Path | None = None,
    workers: int = 1,
    progress: bool = False,
    *,
    held_out: int | None = None,
    factories: Sequence[Factory] = FACTORIES,
) -> tuple[Site, ...]:
    """Make the pictures of every factory, or read them where they were made before.

    A factory trains on its own mix of defects. It is measured on its own light, camera and parts with all
    classes alike: whoever learned of a defect elsewhere shows it here. No two scenes are the same, nor have
    the same number.

    Units:  n pictures a factory to train on, held_out (a quarter of n by default) to measure on, one shot a
            scene; size in pixels; the folder, by default one in the store, keeps sets by what they were made from
    Raises: ConfigError for n, held_out or size too small; what `scenes.dataset.make` raises
    """
    held_out = max(1, n // 4) if held_out is None else held_out
    home = Path(folder) if folder is not None else artifacts.store() / FOLDER
    sites = []
    for i, factory in enumerate(factories):
        sets, first = [], i * (n + held_out)
        for part, count in (("train", n), ("test", held_out)):
            ranges = factory.ranges if part == "train" else replace(factory.ranges, defects=DEFECTS)
            drawn = derive(seed, "factory", factory.name, part)
            settings = Settings(count, drawn, ranges, size, shots=1, supersample=2, shard_images=64)
            found = _kept(home, settings, workers, progress)
            sets.append(replace(found, scenes=found.scenes + first))
            first += n
        sites.append(Site(factory.name, *sets))
    return tuple(sites)


@dataclass(frozen=True, eq=False)
class Shared:
    """A dataset of module 2, its training pictures shared out among factories.

    Shapes: partition over the training pictures; test_owner (M,) the factory each test picture looks like
    """

    names: tuple[str, ...]
    train: Pictures
    valid: Pictures
    test: Pictures
    partition: Partition
    test_owner: np.ndarray

    @property
    def sites(self) -> tuple[Site, ...]:
        """The factories, each with the pictures it holds and the test pictures that look like them.

        Raises: ShapeError when no test picture looks like a factory's
        """
        held = zip(self.names, self.partition.parts)
        return tuple(Site(name, self.train.take(part), self.test.take(self.test_owner == i)) for i, (name, part) in enumerate(held))


# two measures of a picture halve the set, and halve each half: four factories of nearly one size
QUARTERS: Mapping[str, tuple[str, ...]] = {
    "light": ("dim, cold", "dim, warm", "bright, cold", "bright, warm"),
    "camera": ("flat, from the left", "flat, from the right", "steep, from the left", "steep, from the right"),
}


def from_scenes(artifact: Artifact | str | Path, by: str = "light") -> Shared:
    """Share out the training pictures of module 2's artifact among four factories, by what they show.

    `light` goes by a picture's own brightness and warmth, `camera` by where the record says the camera stood.

    Raises: UnknownNameError for another `by`; InputError when there are too few pictures for four factories;
            ArtifactError for no whole dataset
    """
    if by not in QUARTERS:
        raise unknown("measure to share pictures out by", by, QUARTERS)
    scenes = load_scenes(artifact)
    pictures, part = _pictures(scenes.dataset), [scenes.part == i for i in range(len(NAMES))]
    if any(not chosen.any() for chosen in part):
        counts = dict(zip(NAMES, (int(chosen.sum()) for chosen in part)))
        raise InputError(expected("training, validation and test pictures", counts))
    measures = light_of(pictures.images) if by == "light" else camera_of(scenes.dataset)  # (N, 2)
    owner = _quarters(measures, part[0])
    parts = tuple(np.flatnonzero(owner[part[0]] == i) for i in range(4))
    if not all(map(len, parts)):
        raise InputError(expected("training pictures for each of four factories", [len(one) for one in parts], "a larger dataset"))
    train, valid, test = (pictures.take(chosen) for chosen in part)
    return Shared(QUARTERS[by], train, valid, test, Partition(parts), owner[part[2]])


def light_of(images: np.ndarray) -> np.ndarray:
    """Brightness and warmth of pictures.

    Shapes: images (N, H, W, 3) uint8 → (N, 2)
    Units:  the mean pixel value, 0 to 255; the log of mean red over mean blue
    """
    mean = images.mean((1, 2))  # (N, 3)
    return np.stack((mean.mean(1), np.log((mean[:, 0] + 1) / (mean[:, 2] + 1))), 1)


def camera_of(dataset: Dataset) -> np.ndarray:
    """Where the camera stood in every picture: its elevation and azimuth, seen from the part.

    Shapes: → (N, 2)
    Units:  radians; azimuth −π/2 is straight in front of the tray
    """
    matrices = np.array([picture.labels["camera"]["extrinsics"] for picture in dataset]).reshape(-1, 3, 4)
    x, y, z = -np.einsum("nij,ni->jn", matrices[:, :, :3], matrices[:, :, 3])  # −Rᵀ t, (3, N)
    return np.stack((np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)), 1)


def _quarters(measures: np.ndarray, train: np.ndarray) -> np.ndarray:
    # cut at the medians of the training pictures, so that a test picture goes where its like is
    high = measures[:, 0] > np.median(measures[train, 0])  # (N,)
    owner = 2 * high.astype(np.int64)
    for half in (~high, high):
        if (half & train).any():
            owner[half] += measures[half, 1] > np.median(measures[half & train, 1])
    return owner


def _kept(home: Path, settings: Settings, workers: int, progress: bool) -> Pictures:
    name = digest_of(settings.to_dict(), 16)
    path, made = home / f"{name}.npz", home / name
    try:
        return Pictures.load(path)
    except ArtifactError:  # not there, or damaged: it is made again
        pictures = _pictures(make(made, settings, workers=workers, resume=True, progress=progress))
    pictures.save(path)
    shutil.rmtree(made, ignore_errors=True)  # depths and masks have done their work
    return pictures


def _pictures(dataset: Dataset) -> Pictures:
    found = dataset.arrays()
    return Pictures(found.rgb, found.classes, DEFECTS, found.scenes, every(dataset))
