"""What a scene is made of. Frozen data: metres, radians, kilograms, linear RGB; no simulator in sight.

World frame: the tray's top is z = 0, z points up, the part stands near the origin.
Camera frame: OpenCV's, x right, y down, z forward. Quaternions are (x, y, z, w).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from breakthrough.errors import ConfigError, expected, unknown

CATEGORIES = ("tray", "bracket", "bolt", "cap", "scratch", "distractor", "hole")
DEFECTS = ("none", "missing_bolt", "raised_bolt", "misaligned_cap", "scratch")
VARIANTS = ("a", "b", "c")
Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Material:
    """A surface: `kind` names an entry of `materials.KINDS`, `texture` one of `textures.NAMES`, or None.

    Units: base_linear in linear RGB, 0 to 1; roughness and metallic 0 to 1
    """

    kind: str
    base_linear: Vector
    roughness: float = 0.5
    metallic: float = 0.0
    texture: str | None = None


@dataclass(frozen=True, slots=True)
class Light:
    """A disc that shines towards `target_m`. The first light of a scene is its key: it casts the shadows.

    Units: power_linear is the irradiance it gives at the target when it faces it, in linear RGB
           (1 makes a white matt surface white)
    """

    position_m: Vector
    radius_m: float
    power_linear: Vector
    target_m: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera: where it stands, where it looks, its lens and its sensor.

    Units: fov_rad is the vertical field of view; aperture_m the lens radius (0: everything sharp);
           roll_rad turns the camera clockwise about its axis
    Raises: ConfigError for a size, lens or pose that makes no picture
    """

    eye_m: Vector
    target_m: Vector = (0.0, 0.0, 0.0)
    roll_rad: float = 0.0
    fov_rad: float = math.radians(20)
    width: int = 64
    height: int = 64
    near_m: float = 0.05
    far_m: float = 2.0
    aperture_m: float = 0.0

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ConfigError(expected("a camera with a positive width and height", f"{self.width} × {self.height}"))
        if not 0 < self.fov_rad < math.pi:
            raise ConfigError(expected("a field of view between 0 and π radians", self.fov_rad))
        if not 0 < self.near_m < self.far_m:
            raise ConfigError(expected("0 < near_m < far_m", f"near_m = {self.near_m}, far_m = {self.far_m}"))
        if self.eye_m == self.target_m:
            raise ConfigError(expected("a camera that looks at another point than its own", self.eye_m))


@dataclass(frozen=True, slots=True)
class Body:
    """One thing in the scene, as it starts: physics may move it, unless its mass is 0.

    A body with `attached_to` is fixed to the body of that name; its pose is in that body's frame.
    """

    name: str
    category: str
    mesh: str
    position_m: Vector
    orientation: Quaternion
    material: Material
    mass_kg: float = 0.0
    attached_to: str | None = None


@dataclass(frozen=True, slots=True)
class Defect:
    """What is wrong with the part, where, and by how much.

    Units: place names the body it shows on; amount is metres raised, metres off the seat or metres
           long; 0 for none and missing
    """

    kind: str = "none"
    place: str = ""
    amount_m: float = 0.0


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """A whole scene: enough to simulate it, render it by either renderer and export it.

    `bodies[0]` is the tray. `ambient_linear` is light from everywhere, in the unit of a light's power.

    Raises: ConfigError for no light, no bodies, doubled names, an attachment to nothing;
            UnknownNameError for an unknown category, defect or variant
    """

    variant: str
    defect: Defect
    bodies: tuple[Body, ...]
    lights: tuple[Light, ...]
    camera: Camera
    ambient_linear: Vector = (0.3, 0.3, 0.3)

    def __post_init__(self) -> None:
        if not self.lights:
            raise ConfigError(expected("at least one light", "none", "Light(position_m=(0.2, 0.2, 0.5), …)"))
        if self.variant not in VARIANTS:
            raise unknown("part variant", self.variant, VARIANTS)
        if self.defect.kind not in DEFECTS:
            raise unknown("defect", self.defect.kind, DEFECTS)
        _check_bodies(self.bodies)

    def index(self, name: str) -> int:
        """The place of a body in `bodies`; the number that stands for it in an instance mask."""
        for i, body in enumerate(self.bodies):
            if body.name == name:
                return i
        raise unknown("body", name, [body.name for body in self.bodies])


def _check_bodies(bodies: tuple[Body, ...]) -> None:
    if not bodies or bodies[0].category != "tray":
        raise ConfigError(expected("bodies that begin with the tray", [body.name for body in bodies[:1]]))
    names = {body.name for body in bodies}
    if len(names) < len(bodies):
        raise ConfigError(expected("bodies with names of their own", sorted(body.name for body in bodies)))
    for body in bodies:
        if body.category not in CATEGORIES:
            raise unknown("category", body.category, CATEGORIES)
        if body.attached_to is not None and body.attached_to not in names:
            raise ConfigError(expected(f"{body.name} to be attached to a body of the scene", repr(body.attached_to)))
