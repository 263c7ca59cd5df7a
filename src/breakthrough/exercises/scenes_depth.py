"""Module 2: what a z-buffer holds, turned back into metres.

Shapes: H × W pixels
"""

from __future__ import annotations

import numpy as np
from torch import Generator

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.scenes_inputs import draw_spheres, numpy_from, random_camera


def metres(zbuffer: np.ndarray, near_m: float, far_m: float) -> np.ndarray:
    """Turn a z-buffer into depth along the camera's axis.

    Why:    a z-buffer looks like depth and is not: it holds 1/depth, stretched, so that most of its range
            lies close to the camera; a net trained on it as if it were metres learns a bent world
    Shapes: zbuffer (H, W) → (H, W)
    Units:  zbuffer from 0 (a surface at near_m) to 1 (at far_m, or nothing there); between them 1/depth
            runs in a straight line; metres
    """
    inverse = (1 - zbuffer) / near_m + zbuffer / far_m  # 1/m
    return 1 / inverse


def _usual(zbuffer, near_m, far_m):
    return far_m * near_m / (far_m - (far_m - near_m) * zbuffer)


def _through_clip_space(zbuffer, near_m, far_m):
    clip = 2 * zbuffer - 1  # OpenGL's own range is [-1, 1]
    return 2 * near_m * far_m / (far_m + near_m - clip * (far_m - near_m))


def _through_the_matrix(zbuffer, near_m, far_m):
    a, b = (far_m + near_m) / (near_m - far_m), 2 * far_m * near_m / (near_m - far_m)
    return b / (2 * zbuffer - 1 + a)


def _pixel_by_pixel(zbuffer, near_m, far_m):
    depth_m = np.zeros(zbuffer.shape)
    for y, x in np.ndindex(zbuffer.shape):
        depth_m[y, x] = 1 / (1 / near_m + float(zbuffer[y, x]) * (1 / far_m - 1 / near_m))
    return depth_m


def _linear(zbuffer, near_m, far_m):
    return near_m + zbuffer * (far_m - near_m)


def _linear_from_zero(zbuffer, near_m, far_m):
    return zbuffer * far_m


def _untouched(zbuffer, near_m, far_m):
    return zbuffer.copy()


def _not_mapped(zbuffer, near_m, far_m):
    return 2 * near_m * far_m / (far_m + near_m - zbuffer * (far_m - near_m))


def _mapped_twice(zbuffer, near_m, far_m):
    return _usual(2 * zbuffer - 1, near_m, far_m)


def _swapped(zbuffer, near_m, far_m):
    return _usual(zbuffer, far_m, near_m)


def _half(zbuffer, near_m, far_m):
    return _usual(zbuffer, near_m, far_m) / 2


def _twice(zbuffer, near_m, far_m):
    return 2 * _usual(zbuffer, near_m, far_m)


def _inverse(zbuffer, near_m, far_m):
    return 1 / _usual(zbuffer, near_m, far_m)


def _without_near(zbuffer, near_m, far_m):
    return far_m / (far_m - (far_m - near_m) * zbuffer)


def _without_far(zbuffer, near_m, far_m):
    return near_m / (far_m - (far_m - near_m) * zbuffer)


def _plus(zbuffer, near_m, far_m):
    return far_m * near_m / (far_m + (far_m - near_m) * zbuffer)


def _negative(zbuffer, near_m, far_m):
    return -_usual(zbuffer, near_m, far_m)


def _from_the_near_plane(zbuffer, near_m, far_m):
    return _usual(zbuffer, near_m, far_m) - near_m


def _millimetres(zbuffer, near_m, far_m):
    return 1000 * _usual(zbuffer, near_m, far_m)


def _background(value):
    def background(zbuffer, near_m, far_m):
        return np.where(zbuffer < 1, _usual(zbuffer, near_m, far_m), value)

    return background


def _cases(generator: Generator):
    rng = numpy_from(generator)
    yield Case("near 1 m, far 3 m, by hand", (np.array([[0.0, 0.5, 0.75, 1.0]]), 1.0, 3.0))
    camera = random_camera(rng, 32, 24)
    _, drawn = draw_spheres(camera, rng.uniform(-0.04, 0.04, (6, 3)), 0.02)
    yield Case("what PyBullet drew of six spheres", (drawn, camera.near_m, camera.far_m))
    near_m, far_m = rng.uniform([0.05, 2], [0.5, 9]).tolist()
    zbuffer = rng.uniform(0, 1, (6, 5))
    zbuffer[0, :2] = 0, 1
    yield Case(f"near {near_m:.2f} m, far {far_m:.2f} m", (zbuffer, near_m, far_m))
    yield Case("float32, as a renderer gives it", (zbuffer.astype(np.float32).T, 0.05, 2.0))
    yield Case("nothing in view", (np.ones((3, 4)), 0.1, far_m))


EXERCISES = (
    Exercise(
        name="scenes.depth",
        title="From a z-buffer to metres",
        points=5,
        minutes=25,
        difficulty=1,
        reference=metres,
        cases=_cases,
        compare=close(rtol=1e-3, atol=1e-6, dtype=False),  # float32 loses digits where the buffer is near 1
        alternatives=(_usual, _through_clip_space, _through_the_matrix, _pixel_by_pixel),
        misconceptions=(
            Misconception(
                "linear",
                _linear,
                "The buffer was read as linear in depth: it is linear in 1/depth, so half of its range is spent before twice near_m.",
                variants=(_linear_from_zero,),
            ),
            Misconception(
                "untouched",
                _untouched,
                "These are still the numbers of the buffer, 0 to 1: at 0 the depth is near_m, at 1 it is far_m, and 1/depth runs straight between them.",
            ),
            Misconception(
                "range −1 to 1",
                _not_mapped,
                "This formula takes z from −1 to 1, as OpenGL has it before the buffer; the buffer holds 0 to 1, so put 2·z − 1 in, or take the formula for 0 to 1.",
            ),
            Misconception(
                "mapped twice",
                _mapped_twice,
                "The buffer was stretched to −1 … 1 and then put into the formula for 0 … 1: use either both steps of OpenGL's way or none.",
            ),
            Misconception(
                "near and far swapped",
                _swapped,
                "Near and far are swapped: 0 in the buffer is the nearest surface there can be, near_m, and 1 the farthest, far_m.",
            ),
            Misconception(
                "inverse",
                _inverse,
                "This is 1/depth: it runs straight from 1/near_m to 1/far_m, and one division is left to get metres.",
            ),
            Misconception(
                "a factor of two",
                _half,
                "Everything is out by a factor of two: 2·near·far belongs to the formula for −1 … 1, near·far to the one for 0 … 1; test with 0, which must give near_m.",
                variants=(_twice,),
            ),
            Misconception(
                "a factor is missing",
                _without_near,
                "The numerator is near_m · far_m, a product of both, or 0 in the buffer would not give near_m.",
                variants=(_without_far,),
            ),
            Misconception(
                "a sign",
                _plus,
                "The sign in the divisor is wrong: it has to shrink as the buffer grows, far − (far − near)·z, so that the depth grows.",
            ),
            Misconception(
                "negative",
                _negative,
                "The depths are negative: OpenGL's camera looks along −z, but a depth counts forward from the camera.",
            ),
            Misconception(
                "from the near plane",
                _from_the_near_plane,
                "These depths start at the near plane: depth counts from the camera, so 0 in the buffer is near_m, not 0 m.",
            ),
            Misconception(
                "millimetres",
                _millimetres,
                "These are millimetres: the name of the function and of near_m say metres.",
            ),
            Misconception(
                "background taken out",
                _background(np.inf),
                "The pixels where nothing is were given a mark of their own: here 1 in the buffer is far_m, and which pixels are empty is the mask's business.",
                variants=(_background(0.0), _background(np.nan)),
            ),
        ),
        hints=(
            "Perspective divides by the depth, so what a renderer can interpolate in a straight line over the screen is 1/depth. The buffer is that, shifted and scaled to begin with 0 at near_m and end with 1 at far_m.",
            "zbuffer (H, W) → 1/depth (H, W), a straight line from 1/near_m at 0 to 1/far_m at 1 → its inverse (H, W)",
            "inverse = 1/near + z · (1/far − 1/near), for all pixels at once\nreturn 1 / inverse",
        ),
    ),
)
