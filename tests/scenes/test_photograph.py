"""A camera's sensor, against values worked by hand."""

import numpy as np
import pytest

from breakthrough.errors import ConfigError, ShapeError
from breakthrough.scenes.materials import to_linear
from breakthrough.scenes.photograph import Film, falloff, photograph, spread
from breakthrough.scenes.spec import Camera

LONG = Camera((0.0, 0.0, 1.0), fov_rad=0.01)  # a lens so long that its corners are no darker


def even(value: float, camera: Camera = LONG) -> np.ndarray:
    return np.full((camera.height, camera.width, 3), value, dtype=np.float32)


@pytest.mark.parametrize(("value", "exposure"), [(0.2, 1.0), (0.2, 2.0), (0.6, 0.5)])
def test_a_picture_holds_the_light_times_the_exposure(value, exposure):
    picture = photograph(even(value), LONG, Film(exposure=exposure), np.random.default_rng(0))
    assert to_linear(picture / 255).mean() == pytest.approx(value * exposure, rel=0.01)


def test_too_much_light_is_white_and_none_is_nearly_black():
    generator = np.random.default_rng(0)
    assert np.all(photograph(even(30.0), LONG, Film(), generator) == 255)
    assert photograph(even(0.0), LONG, Film(), generator).mean() < 3


def test_noise_is_shot_noise_and_read_noise():
    film = Film(full_well=1000, read_noise=5, blur=0)
    linear = to_linear(photograph(even(0.4), LONG, film, np.random.default_rng(0)) / 255)
    assert linear.std() == pytest.approx(np.sqrt(400 + 25) / 1000, rel=0.05)


def test_a_seed_gives_the_same_picture():
    one, two, other = (photograph(even(0.3), LONG, Film(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_corners_are_darker_by_the_fourth_power_of_the_cosine():
    camera = Camera((0.0, 0.0, 1.0), fov_rad=np.pi / 2, width=101, height=101)
    shade = falloff(camera)
    assert shade[50, 50] == 1
    assert shade[50, 100] == pytest.approx(np.cos(np.arctan(50 / 50.5)) ** 4)
    assert shade[0, 0] == pytest.approx((1 + 2 * (50 / 50.5) ** 2) ** -2)


def test_a_soft_lens_spreads_light_and_loses_none():
    light = np.zeros((5, 7, 3))
    light[2, 3] = 1
    soft = spread(light, 0.1)
    assert soft.sum() == pytest.approx(3)
    assert soft[2, 3, 0] == pytest.approx(0.64) and soft[2, 4, 0] == soft[1, 3, 0] == pytest.approx(0.08)
    assert soft[1, 2, 0] == pytest.approx(0.01)
    assert np.allclose(spread(even(0.3), 0.2), 0.3)


def test_it_refuses():
    with pytest.raises(ShapeError, match="64, 64, 3"):
        photograph(np.zeros((64, 64)), LONG, Film(), np.random.default_rng(0))
    for wrong in ({"exposure": 0}, {"full_well": -1}, {"read_noise": -1}, {"blur": 0.5}):
        with pytest.raises(ConfigError):
            Film(**wrong)
