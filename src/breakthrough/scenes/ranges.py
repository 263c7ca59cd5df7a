"""What may vary in a scene, and how far: data, in one place, printable as a table.

A range is (low, high), drawn uniformly; choices are tuples of names, each as likely as the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.scenes import meshes, textures
from breakthrough.scenes.materials import KINDS
from breakthrough.scenes.spec import DEFECTS, VARIANTS

Range = tuple[float, float]


def degrees(low: float, high: float) -> Range:
    """A range of angles, written in degrees."""
    return (math.radians(low), math.radians(high))


@dataclass(frozen=True)
class Ranges:
    """Everything the sampler may draw. The defaults are the naive set: one camera, one light, one look.

    Units: metres, radians, linear RGB; `*_factor` multiply, drawn uniformly in their logarithm
    Raises: ConfigError naming the range whose low end is above its high end, or outside what it can be;
            UnknownNameError for a material, texture, mesh, defect or variant that does not exist
    """

    # the part
    variants: tuple[str, ...] = VARIANTS
    defects: tuple[str, ...] = DEFECTS
    part_offset_m: Range = (-0.003, 0.003)
    part_yaw_rad: Range = degrees(-15, 15)
    cap_seated_m: Range = (0.0, 0.0008)
    cap_off_m: Range = (0.006, 0.016)
    raised_half_turns: tuple[int, int] = (8, 16)  # of an M8 thread, 0.625 mm each; at most meshes.MOST_HALF_TURNS
    scratch_meshes: tuple[str, ...] = tuple(f"scratch_{i}" for i in range(meshes.SCRATCHES))
    # what else lies there
    distractors: tuple[int, int] = (0, 0)
    distractor_meshes: tuple[str, ...] = tuple(meshes.DISTRACTORS)
    distractor_gap_m: Range = (0.001, 0.016)  # from the part's outline
    tossed: Range = (0.0, 0.15)  # the share of distractors that fall from above: a draw below `high` falls
    # physics off: how far things hover, and sink, instead of resting
    hover_m: Range = (0.0, 0.0)
    # the camera
    elevation_rad: Range = degrees(58, 58)
    azimuth_rad: Range = degrees(-90, -90)
    distance_m: Range = (0.26, 0.26)
    fov_rad: Range = degrees(19.5, 19.5)
    roll_rad: Range = degrees(0, 0)
    aim_m: Range = (0.0, 0.0)
    aperture_m: Range = (0.0, 0.0)
    # the light
    lights: tuple[int, int] = (1, 1)
    light_elevation_rad: Range = degrees(60, 60)
    light_azimuth_rad: Range = degrees(-40, -40)
    light_distance_m: Range = (0.5, 0.5)
    light_radius_m: Range = (0.06, 0.06)
    light_power: Range = (0.9, 0.9)  # of all lights together
    light_warmth_factor: Range = (1.0, 1.0)  # red up, blue down by its root
    ambient: Range = (0.3, 0.3)
    # the materials
    bracket_kinds: tuple[str, ...] = ("aluminium",)
    bolt_kinds: tuple[str, ...] = ("steel",)
    cap_kinds: tuple[str, ...] = ("plastic",)
    tray_kinds: tuple[str, ...] = ("rubber",)
    distractor_kinds: tuple[str, ...] = ("steel",)
    textures: tuple[str, ...] = ()  # besides those that suit the kind
    textured: Range = (0.0, 0.0)  # a draw below `high` gets a texture
    value_factor: Range = (1.0, 1.0)
    tint_factor: Range = (1.0, 1.0)  # each colour channel by itself
    any_colour: Range = (0.0, 0.0)  # a draw below `high` gets any colour at all
    roughness_factor: Range = (1.0, 1.0)
    scratch_contrast: Range = (0.2, 0.35)  # a scratch's brightness against the bracket's, or the other way round
    hole_shade: Range = (0.1, 0.25)  # how bright the inside of an empty hole is against the bracket
    scratch_shines: Range = (0.0, 0.0)  # a draw below `high` is brighter than the bracket: torn metal scatters light

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            known = _known_names(field.name)
            if known is None:
                _check_range(field.name, value)
            else:
                _check_names(field.name, value, known)


def _known_names(name: str) -> tuple[str, ...] | None:
    known = {"variants": VARIANTS, "defects": DEFECTS, "textures": textures.NAMES}
    if name.endswith("_meshes"):
        return tuple(meshes.names())
    return tuple(KINDS) if name.endswith("_kinds") else known.get(name)


def _check_names(name: str, value: object, known: tuple[str, ...]) -> None:
    if not isinstance(value, tuple) or (not value and name != "textures"):
        raise ConfigError(expected(f"{name} to be a tuple of names", repr(value), f"('{known[0]}',)"))
    for item in value:
        if item not in known:
            raise unknown(f"name for {name}", item, known)


COUNTS = ("raised_half_turns", "distractors", "lights")
SHARES = ("tossed", "textured", "any_colour", "scratch_shines")
POSITIVE = ("distance_m", "fov_rad", "light_distance_m", "light_radius_m", "light_power")


def _check_range(name: str, value: object) -> None:
    if not (isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, (int, float)) and math.isfinite(v) for v in value)):
        raise ConfigError(expected(f"{name} to be (low, high)", repr(value)))
    low, high = value
    if low > high:
        raise ConfigError(expected(f"{name} with low ≤ high", f"({low}, {high})", f"({high}, {low})"))
    if name in COUNTS and not (isinstance(low, int) and isinstance(high, int) and low >= 0):
        raise ConfigError(expected(f"{name} in whole numbers from 0", f"({low}, {high})"))
    if name == "raised_half_turns" and high > meshes.MOST_HALF_TURNS:
        raise ConfigError(expected(f"{name} up to {meshes.MOST_HALF_TURNS}", f"({low}, {high})"))
    if name == "lights" and low < 1:
        raise ConfigError(expected("at least one light", f"lights = ({low}, {high})", "lights=(1, 2)"))
    if name in SHARES and not 0 <= low <= high <= 1:
        raise ConfigError(expected(f"{name} between 0 and 1", f"({low}, {high})"))
    if (name in POSITIVE or name.endswith("_factor")) and low <= 0:
        raise ConfigError(expected(f"{name} above 0", f"({low}, {high})"))


LIGHT: dict[str, Any] = dict(
    lights=(1, 3), light_elevation_rad=degrees(28, 85), light_azimuth_rad=degrees(-180, 180), light_distance_m=(0.3, 0.9),
    light_radius_m=(0.02, 0.15), light_power=(0.35, 1.5), light_warmth_factor=(0.7, 1.4), ambient=(0.08, 0.7),
)  # fmt: skip
MATERIAL: dict[str, Any] = dict(
    bracket_kinds=("aluminium", "steel", "cast_iron", "paint", "brass"),
    bolt_kinds=("steel", "black_oxide", "brass", "aluminium"),
    cap_kinds=("plastic", "paint", "brass", "black_oxide", "rubber", "aluminium"),
    tray_kinds=("rubber", "wood", "cardboard", "paint", "plastic", "steel"),
    distractor_kinds=("steel", "black_oxide", "brass", "plastic", "aluminium"),
    textures=textures.NAMES, textured=(0.0, 0.6), value_factor=(0.5, 1.6), tint_factor=(0.85, 1.18), any_colour=(0.0, 0.25),
    roughness_factor=(0.5, 1.6), scratch_contrast=(0.08, 0.45), scratch_shines=(0.0, 0.5), hole_shade=(0.03, 0.35),
)  # fmt: skip
CAMERA: dict[str, Any] = dict(
    elevation_rad=degrees(50, 68), azimuth_rad=degrees(-104, -76), distance_m=(0.24, 0.29), roll_rad=degrees(-8, 8),
    aim_m=(-0.003, 0.003),
)  # fmt: skip
DISTRACTORS: dict[str, Any] = dict(distractors=(0, 5))
LINE: dict[str, Any] = dict(
    distractors=(0, 3), elevation_rad=degrees(55, 62), azimuth_rad=degrees(-95, -85), distance_m=(0.25, 0.27), roll_rad=degrees(-2, 2),
    aim_m=(-0.002, 0.002), aperture_m=(0.002, 0.004), lights=(2, 2), light_elevation_rad=degrees(45, 75),
    light_azimuth_rad=degrees(-150, -10), light_distance_m=(0.4, 0.6), light_radius_m=(0.06, 0.12), light_power=(0.5, 0.9),
    light_warmth_factor=(0.9, 1.15), ambient=(0.2, 0.4), bracket_kinds=("aluminium", "steel", "cast_iron"),
    bolt_kinds=("steel", "black_oxide", "brass"), cap_kinds=("plastic", "paint", "black_oxide"),
    tray_kinds=("rubber", "wood", "cardboard"), distractor_kinds=("steel", "brass", "black_oxide"), textured=(0.0, 0.8),
    value_factor=(0.8, 1.25), tint_factor=(0.95, 1.05), roughness_factor=(0.8, 1.3), scratch_contrast=(0.05, 0.2), scratch_shines=(0.0, 0.6),
)  # fmt: skip

PRESETS: dict[str, Ranges] = {
    "naive": Ranges(),
    "light": Ranges(**LIGHT),
    "material": Ranges(**MATERIAL),
    "camera": Ranges(**CAMERA),
    "distractors": Ranges(**DISTRACTORS),
    "all": Ranges(**LIGHT, **MATERIAL, **CAMERA, **DISTRACTORS),
    "no_light": Ranges(**MATERIAL, **CAMERA, **DISTRACTORS),
    "no_material": Ranges(**LIGHT, **CAMERA, **DISTRACTORS),
    "no_camera": Ranges(**LIGHT, **MATERIAL, **DISTRACTORS),
    "no_distractors": Ranges(**LIGHT, **MATERIAL, **CAMERA),
    "line": Ranges(**LINE),
}


def preset(name: str) -> Ranges:
    """Ranges by name; `line` is the stand-in of the real line, never trained on.

    Raises: UnknownNameError when there are none of this name
    """
    if name not in PRESETS:
        raise unknown("set of ranges", name, PRESETS)
    return PRESETS[name]


def without_physics(ranges: Ranges) -> Ranges:
    """The same ranges for scenes that nobody settles: things hover up to 12 mm, or sink up to 4 mm."""
    return replace(ranges, hover_m=(-0.004, 0.012))


def table(ranges: Ranges, against: Ranges | None = None) -> list[tuple[str, str, str]]:
    """Rows of name, value and unit; with `against`, only the rows that differ from those ranges."""
    rows = []
    for field in fields(ranges):
        value = getattr(ranges, field.name)
        if against is None or value != getattr(against, field.name):
            rows.append((field.name, *_written(field.name, value)))
    return rows


UNITS = {"m": "m", "rad": "°", "factor": "×", "kinds": "", "meshes": ""}


def _written(name: str, value: tuple) -> tuple[str, str]:
    suffix = name.rsplit("_", 1)[-1]
    if _known_names(name) is not None:
        return ", ".join(value) or "none", ""
    low, high = (math.degrees(v) for v in value) if suffix == "rad" else value
    text = f"{low:g}" if low == high else f"{low:.4g} to {high:.4g}"
    return text, UNITS.get(suffix, "")
