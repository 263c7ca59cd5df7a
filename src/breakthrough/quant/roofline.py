"""Why fewer bytes need not be faster: a linear layer in every scheme under the machine's roof.

Shapes: x (B, d) → (B, d), a weight (d, d)

The roof is min(peak, bandwidth · intensity), both measured here. A layer's intensity counts the bytes that have to
be read and written at least: the stored weight, x and y; every call takes another copy, so that no cache holds it.
What stands below the roof spends its time otherwise: unpacking codes, writing a weight out as floats, rounding
activations.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from breakthrough import devices, optional
from breakthrough.errors import InputError, expected, unknown
from breakthrough.quant.apply import quantize
from breakthrough.quant.bnb import bitsandbytes
from breakthrough.quant.latency import BEYOND, cache_bytes, read_bandwidth, seconds_of
from breakthrough.quant.schemes import scheme
from breakthrough.quant.table import sizes_of
from breakthrough.seeds import torch_generator

BATCHES = (1, 64)
HALF = ", bf16"  # after a scheme's name: its other weights and its activations in bfloat16
OWN = ("fp32", "bf16", "int8", "int8" + HALF, "llm_int8", "int4", "nf4", "nf4" + HALF)
THEIRS = ("Linear8bitLt", "Linear4bit")  # bitsandbytes' layers
LEAST_S = 0.002  # of one measurement: so many calls
COPIES = 256  # at most, of narrow layers


@dataclass(frozen=True)
class LayerTime:
    """One layer at one batch size.

    Units:  seconds a call, every repeat; bytes of the stored weight; flops a call
    """

    scheme: str
    batch: int
    seconds: tuple[float, ...]
    weight_bytes: int
    moved_bytes: int
    flops: int

    @property
    def median_s(self) -> float:
        """The median repeat."""
        return median(self.seconds)

    @property
    def intensity(self) -> float:
        """Operations for each byte that has to be moved."""
        return self.flops / self.moved_bytes

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.flops / self.median_s


@dataclass(frozen=True)
class Roofline:
    """Layers of one width under a machine's roof.

    Units:  bandwidth in bytes a second; `peaks` in operations a second, by dtype
    """

    device: str
    threads: int
    width: int
    bandwidth: float
    peaks: dict[str, float]
    layers: tuple[LayerTime, ...]

    @property
    def schemes(self) -> tuple[str, ...]:
        """The layers that ran."""
        return tuple(dict.fromkeys(layer.scheme for layer in self.layers))

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes."""
        return tuple(dict.fromkeys(layer.batch for layer in self.layers))

    def layer(self, scheme: str, batch: int) -> LayerTime:
        """One of them.

        Raises: UnknownNameError for one that did not run
        """
        found = {(layer.scheme, layer.batch): layer for layer in self.layers}
        if (scheme, batch) not in found:
            raise unknown("layer", f"{scheme} at batch {batch}", (f"{name} at batch {rows}" for name, rows in found))
        return found[scheme, batch]

    def roof(self, intensity: float, dtype: str = "float32") -> float:
        """The most operations a second at an intensity."""
        return min(self.peaks[dtype], self.bandwidth * intensity)

    def speedup(self, scheme: str, batch: int, against: str = "fp32") -> tuple[float, float, float]:
        """How much faster than another layer, repeat by repeat: the median and the middle half. Above 1 is faster."""
        ratios = [theirs / ours for ours, theirs in zip(self.layer(scheme, batch).seconds, self.layer(against, batch).seconds)]
        low, _, high = quantiles(ratios, n=4)
        return median(ratios), low, high

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Roofline:
        """The roofline that `to_dict` wrote."""
        layers = tuple(LayerTime(**{**row, "seconds": tuple(row["seconds"])}) for row in data["layers"])
        return cls(**{**data, "layers": layers})

    def __str__(self) -> str:
        """The table: time, and how much faster than fp32 and bf16."""
        peaks = ", ".join(f"{name} {peak / 1e9:.0f} GFLOP/s" for name, peak in self.peaks.items())
        lines = [f"{self.device}, {self.threads} thread(s), {self.width} × {self.width}: {self.bandwidth / 1e9:.1f} GB/s, {peaks}"]
        lines += [f"{'':14} {'batch':>5} {'µs':>9} {'weight MB':>9} {'FLOP/byte':>9} {'GFLOP/s':>8} {'× fp32':>22} {'× bf16':>22}"]
        for one in self.layers:
            against = " ".join(_ratio(*self.speedup(one.scheme, one.batch, other)) for other in ("fp32", "bf16"))
            figures = f"{1e6 * one.median_s:9.1f} {one.weight_bytes / 1e6:9.2f} {one.intensity:9.2f} {one.rate / 1e9:8.1f}"
            lines.append(f"{one.scheme:14} {one.batch:5} {figures} {against}")
        return "\n".join(lines)


def measure_roofline(
    width: int = 2048,
    schemes: Sequence[str] = OWN + THEIRS,
    batches: Sequence[int] = BATCHES,
    repeats: int = 7,
    *,
    device: str | None = None,
    threads: int = 1,
    seed: int = 0,
    progress: bool = True,
) -> Roofline:
    """Time a linear layer in every scheme: all in turns, again and again. fp32 and bf16 are always among them.

    Raises: InputError for a width that is no multiple of 64 and fewer than 4 repeats; UnknownNameError for a scheme
    """
    if width < 64 or width % 64 or repeats < 4:
        raise InputError(expected("a width that is a multiple of 64, 4 repeats or more", (width, repeats)))
    place = devices.choose(device)
    with devices.threads(threads), torch.inference_mode():
        weight = torch.empty(width, width).uniform_(-1, 1, generator=torch_generator(seed, "roofline")) / width**0.5
        layers = {name: _layer(name, weight, place) for name in dict.fromkeys(("fp32", "bf16", *schemes)) if name not in THEIRS or optional.available("bitsandbytes")}
        found: list[LayerTime] = []
        bandwidth, most = read_bandwidth(place), peaks(place)
        for batch in tqdm(batches, disable=not progress, file=sys.stdout, unit="batch", desc="layers"):
            x = torch.randn(batch, width, generator=torch_generator(seed, "x")).to(place)
            found += _times(layers, x, repeats)
        # before and after: a neighbour on the machine lowers a roof, nothing raises it
        bandwidth, later = max(bandwidth, read_bandwidth(place)), peaks(place)
        most = {name: max(most[name], later[name]) for name in most}
        return Roofline(place.type, threads, width, bandwidth, most, tuple(found))


def peaks(device: torch.device, width: int = 1024, repeats: int = 7) -> dict[str, float]:
    """The operations a second of a large product, by dtype: the best of the repeats."""
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.ones(width, width, device=device, dtype=dtype)
        x @ x
        found[str(dtype).removeprefix("torch.")] = 2 * width**3 / min(seconds_of(lambda: x @ x, device) for _ in range(repeats))  # noqa: B023 - called at once
    return found


@dataclass(frozen=True)
class _Layer:
    """Copies of a layer, enough that no cache holds them all; the bytes of one weight, the dtype that it takes."""

    copies: list[nn.Module]
    nbytes: int
    dtype: torch.dtype

    @classmethod
    def of(cls, layer: nn.Module, nbytes: int, dtype: torch.dtype, device: torch.device) -> _Layer:
        count = min(COPIES, math.ceil(BEYOND * cache_bytes(device) / nbytes))
        return cls([layer, *(copy.deepcopy(layer) for _ in range(count - 1))], nbytes, dtype)

    def run(self, x: Tensor, calls: int, first: int = 0) -> None:
        for call in range(first, first + calls):
            self.copies[call % len(self.copies)](x)


def _layer(name: str, weight: Tensor, device: torch.device) -> _Layer:
    if name in THEIRS:
        return _their_layer(name, weight, device)
    outputs, inputs = weight.shape
    linear = nn.Linear(inputs, outputs, bias=False)
    linear.weight = nn.Parameter(weight)
    in_half = name.endswith(HALF) or (name not in ("fp32", "bf16") and device.type == "cuda")
    found = scheme(name.removesuffix(HALF))
    made = quantize(nn.Sequential(linear), replace(found, rest="bfloat16") if in_half else found, device=device)
    dtype = torch.bfloat16 if name == "bf16" or in_half else torch.float32
    return _Layer.of(made.get_submodule("0"), sizes_of(made).bytes, dtype, device)


def _their_layer(name: str, weight: Tensor, device: torch.device) -> _Layer:
    package, (rows, columns) = bitsandbytes(), weight.shape
    if name == "Linear8bitLt":
        layer = package.nn.Linear8bitLt(columns, rows, bias=False, has_fp16_weights=False, threshold=6.0)
        layer.weight = package.nn.Int8Params(weight.clone(), requires_grad=False, has_fp16_weights=False)
        layer, nbytes = layer.to(device).eval(), rows * columns + 4 * rows
        return _Layer.of(layer, nbytes, torch.float16, device)  # it casts everything else
    layer = package.nn.Linear4bit(columns, rows, bias=False, quant_type="nf4", compute_dtype=torch.bfloat16)
    layer.weight = package.nn.Params4bit(weight.clone(), requires_grad=False, quant_type="nf4", compress_statistics=True)
    scales = -(-rows * columns // 64)
    nbytes = rows * columns // 2 + scales + 4 * -(-scales // 256)
    return _Layer.of(layer.to(device).eval(), nbytes, torch.bfloat16, device)


def _times(layers: dict[str, _Layer], x: Tensor, repeats: int) -> list[LayerTime]:
    inputs = {name: x.to(layer.dtype) for name, layer in layers.items()}
    calls = {}
    for name, layer in layers.items():
        layer.run(inputs[name], len(layer.copies))  # what is made on first use
        once_s = seconds_of(lambda: layer.run(inputs[name], len(layer.copies)), x.device) / len(layer.copies)  # noqa: B023 - called at once
        calls[name] = max(1, math.ceil(LEAST_S / once_s))
    seconds: dict[str, list[float]] = {name: [] for name in layers}
    for repeat in range(repeats):
        for name, layer in layers.items():
            count = calls[name]
            seconds[name].append(seconds_of(lambda: layer.run(inputs[name], count, repeat * count), x.device) / count)  # noqa: B023 - called at once
    return [_row(name, layer, inputs[name], seconds[name]) for name, layer in layers.items()]


def _row(name: str, layer: _Layer, x: Tensor, seconds: list[float]) -> LayerTime:
    batch, width = x.shape
    moved = layer.nbytes + 2 * x.numel() * x.element_size()
    return LayerTime(name, batch, tuple(seconds), layer.nbytes, moved, 2 * batch * width * width)


def _ratio(middle: float, low: float, high: float) -> str:
    return f"{middle:6.2f} ({low:.2f} to {high:.2f})".rjust(22)
