"""Chains of tiny operators made one loop nest: a call costs half a microsecond, they a tenth of that.

A gathering head (maximum, difference, exp, sum, log, and the slices between) is a dozen operators over a
few hundred numbers. Neighbours of which only the last one's result is used elsewhere become one function.
"""

from __future__ import annotations

from typing import Any

from breakthrough import optional
from breakthrough.deploy import blocks

MOST_STEPS = 2048  # of one operator, to count as tiny


def merge_tiny(module: Any, name: str) -> Any:
    """Merge runs of tiny calls in one function of a module."""
    tvm = optional.require("tvm", "compiling")
    relax = tvm.relax
    main = module[name]
    blocks: list[Any] = []
    added: dict[Any, Any] = {}
    for block in main.body.blocks:
        bindings = list(block.bindings)
        for start, end in reversed(_runs(module, bindings, main.body)):
            function, arguments = _function(bindings[start:end])
            variable = tvm.ir.GlobalVar(f"fused_tiny{len(added)}_{name}")
            relax.expr._update_type(variable, function.ty)
            added[variable] = function
            last = bindings[end - 1].var
            call = tvm.ir.Call(variable, arguments, ret_ty=last.ty)
            bindings[start:end] = [relax.VarBinding(last, call)]
        kind = relax.DataflowBlock if isinstance(block, relax.DataflowBlock) else relax.BindingBlock
        blocks.append(kind(bindings))
    if not added:
        return module
    body = relax.SeqExpr(blocks, main.body.body)
    changed = module.clone()
    for variable, function in added.items():
        changed.update_func(variable, function)
    smaller = relax.Function(main.params, body, main.ret_ty, main.is_pure, main.attrs)
    changed.update_func(changed.get_global_var(name), smaller)
    return relax.transform.FuseTIR()(relax.transform.Normalize()(changed))


def _runs(module: Any, bindings: list[Any], body: Any) -> list[tuple[int, int]]:
    """Where tiny calls follow each other and only the last one's result leaves them, as (start, end)."""
    tiny = [_is_tiny(module, binding.value) for binding in bindings]
    last_use = _last_uses(bindings, body)
    runs, start = [], 0
    while start < len(bindings):
        end = start
        while end < len(bindings) and tiny[end]:
            end += 1
        while end - start > 1 and any(last_use[i] >= end for i in range(start, end - 1)):
            end -= 1
        if end - start > 1:
            runs.append((start, end))
        start = max(end, start + 1)
    return runs


def _last_uses(bindings: list[Any], body: Any) -> list[int]:
    """For every binding the place of the last one that reads it; beyond all of them when the result is read."""
    from tvm.relax import analysis

    found = [-1] * len(bindings)
    places = {binding.var: i for i, binding in enumerate(bindings)}
    for i, binding in enumerate(bindings):
        for variable in analysis.free_vars(binding.value):
            if variable in places:
                found[places[variable]] = i
    for variable in analysis.free_vars(body.body):
        if variable in places:
            found[places[variable]] = len(bindings)
    return found


def _is_tiny(module: Any, call: Any) -> bool:
    tvm = optional.require("tvm", "compiling")
    if not isinstance(call, tvm.ir.Call) or getattr(call.op, "name", "") != "relax.call_tir" or len(call.args) != 2:
        return False
    function = module[call.args[0]]
    schedule = tvm.s_tir.Schedule(function.with_attr("global_symbol", "main"))
    return blocks.is_plain(schedule) and blocks.is_static(schedule) and blocks.work(schedule) <= MOST_STEPS


def _function(bindings: list[Any]) -> tuple[Any, list[Any]]:
    """A primitive function of these bindings, and the arguments of its call; constants come in as arguments."""
    tvm = optional.require("tvm", "compiling")
    relax = tvm.relax
    inside = {binding.var for binding in bindings}
    params: list[Any] = []
    arguments: list[Any] = []

    def come_in(value: Any) -> Any:
        if isinstance(value, tvm.ir.Var) and value in inside:
            return value
        for param, argument in zip(params, arguments):
            if argument.same_as(value):
                return param
        params.append(relax.Var(f"p{len(params)}", value.ty))
        arguments.append(value)
        return params[-1]

    moved = []
    for binding in bindings:
        call = binding.value
        fields = [come_in(field) for field in call.args[1].fields]
        arguments_of = tvm.ir.Call(call.op, [call.args[0], relax.Tuple(fields)], call.attrs, call.ty_args)
        moved.append(relax.VarBinding(binding.var, arguments_of))
    out = relax.Var("out", bindings[-1].var.ty)
    moved[-1] = relax.VarBinding(out, moved[-1].value)
    body = relax.SeqExpr([relax.DataflowBlock(moved)], out)
    function = relax.Function(params, body, out.ty, True).with_attr("Primitive", True)
    return function, arguments
