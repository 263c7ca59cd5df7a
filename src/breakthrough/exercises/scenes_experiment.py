"""Module 2: the dataset, handed over as an artifact; see `scenes_measure` for how it is judged."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator

from breakthrough.artifacts import Artifact
from breakthrough.exercises import scenes_experiment_wrong as wrong
from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.scenes_measure import measure
from breakthrough.scenes import coco
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.handover import FOLDER, KIND, PARTS, save_scenes
from breakthrough.scenes.ranges import preset
from breakthrough.seeds import numpy_generator

PICTURES = {"tiny": 60, "quick": 2000, "full": 20_000}


def experiment(profile: str = "tiny", seed: int = 0) -> Artifact:
    """Make a randomized dataset that physics agrees with, split it by scene, save both."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = make(Path(folder) / "scenes", Settings(n=PICTURES[profile], seed=seed, ranges="all"))
        scene = dataset.arrays().scenes
        place = numpy_generator(seed, "split").permutation(scene.max() + 1)[scene] / (scene.max() + 1)  # alike in a scene
        part = np.searchsorted((0.7, 0.85), place, side="right")  # 0 training, 1 validation, 2 test
        return save_scenes(dataset, part, profile)


def _cases(generator: Generator):
    yield Case("pictures drawn anew", (int(torch.randint(2**31, (), generator=generator)),))


def _as_a_path() -> Path:
    return experiment(seed=1).folder


def _mostly_good() -> Artifact:
    return wrong.drawn_from(ranges=replace(preset("all"), defects=("none", "none", "none", "missing_bolt", "scratch")))


EXERCISES = (
    Exercise(
        name="scenes.experiment",
        title="The dataset",
        points=7,
        minutes=45,
        difficulty=3,
        reference=experiment,
        cases=_cases,
        call=measure,
        compare=by_fault,
        expected=Outcome(),
        training=True,
        artifact=KIND,
        alternatives=(wrong.saved, wrong.custom_ranges, _as_a_path),
        misconceptions=(
            Misconception(
                "leak",
                lambda: wrong.saved(part=wrong.by_picture),
                "Shots of one scene lie in two parts, so the test asks for what was learned by heart: split the scenes, and give all shots of a scene the same part.",
            ),
            Misconception(
                "lopsided split",
                lambda: wrong.saved(part=lambda dataset: np.zeros(len(dataset), int)),
                "A part of the split is empty, or training has less than half: 0 is training, 1 validation, 2 test, and most pictures belong to training.",
                variants=(lambda: wrong.saved(part=lambda dataset: 2 - wrong.by_scene(dataset)),),
            ),
            Misconception(
                "a factor is fixed",
                lambda: wrong.drawn_from(ranges="naive"),
                "Light, material, camera or distractors stand still in these pictures, so a net may lean on what never varies: randomize all four.",
                variants=(lambda: wrong.drawn_from(ranges="light"), lambda: wrong.drawn_from(ranges="no_camera")),
            ),
            Misconception(
                "physics off",
                lambda: wrong.drawn_from(physics=False),
                "These scenes were never settled: parts float and sink into each other, which no line shows; make them with physics.",
            ),
            Misconception(
                "the line itself",
                lambda: wrong.drawn_from(ranges="line"),
                "These are the line's own ranges: the line stands for the real world that nobody may train on; draw from wider ranges around it.",
            ),
            Misconception(
                "unbalanced",
                _mostly_good,
                "The five classes come in unequal numbers (or training lacks one). On a real line most parts are good, but a net learns from what it is shown, so make as many pictures of each.",
                variants=(lambda: wrong.drawn_from(ranges=replace(preset("all"), defects=("none", "scratch"))),),
            ),
            Misconception(
                "too few",
                lambda: wrong.drawn_from(n=20),
                "These are fewer pictures than the profile asks for: the modules after this one train on them.",
                variants=(lambda: wrong.saved(profile="quick"),),
            ),
            Misconception(
                "another seed",
                wrong.altered(wrong.other_seed),
                "The manifest is not of these pictures: made again from its ranges and seed they are others; never edit it, make the dataset anew.",
                variants=(wrong.altered(wrong.said_to_be_randomized),),
            ),
            Misconception(
                "labels moved",
                wrong.altered(wrong.labels_rotated),
                "Pictures carry the class of another scene: keep picture and label together, and never sort one without the other.",
            ),
            Misconception(
                "masks differ",
                wrong.each(wrong.shifted),
                "Masks in the annotations are not those of the renderer: they are exact to the pixel, run lengths down the columns.",
            ),
            Misconception(
                "areas differ",
                wrong.each(lambda one: {"area": one["bbox"][2] * one["bbox"][3]}),
                "An annotation's area is not its mask's: COCO counts the pixels of the mask, not those of the box.",
            ),
            Misconception(
                "boxes differ",
                wrong.each(lambda one: {"bbox": [*one["bbox"][:2], one["bbox"][0] + one["bbox"][2], one["bbox"][1] + one["bbox"][3]]}),
                "A box is not its mask's: COCO writes [x, y, width, height], not two corners, and the last pixel counts.",
            ),
            Misconception(
                "annotations incomplete",
                wrong.annotated(wrong.half),
                "annotations.json has other pictures or things than the shards: write it once all shards are there, with an entry for each picture and each thing in it.",
            ),
            Misconception(
                "counts not told",
                lambda: wrong.resaved(dict, drawn=None, dropped=None),
                "The metrics do not say how many scenes were drawn and dropped: a set whose rejects nobody counted may be half rejects; pass the manifest's counts.",
                variants=(lambda: wrong.resaved(dict, dropped=0),),
            ),
            Misconception(
                "not finished",
                wrong.altered(wrong.unfinished),
                "The dataset is not complete: go on with resume=True (`--resume`) until every shard is there, then save it.",
                variants=(wrong.without(f"{FOLDER}/shards/000001.tar"),),
            ),
            Misconception(
                "a file is missing",
                wrong.without(PARTS),
                "The artifact lacks a file: `save_scenes` puts the manifest, annotations.json, the shards and the split into it.",
                variants=(wrong.without(f"{FOLDER}/{coco.NAME}"),),
            ),
            Misconception(
                "changed after saving",
                wrong.changed,
                "A file is not as it was when it was saved, for its hash differs: never edit an artifact, save a new one.",
            ),
            Misconception(
                "unreadable",
                wrong.junk(PARTS),
                "A file cannot be read as what it should be: save with `save_scenes`, which copies the dataset as it was made.",
                variants=(wrong.junk(f"{FOLDER}/{coco.NAME}"), wrong.junk(f"{FOLDER}/manifest.json"), wrong.junk(f"{FOLDER}/shards/000000.tar")),
            ),
            Misconception(
                "another kind",
                lambda: wrong.saved(kind="pictures"),
                'The artifact is of another kind: the modules after this one look for kind "scenes".',
            ),
            Misconception(
                "the dataset",
                lambda: wrong.made(),
                "This is the dataset, not the artifact: hand it to `save_scenes` with its split, and pass what that returns.",
                variants=(lambda: wrong.made().folder,),
            ),
            Misconception(
                "nothing there",
                lambda: Path("no/such/folder"),
                "There is no artifact at this path: pass what `save_scenes` returns.",
            ),
            Misconception(
                "no artifact",
                5,
                "This is not an artifact: pass what `save_scenes` returns, or the path of its folder.",
                variants=(lambda dataset, part: None,),
            ),
        ),
        hints=(
            "A dataset that others build on can be made again: ranges and a seed, with nothing left out, and counts of what was thrown away. It varies whatever the line may vary, and keeps a test that training has never met.",
            "Settings(n, seed, ranges) → make(folder, settings) → Dataset; dataset.arrays().scenes (N,) → part (N,) 0, 1, 2, one for all shots of a scene → save_scenes(dataset, part, profile) → artifact of kind scenes",
            'dataset = make(folder, Settings(n=…, seed=…, ranges="all"))\nscenes = the scene of each picture\npart = your split of the scenes into 0, 1, 2, for each picture\nartifact = save_scenes(dataset, part, profile)',
        ),
    ),
)
