"""A module of several functions, one for each batch size, taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MAIN = "main"


def apart(module: Any, change: Callable[[Any], Any]) -> Any:
    """Every entry function changed as the only one of a module, "main"; then all in one module again.

    The loop nests of each get its name behind theirs.
    """
    from tvm import IRModule, relax

    found: dict[Any, Any] = {}
    for name in entries(module):
        alone = IRModule({MAIN: module[name].with_attr("global_symbol", MAIN)})
        changed = change(alone)
        names = {var.name_hint: name if var.name_hint == MAIN else f"{var.name_hint}_{name}" for var in changed.get_global_vars()}
        for var, function in _renamed(changed, names):
            found[var] = function.with_attr("global_symbol", var.name_hint)
    together = IRModule(found)
    return relax.transform.Normalize()(together)


def entries(module: Any) -> list[str]:
    """The names of a module's Relax functions that are called from outside."""
    from tvm import relax

    functions = ((var.name_hint, function) for var, function in module.functions_items())
    return [name for name, function in functions if isinstance(function, relax.Function) and function.attrs and "global_symbol" in function.attrs]


def _renamed(module: Any, names: Mapping[str, str]) -> list[tuple[Any, Any]]:
    from tvm import ir, relax
    from tvm.relax.expr_functor import PyExprMutator, mutator

    old = {var.name_hint: var for var in module.get_global_vars()}
    new = {}
    for name, var in old.items():
        new[name] = ir.GlobalVar(names[name])
        relax.expr._update_type(new[name], var.ty)  # a new variable has no type until it is told

    @mutator
    class Rename(PyExprMutator):
        def visit_global_var_(self, op: Any) -> Any:
            return new[op.name_hint]

    renamed = []
    for var, function in module.functions_items():
        if isinstance(function, relax.Function):
            function = relax.Function(function.params, Rename().visit_expr(function.body), function.ret_ty, function.is_pure, function.attrs)
        renamed.append((new[var.name_hint], function))
    return renamed
