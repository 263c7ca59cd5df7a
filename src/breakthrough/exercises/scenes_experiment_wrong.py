"""Module 2: datasets that were handed over with one fault each, for the experiment's misconceptions."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.optional import require
from breakthrough.scenes import coco, manifest, shards
from breakthrough.scenes.dataset import Dataset, Settings, make, open_dataset
from breakthrough.scenes.handover import FOLDER, KIND, save_scenes
from breakthrough.scenes.manifest import SHARDS
from breakthrough.scenes.ranges import preset
from breakthrough.seeds import numpy_generator

SMALL = Settings(n=60, shard_images=32)


@cache
def _home() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="scenes-")  # gone when the process ends


@cache
def made(settings: Settings = SMALL) -> Dataset:
    """A small dataset, made once."""
    folder = tempfile.mkdtemp(dir=_home().name)
    return make(folder, settings)


def by_scene(dataset: Dataset) -> np.ndarray:
    """The last two scenes for the test, the two before for validation."""
    scene = np.array([picture.labels["scene"] for picture in dataset])
    last = scene.max()
    return np.where(scene > last - 2, 2, np.where(scene > last - 4, 1, 0))


def saved(settings: Settings | None = None, part: Callable[[Dataset], np.ndarray] = by_scene, **how: Any) -> Artifact:
    """An artifact of a small dataset."""
    dataset = made(settings) if settings else made()
    return save_scenes(dataset, part(dataset), how.pop("profile", "tiny"), **how)


def drawn_from(**changes: Any) -> Artifact:
    """An artifact of a small dataset of other settings."""
    return saved(replace(SMALL, **changes))


def custom_ranges() -> Artifact:
    """Ranges of one's own that vary everything: nothing is wrong with it."""
    return drawn_from(ranges=replace(preset("all"), distractors=(0, 3), light_power=(0.4, 1.2)), shots=2)


def by_picture(dataset: Dataset) -> np.ndarray:
    """A split that leaks."""
    return numpy_generator(0).choice(3, len(dataset), p=[0.7, 0.15, 0.15])


def altered(change: Callable[[Path], None]) -> Callable[[], Artifact]:
    """A copy of a good dataset, changed before it is saved."""

    def answer() -> Artifact:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy"
            shutil.copytree(made().folder, copy)
            change(copy)
            return save_scenes(open_dataset(copy, unfinished=True), by_scene(made()), "tiny")

    return answer


def unfinished(folder: Path) -> None:
    """A dataset that was killed on the way."""
    replace(manifest.read(folder), complete=False).write(folder)


def other_seed(folder: Path) -> None:
    """A manifest with another seed than its pictures."""
    state = manifest.read(folder)
    replace(state, settings=replace(state.settings, seed=1)).write(folder)


def said_to_be_randomized(folder: Path) -> None:
    """The naive set under the manifest of the randomized one."""
    naive = made(replace(SMALL, ranges="naive"))
    shutil.rmtree(folder)
    shutil.copytree(naive.folder, folder)
    state = manifest.read(folder)
    replace(state, settings=replace(state.settings, ranges="all")).write(folder)


def labels_rotated(folder: Path) -> None:
    """Every picture has the class of the next scene."""
    state = manifest.read(folder)
    pictures = list(open_dataset(folder))
    labels = [picture.labels for picture in pictures]
    classes = np.roll([one["class"] for one in labels], state.settings.shots).tolist()
    moved = iter([replace(p, json=json.dumps(one | {"class": c}).encode()) for p, one, c in zip(pictures, labels, classes)])
    for shard in state.shards:
        written = shards.write(folder / SHARDS / shard.name, [next(moved) for _ in range(shard.images)])
        state = state.with_shard(replace(shard, sha256=written.sha256, bytes=written.bytes))
    state.write(folder)


def annotated(change: Callable[[dict[str, Any]], None]) -> Callable[[], Artifact]:
    """A good dataset whose COCO file is changed."""
    def rewrite(folder: Path) -> None:
        path = folder / coco.NAME
        book = json.loads(path.read_text(encoding="utf-8"))
        change(book)
        path.write_text(json.dumps(book), encoding="utf-8")

    return altered(rewrite)


def each(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[], Artifact]:
    """A good dataset whose annotations are changed one by one."""
    return annotated(lambda book: book.update(annotations=[one | change(one) for one in book["annotations"]]))


def shifted(one: dict[str, Any]) -> dict[str, Any]:
    """A mask that is one row off, as one drawn by hand may be."""
    runs = require("pycocotools.mask", "masks of scenes")
    mask = runs.decode(one["segmentation"])
    moved = runs.encode(np.asfortranarray(np.roll(mask, 1, axis=0)))
    return {"segmentation": moved | {"counts": moved["counts"].decode()}}


def half(book: dict[str, Any]) -> None:
    """Every other picture is missing in COCO's file."""
    book["images"] = book["images"][::2]


def changed() -> Artifact:
    """A shard altered after the artifact was saved."""
    artifact = saved()
    with artifact.path(f"{FOLDER}/{SHARDS}/000000.tar").open("r+b") as file:
        file.seek(1000)
        file.write(b"changed")
    return artifact


def resaved(change: Callable[[dict[str, Any]], dict[str, Any]], **metrics: Any) -> Artifact:
    """A good artifact's files and metrics, changed and saved again."""
    artifact = saved()
    files = {name: artifact.path(name) for name in artifact.files}
    return artifacts.save(KIND, change(files), metrics={**artifact.metrics, **metrics}, profile="tiny")


def without(*names: str) -> Callable[[], Artifact]:
    """An artifact that lacks files."""
    return lambda: resaved(lambda files: {name: path for name, path in files.items() if name not in names})


def junk(name: str) -> Callable[[], Artifact]:
    """An artifact with a file that holds nonsense."""
    return lambda: resaved(lambda files: files | {name: lambda path: path.write_bytes(b"junk")})
