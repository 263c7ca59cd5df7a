"""Module 2: where a body is and how it is turned, as the camera sees it.

Shapes: matrices act on columns; quaternions are (x, y, z, w); camera axes are OpenCV's
"""

from __future__ import annotations

import math

import numpy as np
from torch import Generator

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.scenes_inputs import numpy_from, random_camera, random_quaternion
from breakthrough.scenes.camera import TO_OPENGL, extrinsics


def pose_in_camera(position_m: np.ndarray, quaternion: np.ndarray, world_to_camera: np.ndarray) -> np.ndarray:
    """Compose a body's pose in the world with the camera's: body → camera.

    Why:    a robot that picks the part up knows the camera, not the world: the 6-DoF label of a picture is
            this matrix, and a simulator and a renderer rarely agree on how they write a rotation
    Shapes: position_m (3,), quaternion (4,), world_to_camera (4, 4) → (4, 4)
    Units:  metres; the quaternion is (x, y, z, w), of unit length, and turns the body's axes to the world's
    """
    x, y, z, w = quaternion
    body_to_world = np.eye(4)
    body_to_world[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    body_to_world[:3, 3] = position_m
    return world_to_camera @ body_to_world  # the rightmost acts first: body → world → camera


def _rotation(quaternion):
    """Rodrigues' form: I + 2w[v] + 2[v]²."""
    (a, b, c), w = quaternion[:3], quaternion[3]
    cross = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def _matrix(rotation, translation):
    matrix = np.zeros((4, 4))
    matrix[:3, :3], matrix[:3, 3], matrix[3, 3] = rotation, translation, 1
    return matrix


def _in_parts(position_m, quaternion, world_to_camera):
    turn = world_to_camera[:3, :3]
    return _matrix(turn @ _rotation(quaternion), turn @ position_m + world_to_camera[:3, 3])


def _axis_by_axis(position_m, quaternion, world_to_camera):
    # a pose's columns are where the body's axes and its origin go
    points = np.vstack([_turned(quaternion, axis) for axis in np.eye(3)])
    corners = np.vstack([points + position_m, position_m])
    seen = corners @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    return _matrix((seen[:3] - seen[3]).T, seen[3])


def _turned(quaternion, vector):
    v, w = quaternion[:3], quaternion[3]
    return vector + 2 * np.cross(v, np.cross(v, vector) + w * vector)


def _by_angle(position_m, quaternion, world_to_camera):
    half = math.atan2(np.linalg.norm(quaternion[:3]), quaternion[3])
    axis = quaternion[:3] / max(np.linalg.norm(quaternion[:3]), 1e-12)
    outer = np.outer(axis, axis)
    across = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = outer + math.cos(2 * half) * (np.eye(3) - outer) + math.sin(2 * half) * across
    return np.dot(world_to_camera, _matrix(rotation, position_m))


def _w_first(compose=pose_in_camera, order=(1, 2, 3, 0)):
    return lambda position_m, quaternion, world_to_camera: compose(position_m, quaternion[list(order)], world_to_camera)


def _inverse_rotation(position_m, quaternion, world_to_camera):
    return pose_in_camera(position_m, quaternion * [-1, -1, -1, 1], world_to_camera)


def _half_angle(position_m, quaternion, world_to_camera):
    half = quaternion + [0, 0, 0, 1]
    return pose_in_camera(position_m, half / np.linalg.norm(half), world_to_camera)


def _reversed(position_m, quaternion, world_to_camera):
    return _matrix(_rotation(quaternion), position_m) @ world_to_camera


def _camera_inverted(position_m, quaternion, world_to_camera):
    return pose_in_camera(position_m, quaternion, np.linalg.inv(world_to_camera))


def _camera_in_body(position_m, quaternion, world_to_camera):
    return np.linalg.inv(pose_in_camera(position_m, quaternion, world_to_camera))


def _moved_not_turned(position_m, quaternion, world_to_camera):
    pose = pose_in_camera(position_m, quaternion, world_to_camera)
    return _matrix(pose[:3, :3], position_m + world_to_camera[:3, 3])


def _position_in_world(position_m, quaternion, world_to_camera):
    return _matrix(pose_in_camera(position_m, quaternion, world_to_camera)[:3, :3], position_m)


def _turned_not_moved(position_m, quaternion, world_to_camera):
    pose = pose_in_camera(position_m, quaternion, world_to_camera)
    return _matrix(pose[:3, :3], world_to_camera[:3, :3] @ position_m)


def _orientation_in_world(position_m, quaternion, world_to_camera):
    pose = pose_in_camera(position_m, quaternion, world_to_camera)
    return _matrix(_rotation(quaternion), pose[:3, 3])


def _orientation_reversed(position_m, quaternion, world_to_camera):
    pose = pose_in_camera(position_m, quaternion, world_to_camera)
    return _matrix(_rotation(quaternion) @ world_to_camera[:3, :3], pose[:3, 3])


def _orientation_forgotten(position_m, quaternion, world_to_camera):
    return pose_in_camera(position_m, np.array([0.0, 0, 0, 1]), world_to_camera)


def _body_to_world(position_m, quaternion, world_to_camera):
    return _matrix(_rotation(quaternion), position_m)


def _rows(position_m, quaternion, world_to_camera):
    return pose_in_camera(position_m, quaternion, world_to_camera).T


def _opengl(position_m, quaternion, world_to_camera):
    return TO_OPENGL @ pose_in_camera(position_m, quaternion, world_to_camera)


def _three_rows(position_m, quaternion, world_to_camera):
    return pose_in_camera(position_m, quaternion, world_to_camera)[:3]


def _zeros_below(position_m, quaternion, world_to_camera):
    pose = pose_in_camera(position_m, quaternion, world_to_camera)
    pose[3] = 0
    return pose


def _cases(generator: Generator):
    rng = numpy_from(generator)
    half = math.sqrt(0.5)
    quarter = np.array([0, 0, half, half])
    yield Case("a quarter turn about z, camera at the origin", (np.array([1.0, 2, 3]), quarter, np.eye(4)))
    for i in range(3):
        pose = extrinsics(random_camera(rng))
        yield Case(f"body {i}", (rng.uniform(-0.05, 0.05, 3), random_quaternion(rng), pose))
    upright = np.array([0.0, 0, 0, 1])
    yield Case("not turned", (rng.uniform(-0.05, 0.05, 3), upright, pose))
    yield Case("at the world's origin", (np.zeros(3), random_quaternion(rng), pose))
    yield Case("upside down", (rng.uniform(-0.05, 0.05, 3), np.array([1.0, 0, 0, 0]), pose))


EXERCISES = (
    Exercise(
        name="scenes.pose",
        title="A body's pose as the camera sees it",
        points=6,
        minutes=35,
        difficulty=2,
        reference=pose_in_camera,
        cases=_cases,
        compare=close(rtol=1e-6, atol=1e-7, dtype=False),
        alternatives=(_in_parts, _axis_by_axis, _by_angle),
        misconceptions=(
            Misconception(
                "w first",
                _w_first(),
                "The quaternion was read with w first: it comes as (x, y, z, w), and w, the cosine of half the angle, is the last number.",
                variants=(
                    _w_first(order=(3, 0, 1, 2)),
                    *(_w_first(way) for way in (_reversed, _camera_inverted, _moved_not_turned, _position_in_world)),
                ),
            ),
            Misconception(
                "inverse rotation",
                _inverse_rotation,
                "The body is turned the wrong way: this is the transposed rotation, world → body; look at the signs of the terms with w.",
            ),
            Misconception(
                "half the angle",
                _half_angle,
                "The body is turned by half its angle: w is the cosine of the half angle, so the angle is 2·arccos(w).",
            ),
            Misconception(
                "order reversed",
                _reversed,
                "The matrices were multiplied in the wrong order: they act on columns, so the first step stands on the right: world_to_camera @ body_to_world.",
            ),
            Misconception(
                "camera inverted",
                _camera_inverted,
                "The camera's matrix was inverted: `world_to_camera` already goes from the world to the camera.",
            ),
            Misconception(
                "camera in the body",
                _camera_in_body,
                "This is the inverse, camera → body: a body's pose takes points of the body to the camera, and its last column is where the body is.",
            ),
            Misconception(
                "moved but not turned",
                _moved_not_turned,
                "The position was moved but not turned: the camera's rotation acts on it too, R·p + t.",
            ),
            Misconception(
                "turned but not moved",
                _turned_not_moved,
                "The position was turned but not moved: add the camera's translation, R·p + t.",
            ),
            Misconception(
                "position in the world",
                _position_in_world,
                "The last column is still the position in the world: turn and move it with `world_to_camera`, as the axes were.",
            ),
            Misconception(
                "orientation in the world",
                _orientation_in_world,
                "The rotation is still body → world: the camera's rotation has to be multiplied to it from the left.",
            ),
            Misconception(
                "rotations reversed",
                _orientation_reversed,
                "The position is right, but the rotations were multiplied in the wrong order: camera's @ body's, the body's turn comes first.",
            ),
            Misconception(
                "orientation forgotten",
                _orientation_forgotten,
                "The quaternion has no effect: make it a rotation matrix and put it into body → world before you compose.",
            ),
            Misconception(
                "body to world",
                _body_to_world,
                "This is the pose in the world: one more step is needed, world_to_camera @ body_to_world.",
            ),
            Misconception(
                "for row vectors",
                _rows,
                "The matrix is transposed, as for row vectors: here it acts on columns, so the translation stands in the last column.",
            ),
            Misconception(
                "OpenGL's axes",
                _opengl,
                "y and z are turned over, OpenGL's axes: `world_to_camera` gives OpenCV's, y down and z forward, so change nothing after it.",
            ),
            Misconception(
                "three rows",
                _three_rows,
                "The last row is missing: return (4, 4) with (0, 0, 0, 1) below, so that poses can be multiplied and inverted.",
            ),
            Misconception(
                "zeros below",
                _zeros_below,
                "The last row is all zeros: it must be (0, 0, 0, 1), or the translation gets lost when poses are multiplied.",
            ),
        ),
        hints=(
            "A pose is a way from one frame to another: body → world is given by the position and the quaternion, world → camera by the matrix. Walk the one, then the other.",
            "quaternion (4,) → rotation (3, 3) → with the position in the last column and (0, 0, 0, 1) below: (4, 4) → multiplied from the left by world_to_camera (4, 4)",
            "R = [[1−2(y²+z²), 2(xy−zw), 2(xz+yw)],\n     [2(xy+zw), 1−2(x²+z²), 2(yz−xw)],\n     [2(xz−yw), 2(yz+xw), 1−2(x²+y²)]]\nbody_to_world = identity (4, 4) with R and the position put in\nreturn world_to_camera @ body_to_world",
        ),
    ),
)
