"""From a point in the world to a pixel, and from a z-buffer back to metres. Numpy only.

Legend: N points. Matrices act on columns. Pixel (0, 0) is the top left one; its centre is (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from breakthrough.errors import InputError, ShapeError, expected
from breakthrough.scenes.spec import Camera

TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenCV (y down, z forward) → OpenGL (y up, z backward)


@lru_cache(maxsize=64)
def intrinsics(camera: Camera) -> np.ndarray:
    """The matrix K of a pinhole camera with square pixels.

    Shapes: → (3, 3), read only
    Units:  pixels
    Source: Hartley and Zisserman 2004, ch. 6
    """
    focal = 0.5 * camera.height / math.tan(0.5 * camera.fov_rad)
    return _fixed([[focal, 0, camera.width / 2], [0, focal, camera.height / 2], [0, 0, 1.0]])


@lru_cache(maxsize=64)
def extrinsics(camera: Camera) -> np.ndarray:
    """World → camera (OpenCV axes).

    Shapes: → (4, 4), read only
    Units:  metres
    """
    # plain numbers: for three of them numpy's functions cost more than the sums
    forward = _unit([t - e for t, e in zip(camera.target_m, camera.eye_m)])
    # the world's up, unless the camera looks straight along it
    up = (0.0, 0.0, 1.0) if abs(forward[2]) < 1 - 1e-9 else (0.0, 1.0, 0.0)
    right = _unit(_cross(forward, up))
    down = _cross(forward, right)
    c, s = math.cos(camera.roll_rad), math.sin(camera.roll_rad)
    rows = ([c * r + s * d for r, d in zip(right, down)], [c * d - s * r for r, d in zip(right, down)], forward)
    return _fixed([*([*row, -sum(a * e for a, e in zip(row, camera.eye_m))] for row in rows), [0.0, 0.0, 0.0, 1.0]])


def _cross(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector)
    return [x / length for x in vector]


def _fixed(rows: list[list[float]]) -> np.ndarray:
    matrix = np.array(rows)
    matrix.setflags(write=False)
    return matrix


def view_matrix(camera: Camera) -> np.ndarray:
    """World → camera with OpenGL's axes, as renderers ask for it.

    Shapes: → (4, 4)
    """
    return TO_OPENGL @ extrinsics(camera)


def projection_matrix(camera: Camera) -> np.ndarray:
    """OpenGL's perspective projection: camera → clip coordinates.

    Shapes: → (4, 4)
    Source: OpenGL 2.1 reference, gluPerspective
    """
    return perspective(camera, camera.near_m, camera.far_m)


def perspective(camera: Camera, near: float, far: float) -> np.ndarray:
    """The same with other planes, in any unit.

    Shapes: → (4, 4)
    """
    f = 1 / math.tan(0.5 * camera.fov_rad)
    return np.array(
        [
            [f * camera.height / camera.width, 0, 0, 0],
            [0, f, 0, 0],
            [0, 0, (far + near) / (near - far), 2 * far * near / (near - far)],
            [0, 0, -1, 0],
        ]
    )


def project(points_m: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Where points of the world fall in the picture, and how deep they lie.

    Shapes: points_m (N, 3) → pixels (N, 2) as (x, y), depth_m (N,)
    Units:  depth along the camera's axis, not the distance; points behind the camera get NaN pixels
    Raises: ShapeError when points_m is not (N, 3)
    """
    points_m = np.asarray(points_m, dtype=float)
    if points_m.ndim != 2 or points_m.shape[1] != 3:
        raise ShapeError(expected("points of shape (N, 3)", points_m.shape))
    matrix = extrinsics(camera)
    local = points_m @ matrix[:3, :3].T + matrix[:3, 3]  # (N, 3)
    depth = local[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = (local @ intrinsics(camera).T)[:, :2] / depth[:, None]
    pixels[depth <= 0] = np.nan
    return pixels, depth


def linearize(zbuffer: np.ndarray, camera: Camera) -> np.ndarray:
    """Depth in metres from a z-buffer: it holds 1/z, stretched to [0, 1] between near and far.

    Shapes: (H, W) → (H, W) float32
    Raises: InputError for values outside [0, 1]
    """
    zbuffer = np.asarray(zbuffer)
    if zbuffer.size and not (zbuffer.min() >= 0 and zbuffer.max() <= 1):
        raise InputError(expected("a z-buffer with values in [0, 1]", f"{zbuffer.min()} to {zbuffer.max()}"))
    return metres(zbuffer, camera.near_m, camera.far_m)


def metres(zbuffer: np.ndarray, near_m: float, far_m: float) -> np.ndarray:
    """The same for planes that are not the camera's, and values known to be in [0, 1].

    Shapes: (H, W) → (H, W) float32
    """
    return (far_m * near_m / (far_m - (far_m - near_m) * zbuffer)).astype(np.float32)
