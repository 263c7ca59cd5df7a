"""The compiled inspector as an artifact: what module 5 hands to the capstone, and to a box beside the camera.

    fp32/model.so, fp32/weights.safetensors, fp32/manifest.json   one folder a version, as `runtime.Engine` reads it
    int8/model.so, int8/weights.safetensors, int8/manifest.json   and as the C++ program does

Machine code is for one kind of processor. The parents are what it was compiled from, so that another machine can
compile it again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.deploy.runtime import LIBRARY, MANIFEST, WEIGHTS, Engine, read_manifest, verified
from breakthrough.errors import ArtifactError, expected, unknown

if TYPE_CHECKING:
    from breakthrough.deploy.inspecting import Built
    from breakthrough.deploy.latency import Latencies

KIND = "compiled"
NAMES = ("fp32", "int8")
FOREIGN = re.compile("expected a (processor with|library for)")  # how runtime.verified refuses another processor's code
FILES = tuple(f"{version}/{name}" for version in NAMES for name in (LIBRARY, WEIGHTS, MANIFEST))


def save_compiled(built: Built, *, metrics: Mapping[str, Any] | None = None, staff: bool = False) -> Artifact:
    """Save a compiled inspector's versions as an artifact, with what was measured beside PyTorch."""
    files = {name: built.folders[Path(name).parent.name] / Path(name).name for name in FILES}
    told = told_of(built) | dict(metrics or {})
    return artifacts.save(KIND, files, metrics=told, parents=built.parents, profile=built.parents[0].profile, staff=staff)


def load_engine(artifact: Artifact | str | Path, version: str = "fp32", **options: Any) -> Engine:
    """The engine of a compiled inspector in "fp32" or "int8", its files verified. Needs neither torch nor the compiler.

    Raises: UnknownNameError for another version; ArtifactError when a file is missing or altered, or when this machine
            is not what it was compiled for: then `for_this_machine` compiles it again
    """
    return Engine(version_folder(artifact, version), **options)


def version_folder(artifact: Artifact | str | Path, version: str = "fp32") -> Path:
    """The folder of one version, which `breakthrough serve` and the C++ program take; all files verified.

    Raises: as `load_engine`, but for the machine
    """
    if version not in NAMES:
        raise unknown("version", version, NAMES)
    found = artifacts.load(artifact.folder if isinstance(artifact, Artifact) else artifact)
    if found.kind != KIND:
        raise ArtifactError(expected(f"an artifact of kind {KIND!r}", repr(found.kind), f"artifacts.latest({KIND!r})"))
    return found.folder / version


def for_this_machine(artifact: Artifact | str | Path | None = None) -> Artifact:
    """The artifact itself where this machine can run it; else what it was compiled from, compiled again here and saved.

    Without an argument it is the newest.

    Raises: ArtifactError when a file is altered, or what it was compiled from is not there
    """
    found = artifacts.latest(KIND) if artifact is None else artifacts.load(artifact.folder if isinstance(artifact, Artifact) else artifact)
    if not any(not_for_here(version_folder(found, version)) for version in NAMES):
        return found
    from breakthrough.deploy.inspecting import compile_inspector
    from breakthrough.quant.handover import KIND as QUANTIZED

    place = artifacts.parent_folder(found, QUANTIZED)
    if place is None:
        what = f"what {found.id} was compiled from, to compile it for this machine"
        raise ArtifactError(expected(what, ", ".join(found.parents) or "no parents", f"an artifact of kind {QUANTIZED!r} in the store"))
    pipelines = {version: read_manifest(found.folder / version)["pipeline"] for version in NAMES}
    return save_compiled(compile_inspector(place, pipelines=pipelines), metrics={"compiled again from": found.id}, staff=found.staff)


def not_for_here(folder: Path) -> str:
    """Why this machine cannot run a compiled net, or nothing.

    Raises: ArtifactError when it is not whole
    """
    try:
        verified(folder)
    except ArtifactError as error:
        if FOREIGN.search(str(error)):
            return str(error)
        raise
    return ""


def told_of(built: Built) -> dict[str, Any]:
    """The figures of a compiled inspector as plain data.

    Units:  shares from 0 to 1 with intervals of 95%; `gained` is paired by picture, against PyTorch in float32; errors
            are largest differences from PyTorch with the same weights; bytes of files; latencies in ms a call, with a
            percentile of None where the runs are too few to bound it
    """
    from breakthrough.quant.inspecting import BEFORE

    answers, latencies = built.answers, built.latencies
    some = next(iter(latencies.values()))
    told: dict[str, Any] = {"test": len(answers.labels), "machine": some.machine, "threads": some.threads}
    told[BEFORE] = answers.told(BEFORE) | {"latency": _latency(latencies, some.baseline)}
    for name in NAMES:
        told[name] = answers.told(name) | {
            "pipeline": built.manifests[name]["pipeline"],
            "bytes": built.bytes[name],
            "error": dict(built.errors[name]),
            "latency": _latency(latencies, name),
        }
    return told


def _latency(latencies: Mapping[int, Latencies], name: str) -> dict[str, Any]:
    """Percentiles by batch size, and how many times as fast as PyTorch in the same run."""
    found = {}
    for batch, each in latencies.items():
        samples, speed = each[name], each.speedup(name)
        percentiles = {f"p{round(100 * p)}_ms": q and 1e3 * q.value for p, q in ((p, samples.quantile(p)) for p in (0.5, 0.9, 0.99))}
        interval = {key: value if math.isfinite(value) else None for key, value in (("value", speed.value), ("low", speed.low), ("high", speed.high))}
        found[str(batch)] = {"runs": samples.runs, **percentiles, "p50_ms": 1e3 * samples.p50_s, "times as fast": interval}
    return found
