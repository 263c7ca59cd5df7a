"""The place of a defect: the body it shows on, and nothing where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from breakthrough.scenes import defects
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.spec import DEFECTS


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make(tmp_path_factory.mktemp("defects") / "set", Settings(n=20, shots=2, size=64))


def test_places_are_those_of_the_body_that_shows_the_defect(dataset):
    found = defects.places(dataset)
    assert found.shape == (20, 64, 64) and found.dtype == np.uint8 and set(np.unique(found)) == {0, 255}
    for picture, place in zip(dataset, found):
        labels, masks = picture.labels, picture.masks
        kind = labels["defect"]["kind"]
        wanted = {
            "none": lambda one: False,
            "missing_bolt": lambda one: one["category"] == "hole",
            "raised_bolt": lambda one: one["name"] == labels["defect"]["place"],
            "misaligned_cap": lambda one: one["name"] == "cap",
            "scratch": lambda one: one["category"] == "scratch",
        }[kind]
        chosen = [mask for one, mask in zip(labels["instances"], masks) if wanted(one)]
        assert np.array_equal(place > 0, np.any(chosen, axis=0) if chosen else np.zeros((64, 64), bool))


def test_nearly_every_defect_is_seen_and_no_sound_part_has_one(dataset):
    found, classes = defects.places(dataset), dataset.arrays().classes
    assert not found[classes == DEFECTS.index("none")].any()
    assert found[classes > 0].any(axis=(1, 2)).mean() > 0.8
