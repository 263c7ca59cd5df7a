"""From ranges and a generator to a scene. Nothing here is random but the generator.

Every draw of a scene comes from one block of uniform numbers, so that sampling costs microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from breakthrough.scenes import meshes
from breakthrough.scenes.materials import KINDS
from breakthrough.scenes.meshes import BOSS_M, CAP_M, HALF_TURN_M, PLATE_M
from breakthrough.scenes.poses import about_z, multiply
from breakthrough.scenes.ranges import Ranges
from breakthrough.scenes.spec import Body, Camera, Defect, Light, Material, SceneSpec

Choice = TypeVar("Choice")


class Draw:
    """Uniform numbers from one block of a generator, spent one by one."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._numbers: Iterator[float] = iter(())

    def unit(self) -> float:
        """A number in [0, 1)."""
        for number in self._numbers:
            return number
        self._numbers = iter(self._generator.random(128).tolist())
        return next(self._numbers)

    def between(self, bounds: tuple[float, float]) -> float:
        """A number in [low, high)."""
        return bounds[0] + (bounds[1] - bounds[0]) * self.unit()

    def factor(self, bounds: tuple[float, float]) -> float:
        """A factor in [low, high), uniform in its logarithm."""
        return bounds[0] * (bounds[1] / bounds[0]) ** self.unit()

    def count(self, bounds: tuple[int, int]) -> int:
        """A whole number from low to high, both included."""
        return bounds[0] + int((bounds[1] - bounds[0] + 1) * self.unit())

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """One of the choices."""
        return choices[int(len(choices) * self.unit())]

    def happens(self, bounds: tuple[float, float]) -> bool:
        """Whether something with a chance of `high` happens."""
        return self.unit() < bounds[1]


def sample(ranges: Ranges, generator: np.random.Generator, *, size: int = 64, defect: str | None = None) -> SceneSpec:
    """Draw a scene: the part and its defect, what lies around it, lights, camera and materials.

    Units: size in pixels; `defect` fixes the class, as a balanced data set wants it; None draws it
    """
    draw = Draw(generator)
    variant = draw.pick(ranges.variants)
    kind = draw.pick(ranges.defects) if defect is None else defect
    part, flaw = _part(ranges, draw, variant, kind)
    bodies = (_tray(), *part, *_distractors(ranges, draw, variant, part[0]))
    bare = SceneSpec(variant, flaw, bodies, (NOWHERE,), Camera((0.0, -0.2, 0.3), width=size, height=size))
    return look(bare, ranges, generator)


NOWHERE = Light((0.0, 0.0, 1.0), 0.1, (1.0, 1.0, 1.0))
BARE = Material("steel", KINDS["steel"].base_linear)


def look(spec: SceneSpec, ranges: Ranges, generator: np.random.Generator) -> SceneSpec:
    """Draw camera, lights and materials anew, and leave every body where it is: another shot of the scene."""
    draw = Draw(generator)
    materials = _materials(ranges, draw, spec)
    bodies = tuple(
        Body(b.name, b.category, b.mesh, b.position_m, b.orientation, material, b.mass_kg, b.attached_to)
        for b, material in zip(spec.bodies, materials)
    )
    count = draw.count(ranges.lights)
    lights = tuple(_light(ranges, draw, count) for _ in range(count))
    ambient = draw.between(ranges.ambient)
    camera = _camera(ranges, draw, spec.camera)
    return replace(spec, bodies=bodies, lights=lights, camera=camera, ambient_linear=(ambient, ambient, ambient))


def _tray() -> Body:
    return Body("tray", "tray", "tray", (0.0, 0.0, -meshes.TRAY_HALF_M[2]), (0.0, 0.0, 0.0, 1.0), BARE)


def _part(ranges: Ranges, draw: Draw, variant: str, kind: str) -> tuple[list[Body], Defect]:
    plate = meshes.PLATES[variant]
    x, y = draw.between(ranges.part_offset_m), draw.between(ranges.part_offset_m)
    yaw = draw.between(ranges.part_yaw_rad)
    bracket = Body("bracket", "bracket", f"bracket_{variant}", (x, y, PLATE_M / 2), about_z(yaw), BARE, 0.15)
    victim = int(len(plate.bolts) * draw.unit())
    turns = draw.count(ranges.raised_half_turns)
    parts = [bracket, *_bolts(draw, plate, kind, victim, turns), _cap(ranges, draw, (x, y), kind == "misaligned_cap")]
    scratch = _scratch(ranges, draw, plate)
    if kind == "scratch":
        parts.append(scratch)
    flaws = {
        "missing_bolt": Defect(kind, f"bolt_{victim}"),
        "raised_bolt": Defect(kind, f"bolt_{victim}", turns * HALF_TURN_M),
        "misaligned_cap": Defect(kind, "cap", math.dist(parts[-1].position_m[:2], (x, y))),
        "scratch": Defect(kind, "bracket", meshes.scratch_length_m(int(scratch.mesh[-1]))),
    }
    return parts, flaws.get(kind, Defect())


def _bolts(draw: Draw, plate: meshes.Plate, kind: str, victim: int, half_turns: int) -> list[Body]:
    bolts = []
    for i, (x, y) in enumerate(plate.bolts):
        turn = about_z(draw.between((0.0, math.pi / 3)))
        if i == victim and kind == "missing_bolt":
            bolts.append(Body("hole", "hole", "hole", (x, y, PLATE_M / 2), about_z(0.0), BARE, 0.0, "bracket"))
            continue
        turns = half_turns if i == victim and kind == "raised_bolt" else 0
        position = (x, y, PLATE_M / 2 + turns * HALF_TURN_M)
        bolts.append(Body(f"bolt_{i}", "bolt", f"bolt_{turns}", position, turn, BARE, 0.02, "bracket"))
    return bolts


def _cap(ranges: Ranges, draw: Draw, seat: tuple[float, float], off: bool) -> Body:
    angle = draw.between((0.0, 2 * math.pi))
    distance = draw.between(ranges.cap_off_m if off else ranges.cap_seated_m)
    z = PLATE_M + BOSS_M + CAP_M / 2 + draw.between(ranges.hover_m)
    position = (seat[0] + distance * math.cos(angle), seat[1] + distance * math.sin(angle), z)
    return Body("cap", "cap", "cap", position, about_z(draw.between((0.0, 2 * math.pi))), BARE, 0.01)


def _scratch(ranges: Ranges, draw: Draw, plate: meshes.Plate) -> Body:
    x, y, direction, longest = draw.pick(plate.spots)
    fitting = [name for name in ranges.scratch_meshes if meshes.scratch_length_m(int(name[-1])) <= longest]
    name = draw.pick(fitting or ranges.scratch_meshes[:1])
    turn = about_z(direction + draw.between((-0.15, 0.15)))
    x, y = x + draw.between((-0.001, 0.001)), y + draw.between((-0.001, 0.001))
    return Body("scratch", "scratch", name, (x, y, PLATE_M / 2 + 0.00008), turn, BARE, 0.0, "bracket")


def _distractors(ranges: Ranges, draw: Draw, variant: str, bracket: Body) -> list[Body]:
    wanted = draw.count(ranges.distractors)
    placed: list[Body] = []
    for i in range(wanted):
        name = draw.pick(ranges.distractor_meshes)
        angle, gap = draw.between((0.0, 2 * math.pi)), draw.between(ranges.distractor_gap_m)
        position = _beside(bracket, meshes.PLATES[variant], angle, gap + _radius(name))
        tossed = draw.happens(ranges.tossed)
        orientation = about_z(draw.between((0.0, 2 * math.pi)))
        height = _half_height(name) + draw.between(ranges.hover_m)
        if tossed:
            tilt = draw.between((0.2, 1.2))
            orientation = tuple(multiply(np.array(orientation), np.array((math.sin(tilt / 2), 0.0, 0.0, math.cos(tilt / 2)))).tolist())
            height += 0.016
        crowded = any(math.dist(position, other.position_m[:2]) < 0.022 for other in placed)
        if not crowded or ranges.hover_m[1] > 0:
            placed.append(Body(f"distractor_{i}", "distractor", name, (*position, height), orientation, BARE, 0.008))
    return placed


def _beside(bracket: Body, plate: meshes.Plate, angle_rad: float, distance_m: float) -> tuple[float, float]:
    # a place outside the plate, in a direction of the plate's own frame
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    boxes = [(half_x + distance_m, half_y + distance_m) for half_x, half_y in plate.boxes]
    if plate.upright:
        boxes.append((plate.upright[1] + distance_m, sum(plate.upright[0::2]) + distance_m))
    reach = max(min(x / max(abs(c), 1e-9), y / max(abs(s), 1e-9)) for x, y in boxes)
    turn = 2 * math.atan2(bracket.orientation[2], bracket.orientation[3]) + angle_rad
    return bracket.position_m[0] + reach * math.cos(turn), bracket.position_m[1] + reach * math.sin(turn)


def _radius(name: str) -> float:
    return math.hypot(*meshes.DISTRACTORS[name].size_m[:2]) if meshes.DISTRACTORS[name].kind == "box" else meshes.DISTRACTORS[name].size_m[0]


def _half_height(name: str) -> float:
    return meshes.DISTRACTORS[name].size_m[2]


def _materials(ranges: Ranges, draw: Draw, spec: SceneSpec) -> list[Material]:
    kinds = {
        "tray": ranges.tray_kinds, "bracket": ranges.bracket_kinds, "bolt": ranges.bolt_kinds, "cap": ranges.cap_kinds,
    }  # fmt: skip
    shared = {category: _material(ranges, draw, choices) for category, choices in kinds.items()}
    shared["scratch"] = _groove(ranges, draw, shared["bracket"])
    shared["hole"] = _shade(ranges, draw, shared["bracket"])
    return [shared.get(b.category) or _material(ranges, draw, ranges.distractor_kinds) for b in spec.bodies]


def _material(ranges: Ranges, draw: Draw, choices: tuple[str, ...]) -> Material:
    name = draw.pick(choices)
    kind = KINDS[name]
    value = draw.factor(ranges.value_factor)
    red, green, blue = (min(channel * value * draw.factor(ranges.tint_factor), 0.95) for channel in kind.base_linear)
    if draw.happens(ranges.any_colour):
        red, green, blue = (_decode(draw.unit()) for _ in range(3))
    suitable = kind.textures + ranges.textures
    textured = draw.happens(ranges.textured)
    texture = draw.pick(suitable) if textured and suitable else None
    roughness = min(kind.roughness * draw.factor(ranges.roughness_factor), 1.0)
    return Material(name, (red, green, blue), roughness, kind.metallic, texture)


def _decode(srgb: float) -> float:
    # materials.to_linear for one number
    return srgb / 12.92 if srgb <= 0.04045 else ((srgb + 0.055) / 1.055) ** 2.4


def _groove(ranges: Ranges, draw: Draw, bracket: Material) -> Material:
    contrast, shines = draw.between(ranges.scratch_contrast), draw.happens(ranges.scratch_shines)
    value = sum(bracket.base_linear) / 3
    value = min(value / contrast, 0.95) if (shines and value < 0.6) or value < 0.03 else value * contrast
    return Material("groove", (value, value, value), KINDS["groove"].roughness)


def _shade(ranges: Ranges, draw: Draw, bracket: Material) -> Material:
    # little light finds its way into a hole; a renderer without bounced light would not know
    shade = draw.between(ranges.hole_shade)
    red, green, blue = bracket.base_linear
    return Material("groove", (shade * red, shade * green, shade * blue), 0.8)


def _light(ranges: Ranges, draw: Draw, count: int) -> Light:
    elevation, azimuth = draw.between(ranges.light_elevation_rad), draw.between(ranges.light_azimuth_rad)
    distance, radius = draw.between(ranges.light_distance_m), draw.between(ranges.light_radius_m)
    power, warmth = draw.between(ranges.light_power) / count, math.sqrt(draw.factor(ranges.light_warmth_factor))
    return Light(_around(elevation, azimuth, distance), radius, (power * warmth, power, power / warmth))


def _camera(ranges: Ranges, draw: Draw, camera: Camera) -> Camera:
    eye = _around(draw.between(ranges.elevation_rad), draw.between(ranges.azimuth_rad), draw.between(ranges.distance_m))
    aim = (draw.between(ranges.aim_m), draw.between(ranges.aim_m), 0.005)
    x, y, z = (e + a for e, a in zip(eye, aim))
    roll, fov, aperture = draw.between(ranges.roll_rad), draw.between(ranges.fov_rad), draw.between(ranges.aperture_m)
    return replace(camera, eye_m=(x, y, z), target_m=aim, roll_rad=roll, fov_rad=fov, aperture_m=aperture)


def _around(elevation_rad: float, azimuth_rad: float, distance_m: float) -> tuple[float, float, float]:
    flat = distance_m * math.cos(elevation_rad)
    return (flat * math.cos(azimuth_rad), flat * math.sin(azimuth_rad), distance_m * math.sin(elevation_rad))
