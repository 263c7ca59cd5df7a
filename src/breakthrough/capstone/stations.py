"""The four stations: in each factory a camera on a frame, lamps of its own, its own parts.

A station decides a good part of an inspection before any net does: the camera does not move, the lamps are large and
soft, so that metal does not glare, parts are blasted, not polished, and come to lie in a nest. What differs between
factories stays: light, materials, variants, where the camera stands. All of it could be ordered from a catalogue, and it
is worth more than data: `benchmarks/results/capstone-cpu.md` shows how much. Rare defects cost nothing to simulate, so
every factory learns from nearly as many of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from breakthrough.federated.factories import Factory
from breakthrough.scenes.ranges import Ranges, degrees
from breakthrough.scenes.spec import DEFECTS

# the frame: how far anything moves that is bolted down, and what counts as a defect
FRAME: dict[str, Any] = dict(
    elevation_rad=degrees(62, 64), azimuth_rad=degrees(-92, -88), distance_m=(0.257, 0.263), roll_rad=degrees(-1, 1),
    aim_m=(-0.001, 0.001), part_yaw_rad=degrees(-8, 8), distractors=(0, 1), distractor_gap_m=(0.006, 0.016),
    lights=(2, 2), light_elevation_rad=degrees(55, 75), light_azimuth_rad=degrees(-130, -50), light_distance_m=(0.45, 0.55),
    light_radius_m=(0.12, 0.2), value_factor=(0.85, 1.2), tint_factor=(0.95, 1.05), roughness_factor=(1.3, 1.8),
    cap_off_m=(0.007, 0.016), scratch_contrast=(0.05, 0.2), scratch_shines=(0.0, 0.0), hole_shade=(0.03, 0.25),
)  # fmt: skip


def _station(name: str, words: str, mix: Sequence[int], **own: Any) -> Factory:
    defects = tuple(kind for kind, count in zip(DEFECTS, mix, strict=True) for _ in range(count))
    return Factory(name, words, Ranges(**{**FRAME, **own, "defects": defects}))


# mixes: none, missing_bolt, raised_bolt, misaligned_cap, scratch
STATIONS: tuple[Factory, ...] = (
    _station(
        "north", "bright and warm, steel and aluminium", (4, 3, 4, 4, 5),
        light_power=(1.0, 1.3), ambient=(0.4, 0.6), light_warmth_factor=(1.15, 1.35), bracket_kinds=("steel", "aluminium"),
        bolt_kinds=("steel",), cap_kinds=("plastic", "paint"), tray_kinds=("rubber", "plastic"),
    ),
    _station(
        "east", "dim and cold, a lower camera", (4, 4, 4, 4, 4),
        light_power=(0.6, 0.8), ambient=(0.2, 0.3), light_warmth_factor=(0.72, 0.88), variants=("b", "c"),
        bracket_kinds=("aluminium", "cast_iron"), bolt_kinds=("steel", "black_oxide"), tray_kinds=("steel", "paint"),
        elevation_rad=degrees(60, 62),
    ),
    _station(
        "south", "one lamp, brass and paint on wood", (4, 3, 4, 5, 4),
        light_power=(0.9, 1.2), ambient=(0.2, 0.35), light_warmth_factor=(0.95, 1.1), lights=(1, 1), variants=("a", "c"),
        bracket_kinds=("brass", "paint"), bolt_kinds=("brass", "black_oxide"), cap_kinds=("brass", "aluminium", "rubber"),
        tray_kinds=("wood", "cardboard"), azimuth_rad=degrees(-84, -80),
    ),
    _station(
        "west", "three lamps, paint and cast iron, cluttered", (4, 3, 5, 4, 4),
        light_power=(0.7, 1.0), ambient=(0.3, 0.45), light_warmth_factor=(0.88, 1.0), lights=(3, 3),
        bracket_kinds=("paint", "cast_iron"), cap_kinds=("black_oxide", "plastic", "rubber"), elevation_rad=degrees(65, 67),
        distance_m=(0.265, 0.272), distractors=(1, 3),
    ),
)  # fmt: skip
