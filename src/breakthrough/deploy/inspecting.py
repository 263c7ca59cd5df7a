"""The inspector compiled twice, in float32 and in int8, and what each says of the test pictures beside PyTorch.

The float one has to be the same function: its numbers differ in the last digits. The int8 one is another function,
for activations have 8 bits too; what that costs is asked of the same pictures, before and after, in pairs.

Shape legend: M test pictures, C classes, S sound parts, h × w cells.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from breakthrough import artifacts, devices
from breakthrough.artifacts import Artifact
from breakthrough.deploy.conversion import MOST_ERROR, Error, build_net, export_net, largest_error
from breakthrough.deploy.latency import Latencies, measure
from breakthrough.deploy.opening import Source, open_source
from breakthrough.deploy.runtime import LIBRARY, WEIGHTS, Engine
from breakthrough.errors import ArtifactError, expected
from breakthrough.quant.handover import KIND as QUANTIZED
from breakthrough.quant.inspecting import BEFORE, Answers, pictures_of
from breakthrough.seeds import torch_generator
from breakthrough.train.pictures import Pictures, to_input

BATCHES = (1, 2, 4, 8, 16, 32)
VERSIONS = {"fp32": "tuned", "int8": "int8"}  # and the pipeline of each
CODES = "int8 in PyTorch"  # the weights in int8, computed in floats: what activations in 8 bits add to
TIMED = (1, 8)
RUNS, LIMIT_S = 400, 1.5  # a function, at each batch size


@dataclass(frozen=True, eq=False)
class Built:
    """An inspector as two compiled nets, and what was measured of them.

    `answers` has PyTorch's as "float32", those of the VERSIONS, and of int8 weights in PyTorch as CODES.

    Units:  errors are largest differences from PyTorch with the same weights; bytes of library and weights
    """

    folders: Mapping[str, Path]
    manifests: Mapping[str, dict[str, Any]]
    answers: Answers
    errors: Mapping[str, Mapping[str, float]]
    latencies: Mapping[int, Latencies]
    parents: tuple[Artifact, ...]
    kept: Any = None  # the folders are there as long as this is

    @property
    def bytes(self) -> dict[str, dict[str, int]]:
        """What has to be copied to where it runs."""
        return {name: {file: (folder / file).stat().st_size for file in (LIBRARY, WEIGHTS)} for name, folder in self.folders.items()}

    def engine(self, version: str) -> Engine:
        """One of them, ready to answer."""
        return Engine(self.folders[version])

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{'':16}{'library':>12}{'weights':>10}  right  {'gained (95%)':22}  same  largest error on noise, on pictures"
        for name in self.answers.logits:
            bytes_ = self.bytes.get(name, {})
            sizes = "".join(f"{bytes_[file]:{width},}" if bytes_ else width * " " for file, width in ((LIBRARY, 12), (WEIGHTS, 10)))
            row = f"{name:16}{sizes}  {100 * self.answers.accuracy(name).value:5.1f}"
            if name != BEFORE:
                row += f"  {self.answers.gained(name)!s:22}  {100 * self.answers.agreement(name).value:4.0f}"
            error = self.errors.get(name)
            yield row + (f"  {error['random']:.2g}, {error['pictures']:.2g}" if error else "")
        for batch, found in self.latencies.items():
            yield f"batch {batch}: {found}" if batch == min(self.latencies) else "\n".join([f"batch {batch}", *str(found).splitlines()[1:]])


def compile_inspector(
    quantized: Artifact | str | Path | None = None,
    *,
    pipelines: Mapping[str, str] = VERSIONS,
    batches: Sequence[int] = BATCHES,
    threads: int = 1,
    database: Path | None = None,
    runs: int = RUNS,
    test: Pictures | None = None,
) -> Built:
    """Compile a quantized inspector and the one that it was made from, and hold both against PyTorch.

    Without an argument it is the newest of kind "inspector_int8"; `test` are the pictures that all are asked for, by
    default those of its dataset. Nothing is tuned: schedules come from the project's
    records, and from `database` where it is given.

    Raises: ArtifactError when it is not whole, its inspector or dataset is not there, or the compiled float net does
            not answer as PyTorch does
    """
    codes = open_source(_quantized(quantized))
    if codes.parent is None:
        names = ", ".join(codes.artifact.parents if codes.artifact else ()) or "no parents"
        raise ArtifactError(expected(f"the inspector that {codes.name} was made from", names, "keeping module 3's artifact in the store"))
    sources = {"fp32": open_source(codes.parent), "int8": codes}
    kept = tempfile.TemporaryDirectory(prefix="breakthrough-")
    folders, manifests = {}, {}
    with devices.threads(threads):
        for name, net in sources.items():
            made = build_net(net, export_net(net, batches, pipelines[name]), pipelines[name], database=database, threads=threads)
            folders[name], manifests[name] = made.save(Path(kept.name, name)), made.manifest
        engines = {name: Engine(folder) for name, folder in folders.items()}
        answers, errors = held(sources, engines, pictures_of(codes.parent) if test is None else test)
        latencies = {batch: _timed(sources["fp32"], engines, batch, threads, runs) for batch in TIMED}
    made_from = (codes.parent,) if codes.artifact is None else (codes.artifact, codes.parent)
    return Built(folders, manifests, answers, errors, latencies, made_from, kept)


def held(sources: Mapping[str, Source], engines: Mapping[str, Any], pictures: Pictures) -> tuple[Answers, dict[str, dict[str, float]]]:
    """What engines say of pictures beside PyTorch, and how far each is from its own net, on noise and on pictures.

    Raises: ArtifactError when the float one is further away than rounding explains
    """
    x = to_input(torch.from_numpy(np.ascontiguousarray(pictures.images)))
    wanted = {name: [y.numpy() for y in net.answer(x)] for name, net in sources.items()}
    found = {name: engine(x.numpy()) for name, engine in engines.items()}
    errors = {}
    for name, net in sources.items():
        noise = largest_error(net, engines[name], engines[name].batches or TIMED, 1)
        shown = max(float(np.abs(got - want).max()) for got, want in zip(found[name], wanted[name]))
        errors[name] = {"random": noise.largest, "pictures": shown}
        _check(name, noise, shown)
    scores = {BEFORE: wanted["fp32"][0], "fp32": found["fp32"][0], "int8": found["int8"][0], CODES: wanted["int8"][0]}
    return Answers(pictures.labels, pictures.classes, scores), errors


def _check(name: str, noise: Error, shown: float) -> None:
    most = MOST_ERROR if name == "fp32" else math.inf
    worst = max(noise.largest, shown)
    if not math.isfinite(worst) or worst > most * max(1.0, noise.scale):
        raise ArtifactError(expected(f"{name} to answer as PyTorch does, within {most:g}", f"{worst:.3g} away", "the pipeline default"))


def _quantized(given: Artifact | str | Path | None) -> Artifact:
    found = artifacts.latest(QUANTIZED) if given is None else artifacts.load(given.folder if isinstance(given, Artifact) else given)
    if found.kind != QUANTIZED:
        raise ArtifactError(expected(f"an artifact of kind {QUANTIZED!r}", repr(found.kind), f"artifacts.latest({QUANTIZED!r})"))
    return found


def _timed(net: Source, engines: Mapping[str, Engine], batch: int, threads: int, runs: int) -> Latencies:
    x = net.draw(batch, torch_generator(0, "timed", batch))
    raw = x.numpy()
    calls = {"PyTorch": lambda: net.answer(x)} | {name: lambda engine=engine: engine(raw) for name, engine in engines.items()}
    return measure(calls, runs, threads=threads, limit_s=LIMIT_S)
