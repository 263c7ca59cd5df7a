"""Module 2: what holds for a learner's draws of lights and colours; see `scenes_chance` for the limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.exercise import Case
from breakthrough.exercises.scenes_chance import Fact, above, alike, below, far_from_uniform, in_turn, linked, margin, repeats

Look = tuple[np.ndarray, np.ndarray]
N = 6000  # draws that are looked at


def look_at(answer: Any, case: Case) -> dict[str, bool] | None:
    """What holds for an answer's directions and colours.

    Raises: InputError for outputs of another kind or shape
    """
    n, angle, seed = case.args
    generator = np.random.default_rng(seed)
    drawn = answer(generator, n, angle)
    if drawn is None:
        return None
    directions, colours = _validated(drawn, n)
    return in_turn([
        ("the generator decides everything", lambda: repeats(lambda g: answer(g, 20, angle), seed)),
        ("directions have length 1", lambda: np.allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-6)),
        *(_of_the_directions(directions, angle) if n >= N or angle == 0 else ()),
        *(_of_the_colours(colours) if n >= N else ()),
        ("the next draw gives other values", lambda: n < N or not alike(drawn, answer(generator, n, angle))),
    ])  # fmt: skip


def _of_the_directions(directions: np.ndarray, angle: float) -> Iterator[Fact]:
    z, azimuth = directions[:, 2], np.arctan2(directions[:, 1], directions[:, 0])
    yield "no direction is farther from z than max_angle_rad", lambda: (z >= math.cos(angle) - 1e-6).all()
    if angle == 0:
        return
    area = (1 - z) / (1 - math.cos(angle))  # the share of the cap's area that is nearer to z
    yield "the n draws differ from each other", lambda: len(np.unique(z)) > 1
    yield "directions reach max_angle_rad", lambda: z.min() <= math.cos(0.9 * angle)
    yield "directions lie all around z", lambda: not far_from_uniform((azimuth / math.tau) % 1)
    # in a cap near z the four corners of a cube do not show
    yield "no direction is preferred", lambda: angle < 1.5 or abs(np.cos(4 * azimuth).mean()) <= 2 * margin(len(azimuth))
    yield "directions do not crowd around z", lambda: above(area) <= margin(len(area))
    yield "directions do not crowd at the edge", lambda: below(area) <= margin(len(area))


def _of_the_colours(colours: np.ndarray) -> Iterator[Fact]:
    linear, srgb = colours.ravel(), to_srgb(colours)
    yield "colours lie between 0 and 1", lambda: ((linear >= 0) & (linear <= 1)).all()
    yield "red, green and blue differ", lambda: (colours != colours[:, :1]).any()
    yield "colours are linear, no longer sRGB", lambda: far_from_uniform(linear)
    yield "the curve leads from sRGB to linear", lambda: far_from_uniform(to_linear(linear))
    yield "the curve is sRGB's, not a power of 2.2", lambda: far_from_uniform(linear ** (1 / 2.2))
    yield "colours are uniform in sRGB", lambda: not far_from_uniform(srgb.ravel())
    yield "near black the curve is straight", lambda: linear.min() < 4e-4  # the power's part alone begins at 8e-4
    yield "red, green and blue are drawn apart", lambda: not any(linked(srgb[:, i], srgb[:, i - 1]) for i in range(3))


def _validated(drawn: Any, n: int) -> Look:
    if not isinstance(drawn, tuple) or len(drawn) != 2:
        raise InputError(expected("two arrays, directions and colours_linear", type_of(drawn)))
    for name, array in zip(("directions", "colours_linear"), drawn):
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            got = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type_of(array)
            raise InputError(expected(f"{name} as an array of floats", got))
        if array.shape != (n, 3):
            raise InputError(expected(f"{name} of shape ({n}, 3)", array.shape))
    return drawn


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB's curve, towards linear."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """sRGB's curve, away from linear."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clip(0) ** (1 / 2.4) - 0.055)
