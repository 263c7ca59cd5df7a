"""A torch model as a Relax module: what the compiler takes.

Shape legend: B pictures or texts in a batch; a shape's first dimension is None where the batch may vary.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough.deploy import converters, places
from breakthrough.deploy.converters import CONVERTERS, Converter
from breakthrough.deploy.places import Place
from breakthrough.deploy.quiet import quiet
from breakthrough.deploy.refusals import ExportError, UnsupportedOpError, refused
from breakthrough.errors import BreakthroughError, ConfigError, InputError, ShapeError, expected, type_of, unknown
from breakthrough.optional import require

UPTO = 64  # the largest dynamic batch
BATCHES = ("fixed", "dynamic")


@dataclass(frozen=True)
class TensorSpec:
    """An input or output. The first dimension is None where the batch is dynamic."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Exported:
    """A model as a Relax module with its weights as constants: one function, or one for each of several batch sizes.

    `module` has the functions that `functions` names, each with its batch size (None: dynamic). `program` is
    torch's own graph, of the first function; `upto` the largest dynamic batch; `classes` what the scores are of.
    """

    module: Any
    functions: dict[str, int | None]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    source: str
    source_sha256: str
    classes: tuple[str, ...] = ()
    program: Any = None
    upto: int = UPTO


def to_relax(
    model: nn.Module,
    example: Tensor,
    *,
    batch: str = "fixed",
    upto: int = UPTO,
    name: str | None = None,
    own: Mapping[str, Converter] | None = None,
) -> Exported:
    """Export a model through torch.export to Relax, for the batch of the example or for any up to `upto`.

    `own` are converters for this one model, beside those that are registered.

    Shapes: example (B, …)
    Raises: UnsupportedOpError for operators that do not import, all of them; ExportError for what has no graph
    """
    require("tvm", "export to Relax")
    program = exported_program(model, example, batch=batch, upto=upto)
    size = None if batch == "dynamic" else len(example)
    function = "main" if size is None else f"batch_{size}"
    return Exported(
        renamed(_imported(program, model, example, {**CONVERTERS, **(own or {})}), function),
        {function: size},
        (TensorSpec("x", (size, *example.shape[1:]), _dtype(example)),),
        output_specs(program, size),
        name or type(model).__name__,
        source_sha256(model),
        tuple(getattr(getattr(model, "config", None), "classes", ())),
        program,
        upto,
    )


def together(parts: Sequence[Exported]) -> Exported:
    """Several exports of one model, each for its batch size, as one module.

    Raises: InputError when they are not of the same model
    """
    from tvm import IRModule

    if not parts or len({(part.source_sha256, part.source) for part in parts}) > 1:
        raise InputError(expected("exports of one model", f"{len(parts)} of several models" if parts else "none"))
    first = parts[0]
    module = IRModule({var: function for part in parts for var, function in part.module.functions_items()})
    sizes = {name: size for part in parts for name, size in part.functions.items()}
    inputs, outputs = (tuple(TensorSpec(s.name, (None, *s.shape[1:]), s.dtype) for s in specs) for specs in (first.inputs, first.outputs))
    return Exported(
        module, sizes, inputs, outputs, first.source, first.source_sha256, first.classes, first.program, first.upto
    )


class Plain(nn.Module):
    """A model whose answer is tensors alone: a language model's without its routing."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Any:
        y = self.model(x)
        return y[0] if isinstance(y, tuple) and not all(isinstance(part, Tensor) for part in y) else y


def exported_program(
    model: nn.Module, example: Tensor, *, batch: str = "fixed", upto: int = UPTO, strict: bool = False
) -> Any:
    """torch.export's graph of a model in evaluation mode, on the CPU; the model stays as it is.

    Shapes: example (B, …)
    Raises: ExportError for a model that has no graph, or whose outputs have no row for each row of the input
    """
    _check(model, example, batch, upto)
    dynamic = batch == "dynamic"
    shapes = ({0: torch.export.Dim("batch", min=1, max=upto)},) if dynamic else None
    if dynamic and len(example) < 2:  # a batch of one would be taken for a constant
        example = torch.cat((example, example))
    ready, x = _copied(model), example.cpu()
    export = lambda: torch.export.export(Plain(ready), (x,), dynamic_shapes=shapes, strict=strict)  # noqa: E731
    with torch.no_grad():
        _check_rows(Plain(ready)(x), len(x))
        try:
            with quiet():
                return export()
        except BreakthroughError:
            raise
        except Exception as error:
            raise refused(error, ready, upto, lambda: _fixed_at(ready, export)) from error


def source_sha256(model: nn.Module) -> str:
    """The hash of a model's class and state: which model a library was compiled from."""
    digest = hashlib.sha256(type(model).__qualname__.encode())
    for name, x in model.state_dict().items():
        digest.update(f"{name} {tuple(x.shape)} {x.dtype}".encode())
        digest.update(x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def renamed(module: Any, name: str) -> Any:
    """A module with its main function by another name, which the functions that it calls carry too."""
    from tvm import IRModule, ir, relax
    from tvm.relax.expr_functor import PyExprMutator, mutator

    names = {var.name_hint: name if var.name_hint == "main" else f"{name}_{var.name_hint}" for var in module.get_global_vars()}
    fresh = {old: ir.GlobalVar(new) for old, new in names.items()}
    for var in module.get_global_vars():
        relax.expr._update_type(fresh[var.name_hint], var.ty)

    @mutator
    class Rename(PyExprMutator):
        def visit_global_var_(self, op: Any) -> Any:
            return fresh[op.name_hint]

    functions = {}
    for var, function in module.functions_items():
        body = Rename().visit_expr(function) if isinstance(function, relax.Function) and len(names) > 1 else function
        public = bool(body.attrs and "global_symbol" in body.attrs)
        functions[fresh[var.name_hint]] = body.with_attr("global_symbol", names[var.name_hint]) if public else body
    return IRModule(functions, attrs=module.attrs)


def output_specs(program: Any, size: int | None) -> tuple[TensorSpec, ...]:
    """The outputs of torch's graph; `size` is the batch, None where it is dynamic.

    Raises: ExportError when another dimension than the first varies with the batch
    """
    node = next(node for node in program.graph.nodes if node.op == "output")
    values = [arg.meta["val"] for arg in node.args[0]]
    for value in values:
        if not all(isinstance(n, int) for n in value.shape[1:]):
            got = f"one of shape {places.described(value)}"
            raise ExportError(expected("outputs that vary with the batch in their first dimension alone", got, 'batch="fixed"'))
    return tuple(TensorSpec(f"y{i}", (size, *map(int, x.shape[1:])), _dtype(x)) for i, x in enumerate(values))


def _check(model: nn.Module, example: Tensor, batch: str, upto: int) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(expected("a model (torch.nn.Module)", type_of(model)))
    if not isinstance(example, Tensor):
        raise InputError(expected("an example input as a tensor (B, …)", type_of(example)))
    if example.ndim < 1 or not len(example):
        raise ShapeError(expected("an example of shape (B, …) with B of at least 1", tuple(example.shape)))
    if batch not in BATCHES:
        raise unknown("kind of batch", str(batch), BATCHES)
    if batch == "dynamic" and upto < max(2, len(example)):
        raise ConfigError(expected(f"upto of at least {max(2, len(example))}, the example's batch", upto))


def _copied(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode on the CPU: TVM's constants are views of torch's memory, and training goes on in it."""
    return copy.deepcopy(model).cpu().eval().requires_grad_(False)


def _fixed_at(model: nn.Module, export: Callable[[], Any]) -> list[Place]:
    with quiet(), places.batch_fixed_at(model) as found, contextlib.suppress(Exception):  # it fails as it did before
        export()
    return found


def _check_rows(y: Any, rows: int) -> None:
    outputs = y if isinstance(y, tuple) else (y,)
    got = [tuple(x.shape) if isinstance(x, Tensor) else type_of(x) for x in outputs]
    if not outputs or any(not isinstance(shape, tuple) or shape[:1] != (rows,) for shape in got):
        hint = "a wrapper that gives tensors alone"
        raise ExportError(expected(f"outputs that are tensors with a row for each of the {rows} of the input", got, hint))


def _imported(program: Any, model: nn.Module, example: Tensor, own: Mapping[str, Converter]) -> Any:
    """The program in Relax, with its unknown operators named first, and a place for whatever fails after that."""
    from tvm.relax.frontend.torch import from_exported_program

    strict = lambda: _decomposed(exported_program(model, example, strict=True)).graph.nodes  # noqa: E731
    ready, able = _decomposed(program), converters.known() | own.keys()
    if unknown_ones := [n for n in ready.graph.nodes if n.op == "call_function" and n.target.__name__ not in able]:
        raise UnsupportedOpError(places.places(unknown_ones, strict))
    try:
        with quiet():
            return from_exported_program(ready, keep_params_as_input=False, custom_convert_map=dict(own), run_ep_decomposition=False)
    except Exception as error:
        node = places.node_of_error(error)
        with quiet():  # the importer goes, and complains that it has not ended
            traceback.clear_frames(error.__traceback__)
        if node is None:
            raise ExportError(expected("a graph that TVM's frontend takes", f"{type(error).__name__}: {error}")) from error
        raise UnsupportedOpError(places.places([node], strict), why=_first_line(error)) from error


def _decomposed(program: Any) -> Any:
    with quiet():
        return program.run_decompositions()


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
