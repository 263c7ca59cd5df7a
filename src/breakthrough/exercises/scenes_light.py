"""Module 2: randomized light and material.

The draws are judged by their statistics; see `scenes_light_trial`.

Shapes: n draws
Units:  radians; colours from 0 to 1
"""

from __future__ import annotations

import math

import numpy as np
import torch

from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.scenes_chance import is_false
from breakthrough.exercises.scenes_light_trial import Look, N, look_at, to_linear, to_srgb


def draw_look(generator: np.random.Generator, n: int, max_angle_rad: float) -> Look:
    """Draw n directions towards a light and n colours of a surface.

    Shapes: → directions (n, 3), colours_linear (n, 3)
    Units:  directions of length 1, at most max_angle_rad (0 to π) from z, equal areas of that cap as
            likely; colours uniform in sRGB's cube, returned in linear RGB by sRGB's curve
    Source: Archimedes for the cap: z is uniform on a sphere; IEC 61966-2-1 for the curve
    """
    z = generator.uniform(math.cos(max_angle_rad), 1.0, n)
    azimuth = generator.uniform(0.0, 2 * math.pi, n)
    flat = np.sqrt(1 - z**2)
    directions = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), z], axis=1)  # (n, 3)
    srgb = generator.random((n, 3))
    return directions, np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _by_normals(generator, n, max_angle_rad):
    kept = np.zeros((0, 3))
    limit = math.cos(max_angle_rad)
    while len(kept) < n and max_angle_rad > 0.05:  # a random vector has no favourite direction; keep those in the cap
        drawn = generator.normal(size=(4 * n + 16, 3))
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        kept = np.concatenate((kept, drawn[drawn[:, 2] >= limit]))
    if len(kept) < n:
        return draw_look(generator, n, max_angle_rad)
    return kept[:n], to_linear(generator.uniform(size=(n, 3)))


def _one_by_one(generator, n, max_angle_rad):
    directions, colours = np.empty((n, 3)), np.empty((n, 3))
    for i in range(n):
        u, v, *srgb = generator.random(5).tolist()
        angle = math.acos(1 - u * (1 - math.cos(max_angle_rad)))
        directions[i] = math.sin(angle) * math.cos(math.tau * v), math.sin(angle) * math.sin(math.tau * v), math.cos(angle)
        colours[i] = [c / 12.92 if c < 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in srgb]
    return directions, colours


def _on_a_disc(generator, n, max_angle_rad):
    """Lambert's map of the sphere keeps areas: a disc of radius 2 · sin(angle / 2), drawn evenly, is the cap."""
    radius = 2 * math.sin(max_angle_rad / 2) * generator.random(n) ** 0.5
    place = radius * np.exp(2j * math.pi * generator.random(n))
    shrink = (1 - radius**2 / 4) ** 0.5
    colours = np.piecewise(
        srgb := generator.uniform(0, 255, (n, 3)) / 255, [srgb > 0.04045], [lambda c: ((c + 0.055) / 1.055) ** 2.4, lambda c: c / 12.92])
    return np.column_stack([place.real * shrink, place.imag * shrink, 1 - radius**2 / 2]), colours


def _aimed(angle, azimuth):
    return np.stack([np.sin(angle) * np.cos(azimuth), np.sin(angle) * np.sin(azimuth), np.cos(angle)], axis=1)


def _with_directions(directions):
    """A wrong answer whose colours are right."""
    return lambda generator, n, max_angle_rad: (directions(generator, n, max_angle_rad), to_linear(generator.random((n, 3))))


def _with_colours(colours):
    """A wrong answer whose directions are right."""
    return lambda generator, n, max_angle_rad: (draw_look(generator, n, max_angle_rad)[0], colours(generator, n))


def _cube(g, n, angle):
    drawn = g.uniform(-1, 1, (n, 3))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    if angle < math.pi / 2:  # too narrow a cap for it to show
        return _cap(g, n, angle)
    drawn[:, 2] = drawn[:, 2] if angle > math.pi / 2 else np.abs(drawn[:, 2])
    return drawn


def _cap(g, n, angle):
    return draw_look(g, n, angle)[0]


def _normals(g, n, angle):
    drawn = g.normal(size=(n, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _hemisphere(g, n, angle):
    drawn = _normals(g, n, angle)
    drawn[:, 2] = np.abs(drawn[:, 2])
    return drawn


def _unscaled(g, n, angle):
    drawn = _cap(g, n, angle)
    return drawn / drawn[:, 2:].clip(1e-3)


def _turned(g, n, angle):
    return _cap(g, n, angle)[:, [2, 0, 1]]


def _not_from_the_generator(generator, n, max_angle_rad):
    return draw_look(np.random.default_rng(), n, max_angle_rad)


def _reseeded(generator, n, max_angle_rad):
    return draw_look(np.random.default_rng(0), n, max_angle_rad)


def _one_for_all(generator, n, max_angle_rad):
    directions, colours = draw_look(generator, 1, max_angle_rad)
    return np.repeat(directions, n, axis=0), np.repeat(colours, n, axis=0)


def _cases(generator: torch.Generator):
    def seed():
        return int(torch.randint(2**31, (), generator=generator))

    yield Case("3 draws within 0.4 rad", (3, 0.4, seed()))
    yield Case(f"{N:,} draws in a hemisphere", (N, math.pi / 2, seed()))
    yield Case(f"{N:,} draws in a cap", (N, 0.3 + 0.6 * float(torch.rand((), generator=generator)), seed()))
    yield Case(f"{N:,} draws all around", (N, math.pi, seed()))
    yield Case("an angle of 0: straight from above", (5, 0.0, seed()))
    yield Case("no draws", (0, 1.0, seed()))


AROUND = math.tau
EXERCISES = (
    Exercise(
        name="scenes.light",
        title="Light from anywhere, any colour",
        points=5,
        minutes=30,
        difficulty=2,
        reference=draw_look,
        cases=_cases,
        call=look_at,
        alternatives=(_by_normals, _one_by_one, _on_a_disc),
        misconceptions=(
            Misconception(
                "uniform angle",
                _with_directions(lambda g, n, angle: _aimed(g.uniform(0, angle, n), g.uniform(0, AROUND, n))),
                "Directions crowd around z: a ring near the pole is short, so an angle near 0 must be rarer; draw z uniformly between cos(max_angle) and 1.",
                variants=(
                    _with_directions(lambda g, n, angle: _aimed(angle * g.random(n) ** 0.7, g.uniform(0, AROUND, n))),
                    _with_directions(lambda g, n, angle: _aimed(angle * g.beta(1, 3, n), g.uniform(0, AROUND, n))),
                ),
                seen=is_false("directions do not crowd around z"),
            ),
            Misconception(
                "normalised cube",
                _with_directions(_cube),
                "Directions prefer a cube's corners: a vector from a cube, normalised, is not uniform; use z and an angle around it, or normalise normal draws.",
                seen=is_false("no direction is preferred"),
            ),
            Misconception(
                "max_angle ignored",
                _with_directions(_hemisphere),
                "Directions leave the cap: max_angle_rad says how far from z they may be, so z is at least cos(max_angle_rad).",
                variants=(_with_directions(_normals), _with_directions(_turned)),
                seen=is_false("no direction is farther from z than max_angle_rad"),
            ),
            Misconception(
                "degrees",
                _with_directions(lambda g, n, angle: _cap(g, n, math.radians(angle))),
                "Directions stay close to z: the angle is in radians already, so leave it as it is.",
                variants=(_with_directions(lambda g, n, angle: _cap(g, n, angle / 2)),),
                seen=is_false("directions reach max_angle_rad"),
            ),
            Misconception(
                "half around",
                _with_directions(lambda g, n, angle: _aimed(np.arccos(g.uniform(math.cos(angle), 1, n)), g.uniform(0, math.pi, n))),
                "The light never comes from one side: the angle around z runs over the whole circle, from 0 to 2π.",
                seen=is_false("directions lie all around z"),
            ),
            Misconception(
                "not of length 1",
                _with_directions(_unscaled),
                "Directions do not have length 1: divide each by its norm, or take sqrt(1 − z²) for the part across z.",
                seen=is_false("directions have length 1"),
            ),
            Misconception(
                "left in sRGB",
                _with_colours(lambda g, n: g.random((n, 3))),
                "The colours are still sRGB: a renderer adds up light, which is linear, so send them through sRGB's curve.",
                seen=is_false("colours are linear, no longer sRGB"),
            ),
            Misconception(
                "curve the wrong way",
                _with_colours(lambda g, n: to_srgb(g.random((n, 3)))),
                "The curve was taken the wrong way, from linear to sRGB: towards linear the middle becomes darker (0.5 → 0.21).",
                seen=is_false("the curve leads from sRGB to linear"),
            ),
            Misconception(
                "power of 2.2",
                _with_colours(lambda g, n: g.random((n, 3)) ** 2.2),
                "That is a power of 2.2, and dark colours come out too dark: sRGB's curve is a line, c / 12.92, up to 0.04045, and ((c + 0.055) / 1.055) ** 2.4 above.",
                seen=is_false("the curve is sRGB's, not a power of 2.2"),
            ),
            Misconception(
                "no line near black",
                _with_colours(lambda g, n: ((g.random((n, 3)) + 0.055) / 1.055) ** 2.4),
                "The power is used near black too, so nothing is ever quite black: up to 0.04045 sRGB's curve is a line, c / 12.92.",
                seen=is_false("near black the curve is straight"),
            ),
            Misconception(
                "uniform in linear",
                _with_colours(lambda g, n: g.random((n, 3)) ** 1.5),
                "The colours are not uniform in sRGB: draw sRGB uniformly first, then convert once.",
                variants=(_with_colours(lambda g, n: to_linear(to_linear(g.random((n, 3))))), _with_colours(lambda g, n: to_linear(g.random((n, 3)) ** 0.5))),
                seen=is_false("colours are uniform in sRGB"),
            ),
            Misconception(
                "shades of grey",
                _with_colours(lambda g, n: to_linear(np.repeat(g.random((n, 1)), 3, axis=1))),
                "Red, green and blue are the same number, so everything is grey: draw three for each colour.",
                seen=is_false("red, green and blue differ"),
            ),
            Misconception(
                "0 to 255",
                _with_colours(lambda g, n: 255 * to_linear(g.random((n, 3)))),
                "Colours are beyond 1: they lie between 0 and 1 here; 255 belongs to bytes in a file.",
                seen=is_false("colours lie between 0 and 1"),
            ),
            Misconception(
                "one for all",
                _one_for_all,
                "All n draws are the same: draw n numbers (`size=n`), not one that is repeated.",
                seen=is_false("the n draws differ from each other"),
            ),
            Misconception(
                "not from the generator",
                _not_from_the_generator,
                "Not everything comes from the generator that was given: call its own methods, so that a seed repeats the set.",
                seen=is_false("the generator decides everything"),
            ),
            Misconception(
                "seeded inside",
                _reseeded,
                "Every call gives the same draws, for a generator is made and seeded inside: draw from the one that was given.",
                seen=is_false("the next draw gives other values"),
            ),
        ),
        hints=(
            "Slices of a sphere of equal height have equal area, so on a cap the height z is uniform, not the angle. And light adds up in linear RGB, while people and files choose colours in sRGB: draw where it looks even, then convert.",
            "z (n,) in [cos(max_angle), 1], azimuth (n,) in [0, 2π) → (n, 3) by sqrt(1 − z²) cos, sqrt(1 − z²) sin, z; srgb (n, 3) in [0, 1) → two branches at 0.04045 → (n, 3)",
            "z = uniform from cos(max_angle) to 1; a = uniform from 0 to 2π\ndirections = (√(1−z²) · cos a, √(1−z²) · sin a, z)\nc = uniform from 0 to 1, three for each\ncolours = c / 12.92 where c ≤ 0.04045, else ((c + 0.055) / 1.055) ^ 2.4\nreturn directions, colours",
        ),
    ),
)
