"""From a point in the world to a pixel, and from a z-buffer back to metres. Numpy only.

Legend: N points. Matrices act on columns. Pixel (0, 0) is the top left one; its centre is (0.5, 0.5).
"""

from __future__ import annotations

import math

import numpy as np

from breakthrough.errors import InputError, ShapeError, expected
from breakthrough.scenes.spec import Camera

TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenCV (y down, z forward) → OpenGL (y up, z backward)


def intrinsics(camera: Camera) -> np.ndarray:
    """The matrix K of a pinhole camera with square pixels.

    Shapes: → (3, 3)
    Units:  pixels
    Source: Hartley and Zisserman 2004, ch. 6
    """
    focal = 0.5 * camera.height / math.tan(0.5 * camera.fov_rad)
    return np.array([[focal, 0, camera.width / 2], [0, focal, camera.height / 2], [0, 0, 1.0]])


def extrinsics(camera: Camera) -> np.ndarray:
    """World → camera (OpenCV axes).

    Shapes: → (4, 4)
    Units:  metres
    """
    eye = np.array(camera.eye_m)
    forward = np.array(camera.target_m) - eye
    forward /= np.linalg.norm(forward)
    # the world's up, unless the camera looks straight along it
    up = np.array([0.0, 0, 1]) if abs(forward[2]) < 1 - 1e-9 else np.array([0.0, 1, 0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = math.cos(camera.roll_rad), math.sin(camera.roll_rad)
    rotation = np.stack([c * right + s * down, c * down - s * right, forward])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ eye
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
    f, near, far = 1 / math.tan(0.5 * camera.fov_rad), camera.near_m, camera.far_m
    matrix = np.zeros((4, 4))
    matrix[0, 0] = f * camera.height / camera.width
    matrix[1, 1] = f
    matrix[2, 2] = (far + near) / (near - far)
    matrix[2, 3] = 2 * far * near / (near - far)
    matrix[3, 2] = -1
    return matrix


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
    near, far = camera.near_m, camera.far_m
    return (far * near / (far - (far - near) * zbuffer)).astype(np.float32)
