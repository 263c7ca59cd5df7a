"""How fast the room's formats are beside bitsandbytes' own functions, in turns on the same numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor

from breakthrough import devices, seeds
from breakthrough.errors import InputError, expected
from breakthrough.quant.blockwise import Blockwise, dynamic_code
from breakthrough.quant.bnb import bitsandbytes
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.outliers import decompose

Pair = tuple[Callable[[], object], Callable[[], object]]


@dataclass(frozen=True)
class Row:
    """One function of the room beside bitsandbytes': medians, and the middle half of the ratios.

    Units:  seconds a call, on the CPU those of its clock, which other programs do not slow; ratio: bitsandbytes' time over the room's, above 1 where the room is faster
    """

    what: str
    numbers: int
    device: str
    ours_s: float
    theirs_s: float
    ratio: float
    ratio_low: float
    ratio_high: float


def against_bitsandbytes(numbers: int = 1 << 20, repeats: int = 15, device: str | None = None, seed: int = 0) -> tuple[Row, ...]:
    """Quantize and dequantize in every format that both have; a call of one, a call of the other, again and again.

    Raises: InputError for no numbers and fewer than 4 repeats; MissingDependency without bitsandbytes
    """
    if numbers < 1 or repeats < 4:
        raise InputError(expected("1 number and 4 repeats or more", f"{numbers} and {repeats}"))
    place = devices.choose(device)
    x = torch.randn(numbers, generator=seeds.torch_generator(seed, "speed")).to(place)
    return tuple(_row(what, pair, numbers, repeats, place) for what, pair in _pairs(x))


def _pairs(x: Tensor) -> Iterator[tuple[str, Pair]]:
    functional = bitsandbytes().functional
    for code in ("nf4", "fp4"):
        for double in (False, True):
            yield from _four_bit(functional, x, code, double)
    levels, format = dynamic_code().to(x.device), Blockwise()
    stored, (codes, state) = format.quantize(x), functional.quantize_blockwise(x, code=levels, blocksize=256)
    yield "int8 blockwise quantize", (lambda: format.quantize(x), lambda: functional.quantize_blockwise(x, code=levels, blocksize=256))
    yield "int8 blockwise dequantize", (stored.dequantize, lambda: functional.dequantize_blockwise(codes, state))
    rows = x[: len(x) // 64 * 64].view(-1, 64) if len(x) >= 64 else x[None]
    yield "int8 rows decompose", (lambda: decompose(rows), lambda: functional.int8_vectorwise_quant(rows, 6.0))


def _four_bit(functional: Any, x: Tensor, code: str, double: bool) -> Iterator[tuple[str, Pair]]:
    def theirs() -> tuple[Tensor, object]:
        return functional.quantize_4bit(x, quant_type=code, compress_statistics=double)

    format, name = FourBit(code, double=double), f"{code}{' double' if double else ''}"
    stored, (codes, state) = format.quantize(x), theirs()
    yield f"{name} quantize", (lambda: format.quantize(x), theirs)
    yield f"{name} dequantize", (stored.dequantize, lambda: functional.dequantize_4bit(codes, state))


def _row(what: str, pair: Pair, numbers: int, repeats: int, device: torch.device) -> Row:
    calls = _calls(pair, device)
    times = [tuple(_seconds(function, calls, device) for function in pair) for _ in range(repeats)]
    ratios = [theirs / ours for ours, theirs in times]
    low, _, high = quantiles(ratios, n=4)
    ours, theirs = map(median, zip(*times))
    return Row(what, numbers, device.type, ours, theirs, median(ratios), low, high)


def _calls(pair: Pair, device: torch.device) -> int:
    """Calls in one measurement: enough for 2 ms, after both have run once."""
    slowest = max(min(_seconds(function, 1, device) for _ in range(3)) for function in pair)
    return max(1, round(0.002 / max(slowest, 1e-6)))


def _seconds(function: Callable[[], object], calls: int, device: torch.device) -> float:
    cuda = device.type == "cuda"
    clock = time.perf_counter if cuda else time.process_time
    if cuda:
        torch.cuda.synchronize()
    start = clock()
    for _ in range(calls):
        function()
    if cuda:
        torch.cuda.synchronize()
    return (clock() - start) / calls
