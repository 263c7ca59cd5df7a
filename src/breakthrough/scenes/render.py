"""Pictures of a settled scene by PyBullet: TinyRenderer on the CPU, or OpenGL through the EGL plugin.

TinyRenderer multiplies colours by light in 8-bit linear RGB; the picture is encoded to sRGB afterwards.
It knows one light: the key gives direction and shadow, the others join the light from everywhere. Its
shadow takes a fifth of the key's light, whatever the lamp: part of the gap to a photograph.

Its shadow test compares a distance with a depth behind the near plane, plus 0.05 in its own units. It
works when the near plane is almost at the lens and 0.05 is a few millimetres: hence NEAR_M and SCALE.
Depth is asked for with that near plane and handed out in metres.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from breakthrough.errors import ConfigError, InputError, expected, unknown
from breakthrough.optional import require
from breakthrough.scenes import meshes, textures
from breakthrough.scenes.camera import metres, perspective, view_matrix
from breakthrough.scenes.materials import to_linear, to_srgb
from breakthrough.scenes.poses import Poses, rotation_matrix
from breakthrough.scenes.shapes import wavefront
from breakthrough.scenes.simulator import Client
from breakthrough.scenes.spec import Camera, SceneSpec, Vector

RENDERERS = ("tiny", "egl")
SCALE = 20.0  # lengths in the renderer per metre
NEAR_M = 0.00025
LIGHT_AWAY = 1.25  # where the shadow map is taken from, against the camera's distance
HIDDEN = (0.0, 0.0, 1000.0)  # behind every camera, which look down


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture with what the renderer knows about every pixel.

    Shapes: rgb (H, W, 3) uint8, instance (H, W) int16, depth_m (H, W) float32
    Units:  rgb in sRGB; instance is the index into spec.bodies, −1 where there is nothing; depth along
            the camera's axis, far_m where there is nothing
    """

    rgb: np.ndarray
    instance: np.ndarray
    depth_m: np.ndarray


class Renderer(Client):
    """Draws scenes; surfaces are loaded once and moved from scene to scene. A context manager.

    It has a PyBullet client of its own: in the simulator's, every solid would be drawn as well.

    `supersample` = s renders s × s pixels for one and averages them in linear light; instance and depth
    are taken from the pixel's middle.

    Raises: UnknownNameError for an unknown renderer; ConfigError when EGL does not work here
    """

    def __init__(self, renderer: str = "tiny", supersample: int = 1) -> None:
        if renderer not in RENDERERS:
            raise unknown("renderer", renderer, RENDERERS)
        super().__init__()
        self.supersample = supersample
        self._pools: dict[str, list[int]] = {}
        self._shown: list[tuple[str, int]] = []
        self._looks: dict[int, tuple] = {}
        self._renderer = self.bullet.ER_TINY_RENDERER
        self._corner = 1.0  # TinyRenderer looks through a pixel's corner, not its middle
        if renderer == "egl":
            load_egl(self.bullet, self.client)
            self._renderer, self._corner = self.bullet.ER_BULLET_HARDWARE_OPENGL, 0.0
        self._index = np.full(4096, -1, dtype=np.int16)  # PyBullet body → index in spec.bodies
        self._textures = self._load_textures()

    def render(self, spec: SceneSpec, poses: Poses) -> Frame:
        """A picture of the scene with its bodies at these poses.

        Raises: UnknownNameError for an unknown mesh or texture; ConfigError for a camera inside a body
        """
        check_camera(spec, poses)
        self.show(spec, poses)
        return self.shoot(spec)

    def show(self, spec: SceneSpec, poses: Poses) -> None:
        """Put the scene's surfaces in place, and nothing else."""
        used: dict[str, int] = {}
        shown = []
        positions, orientations = (SCALE * poses.position_m).tolist(), poses.orientation.tolist()
        self._index[:] = -1
        for i, body in enumerate(spec.bodies):
            nth = used[body.mesh] = used.get(body.mesh, -1) + 1
            surface = self._surface(body.mesh, nth)
            self.bullet.resetBasePositionAndOrientation(surface, positions[i], orientations[i], self.client)
            self._index[surface] = i
            shown.append((body.mesh, surface))
        for _mesh, surface in self._shown:
            if self._index[surface] < 0:
                self.bullet.resetBasePositionAndOrientation(surface, HIDDEN, (0, 0, 0, 1), self.client)
        self._shown = shown

    def shoot(self, spec: SceneSpec) -> Frame:
        """A picture of what `show` has put in place, in the looks and from the camera of `spec`."""
        self._paint(spec)
        camera, s = spec.camera, self.supersample
        near_m = NEAR_M if self._corner else camera.near_m
        view, projection = bullet_matrices(camera, near_m, self._corner / s if s % 2 else 0.0)
        direction, colour, ambient, diffuse = one_light(spec)
        away = SCALE * LIGHT_AWAY * math.dist(camera.eye_m, camera.target_m)  # the shadow map has the lens's angle
        _, _, rgba, zbuffer, segmentation = self.bullet.getCameraImage(
            camera.width * s, camera.height * s, view, projection, lightDirection=direction, lightColor=colour,
            lightDistance=away, shadow=1, lightAmbientCoeff=ambient, lightDiffuseCoeff=diffuse, lightSpecularCoeff=0.0,
            renderer=self._renderer, physicsClientId=self.client,
        )  # fmt: skip
        rgb = _average(rgba[:, :, :3], s) if s > 1 else _SRGB_8.take(rgba[:, :, :3])
        # the pixel's middle: with TinyRenderer and an even s it is the corner of four samples, and the one below left has it
        up = 1 if self._corner and s % 2 == 0 else 0
        middle = (slice(s // 2 - up, None, s), slice(s // 2, None, s))
        return Frame(rgb, self._index.take(segmentation[middle]), metres(zbuffer[middle], near_m, camera.far_m))

    def _paint(self, spec: SceneSpec) -> None:
        for (_, surface), body in zip(self._shown, spec.bodies):
            material = body.material
            look = (material.base_linear, material.texture)
            if self._looks.get(surface) != look:
                if material.texture is not None and material.texture not in self._textures:
                    raise unknown("texture", material.texture, textures.NAMES)
                texture = -1 if material.texture is None else self._textures[material.texture]
                self.bullet.changeVisualShape(
                    surface, -1, rgbaColor=(*material.base_linear, 1.0), textureUniqueId=texture, physicsClientId=self.client
                )
                self._looks[surface] = look

    def _surface(self, name: str, nth: int) -> int:
        pool = self._pools.setdefault(name, [])
        while len(pool) <= nth:
            pool.append(self._load(name))
        return pool[nth]

    def _load(self, name: str) -> int:
        shape = self._shape_from_file(name) if self._renderer == self.bullet.ER_BULLET_HARDWARE_OPENGL else self._shape(name)
        surface = self.bullet.createMultiBody(0, -1, shape, HIDDEN, physicsClientId=self.client)
        if surface >= len(self._index):
            raise InputError(expected(f"fewer than {len(self._index)} bodies in one renderer", surface))
        return surface

    def _shape(self, name: str) -> int:
        mesh = meshes.mesh(name)
        return self.bullet.createVisualShape(
            self.bullet.GEOM_MESH, vertices=(SCALE * mesh.vertices).tolist(), normals=mesh.normals.tolist(),
            uvs=mesh.uvs.tolist(), indices=mesh.faces.ravel().tolist(), physicsClientId=self.client,
        )  # fmt: skip

    def _shape_from_file(self, name: str) -> int:
        # the EGL plugin takes meshes from files only
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.obj"
            path.write_text(wavefront(meshes.mesh(name), SCALE))
            return self.bullet.createVisualShape(self.bullet.GEOM_MESH, fileName=str(path), physicsClientId=self.client)

    def _load_textures(self) -> dict[str, int]:
        image = require("PIL.Image", "writes pictures")
        loaded = {}
        with tempfile.TemporaryDirectory() as folder:
            for name in textures.NAMES:
                linear = np.round(255 * to_linear(textures.texture(name) / 255)).astype(np.uint8)
                path = Path(folder) / f"{name}.png"
                image.fromarray(linear).save(path, compress_level=1)
                loaded[name] = self.bullet.loadTexture(str(path), physicsClientId=self.client)
        return loaded


def check_camera(spec: SceneSpec, poses: Poses) -> None:
    """Refuse a camera that stands inside a body.

    Raises: ConfigError naming the body
    """
    eye = np.array(spec.camera.eye_m)
    reach = np.array([_reach_m(body.mesh) for body in spec.bodies])
    for i in np.flatnonzero(((poses.position_m - eye) ** 2).sum(axis=1) < reach):
        local = rotation_matrix(poses.orientation[i]).T @ (eye - poses.position_m[i])
        for solid in meshes.solids(spec.bodies[i].mesh):
            if np.all(np.abs(local - solid.center_m) <= solid.size_m):
                where = f"camera at {spec.camera.eye_m} m, inside {spec.bodies[i].name!r}"
                raise ConfigError(expected("a camera outside every body", where, "a larger distance_m"))


@cache
def _reach_m(mesh: str) -> float:
    # squared: how far from a body's middle its solids reach
    corners = (np.abs(solid.center_m) + solid.size_m for solid in meshes.solids(mesh))
    return max((float(corner @ corner) for corner in corners), default=0.0)


def load_egl(bullet: ModuleType, client: int) -> None:
    """Load PyBullet's EGL plugin into a client.

    Raises: ConfigError when it is not there or does not start
    """
    import importlib.util

    found = importlib.util.find_spec("eglRenderer")
    plugin = -1
    if found and found.origin:
        plugin = bullet.loadPlugin(found.origin, "_eglRendererPlugin", physicsClientId=client)
    if plugin < 0:
        raise ConfigError(expected("PyBullet's EGL plugin", "none that starts", "--renderer tiny"))


_CODES = np.arange(256) / 255
_SRGB_8 = np.round(255 * to_srgb(_CODES)).astype(np.uint8)
_SRGB_16 = np.round(255 * to_srgb(np.arange(4096) / 4095)).astype(np.uint8)  # averages need finer steps


def _average(rgb: np.ndarray, s: int) -> np.ndarray:
    height, width = rgb.shape[0] // s, rgb.shape[1] // s
    total = np.zeros((height, width, 3), dtype=np.uint16)
    for y in range(s):
        for x in range(s):
            total += rgb[y::s, x::s]
    return _SRGB_16[(total.astype(np.uint32) * 4095) // (255 * s * s)]


def bullet_matrices(camera: Camera, near_m: float, corner: float = 0.0) -> tuple[list[float], list[float]]:
    """View and projection as PyBullet wants them: columns first, in the renderer's lengths.

    `corner` shifts the picture by so many half pixels, to the left and down.
    """
    view = view_matrix(camera)
    view[:3, 3] *= SCALE
    projection = perspective(camera, near_m * SCALE, camera.far_m * SCALE)
    projection[0, 2], projection[1, 2] = corner / camera.width, corner / camera.height
    return view.T.ravel().tolist(), projection.T.ravel().tolist()


def one_light(spec: SceneSpec) -> tuple[Vector, Vector, float, float]:
    """A scene's lights as TinyRenderer takes them: direction, colour, ambient and diffuse coefficient."""
    key, fills = spec.lights[0], spec.lights[1:]
    distance = math.dist(key.position_m, key.target_m)
    x, y, z = ((p - t) / distance for p, t in zip(key.position_m, key.target_m))
    power = max(key.power_linear)
    red, green, blue = (channel / power for channel in key.power_linear)
    # a lamp to the side gives a table, on average, about a third of what it gives a surface that faces it
    ambient = sum(spec.ambient_linear) / 3 + sum(max(light.power_linear) for light in fills) / 3
    return (x, y, z), (red, green, blue), ambient, power
