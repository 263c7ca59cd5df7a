"""Seconds a token against bytes moved: what claim C09 stands or falls with.

Shape legend: d model width, h = 8d/3 hidden width, L layers; a token meets 4 matrices a layer:
              (3d, d), (d, d), (2h, d), (d, h)

To answer one request, a decoder reads every weight once a token and does two operations with it: the time is
that of the reading. Measured here on matrices of decoders of many sizes, in many dtypes, in turns; then a line
through the sizes that no cache holds: seconds = overhead · matrices + bytes / bandwidth.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from breakthrough import devices
from breakthrough.errors import InputError, expected, unknown
from breakthrough.quant.matvec import KERNELS, serves
from breakthrough.seeds import torch_generator

CACHE_BYTES = 32 << 20  # where the system does not say
BEYOND = 2.0  # so many times the cache: no part worth mentioning stays in it from one token to the next
MATRICES = 4  # a layer


@dataclass(frozen=True)
class Decoder:
    """The matrices of a decoder that one token goes through."""

    d_model: int
    n_layers: int

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(out, in) of every matrix."""
        d, h = self.d_model, -(-8 * self.d_model // 3 // 64) * 64
        return [(3 * d, d), (d, d), (2 * h, d), (d, h)] * self.n_layers

    @property
    def weights(self) -> int:
        """How many there are."""
        return sum(rows * columns for rows, columns in self.shapes)


SIZES = {
    "tiny": tuple(Decoder(128, layers) for layers in (2, 8)),
    "quick": (Decoder(256, 2), Decoder(256, 8), Decoder(512, 8), Decoder(512, 24), Decoder(768, 12), Decoder(1024, 12)),
    "full": (Decoder(256, 2), Decoder(512, 8), Decoder(512, 24), Decoder(768, 12), Decoder(1024, 12), Decoder(1024, 24), Decoder(2048, 12), Decoder(2048, 24)),
}


@dataclass(frozen=True)
class Timing:
    """One decoder's token by one kernel.

    Units:  `bytes` of weights, scales included: what has to be read at least; seconds of every repeat
    """

    kernel: str
    weights: int
    matrices: int
    bytes: int
    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """The median repeat."""
        return median(self.seconds)


@dataclass(frozen=True)
class Fit:
    """A line through the timings of one kernel: seconds = overhead_s · matrices + bytes / bandwidth.

    Units:  bandwidth in bytes a second, low and high are the least and the most of single repeats, each with the
            line's overhead; error is the largest relative distance of a median from it; `points` sizes were fitted
    """

    kernel: str
    bandwidth: float
    overhead_s: float
    low: float
    high: float
    error: float
    points: int

    def seconds(self, nbytes: float, matrices: int = 0) -> float:
        """The line at so many bytes."""
        return self.overhead_s * matrices + nbytes / self.bandwidth


@dataclass(frozen=True)
class Latencies:
    """All timings of a machine, with its bandwidth measured by reading alone.

    Units:  bandwidth in bytes a second, cache in bytes
    """

    device: str
    threads: int
    bandwidth: float
    cache_bytes: int
    timings: tuple[Timing, ...]

    @property
    def kernels(self) -> tuple[str, ...]:
        """The kernels that ran."""
        return tuple(dict.fromkeys(timing.kernel for timing in self.timings))

    def of(self, kernel: str) -> list[Timing]:
        """The timings of one kernel, by size.

        Raises: UnknownNameError for a kernel that did not run
        """
        if kernel not in self.kernels:
            raise unknown("kernel", kernel, self.kernels)
        return sorted((timing for timing in self.timings if timing.kernel == kernel), key=lambda timing: timing.bytes)

    def fit(self, kernel: str) -> Fit:
        """The line through the sizes beyond the cache, the largest two where too few are.

        Raises: UnknownNameError for a kernel that did not run
        """
        found = self.of(kernel)
        beyond = [timing for timing in found if timing.bytes >= BEYOND * self.cache_bytes]
        return fit_line(beyond if len(beyond) >= 2 else found[-2:])

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Latencies:
        """The latencies that `to_dict` wrote."""
        timings = tuple(Timing(**{**row, "seconds": tuple(row["seconds"])}) for row in data["timings"])
        return cls(**{**data, "timings": timings})

    def __str__(self) -> str:
        """The lines that were fitted."""
        head = f"{self.device}, {self.threads} thread(s): reading alone {self.bandwidth / 1e9:.1f} GB/s, cache {self.cache_bytes >> 20} MiB"
        rows = [self.fit(kernel) for kernel in self.kernels]
        lines = [
            f"{one.kernel:22} {one.bandwidth / 1e9:7.1f} GB/s ({one.low / 1e9:.1f} to {one.high / 1e9:.1f}), {1e6 * one.overhead_s:6.1f} µs a matrix, "
            + (f"within {100 * one.error:.0f}% of {one.points} sizes" if one.points > 2 else "through 2 sizes only")
            for one in rows
        ]
        return "\n".join([head, *lines])


def measure_latency(
    sizes: str | Sequence[Decoder] = "quick",
    kernels: Sequence[str] | None = None,
    repeats: int = 7,
    *,
    device: str | None = None,
    threads: int = 1,
    seed: int = 0,
    progress: bool = True,
) -> Latencies:
    """Time a token of every decoder by every kernel that serves the device: all kernels in turns, again and again.

    Units:  threads of the CPU; the bar counts decoders
    Raises: UnknownNameError for sizes or a kernel that do not exist; InputError for fewer than 3 repeats
    """
    if isinstance(sizes, str) and sizes not in SIZES:
        raise unknown("profile", sizes, SIZES)
    decoders, place = SIZES[sizes] if isinstance(sizes, str) else tuple(sizes), devices.choose(device)
    for name in kernels or ():
        if name not in KERNELS:
            raise unknown("kernel", name, KERNELS)
    if repeats < 3 or not decoders:
        raise InputError(expected("3 repeats or more of a decoder or more", f"{repeats} of {len(decoders)}"))
    with devices.threads(threads):
        chosen = [name for name in kernels or KERNELS if serves(name, place)]
        bandwidth = read_bandwidth(place)
        timings: list[Timing] = []
        for decoder in tqdm(decoders, disable=not progress, file=sys.stdout, unit="size", desc="a token"):
            timings += _time(decoder, chosen, repeats, place, torch_generator(seed, "latency"))
    return Latencies(place.type, threads, bandwidth, cache_bytes(place), tuple(timings))


def read_bandwidth(device: torch.device, nbytes: int = 256 << 20, repeats: int = 5) -> float:
    """How fast the device reads memory: the dot product of a vector with itself, no cache holding it.

    Units:  bytes a second, the best of the repeats
    """
    x = torch.ones(max(nbytes, 4 * cache_bytes(device)) // 4, device=device)
    return 4 * len(x) / min(seconds_of(lambda: torch.dot(x, x), device) for _ in range(repeats))


def cache_bytes(device: torch.device) -> int:
    """The last level of cache, as the system reports it."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).L2_cache_size
    found = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    sizes = [path.read_text().strip() for path in found]
    unit = {"K": 1 << 10, "M": 1 << 20}
    return max((int(text[:-1]) * unit[text[-1]] for text in sizes if text[-1:] in unit), default=CACHE_BYTES)


def fit_line(timings: Sequence[Timing]) -> Fit:
    """Least squares of relative errors over sizes, through the medians; the bandwidth of each repeat for the spread.

    Raises: InputError for fewer than 2 timings, or timings of different kernels
    """
    if len(timings) < 2 or len({timing.kernel for timing in timings}) > 1:
        raise InputError(expected("2 sizes or more of one kernel", [timing.kernel for timing in timings]))
    bandwidth, overhead_s = _solve(timings, [timing.median_s for timing in timings])
    repeats = zip(*(timing.seconds for timing in timings))
    nbytes, overheads = (np.array(x) for x in zip(*((one.bytes, overhead_s * one.matrices) for one in timings)))
    each = [bandwidth, *(_bandwidth(nbytes, np.array(seconds), overheads) for seconds in repeats)]
    off = [abs((overhead_s * one.matrices + one.bytes / bandwidth) / one.median_s - 1) for one in timings]
    return Fit(timings[0].kernel, bandwidth, overhead_s, min(each), max(each), max(off), len(timings))


def _solve(timings: Sequence[Timing], seconds: Sequence[float]) -> tuple[float, float]:
    measured, nbytes = np.array(seconds), np.array([one.bytes for one in timings], dtype=float)
    columns = np.stack(([one.matrices for one in timings], nbytes), axis=1) / measured[:, None]
    overhead_s, per_byte = np.linalg.lstsq(columns, np.ones(len(timings)), rcond=None)[0]
    if overhead_s < 0 or per_byte <= 0:  # no time can be negative: then all of it is the reading
        return _bandwidth(nbytes, measured, np.zeros(len(timings))), 0.0
    return 1 / float(per_byte), float(overhead_s)


def _bandwidth(nbytes: np.ndarray, seconds: np.ndarray, overheads_s: np.ndarray) -> float:
    """The bandwidth of the line with known overheads."""
    share, left = nbytes / seconds, 1 - overheads_s / seconds
    return float((share**2).sum() / max((share * left).sum(), 1e-9))


def _time(decoder: Decoder, kernels: Sequence[str], repeats: int, device: torch.device, generator: torch.Generator) -> list[Timing]:
    tokens = {name: KERNELS[name](decoder.shapes, device, generator) for name in kernels}
    seconds: dict[str, list[float]] = {name: [] for name in kernels}
    for name in kernels:
        tokens[name].run()  # what is made on first use
    for _ in range(repeats):
        for name in kernels:
            seconds[name].append(seconds_of(tokens[name].run, device))
    count = len(decoder.shapes)
    return [Timing(name, decoder.weights, count, tokens[name].nbytes, tuple(seconds[name])) for name in kernels]


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """The wall time of a call, the device's work finished."""
    synchronize = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    synchronize()
    begin = time.perf_counter()
    run()
    synchronize()
    return time.perf_counter() - begin
