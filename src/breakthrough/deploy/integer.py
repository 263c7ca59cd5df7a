"""The pipeline "int8": products of weights in integers, where the target has an instruction for them.

A net's convolutions and linear layers take int8 weights and activations of 8 bits on static scales; their
sums are of 32 bits, proved not to overflow. Everything between them stays in floating point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from breakthrough.deploy import integer_kernels as kernels, integer_rules, sites
from breakthrough.deploy.calibration import Scales
from breakthrough.deploy.choices import Chosen, Quantized, untouched
from breakthrough.deploy.instructions import Instruction, instruction_of
from breakthrough.deploy.sites import CONVOLUTION, Site
from breakthrough.deploy.weight_only import weight_only
from breakthrough.errors import InputError, expected


def integer(module: Any, scales: Scales | None, target: Any, *, keep: Callable[[Site], str] | None = None) -> Quantized:
    """Put integer products in the place of a module's convolutions and linear layers.

    A target without integer products gets int8 weights instead, and needs no scales. `keep` gives the reason
    why a product is to stay in floating point, or ""; without it that is `sites.few_outputs`.

    Raises: InputError when sums may overflow; UnknownNameError for a product that was not calibrated
    """
    instruction, found = instruction_of(target)
    if instruction is None:
        return replace(weight_only(module, bits=8, why=f"{found}: weights alone in int8", keep=keep), found=found)
    if scales is None:
        raise InputError(expected(f"scales for the integer products of {found}", "none", "calibrate()"))
    module = sites.canonical(module)
    chosen: dict[str, Chosen] = {}

    def change(builder: Any, site: Site) -> Any:
        reason = (keep or sites.few_outputs)(site)
        if reason:
            chosen[site.name] = Chosen(site.name, site.shape, "float32", reason, weight_bytes=site.weight.nbytes)
            return None
        made, bound, size = _product(builder, site, scales.grid(site.name, instruction), instruction)
        chosen[site.name] = Chosen(site.name, site.shape, "int8", found, bound, size)
        return made

    changed = sites.rewrite(module, change)
    return Quantized(changed, instruction, found, (*chosen.values(), *untouched(module)))


def scheduled(module: Any, instruction: Instruction) -> dict[Any, Any]:
    """The loop nests of a prepared module that have an integer product, with their schedules."""
    from tvm import tirx

    nests = ((v, f) for v, f in module.functions_items() if isinstance(f, tirx.PrimFunc))
    made = {variable: schedule(function, instruction) for variable, function in nests}
    return {variable: function for variable, function in made.items() if function is not None}


def schedule(function: Any, instruction: Instruction, params: dict[str, int] | None = None) -> Any:
    """A loop nest with an integer product, scheduled; None for any other."""
    from tvm import s_tir

    sch = s_tir.Schedule(function.with_attr("global_symbol", "main"))
    if not integer_rules.fits(sch):
        return None
    choice = params or integer_rules.params(sch, instruction)[0]
    integer_rules.schedule(sch, instruction, **choice)
    made = sch.mod["main"].with_attr("tirx.is_scheduled", True).with_attr("op_pattern", 8)
    name = function.attrs.get("global_symbol") if function.attrs else None
    return made.with_attr("global_symbol", name) if name else made.without_attr("global_symbol")


def _product(builder: Any, site: Site, grid: Any, instruction: Instruction) -> tuple[Any, int, int]:
    """The integer product of a site: quantized activations, packed codes, one multiplication and addition at the end."""
    from tvm import relax

    codes, scales = kernels.codes_of(site.weight)
    bound = kernels.check_sums(site.name, codes, grid)
    outputs = site.shape[-1]
    weight = kernels.packed(kernels.rows_of(codes) if site.kind == CONVOLUTION else codes, instruction)
    correction = codes.astype(np.int64).reshape(-1, outputs).sum(0) * grid.zero
    factor = (np.float32(grid.scale) * scales).astype(np.float32)
    full = (0, -outputs % instruction.lanes)
    factor, shift = np.pad(factor, full), np.pad((-correction * factor).astype(np.float32), full)
    quantized = partial(kernels.quantized, grid=grid, dtype=instruction.activation)
    q = builder.emit_te(lambda x: quantized(x), site.input, primfunc_name_hint="quantize")
    constants = [relax.const(x) for x in (weight, factor, shift)]
    if site.kind == CONVOLUTION:
        strides, padding = (tuple(map(int, x)) for x in (site.call.attrs.strides, site.call.attrs.padding))
        expression = partial(kernels.convolution, zero=grid.zero, window=site.shape[:2], stride=strides, padding=padding)
    else:
        expression = partial(kernels.linear, zero=grid.zero)
    y = builder.emit_te(lambda *args: expression(*args), q, *constants, primfunc_name_hint=f"{site.kind}_int8", primfunc_attrs={"op_pattern": kernels.FUSABLE})
    if full[1]:
        rank = len(site.call.ty.shape)
        y = builder.emit(relax.op.strided_slice(y, [rank - 1], [0], [outputs]))
    return y, bound, weight.nbytes
