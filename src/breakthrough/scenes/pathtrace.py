"""A scene as a camera in a hall would photograph it: Mitsuba 3 follows the light.

The stand-in for the real line. The same `SceneSpec` and settled poses as the other renderer, but lights
have a size, metals mirror the hall, colours bleed, a lens has a depth of field and a sensor its noise.

Legend: H, W the picture; V vertices, F triangles. Light is measured in the unit of `Light.power_linear`,
times π inside the renderer: a white matt surface under an irradiance of 1 then has a radiance of 1.
"""

from __future__ import annotations

import math
from functools import cache
from types import ModuleType

import numpy as np

from breakthrough.errors import ConfigError, InputError, expected, unknown
from breakthrough.optional import require
from breakthrough.scenes.camera import extrinsics
from breakthrough.scenes.meshes import mesh
from breakthrough.scenes.photograph import Film, photograph
from breakthrough.scenes.poses import Poses
from breakthrough.scenes.render import Frame, check_camera
from breakthrough.scenes.spec import Camera, Light, SceneSpec
from breakthrough.scenes.surfaces import Plugin, surface
from breakthrough.seeds import derive, numpy_generator

VARIANT = "scalar_rgb"  # Mitsuba's variants that compile with LLVM crash with old LLVMs: never chosen here
BOUNCES = 5
TO_MITSUBA = np.diag([-1.0, -1.0, 1.0, 1.0])  # OpenCV (x right, y down) ↔ Mitsuba (x left, y up); both look along z
HALL = (16, 32)  # rows from the zenith to the nadir, columns around


def pathtrace(
    spec: SceneSpec,
    poses: Poses,
    *,
    spp: int = 64,
    seed: int = 0,
    threads: int = 1,
    film: Film = Film(),
    variant: str = VARIANT,
) -> Frame:
    """Photograph a scene: the picture by path tracing, mask and depth by a pinhole pass of the same renderer.

    Light that reaches a lens of some aperture is blurred; mask and depth are those of sharp pixel centres.
    The seed draws the paths and the sensor's noise: give every picture its own. Sets the process's
    variant of Mitsuba and its number of threads.

    Units:  spp paths a pixel, rounded up to a square; 16 show little noise at 64²
    Raises: MissingDependency without Mitsuba; InputError for spp or threads below 1;
            ConfigError when the camera stands inside a body, a light has no size, a variant does not start;
            UnknownNameError for a material, texture, mesh or variant that does not exist
    """
    mitsuba = _mitsuba(variant, threads)
    bodies = _bodies(mitsuba, spec, poses)
    light = _light_on_sensor(mitsuba, spec, bodies, spp, seed)
    rgb = photograph(light, spec.camera, film, numpy_generator(seed, "film"))
    return Frame(rgb, *_mask_and_depth(mitsuba, spec, bodies))


def radiance(spec: SceneSpec, poses: Poses, *, spp: int = 64, seed: int = 0, threads: int = 1, variant: str = VARIANT) -> np.ndarray:
    """The light that reaches the sensor, before lens, noise and clipping.

    Shapes: → (H, W, 3) float32
    Units:  1 is a white matt surface under an irradiance of 1
    Raises: as `pathtrace`
    """
    mitsuba = _mitsuba(variant, threads)
    return _light_on_sensor(mitsuba, spec, _bodies(mitsuba, spec, poses), spp, seed)


def _mitsuba(variant: str, threads: int) -> ModuleType:
    if threads < 1:
        raise InputError(expected("at least 1 thread", threads))
    mitsuba = require("mitsuba", "path tracing")
    if variant not in mitsuba.variants():
        raise unknown("variant of Mitsuba", variant, mitsuba.variants())
    if mitsuba.variant() != variant:
        try:
            mitsuba.set_variant(variant)
        except ImportError as error:  # its compiler or device is not here
            raise ConfigError(expected(f"Mitsuba's {variant} to work here", str(error), VARIANT)) from error
    # 0 leaves the work to the caller's own thread: nothing then that a fork could lose
    require("drjit", "path tracing").set_thread_count(threads if threads > 1 else 0)
    return mitsuba


def _bodies(mitsuba: ModuleType, spec: SceneSpec, poses: Poses) -> dict[str, object]:
    check_camera(spec, poses)
    # Mitsuba sorts what it loads by its key: written so, that is the order of spec.bodies
    return {
        f"body_{i:04d}": _mesh(mitsuba, body.mesh, poses.matrix(i), surface(body.material, mitsuba))
        for i, body in enumerate(spec.bodies)
    }


def _mesh(mitsuba: ModuleType, name: str, to_world: np.ndarray, bsdf: Plugin) -> object:
    vertices, normals, uvs, faces = _arrays(name)
    properties = mitsuba.Properties()
    properties["mesh_bsdf"] = mitsuba.load_dict(bsdf)
    made = mitsuba.Mesh(name, len(vertices), len(faces) // 3, properties, has_vertex_normals=True, has_vertex_texcoords=True)
    rotation = to_world[:3, :3].T
    buffers = mitsuba.traverse(made)
    buffers["vertex_positions"] = (vertices @ rotation + to_world[:3, 3]).astype(np.float32).ravel()
    buffers["vertex_normals"] = (normals @ rotation).astype(np.float32).ravel()
    buffers["vertex_texcoords"] = uvs
    buffers["faces"] = faces
    buffers.update()
    return made


@cache
def _arrays(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    made = mesh(name)
    return made.vertices, made.normals, made.uvs.astype(np.float32).ravel(), made.faces.astype(np.uint32).ravel()


def _light_on_sensor(mitsuba: ModuleType, spec: SceneSpec, bodies: dict, spp: int, seed: int) -> np.ndarray:
    if spp < 1:
        raise InputError(expected("at least 1 path a pixel", spp))
    lights = {f"light_{i}": _disc(mitsuba, light) for i, light in enumerate(spec.lights)}
    scene = mitsuba.load_dict({"type": "scene", **bodies, **lights, "hall": _hall_light(mitsuba, spec)})
    integrator = mitsuba.load_dict({"type": "path", "max_depth": BOUNCES, "hide_emitters": True})
    paths = math.ceil(math.sqrt(spp)) ** 2
    # jittered in every dimension: half the noise of independent paths at the same price
    sensor = _sensor(mitsuba, spec.camera, {"type": "multijitter", "sample_count": paths})
    shot = mitsuba.render(scene, sensor=sensor, integrator=integrator, spp=paths, seed=derive(seed, "paths") % 2**32)
    picture = np.array(shot)  # (H, W, 4)
    # past the tray's edge: the hall, out of focus
    return picture[..., :3] + (1 - picture[..., 3:]) * np.array(spec.ambient_linear, dtype=np.float32)


def _disc(mitsuba: ModuleType, light: Light) -> Plugin:
    # a disc of radius r at distance d, seen face on, gives E = π L r² / (d² + r²); π drops out (see the top)
    distance = math.dist(light.position_m, light.target_m)
    if not (distance > 0 and light.radius_m > 0):
        raise ConfigError(expected("a light of some size away from its target", f"radius {light.radius_m} m at {distance} m"))
    strength = (distance**2 + light.radius_m**2) / light.radius_m**2
    pose = _looking(light.position_m, light.target_m)
    pose[:3, :3] *= light.radius_m
    power = [strength * channel for channel in light.power_linear]
    return {
        "type": "disk",
        "to_world": mitsuba.ScalarTransform4f(pose),
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": power}},
        "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}},
    }


def _looking(position_m: tuple, target_m: tuple) -> np.ndarray:
    """The pose of something that looks at a target along its z axis. Shapes: → (4, 4)"""
    return np.linalg.inv(extrinsics(Camera(position_m, target_m)))


def _hall_light(mitsuba: ModuleType, spec: SceneSpec) -> Plugin:
    picture = _hall() * np.array(spec.ambient_linear, dtype=np.float32)
    upright = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # Mitsuba's halls have y up
    return {"type": "envmap", "bitmap": mitsuba.Bitmap(picture), "to_world": mitsuba.ScalarTransform4f(upright)}


@cache
def _hall() -> np.ndarray:
    """The hall around the line: grey walls, a dim ceiling with two rows of lamps, a dark floor.

    Shapes: → (16, 32, 3) float32
    Units:  scaled so that it lights a surface that faces up as evenly bright surroundings of 1 would
    """
    rows, columns = HALL
    elevation = np.pi / 2 - (np.arange(rows)[:, None] + 0.5) * np.pi / rows
    hall = np.select([elevation > 0.6, elevation > 0], [0.55, 0.9], 0.35) * np.ones((1, columns))
    hall[3:5, 2:9] = hall[3:5, 18:25] = 3.0  # lamps
    hall[5:8, 11:14] = 2.2  # a window
    facing_up = np.clip(np.sin(elevation), 0, None) * np.cos(elevation)
    hall /= (hall * facing_up).sum() / (columns * facing_up.sum())
    return np.repeat(hall[:, :, None], 3, axis=2).astype(np.float32)


def _sensor(mitsuba: ModuleType, camera: Camera, sampler: Plugin, *, sharp: bool = False) -> object:
    pose = np.linalg.inv(extrinsics(camera)) @ TO_MITSUBA
    lens: Plugin = {"type": "perspective"}
    if camera.aperture_m > 0 and not sharp:
        focus = math.dist(camera.eye_m, camera.target_m)
        lens = {"type": "thinlens", "aperture_radius": camera.aperture_m, "focus_distance": focus}
    film = {"type": "hdrfilm", "width": camera.width, "height": camera.height, "rfilter": {"type": "box"}}
    return mitsuba.load_dict(
        {
            **lens,
            "fov": math.degrees(camera.fov_rad),
            "fov_axis": "y",
            "near_clip": camera.near_m,
            "far_clip": camera.far_m,
            "to_world": mitsuba.ScalarTransform4f(pose),
            "film": film | {"pixel_format": "rgba", "component_format": "float32"},
            "sampler": sampler,
        }
    )


def _mask_and_depth(mitsuba: ModuleType, spec: SceneSpec, bodies: dict) -> tuple[np.ndarray, np.ndarray]:
    # a scene of its own: a light that stands before the camera must hide nothing
    scene = mitsuba.load_dict({"type": "scene", **bodies})
    integrator = mitsuba.load_dict({"type": "aov", "aovs": "at:position,body:shape_index"})
    centres = {"type": "stratified", "sample_count": 1, "jitter": False}
    sensor = _sensor(mitsuba, spec.camera, centres, sharp=True)
    values = np.array(mitsuba.render(scene, sensor=sensor, integrator=integrator, spp=1))  # (H, W, 4 + 3 + 1)
    index = np.rint(values[..., -1]).astype(np.int16) - 1  # Mitsuba counts shapes from 1; 0 is nothing
    camera_row = extrinsics(spec.camera)[2]
    depth = values[..., -4:-1] @ camera_row[:3] + camera_row[3]
    return index, np.where(index >= 0, depth, spec.camera.far_m).astype(np.float32)
