"""The things a scene may hold, by name: their surface for the renderers, their solids for physics.

A bracket's frame sits in the middle of its plate; other bodies' frames in their middle, a bolt's at
the underside of its head (`bolt_6` stands six half turns out of the plate), a scratch's on the surface. Lengths in metres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from breakthrough.errors import unknown
from breakthrough.scenes import shapes
from breakthrough.scenes.shapes import Mesh

PLATE_M = 0.008  # thickness
BOSS_M, BOSS_RADIUS_M = 0.003, 0.013
HOLE_RADIUS_M = 0.0042
HEAD_M, HEAD_RADIUS_M = 0.0055, 0.0075  # M8: 13 mm across flats
FLANGE_M, FLANGE_RADIUS_M = 0.001, 0.0085
CAP_M, CAP_RADIUS_M = 0.004, 0.0145
HALF_TURN_M = 0.000625  # half the pitch of an M8 thread
MOST_HALF_TURNS = 16
TRAY_HALF_M = (0.2, 0.2, 0.01)
SCRATCHES = 6


@dataclass(frozen=True, slots=True)
class Solid:
    """A convex piece of a body, as physics sees it.

    Units: kind "box" has half extents; "cylinder" stands along z with size (radius, radius, half height)
    """

    kind: str
    size_m: tuple[float, float, float]
    center_m: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Plate:
    """A variant of the bracket: the boxes its plate is made of, where its bolts go, where a scratch fits.

    Units: boxes as (half x, half y); spots as (x, y, direction in radians, longest scratch)
    """

    boxes: tuple[tuple[float, float], ...]
    bolts: tuple[tuple[float, float], ...]
    spots: tuple[tuple[float, float, float, float], ...]
    upright: tuple[float, float, float, float] | None = None  # y, half x, half y, height


def _corners(x: float, y: float) -> tuple[tuple[float, float], ...]:
    return ((x, y), (-x, y), (-x, -y), (x, -y))


PLATES = {
    "a": Plate(
        boxes=((0.032, 0.032),),
        bolts=_corners(0.022, 0.022),
        spots=((0.0225, 0, np.pi / 2, 0.024), (-0.0225, 0, np.pi / 2, 0.024), (0, 0.0225, 0, 0.024), (0, -0.0225, 0, 0.024)),
    ),
    "b": Plate(
        boxes=((0.038, 0.026),),
        bolts=_corners(0.0285, 0.0165),
        spots=((0.024, 0, 0.3, 0.02), (-0.024, 0, -0.3, 0.02), (0, -0.0195, 0, 0.03), (0, 0.0195, 0, 0.03)),
        upright=(0.0285, 0.038, 0.0025, 0.012),
    ),
    "c": Plate(
        boxes=((0.037, 0.0195), (0.0195, 0.037)),
        bolts=((0.0275, 0), (0, 0.0275), (-0.0275, 0), (0, -0.0275)),
        spots=((0.0155, 0.0145, 2.356, 0.016), (-0.0155, 0.0145, 0.785, 0.016), (-0.0155, -0.0145, 2.356, 0.016), (0.0155, -0.0145, 0.785, 0.016)),
    ),
}
DISTRACTORS = {
    "nut": Solid("cylinder", (0.0075, 0.0075, 0.0033)),
    "washer": Solid("cylinder", (0.0085, 0.0085, 0.0008)),
    "block": Solid("box", (0.007, 0.005, 0.004)),
    "offcut": Solid("box", (0.012, 0.0035, 0.0018)),
    "pin": Solid("box", (0.0025, 0.0025, 0.009)),
}


def names() -> list[str]:
    """The names of all meshes."""
    return [*_builders()]


@cache
def mesh(name: str) -> Mesh:
    """The surface of a thing by its name.

    Raises: UnknownNameError when nothing has this name
    """
    builders = _builders()
    if name not in builders:
        raise unknown("mesh", name, builders)
    return builders[name]()


@cache
def solids(name: str) -> tuple[Solid, ...]:
    """The convex pieces of a thing; none for what has no thickness.

    Raises: UnknownNameError when nothing has this name
    """
    if name.startswith("bracket_") and name[-1] in PLATES:
        return _bracket_solids(PLATES[name[-1]])
    head = Solid("cylinder", (HEAD_RADIUS_M, HEAD_RADIUS_M, HEAD_M / 2), (0, 0, HEAD_M / 2))
    fixed = {
        "tray": (Solid("box", TRAY_HALF_M),),
        **{f"bolt_{turns}": (head,) for turns in range(MOST_HALF_TURNS + 1)},
        "cap": (Solid("cylinder", (CAP_RADIUS_M, CAP_RADIUS_M, CAP_M / 2)),),
        **{key: (solid,) for key, solid in DISTRACTORS.items()},
    }
    if name not in fixed and name != "hole" and not name.startswith("scratch_"):
        raise unknown("mesh", name, _builders())
    return fixed.get(name, ())


@cache
def _builders() -> dict[str, Callable[[], Mesh]]:
    return {
        "tray": _tray,
        **{f"bracket_{key}": partial(_bracket, plate) for key, plate in PLATES.items()},
        **{f"bolt_{turns}": partial(_bolt, turns) for turns in range(MOST_HALF_TURNS + 1)},
        "hole": lambda: shapes.bore(HOLE_RADIUS_M, 8, PLATE_M - 0.001, 0.02),
        "cap": _cap,
        **{f"scratch_{i}": partial(_scratch, i) for i in range(SCRATCHES)},
        "nut": lambda: shapes.washer(0.004, 0.0075, -0.0033, 0.0033, 6, 0.02),
        "washer": lambda: shapes.washer(0.0043, 0.0085, -0.0008, 0.0008, 10, 0.02),
        **{key: partial(shapes.box, DISTRACTORS[key].size_m, 0.03) for key in ("block", "offcut", "pin")},
    }


def scratch_length_m(i: int) -> float:
    """How long the i-th scratch is."""
    return 0.014 + 0.003 * i


def _tray() -> Mesh:
    # only its top is ever seen
    x, y, z = TRAY_HALF_M
    return shapes.polygon(np.array([[-x, -y, z], [x, -y, z], [x, y, z], [-x, y, z]]), 2 * x)


def _bracket(plate: Plate) -> Mesh:
    parts = [_plate_top(plate), *(_sides(half) for half in plate.boxes)]
    boss = shapes.ring(BOSS_RADIUS_M, 16, 0)
    parts.append(shapes.prism(boss, PLATE_M / 2, PLATE_M / 2 + BOSS_M, 0.08, base=False))
    if plate.upright:
        y, half_x, half_y, height = plate.upright
        parts.append(shapes.box((half_x, half_y, (height + PLATE_M) / 2), 0.08, (0, y, height / 2)))
    return shapes.join(*parts)


def _sides(half: tuple[float, float]) -> Mesh:
    x, y = half
    outline = np.array([[-x, -y, -PLATE_M / 2], [x, -y, -PLATE_M / 2], [x, y, -PLATE_M / 2], [-x, y, -PLATE_M / 2]])
    return shapes.wall(outline, outline + np.array([0, 0, PLATE_M]), 0.08)


def _plate_top(plate: Plate) -> Mesh:
    # the top is a grid of rectangles, so that the squares around the holes can be cut out of it
    patch, z = HOLE_RADIUS_M + 0.0015, PLATE_M / 2
    cuts = []
    for axis in (0, 1):
        at = {s * half[axis] for half in plate.boxes for s in (-1, 1)}
        at |= {bolt[axis] + s * patch for bolt in plate.bolts for s in (-1, 1)}
        cuts.append(sorted(at))
    parts = []
    for x0, x1 in zip(cuts[0], cuts[0][1:]):
        for y0, y1 in zip(cuts[1], cuts[1][1:]):
            cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
            inside = any(abs(cx) < hx and abs(cy) < hy for hx, hy in plate.boxes)
            holed = any(abs(cx - bx) < patch and abs(cy - by) < patch for bx, by in plate.bolts)
            if inside and not holed:
                parts.append(shapes.polygon([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]], 0.08))
    square = shapes.holed_square(patch, HOLE_RADIUS_M, 8, z, 0.08)
    return shapes.join(*parts, *(shapes.moved(square, (x, y, 0)) for x, y in plate.bolts))


def _bracket_solids(plate: Plate) -> tuple[Solid, ...]:
    pieces = [Solid("box", (x, y, PLATE_M / 2)) for x, y in plate.boxes]
    pieces.append(Solid("cylinder", (BOSS_RADIUS_M, BOSS_RADIUS_M, BOSS_M / 2), (0, 0, (PLATE_M + BOSS_M) / 2)))
    if plate.upright:
        y, half_x, half_y, height = plate.upright
        pieces.append(Solid("box", (half_x, half_y, (height + PLATE_M) / 2), (0, y, height / 2)))
    return tuple(pieces)


def _bolt(half_turns: int) -> Mesh:
    # of the shaft, only what stands out of the plate
    head = shapes.prism(shapes.ring(HEAD_RADIUS_M, 6, 0), 0, HEAD_M, 0.02, base=half_turns > 0)
    if not half_turns:
        return head
    shaft = shapes.ring(HOLE_RADIUS_M * 0.93, 6, 0)
    return shapes.join(head, shapes.wall(shaft - [0, 0, half_turns * HALF_TURN_M], shaft, 0.02))


def _cap() -> Mesh:
    disc = shapes.prism(shapes.ring(CAP_RADIUS_M, 16, 0), -CAP_M / 2, CAP_M / 2, 0.04, base=False)
    knob = shapes.prism(shapes.ring(0.005, 8, 0), CAP_M / 2, CAP_M / 2 + 0.0015, 0.04, base=False)
    return shapes.join(disc, knob)


def _scratch(i: int) -> Mesh:
    t = np.linspace(-0.5, 0.5, 7)
    length = scratch_length_m(i)
    bend = 0.0012 * np.sin(2 * np.pi * t * (1 + i % 3) + i)
    width = (0.0014 + 0.0003 * (i % 3)) * np.sqrt(np.clip(1 - (2 * np.abs(t)) ** 4, 0.05, 1))
    return shapes.strip(np.stack([t * length, bend], axis=1), width, 0.04)
