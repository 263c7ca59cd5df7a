"""A net found, compiled, held against PyTorch, timed and written: what `breakthrough compile` does.

Nothing is written where it was asked to be before the library has answered as the net does.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace as changed
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from breakthrough import devices, files
from breakthrough.deploy import native, pipelines, targets
from breakthrough.deploy.checking import tuple_of
from breakthrough.deploy.compile import Compiled, build
from breakthrough.deploy.export import UPTO, Exported, renamed, to_relax, together
from breakthrough.deploy.latency import Latencies, measure
from breakthrough.deploy.opening import Source, open_source
from breakthrough.deploy.runtime import LIBRARY, MANIFEST, WEIGHTS, Engine
from breakthrough.deploy.sites import canonical
from breakthrough.errors import ArtifactError, BreakthroughError, InputError, expected
from breakthrough.seeds import torch_generator

TUNED = "tuned"
EXACT = ("default", TUNED)  # pipelines that compute in float32
MOST_ERROR = 1e-4  # of them, of numbers up to 1 and of the largest where that is larger
ATTEMPTS = 3  # random inputs of each batch size
RUNS, LIMIT_S = 400, 1.0  # a function, at each batch size
TIMED = (1, 8)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Error:
    """How far the compiled net's numbers are from PyTorch's own.

    Units:  `largest` difference of any number, `scale` the largest number of PyTorch's, `inputs` random ones
    """

    largest: float
    scale: float
    inputs: int
    where: str

    def __str__(self) -> str:
        return f"{self.largest:.2g} on {self.inputs} random inputs, {self.where}; PyTorch's own numbers go up to {self.scale:.3g}"


@dataclass(frozen=True)
class Conversion:
    """A net that was compiled.

    Units:  bytes of each file and of the weights in float32; `latencies` by batch size, none where it does not run here
    """

    source: str
    folder: Path
    manifest: dict[str, Any]
    bytes: dict[str, int]
    weights_bytes: int
    error: Error | None
    latencies: dict[int, Latencies]
    seconds: float

    def lines(self) -> Iterator[str]:
        """What was made: functions, bytes, error, time."""
        about = self.manifest
        target, does = about["target"], pipelines.PIPELINES[about["pipeline"]].does
        sizes = ", ".join("any" if size is None else str(size) for size in about["functions"].values())
        yield f"{self.source}: {about['source']} for {target['name']} ({target.get('mcpu') or target.get('mtriple') or target['kind']}), {about['threads']} thread(s), in {self.seconds:.0f} s"
        yield f"pipeline {about['pipeline']}: {does}"
        yield f"batch sizes: {sizes}"
        for spec in (*about["inputs"], *about["outputs"]):
            yield f"  {spec['name']:8} {spec['dtype']:8} ({', '.join('B' if n is None else str(n) for n in spec['shape'])})"
        for name, size in self.bytes.items():
            note = f"   in float32 {self.weights_bytes:,}" if name == WEIGHTS else ""
            yield f"{name:24}{size:>12,} bytes{note}"
        yield f"largest error: {self.error}" if self.error else f"not run here: it is for {target['name']}; --bundle tries an aarch64 one out in qemu"
        for batch, found in self.latencies.items():
            yield f"batch {batch}"
            yield from (f"  {line}" for line in str(found).splitlines()[1:])
        yield str(self.folder)


def convert(
    source: str | Path,
    folder: str | Path,
    *,
    target: str = "cpu",
    pipeline: str = "default",
    batches: Sequence[int] | None = TIMED,
    threads: int = 1,
    database: str | Path | None = None,
    trials: int = 0,
    bundle: bool = False,
    runs: int = RUNS,
    progress: bool = False,
) -> Conversion:
    """Compile what `opening.open_source` finds, and write it to a folder, which may be one of a compiled net.

    `batches` of None is one function for any batch. With `trials`, schedules are searched for on this machine until
    the database has so many. With `bundle`, a C++ program and TVM's runtime lie in the folder too.

    Raises: UnknownNameError, InputError, ArtifactError for what is not there or does not fit; ArtifactError when the
            compiled net does not answer as PyTorch does; MissingDependency without a compiler
    """
    place, start = Path(folder), time.perf_counter()
    files.check_ours(place, (LIBRARY, MANIFEST), "a compiled net", "another --out")
    pipelines.pipeline(pipeline)
    chosen, records = targets.choose(target, threads=threads), _records(pipeline, target, database, trials)
    net = open_source(source)
    with devices.threads(threads):
        exported = export_net(net, batches, pipeline)
        if trials and records is not None:
            from breakthrough.deploy import tuning

            tuning.tune(exported.module, chosen.target, records, trials, bar=progress)
        try:
            made = build_net(net, exported, pipeline, target, records, threads)
        except RuntimeError as error:  # the compiler's own, many lines of C++
            said = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
            what = f"{net.name} to be compiled for {target} by the pipeline {pipeline}"
            raise BreakthroughError(expected(what, said, "--pipeline default; breakthrough --debug compile … shows all of it")) from error
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as aside:
            ready, off = _tried(net, made, Path(aside), bundle)
            latencies = _timed(net, ready, threads, runs) if target == "cpu" else {}
            seconds = time.perf_counter() - start
            files.replace_folder(ready, place)
    sizes = {path.name: path.stat().st_size for path in sorted(place.iterdir()) if path.name != MANIFEST}
    whole = sum(x.numel() * x.element_size() for x in net.model.state_dict().values())
    return Conversion(net.name, place, made.manifest, sizes, whole, off, latencies, seconds)


def export_net(net: Source, batches: Sequence[int] | None, pipeline: str = "default") -> Exported:
    """A net's graph for each of several batch sizes, or for any, its outputs by name.

    What a pipeline other than the default does to every graph, such as folding constants, is done before there are
    several: the same loops in half the time.

    Raises: InputError for batch sizes below 1, or none
    """
    sizes = None if batches is None else sorted(set(batches))
    if sizes is not None and (not sizes or sizes[0] < 1):
        raise InputError(expected("batch sizes of at least 1", sizes or "none", "--batch 1,8"))
    if sizes is None or len(sizes) > 1:
        made = to_relax(net.model, net.draw(2, torch_generator(0)), batch="dynamic", upto=max(UPTO, *(sizes or (2,))), name=net.kind)
        if pipeline != "default":
            made = changed(made, module=canonical(made.module))
        made = made if sizes is None else _for_each(made, sizes)
    else:
        made = to_relax(net.model, net.draw(sizes[0], torch_generator(0)), name=net.kind)
    return changed(made, outputs=tuple(changed(spec, name=name) for spec, name in zip(made.outputs, net.outputs)))


def _for_each(any_batch: Exported, sizes: Sequence[int]) -> Exported:
    """A graph for any batch as one for each size: the same loops as from torch's graph of that size, traced once."""
    from tvm import relax

    function = any_batch.module["main"]
    batch = function.params[0].ty.shape[0]
    parts = []
    for size in sizes:
        bound = relax.transform.BindSymbolicVars({batch: size}, "main")(any_batch.module)
        parts.append(changed(any_batch, module=renamed(relax.transform.CanonicalizeBindings()(bound), f"batch_{size}"), functions={f"batch_{size}": size}))
    return together(parts)


def build_net(net: Source, exported: Exported, pipeline: str, target: str = "cpu", database: Path | None = None, threads: int = 1) -> Compiled:
    """Compile an exported net, with what is to be known of it in the manifest.

    Where a pipeline wants the ranges of activations, they are measured on training inputs.
    """
    calibration = [x.numpy() for x in net.calibration()] if pipelines.pipeline(pipeline).calibrated else None
    about = {**net.about, "made_from": net.origin}
    return build(exported, target, pipeline, database=database, threads=threads, about=about, calibration=calibration)


def largest_error(net: Source, engine: Callable[[np.ndarray], Any], sizes: Sequence[int], attempts: int = ATTEMPTS) -> Error:
    """The largest difference of a compiled net from PyTorch on random inputs of every batch size."""
    generator, worst, scale = torch_generator(0, "held against PyTorch"), 0.0, 0.0
    for size in sizes:
        for _ in range(attempts):
            x = net.draw(size, generator)
            wanted, found = [y.numpy() for y in net.answer(x)], engine(x.numpy())
            for want, got in zip(wanted, tuple_of(found)):
                same = got.shape == want.shape and bool(np.isfinite(got).all())
                worst = max(worst, float(np.abs(got - want).max()) if same else math.inf)
                scale = max(scale, float(np.abs(want).max()))
    return Error(worst, scale, attempts * sum(sizes), f"batches of {', '.join(map(str, sizes))}")


def _tried(net: Source, made: Compiled, aside: Path, bundle: bool) -> tuple[Path, Error | None]:
    """The folder to hand over, and how far its answers are from PyTorch's: by this process, by the C++ program."""
    folder, error, manifest = made.save(aside / "model"), None, made.manifest
    sizes = [size for size in manifest["functions"].values() if size] or [1, 5]
    if manifest["target"]["name"] == "cpu":
        error = _held(largest_error(net, Engine(folder), sizes), manifest["pipeline"])
    if bundle:
        packed = native.bundle(folder, aside / "bundle")
        if not native.missing_tools(packed.machine):
            program = _held(largest_error(net, lambda x: packed.run(x).y, sizes[:1], 1), manifest["pipeline"])
            error = error or changed(program, where=f"{program.where} by {packed.machine.emulator or 'the program'}")
        folder = packed.folder
    return folder, error


def _held(error: Error, pipeline: str) -> Error:
    most = MOST_ERROR * max(1.0, error.scale) if pipeline in EXACT else math.inf
    if not error.largest <= most or math.isinf(error.largest):
        raise ArtifactError(expected(f"PyTorch's own answers within {most:.2g}", f"an error of {error}", "--pipeline default"))
    return error


def _timed(net: Source, folder: Path, threads: int, runs: int) -> dict[int, Latencies]:
    engine, found = Engine(folder), {}
    for batch in engine.batches or TIMED:
        if len(engine.batches) > 2 and batch not in TIMED:
            continue
        x = net.draw(batch, torch_generator(0, "timed", batch))
        raw = x.numpy()
        found[batch] = measure({"PyTorch": partial(net.answer, x), "compiled": partial(engine, raw)}, runs, threads=threads, limit_s=LIMIT_S)
    return found


def _records(pipeline: str, target: str, database: str | Path | None, trials: int) -> Path | None:
    if trials < 0:
        raise InputError(expected("trials of at least 0", trials))
    if (database and pipeline == "default") or (trials and pipeline != TUNED):
        raise InputError(expected("a pipeline with schedules of a database", pipeline, f"--pipeline {TUNED}"))
    if trials and target != "cpu":
        raise InputError(expected("this machine's processor to measure schedules on", f"the target {target}", "tuning on that machine"))
    if trials and database is None:
        raise InputError(expected("a file to keep measured schedules in", "none", "--database build/tuning.jsonl"))
    return Path(database) if database else None
