"""COCO: the labels of a dataset in the format that pycocotools and detectors read.

Source: cocodataset.org, "Data format", object detection; masks in compressed run lengths
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.optional import require
from breakthrough.scenes import disk, shards
from breakthrough.scenes.labels import LABELLED
from breakthrough.scenes.manifest import Manifest
from breakthrough.scenes.reader import Dataset, open_dataset
from breakthrough.scenes.spec import DEFECTS

NAME = "annotations.json"
IDS = {category: i for i, category in enumerate(LABELLED, start=1)}  # COCO counts from 1


def image_entry(i: int, key: str, labels: shards.Labels) -> dict[str, Any]:
    """COCO's entry of a picture; the part's class, its scene and its camera beside what COCO knows."""
    camera = labels["camera"]
    return {
        "id": i,
        "file_name": f"{key}{shards.PNG}",
        "width": camera["width"],
        "height": camera["height"],
        "scene": labels["scene"],
        "class": DEFECTS[labels["class"]],
        "intrinsics": camera["intrinsics"],
        "extrinsics": camera["extrinsics"],
    }


def annotation_entries(i: int, first: int, labels: shards.Labels) -> list[dict[str, Any]]:
    """COCO's entries of the things in a picture, numbered from `first`; visible fraction and poses beside."""
    size = [labels["camera"]["height"], labels["camera"]["width"]]
    return [
        {
            "id": first + number,
            "image_id": i,
            "category_id": IDS[one["category"]],
            "bbox": one["box"],
            "area": one["area"],
            "iscrowd": 0,
            "segmentation": {"size": size, "counts": one["mask"]},
            "name": one["name"],
            "visible": one["visible"],
            "pose_world": one["world"],
            "pose_camera": one["camera"],
        }
        for number, one in enumerate(labels["instances"])
    ]


def write_annotations(folder: Path, state: Manifest) -> Path:
    """Write `annotations.json` beside a dataset's shards. Memory does not grow with the dataset."""
    return _write(folder / NAME, Dataset(folder, state), lambda picture: None)


def export(folder: str | Path, out: str | Path) -> Path:
    """Write a finished dataset as COCO with picture files: OUT/annotations.json, OUT/images/*.png.

    Raises: InputError when OUT is not empty
    """
    dataset, target = open_dataset(folder), disk.empty(Path(out).resolve())
    images = target / "images"
    with disk.told(target):
        images.mkdir()
        return _write(target / NAME, dataset, lambda picture: (images / f"{picture.key}{shards.PNG}").write_bytes(picture.png))


def _write(path: Path, dataset: Dataset, each: Callable[[shards.Picture], Any]) -> Path:
    dumps = require("orjson", "COCO's file").dumps
    head = dumps(
        {
            "info": {"description": "Breakthrough: parts on a tray, simulated", "version": "1"},
            "licenses": [],
            "categories": [{"id": i, "name": name, "supercategory": "part"} for name, i in IDS.items()],
        }
    )
    # two lists in one pass: the second waits in a file without a name
    with files.aside(path) as part, part.open("wb") as file, tempfile.TemporaryFile(dir=path.parent) as rest:
        file.write(head[:-1] + b',"images":[')
        for images, annotations in _lines(dataset, dumps, each):
            file.write(images)
            rest.write(annotations)
        file.write(b'],"annotations":[')
        rest.seek(0)
        shutil.copyfileobj(rest, file)
        file.write(b"]}\n")
    return path


def _lines(dataset: Dataset, dumps: Callable[[Any], bytes], each: Callable[[shards.Picture], Any]) -> Iterator[tuple[bytes, bytes]]:
    first = 1
    for i, picture in enumerate(dataset, start=1):
        labels = picture.labels
        entries = annotation_entries(i, first, labels)
        each(picture)
        before = b",\n" if i > 1 else b""
        yield before + dumps(image_entry(i, picture.key, labels)), (b",\n" if first > 1 and entries else b"") + dumps(entries)[1:-1]
        first += len(entries)
