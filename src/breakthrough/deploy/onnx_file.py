"""A torch model as an ONNX file, its session in ONNX Runtime, and the way from the file to Relax.

Shape legend: B pictures or texts in a batch.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from breakthrough import files
from breakthrough.deploy.export import UPTO, Exported, TensorSpec, exported_program, output_specs, renamed, source_sha256
from breakthrough.deploy.places import places
from breakthrough.deploy.quiet import quiet
from breakthrough.deploy.refusals import ExportError, UnsupportedOpError
from breakthrough.errors import ArtifactError, ConfigError, expected
from breakthrough.optional import require

INPUT, BATCH = "x", "batch"
LAST = "try other operators on these lines; TVM may know them (to_relax)"
BROKEN = "exporting again"


def to_onnx(model: nn.Module, example: Tensor, path: str | Path, *, batch: str = "fixed", upto: int = UPTO) -> Path:
    """Write a model as one ONNX file, weights inside; checked, loaded by ONNX Runtime, then renamed to its path.

    A quantized model's codes stay codes, but for small weights, which torch.onnx works out beforehand.

    Shapes: example (B, …); the file's input is `x`, its outputs `y0`, `y1`, …, a dynamic batch is named `batch`
    Raises: UnsupportedOpError for operators that ONNX does not have, all of them; ExportError for what has no graph
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        require(name, "export to ONNX")
    import onnx

    target, program = Path(path), exported_program(model, example, batch=batch, upto=upto)
    specs = output_specs(program, None if batch == "dynamic" else len(example))
    written = _written(program, model, example, [spec.name for spec in specs])
    if batch == "dynamic":
        written.rename_axes({str(_first_dimension(program)): BATCH})
    with files.aside(target) as part:
        with quiet():
            written.save(str(part), external_data=False)
            onnx.checker.check_model(str(part), full_check=True)
        session(part)
    return target


def session(path: str | Path, threads: int = 1, *, profile: Path | None = None) -> Any:
    """An ONNX file in ONNX Runtime, on the CPU; with `profile`, a file's beginning, every node is timed into such a file.

    Raises: ArtifactError for a file that is not there or that it does not take
    """
    runtime = require("onnxruntime", "running ONNX")
    if threads < 1:
        raise ConfigError(expected("threads of at least 1", threads))
    if not Path(path).is_file():
        raise ArtifactError(expected("an ONNX file", f"none at {path}", "to_onnx(model, example, path)"))
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3  # errors
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ArtifactError(expected(f"an ONNX file that ONNX Runtime takes in {path}", _first_line(error), BROKEN)) from error


def answer(running: Any, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """What a session says. Shapes: x (B, …) → one (B, …) for each output."""
    return tuple(running.run(None, {running.get_inputs()[0].name: x}))


def from_onnx(path: str | Path, model: nn.Module | None = None) -> Exported:
    """An ONNX file as a Relax module: the same as `to_relax` gives, by another way.

    `model` is what the file was made from, for its name and hash; else the file's own.

    Raises: ArtifactError for a file that is not readable; UnsupportedOpError for operators that TVM does not know
    """
    require("tvm", "import of ONNX")
    onnx = require("onnx", "import of ONNX")
    from tvm.relax.frontend.onnx import from_onnx as importer

    try:
        proto = onnx.load(str(path))
    except Exception as error:
        raise ArtifactError(expected(f"an ONNX file in {path}", _first_line(error), BROKEN)) from error
    try:
        with quiet():
            module = importer(proto, keep_params_in_input=False)
    except Exception as error:
        with quiet():  # the importer goes, and complains that it has not ended
            traceback.clear_frames(error.__traceback__)
        raise ExportError(expected("an ONNX file that TVM's frontend takes", _first_line(error), "to_relax, without ONNX between")) from error
    inputs, outputs = (tuple(map(_spec, values)) for values in (proto.graph.input, proto.graph.output))
    return _as_exported(module, inputs, outputs, model, Path(path))


def _as_exported(module: Any, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], model: nn.Module | None, path: Path) -> Exported:
    from breakthrough.artifacts import sha256

    size = inputs[0].shape[0]
    name = "main" if size is None else f"batch_{size}"
    source = type(model).__name__ if model is not None else path.stem
    digest = source_sha256(model) if model is not None else sha256(path)
    classes = tuple(getattr(getattr(model, "config", None), "classes", ()))
    return Exported(renamed(module, name), {name: size}, inputs, outputs, source, digest, classes)


def _spec(value: Any) -> TensorSpec:
    import onnx

    kind = value.type.tensor_type
    shape = tuple(None if dim.dim_param else dim.dim_value for dim in kind.shape.dim)
    return TensorSpec(value.name, shape, str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)))


def _written(program: Any, model: nn.Module, example: Tensor, outputs: list[str]) -> Any:
    """torch's graph in ONNX, in memory; what it does not know named all at once."""
    try:
        with quiet():
            return torch.onnx.export(program, (), dynamo=True, verbose=False, input_names=[INPUT], output_names=outputs)
    except Exception as error:
        strict = lambda: _decomposed(exported_program(model, example, strict=True)).graph.nodes  # noqa: E731
        if missing := _missing(program):
            raise UnsupportedOpError(places(missing, strict), "ONNX's exporter", LAST) from error
        cause = error.__cause__ or error
        raise ExportError(expected("a graph that torch.onnx can write", _first_line(cause), "to_relax, without ONNX between")) from error


def _registry() -> Any:
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    return ONNXRegistry.from_torchlib()


def _decomposed(program: Any) -> Any:
    """The graph as torch.onnx breaks it up: into what ONNX has where it can."""
    from torch.onnx._internal.exporter import _decomp

    known: Any = _decomp.get_onnx_implemented_overloads(_registry())
    return program.run_decompositions(_decomp.create_onnx_friendly_decomposition_table(known))


def _missing(program: Any) -> list[Any]:
    with quiet():
        registry, ready = _registry(), _decomposed(program)
    return [node for node in ready.graph.nodes if node.op == "call_function" and not registry.is_registered(node.target)]


def _first_dimension(program: Any) -> Any:
    node = next(node for node in program.graph.nodes if node.op == "placeholder" and node.name == program.graph_signature.user_inputs[0])
    return node.meta["val"].shape[0]


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
