"""The small dataset that stands in for a learner's own, made on demand in seconds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from breakthrough.artifacts import Artifact
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.handover import save_scenes
from breakthrough.seeds import numpy_generator

SETTINGS = Settings(n=400, seed=0, ranges="all", shard_images=64)
SHARES = (0.7, 0.85)  # where validation and test begin, as shares of the scenes


def scenes() -> Artifact:
    """Make a randomized dataset of 400 pictures, split it by scene, and save it."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = make(Path(folder) / "scenes", SETTINGS)
        return save_scenes(dataset, by_scene(dataset.arrays().scenes), "tiny", staff=True)


def by_scene(scene: np.ndarray) -> np.ndarray:
    """A part for every picture, the same for all shots of a scene.

    Shapes: scene (N,) → (N,) int8
    """
    names, which = np.unique(scene, return_inverse=True)
    place = numpy_generator(0, "split").permutation(len(names)) / len(names)
    return np.searchsorted(SHARES, place, side="right").astype(np.int8)[which]
