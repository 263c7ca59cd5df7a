"""Whether a settled scene is one that could be: at rest, nothing inside anything, everything held up, in view."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from breakthrough.scenes import meshes
from breakthrough.scenes.camera import extrinsics, intrinsics
from breakthrough.scenes.poses import Poses
from breakthrough.scenes.simulator import GRAVITY_M_S2, Settled
from breakthrough.scenes.spec import SceneSpec

DEEPEST_M = 0.0003
TOUCHING_M = 0.0005
GAIN_M = 0.0003  # energy a solver may add: what lifts everything that can move by this much
OUTSIDE_PX = 0.03  # of the picture's size


@dataclass(frozen=True, slots=True)
class Validity:
    """What was measured on a settled scene, and what of it is out of bounds.

    Units: speeds left over in m/s and rad/s; deepest_m is how far two bodies are inside each other;
           energy_gain_j is energy that came from nowhere; outside is the farthest a corner of the part
           lies outside the picture, as a share of the picture's height
    """

    speed_m_s: float
    spin_rad_s: float
    deepest_m: float
    unsupported: tuple[str, ...]
    energy_gain_j: float
    outside: float
    reasons: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is out of bounds."""
        return not self.reasons


def validity(spec: SceneSpec, settled: Settled) -> Validity:
    """Measure a settled scene and name every reason why it could not be."""
    deepest = max((-gap for _, _, gap in settled.contacts), default=0.0)
    loose = unsupported(spec, settled.contacts)
    gain = max(0.0, -settled.energy_j)
    outside = out_of_view(spec, settled.poses)
    found = {
        "not at rest": not settled.at_rest,
        "penetration": deepest > DEEPEST_M,
        "not supported": bool(loose),
        "energy drift": gain > GAIN_M * GRAVITY_M_S2 * sum(body.mass_kg for body in spec.bodies),
        "out of view": outside > OUTSIDE_PX,
    }
    reasons = tuple(reason for reason, wrong in found.items() if wrong)
    return Validity(settled.speed_m_s, settled.spin_rad_s, max(deepest, 0.0), loose, gain, outside, reasons)


def unsupported(spec: SceneSpec, contacts: tuple[tuple[int, int, float], ...]) -> tuple[str, ...]:
    """The bodies that no chain of touching bodies connects to the tray."""
    held, waiting = {0}, [(a, b) for a, b, gap in contacts if gap <= TOUCHING_M]
    while True:
        reached = {b if a in held else a for a, b in waiting if (a in held) != (b in held)}
        if not reached:
            break
        held |= reached
    loose = (i for i, body in enumerate(spec.bodies) if body.attached_to is None and i not in held)
    return tuple(spec.bodies[i].name for i in loose)


def out_of_view(spec: SceneSpec, poses: Poses) -> float:
    """How far the part's farthest corner lies outside the picture; 0 when all of it is inside.

    Units: a share of the picture's height
    """
    camera = spec.camera
    i = spec.index("bracket")
    onto = intrinsics(camera) @ extrinsics(camera)[:3] @ poses.matrix(i)  # (3, 4): body → pixel × depth
    across, down, depth = onto @ _corners(spec.bodies[i].mesh)
    if depth.min() <= camera.near_m:
        return float("inf")
    x, y = across / depth, down / depth
    beyond = max(-x.min(), x.max() - camera.width, -y.min(), y.max() - camera.height)
    return max(0.0, float(beyond) / camera.height)


@cache
def _corners(mesh: str) -> np.ndarray:
    # (4, N) homogeneous; the outermost points of a mesh are enough
    vertices = meshes.mesh(mesh).vertices
    reach = np.abs(vertices[:, :2]).sum(axis=1)
    corners = np.unique(vertices[reach > 0.85 * reach.max()].round(6), axis=0)
    return np.vstack([corners.T, np.ones(len(corners))])
