"""Scenes as OpenUSD: what is written is read again, the validators find nothing, and do find planted faults."""

import os
import resource
import stat
import sys
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pxr", exc_type=ImportError)

from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdSemantics, UsdShade

from breakthrough.errors import ConfigError, InputError, MissingDependency, ShapeError, UnknownNameError
from breakthrough.scenes import meshes, textures, usd
from breakthrough.scenes.camera import extrinsics, intrinsics, project
from breakthrough.scenes.poses import Poses, about_z, multiply, start
from breakthrough.scenes.ranges import preset
from breakthrough.scenes.sampling import sample
from breakthrough.scenes.simulator import GRAVITY_M_S2, Simulator
from breakthrough.scenes.spec import DEFECTS, Body, Camera, Defect, Light, Material, SceneSpec
from breakthrough.seeds import numpy_generator

PRESETS = ("naive", "light", "material", "camera", "distractors", "all", "line")
STEEL = Material("steel", (0.5, 0.4, 0.3), roughness=0.3, metallic=1.0)


def drawn(name="all", seed=0, **options):
    spec = sample(preset(name), numpy_generator(seed, "usd"), **options)
    return spec, settled(spec, numpy_generator(seed, "poses"))


def settled(spec, generator):
    """Poses as a simulator leaves them: everything free somewhere else, turned about any axis."""
    bodies = []
    for body in spec.bodies:
        if body.attached_to is None and body.mass_kg:
            turn = generator.normal(size=4)
            place = tuple(body.position_m + generator.normal(scale=0.01, size=3))
            body = replace(body, position_m=place, orientation=tuple(turn / np.linalg.norm(turn)))
        bodies.append(body)
    return start(replace(spec, bodies=tuple(bodies)))


def small(*bodies, **changes):
    """The least scene: a tray, a light, a camera, and what is given."""
    tray = Body("tray", "tray", "tray", (0, 0, -0.01), (0, 0, 0, 1), STEEL)
    settings = {"lights": (Light((0.1, 0, 0.4), 0.05, (1.0, 1.0, 1.0)),), "camera": Camera((0.0, -0.2, 0.3)), **changes}
    return SceneSpec("a", Defect(), (tray, *bodies), **settings)


def body(name="nut", mesh="nut", place=(0.05, 0.0, 0.01), turn=(0.0, 0.0, 0.0, 1.0), **changes):
    return Body(name, "distractor", mesh, place, turn, changes.pop("material", STEEL), mass_kg=0.01, **changes)


@pytest.mark.parametrize("suffix", ["usda", "usdc", "usd", "usdz"])
@pytest.mark.parametrize("name", PRESETS)
def test_a_scene_is_read_again_as_it_was_written_and_the_validators_find_nothing(tmp_path, name, suffix):
    spec, poses = drawn(name, seed=PRESETS.index(name))
    path = usd.export(spec, poses, tmp_path / f"scene.{suffix}")
    found = usd.read(path)
    assert list(found.transforms) == list(found.categories)
    assert found.categories == {one.name: one.category for one in spec.bodies}
    for i, one in enumerate(spec.bodies):
        np.testing.assert_allclose(found.transforms[one.name], poses.matrix(i), rtol=0, atol=1e-9, err_msg=one.name)
    np.testing.assert_allclose(found.extrinsics, extrinsics(spec.camera), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.intrinsics, intrinsics(spec.camera), rtol=1e-6)
    assert usd.check(path) == []


def test_every_mesh_and_every_texture_can_be_written(tmp_path):
    bodies = [body(f"thing_{i}", mesh) for i, mesh in enumerate(meshes.names())]
    bodies += [body(f"nut_{i}", material=replace(STEEL, texture=name)) for i, name in enumerate(textures.NAMES)]
    spec = small(*bodies)
    path = usd.export(spec, start(spec), tmp_path / "everything.usdc")
    assert usd.check(path) == []
    written = {file.stem: np.asarray(Image.open(file)) for file in (tmp_path / "everything_textures").iterdir()}
    assert sorted(written) == sorted(textures.NAMES)
    assert all((picture == textures.texture(name)).all() for name, picture in written.items())


def test_the_surface_is_the_mesh_itself(tmp_path):
    spec = small(body(material=replace(STEEL, texture="wood_0")))
    stage = Usd.Stage.Open(str(usd.export(spec, start(spec), tmp_path / "s.usda")))
    mesh, data = UsdGeom.Mesh(stage.GetPrimAtPath("/World/nut/Geometry")), meshes.mesh("nut")
    np.testing.assert_allclose(mesh.GetPointsAttr().Get(), data.vertices, atol=1e-9)
    np.testing.assert_allclose(mesh.GetNormalsAttr().Get(), data.normals, atol=1e-6)
    np.testing.assert_allclose(UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st").Get(), data.uvs, atol=1e-6)
    np.testing.assert_array_equal(np.reshape(mesh.GetFaceVertexIndicesAttr().Get(), (-1, 3)), data.faces)
    assert UsdGeom.Mesh.ValidateTopology(mesh.GetFaceVertexIndicesAttr().Get(), mesh.GetFaceVertexCountsAttr().Get(), len(data.vertices))
    assert mesh.GetNormalsInterpolation() == "vertex" and mesh.GetSubdivisionSchemeAttr().Get() == "none"


def test_a_material_is_a_preview_surface_whose_texture_multiplies_its_colour(tmp_path):
    spec = small(body(material=replace(STEEL, texture="wood_0")))
    stage = Usd.Stage.Open(str(usd.export(spec, start(spec), tmp_path / "s.usda")))
    bound, _ = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/nut/Geometry")).ComputeBoundMaterial()
    surface, _, _ = bound.ComputeSurfaceSource()
    assert surface.GetIdAttr().Get() == "UsdPreviewSurface"
    assert [surface.GetInput(name).Get() for name in ("roughness", "metallic")] == pytest.approx([0.3, 1.0])
    picture = UsdShade.Shader(surface.GetInput("diffuseColor").GetConnectedSources()[0][0].source)
    assert picture.GetIdAttr().Get() == "UsdUVTexture"
    assert tuple(picture.GetInput("scale").Get()) == pytest.approx((*STEEL.base_linear, 1))
    assert picture.GetInput("sourceColorSpace").Get() == "sRGB"
    file = picture.GetInput("file").Get()
    assert file.path == "./s_textures/wood_0.png" and os.path.samefile(file.resolvedPath, tmp_path / "s_textures/wood_0.png")
    reader = UsdShade.Shader(picture.GetInput("st").GetConnectedSources()[0][0].source)
    assert (reader.GetIdAttr().Get(), reader.GetInput("varname").Get()) == ("UsdPrimvarReader_float2", "st")
    plain, _ = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/tray/Geometry")).ComputeBoundMaterial()
    assert tuple(plain.ComputeSurfaceSource()[0].GetInput("diffuseColor").Get()) == pytest.approx(STEEL.base_linear)


def test_only_what_every_reader_of_usd_knows_is_used(tmp_path):
    spec, poses = drawn("all", defect="scratch")
    stage = Usd.Stage.Open(str(usd.export(spec, poses, tmp_path / "s.usdc")))
    geometry = {"Xform", "Scope", "Mesh", "Cube", "Cylinder", "Camera"}
    others = {"Material", "Shader", "DiskLight", "DomeLight", "PhysicsScene", "RenderSettings"}
    assert {prim.GetTypeName() for prim in stage.Traverse()} == geometry | others
    shaders = {UsdShade.Shader(prim).GetIdAttr().Get() for prim in stage.Traverse() if prim.IsA(UsdShade.Shader)}
    assert shaders == {"UsdPreviewSurface", "UsdUVTexture", "UsdPrimvarReader_float2"}
    # no references, variants or time samples: importers that do not compose see all of it
    assert len(stage.GetUsedLayers(includeClipLayers=True)) == 2  # its own and the session's
    assert not any(prim.HasVariantSets() or prim.IsInstance() for prim in stage.Traverse())
    guides = [prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Cube) or prim.IsA(UsdGeom.Cylinder)]
    assert guides and {UsdGeom.Imageable(prim).ComputePurpose() for prim in guides} == {"guide"}


def test_labels_name_class_and_instance_and_a_bolt_is_no_bracket(tmp_path):
    spec, poses = drawn("naive", defect="raised_bolt")
    stage = Usd.Stage.Open(str(usd.export(spec, poses, tmp_path / "s.usdc")))
    categories = {one.name: one.category for one in spec.bodies}
    defective = {}
    for prim in stage.Traverse():
        if prim.IsA(UsdGeom.Mesh):
            class_, instance, defect = (
                UsdSemantics.LabelsQuery(name, Usd.TimeCode.Default()).ComputeUniqueInheritedLabels(prim) for name in ("class", "instance", "defect")
            )
            assert len(class_) == len(instance) == 1 and categories.pop(instance[0]) == class_[0]
            # the older form, which the schema registry of OpenUSD does not know
            for taxonomy, label in (("class", class_[0]), ("instance", instance[0])):
                assert f"SemanticsAPI:{taxonomy}" in prim.GetMetadata("apiSchemas").GetAddedOrExplicitItems()
                params = [prim.GetAttribute(f"semantic:{taxonomy}:params:semantic{key}").Get() for key in ("Type", "Data")]
                assert params == [taxonomy, label]
            defective[instance[0]] = list(defect)
    assert categories == {}
    assert {name: labels for name, labels in defective.items() if labels} == {spec.defect.place: ["raised_bolt"]}


@pytest.mark.parametrize("kind", DEFECTS)
def test_the_defect_of_a_scene_is_in_its_file_and_on_one_body(tmp_path, kind):
    spec, poses = drawn("naive", defect=kind)
    stage = Usd.Stage.Open(str(usd.export(spec, poses, tmp_path / "s.usdc")))
    assert stage.GetDefaultPrim().GetCustomDataByKey("breakthrough:defect:kind") == kind
    assert stage.GetDefaultPrim().GetCustomDataByKey("breakthrough:variant") == spec.variant
    marked = [prim for prim in stage.Traverse() if prim.HasAPI(UsdSemantics.LabelsAPI, "defect")]
    assert len(marked) == (0 if kind == "none" else 1)


def elements(light, n=400):
    """A disc light of a file cut into pieces: where they are, where they face, their area; and what they shine with."""
    disc = UsdLux.DiskLight(light)
    to_world = np.array(UsdGeom.Xformable(light).ComputeLocalToWorldTransform(Usd.TimeCode.Default())).T
    radius = disc.GetRadiusAttr().Get()
    r, t = (np.arange(n) + 0.5) / n * radius, (np.arange(64) + 0.5) / 64 * 2 * np.pi
    r, t = np.meshgrid(r, t, indexing="ij")
    points = np.stack([r * np.cos(t), r * np.sin(t), 0 * r, 1 + 0 * r], axis=-1).reshape(-1, 4) @ to_world.T  # (P, 4)
    area = (r * (radius / n) * (2 * np.pi / 64)).ravel()
    radiance = disc.GetIntensityAttr().Get() * np.array(disc.GetColorAttr().Get()) * 2.0 ** disc.GetExposureAttr().Get()
    return points[:, :3], -to_world[:3, 2], area, radiance


@pytest.mark.parametrize("radius", [0.02, 0.15])
def test_a_disc_light_gives_its_target_the_irradiance_of_the_spec(tmp_path, radius):
    power, target = (0.9, 0.7, 0.35), np.array([0.01, -0.02, 0.0])
    spec = small(lights=(Light((0.1, 0.15, 0.4), radius, power, tuple(target)),))
    stage = Usd.Stage.Open(str(usd.export(spec, start(spec), tmp_path / "s.usdc")))
    light = stage.GetPrimAtPath("/World/Lights/Key")
    points, forward, area, radiance = elements(light)
    middle = points.mean(axis=0)
    facing = (middle - target) / np.linalg.norm(middle - target)
    away = points - target
    distance = np.linalg.norm(away, axis=1)
    form = (area * (away @ facing) * -(away @ forward) / distance**4).sum()
    np.testing.assert_allclose(forward, -facing, atol=1e-6)  # it shines along its -z
    # a white matt surface sends back irradiance / π
    np.testing.assert_allclose(radiance * form / np.pi, power, rtol=1e-4)
    assert not UsdLux.DiskLight(light).GetNormalizeAttr().Get()


def test_ambient_light_is_a_dome_and_a_light_may_be_dark_or_a_point(tmp_path):
    spec = small(lights=(Light((0.0, 0, 0.4), 0.0, (0.0, 0.0, 0.0)), Light((0.1, 0, 0.4), 0.0, (0.5, 0.5, 0.5))), ambient_linear=(0.3, 0.2, 0.1))
    path = usd.export(spec, start(spec), tmp_path / "s.usdc")
    stage = Usd.Stage.Open(str(path))
    dome = UsdLux.DomeLight(stage.GetPrimAtPath("/World/Lights/Ambient"))
    assert tuple(dome.GetIntensityAttr().Get() * dome.GetColorAttr().Get()) == pytest.approx((0.3, 0.2, 0.1))
    dark, point = (UsdLux.DiskLight(stage.GetPrimAtPath(f"/World/Lights/{name}")) for name in ("Key", "Fill_1"))
    assert dark.GetIntensityAttr().Get() == 0 and np.isfinite(point.GetIntensityAttr().Get()) and point.GetRadiusAttr().Get() > 0
    assert usd.check(path) == []


def test_the_camera_sees_points_where_the_library_projects_them(tmp_path):
    camera = Camera((0.1, -0.2, 0.3), (0.01, 0.02, 0.0), 0.3, 0.5, 96, 64, 0.04, 1.5, 0.004)
    spec = small(camera=camera)
    stage = Usd.Stage.Open(str(usd.export(spec, start(spec), tmp_path / "s.usdc")))
    prim = UsdGeom.Camera(stage.GetPrimAtPath("/World/Camera"))
    frustum = prim.GetCamera(Usd.TimeCode.Default()).frustum
    points = np.array([[0.0, 0, 0], [0.03, 0.02, 0.01], [-0.04, 0.01, 0.0]])
    clip = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
    ndc = np.array([clip.Transform(Gf.Vec3d(*map(float, point))) for point in points])
    pixels, _ = project(points, camera)
    np.testing.assert_allclose((ndc[:, 0] + 1) / 2 * 96, pixels[:, 0], atol=1e-3)
    np.testing.assert_allclose((1 - ndc[:, 1]) / 2 * 64, pixels[:, 1], atol=1e-3)
    assert tuple(prim.GetClippingRangeAttr().Get()) == pytest.approx((0.04, 1.5))
    assert prim.GetFocusDistanceAttr().Get() == pytest.approx(np.linalg.norm(np.subtract(camera.eye_m, camera.target_m)))
    # focal length in tenths of a metre over the f-number: the lens's diameter
    assert prim.GetFocalLengthAttr().Get() / 10 / prim.GetFStopAttr().Get() == pytest.approx(2 * 0.004)
    assert prim.ComputeLinearExposureScale() == pytest.approx(1)


def test_a_camera_without_a_lens_radius_is_sharp_everywhere(tmp_path):
    spec = small()
    stage = Usd.Stage.Open(str(usd.export(spec, start(spec), tmp_path / "s.usdc")))
    assert UsdGeom.Camera(stage.GetPrimAtPath("/World/Camera")).GetFStopAttr().Get() == 0


def test_physics_finds_the_same_bodies_and_solids_as_the_simulator(tmp_path):
    spec, poses = drawn("distractors", defect="none")
    stage = Usd.Stage.Open(str(usd.export(spec, poses, tmp_path / "s.usdc")))
    mass = {prim.GetName(): UsdPhysics.MassAPI(prim).GetMassAttr().Get() for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.RigidBodyAPI)}
    assert mass == pytest.approx({one.name: one.mass_kg for one in spec.bodies if one.mass_kg and one.attached_to is None})
    parsed = UsdPhysics.UsdPhysicsLoadStageFromPrimRange(stage, ["/World"])
    paths, rigid = parsed[UsdPhysics.ObjectType.RigidBody]
    pieces = {path.name: len(one.collisions) for path, one in zip(paths, rigid)}
    for one in spec.bodies:
        if one.name in pieces:
            parts = [one, *(other for other in spec.bodies if other.attached_to == one.name)]
            assert pieces[one.name] == sum(len(meshes.solids(part.mesh)) for part in parts), one.name
    assert pieces["bracket"] > len(meshes.solids(spec.bodies[1].mesh))  # bolts are part of it
    _, (scene,) = parsed[UsdPhysics.ObjectType.Scene]
    assert tuple(scene.gravityDirection) == (0, 0, -1) and scene.gravityMagnitude == pytest.approx(GRAVITY_M_S2)


def test_a_settled_scene_keeps_its_poses_and_the_friction_of_the_simulator(tmp_path):
    pybullet = pytest.importorskip("pybullet")
    spec = sample(preset("all"), numpy_generator(3, "usd"))
    with Simulator() as simulator:
        poses = simulator.settle(spec).poses
        bodies = [pybullet.getBodyUniqueId(i, simulator.client) for i in range(pybullet.getNumBodies(simulator.client))]
        friction = {pybullet.getDynamicsInfo(one, -1, simulator.client)[1] for one in bodies}
    path = usd.export(spec, poses, tmp_path / "s.usda")
    assert usd.check(path) == []
    for i, one in enumerate(spec.bodies):
        np.testing.assert_allclose(usd.read(path).transforms[one.name], poses.matrix(i), atol=1e-9)
    stage = Usd.Stage.Open(str(path))
    _, (contact,) = UsdPhysics.UsdPhysicsLoadStageFromPrimRange(stage, ["/World"])[UsdPhysics.ObjectType.RigidBodyMaterial]
    (each,) = friction
    assert contact.dynamicFriction == contact.staticFriction == pytest.approx(each**2)
    assert contact.restitution == 0


@pytest.mark.parametrize("variant", ["bracket_a", "bracket_b", "bracket_c", "cap", "block"])
def test_a_collider_has_the_size_and_place_of_its_solid(tmp_path, variant):
    spec = small(body("thing", variant))
    stage = Usd.Stage.Open(str(usd.export(spec, start(spec), tmp_path / "s.usdc")))
    parsed = UsdPhysics.UsdPhysicsLoadStageFromPrimRange(stage, ["/World/thing"])
    shapes = {}
    for kind in (UsdPhysics.ObjectType.CubeShape, UsdPhysics.ObjectType.CylinderShape):
        shapes |= {path.name: shape for path, shape in zip(*parsed.get(kind, ((), ())))}
    assert len(shapes) == len(meshes.solids(variant))
    for n, solid in enumerate(meshes.solids(variant)):
        shape = shapes[f"Solid_{n}"]
        size = shape.halfExtents if solid.kind == "box" else (shape.radius, shape.radius, shape.halfHeight)
        np.testing.assert_allclose(size, solid.size_m, rtol=1e-6)
        np.testing.assert_allclose(shape.localPos, solid.center_m, atol=1e-9)
        assert solid.kind == "box" or shape.axis == UsdPhysics.Axis.Z
        bound = UsdGeom.Boundable(stage.GetPrimAtPath(f"/World/thing/Collision/Solid_{n}"))
        extent = np.array(bound.GetExtentAttr().Get())
        np.testing.assert_allclose(extent, [[-1, -1, -1], [1, 1, 1]] * np.array((1, 1, 1) if solid.kind == "box" else solid.size_m), rtol=1e-6)


def test_what_is_fixed_to_a_body_stands_below_it_in_any_order_and_depth(tmp_path):
    turn = tuple(multiply(np.array(about_z(0.7)), np.array([np.sin(0.2), 0, 0, np.cos(0.2)])))
    tip = body("tip", "washer", (0.0, 0.01, 0.02), turn, attached_to="arm")
    arm = body("arm", "pin", (0.01, 0.0, 0.02), turn, attached_to="base")
    base = body("base", "block", (0.05, 0.02, 0.01), turn)
    spec = small(base, arm, tip)
    poses = start(spec)
    shuffled = small(tip, arm, base)
    order = [shuffled.index(one.name) for one in spec.bodies]
    other = Poses(np.empty((4, 3)), np.empty((4, 4)))
    other.position_m[order], other.orientation[order] = poses.position_m, poses.orientation
    path = usd.export(shuffled, other, tmp_path / "s.usda")
    assert Usd.Stage.Open(str(path)).GetPrimAtPath("/World/base/arm/tip/Geometry")
    for i, one in enumerate(spec.bodies):
        np.testing.assert_allclose(usd.read(path).transforms[one.name], poses.matrix(i), atol=1e-9)


def test_names_that_are_no_identifiers_or_taken_keep_their_labels(tmp_path):
    names = ["nut-1", "nut_1", "nut 1", "1", "Camera", "Materials", "Lights", "Physics", "Mutter süß"]
    fixed = [body("Geometry", "bolt_0", attached_to="nut-1"), body("Collision", "bolt_0", attached_to="nut-1")]
    spec = small(*(body(name) for name in names), *fixed)
    path = usd.export(spec, start(spec), tmp_path / "s.usda")
    found = usd.read(path)
    for i, one in enumerate(spec.bodies):
        np.testing.assert_allclose(found.transforms[one.name], start(spec).matrix(i), atol=1e-9)
    stage = Usd.Stage.Open(str(path))
    assert sum(prim.IsA(UsdGeom.Mesh) for prim in stage.Traverse()) == len(spec.bodies)
    assert usd.check(path) == []


@pytest.mark.parametrize("suffix", ["usda", "usdc"])
def test_the_same_scene_gives_the_same_bytes(tmp_path, suffix):
    spec, poses = drawn("all")
    one, two = (usd.export(spec, poses, tmp_path / name / f"s.{suffix}") for name in "ab")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("name", ["a b", "a[1]", "ü", "a@b", "100%", "#1"])
@pytest.mark.parametrize("suffix", ["usda", "usdz"])
def test_odd_file_names_work(tmp_path, name, suffix):
    spec = small(body(material=replace(STEEL, texture="wood_0")))
    path = usd.export(spec, start(spec), tmp_path / name / f"{name}.{suffix}")
    assert usd.check(path) == [] and "nut" in usd.read(path).transforms


def test_a_file_written_again_is_read_anew(tmp_path):
    spec, poses = drawn("naive", seed=1)
    path = usd.export(spec, poses, tmp_path / "s.usda")
    held = Usd.Stage.Open(str(path))
    other, moved = drawn("naive", seed=2)
    usd.export(other, moved, path)
    np.testing.assert_allclose(usd.read(path).transforms["bracket"], moved.matrix(1), atol=1e-9)
    assert held


def planted(tmp_path, change):
    """A sound export, changed by hand."""
    spec = small(body("nut", material=replace(STEEL, texture="wood_0")), body("bolt", "bolt_0", (0, 0, 0.01), attached_to="nut"))
    path = usd.export(spec, start(spec), tmp_path / "s.usda")
    assert usd.check(path) == []
    stage = Usd.Stage.Open(str(path))
    change(stage)
    stage.Save()
    return usd.check(path)


def picture_of(stage):
    return next(UsdShade.Shader(prim) for prim in stage.Traverse() if prim.GetName() == "Picture")


FAULTS = {
    "upAxis": lambda stage: stage.ClearMetadata("upAxis"),
    "metersPerUnit": lambda stage: stage.ClearMetadata("metersPerUnit"),
    "defaultPrim": lambda stage: stage.ClearDefaultPrim(),
    "unresolvable": lambda stage: picture_of(stage).GetInput("file").Set(Sdf.AssetPath("./gone.png")),
    "MaterialBindingAPI": lambda stage: stage.GetPrimAtPath("/World/nut/Geometry").RemoveAPI(UsdShade.MaterialBindingAPI),
    "Encapsulation": lambda stage: UsdGeom.Mesh.Define(stage, "/World/nut/Geometry/Inner"),
    "ShaderSdrCompliance": lambda stage: picture_of(stage).GetInput("wrapS").GetAttr().SetTypeName(Sdf.ValueTypeNames.Int),
    "ReferenceValidator|omposition": lambda stage: stage.DefinePrim("/World/other").GetReferences().AddReference("./gone.usda"),
    "RigidBodyNonXformable": lambda stage: UsdPhysics.RigidBodyAPI.Apply(stage.GetPrimAtPath("/World/Materials")),
    "ColliderNonUniformScale": lambda stage: UsdGeom.Xformable(stage.GetPrimAtPath("/World/nut")).AddScaleOp().Set(Gf.Vec3f(1, 2, 3)),
    "AttributeTypeMismatch": lambda stage: stage.GetPrimAtPath("/World/nut/Geometry").GetAttribute("points").SetTypeName(Sdf.ValueTypeNames.Float3Array),
}


@pytest.mark.parametrize("message", FAULTS)
def test_the_validators_see_planted_faults(tmp_path, message):
    said = planted(tmp_path, FAULTS[message])
    assert any(part in line for line in said for part in message.split("|")), said


def test_the_validators_see_a_lost_texture(tmp_path):
    spec = small(body(material=replace(STEEL, texture="wood_0")))
    path = usd.export(spec, start(spec), tmp_path / "s.usdc")
    (tmp_path / "s_textures" / "wood_0.png").unlink()
    assert any("wood_0.png" in line for line in usd.check(path))


def exported(path, spec=None, poses=None):
    spec = spec or small(body(material=replace(STEEL, texture="wood_0")))
    return usd.export(spec, poses or start(spec), path)


@pytest.mark.parametrize("name", ["scene.obj", "scene", "scene.USDA", "scene.usda.txt", ".usda", ""])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"expected a path that ends in \.usda.*got .*; try .*\.usda"):
        exported(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["usda", "usdc", "usdz"])
def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path, suffix):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"expected a place where .* can be written, got .*; try"):
        exported(tmp_path / "file" / f"s.{suffix}")


@pytest.mark.parametrize("suffix", ["usda", "usdc", "usdz"])
@pytest.mark.parametrize("material", [STEEL, replace(STEEL, texture="wood_0")], ids=["plain", "textured"])
def test_a_folder_without_permission_is_one_clear_error(tmp_path, suffix, material):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("root writes everywhere")
    with pytest.raises(InputError, match="can be written, got .*[Pp]ermission"):
        exported(tmp_path / f"s.{suffix}", small(body(material=material)))


def test_a_folder_in_the_way_is_one_clear_error(tmp_path):
    (tmp_path / "s.usda").mkdir()
    with pytest.raises(InputError, match="can be written"):
        exported(tmp_path / "s.usda")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s.usda", "s_textures"]


@contextmanager
def files_of_at_most(size_bytes):
    """Writing more than this to one file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size_bytes", [2_000, 20_000])
@pytest.mark.parametrize("suffix", ["usda", "usdc", "usdz"])
def test_a_full_disk_leaves_what_was_there(tmp_path, suffix, size_bytes):
    path = exported(tmp_path / f"s.{suffix}")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    spec, poses = drawn("all", seed=5)
    with pytest.raises(InputError, match="can be written, got .*[Ff]ile too large"), files_of_at_most(size_bytes):
        exported(path, spec, poses)
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert {file: after[file] for file in before} == before
    assert not [file for file in after if ".part" in file.name]
    assert usd.check(path) == []


@pytest.mark.parametrize(("change", "error", "message"), [
    ({"mesh": "nutt"}, UnknownNameError, "known mesh, got 'nutt'; try nut"),
    ({"material": replace(STEEL, texture="wod_0")}, UnknownNameError, "known texture, got 'wod_0'; try wood_0"),
    ({"attached_to": "nut"}, ConfigError, "end at a free body, got nut → nut"),
])
def test_a_scene_that_cannot_be_written_says_why_and_writes_nothing(tmp_path, change, error, message):
    spec = small(body(**change))
    with pytest.raises(error, match=message):
        exported(tmp_path / "s.usda", spec, Poses(np.zeros((2, 3)), np.tile([0, 0, 0, 1.0], (2, 1))))
    assert list(tmp_path.iterdir()) == []


def test_a_light_on_its_own_target_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="a light that shines on another place"):
        exported(tmp_path / "s.usda", small(lights=(Light((0.0, 0.0, 0.0), 0.1, (1.0, 1.0, 1.0)),)))


@pytest.mark.parametrize(("position", "orientation", "error"), [
    (np.zeros((3, 3)), np.tile([0, 0, 0, 1.0], (3, 1)), ShapeError),
    (np.zeros((2, 3)), np.zeros((2, 4)), InputError),
    (np.full((2, 3), np.nan), np.tile([0, 0, 0, 1.0], (2, 1)), InputError),
])
def test_poses_of_another_scene_or_no_poses_at_all_are_refused(tmp_path, position, orientation, error):
    with pytest.raises(error, match="expected"):
        exported(tmp_path / "s.usda", poses=Poses(position, orientation))


@pytest.mark.parametrize("act", [usd.read, usd.check])
@pytest.mark.parametrize("content", [None, "", "#usda 1.0\ndef Xform (((", "PXR-USDC broken"])
def test_a_file_that_does_not_open_is_one_clear_error(tmp_path, act, content):
    path = tmp_path / "s.usda"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match="expected a USD file that opens, got .*s.usda"):
        act(path)


def test_a_file_of_another_make_has_no_camera_to_read(tmp_path):
    (tmp_path / "s.usda").write_text('#usda 1.0\ndef Sphere "Ball" {}\n')
    with pytest.raises(InputError, match="render settings with a camera"):
        usd.read(tmp_path / "s.usda")


def test_without_the_package_the_install_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr", None)
    for name in ("breakthrough.scenes.usd", "breakthrough.scenes.usd_stage"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingDependency, match="'pxr' .*none installed; try pip install"):
        import breakthrough.scenes.usd  # noqa: F401
