"""Kinds of surface and the values they may take: the one table both renderers and the sampler read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Kind:
    """What surfaces of a kind have in common.

    Units: base_linear is the usual colour in linear RGB; roughness and metallic 0 to 1;
           textures are names from `textures.NAMES` that suit it
    """

    base_linear: tuple[float, float, float]
    roughness: float
    metallic: float
    textures: tuple[str, ...] = ()


KINDS = {
    "aluminium": Kind((0.55, 0.56, 0.57), 0.35, 1.0, ("brushed_0", "brushed_1", "grain_0")),
    "steel": Kind((0.42, 0.41, 0.40), 0.3, 1.0, ("brushed_0", "grain_0", "grain_1")),
    "black_oxide": Kind((0.03, 0.03, 0.035), 0.4, 1.0, ("grain_0",)),
    "brass": Kind((0.60, 0.42, 0.15), 0.3, 1.0, ("brushed_1", "grain_1")),
    "cast_iron": Kind((0.12, 0.115, 0.11), 0.6, 1.0, ("grain_0", "grain_1", "speckle_0")),
    "paint": Kind((0.05, 0.14, 0.35), 0.35, 0.0, ("grain_1",)),
    "plastic": Kind((0.25, 0.03, 0.03), 0.4, 0.0),
    "rubber": Kind((0.03, 0.03, 0.03), 0.8, 0.0, ("speckle_0", "grain_1")),
    "wood": Kind((0.40, 0.24, 0.12), 0.6, 0.0, ("wood_0", "wood_1")),
    "cardboard": Kind((0.38, 0.26, 0.15), 0.9, 0.0, ("speckle_1", "grain_1")),
    "groove": Kind((0.75, 0.75, 0.75), 0.5, 0.0),  # bare metal in a scratch: bright from most sides
}


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear RGB in [0, 1] → sRGB in [0, 1].

    Source: IEC 61966-2-1
    """
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] → linear RGB in [0, 1].

    Source: IEC 61966-2-1
    """
    srgb = np.clip(srgb, 0, 1)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
