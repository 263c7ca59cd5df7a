"""From light on a sensor to a picture's bytes: lens, exposure, noise, clipping, sRGB.

Legend: H, W the picture. Linear light: 1 is a white matt surface under an irradiance of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from breakthrough.errors import ConfigError, ShapeError, expected
from breakthrough.scenes.camera import intrinsics
from breakthrough.scenes.materials import to_srgb
from breakthrough.scenes.spec import Camera


@dataclass(frozen=True, slots=True)
class Film:
    """How a sensor turns light into numbers.

    Units: exposure is a factor; full_well and read_noise in electrons, full_well being what white
           fills; blur the share of light that falls on each of the two neighbours in a row or column
    Raises: ConfigError for an exposure or a well that holds nothing, noise below 0, a blur outside [0, 1/3]
    """

    exposure: float = 1.0
    full_well: float = 8000.0
    read_noise: float = 8.0
    blur: float = 0.06

    def __post_init__(self) -> None:
        if not (self.exposure > 0 and self.full_well > 0):
            raise ConfigError(expected("a positive exposure and full well", f"{self.exposure} and {self.full_well}"))
        if not self.read_noise >= 0:
            raise ConfigError(expected("a read noise of 0 or more electrons", self.read_noise))
        if not 0 <= self.blur <= 1 / 3:
            raise ConfigError(expected("a blur between 0 and 1/3", self.blur))


def photograph(light: np.ndarray, camera: Camera, film: Film, generator: np.random.Generator) -> np.ndarray:
    """The picture that a camera makes of the light that reaches it.

    Shapes: (H, W, 3) linear → (H, W, 3) uint8 sRGB
    Raises: ShapeError when the light is not of the camera's size
    """
    if light.shape != (camera.height, camera.width, 3):
        raise ShapeError(expected(f"light of shape ({camera.height}, {camera.width}, 3)", light.shape))
    reached = spread(light, film.blur) * falloff(camera)[..., None] * film.exposure
    electrons = generator.poisson(film.full_well * np.clip(reached, 0, 4))  # past 4 × white all is clipped
    read = electrons + film.read_noise * generator.standard_normal(light.shape)
    return np.round(255 * to_srgb(read / film.full_well)).astype(np.uint8)


def falloff(camera: Camera) -> np.ndarray:
    """How much darker than in the middle a lens draws each pixel: cos⁴ of the angle to its axis.

    Shapes: → (H, W), 1 on the axis
    Source: Born and Wolf 1999, 4.8.1
    """
    focal = intrinsics(camera)[0, 0]
    x = (np.arange(camera.width) + 0.5 - camera.width / 2) / focal
    y = (np.arange(camera.height) + 0.5 - camera.height / 2) / focal
    return 1 / (1 + x[None, :] ** 2 + y[:, None] ** 2) ** 2  # cos θ = 1 / √(1 + x² + y²)


def spread(light: np.ndarray, share: float) -> np.ndarray:
    """What a lens that is a little soft makes of it: each pixel gives a share to its neighbours.

    Shapes: (H, W, 3) → (H, W, 3)
    """
    for axis in (0, 1):
        sides = [(1, 1) if i == axis else (0, 0) for i in range(3)]
        wide = np.moveaxis(np.pad(light, sides, mode="edge"), axis, 0)
        light = np.moveaxis(share * (wide[:-2] + wide[2:]) + (1 - 2 * share) * wide[1:-1], 0, axis)
    return light
