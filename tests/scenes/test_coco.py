"""COCO: pycocotools loads it, and its masks are the renderer's pixels."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from toy_scenes import NAME

from breakthrough.errors import ArtifactError, InputError
from breakthrough.scenes import coco
from breakthrough.scenes.dataset import Settings, make, open_dataset
from breakthrough.scenes.labels import LABELLED


@pytest.fixture(params=["beside the shards", "exported"])
def loaded(request, toy_folder, tmp_path):
    path = toy_folder / coco.NAME if request.param == "beside the shards" else coco.export(toy_folder, tmp_path / "out")
    return COCO(str(path))


def test_pycocotools_finds_every_picture_and_thing(loaded, toy_folder):
    pictures = list(open_dataset(toy_folder))
    assert [image["file_name"] for image in loaded.imgs.values()] == [f"{picture.key}.png" for picture in pictures]
    assert len(loaded.anns) == sum(len(picture.labels["instances"]) for picture in pictures) == 44
    assert sorted(loaded.anns) == list(range(1, 45))
    assert tuple(category["name"] for category in loaded.loadCats(loaded.getCatIds())) == LABELLED
    assert {loaded.loadCats(ann["category_id"])[0]["name"] for ann in loaded.anns.values()} == {"bracket", "bolt"}


def test_masks_boxes_and_areas_agree_with_the_pixels(loaded, toy_folder):
    for i, picture in enumerate(open_dataset(toy_folder), start=1):
        annotations = loaded.loadAnns(loaded.getAnnIds(imgIds=i))
        for annotation, mask in zip(annotations, picture.masks, strict=True):
            decoded = loaded.annToMask(annotation).astype(bool)
            assert np.array_equal(decoded, mask) and annotation["area"] == mask.sum()
            ys, xs = np.nonzero(mask)
            x, y, width, height = annotation["bbox"]
            assert x <= xs.min() and xs.max() < x + width and y <= ys.min() and ys.max() < y + height


def test_labels_beyond_coco_are_kept(loaded):
    annotation, image = loaded.anns[1], loaded.imgs[1]
    assert annotation["visible"] == 0.75 and len(annotation["pose_world"]) == len(annotation["pose_camera"]) == 7
    assert image["class"] == "none" and len(image["extrinsics"]) == 12 and len(image["intrinsics"]) == 4


def test_the_export_has_the_pictures(toy_folder, tmp_path):
    coco.export(toy_folder, tmp_path / "out")
    names = {image["file_name"] for image in json.loads((tmp_path / "out" / coco.NAME).read_text())["images"]}
    assert {path.name for path in (tmp_path / "out" / "images").iterdir()} == names
    assert (tmp_path / "out" / "images" / "000000-00.png").read_bytes() == open_dataset(toy_folder)[0].png


def test_a_picture_without_things_does_not_break_the_list(tmp_path):
    folder = tmp_path / "data"
    make(folder, Settings(n=3, size=16, shots=1), producer=NAME)
    data = open_dataset(folder)
    pictures = list(data)
    bare = type(pictures[0])("k", pictures[0].png, pictures[0].depth, b'{"scene":0,"class":0,"instances":[],"camera":' + _camera(pictures[0]) + b"}")

    class Some:
        def __iter__(self):
            return iter([bare, pictures[0], bare, pictures[1], bare])

    coco._write(tmp_path / "some.json", Some(), lambda picture: None)
    loaded = COCO(str(tmp_path / "some.json"))
    assert len(loaded.imgs) == 5 and [ann["image_id"] for ann in loaded.anns.values()] == [2, 2, 4, 4]


def _camera(picture):
    return json.dumps(picture.labels["camera"]).encode()


def test_exports_refuse_a_folder_in_use_and_a_dataset_that_is_not_there(toy_folder, tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="an empty folder at .*, got files in it"):
        coco.export(toy_folder, tmp_path)
    with pytest.raises(InputError, match="a file in its way"):
        coco.export(toy_folder, tmp_path / "mine.txt")
    with pytest.raises(ArtifactError, match="no manifest.json"):
        coco.export(tmp_path, tmp_path / "out")
    assert (tmp_path / "mine.txt").read_text() == "keep me"
