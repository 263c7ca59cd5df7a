"""Module 2: random cameras, orientations and drawn bodies for the cases of its exercises.

Shapes: N points, H × W pixels
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Generator

from breakthrough.scenes.camera import projection_matrix, view_matrix
from breakthrough.scenes.simulator import Simulator
from breakthrough.scenes.spec import Camera


def numpy_from(generator: Generator) -> np.random.Generator:
    """A numpy generator that goes on where a torch generator stands."""
    return np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))


def random_camera(rng: np.random.Generator, width: int = 64, height: int = 64) -> Camera:
    """A camera that looks down at the tray from one side, turned about its axis."""
    azimuth, height_m = rng.uniform(0.3, 1.2) + math.pi / 2 * rng.integers(4), rng.uniform(0.25, 0.4)
    eye = (0.2 * math.cos(azimuth), 0.2 * math.sin(azimuth), height_m)
    target = tuple(rng.uniform(-0.01, 0.01, 3).tolist())
    roll = rng.uniform(0.2, 0.6) * rng.choice([-1, 1])
    return Camera(eye, target, roll_rad=float(roll), fov_rad=math.radians(rng.uniform(20, 26)), width=width, height=height)


def random_quaternion(rng: np.random.Generator) -> np.ndarray:
    """Any orientation, all equally likely. Shapes: → (4,) as (x, y, z, w)"""
    quaternion = rng.normal(size=4)
    return quaternion / np.linalg.norm(quaternion)


def draw_spheres(camera: Camera, centres_m: np.ndarray, radius_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Let PyBullet's renderer draw spheres, and say which pixel shows which.

    Shapes: centres_m (N, 3) → segmentation (H, W) int, -1 for nothing; z-buffer (H, W) float64
    Raises: MissingDependency when pybullet is not installed
    """
    with Simulator() as simulator:
        p, client = simulator.bullet, simulator.client
        shape = p.createVisualShape(p.GEOM_SPHERE, radius=radius_m, physicsClientId=client)
        for centre in centres_m.tolist():
            p.createMultiBody(0, -1, shape, centre, physicsClientId=client)
        view, projection = view_matrix(camera), projection_matrix(camera)
        # TinyRenderer looks through a pixel's corner: half a pixel is given back
        projection[:2, 2] = 1 / camera.width, 1 / camera.height
        columns_first = (matrix.T.ravel().tolist() for matrix in (view, projection))
        picture = p.getCameraImage(
            camera.width, camera.height, *columns_first, renderer=p.ER_TINY_RENDERER, physicsClientId=client
        )
    zbuffer, segmentation = (np.array(part).reshape(camera.height, camera.width) for part in picture[3:5])
    return segmentation.astype(np.int64), zbuffer.astype(float)
