"""Labels agree with the renderer, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.scenes import egl
from breakthrough.scenes.camera import extrinsics, intrinsics, project
from breakthrough.scenes.labels import annotate
from breakthrough.scenes.poses import Poses
from breakthrough.scenes.ranges import preset
from breakthrough.scenes.render import RENDERERS, Renderer
from breakthrough.scenes.sampling import sample
from breakthrough.scenes.simulator import Simulator
from breakthrough.scenes.spec import DEFECTS
from breakthrough.seeds import numpy_generator


@pytest.fixture(scope="module")
def shots():
    specs = [sample(preset("all"), numpy_generator(seed, "scene"), size=64) for seed in range(12)]
    with Simulator() as simulator, Renderer() as renderer:
        poses = [simulator.settle(spec).poses for spec in specs]
        return [(s, p, renderer.render(s, p)) for s, p in zip(specs, poses)]


@pytest.fixture(scope="module")
def renderer():
    with Renderer() as one:
        yield one


def test_a_frame_has_its_shapes(shots):
    _, _, frame = shots[0]
    assert frame.rgb.shape == (64, 64, 3) and frame.rgb.dtype == np.uint8
    assert frame.instance.shape == frame.depth_m.shape == (64, 64) and frame.depth_m.dtype == np.float32


def test_boxes_areas_and_masks_agree(shots):
    for spec, poses, frame in shots:
        labels = annotate(spec, poses, frame)
        for k, mask in enumerate(labels.masks(frame)):
            ys, xs = np.nonzero(mask)
            assert labels.area_px[k] == mask.sum() > 0
            assert labels.box_px[k].tolist() == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]


def test_points_project_onto_the_mask_of_their_body(shots):
    # a bolt's head, in the middle of its top: nothing hides it
    seen = 0
    for spec, poses, frame in shots:
        for i, body in enumerate(spec.bodies):
            if body.category == "bolt":
                top = poses.matrix(i) @ [0, 0, 0.0055, 1]
                (x, y), depth = project(top[None, :3], spec.camera)[0][0], project(top[None, :3], spec.camera)[1][0]
                if 0 <= x < 64 and 0 <= y < 64:
                    assert frame.instance[int(y), int(x)] == i
                    assert frame.depth_m[int(y), int(x)] == pytest.approx(depth, abs=0.0008)
                    seen += 1
    assert seen > 30


def test_depth_is_metric_on_the_tray(shots):
    for spec, _, frame in shots[:4]:
        ys, xs = np.nonzero(frame.instance == 0)
        z = frame.depth_m[ys, xs]

        lens, world = intrinsics(spec.camera), np.linalg.inv(extrinsics(spec.camera))
        rays = np.linalg.inv(lens) @ np.stack([xs + 0.5, ys + 0.5, np.ones(len(xs))])
        points = world @ np.vstack([rays * z, np.ones(len(xs))])
        assert np.abs(points[2]).max() < 0.0005  # the tray's top is z = 0


def test_visible_fractions_are_those_of_rendering_alone(shots, renderer):
    compared = 0
    for spec, poses, frame in shots:
        labels = annotate(spec, poses, frame)
        for k, i in enumerate(labels.body):
            alone = replace(spec, bodies=(spec.bodies[0], replace(spec.bodies[i], attached_to=None)))
            mask = renderer.render(alone, Poses(poses.position_m[[0, i]], poses.orientation[[0, i]])).instance == 1
            if not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()):
                assert abs(labels.area_px[k] / labels.visible[k] - mask.sum()) <= 1.001  # a middle on an edge may go either way
                compared += 1
    assert compared > 50


def test_a_body_cut_by_the_edge_is_partly_visible(shots):
    spec, poses, _ = shots[0]
    closer = replace(spec, camera=replace(spec.camera, fov_rad=spec.camera.fov_rad / 2))
    with Renderer() as one:
        labels = annotate(closer, poses, one.render(closer, poses))
    whole = annotate(*shots[0])
    bracket, before = labels.names.index("bracket"), whole.names.index("bracket")
    assert labels.visible[bracket] < 0.75 * whole.visible[before]


def test_poses_in_both_frames_agree(shots):
    for labels in (annotate(*shot) for shot in shots):
        assert np.allclose(labels.extrinsics @ labels.pose_world, labels.pose_camera)


def test_the_class_is_the_defect(shots):

    assert all(DEFECTS[annotate(*shot).label] == shot[0].defect.kind for shot in shots)


def test_surfaces_are_reused_without_a_trace(shots, renderer):
    # the same picture whatever was drawn before
    for spec, poses, frame in shots:
        again = renderer.render(spec, poses)
        assert np.array_equal(again.rgb, frame.rgb) and np.array_equal(again.instance, frame.instance)


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_supersampling_smooths_and_keeps_the_labels(shots, samples):
    spec, poses, frame = shots[0]
    with Renderer(supersample=samples) as fine:
        smooth = fine.render(spec, poses)
    assert smooth.rgb.shape == frame.rgb.shape
    assert (smooth.instance == frame.instance).mean() > 0.999
    assert np.abs(smooth.rgb.astype(int) - frame.rgb).mean() < 12


def test_shadows_fall_away_from_the_key(renderer):
    spec = sample(preset("naive"), numpy_generator(1, "scene"), size=128, defect="none")
    with Simulator() as simulator:
        poses = simulator.settle(spec).poses
    tray = replace(spec.bodies[0], material=replace(spec.bodies[0].material, base_linear=(0.5, 0.5, 0.5)))
    key = replace(spec.lights[0], position_m=(-0.4, 0.0, 0.3))
    spec = replace(spec, bodies=(tray, *spec.bodies[1:]), lights=(key,))
    frame = renderer.render(spec, poses)
    on_tray = frame.instance == 0
    value = frame.rgb[..., 0].astype(float)
    dark = on_tray & (value < 0.97 * np.median(value[on_tray]))
    assert dark.sum() > 100
    assert np.nonzero(dark)[1].mean() > np.nonzero(frame.instance == 1)[1].mean() + 10  # the lamp stands on the left


def test_a_camera_inside_a_body_is_named(shots, renderer):
    spec, poses, _ = shots[0]
    inside = replace(spec, camera=replace(spec.camera, eye_m=tuple(poses.position_m[1] + [0.0, 0.0, 0.001])))
    with pytest.raises(ConfigError, match="outside every body, got camera at .* inside 'bracket'"):
        renderer.render(inside, poses)


def test_unknown_textures_and_renderers_are_named(shots, renderer):
    spec, poses, _ = shots[0]
    body = replace(spec.bodies[1], material=replace(spec.bodies[1].material, texture="wod_1"))
    with pytest.raises(UnknownNameError, match="wood_1"):
        renderer.render(replace(spec, bodies=(spec.bodies[0], body, *spec.bodies[2:])), poses)
    with pytest.raises(UnknownNameError, match="tiny"):
        Renderer("tny")


def test_the_probe_gives_a_renderer_and_a_reason():
    name, reason = egl.choose()
    assert name in RENDERERS and reason
    assert egl.choose("tiny") == ("tiny", "as asked")


def test_egl_draws_the_same_scene(shots):
    works, reason = egl.probe_egl()
    if not works and "software" not in reason:
        pytest.skip(reason)
    spec, poses, frame = shots[0]
    with Renderer("egl") as one:
        other = one.render(spec, poses)
    assert (other.instance == frame.instance).mean() > 0.97
    assert np.abs(other.depth_m - frame.depth_m)[other.instance == frame.instance].max() < 0.002
