"""A PyBullet view of a scene: bodies with solids and surfaces, settled by stepping until they rest.

PyBullet is told lengths in decimetres (UNIT per metre): its contact margins are made for bodies of that
size, and parts of a few millimetres fall through each other without it. Gravity is scaled along; times
and angles stay. Everything that comes out is in metres.

Bodies are made once and reused. A bracket and what is screwed into it are one rigid body to physics: a
compound of convex solids, kept for every combination that has occurred, parked far away when not in use.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Self

from breakthrough.errors import InputError, expected
from breakthrough.optional import require
from breakthrough.scenes import meshes
from breakthrough.scenes.poses import Poses, attach, start
from breakthrough.scenes.spec import Body, SceneSpec

UNIT = 10.0  # lengths in PyBullet per metre
GRAVITY_M_S2 = 9.81
STEP_S = 1 / 240
MAX_STEPS = 240
REST_M_S, REST_RAD_S = 0.0004, 0.1  # slower than a slide that a camera would miss
REST_STEPS = 4  # so many calm steps in a row: a body at the top of its bounce is calm for one
PARKED = (0.0, 0.0, -50.0)


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """A scene at rest, or as far as it came.

    Units: speed_m_s and spin_rad_s are the largest left over; energy_j is lost between the start and
           the end (friction takes energy; a solver that gives some is at fault); fall_m is the largest way
           down a body's middle has gone
    """

    poses: Poses
    steps: int
    at_rest: bool
    speed_m_s: float
    spin_rad_s: float
    contacts: tuple[tuple[int, int, float], ...]  # indices into spec.bodies, gap in metres (negative: inside)
    energy_j: float


class Client:
    """A PyBullet client in DIRECT mode, freed when the block ends.

    Raises: MissingDependency when pybullet is not installed
    """

    def __init__(self) -> None:
        self.bullet: ModuleType = pybullet()
        self.client: int = self.bullet.connect(self.bullet.DIRECT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let PyBullet free the client's memory."""
        if self.client >= 0:
            self.bullet.disconnect(self.client)
            self.client = -1


class Simulator(Client):
    """One PyBullet client in DIRECT mode; a context manager.

    Raises: MissingDependency when pybullet is not installed
    """

    def __init__(self) -> None:
        super().__init__()
        p = self.bullet
        p.setGravity(0, 0, -GRAVITY_M_S2 * UNIT, physicsClientId=self.client)
        p.setPhysicsEngineParameter(
            fixedTimeStep=STEP_S, numSolverIterations=12, contactERP=0.6, erp=0.6, physicsClientId=self.client
        )
        # without a surface of its own, PyBullet would build one from every solid, at three times the cost
        self._surface = p.createVisualShape(p.GEOM_BOX, halfExtents=(0.01, 0.01, 0.01), physicsClientId=self.client)
        self._physical: dict[tuple, list[int]] = {}
        self._placed: list[int] = []

    def settle(self, spec: SceneSpec) -> Settled:
        """Step until every body rests, at most MAX_STEPS.

        Raises: UnknownNameError for a mesh that does not exist
        """
        p, client = self.bullet, self.client
        moving = self._place(spec)
        ids = [body for _, body in moving]
        before = self._energy(spec, moving)
        calm = steps = 0
        speed = spin = 0.0
        while steps < MAX_STEPS and calm < REST_STEPS:
            p.stepSimulation(client)
            steps += 1
            speed, spin = self._fastest(ids)
            calm = calm + 1 if speed < REST_M_S and spin < REST_RAD_S else 0
        poses = self._read(spec, moving)
        contacts = self._contacts(spec, moving)
        lost = before - self._energy(spec, moving)
        self._park()
        return Settled(poses, steps, calm >= REST_STEPS, speed, spin, contacts, lost)

    def _place(self, spec: SceneSpec) -> list[tuple[int, int]]:
        # (index in spec.bodies, PyBullet body) of everything physics holds, the tray first
        placed: list[tuple[int, int]] = []
        used: dict[tuple, int] = {}
        for i, body in enumerate(spec.bodies):
            if body.attached_to is None:
                key = _compound_key(spec, body)
                nth = used[key] = used.get(key, -1) + 1
                bullet_id = self._body(key, nth, body)
                self._move(bullet_id, body.position_m, body.orientation)
                placed.append((i, bullet_id))
        self._placed = [bullet_id for _, bullet_id in placed]
        return placed

    def _body(self, key: tuple, nth: int, body: Body) -> int:
        pool = self._physical.setdefault(key, [])
        while len(pool) <= nth:
            pool.append(self._make(key, body.mass_kg))
        bullet_id = pool[nth]
        if body.mass_kg:
            self.bullet.changeDynamics(bullet_id, -1, mass=body.mass_kg, physicsClientId=self.client)
        return bullet_id

    def _make(self, key: tuple, mass_kg: float) -> int:
        p, client = self.bullet, self.client
        shape = _collision_shape(p, client, key)
        body = p.createMultiBody(mass_kg, shape, self._surface, PARKED, physicsClientId=client)
        p.changeDynamics(
            body, -1, lateralFriction=0.7, rollingFriction=2e-3, spinningFriction=2e-3, restitution=0.0,
            linearDamping=0.1, angularDamping=0.1, physicsClientId=client,
        )  # fmt: skip
        return body

    def _move(self, body: int, position_m: tuple, orientation: tuple) -> None:
        position = [UNIT * x for x in position_m]
        self.bullet.resetBasePositionAndOrientation(body, position, orientation, physicsClientId=self.client)

    def _park(self) -> None:
        p, client = self.bullet, self.client
        for n, body in enumerate(self._placed[1:]):
            p.changeDynamics(body, -1, mass=0, physicsClientId=client)
            p.resetBasePositionAndOrientation(body, (10.0 * n, 0, -50.0), (0, 0, 0, 1), physicsClientId=client)
        self._placed = []

    def _fastest(self, ids: list[int]) -> tuple[float, float]:
        speed = spin = 0.0
        for body in ids[1:]:
            (vx, vy, vz), (wx, wy, wz) = self.bullet.getBaseVelocity(body, self.client)
            speed, spin = max(speed, vx * vx + vy * vy + vz * vz), max(spin, wx * wx + wy * wy + wz * wz)
        return speed**0.5 / UNIT, spin**0.5

    def _read(self, spec: SceneSpec, moving: list[tuple[int, int]]) -> Poses:
        poses = start(spec)
        for i, body in moving:
            position, orientation = self.bullet.getBasePositionAndOrientation(body, self.client)
            poses.position_m[i] = position
            poses.position_m[i] /= UNIT
            poses.orientation[i] = orientation
        return attach(spec, poses)

    def _contacts(self, spec: SceneSpec, moving: list[tuple[int, int]]) -> tuple[tuple[int, int, float], ...]:
        index = {body: i for i, body in moving}
        points = self.bullet.getContactPoints(physicsClientId=self.client)
        return tuple((index[c[1]], index[c[2]], c[8] / UNIT) for c in points if c[1] in index and c[2] in index)

    def _energy(self, spec: SceneSpec, moving: list[tuple[int, int]]) -> float:
        total = 0.0
        for i, body in moving[1:]:
            (_, _, z), _ = self.bullet.getBasePositionAndOrientation(body, self.client)
            velocity, _ = self.bullet.getBaseVelocity(body, self.client)
            total += spec.bodies[i].mass_kg * (GRAVITY_M_S2 * z / UNIT + sum(v * v for v in velocity) / (2 * UNIT**2))
        return total


def pybullet() -> ModuleType:
    """PyBullet, imported without the line about its build that it prints on stderr.

    Raises: MissingDependency when it is not installed
    """
    if "pybullet" in sys.modules:
        return sys.modules["pybullet"]
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            return require("pybullet", "simulates and renders scenes")
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _compound_key(spec: SceneSpec, body: Body) -> tuple:
    # what physics needs to tell bodies apart: the mesh, and the solids fixed to it
    fixed = (b for b in spec.bodies if b.attached_to == body.name and meshes.solids(b.mesh))
    return (body.mesh, *((b.mesh, b.position_m) for b in fixed))


def _collision_shape(p: ModuleType, client: int, key: tuple) -> int:
    pieces = [(solid, (0.0, 0.0, 0.0)) for solid in meshes.solids(key[0])]
    pieces += [(solid, offset) for name, offset in key[1:] for solid in meshes.solids(name)]
    if not pieces:
        raise InputError(expected("a body with solids, or one attached to such a body", repr(key[0])))
    kinds = [p.GEOM_BOX if solid.kind == "box" else p.GEOM_CYLINDER for solid, _ in pieces]
    sizes = [[UNIT * x for x in solid.size_m] for solid, _ in pieces]
    places = [[UNIT * (c + o) for c, o in zip(solid.center_m, offset)] for solid, offset in pieces]
    if len(pieces) == 1 and places[0] == [0.0, 0.0, 0.0]:
        x, y, z = sizes[0]
        if kinds[0] == p.GEOM_BOX:
            return p.createCollisionShape(p.GEOM_BOX, halfExtents=[x, y, z], physicsClientId=client)
        return p.createCollisionShape(p.GEOM_CYLINDER, radius=x, height=2 * z, physicsClientId=client)
    return p.createCollisionShapeArray(
        shapeTypes=kinds, halfExtents=sizes, radii=[size[0] for size in sizes],
        lengths=[2 * size[2] for size in sizes], collisionFramePositions=places, physicsClientId=client,
    )  # fmt: skip
