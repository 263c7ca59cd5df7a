"""The path tracer: the light it measures, the labels it gives, and what it refuses."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from breakthrough.errors import ConfigError, InputError, UnknownNameError
from breakthrough.scenes import pathtrace as module
from breakthrough.scenes.camera import extrinsics, intrinsics, project
from breakthrough.scenes.materials import KINDS
from breakthrough.scenes.pathtrace import pathtrace, radiance
from breakthrough.scenes.poses import Poses, rotation_matrix, start
from breakthrough.scenes.ranges import preset
from breakthrough.scenes.render import Renderer
from breakthrough.scenes.sampling import sample
from breakthrough.scenes.spec import Camera, Light, Material, SceneSpec
from breakthrough.scenes.surfaces import SURFACES
from breakthrough.seeds import numpy_generator

pytest.importorskip("mitsuba")
WHITE = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 1.0}}
OVERHEAD = Light(position_m=(0.0, 0.0, 0.5), radius_m=0.05, power_linear=(0.5, 1.0, 0.25))


def scene(seed: int, ranges: str = "line", size: int = 64, **camera) -> tuple[SceneSpec, Poses]:
    spec = sample(preset(ranges), numpy_generator(seed, "pathtrace"), size=size)
    spec = replace(spec, camera=replace(spec.camera, **camera))
    return spec, start(spec)


def bare(spec: SceneSpec, **changes) -> tuple[SceneSpec, Poses]:
    """Nothing but the tray."""
    spec = replace(spec, bodies=spec.bodies[:1], **changes)
    return spec, start(spec)


def painted(spec: SceneSpec, material: Material) -> SceneSpec:
    return replace(spec, bodies=(*spec.bodies[:-1], replace(spec.bodies[-1], material=material)))


def roughness_of(light: np.ndarray) -> float:
    grey = light.mean(axis=2)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def test_a_seed_gives_the_same_picture_on_any_number_of_threads():
    spec, poses = scene(0)
    one, two, other = (pathtrace(spec, poses, spp=1, seed=seed, threads=threads) for seed, threads in ((3, 1), (3, 2), (4, 1)))
    assert one.rgb.shape == (64, 64, 3) and one.rgb.dtype == np.uint8 and one.instance.dtype == np.int16
    assert np.array_equal(one.rgb, two.rgb) and np.array_equal(one.depth_m, two.depth_m)
    assert (one.rgb != other.rgb).mean() > 0.5
    assert np.array_equal(one.instance, other.instance)


def test_a_forked_worker_gives_the_same_picture():
    spec, poses = scene(0)
    here = pathtrace(spec, poses, spp=1)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        there = pool.submit(pathtrace, spec, poses, spp=1).result(timeout=60)
    assert np.array_equal(here.rgb, there.rgb) and np.array_equal(here.instance, there.instance)


@pytest.mark.parametrize("ranges", ["line", "all"])
def test_both_renderers_see_the_same_bodies_at_the_same_depth(ranges):
    pytest.importorskip("pybullet")
    with Renderer() as renderer:
        for seed in range(3):
            spec, poses = scene(seed, ranges)
            other, frame = renderer.render(spec, poses), pathtrace(spec, poses, spp=1)
            for i in np.unique(frame.instance):
                ours, theirs = frame.instance == i, other.instance == i
                assert (ours & theirs).sum() >= 0.98 * (ours | theirs).sum() - 1, spec.bodies[i].name
            # a z-buffer of 32 bits steps by hundredths of a millimetre; at outlines the two may see different bodies
            assert np.quantile(np.abs(frame.depth_m - other.depth_m), 0.98) < 5e-5


def test_points_on_a_body_project_into_its_mask():
    spec, poses = scene(1, size=96, width=128, roll_rad=0.5, fov_rad=0.4)
    frame = pathtrace(spec, poses, spp=1)
    for name in ("bolt_0", "bolt_1", "bolt_2", "bolt_3", "cap"):
        if name in {body.name for body in spec.bodies}:
            i = spec.index(name)
            top = poses.position_m[i] + rotation_matrix(poses.orientation[i]) @ [0, 0, 0.002]
            (x, y), depth = (values[0] for values in project(top[None], spec.camera))
            assert frame.instance[int(y), int(x)] == i
            assert frame.depth_m[int(y), int(x)] == pytest.approx(depth, abs=0.005)


def test_depth_puts_the_tray_on_its_plane():
    spec, poses = bare(scene(0)[0])
    frame, camera = pathtrace(spec, poses, spp=1), spec.camera
    y, x = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(intrinsics(camera)).T
    points = rays * frame.depth_m[..., None] @ np.linalg.inv(extrinsics(camera))[:3, :3].T + np.array(camera.eye_m)
    assert np.all(frame.instance == 0)
    assert np.abs(points[..., 2]).max() < 1e-6


def test_past_the_tray_there_is_no_body_but_the_hall():
    spec, poses = scene(0, fov_rad=2.0)
    frame = pathtrace(spec, poses, spp=1)
    nothing = frame.instance == -1
    assert 0.05 < nothing.mean() < 0.95
    assert np.all(frame.depth_m[nothing] == np.float32(spec.camera.far_m))
    assert frame.rgb[nothing].mean() > 40


@pytest.mark.parametrize("radius_m", [0.02, 0.3])
def test_a_disc_gives_its_power_where_it_looks(monkeypatch, radius_m):
    monkeypatch.setattr(module, "surface", lambda material, mitsuba: WHITE)
    light = replace(OVERHEAD, radius_m=radius_m)
    camera = Camera((0.0, -0.2, 0.2), width=4, height=4, fov_rad=0.01)
    spec, poses = bare(scene(0)[0], lights=(light,), ambient_linear=(0.0, 0.0, 0.0), camera=camera)
    assert radiance(spec, poses, spp=256).mean(axis=(0, 1)) == pytest.approx(light.power_linear, rel=0.02)


def test_a_tilted_light_gives_the_cosine(monkeypatch):
    monkeypatch.setattr(module, "surface", lambda material, mitsuba: WHITE)
    light = replace(OVERHEAD, position_m=(0.0, 0.5 * np.sin(1.0), 0.5 * np.cos(1.0)), radius_m=0.01)
    camera = Camera((0.0, -0.2, 0.2), width=4, height=4, fov_rad=0.01)
    spec, poses = bare(scene(0)[0], lights=(light,), ambient_linear=(0.0, 0.0, 0.0), camera=camera)
    assert radiance(spec, poses, spp=256)[..., 1].mean() == pytest.approx(np.cos(1.0), rel=0.02)


def test_the_hall_gives_its_light_to_what_faces_up(monkeypatch):
    monkeypatch.setattr(module, "surface", lambda material, mitsuba: WHITE)
    dark = replace(OVERHEAD, power_linear=(0.0, 0.0, 0.0))
    spec, poses = bare(scene(0)[0], lights=(dark,), ambient_linear=(0.2, 0.4, 0.8))
    assert radiance(spec, poses, spp=64).mean(axis=(0, 1)) == pytest.approx((0.2, 0.4, 0.8), rel=0.03)


def test_a_light_before_the_camera_hides_nothing():
    spec, poses = scene(0)
    eye, target = np.array(spec.camera.eye_m), np.array(spec.camera.target_m)
    lamp = Light(tuple((0.6 * eye + 0.4 * target).tolist()), 0.02, (0.5, 0.5, 0.5))
    shone = replace(spec, lights=(*spec.lights, lamp))
    assert np.array_equal(pathtrace(shone, poses, spp=1).instance, pathtrace(spec, poses, spp=1).instance)
    assert np.all(radiance(shone, poses, spp=4) >= 0.5 * radiance(spec, poses, spp=4).min())
    assert radiance(shone, poses, spp=16)[24:40, 24:40].mean() > radiance(spec, poses, spp=16)[24:40, 24:40].mean()


def test_a_lens_keeps_its_target_sharp_and_blurs_what_is_nearer():
    camera = Camera((0.0, 0.0, 0.3), width=32, height=32, fov_rad=0.5)
    tray = replace(scene(0)[0].bodies[0], material=Material("cardboard", (0.6, 0.6, 0.6), 0.9, 0.0, "checker_0"))
    spec, poses = bare(replace(scene(0)[0], bodies=(tray,), camera=camera))
    focused = replace(spec, camera=replace(camera, aperture_m=0.03))
    missed = replace(spec, camera=replace(camera, aperture_m=0.03, target_m=(0.0, 0.0, -0.6)))
    sharp, wide, blurred = (roughness_of(radiance(s, poses, spp=36)) for s in (spec, focused, missed))
    assert wide == pytest.approx(sharp, rel=0.05) and blurred < 0.5 * sharp
    assert np.array_equal(pathtrace(missed, poses, spp=1).depth_m, pathtrace(spec, poses, spp=1).depth_m)


def test_every_kind_of_material_has_a_surface_that_gives_back_no_more_than_it_gets():
    assert set(SURFACES) == set(KINDS)
    spec, _ = scene(0)
    for name, kind in KINDS.items():
        for texture in (None, *kind.textures[:1]):
            tray = replace(spec.bodies[0], material=Material(name, (0.9, 0.5, 0.1), kind.roughness, kind.metallic, texture))
            one = replace(spec, bodies=(tray,), lights=(replace(OVERHEAD, power_linear=(0.0, 0.0, 0.0)),), ambient_linear=(1.0, 1.0, 1.0))
            light = radiance(one, start(one), spp=4).mean(axis=(0, 1))
            assert np.all(np.isfinite(light)) and light[0] > light[1] > light[2] > 0.03, name
            assert light[0] < 2.0, name  # a mirror may show a lamp of the hall


def test_it_refuses():
    spec, poses = scene(0)
    with pytest.raises(UnknownNameError, match="known material, got 'aluminum'; try aluminium"):
        pathtrace(painted(spec, Material("aluminum", (0.5, 0.5, 0.5))), poses, spp=1)
    with pytest.raises(UnknownNameError, match="texture"):
        pathtrace(painted(spec, Material("steel", (0.5, 0.5, 0.5), texture="brushed_9")), poses, spp=1)
    with pytest.raises(UnknownNameError, match="mesh"):
        pathtrace(replace(spec, bodies=(*spec.bodies[:-1], replace(spec.bodies[-1], mesh="gear"))), poses, spp=1)
    with pytest.raises(ConfigError, match="camera outside every body.*'bracket'"):
        pathtrace(replace(spec, camera=Camera(tuple(poses.position_m[1].tolist()), (0.0, 0.0, 0.5))), poses, spp=1)
    with pytest.raises(ConfigError, match="light"):
        pathtrace(replace(spec, lights=(replace(OVERHEAD, radius_m=0.0),)), poses, spp=1)
    with pytest.raises(InputError, match="path"):
        pathtrace(spec, poses, spp=0)
    with pytest.raises(InputError, match="thread"):
        pathtrace(spec, poses, threads=0)
    with pytest.raises(UnknownNameError, match="variant of Mitsuba"):
        pathtrace(spec, poses, variant="scalar")


def test_a_variant_that_does_not_start_is_named_and_leaves_the_others_working(monkeypatch):
    import mitsuba

    def refuse(name):
        raise ImportError("no such device")

    spec, poses = scene(0)
    before = pathtrace(spec, poses, spp=1)
    with monkeypatch.context() as patch:
        patch.setattr(mitsuba, "set_variant", refuse)
        with pytest.raises(ConfigError, match="cuda_ad_rgb to work here, got no such device; try scalar_rgb"):
            pathtrace(spec, poses, spp=1, variant="cuda_ad_rgb")
    assert np.array_equal(pathtrace(spec, poses, spp=1).rgb, before.rgb)
