"""A module's weights, taken out of its code: they lie beside the library, once for all batch sizes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SMALL = 256  # bytes: a constant up to this stays in the code


@dataclass(frozen=True, eq=False)
class Lowered:
    """A module ready for machine code, its weights, and what a quantized pipeline says of its products."""

    module: Any
    weights: dict[str, Any]
    products: Mapping[str, Any] = field(default_factory=dict)


def lift(module: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Every constant over SMALL bytes becomes a parameter after the inputs, the same ones in every function.

    Equal constants are one weight. Gives the module and its weights, in the order of the parameters.
    """
    from tvm import relax

    weights: dict[str, np.ndarray] = {}
    names: dict[str, str] = {}
    for _, function in module.functions_items():
        if isinstance(function, relax.Function):
            _collect(function, weights, names)
    if not weights:
        return module, {}
    changed = {var: _lifted(function, weights, names) for var, function in module.functions_items() if isinstance(function, relax.Function) and _is_entry(function)}
    for var, function in changed.items():
        module.update_func(var, function)
    return module, weights


def _is_entry(function: Any) -> bool:
    return bool(function.attrs and "global_symbol" in function.attrs)


def _key(data: np.ndarray) -> str:
    return hashlib.sha256(f"{data.shape} {data.dtype}".encode() + data.tobytes()).hexdigest()


def _collect(function: Any, weights: dict[str, np.ndarray], names: dict[str, str]) -> None:
    from tvm import ir, relax

    def visit(node: Any) -> None:
        if isinstance(node, ir.GenericConst):
            data = node.value.numpy()
            if data.nbytes > SMALL and _key(data) not in names:
                name = f"w{len(names):03d}"
                names[_key(data)] = name
                weights[name] = data

    relax.analysis.post_order_visit(function, visit)


def _lifted(function: Any, weights: dict[str, np.ndarray], names: dict[str, str]) -> Any:
    from tvm import relax
    from tvm.relax.expr_functor import PyExprMutator, mutator

    params = {name: relax.Var(name, relax.TensorType(w.shape, str(w.dtype))) for name, w in weights.items()}

    @mutator
    class Lift(PyExprMutator):
        def visit_generic_const_(self, op: Any) -> Any:
            data = op.value.numpy()
            return params[names[_key(data)]] if data.nbytes > SMALL else op

    body = Lift().visit_expr(function.body)
    attrs = {**dict(function.attrs or {}), "num_input": len(function.params)}
    lifted = relax.Function([*function.params, *params.values()], body, function.ret_ty, function.is_pure)
    return lifted.with_attrs(attrs)
