"""What happens to a net between export and machine code, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough.deploy import functions, weights
from breakthrough.deploy.weights import Lowered
from breakthrough.errors import unknown


@dataclass(frozen=True)
class Pipeline:
    """A way from a Relax module to one whose loops are ready for machine code.

    Units:  `lower` takes module, target, database and the scales of activations, which count where it is `calibrated`
    """

    name: str
    does: str
    lower: Callable[[Any, Any, Path | None, Any], Lowered]
    calibrated: bool = False


def pipeline(name: str) -> Pipeline:
    """A pipeline by name.

    Raises: UnknownNameError
    """
    if name not in PIPELINES:
        raise unknown("pipeline", name, PIPELINES)
    return PIPELINES[name]


def _default(module: Any, target: Any, database: Path | None, scales: Any) -> Lowered:
    from tvm import relax, transform

    steps = [relax.transform.DecomposeOpsForInference(), relax.transform.CanonicalizeBindings(), relax.transform.FoldConstant()]
    return Lowered(*weights.lift(transform.Sequential(steps)(module)))


def _tuned(module: Any, target: Any, database: Path | None, scales: Any) -> Lowered:
    from breakthrough.deploy import tuning

    def one(alone: Any) -> Any:
        return tuning.apply(tuning.prepare(alone, target), target, database)

    return Lowered(*weights.lift(functions.apart(module, one)))


def _quantized(name: str) -> Callable[[Any, Any, Path | None, Any], Lowered]:
    def lower(module: Any, target: Any, database: Path | None, scales: Any) -> Lowered:
        from breakthrough.deploy import quantized

        return quantized.lower(module, target, database, pipeline=name, scales=scales)

    return lower


PIPELINES = {
    one.name: one
    for one in (
        Pipeline("default", "fused, every loop nest as it was written", _default),
        Pipeline("tuned", "channels last, with the schedules of a tuning database", _tuned),
        Pipeline("int8", "products of 8-bit integers where the target has them, else weights of 8 bits", _quantized("int8"), calibrated=True),
        Pipeline("int8_weights", "weights in one byte, made real where they are used", _quantized("int8_weights")),
        Pipeline("int4_weights", "weights in half a byte, made real where they are used", _quantized("int4_weights")),
    )
}
