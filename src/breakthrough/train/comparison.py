"""What the experiment found, as plain data, with its statistics.

Error bars are 95% confidence intervals over seeds from Student's t; differences are paired: the
two runs of one seed see the same batches in the same order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from breakthrough import files
from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.train.history import History, Point

# Student's t, 0.975 quantile, for 1, 2, 3 … degrees of freedom
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
         2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)
BASIS = ("flops", "time")


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with the half-width of its 95% confidence interval.

    Units:  those of the values; half is infinite for a single value, and None in `to_dict`
    """

    mean: float
    half: float
    values: tuple[float, ...]

    @property
    def verdict(self) -> str:
        """`below`, `above`, or `undecided`: where the interval lies from 0."""
        if self.mean + self.half < 0:
            return "below"
        return "above" if self.mean - self.half > 0 else "undecided"

    def to_dict(self) -> dict[str, Any]:
        """Plain data. JSON has no infinity: there, a single value has no half-width."""
        half = self.half if math.isfinite(self.half) else None
        return {"mean": self.mean, "half": half, "values": list(self.values)}

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.half:.4f}"


def estimate(values: Iterable[float]) -> Estimate:
    """The mean of one value per seed, and how far it can be trusted.

    Raises: ConfigError without values
    """
    values = tuple(map(float, values))
    if not values:
        raise ConfigError(expected("at least one value", "none"))
    if len(values) == 1:
        return Estimate(values[0], math.inf, values)
    freedom = len(values) - 1
    t = T_975[freedom - 1] if freedom <= len(T_975) else 1.96 + 2.5 / freedom  # 0.2% off at most
    return Estimate(mean(values), t * stdev(values) / math.sqrt(len(values)), values)


@dataclass(frozen=True)
class Comparison:
    """Dense against sparse over seeds, with the control that has no load balancing.

    Shapes: runs has a History per seed for each of `moe`, `dense`, `control`
    Units:  time_ratio is the time of a sparse training step over that of a dense one, measured
            interleaved; steps and control_steps are the lengths of the sparse runs; costs are
            parameters and forward FLOPs per token of a whole model
    """

    profile: str
    device: str
    seeds: tuple[int, ...]
    steps: int
    control_steps: int
    time_ratio: float
    costs: dict[str, dict[str, int]]
    runs: dict[str, tuple[History, ...]]

    def losses(self, arm: str, basis: str = "flops") -> Estimate:
        """Validation loss of `moe` or `dense` after equal active FLOPs, or after equal time.

        Units:  nats per byte
        """
        if basis not in BASIS:
            raise unknown("basis", basis, BASIS)
        longer = arm == "dense" and basis == "time"
        step = self.steps * self.time_ratio if longer else self.steps
        return estimate(run.loss_at(step) for run in self.runs[arm])

    def difference(self, basis: str = "flops") -> Estimate:
        """Sparse minus dense, paired by seed: below 0 the sparse model is better.

        Units:  nats per byte
        """
        pairs = zip(self.losses("moe", basis).values, self.losses("dense", basis).values)
        return estimate(a - b for a, b in pairs)

    def at(self, steps: int) -> Comparison:
        """The same experiment, had it been shorter: a prefix of a run is a fair run.

        Raises: ConfigError when the sparse runs were not that long
        """
        if not 0 < steps <= self.steps:
            raise ConfigError(expected(f"steps from 1 to {self.steps}", steps))
        return replace(self, steps=steps)

    def harm(self) -> Estimate:
        """Without load balancing minus with it, paired, at the control's last step.

        Units:  nats per byte; above 0 the lack of balancing harms
        """
        step, pairs = self.control_steps, zip(self.runs["control"], self.runs["moe"])
        return estimate(a.loss_at(step) - b.loss_at(step) for a, b in pairs)

    def collapse(self, arm: str) -> dict[str, Estimate]:
        """Load CV and dead experts of `moe` or `control` at the control's last step.

        Units:  the mean over blocks of the coefficient of variation; dead experts per block
        """
        points = [point_at(run, self.control_steps) for run in self.runs[arm]]
        cv = estimate(mean(point.load_cv) for point in points)
        return {"load_cv": cv, "dead": estimate(mean(point.dead) for point in points)}

    def realised_time_ratio(self) -> Estimate:
        """Training time of the dense run at its equal-time step over that of the sparse run.

        1 when the measured `time_ratio` held during the runs.
        """
        dense = [time_at(run, self.steps * self.time_ratio) for run in self.runs["dense"]]
        moe = [time_at(run, self.steps) for run in self.runs["moe"]]
        return estimate(a / b for a, b in zip(dense, moe))

    def summary(self) -> dict[str, Any]:
        """Every figure of the claim as plain data."""
        return {
            "profile": self.profile,
            "device": self.device,
            "seeds": list(self.seeds),
            "steps": self.steps,
            "time_ratio": self.time_ratio,
            "realised_time_ratio": self.realised_time_ratio().to_dict(),
            "costs": self.costs,
            **{f"equal_{basis}": self._contrast(basis) for basis in BASIS},
            "control": {arm: _plain(self.collapse(arm)) for arm in ("moe", "control")},
            "control_harm": self.harm().to_dict(),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        runs = {arm: [run.to_list() for run in runs] for arm, runs in self.runs.items()}
        return {**self.__dict__, "seeds": list(self.seeds), "runs": runs}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Comparison:
        """The comparison that `to_dict` wrote."""
        runs = {a: tuple(History.from_list(x) for x in runs) for a, runs in data["runs"].items()}
        return cls(**{**data, "seeds": tuple(data["seeds"]), "runs": runs})

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        files.write_text(Path(path), json.dumps(self.to_dict()))

    @classmethod
    def load(cls, path: str | Path) -> Comparison:
        """Read what `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    def _contrast(self, basis: str) -> dict[str, Any]:
        found = {arm: self.losses(arm, basis) for arm in ("moe", "dense")}
        found["difference"] = self.difference(basis)
        return _plain(found) | {"verdict": found["difference"].verdict}


def point_at(run: History, step: int) -> Point:
    """The evaluation nearest to a step."""
    return min(run, key=lambda point: abs(point.step - step))


def time_at(run: History, step: float) -> float:
    """The training time used up to a step, on the line between evaluations.

    Units:  seconds
    """
    steps = np.concatenate(([0], run.column("step")))
    return float(np.interp(step, steps, np.concatenate(([0.0], run.column("train_s")))))


def _plain(estimates: dict[str, Estimate]) -> dict[str, Any]:
    return {name: value.to_dict() for name, value in estimates.items()}
