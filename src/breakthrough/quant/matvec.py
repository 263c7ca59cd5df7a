"""One token through a decoder's matrices, by the kernels that there are: floats, int8, 4 bits.

Shapes: a matrix (out, in), a token's row (1, in) → (1, out)

Codes and scales are drawn at random: a kernel's time does not depend on them, and to quantize a billion weights
would take longer than to multiply by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from breakthrough import optional
from breakthrough.quant import bnb

BLOCK = 64
Shapes = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Token:
    """All products of one token. Units: `nbytes` of all weights with their scales."""

    run: Callable[[], object]
    nbytes: int


def _token(products: Sequence[Callable[[], Tensor]], parts: list[Tensor]) -> Token:
    def run() -> None:
        for product in products:
            product()

    return Token(run, sum(part.numel() * part.element_size() for part in parts))


def floats(shapes: Shapes, device: torch.device, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Token:
    """Weights and row in one dtype."""
    weights = [_drawn(shape, generator).to(device, dtype) for shape in shapes]
    rows = [_row(shape, device, dtype) for shape in shapes]
    return _token([partial(F.linear, x, weight) for x, weight in zip(rows, weights)], weights)


def int8_rows(shapes: Shapes, device: torch.device, generator: torch.Generator) -> Token:
    """int8 weights, a scale a row, multiplied as they are with a row in bfloat16: torch's kernel."""
    weights = [torch.randint(-127, 128, shape, generator=generator, dtype=torch.int8).to(device) for shape in shapes]
    scales = [torch.ones(rows, dtype=torch.bfloat16, device=device) for rows, _ in shapes]
    rows = [_row(shape, device, torch.bfloat16) for shape in shapes]
    products = [partial(torch.ops.aten._weight_int8pack_mm, x, weight, scale) for x, weight, scale in zip(rows, weights, scales)]
    return _token(products, weights + scales)


def nf4_rows(shapes: Shapes, device: torch.device, generator: torch.Generator) -> Token:
    """NF4 weights, blocks of 64, multiplied as they are: bitsandbytes' kernel."""
    codes, scales = _four_bit(shapes, device, generator)
    kernels, book = _kernels(device), bnb.bitsandbytes().functional.get_4bit_type("nf4", device=str(device))
    rows = [_row(shape, device, torch.bfloat16) for shape in shapes]
    book = book.to(torch.bfloat16) if device.type == "cuda" else book
    products = [partial(kernels.gemv_4bit, x, code, list(shape), scale, book, BLOCK) for x, code, shape, scale in zip(rows, codes, shapes, scales)]
    return _token(products, codes + scales)


def nf4_unpacked(shapes: Shapes, device: torch.device, generator: torch.Generator) -> Token:
    """NF4 weights, written out as floats, then multiplied: what a layer does that has no kernel for codes."""
    codes, scales = _four_bit(shapes, device, generator)
    kernels, dtype = _kernels(device), torch.float32 if device.type == "cpu" else torch.bfloat16
    rows = [_row(shape, device, dtype) for shape in shapes]

    def product(x: Tensor, code: Tensor, shape: tuple[int, int], scale: Tensor) -> Tensor:
        return F.linear(x, kernels.dequantize_4bit(code, scale.to(torch.float32), BLOCK, "nf4", list(shape), dtype))

    return _token([partial(product, *each) for each in zip(rows, codes, shapes, scales)], codes + scales)


KERNELS: dict[str, Callable[[Shapes, torch.device, torch.Generator], Token]] = {
    "fp32": floats,
    "bf16": partial(floats, dtype=torch.bfloat16),
    "int8": int8_rows,
    "nf4": nf4_rows,
    "nf4, written out first": nf4_unpacked,
}


@cache
def serves(kernel: str, device: torch.device) -> bool:
    """Whether a kernel runs on a device: tried on a small matrix."""
    if kernel.startswith("nf4") and not optional.available("bitsandbytes"):
        return False
    try:
        KERNELS[kernel]([(64, 64)], device, torch.Generator().manual_seed(0)).run()
    except (RuntimeError, NotImplementedError):
        return False
    return True


def _drawn(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(-1, 1, generator=generator)


def _row(shape: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.ones(1, shape[1], device=device, dtype=dtype)


def _kernels(device: torch.device) -> Any:
    bnb.bitsandbytes()  # says what to install where it is missing
    return bnb.kernels(device)


def _four_bit(shapes: Shapes, device: torch.device, generator: torch.Generator) -> tuple[list[Tensor], list[Tensor]]:
    codes = [torch.randint(0, 256, (rows * columns // 2, 1), generator=generator, dtype=torch.uint8).to(device) for rows, columns in shapes]
    dtype = torch.bfloat16 if device.type == "cpu" else torch.float32  # what each kernel reads
    return codes, [torch.ones(rows * columns // BLOCK, dtype=dtype, device=device) for rows, columns in shapes]
