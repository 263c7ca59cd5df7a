"""A torch model as a Relax module: what the compiler takes.

Shape legend: B pictures or texts in a batch; a shape's first dimension is None where the batch may vary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough.deploy.converters import CONVERTERS
from breakthrough.errors import InputError, expected
from breakthrough.optional import require

UPTO = 64  # the largest dynamic batch


@dataclass(frozen=True)
class TensorSpec:
    """An input or output. The first dimension is None where the batch is dynamic."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Exported:
    """A model as a Relax module with its weights as constants: one function, or one for each of several batch sizes.

    `module` has the functions that `functions` names, each with its batch size (None: dynamic).
    """

    module: Any
    functions: dict[str, int | None]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    source: str
    source_sha256: str


def to_relax(model: nn.Module, example: Tensor, *, batch: str = "fixed", upto: int = UPTO) -> Exported:
    """Export a model through torch.export to Relax, for the batch of the example or for any.

    Shapes: example (B, …)
    """
    require("tvm", "export to Relax")
    from tvm.relax.frontend.torch import from_exported_program

    program = exported_program(model, example, batch=batch, upto=upto)
    module = from_exported_program(program, keep_params_as_input=False, custom_convert_map=dict(CONVERTERS))
    size = None if batch == "dynamic" else len(example)
    name = "main" if size is None else f"batch_{size}"
    with torch.no_grad():
        y = Plain(model)(example)
    outputs = y if isinstance(y, tuple) else (y,)
    return Exported(
        _renamed(module, name),
        {name: size},
        (TensorSpec("x", (size, *example.shape[1:]), _dtype(example)),),
        tuple(TensorSpec(f"y{i}", (size, *o.shape[1:]), _dtype(o)) for i, o in enumerate(outputs)),
        type(model).__name__,
        source_sha256(model),
    )


def together(parts: Sequence[Exported]) -> Exported:
    """Several exports of one model, each for its batch size, as one module.

    Raises: InputError when they are not of the same model
    """
    from tvm import IRModule

    first = parts[0]
    if any(part.source_sha256 != first.source_sha256 for part in parts):
        raise InputError(expected("exports of one model", "several models"))
    functions = {v.name_hint: f for part in parts for v, f in part.module.functions_items()}
    sizes = {name: size for part in parts for name, size in part.functions.items()}
    batchless = lambda specs: tuple(TensorSpec(s.name, (None, *s.shape[1:]), s.dtype) for s in specs)  # noqa: E731
    return Exported(IRModule(functions), sizes, batchless(first.inputs), batchless(first.outputs), first.source, first.source_sha256)


class Plain(nn.Module):
    """A model whose answer is tensors alone: a language model's without its routing."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Any:
        y = self.model(x)
        return y[0] if isinstance(y, tuple) and not all(isinstance(part, Tensor) for part in y) else y


def exported_program(model: nn.Module, example: Tensor, *, batch: str = "fixed", upto: int = UPTO) -> Any:
    """torch.export's graph of a model in evaluation mode."""
    dynamic = batch == "dynamic"
    shapes = ({0: torch.export.Dim("batch", min=1, max=upto)},) if dynamic else None
    if dynamic and len(example) < 2:  # a batch of one would be taken for a constant
        example = torch.cat((example, example))
    return torch.export.export(Plain(model).eval(), (example,), dynamic_shapes=shapes)


def source_sha256(model: nn.Module) -> str:
    """The hash of a model's class and state: which model a library was compiled from."""
    import hashlib

    digest = hashlib.sha256(type(model).__qualname__.encode())
    for name, x in model.state_dict().items():
        digest.update(f"{name} {tuple(x.shape)} {x.dtype}".encode())
        digest.update(x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _renamed(module: Any, name: str) -> Any:
    from tvm import IRModule, ir

    function = module["main"].with_attr("global_symbol", name)
    return IRModule({ir.GlobalVar(name): function})


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
