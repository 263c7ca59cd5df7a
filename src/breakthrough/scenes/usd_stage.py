"""From a scene and its poses to an OpenUSD stage in memory. `usd` writes it, reads it and checks it.

    /World            default prim; variant and defect in its custom data
      <body>          Xform: pose, mass; bodies screwed into it stand below it
        Geometry      Mesh: points, normals, st, material, labels
        Collision/…   the convex solids physics sees, for guidance only: renderers leave them out
      Materials/…  Lights/…  Camera  Physics
    /Render/Settings  size of the picture and its camera

Only schemas that come with OpenUSD: UsdGeom, UsdShade with UsdPreviewSurface, UsdLux, UsdPhysics,
UsdSemantics, UsdRender. Matrices act on columns here, on rows in USD.
"""

from __future__ import annotations

import math

import numpy as np

from breakthrough.errors import ConfigError, expected
from breakthrough.optional import require
from breakthrough.scenes import meshes
from breakthrough.scenes.camera import view_matrix
from breakthrough.scenes.meshes import Solid
from breakthrough.scenes.poses import Poses
from breakthrough.scenes.simulator import GRAVITY_M_S2
from breakthrough.scenes.spec import Body, Camera, Light, Material, SceneSpec, Vector

pxr = require("pxr", "scenes as OpenUSD")
from pxr import Gf, Kind, Sdf, Tf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdRender, UsdSemantics, UsdShade, Vt  # noqa: E402

WORLD, CAMERA, SETTINGS = "/World", "/World/Camera", "/Render/Settings"
RESERVED = {f"{WORLD}/{name}" for name in ("Materials", "Lights", "Camera", "Physics")}
TENTHS = 10.0  # USD counts what belongs to a lens in tenths of the stage's unit, here metres
SENSOR_M = 0.024  # height; the spec has a field of view only, so any will do
POINT_M = 0.001  # the radius a light without one gets
FRICTION = 0.7**2  # PyBullet multiplies the 0.7 of both bodies, others take the mean


def build(spec: SceneSpec, poses: Poses, textures_folder: str) -> Usd.Stage:
    """A stage that holds the scene; its textures are `textures_folder/<name>.png` beside the layer.

    Units:  metres, kilograms, z up
    Raises: UnknownNameError for a mesh that does not exist; ConfigError for bodies attached in a circle,
            or a light that shines on its own place
    """
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    world = UsdGeom.Xform.Define(stage, WORLD).GetPrim()
    stage.SetDefaultPrim(world)
    Usd.ModelAPI(world).SetKind(Kind.Tokens.assembly)
    defect = {"kind": spec.defect.kind, "place": spec.defect.place, "amount_m": spec.defect.amount_m}
    world.SetCustomDataByKey("breakthrough", {"variant": spec.variant, "defect": defect})
    _bodies(stage, spec, poses, _materials(stage, spec, textures_folder))
    UsdGeom.Scope.Define(stage, f"{WORLD}/Lights")
    for i, light in enumerate(spec.lights):
        _disc(stage, f"{WORLD}/Lights/{f'Fill_{i}' if i else 'Key'}", light)
    _emit(UsdLux.DomeLight.Define(stage, f"{WORLD}/Lights/Ambient"), spec.ambient_linear)
    _camera(stage, spec.camera)
    return stage


def paths(spec: SceneSpec) -> dict[str, str]:
    """Where every body of a scene stands in the stage, by its name; what it is fixed to comes before it.

    Raises: ConfigError for bodies attached in a circle
    """
    found: dict[str, str] = {}
    for body in spec.bodies:
        chain = [body]
        while chain[-1].attached_to is not None and chain[-1].attached_to not in found:
            chain.append(spec.bodies[spec.index(chain[-1].attached_to)])
            if chain[-1] in chain[:-1]:
                circle = " → ".join(link.name for link in chain)
                raise ConfigError(expected("attachments that end at a free body", circle, "attached_to=None for one of them"))
        for link in reversed(chain):
            if link.name not in found:
                found[link.name] = _free_path(found, found.get(link.attached_to or "", WORLD), link.name)
    return found


def _free_path(found: dict[str, str], parent: str, name: str) -> str:
    # two names may come to the same identifier: "nut-1" and "nut_1"
    stem = f"{parent}/{Tf.MakeValidIdentifier(name)}"
    taken = {*found.values(), *RESERVED, f"{parent}/Geometry", f"{parent}/Collision"}
    candidates = (f"{stem}_{n}" if n else stem for n in range(len(taken) + 1))
    return next(path for path in candidates if path not in taken)


def _bodies(stage: Usd.Stage, spec: SceneSpec, poses: Poses, surfaces: dict[Material, UsdShade.Material]) -> None:
    rough = _physics(stage)
    place = spec.defect.place if any(body.name == spec.defect.place for body in spec.bodies) else "bracket"
    for name, path in paths(spec).items():
        i = spec.index(name)
        body, world = spec.bodies[i], poses.matrix(i)
        if body.attached_to is not None:
            world = np.linalg.inv(poses.matrix(spec.index(body.attached_to))) @ world
        prim = _body(stage, path, body, world)
        surface = _surface(stage, f"{path}/Geometry", body, surfaces[body.material])
        # on the mesh, not above it: labels are inherited, and a bolt is no bracket
        _label(surface, "class", body.category)
        _label(surface, "instance", body.name)
        if spec.defect.kind != "none" and name == place:
            _label(surface, "defect", spec.defect.kind)
        _colliders(stage, prim, body, rough)


def _physics(stage: Usd.Stage) -> UsdShade.Material:
    scene = UsdPhysics.Scene.Define(stage, f"{WORLD}/Physics")
    scene.CreateGravityDirectionAttr(Gf.Vec3f(0, 0, -1))
    scene.CreateGravityMagnitudeAttr(GRAVITY_M_S2)
    material = UsdShade.Material.Define(stage, f"{WORLD}/Materials/Contact")
    contact = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    contact.CreateStaticFrictionAttr(FRICTION)
    contact.CreateDynamicFrictionAttr(FRICTION)
    contact.CreateRestitutionAttr(0.0)
    return material


def _body(stage: Usd.Stage, path: str, body: Body, local: np.ndarray) -> Usd.Prim:
    prim = UsdGeom.Xform.Define(stage, path).GetPrim()
    prim.SetDisplayName(body.name)
    free = body.attached_to is None
    Usd.ModelAPI(prim).SetKind(Kind.Tokens.component if free else Kind.Tokens.subcomponent)
    _pose(prim, local)
    if free and body.mass_kg > 0:
        UsdPhysics.RigidBodyAPI.Apply(prim)
        UsdPhysics.MassAPI.Apply(prim).CreateMassAttr(body.mass_kg)
    return prim


def _pose(prim: Usd.Prim, matrix: np.ndarray) -> None:
    # a move and a turn, in doubles: what simulators write back
    rows = Gf.Matrix4d(*matrix.T.ravel().tolist())
    form = UsdGeom.Xformable(prim)
    form.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(rows.ExtractTranslation())
    form.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(rows.ExtractRotationQuat().GetNormalized())


def _surface(stage: Usd.Stage, path: str, body: Body, material: UsdShade.Material) -> Usd.Prim:
    data, mesh = meshes.mesh(body.mesh), UsdGeom.Mesh.Define(stage, path)
    points = Vt.Vec3fArray.FromNumpy(data.vertices.astype(np.float32))  # (V, 3)
    mesh.CreatePointsAttr(points)
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(points))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(data.normals.astype(np.float32)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray(len(data.faces), 3))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(data.faces.astype(np.int32).ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex)
    st.Set(Vt.Vec2fArray.FromNumpy(data.uvs.astype(np.float32)))
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    return mesh.GetPrim()


def _label(prim: Usd.Prim, taxonomy: str, label: str) -> None:
    UsdSemantics.LabelsAPI.Apply(prim, taxonomy).CreateLabelsAttr([label])
    # what Omniverse Replicator read before OpenUSD had a schema for labels, and ovrtx still does
    prim.AddAppliedSchema(f"SemanticsAPI:{taxonomy}")
    for key, value in (("Type", taxonomy), ("Data", label)):
        name = f"semantic:{taxonomy}:params:semantic{key}"
        prim.CreateAttribute(name, Sdf.ValueTypeNames.String, custom=False).Set(value)


def _colliders(stage: Usd.Stage, prim: Usd.Prim, body: Body, rough: UsdShade.Material) -> None:
    solids = meshes.solids(body.mesh)
    if solids:
        UsdGeom.Scope.Define(stage, f"{prim.GetPath()}/Collision")
    for n, solid in enumerate(solids):
        shape = _solid(stage, f"{prim.GetPath()}/Collision/Solid_{n}", solid)
        shape.CreateExtentAttr(UsdGeom.Boundable.ComputeExtentFromPlugins(shape, Usd.TimeCode.Default()))
        shape.CreatePurposeAttr(UsdGeom.Tokens.guide)
        UsdPhysics.CollisionAPI.Apply(shape.GetPrim())
        UsdShade.MaterialBindingAPI.Apply(shape.GetPrim()).Bind(rough, materialPurpose="physics")


def _solid(stage: Usd.Stage, path: str, solid: Solid) -> UsdGeom.Gprim:
    place = np.eye(4)
    place[:3, 3] = solid.center_m
    if solid.kind == "box":
        cube = UsdGeom.Cube.Define(stage, path)
        cube.CreateSizeAttr(2.0)
        _pose(cube.GetPrim(), place)
        cube.AddScaleOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*solid.size_m))
        return cube
    cylinder = UsdGeom.Cylinder.Define(stage, path)
    cylinder.CreateAxisAttr(UsdGeom.Tokens.z)
    cylinder.CreateRadiusAttr(solid.size_m[0])
    cylinder.CreateHeightAttr(2 * solid.size_m[2])
    _pose(cylinder.GetPrim(), place)
    return cylinder


def _materials(stage: Usd.Stage, spec: SceneSpec, folder: str) -> dict[Material, UsdShade.Material]:
    UsdGeom.Scope.Define(stage, f"{WORLD}/Materials")
    distinct = dict.fromkeys(body.material for body in spec.bodies)
    return {
        one: _material(stage, f"{WORLD}/Materials/{Tf.MakeValidIdentifier(one.kind)}_{n}", one, folder)
        for n, one in enumerate(distinct)
    }


def _material(stage: Usd.Stage, path: str, one: Material, folder: str) -> UsdShade.Material:
    material = UsdShade.Material.Define(stage, path)
    surface = _shader(stage, f"{path}/Surface", "UsdPreviewSurface")
    colour = surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f)
    colour.Set(Gf.Vec3f(*one.base_linear))
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(one.roughness)
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(one.metallic)
    surface.CreateInput("useSpecularWorkflow", Sdf.ValueTypeNames.Int).Set(0)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    if one.texture is not None:
        colour.ConnectToSource(_texture(stage, path, one, f"./{folder}/{one.texture}.png"))
    return material


def _texture(stage: Usd.Stage, path: str, one: Material, file: str) -> UsdShade.Output:
    reader = _shader(stage, f"{path}/Coordinates", "UsdPrimvarReader_float2")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    picture = _shader(stage, f"{path}/Picture", "UsdUVTexture")
    picture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath(file))
    picture.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("sRGB")
    # the picture multiplies the colour
    picture.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(*one.base_linear, 1.0))
    picture.CreateInput("fallback", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(*one.base_linear, 1.0))
    for axis in ("wrapS", "wrapT"):
        picture.CreateInput(axis, Sdf.ValueTypeNames.Token).Set("repeat")
    coordinates = reader.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    picture.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(coordinates)
    return picture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)


def _shader(stage: Usd.Stage, path: str, name: str) -> UsdShade.Shader:
    shader = UsdShade.Shader.Define(stage, path)
    shader.CreateIdAttr(name)
    return shader


def _disc(stage: Usd.Stage, path: str, light: Light) -> None:
    distance = math.dist(light.position_m, light.target_m)
    if distance == 0:
        raise ConfigError(expected("a light that shines on another place than its own", light.position_m))
    radius = max(light.radius_m, POINT_M)
    disc = UsdLux.DiskLight.Define(stage, path)
    disc.CreateRadiusAttr(radius)
    disc.CreateNormalizeAttr(False)
    # a disc of radiance L gives its axis, at distance d, the irradiance π L r² / (r² + d²), and a white matt
    # surface sends back 1/π of that: it is white when L = (r² + d²) / r²
    red, green, blue = (power * (1 + (distance / radius) ** 2) for power in light.power_linear)
    _emit(disc, (red, green, blue))
    _pose(disc.GetPrim(), np.linalg.inv(view_matrix(Camera(light.position_m, light.target_m))))


def _emit(light: UsdLux.DiskLight | UsdLux.DomeLight, radiance: Vector) -> None:
    strongest = max(radiance)
    light.CreateIntensityAttr(strongest)
    light.CreateColorAttr(Gf.Vec3f(*(channel / strongest for channel in radiance)) if strongest > 0 else Gf.Vec3f(1))


def _camera(stage: Usd.Stage, camera: Camera) -> None:
    focal_m = 0.5 * SENSOR_M / math.tan(0.5 * camera.fov_rad)
    prim = UsdGeom.Camera.Define(stage, CAMERA)
    prim.CreateFocalLengthAttr(TENTHS * focal_m)
    prim.CreateVerticalApertureAttr(TENTHS * SENSOR_M)
    prim.CreateHorizontalApertureAttr(TENTHS * SENSOR_M * camera.width / camera.height)
    prim.CreateClippingRangeAttr(Gf.Vec2f(camera.near_m, camera.far_m))
    prim.CreateFocusDistanceAttr(math.dist(camera.eye_m, camera.target_m))
    prim.CreateFStopAttr(focal_m / (2 * camera.aperture_m) if camera.aperture_m > 0 else 0.0)  # 0: all sharp
    # the exposure that shows a radiance of 1 as white, for renderers with other defaults
    prim.CreateExposureIsoAttr(100.0)
    for create in (prim.CreateExposureTimeAttr, prim.CreateExposureFStopAttr, prim.CreateExposureResponsivityAttr):
        create(1.0)
    _pose(prim.GetPrim(), np.linalg.inv(view_matrix(camera)))
    UsdGeom.Scope.Define(stage, "/Render")
    settings = UsdRender.Settings.Define(stage, SETTINGS)
    settings.CreateResolutionAttr(Gf.Vec2i(camera.width, camera.height))
    settings.CreateCameraRel().SetTargets([CAMERA])
    stage.SetMetadata("renderSettingsPrimPath", SETTINGS)
