"""What this machine can do at most: operations a second, bytes a second from every level of its memory. All measured.

A roof is the best that anything here has reached: of several ways to multiply, the fastest repeat of the fastest way. A
library that does not use the processor's widest instructions would draw a roof that others break through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from breakthrough import devices
from breakthrough.deploy.latency import machine_name
from breakthrough.errors import InputError, expected, unknown

MEMORY = "memory"
WIDTH = 512  # of the product that gives the peak: 3 MB, in the second or third level, and 1 ms
PRODUCT = 2 * WIDTH**3
DTYPES = ("float32", "int8")
READ_BYTES = 64 << 20  # in one measurement of a level, so that the call itself is nothing beside it
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Level:
    """A level of memory. Units: its size in bytes, 0 where it has no end; bandwidth of reading in bytes a second."""

    name: str
    bytes: int
    bandwidth: float


@dataclass(frozen=True)
class Roof:
    """The most that so many threads reach. Units: peaks in operations a second, by dtype; levels nearest first."""

    threads: int
    peaks: dict[str, float]
    levels: tuple[Level, ...]

    @property
    def bandwidth(self) -> float:
        """Of the memory behind all caches."""
        return self.levels[-1].bandwidth

    def level(self, name: str) -> Level:
        """A level by its name. Raises: UnknownNameError."""
        for one in self.levels:
            if one.name == name:
                return one
        raise unknown("level of memory", name, (one.name for one in self.levels))

    def holding(self, nbytes: float) -> Level:
        """The nearest level that holds so many bytes."""
        return next((one for one in self.levels if nbytes <= one.bytes), self.levels[-1])

    def rate(self, intensity: float, dtype: str = "float32", level: str = MEMORY) -> float:
        """The most operations a second at so many for each byte that comes from a level."""
        return min(self.peak(dtype), intensity * self.level(level).bandwidth)

    def peak(self, dtype: str = "float32") -> float:
        """The most operations a second of a dtype. Raises: UnknownNameError."""
        if dtype not in self.peaks:
            raise unknown("dtype", dtype, self.peaks)
        return self.peaks[dtype]

    def least_s(self, flops: float, nbytes: float, dtype: str = "float32", level: str = MEMORY) -> float:
        """No layer with so many operations and bytes from a level takes less."""
        return max(flops / self.peak(dtype), nbytes / self.level(level).bandwidth)

    def ridge(self, dtype: str = "float32", level: str = MEMORY) -> float:
        """Operations a byte where the arithmetic begins to be the limit."""
        return self.peak(dtype) / self.level(level).bandwidth


@dataclass(frozen=True)
class Machine:
    """The roofs of a machine, by number of threads."""

    name: str
    roofs: tuple[Roof, ...]

    def roof(self, threads: int = 1) -> Roof:
        """The roof of so many threads.

        Raises: InputError for a number that was not measured
        """
        for one in self.roofs:
            if one.threads == threads:
                return one
        raise InputError(expected(f"threads out of {[one.threads for one in self.roofs]}", threads))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Machine:
        """The machine that `to_dict` wrote."""
        roofs = (Roof(one["threads"], dict(one["peaks"]), tuple(Level(**level) for level in one["levels"])) for one in data["roofs"])
        return cls(data["name"], tuple(roofs))

    def __str__(self) -> str:
        """A row a roof."""
        lines = [self.name]
        for one in self.roofs:
            peaks = ", ".join(f"{name} {peak / 1e9:.0f}" for name, peak in one.peaks.items())
            levels = ", ".join(f"{level.name}{f' ({_size(level.bytes)})' if level.bytes else ''} {level.bandwidth / 1e9:.0f}" for level in one.levels)
            lines.append(f"{one.threads} thread(s): GFLOP/s {peaks}; GB/s {levels}; ridge at {one.ridge():.1f} FLOP a byte of memory")
        return "\n".join(lines)


def measure_machine(threads: Iterable[int] | None = None, repeats: int = 9, *, dtypes: Iterable[str] = DTYPES) -> Machine:
    """Measure the peaks and the bandwidths of the CPU, for one thread and for all cores unless told otherwise.

    Units:  the best of the repeats
    Raises: InputError for fewer than 1 thread or repeat; UnknownNameError for a dtype
    """
    counts = tuple(threads or sorted({1, devices.cores()}))
    if min(counts) < 1 or repeats < 1:
        raise InputError(expected("threads and repeats of at least 1", f"{counts} and {repeats}"))
    with torch.inference_mode():
        return Machine(machine_name(), tuple(_roof(count, repeats, tuple(dtypes)) for count in counts))


def cache_levels() -> dict[str, int]:
    """The caches of data that a core sees, nearest first, as the system reports them. Units: bytes."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction" and size[-1:] in UNITS:
            found[f"L{level}"] = int(size[:-1]) * UNITS[size[-1]]
    return found


def read_bandwidth(nbytes: int, repeats: int = 9) -> float:
    """How fast a vector of so many bytes is read again and again: its sum, over rows that are all the same vector.

    Units:  bytes a second, the best of the repeats
    """
    x, rows = torch.ones(max(1, nbytes // 4)), max(1, READ_BYTES // nbytes)
    every = x.expand(rows, -1)  # no copy: a stride of 0
    return 4 * every.numel() / _best_s(lambda: every.sum(1), repeats)


def _roof(threads: int, repeats: int, dtypes: tuple[str, ...]) -> Roof:
    with devices.threads(threads):
        peaks = {dtype: _peak(dtype, repeats) for dtype in dtypes}
        caches = cache_levels()
        levels = [Level(name, size, read_bandwidth(size // 2, repeats)) for name, size in caches.items()]
        levels.append(Level(MEMORY, 0, _memory_bandwidth(4 * max(caches.values(), default=32 << 20), repeats)))
    return Roof(threads, peaks, tuple(levels))


def _memory_bandwidth(nbytes: int, repeats: int) -> float:
    """The best of a sum, a maximum and a dot product: libraries fetch ahead in different ways."""
    x = torch.ones(nbytes // 4)
    return 4 * len(x) / min(_best_s(read, max(2, repeats // 3)) for read in (x.sum, x.amax, lambda: torch.dot(x, x)))


def _peak(dtype: str, repeats: int) -> float:
    if dtype not in WAYS:
        raise unknown("dtype", dtype, WAYS)
    return max(flops / _best_s(way, 3 * repeats) for way, flops in WAYS[dtype]())


def _float_products() -> list[tuple[Callable[[], object], int]]:
    """A product by torch's matrix library, and convolutions, which another library computes.

    Of 3 × 3: for 1 × 1 on one thread torch goes back to the first library.
    """
    a, pixels, kernel = torch.ones(WIDTH, WIDTH), torch.ones(1, 256, 14, 14), torch.ones(256, 256, 3, 3)
    rows, taps = (x.contiguous(memory_format=torch.channels_last) for x in (pixels, kernel))
    flops = 2 * kernel.numel() * 14 * 14
    return [(lambda: a @ a, PRODUCT), (lambda: F.conv2d(pixels, kernel, padding=1), flops), (lambda: F.conv2d(rows, taps, padding=1), flops)]


def _half_products() -> list[tuple[Callable[[], object], int]]:
    a = torch.ones(WIDTH, WIDTH, dtype=torch.bfloat16)
    return [(lambda: a @ a, PRODUCT)]


def _int8_products() -> list[tuple[Callable[[], object], int]]:
    a = torch.ones(WIDTH, WIDTH, dtype=torch.int8)
    return [(lambda: torch._int_mm(a, a), PRODUCT)]


WAYS: dict[str, Callable[[], list[tuple[Callable[[], object], int]]]] = {"float32": _float_products, "bfloat16": _half_products, "int8": _int8_products}


def _best_s(run: Callable[[], object], repeats: int) -> float:
    run()
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def _size(nbytes: int) -> str:
    return f"{nbytes >> 20} MiB" if nbytes >= 1 << 20 else f"{nbytes >> 10} KiB"
