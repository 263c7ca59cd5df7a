"""What can be said about a picture without looking twice: labels from the renderer's own segmentation.

Legend: K visible bodies (the tray is background), H × W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from breakthrough.scenes import meshes
from breakthrough.scenes.camera import extrinsics, intrinsics
from breakthrough.scenes.poses import Poses
from breakthrough.scenes.render import Frame
from breakthrough.scenes.spec import CATEGORIES, DEFECTS, SceneSpec

LABELLED = CATEGORIES[1:]  # the tray is background


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The labels of one picture.

    Shapes: body (K,) index into spec.bodies; box_px (K, 4) as x, y, width, height; area_px (K,);
            visible (K,) share of a body's pixels, were it alone and the picture endless, that is seen;
            pose_world, pose_camera (K, 4, 4) body → world and body → camera; intrinsics (3, 3);
            extrinsics (4, 4) world → camera
    Units:  label is the index of the part's defect in spec.DEFECTS
    """

    label: int
    body: np.ndarray
    names: tuple[str, ...]
    categories: tuple[str, ...]
    box_px: np.ndarray
    area_px: np.ndarray
    visible: np.ndarray
    pose_world: np.ndarray
    pose_camera: np.ndarray
    intrinsics: np.ndarray
    extrinsics: np.ndarray

    def masks(self, frame: Frame) -> np.ndarray:
        """The instance masks. Shapes: → (K, H, W) bool"""
        return frame.instance == self.body[:, None, None]


def annotate(spec: SceneSpec, poses: Poses, frame: Frame) -> Labels:
    """Label every body that has a pixel in the picture, but the tray."""
    count = len(spec.bodies)
    area = np.bincount(frame.instance.ravel() + 1, minlength=count + 1)[1:]
    seen = np.flatnonzero(area[1:]) + 1  # (K,)
    world, lens = extrinsics(spec.camera), intrinsics(spec.camera)
    pose_world = np.stack([poses.matrix(i) for i in seen]) if len(seen) else np.zeros((0, 4, 4))
    pose_camera = world @ pose_world
    return Labels(
        label=DEFECTS.index(spec.defect.kind),
        body=seen,
        names=tuple(spec.bodies[i].name for i in seen),
        categories=tuple(spec.bodies[i].category for i in seen),
        box_px=boxes(frame.instance, count)[seen],
        area_px=area[seen],
        visible=visible(spec, frame, seen, pose_camera, lens),
        pose_world=pose_world,
        pose_camera=pose_camera,
        intrinsics=lens,
        extrinsics=world,
    )


def boxes(instance: np.ndarray, count: int) -> np.ndarray:
    """The smallest upright boxes around all masks at once.

    Shapes: instance (H, W) → (count, 4) as x, y, width, height; zeros where a mask is empty
    """
    ys, xs = np.nonzero(instance >= 0)
    ids = instance[ys, xs]
    low, high = np.full((count, 2), 1 << 30), np.full((count, 2), -1)
    for axis, values in enumerate((xs, ys)):
        np.minimum.at(low[:, axis], ids, values)
        np.maximum.at(high[:, axis], ids, values)
    low[high[:, 0] < 0] = 0
    return np.hstack([low, high - low + 1]) * (high[:, :1] >= 0)


def visible(spec: SceneSpec, frame: Frame, seen: np.ndarray, pose_camera: np.ndarray, lens: np.ndarray) -> np.ndarray:
    """The share of each body's own pixels that nothing covers and the picture's edge does not cut off.

    A body's own pixels are those it would have alone in an endless picture: whose middle lies in one of
    its triangles, the rule by which the renderer fills them.

    Shapes: frame of (H, W), seen (K,), pose_camera (K, 4, 4), lens (3, 3) → (K,)
    """
    shares = np.ones(len(seen))
    for k, i in enumerate(seen):
        outline = meshes.outline(spec.bodies[i].mesh)  # (T, 3, 3)
        local = outline.reshape(-1, 3) @ pose_camera[k, :3, :3].T + pose_camera[k, :3, 3]
        pixels = (local @ lens.T)[:, :2] / local[:, 2:]
        own = frame.instance == i
        area = np.count_nonzero(own)
        shares[k] = area / (area + _hidden(pixels, own))
    return shares


def _hidden(pixels: np.ndarray, own: np.ndarray) -> int:
    # pixels (3 T, 2) of triangles; own (H, W): where the body is seen, which needs no test
    low = np.floor(pixels.min(axis=0)).astype(int)
    high = np.ceil(pixels.max(axis=0)).astype(int)
    ys, xs = np.mgrid[low[1] : high[1], low[0] : high[0]]
    inside = (ys >= 0) & (ys < own.shape[0]) & (xs >= 0) & (xs < own.shape[1])
    known = np.zeros(inside.shape, dtype=bool)
    known[inside] = own[ys[inside], xs[inside]]
    points = np.stack([xs[~known] + 0.5, ys[~known] + 0.5, np.ones((~known).sum())])  # (3, P)
    return int(covered(points, pixels.reshape(-1, 3, 2)).sum())


def covered(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Which points lie in any of the triangles that face the camera.

    Shapes: points (3, P) as x, y, 1; triangles (T, 3, 2), counter-clockwise in the world → (P,) bool
    """
    following = np.roll(triangles, -1, axis=1)
    edge = following - triangles  # (T, 3, 2)
    # the half plane left of an edge: with y downwards, a front face turns clockwise
    lines = np.stack([edge[..., 1], -edge[..., 0], edge[..., 0] * triangles[..., 1] - edge[..., 1] * triangles[..., 0]], axis=-1)
    area = edge[:, 0, 0] * edge[:, 1, 1] - edge[:, 0, 1] * edge[:, 1, 0]
    front = area < 0
    side = lines[front].reshape(-1, 3) @ points  # (3 T', P)
    return (side >= 0).reshape(-1, 3, points.shape[1]).all(axis=1).any(axis=0)
