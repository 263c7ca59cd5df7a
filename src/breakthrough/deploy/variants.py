"""One net made ready in many ways, each called alike: numpy in, numpy out, so many threads.

Shape legend: x (B, …) as the net takes it → y (B, …)
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from breakthrough import optional
from breakthrough.deploy.compile import build
from breakthrough.deploy.export import Exported, to_relax
from breakthrough.deploy.onnx_file import session, to_onnx
from breakthrough.deploy.runtime import Engine
from breakthrough.errors import unknown

MOST_ERROR = 1e-4  # of a variant in fp32, for answers of order 1; in proportion to larger ones
CALIBRATION = 32  # inputs
Answer = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Made:
    """A net that answers. Units: `bytes` of the files that it is served from, without the library that reads them."""

    run: Answer
    make_s: float
    bytes: int


@dataclass(frozen=True)
class Job:
    """What is to be made ready. Shapes: example (B, …), calibration a batch of other inputs."""

    model: nn.Module
    example: np.ndarray
    calibration: np.ndarray
    folder: Path
    threads: int = 1
    database: Path | None = None
    kept: dict[str, Exported] = field(default_factory=dict, compare=False, repr=False)

    @property
    def exported(self) -> Exported:
        """The net in TVM's form, traced once a job."""
        if "relax" not in self.kept:
            self.kept["relax"] = to_relax(self.model, torch.from_numpy(self.example))
        return self.kept["relax"]


@dataclass(frozen=True)
class Variant:
    """A way to make a net ready. `exact` ones compute in fp32 and are held to MOST_ERROR; `needs` is a package."""

    name: str
    make: Callable[[Job], tuple[Answer, int]]
    exact: bool = True
    needs: str = ""

    def made(self, job: Job) -> Made:
        """The net ready to answer, its first answer given: what is made on first use counts as making.

        Raises: what the way raises when it cannot take the net; MissingDependency
        """
        if self.needs:
            optional.require(self.needs, self.name)
        begin = time.perf_counter()
        run, nbytes = self.make(job)
        run(job.example)
        return Made(run, time.perf_counter() - begin, nbytes)


def variant(name: str) -> Variant:
    """A way by its name. Raises: UnknownNameError."""
    if name not in VARIANTS:
        raise unknown("variant", name, VARIANTS)
    return VARIANTS[name]


def of_torch(model: Callable[[torch.Tensor], torch.Tensor]) -> Answer:
    """A torch model as a function of arrays, without gradients."""

    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return run


def _eager(job: Job) -> tuple[Answer, int]:
    path = job.folder / "eager.safetensors"
    save_file({name: x.contiguous() for name, x in job.model.state_dict().items()}, path)
    return of_torch(job.model), path.stat().st_size


def _compiled(job: Job) -> tuple[Answer, int]:
    """torch.compile in a cache of its own, so that the time is that of compiling. Its files stay in that cache."""
    from torch._inductor.utils import fresh_cache

    torch._dynamo.reset()
    with fresh_cache(delete=False), torch._inductor.config.patch(compile_threads=1):
        run = of_torch(torch.compile(job.model))
        run(job.example)
    return run, sum(x.numel() * x.element_size() for x in job.model.state_dict().values())


def _onnx(job: Job) -> tuple[Answer, int]:
    path = onnx_file(job)
    return _session(path, job.threads), path.stat().st_size


def _onnx_int8(job: Job) -> tuple[Answer, int]:
    """Weights and activations in 8 bits, scales of activations from calibration; texts: scales from each input."""
    from onnxruntime import quantization

    source, target = onnx_file(job), job.folder / "model.int8.onnx"
    name = session(source).get_inputs()[0].name
    prepared = job.folder / "model.prepared.onnx"
    quantization.shape_inference.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    if job.example.dtype == np.float32:
        size = len(job.example)
        parts = [job.calibration[at : at + size] for at in range(0, len(job.calibration) - size + 1, size)]

        class Reader(quantization.CalibrationDataReader):
            def __init__(self) -> None:
                self.left = iter(parts)

            def get_next(self) -> dict[str, np.ndarray] | None:
                return next(({name: part} for part in self.left), None)

        quantization.quantize_static(str(prepared), str(target), Reader(), per_channel=True, weight_type=quantization.QuantType.QInt8)
    else:
        quantization.quantize_dynamic(str(prepared), str(target), weight_type=quantization.QuantType.QInt8, per_channel=True)
    return _session(target, job.threads), target.stat().st_size


def _tvm(pipeline: str) -> Callable[[Job], tuple[Answer, int]]:
    def make(job: Job) -> tuple[Answer, int]:
        compiled = build(job.exported, "cpu", pipeline, database=job.database, threads=job.threads, calibration=[job.calibration])
        folder = compiled.save(job.folder / pipeline)
        return Engine(folder), sum(path.stat().st_size for path in folder.iterdir())

    return make


def onnx_file(job: Job) -> Path:
    """The net as ONNX for the example's batch, written once a job."""
    path = job.folder / "model.onnx"
    if not path.is_file():
        to_onnx(job.model, torch.from_numpy(job.example), path)
    return path


def _session(path: Path, threads: int) -> Answer:
    running = session(path, threads)
    name = running.get_inputs()[0].name
    return lambda x: running.run(None, {name: x})[0]


def largest_error(run: Answer, reference: Answer, inputs: list[np.ndarray]) -> float:
    """The largest absolute difference of two nets' answers."""
    pairs: list[tuple[Any, Any]] = [(run(x), reference(x)) for x in inputs]
    return max(float(np.abs(y - wanted).max()) if np.isfinite(y).all() else float("inf") for y, wanted in pairs)


def allowed_error(reference: Answer, inputs: list[np.ndarray]) -> float:
    """How far two nets in fp32 may be apart: rounding grows with the answers."""
    return MOST_ERROR * max(1.0, *(float(np.abs(reference(x)).max()) for x in inputs))


def in_double(model: nn.Module) -> Answer:
    """The same net in float64: who is nearer to it has rounded less."""
    double = copy.deepcopy(model).double()

    def run(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return double(torch.from_numpy(x.astype(np.float64) if x.dtype == np.float32 else x)).numpy()

    return run


EAGER = "eager"
VARIANTS = {
    one.name: one
    for one in (
        Variant(EAGER, _eager),
        Variant("torch.compile", _compiled),
        Variant("ONNX Runtime", _onnx, needs="onnxruntime"),
        Variant("ONNX Runtime int8", _onnx_int8, exact=False, needs="onnxruntime"),
        Variant("TVM default", _tvm("default"), needs="tvm"),
        Variant("TVM tuned", _tvm("tuned"), needs="tvm"),
        Variant("TVM int8", _tvm("int8"), exact=False, needs="tvm"),
    )
}
