"""Specs and ranges refuse what cannot be, by name; sampling is reproducible and stays inside its ranges."""

from dataclasses import fields, replace

import numpy as np
import pytest

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.scenes.ranges import PRESETS, Ranges, preset, table, without_physics
from breakthrough.scenes.sampling import look, sample
from breakthrough.scenes.spec import DEFECTS, Camera
from breakthrough.seeds import numpy_generator


def scene(name="all", seed=0, **options):
    return sample(preset(name), numpy_generator(seed, "scene"), **options)


def test_ranges_upside_down_are_named():
    with pytest.raises(ConfigError, match=r"light_power with low ≤ high, got \(1.0, 0.5\); try \(0.5, 1.0\)"):
        Ranges(light_power=(1.0, 0.5))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"lights": (0, 0)}, "at least one light"),
        ({"tossed": (0.0, 1.5)}, "tossed between 0 and 1"),
        ({"distance_m": (0.0, 0.2)}, "distance_m above 0"),
        ({"value_factor": (0.0, 1.0)}, "value_factor above 0"),
        ({"distractors": (0.5, 2)}, "whole numbers"),
        ({"bracket_kinds": ()}, "tuple of names"),
        ({"ambient": (0.1, float("nan"))}, "ambient to be"),
        ({"raised_half_turns": (6, 99)}, "raised_half_turns up to 16"),
    ],
)
def test_ranges_that_cannot_be_are_refused(bad, message):
    with pytest.raises(ConfigError, match=message):
        Ranges(**bad)


@pytest.mark.parametrize(
    ("bad", "near"),
    [({"bracket_kinds": ("aluminum",)}, "aluminium"), ({"textures": ("wood_9",)}, "wood_"), ({"scratch_meshes": ("scrach_0",)}, "scratch_0")],
)
def test_unknown_names_are_answered_with_near_ones(bad, near):
    with pytest.raises(UnknownNameError, match=near):
        Ranges(**bad)
    with pytest.raises(UnknownNameError):
        preset("nave")


@pytest.mark.parametrize("change", [{"lights": ()}, {"bodies": ()}, {"variant": "z"}])
def test_specs_that_cannot_be_are_refused(change):
    with pytest.raises((ConfigError, UnknownNameError)):
        replace(scene(), **change)


def test_bodies_have_names_of_their_own_and_parents_that_exist():
    spec = scene()
    with pytest.raises(ConfigError, match="names of their own"):
        replace(spec, bodies=(*spec.bodies, spec.bodies[1]))
    with pytest.raises(ConfigError, match="attached to a body of the scene, got 'nothing'"):
        replace(spec, bodies=(spec.bodies[0], replace(spec.bodies[1], attached_to="nothing")))


@pytest.mark.parametrize("bad", [{"width": 0}, {"fov_rad": 0.0}, {"near_m": 3.0}, {"eye_m": (0.0, 0.0, 0.0)}])
def test_cameras_that_make_no_picture_are_refused(bad):
    with pytest.raises(ConfigError):
        Camera(**{"eye_m": (0.0, 0.0, 1.0), **bad})


@pytest.mark.parametrize("name", PRESETS)
def test_one_seed_gives_one_scene(name):
    assert scene(name) == scene(name)
    assert scene(name, seed=1) != scene(name, seed=2)


def test_looking_again_leaves_every_body_where_it_is():
    spec = scene()
    again = look(spec, preset("all"), numpy_generator(5))
    assert [(b.name, b.mesh, b.position_m, b.orientation) for b in again.bodies] == [(b.name, b.mesh, b.position_m, b.orientation) for b in spec.bodies]
    assert again.camera != spec.camera and again.lights != spec.lights


@pytest.mark.parametrize("kind", DEFECTS)
def test_the_defect_that_is_asked_for_is_in_the_scene(kind):
    for seed in range(5):
        spec = scene(seed=seed, defect=kind)
        names = {body.name for body in spec.bodies}
        bolts = sorted(name for name in names if name.startswith("bolt_"))
        raised = [b for b in spec.bodies if b.category == "bolt" and b.mesh != "bolt_0"]
        assert spec.defect.kind == kind
        assert len(bolts) == (3 if kind == "missing_bolt" else 4) and (spec.defect.place not in names) == (kind in ("missing_bolt", "none"))
        assert ("scratch" in names) == (kind == "scratch")
        assert [b.name for b in raised] == ([spec.defect.place] if kind == "raised_bolt" else [])
        cap, bracket = spec.bodies[spec.index("cap")], spec.bodies[spec.index("bracket")]
        assert (np.hypot(*np.subtract(cap.position_m, bracket.position_m)[:2]) > 0.005) == (kind == "misaligned_cap")


def test_draws_stay_in_their_ranges_and_fill_them():
    ranges = preset("all")
    powers = [sum(light.power_linear[1] for light in scene(seed=s).lights) for s in range(200)]
    low, high = ranges.light_power
    assert low <= min(powers) < low + 0.1 * (high - low) and high - 0.1 * (high - low) < max(powers) < high
    counts = {sum(b.category == "distractor" for b in scene(seed=s).bodies) for s in range(100)}
    assert counts >= {0, 1, 2, 3} and max(counts) <= ranges.distractors[1]


def test_the_table_shows_every_range_or_what_differs():
    assert len(table(preset("all"))) == len(fields(Ranges))
    rows = {row[0]: row[1:] for row in table(preset("camera"), preset("naive"))}
    assert rows["elevation_rad"] == ("50 to 68", "°") and "light_power" not in rows
    assert [row[0] for row in table(without_physics(Ranges()), Ranges())] == ["hover_m"]
