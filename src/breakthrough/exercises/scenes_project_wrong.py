"""Module 2: how a projection goes wrong. Each mistake is made of the three steps: move, divide, stretch.

Shapes: N points; `local` is (N, 3), a point in the camera's axes
"""

from __future__ import annotations

import numpy as np

from breakthrough.exercises.exercise import Misconception


def _moved(points_m, world_to_camera):
    return points_m @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]


def _stretch(local, K):
    """The pixels of points in front of the camera, NaN for the others; and the depth."""
    depth_m = local[:, 2]
    front = np.where(depth_m > 0, depth_m, np.nan)
    return np.stack([K[i, i] * local[:, i] / front + K[i, 2] for i in (0, 1)], axis=1), depth_m


def _right(points_m, K, world_to_camera):
    return _stretch(_moved(points_m, world_to_camera), K)


# the move


def _camera_to_world(points_m, K, world_to_camera):
    return _right(points_m, K, np.linalg.inv(world_to_camera))


def _rotation_transposed(points_m, K, world_to_camera):
    return _stretch(points_m @ world_to_camera[:3, :3] + world_to_camera[:3, 3], K)


def _row_vectors(points_m, K, world_to_camera):
    return _stretch((np.hstack([points_m, np.ones((len(points_m), 1))]) @ world_to_camera)[:, :3], K)


def _rotation_only(points_m, K, world_to_camera):
    return _stretch(points_m @ world_to_camera[:3, :3].T, K)


def _translation_subtracted(points_m, K, world_to_camera):
    return _stretch((points_m - world_to_camera[:3, 3]) @ world_to_camera[:3, :3].T, K)


def _translation_first(points_m, K, world_to_camera):
    return _stretch((points_m + world_to_camera[:3, 3]) @ world_to_camera[:3, :3].T, K)


def _world_as_camera(points_m, K, world_to_camera):
    return _stretch(points_m, K)


# the division


def _divided_by_distance(points_m, K, world_to_camera, depth_too=False):
    local = _moved(points_m, world_to_camera)
    distance = np.linalg.norm(local, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = local[:, :2] / distance[:, None] * [K[0, 0], K[1, 1]] + K[:2, 2]
    pixels[local[:, 2] <= 0] = np.nan
    return pixels, distance if depth_too else local[:, 2]


def _distance_everywhere(points_m, K, world_to_camera):
    return _divided_by_distance(points_m, K, world_to_camera, depth_too=True)


def _distance_as_depth(points_m, K, world_to_camera):
    pixels, _ = _right(points_m, K, world_to_camera)
    return pixels, np.linalg.norm(_moved(points_m, world_to_camera), axis=1)


def _distance_to_the_middle(points_m, K, world_to_camera):
    return _right(points_m, K, world_to_camera)[0], np.linalg.norm(points_m, axis=1)


def _not_divided(points_m, K, world_to_camera):
    local = _moved(points_m, world_to_camera)
    pixels = (local @ K.T)[:, :2]
    return np.where(local[:, 2:] > 0, pixels, np.nan), local[:, 2]


def _never_behind(points_m, K, world_to_camera):
    local = _moved(points_m, world_to_camera)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (local @ K.T)[:, :2] / local[:, 2:], local[:, 2]


def _plane_not_behind(points_m, K, world_to_camera):
    pixels, depth_m = _never_behind(points_m, K, world_to_camera)
    return np.where(depth_m[:, None] >= 0, pixels, np.nan), depth_m


def _behind_without_depth(points_m, K, world_to_camera):
    pixels, depth_m = _right(points_m, K, world_to_camera)
    return pixels, np.where(depth_m > 0, depth_m, np.nan)


# the stretch


def _turned_over(x, y, z):
    return lambda points_m, K, world_to_camera: _stretch(_moved(points_m, world_to_camera) * [x, y, z], K)


def _with_lens(change):
    return lambda points_m, K, world_to_camera: _right(points_m, change(K), world_to_camera)


def _focals(x, y):
    """A lens whose focal lengths are those of the axes x and y."""
    return _with_lens(lambda K: np.diag([K[x, x], K[y, y], 0]) + K * [0, 0, 1])


def _from_the_bottom(points_m, K, world_to_camera):
    pixels, depth_m = _right(points_m, K, world_to_camera)
    return pixels * [1, -1] + [0, 2 * K[1, 2]], depth_m


def _principal_point_swapped(points_m, K, world_to_camera):
    pixels, depth_m = _right(points_m, np.diag(np.diag(K)), world_to_camera)
    return pixels + K[[1, 0], 2], depth_m


def _transposed_intrinsics(points_m, K, world_to_camera):
    local = _moved(points_m, world_to_camera)
    image = local @ K
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = image[:, :2] / image[:, 2:]
    return np.where(local[:, 2:] > 0, pixels, np.nan), local[:, 2]


def _pixels(change):
    def changed(points_m, K, world_to_camera):
        pixels, depth_m = _right(points_m, K, world_to_camera)
        return change(pixels), depth_m

    return changed


def _outputs_swapped(points_m, K, world_to_camera):
    return _right(points_m, K, world_to_camera)[::-1]


MISCONCEPTIONS = (
    Misconception(
        "camera to world",
        _camera_to_world,
        "The extrinsics were inverted: `world_to_camera` already takes a point of the world to the camera, so multiply with it as it is.",
    ),
    Misconception(
        "rotation transposed",
        _rotation_transposed,
        "The rotation is turned the wrong way: the matrix acts on columns, so with points in rows it is `points @ R.T`, not `points @ R`.",
        variants=(_row_vectors,),
    ),
    Misconception(
        "translation first",
        _translation_first,
        "Turn first, then move: R·p + t. The translation is not the camera's place but where the world's origin lies in the camera's own axes.",
        variants=(_translation_subtracted,),
    ),
    Misconception(
        "translation forgotten",
        _rotation_only,
        "The points were turned but not moved: add the translation, `world_to_camera[:3, 3]`, after the rotation.",
    ),
    Misconception(
        "world as camera",
        _world_as_camera,
        "The extrinsics were left out: the points are still in the world's axes, so turn and move them with `world_to_camera` first.",
    ),
    Misconception(
        "divided by the distance",
        _divided_by_distance,
        "The division is by the distance to the camera: a flat sensor divides by the depth along the camera's axis, the third coordinate.",
        variants=(_distance_everywhere,),
    ),
    Misconception(
        "distance as depth",
        _distance_as_depth,
        "The pixels are right, but the depth is a distance, the length of a slanted ray: depth is the third coordinate in the camera's axes.",
        variants=(_distance_to_the_middle,),
    ),
    Misconception(
        "not divided",
        _not_divided,
        "Nothing was divided by the depth, so far things are as large as near ones: divide the first two of K·p by the third.",
    ),
    Misconception(
        "behind is drawn",
        _never_behind,
        "Points behind the camera got pixels: dividing by a negative depth mirrors them into the picture, so give NaN where the depth is ≤ 0.",
    ),
    Misconception(
        "infinite",
        _plane_not_behind,
        "A point of depth 0 lies in the camera's own plane, and dividing by it gives infinity: only depth > 0 has a pixel, so use NaN there too.",
    ),
    Misconception(
        "depth lost behind",
        _behind_without_depth,
        "A point behind the camera has no pixel but still a depth, a negative one: put NaN in the pixels only.",
    ),
    Misconception(
        "looks backwards",
        _turned_over(1, 1, -1),
        "The camera was taken to look along −z, as OpenGL's does: in these matrices (OpenCV's) z points forward, so points ahead have positive depth.",
        variants=(_turned_over(1, -1, -1),),
    ),
    Misconception(
        "y up",
        _turned_over(1, -1, 1),
        "The picture is upside down: in OpenCV's axes y points down, as the rows of an image do, so y needs no minus sign.",
        variants=(_from_the_bottom,),
    ),
    Misconception(
        "mirrored",
        _turned_over(-1, 1, 1),
        "The picture is mirrored: x points right in the camera's axes and in the image, so it needs no minus sign.",
        variants=(_turned_over(-1, -1, 1),),
    ),
    Misconception(
        "no principal point",
        _with_lens(lambda K: np.diag(np.diag(K))),
        "The pixels count from the middle of the picture: add the principal point, K's last column. It also gets lost in `local @ K`: K acts on columns, so `local @ K.T`.",
    ),
    Misconception(
        "principal point swapped",
        _principal_point_swapped,
        "The principal point's halves are swapped: K[0, 2] belongs to x (to the width), K[1, 2] to y (to the height).",
    ),
    Misconception(
        "one focal length",
        _focals(0, 0),
        "One focal length served both axes: x takes K[0, 0] and y takes K[1, 1]; they differ where pixels are not square.",
        variants=(_focals(1, 1), _focals(1, 0)),
    ),
    Misconception(
        "no intrinsics",
        _with_lens(lambda K: np.eye(3)),
        "These are slopes, x/z and y/z, not pixels: multiply by K, that is by the focal length, and add the principal point.",
    ),
    Misconception(
        "intrinsics transposed",
        _transposed_intrinsics,
        "K is transposed, so the principal point slipped into the divisor: K acts on columns, so with points in rows it is `local @ K.T`.",
    ),
    Misconception(
        "half a pixel",
        _pixels(lambda pixels: pixels - 0.5),
        "Everything is half a pixel off: here the first pixel reaches from 0 to 1 and its centre is at 0.5, and K already counts that way.",
        variants=(_pixels(lambda pixels: pixels + 0.5),),
    ),
    Misconception(
        "whole pixels",
        _pixels(np.round),
        "The pixels were made whole: a point falls between pixels, and rounding belongs to drawing, so return the exact position.",
        variants=(_pixels(np.floor),),
    ),
    Misconception(
        "rows first",
        _pixels(lambda pixels: pixels[:, ::-1]),
        "The pixels are (row, column): return (x, y), so x, to the right, comes first; only indexing into an image wants [y, x].",
    ),
    Misconception(
        "outputs swapped",
        _outputs_swapped,
        "The two outputs are swapped: return the pixels first, then the depth.",
    ),
    Misconception(
        "a third column",
        _pixels(lambda pixels: np.hstack([pixels, np.ones((len(pixels), 1))])),
        "The third coordinate is still there: after the division it is 1 everywhere, so return only x and y, (N, 2).",
    ),
    Misconception(
        "points in columns",
        _pixels(np.transpose),
        "The points lie along the columns, (2, N): give them back as they came, one a row, with a transpose at the end.",
    ),
)
