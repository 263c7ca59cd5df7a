"""The scales of activations, measured once on training inputs: static, one for a tensor.

Shape legend: B pictures or texts of a batch.

Numbers from `low` to `high` become integers. What lies outside is cut off: a range that follows every outlier
is wide and coarse, one that ignores too many cuts what matters. In an inspector a defect is the outlier: the
scores of one of 196 pictures moved 0.04 by the whole range, 0.10 by 99.99% of the values, 0.24 by 99.9%.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from breakthrough.deploy import sites
from breakthrough.deploy.export import Exported
from breakthrough.deploy.instructions import Instruction
from breakthrough.deploy.quiet import quiet
from breakthrough.errors import ConfigError, InputError, expected, unknown

METHODS = ("minmax", "percentile")
PERCENTILE = 99.99  # of a tensor's values above zero, and of those below, within the range of the method "percentile"
KEPT = 1 << 21  # values kept of each tensor


@dataclass(frozen=True)
class Grid:
    """How real numbers become integers: q = round(x / scale) + zero, cut to low … high."""

    scale: float
    zero: int
    low: int
    high: int

    def integers(self, x: np.ndarray) -> np.ndarray:
        """Numbers as integers on this grid, in the arithmetic that the kernels use."""
        q = np.rint(x.astype(np.float32) * np.float32(1 / self.scale)) + np.float32(self.zero)
        return np.clip(q, self.low, self.high).astype(np.int32)


@dataclass(frozen=True)
class Scales:
    """The range of the activations that enter every product, measured on `inputs` inputs.

    Units:  `ranges` maps a site to its lowest and highest value, zero between them
    Raises: ConfigError for a range that is none
    """

    ranges: Mapping[str, tuple[float, float]]
    method: str = METHODS[0]
    inputs: int = 0

    def __post_init__(self) -> None:
        """Refuse ranges without zero in them: padding has to be exact."""
        for name, (low, high) in self.ranges.items():
            if not (np.isfinite([low, high]).all() and low <= 0 <= high):
                raise ConfigError(expected(f"a range of {name} with zero in it", (low, high)))

    def grid(self, name: str, instruction: Instruction) -> Grid:
        """The integers of a site's activations, for an instruction.

        Raises: UnknownNameError for a site that was not calibrated
        """
        if name not in self.ranges:
            raise unknown("calibrated product", name, self.ranges)
        low, high = self.ranges[name]
        steps = instruction.high - instruction.low
        scale = (high - low) / steps or 1.0
        return Grid(scale, instruction.low + int(np.clip(round(-low / scale), 0, steps)), instruction.low, instruction.high)

    def times(self, factor: float) -> Scales:
        """The same with every range wider or narrower by a factor: a control that has to show a loss."""
        return Scales({k: (factor * low, factor * high) for k, (low, high) in self.ranges.items()}, self.method, self.inputs)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return {**asdict(self), "ranges": {name: list(pair) for name, pair in self.ranges.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scales:
        """The scales that `to_dict` wrote."""
        return cls({name: (low, high) for name, (low, high) in data["ranges"].items()}, data["method"], data["inputs"])


def calibrate(exported: Exported, batches: Iterable[Any], *, method: str = METHODS[0], percentile: float = PERCENTILE) -> Scales:
    """Run a net on training inputs and note the range of what enters every product.

    Shapes: batches of (B, …), arrays or tensors
    Units:  percentile counts only with the method of that name
    Raises: UnknownNameError for another method; InputError without inputs
    """
    if method not in METHODS:
        raise unknown("method of calibration", method, METHODS)
    if not 50 < percentile <= 100:
        raise ConfigError(expected("a percentile above 50, up to 100", percentile))
    seen: dict[str, list[np.ndarray]] = {}
    count = 0
    for size, found in _observe(exported, batches):
        count += size
        for name, values in found.items():
            seen.setdefault(name, []).append(values)
    if not count:
        raise InputError(expected("inputs to calibrate with, at least a batch", "none"))
    share = 100.0 if method == "minmax" else percentile
    return Scales({name: _range(parts, share) for name, parts in seen.items()}, method, count)


def _range(parts: list[np.ndarray], share: float) -> tuple[float, float]:
    """The range of a share of the values on either side of zero."""
    values = np.concatenate([part.ravel() for part in parts])
    values = values[:: max(1, len(values) // KEPT)] if share < 100 else values
    below, above = values[values < 0], values[values > 0]
    low = float(np.percentile(below, 100 - share)) if len(below) else 0.0
    return low, float(np.percentile(above, share)) if len(above) else 0.0


def _observe(exported: Exported, batches: Iterable[Any]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """What enters every product, batch by batch, in floating point on this machine."""
    import tvm
    from tvm import relax

    from breakthrough.deploy import targets, tuning

    target = targets.choose("cpu").target
    module = sites.canonical(exported.module)
    name, size = max(exported.functions.items(), key=lambda item: item[1] or np.inf)
    observer, names = sites.inputs_of(relax.transform.ToNonDataflow()(module)[name])
    module = tvm.IRModule({"main": observer.with_attr("global_symbol", "main")})
    with quiet():  # as in `compile.build`
        executable = tvm.compile(tuning.apply(module, target), target=target)
    machine = relax.VirtualMachine(executable, tvm.cpu())
    for batch in batches:
        array = np.ascontiguousarray(batch)
        for start in range(0, len(array), size or len(array)):
            part = array[start : start + (size or len(array))]
            whole = np.resize(part, (size or len(part), *part.shape[1:]))  # filled with the same inputs again
            found = machine["main"](tvm.runtime.tensor(whole))
            yield len(part), dict(zip(names, (x.numpy() for x in found)))
