"""From an exported net to a folder that runs without Python's help: library, weights, manifest.

    model.so              the code: one function for each batch size
    weights.safetensors   what the functions take after the input, by name
    manifest.json         inputs, outputs, functions, target, pipeline, hashes, versions
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from breakthrough import artifacts, files
from breakthrough.deploy import targets
from breakthrough.deploy.calibration import Scales, calibrate
from breakthrough.deploy.export import Exported
from breakthrough.deploy.pipelines import pipeline as pipeline_of
from breakthrough.deploy.quiet import quiet
from breakthrough.deploy.runtime import LIBRARY, MANIFEST, VERSION, WEIGHTS, Engine


@dataclass(frozen=True, eq=False)
class Compiled:
    """A net as machine code for a target, with its weights beside it.

    Shapes: weights name → array, in the order in which the functions take them after the input
    """

    executable: Any
    weights: dict[str, np.ndarray]
    manifest: dict[str, Any]
    linker: str | None = None

    def save(self, folder: str | Path) -> Path:
        """Write library, weights and manifest; aside, then renamed, so they are there whole or not at all.

        Raises: InputError for a folder with other files in it
        """
        target = Path(folder)
        files.check_ours(target, (LIBRARY, MANIFEST), "a compiled net")
        with files.folder_aside(target) as aside:
            self._write(aside)
        return target

    def engine(self, **options: Any) -> Engine:
        """The engine of this net, from a temporary folder: for a quick try in the same process."""
        folder = tempfile.TemporaryDirectory(prefix="breakthrough-")
        engine = Engine(self.save(Path(folder.name) / "model"), **options)
        folder.cleanup()  # all of it is loaded by now
        return engine

    def _write(self, folder: Path) -> None:
        options = {"cc": self.linker} if self.linker else {}
        with quiet():
            self.executable.export_library(str(folder / LIBRARY), **options)
        save_file({name: np.ascontiguousarray(x) for name, x in self.weights.items()}, folder / WEIGHTS)
        hashes = {name: artifacts.sha256(folder / name) for name in (LIBRARY, WEIGHTS)}
        text = json.dumps({**self.manifest, "sha256": hashes}, indent=1)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def build(
    exported: Exported,
    target: str = "cpu",
    pipeline: str = "default",
    *,
    database: Path | None = None,
    threads: int = 1,
    about: Mapping[str, Any] | None = None,
    calibration: Scales | Iterable[Any] | None = None,
) -> Compiled:
    """Compile an exported net.

    `about` is plain data that the manifest keeps for those who run the net, such as the names of its classes.

    `calibration` is what the pipeline int8 wants: batches of training inputs, or the scales that `calibrate` gave.

    Raises: UnknownNameError for a target or pipeline that is not there; InputError for int8 without calibration
    """
    import tvm

    way, chosen = pipeline_of(pipeline), targets.choose(target, threads=threads)
    scales = _scales(exported, calibration) if way.calibrated else None
    with quiet():  # a schedule's own pragmas are unknown to the code generator, which says so of each
        lowered = way.lower(exported.module, chosen.target, database, scales)
        executable = tvm.compile(lowered.module, target=chosen.target)
    manifest = {
        "version": VERSION,
        "source": exported.source,
        "source_sha256": exported.source_sha256,
        "inputs": [asdict(spec) for spec in exported.inputs],
        "outputs": [asdict(spec) for spec in exported.outputs],
        "functions": dict(exported.functions),
        "weights": list(lowered.weights),
        "target": _described(chosen),
        "pipeline": pipeline,
        "threads": threads,
        "about": dict(about or {}),
        **({"quantized": {**lowered.products, "scales": scales.to_dict() if scales else None}} if lowered.products else {}),
        "made_with": {name: version(name) for name in ("apache-tvm", "apache-tvm-ffi")},
    }
    return Compiled(executable, lowered.weights, manifest, chosen.linker)


def _scales(exported: Exported, calibration: Scales | Iterable[Any] | None) -> Scales | None:
    return calibration if calibration is None or isinstance(calibration, Scales) else calibrate(exported, calibration)


def _described(chosen: targets.Chosen) -> dict[str, Any]:
    facts = dict(chosen.target.export())
    needs = targets.needs(chosen.target) if facts["kind"] == "llvm" else []
    return {"name": chosen.name, **{k: v for k, v in facts.items() if k in ("kind", "mcpu", "mtriple", "num-cores")}, "needs": needs}
