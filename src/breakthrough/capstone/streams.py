"""What a line sees as it runs: pictures in a row, what a monitor can know of each without a label, and lamps that age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from breakthrough.capstone import engine
from breakthrough.capstone.pipeline import stage_store
from breakthrough.capstone.spec import Spec, with_ranges
from breakthrough.errors import ShapeError, expected
from breakthrough.seeds import derive
from breakthrough.train.pictures import Pictures
from breakthrough.train.sets import load_set

FEATURES = ("brightness", "contrast", "warmth", "sharpness", "margin", "defect score")


def features(images: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """What can be known of pictures without labels: of the light that fell, and of how sure the net is.

    Shapes: images (N, H, W, 3) uint8, scores (N, C) with the sound class first → (N, 6), as FEATURES
    Units:  brightness and contrast, mean and deviation of the grey value, 0 to 255; warmth, the log of mean red over blue;
            sharpness, the mean step between neighbours; margin, the best score less the second; defect score, the best
            defect's less the sound class's
    Raises: ShapeError when there are not as many scores as pictures
    """
    if images.ndim != 4 or scores.ndim != 2 or len(images) != len(scores):
        raise ShapeError(expected("pictures (N, H, W, 3) and scores (N, C)", f"{images.shape} and {scores.shape}"))
    grey, mean = images.mean(3), images.mean((1, 2))  # (N, H, W), (N, 3)
    ordered = np.sort(scores, 1)
    columns = (
        grey.mean((1, 2)), grey.std((1, 2)), np.log((mean[:, 0] + 1) / (mean[:, 2] + 1)), np.abs(np.diff(grey, axis=2)).mean((1, 2)),
        ordered[:, -1] - ordered[:, -2], scores[:, 1:].max(1) - scores[:, 0],
    )  # fmt: skip
    return np.stack(columns, 1)


def watched(spec: Spec, factory: str, count: int, changes: Mapping[str, Any] | None = None, *, profile: str = "quick", here: bool = True) -> Pictures:
    """Pictures that a factory's camera takes next, some of its ranges changed: a lamp that ages, another supplier's bolts.

    They are held out as a test set is, of scenes of their own, kept in the store, and made once.

    Raises: UnknownNameError for a factory or a range that is not there; ConfigError for a range that cannot be
    """
    changed = replace(spec, factories=with_ranges(spec, {factory: changes or {}}), test=count, seed=derive(spec.seed, "watched", factory))
    built = engine.run(changed, profile, stage_store(), until=f"test.{factory}", here=here)
    return load_set(built.artifacts[f"test.{factory}"], "test")
