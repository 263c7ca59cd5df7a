"""YOLO: polygons hold the mask's pixels and no others, boxes are the boxes, scenes are not parted."""

import numpy as np
import pytest
import yaml

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.scenes import yolo
from breakthrough.scenes.dataset import open_dataset
from breakthrough.scenes.labels import LABELLED


def filled(polygon, height, width):
    """The pixel middles inside a polygon by the even-odd rule: an oracle of its own."""
    ys, xs = np.mgrid[:height, :width] + 0.5
    inside = np.zeros((height, width), bool)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, 0)):
        if y1 != y2:
            inside ^= ((y1 > ys) != (y2 > ys)) & (xs < (x2 - x1) * (ys - y1) / (y2 - y1) + x1)
    return inside


@pytest.mark.parametrize("density", [0.05, 0.3, 0.5, 0.7, 0.95])
def test_a_polygon_holds_any_mask_exactly(density):
    generator = np.random.default_rng(0)
    for _ in range(20):
        mask = generator.random((13, 17)) < density  # parts, holes, corners that touch
        assert np.array_equal(filled(yolo.polygon(mask), 13, 17), mask)


def test_a_rectangle_has_four_corners_and_a_ring_two_outlines():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 1:8] = True
    assert sorted(yolo.polygon(mask).tolist()) == [[1, 2], [1, 7], [8, 2], [8, 7]]
    mask[4, 4] = False
    assert len(yolo.outlines(mask)) == 2 and np.array_equal(filled(yolo.polygon(mask), 9, 9), mask)


def read(line):
    name, *numbers = line.split()
    return LABELLED[int(name)], np.array(numbers, float)


@pytest.mark.parametrize("kind", yolo.KINDS)
def test_the_labels_agree_with_the_dataset(toy_folder, tmp_path, kind):
    out = yolo.export(toy_folder, tmp_path / "out", labels=kind)
    data = open_dataset(toy_folder)
    for picture in data:
        (path,) = out.glob(f"labels/*/{picture.key}.txt")
        image = out / "images" / path.parent.name / f"{picture.key}.png"
        assert image.read_bytes() == picture.png
        lines = path.read_text().splitlines()
        for line, one, mask in zip(lines, picture.labels["instances"], picture.masks, strict=True):
            name, numbers = read(line)
            assert name == one["category"] and numbers.min() >= 0 and numbers.max() <= 1
            if kind == "polygons":
                assert np.array_equal(filled(numbers.reshape(-1, 2) * 16, 16, 16), mask)
            else:
                x, y, width, height = numbers * 16
                assert np.allclose([x - width / 2, y - height / 2, width, height], one["box"], atol=1e-3)


def test_the_split_is_by_scene_and_the_file_names_it(toy_folder, tmp_path):
    out = yolo.export(toy_folder, tmp_path / "out", val=0.3)
    sides = {side: {path.name[:6] for path in (out / "images" / side).iterdir()} for side in ("train", "val")}
    assert not sides["train"] & sides["val"] and len(sides["val"]) == 3 and len(sides["train"]) == 8
    told = yaml.safe_load((out / "data.yaml").read_text())
    assert told["names"] == dict(enumerate(LABELLED))
    assert all(len(list((out / told[side]).iterdir())) == 2 * len(sides[side]) for side in sides)


def test_nothing_held_out_validates_on_training(toy_folder, tmp_path):
    out = yolo.export(toy_folder, tmp_path / "out", val=0)
    assert yaml.safe_load((out / "data.yaml").read_text())["val"] == "images/train"
    assert len(list((out / "images" / "train").iterdir())) == 22


def test_wrong_options_are_refused_before_anything_is_written(toy_folder, tmp_path):
    with pytest.raises(UnknownNameError, match="'polygon'; try polygons"):
        yolo.export(toy_folder, tmp_path / "out", labels="polygon")
    with pytest.raises(ConfigError, match="a share val from 0 to below 1, got 1.0"):
        yolo.export(toy_folder, tmp_path / "out", val=1.0)
    assert not (tmp_path / "out").exists()
