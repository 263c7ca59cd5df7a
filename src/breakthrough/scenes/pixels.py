"""What every pixel of a picture shows, as one map: the label that teaches a net where to look.

Shape legend: N pictures, H × W pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from breakthrough.scenes.reader import Dataset
from breakthrough.scenes.shards import Picture
from breakthrough.scenes.spec import DEFECTS

SOUND = ("bracket", "bolt", "cap", "distractor")  # numbered after the classes
PLACES = {"hole": "missing_bolt", "scratch": "scratch"}  # what is there only as a defect


def shown(picture: Picture) -> np.ndarray:
    """A number for every pixel: 0 nothing, the class on its defect, len(DEFECTS) + place in SOUND on a sound part.

    A defect shows on the hole, the raised bolt, the cap off its seat, the scratch.

    Shapes: → (H, W) uint8
    """
    labels = picture.labels
    found = np.zeros((labels["camera"]["height"], labels["camera"]["width"]), np.uint8)
    for one, mask in zip(labels["instances"], picture.masks):
        found[mask] = _number(one, labels["defect"])
    return found


def every(dataset: Dataset) -> np.ndarray:
    """The same for all pictures of a dataset, in order.

    Shapes: → (N, H, W) uint8
    """
    return np.stack([shown(picture) for picture in dataset])


def _number(instance: dict[str, Any], defect: dict[str, Any]) -> int:
    category = instance["category"]
    if category in PLACES:
        return DEFECTS.index(PLACES[category])
    if defect["kind"] in ("raised_bolt", "misaligned_cap") and instance["name"] == defect["place"]:
        return DEFECTS.index(defect["kind"])
    return len(DEFECTS) + SOUND.index(category)
