"""Module 2: recordings of bodies that rest or move, made by hand or by the physics engine.

Every one is far from the settle test's tolerance, on one side or the other.

Shapes: positions (T, N, 3) for T moments and N bodies
Units:  metres, seconds
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from breakthrough.scenes.simulator import pybullet

STEP_S = 1 / 240  # the step of the recordings, unless another is given
SLOW_M_S = 5e-4
GRAVITY_M_S2 = 9.81


def rest(draw: np.random.Generator, n: int, seconds: float, dt_s: float = STEP_S) -> np.ndarray:
    """Bodies that do not move at all."""
    places = draw.uniform(-0.1, 0.1, size=(n, 3))
    return np.repeat(places[None], round(seconds / dt_s) + 1, axis=0)


def jitter(position_m: np.ndarray, draw: np.random.Generator, size_m: float = 4e-6) -> np.ndarray:
    """The same with a solver's noise: microns, anew at every step."""
    return position_m + draw.uniform(-size_m, size_m, size=position_m.shape)


def fenceposts(draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Six moments, jumps of 1 cm: one within the last three steps, one just before them."""
    inside = np.repeat(draw.uniform(-0.1, 0.1, size=(1, 2, 3)), 6, axis=0)
    before = inside.copy()
    inside[:3] += 0.01
    before[:2] += 0.01
    return inside, before


def slide(draw: np.random.Generator, n: int, seconds: float, dt_s: float = STEP_S, speed_m_s: float = SLOW_M_S) -> np.ndarray:
    """One body of n slides over the tray at a constant speed, the others rest."""
    position = rest(draw, n, seconds, dt_s)
    angle = draw.integers(4) * np.pi / 2 + draw.uniform(-0.3, 0.3)  # mostly along one axis, so far beyond the tolerance
    direction = np.array([np.cos(angle), np.sin(angle), 0.0])
    position[:, draw.integers(n)] += speed_m_s * dt_s * np.arange(len(position))[:, None] * direction
    return position


def apex(draw: np.random.Generator) -> np.ndarray:
    """A body thrown up, recorded to the moment at which it hangs still; another one rests."""
    position = rest(draw, 2, 0.3)
    before_s = STEP_S * (np.arange(len(position))[::-1] - 0.5)  # the last two places are equal
    position[:, draw.integers(2), 2] -= 0.5 * GRAVITY_M_S2 * before_s**2
    return position


def rocking(draw: np.random.Generator, period_s: float = 0.25) -> np.ndarray:
    """A body that rocks by 0.3 mm and is back, after every period, where it was."""
    position = rest(draw, 3, 4 * period_s)
    time_s = STEP_S * np.arange(len(position))
    sway = 3e-4 * np.sin(2 * np.pi * time_s / period_s)
    position[:, draw.integers(3), draw.integers(2)] += sway
    return position


def stacked(draw: np.random.Generator) -> np.ndarray:
    """Three blocks, dropped on each other two seconds ago, by the physics engine: they creep, by microns."""
    sizes = np.sort(draw.uniform(0.016, 0.024, size=3))[::-1]
    drop = draw.uniform(0.0005, 0.002)

    def build(engine: ModuleType, client: int) -> list[int]:
        _block(engine, client, (0.2, 0.2, 0.01), -0.01, 0.0)
        heights = 0.01 + drop + (0.02 + drop) * np.arange(3)
        return [_block(engine, client, (size, size, 0.01), z, 0.05) for size, z in zip(sizes, heights)]

    return _simulated(build, before=480, steps=80)


def drifting(draw: np.random.Generator) -> np.ndarray:
    """A block that slides slowly over a tray without friction, by the physics engine."""
    speed = draw.uniform(1.2, 1.6) * SLOW_M_S

    def build(engine: ModuleType, client: int) -> list[int]:
        tray = _block(engine, client, (0.2, 0.2, 0.01), -0.01, 0.0)
        block = _block(engine, client, (0.02, 0.02, 0.01), 0.01, 0.05)
        for body in (tray, block):
            engine.changeDynamics(body, -1, lateralFriction=0, physicsClientId=client)
        engine.resetBaseVelocity(block, (speed, 0, 0), physicsClientId=client)
        return [block]

    return _simulated(build, before=0, steps=80)


def _block(engine: ModuleType, client: int, half_m: tuple[float, float, float], z_m: float, mass_kg: float) -> int:
    shape = engine.createCollisionShape(engine.GEOM_BOX, halfExtents=half_m, physicsClientId=client)
    return engine.createMultiBody(mass_kg, shape, basePosition=(0, 0, z_m), physicsClientId=client)


def _simulated(build: Callable[[ModuleType, int], list[int]], before: int, steps: int) -> np.ndarray:
    engine = pybullet()
    client = engine.connect(engine.DIRECT)
    try:
        engine.setGravity(0, 0, -GRAVITY_M_S2, physicsClientId=client)
        engine.setTimeStep(STEP_S, physicsClientId=client)
        bodies = build(engine, client)
        for _ in range(before):
            engine.stepSimulation(physicsClientId=client)
        track = []
        for _ in range(steps):
            engine.stepSimulation(physicsClientId=client)
            track.append([engine.getBasePositionAndOrientation(b, physicsClientId=client)[0] for b in bodies])
        return np.array(track)
    finally:
        engine.disconnect(client)
