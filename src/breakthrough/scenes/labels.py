"""What can be said about a picture without looking twice: labels from the renderer's own segmentation.

Legend: K visible bodies (the tray is background), H × W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from breakthrough.scenes import meshes
from breakthrough.scenes.camera import extrinsics, intrinsics
from breakthrough.scenes.poses import Poses, rotation_matrix
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
        visible=visible(spec, frame, seen, pose_camera, lens, area[seen]),
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


def visible(
    spec: SceneSpec, frame: Frame, seen: np.ndarray, pose_camera: np.ndarray, lens: np.ndarray, area: np.ndarray
) -> np.ndarray:
    """The share of each body's own pixels that nothing covers and the frame does not cut off.

    A pixel belongs to a body that would show there alone: its middle lies in one of the body's triangles,
    the rule by which the renderer fills them.

    Shapes: seen (K,), pose_camera (K, 4, 4), lens (3, 3), area (K,) → (K,)
    """
    alone = np.array([silhouette(spec.bodies[i].mesh, pose, lens) for i, pose in zip(seen, pose_camera)])
    return np.minimum(area / np.maximum(alone, 1), 1.0)


def silhouette(mesh: str, pose_camera: np.ndarray, lens: np.ndarray) -> int:
    """How many pixel middles the body covers when nothing is in front of it, inside the frame or not."""
    surface = meshes.mesh(mesh)
    local = surface.vertices @ pose_camera[:3, :3].T + pose_camera[:3, 3]
    pixels = (local @ lens.T)[:, :2] / local[:, 2:]
    return int(covered(pixels, surface.faces).sum())
