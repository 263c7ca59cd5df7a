"""Scenes settle as parts do: they rest, are held up, and lie in nothing; what could not be is named."""

from dataclasses import replace

import numpy as np
import pytest

from breakthrough.errors import UnknownNameError
from breakthrough.scenes import meshes
from breakthrough.scenes.poses import about_z, attach, start
from breakthrough.scenes.ranges import preset
from breakthrough.scenes.sampling import sample
from breakthrough.scenes.simulator import MAX_STEPS, Simulator
from breakthrough.scenes.spec import Body
from breakthrough.scenes.validity import out_of_view, unsupported, validity
from breakthrough.seeds import numpy_generator


@pytest.fixture(scope="module")
def simulator():
    with Simulator() as one:
        yield one


def scene(seed=0, name="all", **options):
    return sample(preset(name), numpy_generator(seed, "scene"), **options)


def with_body(spec, **changes):
    material = spec.bodies[0].material
    body = Body(**{"name": "extra", "category": "distractor", "mesh": "block", "position_m": (0.1, 0.1, 0.004), "orientation": about_z(0.2), "material": material, "mass_kg": 0.01, **changes})  # fmt: skip
    return replace(spec, bodies=(*spec.bodies, body))


def test_most_scenes_settle_and_are_valid(simulator):
    found = [validity(spec, simulator.settle(spec)) for spec in (scene(seed, "distractors") for seed in range(60))]
    assert sum(v.valid for v in found) >= 54
    assert all(v.deepest_m < 0.0003 for v in found if v.valid)


def test_a_bracket_rests_on_the_tray_and_its_bolts_go_along(simulator):
    spec = scene(3, "naive", defect="none")
    settled = simulator.settle(spec)
    bracket, bolt = spec.index("bracket"), spec.index("bolt_1")
    assert settled.at_rest and settled.poses.position_m[bracket, 2] == pytest.approx(meshes.PLATE_M / 2, abs=1e-4)
    again = attach(spec, settled.poses)
    assert np.allclose(again.position_m[bolt], settled.poses.position_m[bolt])


def test_a_block_falls_as_far_as_it_can(simulator):
    spec = with_body(scene(1, "naive"), position_m=(0.1, 0.1, 0.05))
    settled = simulator.settle(spec)
    assert settled.at_rest and settled.poses.position_m[-1, 2] == pytest.approx(0.004, abs=2e-4)
    assert settled.steps > 20 and settled.energy_j == pytest.approx(0.01 * 9.81 * 0.046, rel=0.02)


def test_a_cap_off_its_boss_tips_over_the_edge(simulator):
    spec = scene(1, "naive", defect="none")
    cap, bracket = spec.index("cap"), spec.bodies[spec.index("bracket")]
    x, y, _ = bracket.position_m
    moved = replace(spec.bodies[cap], position_m=(x + 0.0155, y, 0.0145))
    bodies = tuple(moved if i == cap else b for i, b in enumerate(spec.bodies) if not b.name.startswith("bolt"))
    spec = replace(spec, bodies=bodies)
    settled = simulator.settle(spec)
    tilt = 2 * np.linalg.norm(settled.poses.orientation[spec.index("cap"), :2])
    assert settled.at_rest and tilt > 0.03


def test_one_simulator_repeats_itself(simulator):
    specs = [scene(seed) for seed in range(10)]
    with Simulator() as a, Simulator() as b:
        first, second = [a.settle(s) for s in specs], [b.settle(s) for s in specs]
    assert all(np.array_equal(p.poses.position_m, q.poses.position_m) for p, q in zip(first, second))


def test_something_floating_is_named(simulator):
    spec = scene(2, "naive")
    settled = simulator.settle(spec)
    assert unsupported(spec, settled.contacts) == ()
    assert "cap" in unsupported(spec, tuple(c for c in settled.contacts if spec.index("cap") not in c[:2]))


def test_two_that_only_touch_each_other_are_not_supported():
    spec = with_body(with_body(scene(2, "naive")), name="other")
    n = len(spec.bodies)
    loose = unsupported(spec, ((0, 1, 0.0), (1, spec.index("cap"), 0.0), (n - 2, n - 1, 0.0)))
    assert set(loose) == {"extra", "other"}


def test_penetration_is_measured(simulator):
    spec = scene(2, "naive")
    settled = simulator.settle(spec)
    deep = replace(settled, contacts=(*settled.contacts, (0, 1, -0.002)))
    found = validity(spec, deep)
    assert found.reasons == ("penetration",) and found.deepest_m == pytest.approx(0.002)


def test_what_does_not_come_to_rest_in_time_says_so(simulator):
    spec = with_body(scene(2, "naive"), position_m=(0.1, 0.1, 8.0))  # it falls for longer than the bound
    settled = simulator.settle(spec)
    assert settled.steps == MAX_STEPS and not settled.at_rest
    assert {"not at rest", "not supported"} <= set(validity(spec, settled).reasons)


def test_a_part_out_of_view_is_named(simulator):
    spec = scene(2, "naive")
    away = replace(spec, camera=replace(spec.camera, target_m=(0.05, 0.0, 0.0)))
    settled = simulator.settle(spec)
    assert "out of view" not in validity(spec, settled).reasons
    assert "out of view" in validity(away, settled).reasons and out_of_view(away, settled.poses) > 0.1


def test_a_missing_mesh_is_named(simulator):
    with pytest.raises(UnknownNameError, match="known mesh, got 'blok'; try block"):
        simulator.settle(with_body(scene(), mesh="blok"))  # codespell:ignore blok


def test_poses_start_where_the_spec_says():
    spec = scene(4)
    poses = start(spec)
    bracket, bolt = spec.bodies[1], spec.index("bolt_2") if "bolt_2" in [b.name for b in spec.bodies] else spec.index("bolt_1")
    assert np.allclose(poses.position_m[1], bracket.position_m)
    assert np.linalg.norm(poses.position_m[bolt] - poses.position_m[1]) == pytest.approx(np.linalg.norm(spec.bodies[bolt].position_m))


@pytest.mark.parametrize("name", meshes.names())
def test_faces_look_outwards_and_normals_agree(name):
    mesh = meshes.mesh(name)
    triangles = mesh.vertices[mesh.faces]
    across = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    assert (np.einsum("ij,ij->i", across, mesh.normals[mesh.faces[:, 0]]) > 0).all()
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1) and mesh.uvs.min() >= 0 and mesh.uvs.max() <= 1
    assert mesh.faces.max() < len(mesh.vertices)


@pytest.mark.parametrize("variant", meshes.PLATES)
def test_solids_hold_the_surface(variant):
    # every vertex of the surface lies in, or on, one of physics' solids
    name = f"bracket_{variant}"
    inside = np.zeros(len(meshes.mesh(name).vertices), dtype=bool)
    for solid in meshes.solids(name):
        inside |= (np.abs(meshes.mesh(name).vertices - solid.center_m) <= np.array(solid.size_m) + 1e-9).all(axis=1)
    assert inside.all()
