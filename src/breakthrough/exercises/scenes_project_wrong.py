"""Module 2: how a projection goes wrong. Each mistake is one of the three steps: move, divide, stretch.

Shapes: N points; `local` is (N, 3), a point in the camera's axes; R and t turn and move
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from breakthrough.exercises.exercise import Misconception


def _moved(points_m, R, t):
    return points_m @ R.T + t


def _by_depth(local):
    return local[:, :2] / local[:, 2:]


def _by_distance(local):
    return local[:, :2] / np.linalg.norm(local, axis=1, keepdims=True)


def _stretched(slopes, K):
    return slopes * [K[0, 0], K[1, 1]] + K[:2, 2]


def _as_is(pixels, depth_m):
    return pixels, depth_m


def _way(move=_moved, divide=_by_depth, stretch=_stretched, end=_as_is, drop=np.less_equal) -> Callable:
    """A projection with steps of its own; `drop(depth, 0)` says which points get no pixel."""

    def way(points_m, K, world_to_camera):
        local = move(points_m, world_to_camera[:3, :3], world_to_camera[:3, 3])
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = stretch(divide(local), K)
        return end(np.where(drop(local[:, 2:], 0), np.nan, pixels), local[:, 2])

    return way


def _never(depth_m, zero):
    return np.zeros_like(depth_m, dtype=bool)


def _wrong(name: str, says: str, *steps: dict[str, Callable]) -> Misconception:
    """A mistake, made in each of these steps; made by whoever forgot the points behind the camera, too."""
    ways = [_way(**step, **more) for step in steps for more in ({}, {"drop": _never})]
    return Misconception(name, ways[0], says, variants=tuple(ways[1:]))


def _end(change: Callable) -> dict[str, Callable]:
    """A change of the pixels at the end."""
    return {"end": lambda pixels, depth_m: (change(pixels), depth_m)}


def _third(column: Callable) -> dict[str, Callable]:
    """The third of K·p stays beside x and y."""
    return {"end": lambda pixels, depth_m: (np.column_stack([pixels, column(depth_m)]), depth_m)}


def _by_itself(depth_m):
    with np.errstate(invalid="ignore"):
        return depth_m / depth_m


def _turned_over(x, y, z):
    return {"move": lambda points_m, R, t: _moved(points_m, R, t) * [x, y, z]}


def _focals(x, y):
    """The focal lengths of the axes x and y."""
    return {"stretch": lambda slopes, K: slopes * [K[x, x], K[y, y]] + K[:2, 2]}


def _distances(local):
    return np.linalg.norm(local, axis=1)


def _distance_as_depth(**steps):
    def project(points_m, K, world_to_camera):
        local = _moved(points_m, world_to_camera[:3, :3], world_to_camera[:3, 3])
        return _way(**steps)(points_m, K, world_to_camera)[0], _distances(local)

    return project


def _distance_to_the_middle(points_m, K, world_to_camera):
    return _way()(points_m, K, world_to_camera)[0], _distances(points_m)


def _from_the_bottom(points_m, K, world_to_camera):
    pixels, depth_m = _way()(points_m, K, world_to_camera)
    return pixels * [1, -1] + [0, 2 * K[1, 2]], depth_m


def _transposed_intrinsics(points_m, K, world_to_camera):
    local = _moved(points_m, world_to_camera[:3, :3], world_to_camera[:3, 3])
    image = local @ K
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(local[:, 2:] > 0, image[:, :2] / image[:, 2:], np.nan), local[:, 2]


MISCONCEPTIONS = (
    _wrong(
        "camera to world",
        "The extrinsics were inverted: `world_to_camera` already takes a point of the world to the camera, so multiply with it as it is.",
        {"move": lambda points_m, R, t: (points_m - t) @ R},
    ),
    _wrong(
        "rotation transposed",
        "The rotation is turned the wrong way: the matrix acts on columns, so with points in rows it is `points @ R.T`, not `points @ R`.",
        {"move": lambda points_m, R, t: points_m @ R + t},
        {"move": lambda points_m, R, t: points_m @ R},
    ),
    _wrong(
        "translation first",
        "Turn first, then move: R·p + t. The translation is not the camera's place but where the world's origin lies in the camera's own axes.",
        {"move": lambda points_m, R, t: (points_m + t) @ R.T},
        {"move": lambda points_m, R, t: (points_m - t) @ R.T},
    ),
    _wrong(
        "translation forgotten",
        "The points were turned but not moved: add the translation, `world_to_camera[:3, 3]`, after the rotation.",
        {"move": lambda points_m, R, t: points_m @ R.T},
    ),
    _wrong(
        "world as camera",
        "The extrinsics were left out: the points are still in the world's axes, so turn and move them with `world_to_camera` first.",
        {"move": lambda points_m, R, t: points_m},
    ),
    Misconception(
        "divided by the distance",
        _way(divide=_by_distance),
        "The division is by the distance to the camera: a flat sensor divides by the depth along the camera's axis, the third coordinate.",
        variants=(
            _way(divide=_by_distance, drop=_never),
            _distance_as_depth(divide=_by_distance),
            _distance_as_depth(divide=_by_distance, drop=_never),
        ),
    ),
    Misconception(
        "distance as depth",
        _distance_as_depth(),
        "The pixels are right, but the depth is a distance, the length of a slanted ray: depth is the third coordinate in the camera's axes.",
        variants=(_distance_to_the_middle, _distance_as_depth(drop=_never),),
    ),
    _wrong(
        "not divided",
        "Nothing was divided by the depth, so far things are as large as near ones: divide the first two of K·p by the third.",
        {"divide": lambda local: local[:, :2], "stretch": lambda xy, K: xy * [K[0, 0], K[1, 1]] + K[:2, 2]},
    ),
    Misconception(
        "behind is drawn",
        _way(drop=_never),
        "Points behind the camera got pixels: dividing by a negative depth mirrors them into the picture, so give NaN where the depth is ≤ 0.",
    ),
    Misconception(
        "infinite",
        _way(drop=np.less),
        "A point of depth 0 lies in the camera's own plane, and dividing by it gives infinity: only depth > 0 has a pixel, so use NaN there too.",
    ),
    Misconception(
        "depth lost behind",
        _way(end=lambda pixels, depth_m: (pixels, np.where(depth_m > 0, depth_m, np.nan))),
        "A point behind the camera has no pixel but still a depth, a negative one: put NaN in the pixels only.",
    ),
    _wrong(
        "looks backwards",
        "The camera was taken to look along −z, as OpenGL's does: in these matrices (OpenCV's) z points forward, so points ahead have positive depth.",
        _turned_over(1, 1, -1),
        _turned_over(1, -1, -1),
    ),
    Misconception(
        "y up",
        _way(**_turned_over(1, -1, 1)),
        "The picture is upside down: in OpenCV's axes y points down, as the rows of an image do, so y needs no minus sign.",
        variants=(_way(**_turned_over(1, -1, 1), drop=_never), _from_the_bottom),
    ),
    _wrong(
        "mirrored",
        "The picture is mirrored: x points right in the camera's axes and in the image, so it needs no minus sign.",
        _turned_over(-1, 1, 1),
        _turned_over(-1, -1, 1),
    ),
    _wrong(
        "no principal point",
        "The pixels count from the middle of the picture: add the principal point, K's last column. It also gets lost in `local @ K`: K acts on columns, so `local @ K.T`.",
        {"stretch": lambda slopes, K: slopes * [K[0, 0], K[1, 1]]},
    ),
    _wrong(
        "principal point swapped",
        "The principal point's halves are swapped: K[0, 2] belongs to x (to the width), K[1, 2] to y (to the height).",
        {"stretch": lambda slopes, K: slopes * [K[0, 0], K[1, 1]] + K[[1, 0], 2]},
    ),
    _wrong(
        "one focal length",
        "One focal length served both axes: x takes K[0, 0] and y takes K[1, 1]; they differ where pixels are not square.",
        _focals(0, 0),
        _focals(1, 1),
        _focals(1, 0),
    ),
    _wrong(
        "no intrinsics",
        "These are slopes, x/z and y/z, not pixels: multiply by K, that is by the focal length, and add the principal point.",
        {"stretch": lambda slopes, K: slopes},
    ),
    Misconception(
        "intrinsics transposed",
        _transposed_intrinsics,
        "K is transposed, so the principal point slipped into the divisor: K acts on columns, so with points in rows it is `local @ K.T`.",
    ),
    _wrong(
        "half a pixel",
        "Everything is half a pixel off: here the first pixel reaches from 0 to 1 and its centre is at 0.5, and K already counts that way.",
        _end(lambda pixels: pixels - 0.5),
        _end(lambda pixels: pixels + 0.5),
    ),
    _wrong(
        "whole pixels",
        "The pixels were made whole: a point falls between pixels, and rounding belongs to drawing, so return the exact position.",
        _end(np.round),
        _end(np.floor),
    ),
    _wrong(
        "rows first",
        "The pixels are (row, column): return (x, y), so x, to the right, comes first; only indexing into an image wants [y, x].",
        _end(lambda pixels: pixels[:, ::-1]),
    ),
    _wrong(
        "outputs swapped",
        "The two outputs are swapped: return the pixels first, then the depth.",
        {"end": lambda pixels, depth_m: (depth_m, pixels)},
    ),
    _wrong(
        "a third column",
        "The third coordinate is still there: after the division it is 1 everywhere, so return only x and y, (N, 2).",
        *(_third(column) for column in (np.ones_like, _by_itself, lambda depth_m: np.where(depth_m > 0, 1, np.nan))),
    ),
    _wrong(
        "points in columns",
        "The points lie along the columns, (2, N): give them back as they came, one a row, with a transpose at the end.",
        _end(np.transpose),
    ),
)
