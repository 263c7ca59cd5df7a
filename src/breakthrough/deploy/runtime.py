"""Run a compiled net with neither torch nor the compiler: numpy, TVM's runtime library and the folder.

Shape legend: B pictures or texts, of any number: they are cut into the batch sizes that the library has.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from breakthrough.errors import ArtifactError, DtypeError, MissingDependency, ShapeError, expected

LIBRARY, WEIGHTS, MANIFEST = "model.so", "weights.safetensors", "manifest.json"
VERSION = 1
RUNTIME_VARIABLE = "BREAKTHROUGH_TVM_RUNTIME"  # the folder of libtvm_runtime.so, where TVM is not installed
ALIGNMENT = 64  # bytes, as TVM allocates
CPU, POOLED = 1, 2  # DLPack's device, the VM's allocator


class Engine:
    """A compiled net, called on arrays.

    Shapes: (B, …) of the manifest's input → (B, …), or a tuple where the net has several outputs
    Raises: ArtifactError when the folder is not whole; MissingDependency without TVM's runtime
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = verified(self.folder)
        ffi = runtime()
        self._ffi = ffi
        self._vm = ffi.load_module(str(self.folder / LIBRARY))["vm_load_executable"]()
        self._vm["vm_initialization"](CPU, 0, POOLED)
        arrays = read_weights(self.folder / WEIGHTS)
        self._kept = [arrays[name] for name in self.manifest["weights"]]  # the tensors look at them
        self._weights = [ffi.from_dlpack(x) for x in self._kept]
        functions = self.manifest["functions"]
        self._any = next((self._vm[name] for name, size in functions.items() if size is None), None)
        self._sized = {size: self._vm[name] for name, size in functions.items() if size is not None}

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes that the library has a function for."""
        return tuple(sorted(self._sized))

    def __call__(self, x: np.ndarray) -> Any:
        """The net's answer.

        Raises: ShapeError, DtypeError when x is not what the manifest says
        """
        self.check(x)
        if self._any is not None:
            return self._run(self._any, x)
        parts, at = [], 0
        while at < len(x):
            parts.append(self._padded(x[at : at + self.batches[-1]]))
            at += self.batches[-1]
        joined = tuple(np.concatenate(each) for each in zip(*parts)) if len(parts) > 1 else parts[0]
        return joined if len(joined) > 1 else joined[0]

    def check(self, x: np.ndarray) -> None:
        """Refuse an input that the net does not take."""
        spec = self.manifest["inputs"][0]
        rest = tuple(spec["shape"][1:])
        if x.ndim != len(rest) + 1 or tuple(x.shape[1:]) != rest or not len(x):
            raise ShapeError(expected(f"an array of shape (B, {', '.join(map(str, rest))})", tuple(x.shape)))
        if str(x.dtype) != spec["dtype"]:
            raise DtypeError(expected(f"numbers of {spec['dtype']}", x.dtype, f"x.astype({spec['dtype']!r})"))

    def _padded(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        n = len(x)
        size = next(size for size in self.batches if size >= n)
        if size > n:
            x = np.concatenate((x, np.zeros((size - n, *x.shape[1:]), x.dtype)))
        return tuple(y[:n] for y in self._run(self._sized[size], x, whole=True))

    def _run(self, function: Any, x: np.ndarray, *, whole: bool = False) -> Any:
        found = function(self._ffi.from_dlpack(aligned(x)), *self._weights)
        outputs = found if isinstance(found, self._ffi.Array) else (found,)
        arrays = tuple(np.from_dlpack(y).copy() for y in outputs)
        return arrays if whole or len(arrays) > 1 else arrays[0]


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a compiled model's manifest says.

    Raises: ArtifactError when it is not there, not readable or of another version
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = manifest["version"]
    except OSError as error:
        raise ArtifactError(expected(f"a compiled model in {folder}", f"no file {MANIFEST}", "breakthrough compile")) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(expected(f"a readable {MANIFEST} in {folder}", repr(error), "compiling again")) from error
    if found != VERSION:
        raise ArtifactError(expected(f"a manifest of version {VERSION} in {folder}", found, "compiling again"))
    return manifest


def verified(folder: Path) -> dict[str, Any]:
    """The manifest of a folder whose files are those that were written, for this kind of processor.

    Raises: ArtifactError naming the file that is missing or altered
    """
    manifest = read_manifest(folder)
    for name, wanted in manifest["sha256"].items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(expected(f"a compiled model in {folder}", f"no file {name}", "breakthrough compile"))
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted:
            raise ArtifactError(expected(f"{path} as it was written", "other bytes", "compiling again"))
    _check_processor(manifest["target"])
    return manifest


def _check_processor(target: dict[str, Any]) -> None:
    """Refuse code of another processor, which would end the process without a word."""
    triple = target.get("mtriple", "")
    if triple and not triple.startswith(platform.machine()):
        raise ArtifactError(expected(f"a library for {platform.machine()}", f"one for {triple}", "its C++ program under qemu, deploy.native"))
    info = Path("/proc/cpuinfo")
    has = set(info.read_text().split()) if info.is_file() else None
    missing = [name for name in target.get("needs", ()) if has is not None and name not in has]
    if missing:
        raise ArtifactError(expected(f"a processor with {', '.join(missing)}", f"this one without ({target.get('mcpu')} was meant)", "compiling again here"))


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, each read straight to where it stays. Needs no package: a length, a header, bytes."""
    found = {}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        for name, facts in header.items():
            file.seek(8 + length + facts["data_offsets"][0])
            found[name] = empty(facts["shape"], DTYPES[facts["dtype"]])
            if found[name].size:
                file.readinto(found[name].data.cast("B"))
    return found


DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1", "U32": "<u4", "BOOL": "|b1"}


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An array at an address that is a multiple of 64: compiled code loads whole cache lines."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def aligned(x: np.ndarray) -> np.ndarray:
    """A contiguous copy at such an address."""
    copy = empty(x.shape, x.dtype)
    copy[...] = x
    return copy


def runtime() -> Any:
    """TVM's foreign-function interface with the runtime library loaded, and no compiler.

    Raises: MissingDependency when it is not there
    """
    home = runtime_folder()
    ffi = _ffi()
    for name in ("libtvm_runtime.so", "libtvm_runtime_extra.so"):
        if (home / name).is_file():
            ctypes.CDLL(str(home / name), ctypes.RTLD_GLOBAL)
    return ffi


def runtime_folder() -> Path:
    """Where TVM's runtime library lies.

    Raises: MissingDependency when it is not found
    """
    given = os.environ.get(RUNTIME_VARIABLE)
    spec = None if given else importlib.util.find_spec("tvm")  # looks for the package, does not import it
    home = Path(given) if given else Path(spec.origin).parent / "lib" if spec and spec.origin else None
    if home is None or not (home / "libtvm_runtime.so").is_file():
        raise MissingDependency(expected("TVM's runtime library", home or "no package tvm", "pip install -e '.[deploy]'"))
    return home


def _ffi() -> Any:
    """tvm_ffi, without torch unless it is there already: it would import it, and with it 200 MB."""
    absent = "torch" not in sys.modules
    if absent:
        sys.modules["torch"] = None  # type: ignore[assignment]  # None there means: not to be imported
    try:
        import tvm_ffi
    finally:
        if absent:
            del sys.modules["torch"]
    return tvm_ffi
