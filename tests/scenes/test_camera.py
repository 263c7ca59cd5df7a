"""Projection, extrinsics and the z-buffer, against values worked by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from breakthrough.errors import InputError, ShapeError
from breakthrough.scenes.camera import extrinsics, intrinsics, linearize, project, projection_matrix, view_matrix
from breakthrough.scenes.spec import Camera

DOWN = Camera(eye_m=(0.0, -1.0, 0.0), fov_rad=math.pi / 2, width=100, height=100, near_m=0.1, far_m=10.0)


def test_a_point_ahead_falls_in_the_middle_at_its_distance():
    pixels, depth = project(np.array([[0.0, 1.0, 0.0]]), DOWN)
    assert np.allclose(pixels, [[50, 50]]) and np.allclose(depth, [2])


def test_right_is_right_and_up_is_up():
    # 90° of view: at 1 m, half a metre is half of half the picture
    pixels, depth = project(np.array([[0.5, 0.0, 0.0], [0.0, 0.0, 0.5]]), DOWN)
    assert np.allclose(pixels, [[75, 50], [50, 25]]) and np.allclose(depth, 1)


def test_depth_is_along_the_axis_not_the_distance():
    _, depth = project(np.array([[1.0, 0.0, 1.0]]), DOWN)
    assert np.allclose(depth, 1)


def test_what_is_behind_has_no_pixel():
    pixels, depth = project(np.array([[0.0, -2.0, 0.0]]), DOWN)
    assert np.isnan(pixels).all() and depth[0] == pytest.approx(-1)


def test_a_roll_turns_the_camera_clockwise():
    # the camera turns clockwise, so the world turns the other way: what was right goes up
    pixels, _ = project(np.array([[0.5, 0.0, 0.0]]), replace(DOWN, roll_rad=math.pi / 2))
    assert np.allclose(pixels, [[50, 25]])


def test_extrinsics_are_a_rotation_and_put_the_eye_at_the_origin():
    matrix = extrinsics(Camera(eye_m=(0.3, -0.4, 0.5), roll_rad=0.3))
    assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3)) and np.linalg.det(matrix[:3, :3]) == pytest.approx(1)
    assert np.allclose(matrix @ [0.3, -0.4, 0.5, 1], [0, 0, 0, 1])


def test_looking_straight_down_works():
    assert np.isfinite(extrinsics(Camera(eye_m=(0.0, 0.0, 1.0)))).all()


def test_both_ways_to_a_pixel_agree():
    camera = Camera(eye_m=(0.1, -0.2, 0.3), width=64, height=48, roll_rad=0.2)
    points = np.random.default_rng(0).normal(scale=0.03, size=(20, 3))
    clip = np.column_stack([points, np.ones(20)]) @ (projection_matrix(camera) @ view_matrix(camera)).T
    ndc = clip[:, :3] / clip[:, 3:]
    by_opengl = np.column_stack([(ndc[:, 0] + 1) / 2 * 64, (1 - ndc[:, 1]) / 2 * 48])
    pixels, depth = project(points, camera)
    assert np.allclose(pixels, by_opengl)
    assert np.allclose(linearize((ndc[:, 2] + 1) / 2, camera), depth, rtol=1e-5)


def test_the_z_buffer_worked_by_hand():
    # near 0.1, far 10: at 0.2 m, 1/z is 5; from 10 (near) to 0.1 (far) that is 5 / 9.9 of the way
    assert linearize(np.array([[0.0, 5 / 9.9, 1.0]]), DOWN) == pytest.approx(np.array([[0.1, 0.2, 10.0]]), rel=1e-6)


def test_intrinsics_of_a_right_angle():
    assert np.allclose(intrinsics(DOWN), [[50, 0, 50], [0, 50, 50], [0, 0, 1]])


def test_bad_input_is_named():
    with pytest.raises(ShapeError, match=r"expected points of shape \(N, 3\), got \(3,\)"):
        project(np.zeros(3), DOWN)
    with pytest.raises(InputError, match=r"z-buffer with values in \[0, 1\]"):
        linearize(np.array([[-1.0, 0.5]]), DOWN)
