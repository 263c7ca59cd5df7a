"""The quantized inspector as an artifact: what module 4 hands to the modules after it.

    int8/quantized.safetensors, int8/quantized.json   one version: codes, scales and what stays in float32; and
    nf4/quantized.safetensors, nf4/quantized.json     what they are: scheme, configuration, every weight's format

Every weight's parts stand under its own name: `features.1.conv.0.weight.codes` and `….scale`. Each folder is
what `saving.load` reads; the inspector that they were made from is the artifact's parent, and is not needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError, expected, unknown
from breakthrough.quant.inspecting import BEFORE, VERSIONS, Shrunk, controls
from breakthrough.quant.saving import FACTS, WEIGHTS, load, save
from breakthrough.train.inspector import Inspector

KIND = "inspector_int8"
FILES = tuple(f"{version}/{name}" for version in VERSIONS for name in (WEIGHTS, FACTS))


def save_quantized(shrunk: Shrunk, *, metrics: Mapping[str, Any] | None = None, staff: bool = False) -> Artifact:
    """Save an inspector's quantized versions as an artifact, with what was measured before and after."""
    with tempfile.TemporaryDirectory() as aside:
        folders = [save(shrunk.models[version], Path(aside, version)) for version in VERSIONS]
        files = {f"{folder.name}/{name}": folder / name for folder in folders for name in (WEIGHTS, FACTS)}
        told = told_of(shrunk) | dict(metrics or {})
        return artifacts.save(KIND, files, metrics=told, parents=(shrunk.parent,), profile=shrunk.parent.profile, staff=staff)


def load_quantized_inspector(artifact: Artifact | str | Path, version: str = "int8") -> Inspector:
    """An inspector in "int8" or "nf4" of an artifact, its files verified, on the CPU, in evaluation mode.

    Raises: UnknownNameError for another version; ArtifactError when a file is missing, altered, or not what it
            should be
    """
    if version not in VERSIONS:
        raise unknown("version", version, VERSIONS)
    found = artifacts.load(artifact.folder if isinstance(artifact, Artifact) else artifact)
    if found.kind != KIND:
        raise ArtifactError(expected(f"an artifact of kind {KIND!r}", repr(found.kind), f"artifacts.latest({KIND!r})"))
    return cast(Inspector, load(found.folder / version, scheme=VERSIONS[version], model="Inspector"))


def told_of(shrunk: Shrunk) -> dict[str, Any]:
    """The figures of an inspector before and after, as plain data.

    Units:  shares from 0 to 1 with intervals of 95%; `gained` and `recall gained` are paired by picture; bytes
            of the weights with all scales, in memory
    """
    answers, sizes = shrunk.answers, shrunk.sizes
    told: dict[str, Any] = {"test": len(answers.labels), "margin": answers.margin(), "accuracy": answers.accuracy("int8").value}
    for name in (BEFORE, *VERSIONS):
        told[name] = answers.told(name) | {"bytes": sizes[name].bytes}
    for version in VERSIONS:
        told[version] |= {"scheme": VERSIONS[version], "saved": sizes[version].saved_whole(), "saved of the weights in codes": sizes[version].saved()}
    return told | {"controls": {version: _control(shrunk, version) for version in VERSIONS}}


def _control(shrunk: Shrunk, version: str) -> dict[str, list[float]]:
    """A version's controls, a number for each coin."""
    answers, names = shrunk.answers, controls(version)
    return {
        "accuracy": [answers.accuracy(name).value for name in names],
        "agreement": [answers.agreement(name).value for name in names],
        "usual change of a score": [answers.usual_change(name) for name in names],
    }
