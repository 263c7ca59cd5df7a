"""Module 2: from a point of the world to a pixel. Judged against the renderer's own segmentation too.

Shapes: N points, H × W pixels. Matrices act on columns. Camera axes are OpenCV's: x right, y down, z forward
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Generator

from breakthrough.exercises.compare import Difference, close
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.scenes_inputs import draw_spheres, numpy_from, random_camera
from breakthrough.exercises.scenes_project_wrong import MISCONCEPTIONS
from breakthrough.scenes.camera import extrinsics, intrinsics

RADIUS_M = 0.005
# on the tray and above it, so far apart that from any camera of the cases none hides another
PLACES_M = np.array([[-0.035, -0.02, 0.0], [0.03, -0.03, 0.012], [0.0, 0.034, 0.006], [0.036, 0.018, 0.0]])


def project(points_m: np.ndarray, K: np.ndarray, world_to_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Say where points of the world fall in the picture, and how deep they lie.

    Why:    every label of a picture (box, mask, pose) is a point of the world seen through this function;
            a sign or a transpose wrong here is wrong in every label of the dataset, and no error is raised
    Shapes: points_m (N, 3), K (3, 3), world_to_camera (4, 4) → pixels (N, 2) as (x, y), depth_m (N,)
    Units:  pixels from the picture's top left corner, x right, y down; depth along the camera's axis, not
            the distance; a point with depth ≤ 0 has no pixel, NaN, and keeps its depth
    """
    local = points_m @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]  # (N, 3): R p + t, for points in rows
    depth_m = local[:, 2]
    pixels = np.full((len(points_m), 2), np.nan)
    seen = depth_m > 0
    pixels[seen] = (local[seen] @ K.T)[:, :2] / depth_m[seen, None]
    return pixels, depth_m


def _homogeneous(points_m, K, world_to_camera):
    ones = np.ones((len(points_m), 1))
    local = world_to_camera @ np.hstack([points_m, ones]).T  # (4, N)
    with np.errstate(divide="ignore", invalid="ignore"):
        image = K @ local[:3]
        pixels = np.where(local[2] > 0, image[:2] / image[2], np.nan)
    return pixels.T, local[2]


def _point_by_point(points_m, K, world_to_camera):
    pixels, depth_m = np.empty((len(points_m), 2)), np.empty(len(points_m))
    for i, point in enumerate(points_m):
        x, y, z = world_to_camera[:3, :3].dot(point) + world_to_camera[:3, 3]
        depth_m[i] = z
        pixels[i] = (K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]) if z > 0 else (np.nan, np.nan)
    return pixels, depth_m


def _one_matrix(points_m, K, world_to_camera):
    p = K @ world_to_camera[:3]  # (3, 4), what a textbook calls the camera matrix
    image = np.einsum("ij,nj->ni", p[:, :3], points_m) + p[:, 3]
    depth = image[:, 2]
    return image[:, :2] / np.where(depth > 0, depth, np.nan)[:, None], depth


@dataclass(frozen=True)
class Drawn:
    """What an answer says of drawn bodies, and which of its points miss the body's own pixels."""

    output: Any
    missed: tuple[str, ...] = ()


_numbers = close(rtol=1e-5, atol=1e-4, dtype=False, parts=("pixels", "depth_m"))


def _compare(want: Any, got: Any) -> Difference | None:
    """Pixels and depths, and for drawn bodies first whether each point falls on its body."""
    if not isinstance(want, Drawn):
        return _numbers(want, got)
    found = _numbers(want.output, got.output)
    if found and found.kind in ("value", "nan") and got.missed != want.missed:
        return Difference(found.kind, (got.missed or want.missed)[0], found.expected, found.got, found.where)
    return found


def _look(segmentation: np.ndarray, n: int):
    """A look at an answer: does every projected centre fall on the pixels that the renderer drew for it?"""

    def look(output: Any) -> Drawn:
        pixels = output[0] if isinstance(output, tuple) and output else None
        if not isinstance(pixels, np.ndarray) or pixels.shape != (n, 2) or pixels.dtype.kind not in "fiu":
            return Drawn(output)  # the comparison says what is wrong with it
        return Drawn(output, tuple(text for i in range(n) if (text := _miss(segmentation, i, *pixels[i].tolist()))))

    return look


def _miss(segmentation: np.ndarray, i: int, x: float, y: float) -> str:
    height, width = segmentation.shape
    if 0 <= x < width and 0 <= y < height and segmentation[int(y), int(x)] == i:
        return ""
    rows, columns = np.nonzero(segmentation == i)
    centre = f"({columns.mean() + 0.5:.1f}, {rows.mean() + 0.5:.1f})"
    return f"the renderer drew body {i} around the pixel {centre}, and you put its centre at ({x:.1f}, {y:.1f})"


def _drawn(rng: np.random.Generator, width: int, height: int) -> Case:
    camera = random_camera(rng, width, height)
    centres_m = PLACES_M + rng.uniform(-0.003, 0.003, PLACES_M.shape)
    segmentation, _ = draw_spheres(camera, centres_m, RADIUS_M)
    label = f"{len(centres_m)} spheres that PyBullet drew, {width} × {height} pixels"
    return Case(label, (centres_m, intrinsics(camera), extrinsics(camera)), look=_look(segmentation, len(centres_m)))


def _cases(generator: Generator):
    rng = numpy_from(generator)
    ahead = np.array([[0.0, 0, 1], [0.1, 0.2, 1], [0.1, 0.2, 2]])
    yield Case("three points before a camera at the origin", (ahead, _lens(100, 100, 32, 32), np.eye(4)))
    yield _drawn(rng, 64, 64)
    yield _drawn(rng, 96, 48)
    pose = extrinsics(random_camera(rng))
    lens = _lens(*rng.uniform([150, 60, 20, 40], [200, 120, 35, 55]))
    yield Case("a lens with two focal lengths, off its middle", (rng.uniform(-0.05, 0.05, (20, 3)), lens, pose))
    around = rng.uniform(-2, 2, (20, 3))
    around[:, 2] = [*rng.uniform(1, 2, 10), *rng.uniform(-2, -1, 10)]  # 10 above the camera, so behind it
    yield Case("half of the points behind the camera", (around, lens, pose))
    beside = np.array([[0.1, 0.2, 0.0], [0.0, 0.0, 0.0], [0.1, 0.2, 0.5]])
    yield Case("two points in the camera's own plane", (beside, lens, np.eye(4)))
    yield Case("one point", (rng.uniform(-0.05, 0.05, (1, 3)), lens, pose))
    yield Case("no points", (np.zeros((0, 3)), lens, pose))


def _lens(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


EXERCISES = (
    Exercise(
        name="scenes.project",
        title="From a point of the world to a pixel",
        points=7,
        minutes=45,
        difficulty=2,
        reference=project,
        cases=_cases,
        compare=_compare,
        alternatives=(_homogeneous, _point_by_point, _one_matrix),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "A camera does two things. First it tells a point from its own place: it turns the world and moves it (the extrinsics). Then it divides by the depth, because far things look small, and stretches the result to pixels (the intrinsics).",
            "points (N, 3) → R p + t for every row: (N, 3) in the camera's axes → depth is the third column (N,) → K times each row (N, 3) → first two columns divided by the depth (N, 2) → NaN where depth ≤ 0",
            "local = points · Rᵀ + t, with R and t from world_to_camera\ndepth = local's third column\nx = fx · local x / depth + cx\ny = fy · local y / depth + cy\nx, y = NaN where depth ≤ 0\nreturn (x, y) in columns, depth",
        ),
    ),
)
