"""What happens to a net between export and machine code, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough.deploy import functions, weights
from breakthrough.errors import unknown


@dataclass(frozen=True)
class Pipeline:
    """A way from a Relax module to one whose loops are ready for machine code."""

    name: str
    does: str
    lower: Callable[[Any, Any, Path | None], tuple[Any, dict[str, Any]]]


def pipeline(name: str) -> Pipeline:
    """A pipeline by name.

    Raises: UnknownNameError
    """
    if name not in PIPELINES:
        raise unknown("pipeline", name, PIPELINES)
    return PIPELINES[name]


def _default(module: Any, target: Any, database: Path | None) -> tuple[Any, dict[str, Any]]:
    from tvm import relax, transform

    steps = [relax.transform.DecomposeOpsForInference(), relax.transform.CanonicalizeBindings(), relax.transform.FoldConstant()]
    return weights.lift(transform.Sequential(steps)(module))


def _tuned(module: Any, target: Any, database: Path | None) -> tuple[Any, dict[str, Any]]:
    from breakthrough.deploy import tuning

    def one(alone: Any) -> Any:
        return tuning.apply(tuning.prepare(alone, target), target, database)

    return weights.lift(functions.apart(module, one))


PIPELINES = {
    one.name: one
    for one in (
        Pipeline("default", "fused, every loop nest as it was written", _default),
        Pipeline("tuned", "channels last, with the schedules of a tuning database", _tuned),
    )
}
