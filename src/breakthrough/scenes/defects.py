"""Where in a picture the part's defect shows: what a net may be taught, and a label for free.

Shape legend: N pictures, H × W pixels.
"""

from __future__ import annotations

import numpy as np

from breakthrough.scenes.reader import Dataset
from breakthrough.scenes.shards import Picture

SHOWS = {"missing_bolt": "hole", "misaligned_cap": "cap", "scratch": "scratch"}  # kind → category of the body it shows on


def place(picture: Picture) -> np.ndarray:
    """The pixels of the body that a picture's defect shows on: the hole, the raised bolt, the cap, the scratch.

    Shapes: → (H, W) uint8, 255 there; all 0 without a defect, or where nothing of it is seen
    """
    labels = picture.labels
    found = np.zeros((labels["camera"]["height"], labels["camera"]["width"]), np.uint8)
    if labels["defect"]["kind"] == "none":
        return found
    for one, mask in zip(labels["instances"], picture.masks):
        if _shows(one, labels["defect"]):
            found[mask] = 255
    return found


def places(dataset: Dataset) -> np.ndarray:
    """The same for every picture of a dataset, in order.

    Shapes: → (N, H, W) uint8
    """
    return np.stack([place(picture) for picture in dataset])


def _shows(instance: dict, defect: dict) -> bool:
    if defect["kind"] == "raised_bolt":
        return instance["name"] == defect["place"]
    return instance["category"] == SHOWS[defect["kind"]]
