"""Where the bodies of a scene are: positions, orientations, and how frames compose.

Legend: B bodies. Quaternions are (x, y, z, w) and of unit length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from breakthrough.scenes.spec import SceneSpec


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """The pose of every body of a scene in the world frame, in the order of `spec.bodies`.

    Shapes: position_m (B, 3), orientation (B, 4)
    """

    position_m: np.ndarray
    orientation: np.ndarray

    def matrix(self, i: int) -> np.ndarray:
        """Body → world as a (4, 4) matrix."""
        matrix = np.eye(4)
        matrix[:3, :3] = rotation_matrix(self.orientation[i])
        matrix[:3, 3] = self.position_m[i]
        return matrix


def matrices(poses: Poses) -> np.ndarray:
    """Body → world for all bodies at once.

    Shapes: → (B, 4, 4)
    """
    x, y, z, w = poses.orientation.T
    matrix = np.zeros((len(poses.position_m), 4, 4))
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)
    matrix[:, 1, 0], matrix[:, 1, 1], matrix[:, 1, 2] = 2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)
    matrix[:, 2, 0], matrix[:, 2, 1], matrix[:, 2, 2] = 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)
    matrix[:, :3, 3], matrix[:, 3, 3] = poses.position_m, 1
    return matrix


def start(spec: SceneSpec) -> Poses:
    """The poses a scene starts from: those written in the spec, attached bodies carried to the world."""
    position = np.array([body.position_m for body in spec.bodies])
    orientation = np.array([body.orientation for body in spec.bodies])
    return attach(spec, Poses(position, orientation))


def attach(spec: SceneSpec, poses: Poses) -> Poses:
    """Carry every attached body along with the body it is fixed to."""
    position, orientation = poses.position_m.copy(), poses.orientation.copy()
    for i, body in enumerate(spec.bodies):
        if body.attached_to is not None:
            parent = spec.index(body.attached_to)
            position[i] = position[parent] + rotation_matrix(orientation[parent]) @ body.position_m
            orientation[i] = multiply(orientation[parent], np.array(body.orientation))
    return Poses(position, orientation)


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation b followed by the rotation a.

    Shapes: (4,), (4,) → (4,)
    """
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def rotation_matrix(quaternion: np.ndarray) -> np.ndarray:
    """A unit quaternion as a matrix.

    Shapes: (4,) → (3, 3)
    """
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def about_z(angle_rad: float) -> tuple[float, float, float, float]:
    """The quaternion of a turn about the vertical."""
    return (0.0, 0.0, float(np.sin(angle_rad / 2)), float(np.cos(angle_rad / 2)))
