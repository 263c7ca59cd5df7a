"""One engine, requests that come by chance, batches: how many are served a second, and how long they wait. Simulated.

Shape legend: R requests
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from breakthrough.errors import ConfigError, InputError, expected

QUEUE = 64  # requests that may wait; whoever comes then is refused


@dataclass(frozen=True)
class Policy:
    """A batch starts when `most` wait, or the first of them has waited `wait_s`, and the engine is free."""

    most: int = 1
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        if self.most < 1 or self.wait_s < 0:
            raise ConfigError(expected("a batch of 1 or more, and no negative wait", self))


@dataclass(frozen=True)
class Run:
    """One batch: when it starts and ends, and which requests are in it. Units: seconds."""

    start_s: float
    end_s: float
    requests: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Served:
    """What became of the requests.

    Shapes: arrivals (R,), ascending; latency (R,), from a request's arrival to its answer, NaN where it was refused
    Units:  seconds
    """

    arrivals: np.ndarray
    latency: np.ndarray
    runs: tuple[Run, ...]

    @property
    def rate(self) -> float:
        """Requests answered a second, from the first arrival to the last answer."""
        return float(np.isfinite(self.latency).sum() / (self.runs[-1].end_s - self.arrivals[0]))

    @property
    def refused(self) -> float:
        """The share that found the queue full."""
        return float(np.isnan(self.latency).mean())

    def percentile(self, p: float) -> float:
        """Of those that were answered, the latency that a share p of them does not exceed."""
        return float(np.nanquantile(self.latency, p, method="inverted_cdf"))


def arrivals(rate: float, count: int, generator: np.random.Generator) -> np.ndarray:
    """Times of requests that know nothing of each other: a Poisson process.

    Shapes: → (R,), ascending
    Units:  rate in requests a second
    """
    if rate <= 0 or count < 1:
        raise InputError(expected("a rate above 0, a request or more", f"{rate} and {count}"))
    return np.cumsum(generator.exponential(1 / rate, count))


def service(measured: Mapping[int, float], most: int) -> dict[int, float]:
    """Seconds of every batch up to `most`: those measured, and between them the next larger one, to which it is filled up.

    Raises: InputError where nothing as large was measured
    """
    if not measured or max(measured) < most:
        raise InputError(expected(f"a time measured for {most} or more", sorted(measured)))
    return {size: measured[min(one for one in measured if one >= size)] for size in range(1, most + 1)}


def simulate(times: Sequence[float] | np.ndarray, policy: Policy, measured: Mapping[int, float], queue: int = QUEUE) -> Served:
    """Serve requests that arrive at these times, one batch after the other.

    Units:  `measured` seconds by batch size
    """
    seconds = service(measured, policy.most)
    times = np.asarray(times, dtype=float)
    latency, free = np.full(len(times), np.nan), 0.0
    runs: list[Run] = []
    waiting: list[int] = []
    for number, now in [*enumerate(times), (-1, np.inf)]:
        while waiting:
            full = times[waiting[policy.most - 1]] if len(waiting) >= policy.most else np.inf
            start = max(free, min(full, times[waiting[0]] + policy.wait_s))
            if start >= now:
                break
            batch, waiting = waiting[: policy.most], waiting[policy.most :]
            free = start + seconds[len(batch)]
            latency[batch] = free - times[batch]
            runs.append(Run(float(start), float(free), tuple(batch)))
        if number >= 0 and len(waiting) < queue:
            waiting.append(number)
    return Served(times, latency, tuple(runs))
