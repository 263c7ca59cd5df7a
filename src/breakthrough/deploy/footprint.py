"""What it takes to serve a net: memory of the process, bytes that have to be installed. With torch, and without.

Every way serves the same requests in a fresh process, which says its peak itself. Installed bytes are those of the
packages with all that they require, of the net's own files, and nothing of Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from breakthrough import optional, seeds
from breakthrough.deploy import native, nets
from breakthrough.deploy.compile import build
from breakthrough.deploy.export import to_relax
from breakthrough.deploy.variants import Job, of_torch, onnx_file
from breakthrough.errors import BreakthroughError, InputError, expected, unknown

GOAL = 1 / 5
TORCH, ONNX, TVM, PROGRAM = "torch, eager", "ONNX Runtime", "TVM runtime, Python", "TVM runtime, C++"


@dataclass(frozen=True)
class Footprint:
    """One process that served a net.

    Units:  the peak of its memory; bytes to install, of which `net_bytes` are the net's own; seconds from its start to
            its end with all answers; error is the largest against eager
    """

    name: str
    peak_bytes: int
    installed_bytes: int
    net_bytes: int
    process_s: float
    median_s: float
    error: float
    modules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Footprints:
    """All ways to serve one net. Units: requests that each process answered."""

    net: str
    requests: int
    rows: tuple[Footprint, ...]

    def __getitem__(self, name: str) -> Footprint:
        """One way. Raises: UnknownNameError."""
        for row in self.rows:
            if row.name == name:
                return row
        raise unknown("way to serve", name, (row.name for row in self.rows))

    def share(self, name: str, of: str = "peak_bytes") -> float:
        """A way's bytes over those of torch."""
        return getattr(self[name], of) / getattr(self[TORCH], of)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Footprints:
        """The footprints that `to_dict` wrote."""
        return cls(**{**data, "rows": tuple(Footprint(**{**row, "modules": tuple(row["modules"])}) for row in data["rows"])})

    def __str__(self) -> str:
        """A row a way."""
        lines = [f"{self.net}, {self.requests} requests each", f"{'':20} {'peak MB':>8} {'of torch':>8} {'to install MB':>13} {'of torch':>8} {'net kB':>7} {'process s':>9} {'ms':>7} {'error':>8}"]
        for row in self.rows:
            shares = [f"{self.share(row.name, of):8.3f}" for of in ("peak_bytes", "installed_bytes")]
            lines.append(f"{row.name:20} {row.peak_bytes / 1e6:8.1f} {shares[0]} {row.installed_bytes / 1e6:13.1f} {shares[1]} {row.net_bytes / 1e3:7.0f} {row.process_s:9.2f} {1e3 * row.median_s:7.3f} {row.error:8.1e}")
        return "\n".join(lines)


def footprints(name: str = "inspector", requests: int = 50, *, pipeline: str = "default", batch: int = 1, seed: int = 0) -> Footprints:
    """Serve a net in a fresh process of each way that is installed: torch first, then what goes without it.

    Raises: InputError for fewer than 1 request; BreakthroughError when a process fails
    """
    if requests < 1:
        raise InputError(expected("1 request or more", requests))
    net = nets.net(name)
    x, model = net.draw(batch, seeds.numpy_generator(seed, "inputs")), net.model()
    with tempfile.TemporaryDirectory(prefix="breakthrough-") as place:
        home = Path(place)
        np.save(home / "x.npy", x)
        wanted = of_torch(model)(x)
        weights = sum(t.numel() * t.element_size() for t in model.state_dict().values())
        rows = [_served(TORCH, "torch", name, requests, home, wanted, installed_bytes("torch", "safetensors", "numpy"), weights)]
        if optional.available("onnxruntime"):
            file = onnx_file(Job(model, x, x, home))
            rows.append(_served(ONNX, "onnx", str(file), requests, home, wanted, installed_bytes("onnxruntime", "numpy"), file.stat().st_size))
        compiled = build(to_relax(model, torch.from_numpy(x)), "cpu", pipeline).save(home / "compiled")
        size = folder_bytes(compiled)
        rows.append(_served(TVM, "tvm", str(compiled), requests, home, wanted, runtime_bytes(), size))
        if not native.missing_tools(native.HOST):
            rows.append(_program(compiled, home / "program", x, requests, wanted, size))
    return Footprints(name, requests, tuple(rows))


def installed_bytes(*packages: str) -> int:
    """What packages take on disk, with all that they require; nothing for one that is not installed."""
    return sum(sum(_file_bytes(file) for file in metadata.distribution(name).files or ()) for name in requirements(*packages))


def requirements(*packages: str) -> set[str]:
    """Packages and all that they require here, extras apart. Units: names as the package index has them."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: set[str] = set()
    left = [canonicalize_name(name) for name in packages]
    while left:
        name = left.pop()
        if name in found:
            continue
        try:
            lines = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:  # required on other machines only
            continue
        found.add(name)
        wanted = (Requirement(line) for line in lines)
        left += [canonicalize_name(one.name) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def runtime_bytes() -> int:
    """TVM's runtime libraries with the package that calls them from Python, numpy, and nothing of the compiler."""
    libraries = [path for path in native.runtime_libraries() if path.name != "libtvm_ffi.so"]  # the package has that one
    return installed_bytes("apache-tvm-ffi", "numpy") + sum(path.stat().st_size for path in libraries)


def folder_bytes(folder: Path) -> int:
    """All files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _file_bytes(file: metadata.PackagePath) -> int:
    path = Path(str(file.locate()))
    return path.stat().st_size if path.is_file() and path.suffix != ".pyc" else 0


def _served(name: str, way: str, what: str, requests: int, home: Path, wanted: np.ndarray, installed: int, net_bytes: int) -> Footprint:
    answer = home / f"{way}.npy"
    command = [sys.executable, "-m", "breakthrough.deploy.footprint_worker", way, what, str(home / "x.npy"), str(answer), str(requests)]
    done, took = _timed(lambda: subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}))
    if done.returncode:
        raise BreakthroughError(expected(f"a process that serves by {name}", (done.stderr.strip().splitlines() or ["nothing"])[-1]))
    told = json.loads(done.stdout.strip().splitlines()[-1])
    error = float(np.abs(np.load(answer) - wanted).max())
    return Footprint(name, told["peak_bytes"], installed + net_bytes, net_bytes, took, told["median_s"], error, tuple(told["modules"]))


def _program(compiled: Path, folder: Path, x: np.ndarray, requests: int, wanted: np.ndarray, size: int) -> Footprint:
    found = native.bundle(compiled, folder)
    answer, took = _timed(lambda: found.run(x, requests))
    error = float(np.abs(answer.y - wanted).max())
    return Footprint(PROGRAM, answer.peak_bytes, found.bytes, size, took, answer.median_s, error)


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.perf_counter()
    found = run()
    return found, time.perf_counter() - begin
