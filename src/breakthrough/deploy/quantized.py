"""The quantized pipelines from an exported module to loops with their schedules, and the record of what was chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from breakthrough.deploy import functions, integer, tuning, weights
from breakthrough.deploy.calibration import Scales
from breakthrough.deploy.choices import Chosen
from breakthrough.deploy.instructions import instruction_of
from breakthrough.deploy.weight_only import weight_only
from breakthrough.deploy.weights import Lowered
from breakthrough.errors import InputError, expected

INT8, INT8_WEIGHTS, INT4_WEIGHTS = NAMES = ("int8", "int8_weights", "int4_weights")
BITS = {INT8_WEIGHTS: 8, INT4_WEIGHTS: 4}


def lower(module: Any, target: Any, database: Path | Iterable[Path] | None = None, *, pipeline: str = INT8, scales: Scales | None = None) -> Lowered:
    """Quantize a module's products, fuse, schedule, take the weights out.

    "int8" wants scales; a target without integer products gets int8 weights instead, and the record says why.

    Units:  the record `found` says which instruction the target has, `products` what became of each, of one function
    Raises: InputError without scales, or when sums may overflow
    """
    if pipeline not in NAMES:
        raise InputError(expected(f"a quantized pipeline: {', '.join(NAMES)}", repr(pipeline)))
    if pipeline == INT8 and scales is None and instruction_of(target)[0] is not None:
        raise InputError(expected("scales of activations for the pipeline int8", "none", "calibration=batches of training inputs"))
    records: list[tuple[tuple[Chosen, ...], str]] = []

    def one(alone: Any) -> Any:
        if pipeline == INT8:
            made = integer.integer(alone, scales, target)
        else:
            made = weight_only(alone, bits=BITS[pipeline])
        records.append((made.chosen, made.found))
        prepared = tuning.prepare(made.module, target)
        if made.instruction is None:
            return tuning.apply(prepared, target, database)
        own = integer.scheduled(prepared, made.instruction)
        applied = tuning.apply(prepared, target, database)
        for variable, function in own.items():
            applied.update_func(applied.get_global_var(variable.name_hint), function)
        return applied

    lifted, found = weights.lift(functions.apart(module, one))
    chosen, why = records[0]  # the same for every batch size
    return Lowered(lifted, found, {"found": why, "products": [asdict(one) for one in chosen]})
