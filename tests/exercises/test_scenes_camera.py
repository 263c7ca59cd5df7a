"""Module 2's exercises on the camera, beyond the gate: they agree with the room and with the renderer."""

from __future__ import annotations

import numpy as np
import pytest

from breakthrough.exercises import card, judge, load
from breakthrough.exercises.scenes_depth import metres
from breakthrough.exercises.scenes_inputs import draw_spheres, numpy_from, random_camera, random_quaternion
from breakthrough.exercises.scenes_pose import pose_in_camera
from breakthrough.exercises.scenes_project import PLACES_M, RADIUS_M, project
from breakthrough.scenes import camera as room
from breakthrough.scenes.poses import Poses
from breakthrough.seeds import numpy_generator, torch_generator


@pytest.fixture
def rng():
    return numpy_generator(7)


def drawn_cases(seed):
    cases = list(load("scenes.project").cases(torch_generator(seed, "scenes.project")))
    return [case for case in cases if case.look]


# project


def test_projection_agrees_with_the_room(rng):
    camera, points_m = random_camera(rng, 80, 60), rng.normal(size=(50, 3))
    pixels, depth_m = project(points_m, room.intrinsics(camera), room.extrinsics(camera))
    theirs = room.project(points_m, camera)
    np.testing.assert_allclose(pixels, theirs[0])
    np.testing.assert_allclose(depth_m, theirs[1])
    assert np.isnan(pixels[:, 0]).any() and (depth_m > 0).any()


@pytest.mark.parametrize("seed", range(12))
def test_every_projected_centre_falls_on_the_pixels_that_the_renderer_drew(seed):
    cases = drawn_cases(seed)
    assert len(cases) == 2
    for case in cases:
        seen = case.look(project(*case.args))
        assert seen.missed == ()
        shifted = case.look((seen.output[0] + 15, seen.output[1]))
        assert len(shifted.missed) == len(PLACES_M)


def test_a_projected_centre_is_the_middle_of_what_is_drawn(rng):
    for _ in range(5):
        camera = random_camera(rng, 96, 80)
        segmentation, _ = draw_spheres(camera, PLACES_M, RADIUS_M)
        pixels, _ = project(PLACES_M, room.intrinsics(camera), room.extrinsics(camera))
        for i, pixel in enumerate(pixels):
            rows, columns = np.nonzero(segmentation == i)
            assert np.abs(pixel - (columns.mean() + 0.5, rows.mean() + 0.5)).max() < 0.4


def test_a_wrong_projection_is_told_where_the_renderer_drew_the_body():
    def mirrored(points_m, K, world_to_camera):
        pixels, depth_m = project(points_m, K, world_to_camera)
        return pixels * 1.2 if world_to_camera[2, 3] else pixels, depth_m  # right at the world's origin

    verdict = judge(load("scenes.project"), mirrored, 0)
    shown = card.plain(verdict, 1)
    assert shown.startswith("the renderer drew body 0 around the pixel (") and "PyBullet" in shown
    assert verdict.diagnosis is None


@pytest.mark.parametrize(("output", "says"), [
    (lambda pixels, depth_m: pixels, "the output is not 2 values"),
    (lambda pixels, depth_m: None, "is there a `return`"),
    (lambda pixels, depth_m: (pixels.tolist(), depth_m), "pixels is a list, not an array"),
    (lambda pixels, depth_m: (pixels.astype(str), depth_m), "pixels holds <U"),
    (lambda pixels, depth_m: (), "the output is not 2 values"),
    (lambda pixels, depth_m: (pixels, depth_m[:, None]), "the shape of depth_m is (3, 1)"),
])
def test_odd_outputs_are_told_in_plain_words(output, says):
    verdict = judge(load("scenes.project"), lambda *args: output(*project(*args)), 0)
    assert verdict.status == "wrong" and says in verdict.difference.text

    def odd_only_where_drawn(points_m, K, world_to_camera):
        found = project(points_m, K, world_to_camera)
        return output(*found) if len(points_m) == len(PLACES_M) else found

    assert judge(load("scenes.project"), odd_only_where_drawn, 0).status == "wrong"


def test_an_answer_that_changes_the_points_is_told():
    def in_place(points_m, K, world_to_camera):
        points_m -= 0
        points_m += 1e-12
        return project(points_m, K, world_to_camera)

    assert judge(load("scenes.project"), in_place, 0).kind == "mutated"


# depth


def test_metres_agree_with_the_room_and_with_what_was_drawn(rng):
    camera = random_camera(rng, 240, 200)
    segmentation, zbuffer = draw_spheres(camera, PLACES_M, RADIUS_M)
    depth_m = metres(zbuffer, camera.near_m, camera.far_m)
    np.testing.assert_allclose(depth_m, room.linearize(zbuffer, camera), rtol=1e-5)
    _, centre_m = project(PLACES_M, room.intrinsics(camera), room.extrinsics(camera))
    for i in range(len(PLACES_M)):  # the front of a sphere is a radius nearer than its centre
        assert depth_m[segmentation == i].min() == pytest.approx(centre_m[i] - RADIUS_M, abs=3e-4)  # it has facets
    np.testing.assert_allclose(depth_m[segmentation < 0], camera.far_m)


# pose


def test_poses_agree_with_the_room(rng):
    for _ in range(10):
        position_m, quaternion, camera = rng.normal(size=3), random_quaternion(rng), random_camera(rng)
        matrix = pose_in_camera(position_m, quaternion, room.extrinsics(camera))
        poses = Poses(position_m[None], quaternion[None])
        np.testing.assert_allclose(matrix, room.extrinsics(camera) @ poses.matrix(0), atol=1e-12)
        np.testing.assert_allclose(matrix, pose_in_camera(position_m, -quaternion, room.extrinsics(camera)), atol=1e-12)


def test_a_pose_takes_the_bodys_points_to_where_projection_sees_them(rng):
    position_m, quaternion, camera = rng.uniform(-0.05, 0.05, 3), random_quaternion(rng), random_camera(rng)
    corner = np.array([0.01, -0.02, 0.03, 1])
    world = Poses(position_m[None], quaternion[None]).matrix(0) @ corner
    _, depth_m = project(world[None, :3], room.intrinsics(camera), room.extrinsics(camera))
    assert (pose_in_camera(position_m, quaternion, room.extrinsics(camera)) @ corner)[2] == pytest.approx(depth_m[0])


# the cases


def test_inputs_follow_the_generator():
    def drawn(seed):
        return numpy_from(torch_generator(seed)).random()

    assert drawn(0) == drawn(0) != drawn(1)


def test_nothing_of_the_renderer_is_left_open():
    from breakthrough.scenes.simulator import pybullet

    bullet = pybullet()
    for seed in range(30):  # each draws twice
        drawn_cases(seed)
    client = bullet.connect(bullet.DIRECT)
    bullet.disconnect(client)
    assert client < 8
