"""What light does on each kind of surface, as descriptions that Mitsuba 3 loads.

The colour of a material is its reflectance at normal incidence: of the metal itself, or of what lies
under a coat. Roughness r is GGX's α = r². Reliefs tilt the normal: brush marks, sand-cast skin, wood grain.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType

import numpy as np

from breakthrough.errors import unknown
from breakthrough.scenes.materials import to_linear
from breakthrough.scenes.spec import Material
from breakthrough.scenes.textures import texture

ALUMINIUM = (0.96, 6.69)  # n and k at 550 nm (Rakić 1995): its Fresnel curve is scaled to each metal's colour
ALUMINIUM_F0 = 0.921  # what these reflect at normal incidence
BRUSHED = (0.55, 1.7)  # α along and across the brush marks, against that of the same metal unbrushed
Plugin = dict[str, object]


def surface(material: Material, mitsuba: ModuleType) -> Plugin:
    """The description of a material's reflection, for `mitsuba.load_dict`.

    Raises: UnknownNameError for a kind without one, or a texture that does not exist
    """
    if material.kind not in SURFACES:
        raise unknown("material", material.kind, SURFACES)
    build, relief, slope, repeats = SURFACES[material.kind]
    plugin = build(material, _colour(material, mitsuba))
    if relief is None:
        return plugin
    return {
        "type": "normalmap",
        "normalmap": _bitmap(mitsuba, _normals(relief, slope), repeats),
        "bsdf": plugin,
    }


def _brushed(material: Material, colour: Plugin) -> Plugin:
    alpha = _roughness(material) ** 2
    return {
        "type": "roughconductor",
        "distribution": "ggx",
        "eta": {"type": "uniform", "value": ALUMINIUM[0]},
        "k": {"type": "uniform", "value": ALUMINIUM[1]},
        "specular_reflectance": colour,
        "alpha_u": alpha * BRUSHED[0],
        "alpha_v": min(alpha * BRUSHED[1], 1.0),
    }


def _coated(material: Material, colour: Plugin) -> Plugin:
    # pigment under a clear skin
    return {
        "type": "principled",
        "base_color": colour,
        "roughness": _roughness(material),
        "specular": 0.5,
        "clearcoat": 0.15,
        "clearcoat_gloss": 1 - _roughness(material) / 2,
    }


def _mixed(metallic: float, specular: float) -> Callable[[Material, Plugin], Plugin]:
    def build(material: Material, colour: Plugin) -> Plugin:
        return {
            "type": "principled",
            "base_color": colour,
            "roughness": _roughness(material),
            "metallic": metallic,
            "specular": specular,
        }

    return build


# kind → how it reflects, the texture its relief is read from, the relief's slope, and how often it repeats
SURFACES: dict[str, tuple[Callable[[Material, Plugin], Plugin], str | None, float, float]] = {
    "aluminium": (_brushed, "brushed_0", 0.05, 2),
    "steel": (_brushed, "brushed_1", 0.04, 2),
    "brass": (_brushed, "brushed_0", 0.03, 2),
    "black_oxide": (_mixed(0.0, 0.3), "grain_0", 0.05, 3),
    "cast_iron": (_mixed(0.7, 0.5), "grain_1", 0.25, 4),
    "paint": (_coated, "grain_0", 0.04, 3),
    "plastic": (_coated, None, 0.0, 1),
    "rubber": (_mixed(0.0, 0.3), "grain_1", 0.2, 6),
    "wood": (_mixed(0.0, 0.4), "wood_0", 0.15, 1),
    "cardboard": (_mixed(0.0, 0.15), "grain_0", 0.12, 4),
    "groove": (_mixed(0.5, 0.5), None, 0.0, 1),
}


def _roughness(material: Material) -> float:
    return float(np.clip(material.roughness, 0.15, 1))  # below that, a lamp's mirror image is all noise


def _colour(material: Material, mitsuba: ModuleType) -> Plugin:
    base = np.array(material.base_linear)
    if SURFACES[material.kind][0] is _brushed:
        base = np.minimum(base / ALUMINIUM_F0, 1)
    if material.texture is None:
        return {"type": "rgb", "value": base.tolist()}
    return _bitmap(mitsuba, _linear(material.texture) * base.astype(np.float32), 1)


def _bitmap(mitsuba: ModuleType, values: np.ndarray, repeats: float) -> Plugin:
    plugin = {"type": "bitmap", "bitmap": mitsuba.Bitmap(values.astype(np.float32)), "raw": True}
    return plugin if repeats == 1 else plugin | {"to_uv": mitsuba.ScalarTransform4f().scale([repeats, repeats, 1])}


@cache
def _linear(name: str) -> np.ndarray:
    return to_linear(texture(name) / 255).astype(np.float32)


@cache
def _normals(name: str, slope: float) -> np.ndarray:
    # the texture read as heights; its steepest tenth tilts the normal by about `slope`; stored as 0.5 + 0.5 n
    height = texture(name)[..., 0].astype(float)
    tilts = np.stack([np.roll(height, -1, axis) - np.roll(height, 1, axis) for axis in (1, 0)], axis=-1)
    steep = np.percentile(np.linalg.norm(tilts, axis=-1), 90)
    normals = np.concatenate([-tilts * (slope / steep), np.ones((*height.shape, 1))], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return (0.5 + 0.5 * normals).astype(np.float32)
