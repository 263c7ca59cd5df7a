"""Module 2: looking into a dataset that was handed over. What its manifest says is made again and compared."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from breakthrough.artifacts import MANIFEST, Artifact
from breakthrough.errors import BreakthroughError
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.exercise import Case
from breakthrough.exercises.handed_over import examine
from breakthrough.optional import require
from breakthrough.scenes import coco, manifest, ranges
from breakthrough.scenes.handover import FOLDER, KIND, NAMES, PARTS, Scenes, load_scenes
from breakthrough.scenes.manifest import SHARDS
from breakthrough.scenes.pipeline import PATHTRACE, Pipeline
from breakthrough.scenes.reader import Dataset
from breakthrough.scenes.shards import Labels, Picture
from breakthrough.scenes.spec import DEFECTS
from breakthrough.seeds import numpy_generator

FILES = (f"{FOLDER}/{manifest.NAME}", f"{FOLDER}/{coco.NAME}", PARTS)
ENOUGH = {"tiny": 40, "quick": 1000, "full": 5000}  # pictures
UNEVEN = 0.25  # how far a class may be from its even share of the pictures, as a part of it
FACTORS = {"light": ranges.LIGHT, "material": ranges.MATERIAL, "camera": ranges.CAMERA, "distractors": ranges.DISTRACTORS}
LOOKED_AT = 16  # pictures whose annotations are compared with their masks
SHARDS_AGAIN, SCENES_AGAIN = 2, 3  # so many shards are begun anew, and so many scenes of each
SAME_RGB, SAME_MASK = 4.0, 0.9  # mean difference of 255; intersection over union: rounding differs by machine


def measure(answer: Any, case: Case) -> Outcome:
    """Look into an artifact's dataset: what it holds, how it is split, and whether its manifest is true.

    A function is called, with a store of its own, for the artifact it returns.
    """
    return examine(answer, KIND, FILES, lambda found: _judge(found, case.args[0]), _a_dataset)


def _a_dataset(answer: Any) -> Outcome | None:
    folder = Path(answer) if isinstance(answer, (str, Path)) else None
    if isinstance(answer, Dataset) or (folder is not None and (folder / MANIFEST).is_file() and (folder / SHARDS).is_dir()):
        return Outcome("the dataset", "this is a dataset, not an artifact", "what save_scenes returns", repr(answer)[:80])
    return None


def _judge(found: Artifact, seed: int) -> Outcome:
    try:
        state = manifest.read(found.folder / FOLDER)
        lost = [shard.name for shard in state.shards if f"{FOLDER}/{SHARDS}/{shard.name}" not in found.files]
        if lost or not state.complete or state.images != state.settings.n:
            got = f"{state.images} pictures{', without ' + ', '.join(lost) if lost else ''}"
            return Outcome("not finished", "the dataset is not complete", f"{state.settings.n} pictures", got)
        scenes = load_scenes(found)
        look = _Look(found, scenes, list(scenes.dataset), seed)
        return next((fault for part in look.parts() for fault in part if fault.fault), Outcome())
    except BreakthroughError as error:
        return Outcome("unreadable", str(error))


@dataclass(frozen=True, eq=False)
class _Look:
    found: Artifact
    scenes: Scenes
    pictures: list[Picture]
    seed: int

    @cached_property
    def labels(self) -> list[Labels]:
        return [picture.labels for picture in self.pictures]

    def parts(self) -> Iterator[Iterator[Outcome]]:
        """What is looked at, the quick things first."""
        yield self.settings()
        yield self.classes()
        yield self.split()
        yield self.counts()
        yield self.annotations()
        yield self.made_again()

    def settings(self) -> Iterator[Outcome]:
        settings, profile = self.scenes.dataset.settings, self.found.profile
        least = ENOUGH.get(profile, ENOUGH["quick"])
        if len(self.pictures) < least:
            yield Outcome("too few", f"too few pictures for profile {profile}", f"{least} or more", str(len(self.pictures)))
        if settings.renderer == PATHTRACE or _plain(settings.ranges) == ranges.preset("line"):
            yield Outcome("the line itself", "these are pictures of the line", 'ranges="all"', 'ranges="line"')
        if not settings.physics:
            yield Outcome("physics off", "the scenes were not settled", "physics=True", "physics=False")
        naive = ranges.preset("naive")
        fixed = [name for name, keys in FACTORS.items() if all(getattr(_plain(settings.ranges), k) == getattr(naive, k) for k in keys)]
        if fixed:
            yield Outcome("a factor is fixed", f"{', '.join(fixed)}: as in the naive set", "ranges that vary all four", f"{', '.join(fixed)} fixed")

    def classes(self) -> Iterator[Outcome]:
        counts = np.bincount([one["class"] for one in self.labels], minlength=len(DEFECTS))
        even = len(self.labels) / len(DEFECTS)
        if (np.abs(counts - even) > UNEVEN * even).any():
            got = ", ".join(f"{name} {count}" for name, count in zip(DEFECTS, counts))
            yield Outcome("unbalanced", "the five classes come in unequal numbers", f"about {even:.0f} pictures of each", got)

    def split(self) -> Iterator[Outcome]:
        part, scene = self.scenes.part, np.array([one["scene"] for one in self.labels])
        leaks = [number for number in np.unique(scene) if len(np.unique(part[scene == number])) > 1]
        if leaks:
            text = f"{len(leaks)} of {len(np.unique(scene))} scenes have pictures in two parts, scene {leaks[0]} is the first"
            yield Outcome("leak", text, "each scene in one part", f"scene {leaks[0]} in parts {sorted(set(part[scene == leaks[0]].tolist()))}")
        sizes = {name: int((part == i).sum()) for i, name in enumerate(NAMES)}
        got = ", ".join(f"{name} {size}" for name, size in sizes.items())
        if min(sizes.values()) == 0 or sizes["train"] < len(part) / 2:
            yield Outcome("lopsided split", "a part is empty, or less than half is for training", "most in train, some in valid and test", got)
        learned = {one["class"] for one, where in zip(self.labels, part.tolist()) if where == 0}
        missing = [name for i, name in enumerate(DEFECTS) if i not in learned]
        if missing:
            yield Outcome("unbalanced", f"training has no {', no '.join(missing)}", "all five classes in training", got)

    def counts(self) -> Iterator[Outcome]:
        told, true = self.found.metrics, self.scenes.dataset.manifest.counts()
        wrong = [name for name in ("images", "drawn", "dropped") if told.get(name) != true[name]]
        if wrong:
            want, got = ({name: source.get(name) for name in wrong} for source in (true, told))
            yield Outcome("counts not told", "the artifact's metrics do not say how many scenes were dropped", str(want), str(got))

    def annotations(self) -> Iterator[Outcome]:
        """COCO's file against the masks in the shards."""
        book = _coco(self.found.path(f"{FOLDER}/{coco.NAME}"))
        if book is None:
            yield Outcome("unreadable", f"{coco.NAME} does not load in pycocotools")
            return
        by_name = {entry["file_name"].rpartition(".")[0]: entry["id"] for entry in book.imgs.values()}
        things = sum(len(one["instances"]) for one in self.labels)
        if set(by_name) != {picture.key for picture in self.pictures} or len(book.anns) != things:
            want, got = f"{len(self.pictures)} pictures, {things} annotations", f"{len(by_name)} and {len(book.anns)}"
            yield Outcome("annotations incomplete", f"{coco.NAME} is not of these pictures", want, got)
            return
        draw = numpy_generator(self.seed, "annotations")
        for i in draw.permutation(len(self.pictures))[:LOOKED_AT]:
            yield _annotated(self.pictures[i], book.imgToAnns[by_name[self.pictures[i].key]], book)

    def made_again(self) -> Iterator[Outcome]:
        """Some scenes made again from the manifest's settings and seed."""
        settings, draw = self.scenes.dataset.settings, numpy_generator(self.seed, "again")
        mine = {picture.key: (picture, labels) for picture, labels in zip(self.pictures, self.labels)}
        shards = settings.shards()
        with Pipeline(replace(settings, renderer="tiny")) as source:
            for number in draw.permutation(len(shards))[:SHARDS_AGAIN]:
                for made in source.shard(shards[number][:SCENES_AGAIN]):  # a shard's pictures depend on those before
                    for fresh in made.pictures:
                        picture, labels = mine.get(fresh.key, (None, {}))
                        yield _same(fresh, picture, labels, by_colour=settings.renderer == "tiny")


def _same(fresh: Picture, picture: Picture | None, labels: Labels, by_colour: bool) -> Outcome:
    """Whether a picture is the one that the manifest's settings give, up to the rounding of another machine."""
    alike = picture is not None and _overlap(_bracket(fresh, fresh.labels), _bracket(picture, labels)) >= SAME_MASK
    if picture is not None and alike and by_colour:
        alike = np.abs(picture.rgb.astype(float) - fresh.rgb).mean() <= SAME_RGB
    if not alike:
        text = f"picture {fresh.key}, made again from the manifest's settings and seed, is another"
        return Outcome("another seed", text, "the same picture", "another one" if picture else "none of that name")
    want, got = (DEFECTS[one["class"]] if one["class"] in range(len(DEFECTS)) else str(one["class"]) for one in (fresh.labels, labels))
    if want != got:
        return Outcome("labels moved", f"picture {fresh.key} shows another class than its label says", want, got)
    return Outcome()


def _bracket(picture: Picture, labels: Labels) -> np.ndarray:
    names = [one["category"] for one in labels["instances"]]
    masks = picture.masks
    return masks[names.index("bracket")] if "bracket" in names else np.zeros(masks.shape[1:], bool)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union. Shapes: (H, W), (H, W)"""
    if one.shape != other.shape or not (one | other).any():
        return 0.0
    return float((one & other).sum() / (one | other).sum())


def _annotated(picture: Picture, entries: list[dict[str, Any]], book: Any) -> Outcome:
    """Whether the annotations of a picture are those of its masks."""
    masks = dict(zip((one["name"] for one in picture.labels["instances"]), picture.masks))
    for entry in entries:
        mask = masks.get(entry.get("name"))
        told = book.annToMask(entry).astype(bool)
        what = f"{entry.get('name')} in picture {picture.key}"
        if mask is None or told.shape != mask.shape or (told != mask).any():
            return Outcome("masks differ", f"the annotation of {what} has another mask than the renderer's", "the same pixels", "others")
        if entry["area"] != mask.sum():
            return Outcome("areas differ", f"the area of {what} is not that of its mask", str(int(mask.sum())), str(entry["area"]))
        (y, x), (bottom, right) = (edge(np.nonzero(mask), axis=1) for edge in (np.min, np.max))
        box = [int(x), int(y), int(right - x + 1), int(bottom - y + 1)]
        if not np.allclose(entry["bbox"], box, atol=0.5):
            return Outcome("boxes differ", f"the box of {what} is not that of its mask", f"[x, y, width, height] = {box}", str(entry["bbox"]))
    return Outcome()


def _plain(chosen: str | ranges.Ranges) -> ranges.Ranges:
    return ranges.preset(chosen) if isinstance(chosen, str) else chosen


def _coco(path: Path) -> Any:
    book = require("pycocotools.coco", "annotations of scenes")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it says that it is creating an index
            return book.COCO(str(path))
    except Exception:  # noqa: BLE001 - a file written by a learner may break it in any way
        return None
