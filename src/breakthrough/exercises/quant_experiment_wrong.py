"""Module 4: quantized inspectors that were handed over with one fault each, for the experiment's misconceptions."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.quant.affine import Affine
from breakthrough.quant.apply import quantize
from breakthrough.quant.handover import KIND, save_quantized
from breakthrough.quant.inspecting import VERSIONS, Shrunk, ask, pictures_of, shrink_inspector
from breakthrough.quant.keeping import KEEP
from breakthrough.quant.quantized import Format
from breakthrough.quant.saving import FACTS, WEIGHTS
from breakthrough.quant.schemes import SCHEMES, Scheme
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.handover import save_scenes
from breakthrough.scenes.pixels import every
from breakthrough.scenes.spec import DEFECTS
from breakthrough.seeds import torch_generator
from breakthrough.train.inspection import fit
from breakthrough.train.inspector import Inspector, InspectorConfig, save_inspector
from breakthrough.train.pictures import Pictures
from breakthrough.train.recipe import Recipe

SMALL = Settings(n=100, ranges="all", shard_images=50, size=32)
INT8_WEIGHTS, INT8_FACTS = f"int8/{WEIGHTS}", f"int8/{FACTS}"
RECIPE = Recipe(steps=60, batch_size=16)


@cache
def _home() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="quant-")  # gone when the process ends


@cache
def _made() -> tuple[Artifact, Inspector, Inspector]:
    """A small dataset, an inspector trained on it, and another of another seed; made once, in a store of its own."""
    with tempfile.TemporaryDirectory() as aside:
        dataset = make(Path(aside, "scenes"), SMALL)
        found = dataset.arrays()
        part = np.searchsorted((0.7, 0.8), found.scenes / (found.scenes.max() + 1), side="right")
        artifact = save_scenes(dataset, part, "tiny")
        pictures = Pictures(found.rgb, found.classes, DEFECTS, found.scenes, every(dataset)).take(part == 0)
    shutil.copytree(artifact.folder, Path(_home().name, artifact.id))
    one, other = (_trained(pictures, seed) for seed in (0, 1))
    return replace(artifact, folder=Path(_home().name, artifact.id)), one, other


def _trained(pictures: Pictures, seed: int) -> Inspector:
    model = Inspector(InspectorConfig(experts=4), torch_generator(seed, "inspector"))
    fit(model, pictures, RECIPE, seed)
    return model.eval()


def inspector(which: int = 0) -> Artifact:
    """A small inspector in the present store, its dataset beside it."""
    scenes, *models = _made()
    place = artifacts.store() / scenes.kind / scenes.id
    if not place.exists():
        shutil.copytree(scenes.folder, place)
    return save_inspector(models[which], {}, "tiny", parents=(scenes,))


@cache
def _shrunk() -> Shrunk:
    return shrink_inspector(inspector())


def shrunk(**versions: nn.Module) -> Shrunk:
    """A small inspector and its versions, some of them exchanged and asked again; its parent is in the present store."""
    found, parent = _shrunk(), inspector()
    asked = {name: model for name, model in versions.items() if model.prior.dtype == torch.float32}  # what pictures are in
    answers = replace(found.answers, logits={**found.answers.logits, **ask(asked, pictures_of(parent)).logits})
    return Shrunk({**found.models, **versions}, answers, parent)


def saved(metrics: Mapping[str, Any] | None = None, **versions: nn.Module) -> Artifact:
    """An artifact of a small inspector, some of its versions exchanged."""
    return save_quantized(shrunk(**versions), metrics=metrics)


def made(scheme: str | Scheme, which: int = 0) -> nn.Module:
    """The small inspector, or another, in a scheme."""
    return quantize(_made()[1:][which], scheme)


def stored(version: str, scheme: str | Scheme) -> Callable[[], Artifact]:
    """An artifact one version of which is in another scheme."""
    return lambda: saved(None, **{version: made(scheme)})


def in_format(version: str, format: Format, **more: Any) -> Callable[[], Artifact]:
    """An artifact one version of which is in a format of one's own, under the right name."""
    return stored(version, Scheme(VERSIONS[version], "", format, **more))


def quantized_too(version: str, rule: str) -> Callable[[], Artifact]:
    """An artifact one version of which has in codes what the scheme leaves alone."""
    return stored(version, replace(SCHEMES[version], keep=tuple(name for name in KEEP if name != rule)))


def rounded_first(version: str, name: str) -> Callable[[], Artifact]:
    """An artifact one version of which was made from a copy with a weight rounded that the scheme leaves alone."""

    def answer() -> Artifact:
        model = copy.deepcopy(_made()[1])
        weight = model.get_parameter(name).detach()
        weight.copy_(Affine(bits=8).quantize(weight).dequantize())
        return saved(None, **{version: quantize(model, version)})

    return answer


def exchanged() -> Artifact:
    """Each version under the other's name."""
    models = _shrunk().models
    return saved(int8=models["nf4"], nf4=models["int8"])


def of_another() -> Artifact:
    """Versions of another inspector than the parent."""
    return saved(int8=made("int8", 1), nf4=made("nf4", 1))


def of_another_shape() -> Artifact:
    """Versions of a net without experts."""
    dense = Inspector(InspectorConfig(), torch_generator(0))
    return saved(int8=quantize(dense, "int8"), nf4=quantize(dense, "nf4"))


def by_hand() -> Artifact:
    """NF4 without calibration and with float scales, int8 by a scheme of one's own: nothing is wrong with it."""
    return saved(nf4=made("nf4_single"), int8=made(Scheme("mine", "", Affine(axis=0))))


def resaved(change: Callable[[dict[str, Any]], dict[str, Any]] = dict, **how: Any) -> Artifact:
    """A good artifact's files, changed and saved again."""
    artifact = saved()
    files = {name: artifact.path(name) for name in artifact.files}
    told, parents = how.pop("metrics", artifact.metrics), how.pop("parents", artifact.parents)
    return artifacts.save(how.pop("kind", KIND), change(files), metrics=told, profile="tiny", parents=parents)


def told(name: str, **figures: Any) -> Callable[[], Artifact]:
    """An artifact whose metrics say something else of a version."""
    return lambda: resaved(metrics={**(good := saved().metrics), name: good[name] | figures})


def without_dataset() -> Artifact:
    """An inspector that does not say what it learned from."""
    parent = save_inspector(_made()[1], {}, "tiny")
    return resaved(parents=(parent,))


def half_in_floats() -> Artifact:
    """int8's files with one weight as floats, as if it had been forgotten."""
    name = "mixture.moe.down"

    def change(files: dict[str, Any]) -> dict[str, Any]:
        facts, tensors = json.loads(files[INT8_FACTS].read_text()), load_file(files[INT8_WEIGHTS])
        facts["weights"].pop(name)
        kept = {key: x for key, x in tensors.items() if not key.startswith(f"{name}.")} | {name: _made()[1].get_parameter(name).detach()}
        return files | written(facts, kept)

    return resaved(change)


def written(facts: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """int8's two files of other contents, their hash in order."""
    aside = Path(tempfile.mkdtemp(dir=_home().name))
    stamp = {"version": str(facts["version"]), "scheme": facts["scheme"]["name"], "model": facts["model"]["class"]}
    save_file(dict(tensors), aside / WEIGHTS, metadata=stamp)
    (aside / FACTS).write_text(json.dumps(facts | {"sha256": artifacts.sha256(aside / WEIGHTS)}))
    return {INT8_WEIGHTS: aside / WEIGHTS, INT8_FACTS: aside / FACTS}


def plain_state() -> Artifact:
    """The float weights under int8's name, as a state dict is saved."""
    return resaved(lambda files: files | {INT8_WEIGHTS: lambda path: save_file(_made()[1].to_files()[1], path)})


def without(name: str) -> Callable[[], Artifact]:
    """An artifact that lacks a file."""
    return lambda: resaved(lambda files: {key: path for key, path in files.items() if key != name})


def junk(name: str) -> Callable[[], Artifact]:
    """An artifact with a file that holds nonsense."""
    return lambda: resaved(lambda files: files | {name: lambda path: path.write_bytes(b"junk")})


def changed() -> Artifact:
    """A scale altered after the artifact was saved."""
    artifact = saved()
    with artifact.path(INT8_WEIGHTS).open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    return artifact
