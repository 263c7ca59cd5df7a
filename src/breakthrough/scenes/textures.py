"""Procedural pictures that go on surfaces. A texture multiplies a material's colour; its mean is bright."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from breakthrough.errors import unknown
from breakthrough.seeds import numpy_generator

SIZE = 128
Field = np.ndarray  # (SIZE, SIZE), 0 to 1


def _brushed(generator: np.random.Generator) -> Field:
    lines = generator.normal(size=(SIZE, 1)) + 0.5 * _smooth(generator.normal(size=(SIZE, SIZE)), (1, 24))
    return _stretch(lines, 0.78)


def _grain(generator: np.random.Generator) -> Field:
    return _stretch(_smooth(generator.normal(size=(SIZE, SIZE)), (2, 2)), 0.8)


def _speckle(generator: np.random.Generator) -> Field:
    return np.where(generator.random((SIZE, SIZE)) < 0.06, 0.55, 1.0)


def _wood(generator: np.random.Generator) -> Field:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    warp = _smooth(generator.normal(size=(SIZE, SIZE)), (4, 24)) * 0.4
    return _stretch(np.sin(2 * np.pi * (9 * y + 0.6 * x + warp)), 0.6)


def _checker(generator: np.random.Generator) -> Field:
    cells = 2 ** int(generator.integers(2, 5))
    y, x = np.mgrid[0:SIZE, 0:SIZE] * cells // SIZE
    return np.where((x + y) % 2, 1.0, float(generator.uniform(0.4, 0.7)))


def _stripes(generator: np.random.Generator) -> Field:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    angle = generator.uniform(0, np.pi)
    wave = np.sin(2 * np.pi * generator.uniform(4, 12) * (x * np.cos(angle) + y * np.sin(angle)))
    return np.where(wave > 0, 1.0, float(generator.uniform(0.4, 0.7)))


def _cloud(generator: np.random.Generator) -> Field:
    return _stretch(_smooth(generator.normal(size=(SIZE, SIZE)), (12, 12)), 0.45)


FIELDS: dict[str, Callable[[np.random.Generator], Field]] = {
    "brushed": _brushed, "grain": _grain, "speckle": _speckle, "wood": _wood, "checker": _checker,
    "stripes": _stripes, "cloud": _cloud,
}  # fmt: skip
COPIES = {"brushed": 2, "grain": 2, "speckle": 2, "wood": 2, "checker": 3, "stripes": 3, "cloud": 4}
NAMES = tuple(f"{field}_{i}" for field, copies in COPIES.items() for i in range(copies))


@cache
def texture(name: str) -> np.ndarray:
    """A picture by its name, the same on every machine.

    Shapes: → (SIZE, SIZE, 3) uint8
    Units:  sRGB
    Raises: UnknownNameError when no texture has this name
    """
    if name not in NAMES:
        raise unknown("texture", name, NAMES)
    field = FIELDS[name.rsplit("_", 1)[0]](numpy_generator(0, "texture", name))
    picture = np.repeat(np.round(255 * field).astype(np.uint8)[:, :, None], 3, axis=2)
    picture.setflags(write=False)
    return picture


def _smooth(field: np.ndarray, width: tuple[int, int]) -> np.ndarray:
    # periodic Gaussian blur in the frequency domain: the texture tiles
    fy, fx = np.fft.fftfreq(SIZE)[:, None], np.fft.fftfreq(SIZE)[None, :]
    kernel = np.exp(-2 * np.pi**2 * ((fy * width[0]) ** 2 + (fx * width[1]) ** 2))
    return np.real(np.fft.ifft2(np.fft.fft2(field) * kernel))


def _stretch(field: np.ndarray, low: float) -> Field:
    # to [low, 1], from the 1st to the 99th percentile
    field = np.broadcast_to(field, (SIZE, SIZE))
    bottom, top = np.percentile(field, (1, 99))
    return low + (1 - low) * np.clip((field - bottom) / (top - bottom), 0, 1)
