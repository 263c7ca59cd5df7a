"""Scenes as OpenUSD files, which NVIDIA Omniverse and Blender open: written, read again, checked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from breakthrough.errors import InputError, ShapeError, expected, unknown
from breakthrough.files import aside
from breakthrough.optional import require
from breakthrough.scenes import textures
from breakthrough.scenes.camera import TO_OPENGL
from breakthrough.scenes.poses import Poses
from breakthrough.scenes.spec import SceneSpec
from breakthrough.scenes.usd_stage import build

pxr = require("pxr", "scenes as OpenUSD")
from pxr import Sdf, Tf, Usd, UsdGeom, UsdRender, UsdSemantics, UsdUtils, UsdValidation  # noqa: E402

LAYERS = (".usda", ".usdc", ".usd")  # text, binary, either
PACKAGE = ".usdz"  # a layer and its textures in one file
TWICE = "usdUtilsValidators:RootPackageValidator"  # a part of UsdzPackageValidator


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What an exported file holds, as numbers.

    Shapes: transforms body → world (4, 4) by the body's name; extrinsics (4, 4) world → camera (OpenCV axes);
            intrinsics (3, 3)
    Units:  metres, pixels
    """

    transforms: dict[str, np.ndarray]
    categories: dict[str, str | None]
    extrinsics: np.ndarray
    intrinsics: np.ndarray


def export(spec: SceneSpec, poses: Poses, path: str | Path) -> Path:
    """Write a scene as .usda, .usdc, .usd or .usdz; the textures of a layer go to `<stem>_textures` beside it.

    Files are written aside and renamed, the layer last: what stood there before stays whole until then.

    Raises: InputError for another suffix or a place that cannot be written; ShapeError when the poses are
            not those of the scene; UnknownNameError for a mesh or texture that does not exist; ConfigError
            for bodies attached in a circle, or a light that shines on its own place
    """
    path = Path(path)
    if path.suffix not in (*LAYERS, PACKAGE):
        raise InputError(expected("a path that ends in .usda, .usdc, .usd or .usdz", repr(str(path)), f"{path.stem or 'scene'}.usda"))
    _check_poses(spec, poses)
    names = sorted({body.material.texture for body in spec.bodies if body.material.texture is not None})
    for name in names:
        if name not in textures.NAMES:
            raise unknown("texture", name, textures.NAMES)
    folder = f"{path.stem}_textures"
    stage = build(spec, poses, folder)
    with _writing(path):
        if path.suffix == PACKAGE:
            _write_package(stage, names, folder, path)
        else:
            _write_layer(stage, names, path.parent / folder, path)
    return path


def read(path: str | Path) -> Contents:
    """Open an exported file again: where its bodies are, what they are, and its camera.

    Raises: InputError when the file does not open, or holds no camera with a size of picture
    """
    stage = _open(path)
    transforms, categories = {}, {}
    for prim in stage.Traverse():
        if name := _label(prim, "instance"):
            transforms[name] = _to_world(prim)
            categories[name] = _label(prim, "class")
    extrinsics, intrinsics = _camera_matrices(stage, path)
    return Contents(transforms, categories, extrinsics, intrinsics)


def check(path: str | Path) -> list[str]:
    """Run every validator that comes with OpenUSD, as `usdchecker` does, and list their errors and warnings.

    Those for packages, which `usdchecker` leaves out by default, run as well; other variants than the
    selected ones do not.

    Raises: InputError when the file does not open
    """
    stage = _open(path)
    registry = UsdValidation.ValidationRegistry()
    names = sorted(one.name for one in registry.GetAllValidatorMetadata() if not one.isSuite and one.name != TWICE)
    context = UsdValidation.ValidationContext([registry.GetOrLoadValidatorByName(name) for name in names])
    return [error.GetErrorAsString() for error in context.Validate(stage)]


def _check_poses(spec: SceneSpec, poses: Poses) -> None:
    count = len(spec.bodies)
    if poses.position_m.shape != (count, 3) or poses.orientation.shape != (count, 4):
        got = f"{poses.position_m.shape} and {poses.orientation.shape}"
        raise ShapeError(expected(f"poses of {count} bodies, ({count}, 3) and ({count}, 4)", got, "the poses of this scene"))
    for body, position, orientation in zip(spec.bodies, poses.position_m, poses.orientation):
        if not (np.isfinite(position).all() and abs(np.linalg.norm(orientation) - 1) < 1e-6):
            got = f"{position} and {orientation} for {body.name}"
            raise InputError(expected("finite positions and quaternions of unit length", got))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, Tf.ErrorException) as error:
        reason = _reason(error)
        raise InputError(expected(f"a place where {path} can be written", reason, "another folder")) from error


def _reason(error: Exception) -> str:
    # USD's own messages begin with addresses in its sources
    if isinstance(error, Tf.ErrorException):
        return "; ".join(dict.fromkeys(one.commentary.strip() for one in error.args)) or str(error)
    return str(error)


def _write_layer(stage: Usd.Stage, names: list[str], folder: Path, path: Path) -> None:
    for name in names:
        _write_picture(textures.texture(name), folder / f"{name}.png")
    with aside(path) as target:
        stage.GetRootLayer().Export(str(target))


def _write_picture(pixels: np.ndarray, path: Path) -> None:
    require("PIL", "writes the textures of a scene")
    from PIL import Image

    with aside(path) as target:
        Image.fromarray(pixels).save(target)


def _write_package(stage: Usd.Stage, names: list[str], folder: str, path: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        inner = Path(made) / f"{path.stem}.usdc"
        _write_layer(stage, names, inner.parent / folder, inner)
        with aside(path) as target:
            if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(inner)), str(target)):
                raise OSError(f"OpenUSD could not pack {path.name}")


def _open(path: str | Path) -> Usd.Stage:
    try:
        stage = Usd.Stage.Open(str(path))
        stage.Reload()  # another stage may hold this file as it was before
    except Tf.ErrorException as error:
        raise InputError(expected("a USD file that opens", _reason(error), "usd.export to write one")) from error
    return stage


def _label(prim: Usd.Prim, taxonomy: str) -> str | None:
    if not prim.HasAPI(UsdSemantics.LabelsAPI, taxonomy):
        return None
    return next(iter(UsdSemantics.LabelsAPI(prim, taxonomy).GetLabelsAttr().Get() or ()), None)


def _to_world(prim: Usd.Prim) -> np.ndarray:
    return np.array(UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default())).T


def _camera_matrices(stage: Usd.Stage, path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    settings = UsdRender.Settings.GetStageRenderSettings(stage)
    targets = settings.GetCameraRel().GetTargets() if settings else []
    camera = UsdGeom.Camera(stage.GetPrimAtPath(targets[0])) if targets else None
    if not camera:
        raise InputError(expected(f"render settings with a camera in {path}", "none", "a file that usd.export wrote"))
    width, height = settings.GetResolutionAttr().Get()
    focal = camera.GetFocalLengthAttr().Get() / camera.GetVerticalApertureAttr().Get() * height
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    return TO_OPENGL @ np.linalg.inv(_to_world(camera.GetPrim())), intrinsics
