"""YOLO: a text file a picture, as Ultralytics' trainers read it; polygons of the masks, or boxes.

    OUT/data.yaml                       where things are, names of the classes
    OUT/images/{train,val}/KEY.png
    OUT/labels/{train,val}/KEY.txt      class, then x y x y … (polygons) or x y width height (boxes),
                                        as shares of the picture's width and height

All shots of a scene go to the same side of the split. Source: docs.ultralytics.com/datasets
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from breakthrough import files
from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.scenes import disk, shards
from breakthrough.scenes.labels import LABELLED
from breakthrough.scenes.reader import open_dataset
from breakthrough.seeds import numpy_generator

KINDS = ("polygons", "boxes")
Point = tuple[int, int]


def export(folder: str | Path, out: str | Path, *, labels: str = "polygons", val: float = 0.2) -> Path:
    """Write a finished dataset for YOLO, split by scene; `val` is the share of scenes held out.

    Raises: InputError when OUT is not empty; UnknownNameError for another kind of labels;
            ConfigError for a share outside 0 to 1
    """
    if labels not in KINDS:
        raise unknown("kind of YOLO labels", labels, KINDS)
    if not 0 <= val < 1:
        raise ConfigError(expected("a share val from 0 to below 1", val))
    dataset, target = open_dataset(folder), disk.empty(Path(out).resolve())
    held_out = split(dataset.settings.scenes(), val, dataset.settings.seed)
    with disk.told(target):
        for part in ("train", "val"):
            (target / "images" / part).mkdir(parents=True)
            (target / "labels" / part).mkdir(parents=True)
        for picture in dataset:
            found = picture.labels
            part = "val" if held_out[found["scene"]] else "train"
            rows = polygon_lines(found, picture.masks) if labels == "polygons" else box_lines(found)
            (target / "images" / part / f"{picture.key}{shards.PNG}").write_bytes(picture.png)
            (target / "labels" / part / f"{picture.key}.txt").write_text("".join(f"{row}\n" for row in rows))
        files.write_text(target / "data.yaml", _data_yaml(bool(held_out.any())))
    return target


def split(scenes: int, val: float, seed: int) -> np.ndarray:
    """Which scenes are held out, drawn by the seed.

    Shapes: → (scenes,) bool
    """
    held_out = np.zeros(scenes, bool)
    held_out[numpy_generator(seed, "yolo", "split").permutation(scenes)[: round(val * scenes)]] = True
    return held_out


def box_lines(labels: shards.Labels) -> Iterator[str]:
    """One line a thing: class, middle, width and height of its box."""
    width, height = labels["camera"]["width"], labels["camera"]["height"]
    for one in labels["instances"]:
        x, y, w, h = one["box"]
        shares = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        yield _line(one["category"], shares)


def polygon_lines(labels: shards.Labels, masks: np.ndarray) -> Iterator[str]:
    """One line a thing: class and the polygon of its mask.

    Shapes: masks (instances, H, W)
    """
    width, height = labels["camera"]["width"], labels["camera"]["height"]
    for one, mask in zip(labels["instances"], masks):
        yield _line(one["category"], (polygon(mask) / (width, height)).ravel())


def polygon(mask: np.ndarray) -> np.ndarray:
    """One polygon along the pixels' edges that holds the mask's pixel middles and no others (even-odd rule).

    A format of one polygon a thing knows no parts and no holes: they are joined by bridges that go there
    and back along the same line, which encloses nothing.

    Shapes: mask (H, W) → (points, 2) as x, y
    Units:  pixels; (0, 0) is the outer corner of the first pixel
    """
    loops = outlines(mask)
    joined = [point for loop in loops for point in (*loop, loop[0])]
    # back over the bridges, in the other order
    return np.array([*joined, *(loop[0] for loop in reversed(loops[:-1]))][:-1], float).reshape(-1, 2)


def outlines(mask: np.ndarray) -> list[list[Point]]:
    """The corners of a mask's closed outlines along the pixels' edges, parts and holes each by themselves.

    Shapes: mask (H, W) → a list of (x, y) for every outline
    """
    following = _edges(np.pad(mask.astype(bool), 1))
    loops = []
    while following:
        first = point = next(iter(following))
        loop = []
        while True:
            loop.append(point)
            ends = following[point]
            point = ends.pop()
            if not ends:
                del following[loop[-1]]
            if point == first:
                break
        loops.append(_corners(loop))
    return loops


def _edges(padded: np.ndarray) -> dict[Point, list[Point]]:
    """From where to where the edges between mask and background run, the mask on their right."""
    following: dict[Point, list[Point]] = {}
    # a pixel, its neighbour, and the edge's start and end from the pixel's corner
    for dy, dx, start, end in ((-1, 0, (0, 0), (1, 0)), (0, 1, (1, 0), (1, 1)), (1, 0, (1, 1), (0, 1)), (0, -1, (0, 1), (0, 0))):
        beside = np.roll(padded, (-dy, -dx), (0, 1))
        for y, x in np.argwhere(padded & ~beside).tolist():
            here = (x - 1 + start[0], y - 1 + start[1])
            following.setdefault(here, []).append((x - 1 + end[0], y - 1 + end[1]))
    return following


def _corners(loop: list[Point]) -> list[Point]:
    around = zip(loop[-1:] + loop[:-1], loop, loop[1:] + loop[:1])
    return [b for a, b, c in around if (b[0] - a[0], b[1] - a[1]) != (c[0] - b[0], c[1] - b[1])]


def _line(category: str, shares) -> str:
    return " ".join((str(LABELLED.index(category)), *(f"{share:.6g}" for share in shares)))


def _data_yaml(with_val: bool) -> str:
    # without `path`, folders are taken from where this file lies: the export can be moved
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(LABELLED))
    val = "images/val" if with_val else "images/train"
    return f"train: images/train\nval: {val}\nnames:\n{names}"
