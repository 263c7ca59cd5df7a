"""What every pixel shows: the body that the segmentation says, and the class where the defect is."""

from __future__ import annotations

import numpy as np
import pytest

from breakthrough.scenes import pixels
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.spec import DEFECTS


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make(tmp_path_factory.mktemp("pixels") / "set", Settings(n=20, shots=2, size=64))


def test_every_instance_has_its_number_on_its_own_mask(dataset):
    found = pixels.every(dataset)
    assert found.shape == (20, 64, 64) and found.dtype == np.uint8
    for picture, numbers in zip(dataset, found):
        labels, masks = picture.labels, picture.masks
        assert not numbers[~masks.any(axis=0)].any()
        for one, mask in zip(labels["instances"], masks):
            (number,) = np.unique(numbers[mask])
            kind, place = labels["defect"]["kind"], labels["defect"]["place"]
            wrong = {
                "none": False, "missing_bolt": one["category"] == "hole", "scratch": one["category"] == "scratch",
                "raised_bolt": one["name"] == place, "misaligned_cap": one["category"] == "cap",
            }[kind]
            sound = len(DEFECTS) + pixels.SOUND.index(one["category"]) if not wrong else None
            assert number == (DEFECTS.index(kind) if wrong else sound)


def test_nearly_every_defect_is_seen_and_no_other_class_is(dataset):
    found, classes = pixels.every(dataset), dataset.arrays().classes
    for numbers, label in zip(found, classes):
        assert set(np.unique(numbers)) & set(range(1, len(DEFECTS))) <= {label}
    seen = [label in numbers for numbers, label in zip(found, classes) if label]
    assert np.mean(seen) > 0.8
