"""Module 5: compiled inspectors that were handed over with one fault each, for the experiment's misconceptions.

Compiling takes seconds, so it is done once; what is wrong with an artifact is mostly a file altered or exchanged. What
has to be compiled wrong is compiled for any batch, which takes one function instead of six.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.deploy.conversion import build_net, export_net
from breakthrough.deploy.handover import KIND, save_compiled
from breakthrough.deploy.inspecting import Built, compile_inspector
from breakthrough.deploy.opening import Source, open_source
from breakthrough.deploy.runtime import LIBRARY, MANIFEST, WEIGHTS
from breakthrough.quant.handover import KIND as QUANTIZED, save_quantized
from breakthrough.quant.inspecting import shrink_inspector
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
TINY = InspectorConfig(widths=(16,), blocks=(1,))
RECIPE = Recipe(steps=60, batch_size=16)
SEEDS = (0, 1)
KINDS = (QUANTIZED, "inspector", "scenes")
Change = Callable[[dict[str, Any]], dict[str, Any]]


@cache
def _home() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="deploy-")  # gone when the process ends


@cache
def _made() -> tuple[Artifact, ...]:
    """Two small inspectors in int8, their parents and the dataset of both beside them, in a store of their own."""
    with artifacts.storing_in(Path(_home().name, "store")):
        dataset = make(Path(_home().name, "scenes"), SMALL)
        found = dataset.arrays()
        part = np.searchsorted((0.7, 0.8), found.scenes / (found.scenes.max() + 1), side="right")
        scenes = save_scenes(dataset, part, "tiny")
        pictures = Pictures(found.rgb, found.classes, DEFECTS, found.scenes, every(dataset)).take(part == 0)
        inspectors = [save_inspector(_trained(pictures, seed), {}, "tiny", parents=(scenes,)) for seed in SEEDS]
        return tuple(save_quantized(shrink_inspector(one)) for one in inspectors)


def _trained(pictures: Pictures, seed: int) -> Inspector:
    model = Inspector(TINY, torch_generator(seed, "inspector"))
    fit(model, pictures, RECIPE, seed)
    return model.eval()


def quantized(which: int = 0) -> Artifact:
    """A small inspector in int8 in the present store, its parents beside it."""
    found = _made()[which]
    for kind in KINDS:
        shutil.copytree(Path(_home().name, "store", kind), artifacts.store() / kind, dirs_exist_ok=True)
    return replace(found, folder=artifacts.store() / found.kind / found.id)


@cache
def built() -> Built:
    """The small inspector compiled, once, loops as they were written."""
    return compile_inspector(_made()[0], pipelines={"fp32": "default", "int8": "int8"}, runs=40)


def saved(change: Change = dict, **how: Any) -> Artifact:
    """A good artifact, some of its files changed."""
    quantized()
    artifact = save_compiled(built())
    files = {name: artifact.path(name) for name in artifact.files}
    changed, parents = change(files), how.pop("parents", artifact.parents)
    if changed == files and not how and parents == artifact.parents:
        return artifact
    metrics = how.pop("metrics", artifact.metrics)
    return artifacts.save(how.pop("kind", KIND), changed, metrics=metrics, profile="tiny", parents=parents)


def manifest(version: str, alter: Callable[[dict[str, Any]], Any]) -> Callable[[], Artifact]:
    """An artifact the manifest of a version of which says something else."""

    def change(files: dict[str, Any]) -> dict[str, Any]:
        name = f"{version}/{MANIFEST}"
        facts = json.loads(files[name].read_text())
        alter(facts)
        return files | {name: lambda path: path.write_text(json.dumps(facts))}

    return lambda: saved(change)


def entry(version: str, **facts: Any) -> Callable[[], Artifact]:
    """An artifact with other entries in a version's manifest."""
    return manifest(version, lambda found: found.update(facts))


def target(version: str, **facts: Any) -> Callable[[], Artifact]:
    """An artifact a version of which is for another machine."""
    return manifest(version, lambda found: found["target"].update(facts))


def another_hash(facts: dict[str, Any]) -> None:
    """A hash in the manifest that is of no file here."""
    facts["sha256"][LIBRARY] = "0" * 64


def version_from(version: str, other: str, *names: str) -> Callable[[], Artifact]:
    """An artifact one version of which has files of the other; all of them unless named."""

    def change(files: dict[str, Any]) -> dict[str, Any]:
        return files | {f"{version}/{name}": files[f"{other}/{name}"] for name in names or (LIBRARY, WEIGHTS, MANIFEST)}

    return lambda: saved(change)


def exchanged() -> Artifact:
    """Each version under the other's name."""
    names = {"fp32": "int8", "int8": "fp32"}
    return saved(lambda files: {f"{names[Path(name).parent.name]}/{Path(name).name}": path for name, path in files.items()})


def told(name: str, **figures: Any) -> Callable[[], Artifact]:
    """An artifact whose metrics say something else of a version."""

    def answer() -> Artifact:
        good = saved().metrics
        return saved(metrics={**good, name: {**good[name], **figures}})

    return answer


def without(name: str) -> Callable[[], Artifact]:
    """An artifact that lacks a file."""
    return lambda: saved(lambda files: {key: path for key, path in files.items() if key != name})


def junk(name: str, content: bytes = b"junk") -> Callable[[], Artifact]:
    """An artifact with a file that holds nonsense, its hash in order wherever one stands."""

    def change(files: dict[str, Any]) -> dict[str, Any]:
        version, file = name.split("/")
        changed = files | {name: lambda path: path.write_bytes(content)}
        return changed if file == MANIFEST else changed | {f"{version}/{MANIFEST}": _hashed(files, version, file, content)}

    return lambda: saved(change)


def _hashed(files: Mapping[str, Path], version: str, file: str, content: bytes) -> Callable[[Path], Any]:
    import hashlib

    facts = json.loads(files[f"{version}/{MANIFEST}"].read_text())
    facts["sha256"][file] = hashlib.sha256(content).hexdigest()
    return lambda path: path.write_text(json.dumps(facts))


def other_weights(version: str, alter: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Artifact]:
    """An artifact with other numbers in a version's weights, all hashes in order."""

    def change(files: dict[str, Any]) -> dict[str, Any]:
        aside = Path(_home().name, WEIGHTS)
        save_file({name: np.ascontiguousarray(alter(x)) for name, x in load_file(files[f"{version}/{WEIGHTS}"]).items()}, aside)
        content = aside.read_bytes()
        return files | {f"{version}/{WEIGHTS}": lambda path: path.write_bytes(content), f"{version}/{MANIFEST}": _hashed(files, version, WEIGHTS, content)}

    return lambda: saved(change)


class Wrapped(nn.Module):
    """A net with something before or after it, as people export it."""

    def __init__(self, net: nn.Module, before: Callable[[Tensor], Tensor] | None = None, after: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.net, self.before, self.after = net, before, after

    def forward(self, x: Tensor) -> Any:
        scores, cells = self.net(self.before(x) if self.before else x)
        return self.after(scores, cells) if self.after else (scores, cells)


@cache
def _compiled(name: str) -> Path:
    """A folder of a net that was altered before it was exported, for any batch; the manifest claims that it was not."""
    net = open_source(_made()[0].folder)
    right = open_source(cast(Artifact, net.parent))
    other = _altered(name, right)
    made = build_net(other, export_net(other, None), "default")
    folder = made.save(Path(_home().name, name))
    facts = json.loads((folder / MANIFEST).read_text())
    facts["source_sha256"] = built().manifests["fp32"]["source_sha256"]
    (folder / MANIFEST).write_text(json.dumps(facts))
    return folder


def _altered(name: str, right: Source) -> Source:
    if name == "another":
        return open_source(cast(Artifact, open_source(_made()[1].folder).parent))
    ways: dict[str, dict[str, Any]] = {
        "right": {},
        "prepared": {"before": lambda x: x / 255},
        "layout": {"before": lambda x: x.permute(0, 3, 1, 2)},
        "colours": {"before": lambda x: x.flip(1)},
        "shares": {"after": lambda scores, cells: (torch.softmax(scores, 1), cells)},
        "exchanged": {"after": lambda scores, cells: (cells, scores)},
    }
    wrapped = Wrapped(right.model, **ways[name]).eval()
    example = right.example.permute(0, 2, 3, 1) if name == "layout" else right.example
    return replace(right, model=wrapped, eager=wrapped, example=example)


def compiled(name: str) -> Callable[[], Artifact]:
    """An artifact whose float net was altered before it was compiled."""

    def answer() -> Artifact:
        folder = _compiled(name)
        artifact = saved(lambda files: files | {f"fp32/{file}": folder / file for file in (LIBRARY, WEIGHTS, MANIFEST)})
        return _remeasured(artifact) if name == "right" else artifact

    return answer


def _remeasured(artifact: Artifact) -> Artifact:
    """The same with the bytes of the files that it now has."""
    sizes = {name: artifact.path(f"fp32/{name}").stat().st_size for name in (LIBRARY, WEIGHTS)}
    metrics = {**artifact.metrics, "fp32": {**artifact.metrics["fp32"], "bytes": sizes}}
    files = {name: artifact.path(name) for name in artifact.files}
    return artifacts.save(KIND, files, metrics=metrics, profile="tiny", parents=artifact.parents)


def of_another() -> Artifact:
    """The parents name another inspector than the one that was compiled."""
    quantized()
    return saved(parents=(_made()[1], *_made()[1].parents))


def changed() -> Artifact:
    """A byte of the code altered after the artifact was saved."""
    artifact = saved()
    with artifact.path(f"fp32/{LIBRARY}").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    return artifact
