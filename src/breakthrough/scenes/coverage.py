"""Counting pixels: boxes, areas, and what a body would cover alone. Loops over pixels, compiled.

Legend: B bodies, T triangles, H × W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from breakthrough.optional import require


def measure(
    instance: np.ndarray, triangles: np.ndarray, first: np.ndarray, pose_camera: np.ndarray, lens: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, areas, and the area each body would have alone in a picture without edges (in truth, half a picture wider on every side).

    A pixel belongs to a triangle that faces the camera when its middle lies inside.

    Shapes: instance (H, W) int16 with indices below B, triangles (T, 3, 3) in their bodies' frames, first
            (B + 1,) where each body's triangles begin, pose_camera (B, 4, 4), lens (3, 3)
            → boxes (B, 4) as x, y, width, height, areas (B,), alone (B,), all int64
    """
    return _compiled()(instance, triangles, first, pose_camera, lens[0, 0], lens[0, 2], lens[1, 2])


@cache
def _compiled() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    numba = require("numba", "labels pictures")
    return numba.njit(cache=True)(_measure)


def _measure(instance, triangles, first, pose_camera, focal, cx, cy):  # read by numba
    height, width = instance.shape
    bodies = len(first) - 1
    boxes = np.zeros((bodies, 4), dtype=np.int64)
    areas = np.zeros(bodies, dtype=np.int64)
    alone = np.zeros(bodies, dtype=np.int64)
    corners = np.empty((bodies, 4), dtype=np.int64)  # x low, y low, x high, y high
    corners[:, :2] = 1 << 30
    corners[:, 2:] = -1
    for y in range(height):
        for x in range(width):
            i = instance[y, x]
            if i >= 0:
                areas[i] += 1
                corners[i, 0] = min(corners[i, 0], x)
                corners[i, 1] = min(corners[i, 1], y)
                corners[i, 2] = max(corners[i, 2], x)
                corners[i, 3] = max(corners[i, 3], y)
    # the picture with a margin on every side, and who has last covered each pixel
    margin = height // 2
    owner = np.full((height + 2 * margin, width + 2 * margin), -1, dtype=np.int16)
    px, py = np.empty(3), np.empty(3)
    for i in range(1, bodies):
        if not areas[i]:
            continue
        boxes[i, 0], boxes[i, 1] = corners[i, 0], corners[i, 1]
        boxes[i, 2], boxes[i, 3] = corners[i, 2] - corners[i, 0] + 1, corners[i, 3] - corners[i, 1] + 1
        pose = pose_camera[i]
        count = 0
        for t in range(first[i], first[i + 1]):
            for c in range(3):
                v = triangles[t, c]
                depth = pose[2, 0] * v[0] + pose[2, 1] * v[1] + pose[2, 2] * v[2] + pose[2, 3]
                px[c] = focal * (pose[0, 0] * v[0] + pose[0, 1] * v[1] + pose[0, 2] * v[2] + pose[0, 3]) / depth + cx + margin
                py[c] = focal * (pose[1, 0] * v[0] + pose[1, 1] * v[1] + pose[1, 2] * v[2] + pose[1, 3]) / depth + cy + margin
            # y points down: a face that turns counter-clockwise in the world turns clockwise here
            if (px[1] - px[0]) * (py[2] - py[0]) - (py[1] - py[0]) * (px[2] - px[0]) >= 0:
                continue
            for y in range(max(0, math.ceil(py.min() - 0.5)), min(owner.shape[0], math.floor(py.max() - 0.5) + 1)):
                for x in range(max(0, math.ceil(px.min() - 0.5)), min(owner.shape[1], math.floor(px.max() - 0.5) + 1)):
                    if owner[y, x] == i:
                        continue
                    inside = True
                    for c in range(3):
                        d = (c + 1) % 3
                        if (px[d] - px[c]) * (y + 0.5 - py[c]) - (py[d] - py[c]) * (x + 0.5 - px[c]) > 0:
                            inside = False
                            break
                    if inside:
                        owner[y, x] = i
                        count += 1
        alone[i] = max(count, areas[i])
    return boxes, areas, alone
