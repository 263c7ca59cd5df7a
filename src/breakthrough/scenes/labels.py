"""What can be said about a picture without looking twice: labels from the renderer's own segmentation.

Legend: K visible bodies (the tray is background), H × W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from breakthrough.scenes import meshes
from breakthrough.scenes.camera import extrinsics, intrinsics
from breakthrough.scenes.coverage import measure
from breakthrough.scenes.poses import Poses, matrices
from breakthrough.scenes.render import Frame
from breakthrough.scenes.spec import CATEGORIES, DEFECTS, SceneSpec

LABELLED = CATEGORIES[1:]  # the tray is background


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The labels of one picture.

    Shapes: body (K,) index into spec.bodies; box_px (K, 4) as x, y, width, height; area_px (K,);
            visible (K,) the share of the pixels it would have alone, in a picture without edges;
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
        """The instance masks.

        Shapes: → (K, H, W) bool
        """
        return frame.instance == self.body[:, None, None]


def annotate(spec: SceneSpec, poses: Poses, frame: Frame) -> Labels:
    """Label every body that has a pixel in the picture, but the tray."""
    world, lens = extrinsics(spec.camera), intrinsics(spec.camera)
    pose_world = matrices(poses)
    pose_camera = world @ pose_world
    triangles, first = _triangles(tuple(body.mesh for body in spec.bodies))
    boxes, areas, alone = measure(frame.instance, triangles, first, pose_camera, lens)
    seen = np.flatnonzero(areas[1:]) + 1  # (K,)
    return Labels(
        label=DEFECTS.index(spec.defect.kind),
        body=seen,
        names=tuple(spec.bodies[i].name for i in seen),
        categories=tuple(spec.bodies[i].category for i in seen),
        box_px=boxes[seen],
        area_px=areas[seen],
        visible=areas[seen] / alone[seen],
        pose_world=pose_world[seen],
        pose_camera=pose_camera[seen],
        intrinsics=lens,
        extrinsics=world,
    )


@lru_cache(maxsize=256)
def _triangles(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    surfaces = [meshes.mesh(name) for name in names]
    return np.concatenate([s.vertices[s.faces] for s in surfaces]), np.cumsum([0, *(len(s.faces) for s in surfaces)])
