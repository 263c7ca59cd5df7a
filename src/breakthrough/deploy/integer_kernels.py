"""Tensor expressions of the integer pipeline, and its weights as its instructions want them.

Shape legend: N pictures, H × W pixels, I channels in, O out, both channels last; L lanes of an instruction.

A product of numbers on two grids is x · w = sx·sw · (qx − z) · qw, so a sum of them is
sx·sw · (Σ qx·qw − z·Σ qw): the sum of integers, then one multiplication and one addition for each output.
Zero is the integer z, so pictures are padded with z.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from breakthrough.deploy.calibration import Grid
from breakthrough.deploy.instructions import DEPTH, Instruction
from breakthrough.errors import InputError, expected

LIMIT = 2**31 - 1
PAD, ROWS, SUM, REAL = "integer_pad", "integer_rows", "integer_sum", "integer_real"  # blocks that the schedule knows by name
FUSABLE, ELEMENTWISE = 4, 0  # TVM's kinds of operators: elementwise ones after it join it; is one itself
INT8 = 127


def codes_of(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights as int8 codes with a scale for each output: those of module 4's scheme "int8", once more.

    Codes times scales give the same codes again, also when a folded BatchNorm has scaled the outputs.

    Shapes: (…, I, O) → codes int8 the same, scales (O,)
    """
    absmax = np.abs(weight).reshape(-1, weight.shape[-1]).max(0)
    scales = np.where(absmax > 0, absmax / INT8, 1.0).astype(np.float32)
    return np.clip(np.rint(weight / scales), -INT8, INT8).astype(np.int8), scales


def largest_sum(codes: np.ndarray, grid: Grid) -> int:
    """A bound on the size of every sum, and of every sum on the way there, in any order.

    Shapes: codes (…, I, O)
    """
    most = max(abs(grid.low), abs(grid.high))
    return int(most * np.abs(codes.astype(np.int64)).reshape(-1, codes.shape[-1]).sum(0).max())


def check_sums(name: str, codes: np.ndarray, grid: Grid) -> int:
    """The bound of `largest_sum`, proved to fit 32 bits.

    Raises: InputError when a sum may overflow
    """
    bound = largest_sum(codes, grid)
    if bound > LIMIT:
        what = f"sums of {name} within 32 bits: at most {LIMIT:,}"
        raise InputError(expected(what, f"up to {bound:,} of {int(np.prod(codes.shape[:-1])):,} products", "keeping this layer in floating point"))
    return bound


def packed(codes: np.ndarray, instruction: Instruction) -> np.ndarray:
    """Codes in the order in which an instruction reads them; missing channels are zeros.

    Shapes: (…, I, O) → (O/L, …, I/4, L, 4)
    """
    lanes = instruction.lanes
    *window, inputs, outputs = codes.shape
    more = [(0, 0)] * len(window) + [(0, -inputs % DEPTH), (0, -outputs % lanes)]
    full = np.pad(codes, more)
    cut = full.reshape(*window, full.shape[-2] // DEPTH, DEPTH, full.shape[-1] // lanes, lanes)
    n = len(window)
    return np.ascontiguousarray(cut.transpose(n + 2, *range(n), n, n + 3, n + 1))


def quantized(x: Any, grid: Grid, dtype: str) -> Any:
    """Real numbers on a grid. Shapes: any → the same."""
    from tvm import te, tirx

    def real(value: float) -> Any:
        return tirx.const(float(value), "float32")

    def value(*at: Any) -> Any:
        q = tirx.nearbyint(x(*at) * real(float(np.float32(1 / grid.scale)))) + real(grid.zero)
        cut = tirx.max(tirx.min(q, real(grid.high)), real(grid.low))
        return tirx.Cast(dtype, tirx.Cast("int32", cut))  # through 32 bits: that is a vector instruction

    return te.compute(x.shape, value, name="quantized")


def rows_of(codes: np.ndarray) -> np.ndarray:
    """Codes of a convolution whose channels fill no four bytes, as if a window's row were one pixel of many channels.

    Shapes: (kh, kw, I, O) → (kh, 1, kw·I, O), or as they are
    """
    kh, kw, inputs, outputs = codes.shape
    return codes if inputs % DEPTH == 0 else codes.reshape(kh, 1, kw * inputs, outputs)


def convolution(
    x: Any, weight: Any, scale: Any, shift: Any, *, zero: int, window: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...]
) -> Any:
    """Sums of integer products over channels-last pictures, then real numbers.

    A window's row lies in one piece in memory. Where the channels are no multiple of four, the whole row is
    taken four bytes at a time; weights of zero stand against what is read beyond it.

    Shapes: x (N, H, W, I), weight (O/L, kh, kw, I/4, L, 4), scale and shift (O,) → (N, h, w, O) float32
    """
    from tvm import te

    _, kh, kw, quarters, lanes, _ = map(int, weight.shape)
    inputs, (top, left, bottom, right) = int(x.shape[3]), padding
    n, height, width = x.shape[0], x.shape[1] + top + bottom, x.shape[2] + left + right
    shape = (n, (height - window[0]) // stride[0] + 1, (width - window[1]) // stride[1] + 1, scale.shape[0])
    beyond = max(0, quarters * DEPTH - window[1] * inputs) if kw == 1 else 0
    rows = _rows(x, (top, bottom), (left * inputs, right * inputs + beyond), zero)
    i, j, q, k = (te.reduce_axis((0, e), a) for e, a in ((kh, "i"), (kw, "j"), (quarters, "q"), (DEPTH, "k")))

    def sums(b: Any, y: Any, z: Any, o: Any) -> Any:
        pixel = rows[b, y * stride[0] + i, (z * stride[1] + j) * inputs + q * DEPTH + k].astype("int32")
        return te.sum(pixel * weight[o // lanes, i, j, q, o % lanes, k].astype("int32"), [i, j, q, k])

    return _real(te.compute(shape, sums, name=SUM), scale, shift)


def linear(x: Any, weight: Any, scale: Any, shift: Any, *, zero: int) -> Any:
    """Sums of integer products of rows, then real numbers.

    Shapes: x (…, I), weight (O/L, I/4, L, 4), scale and shift (O,) → (…, O) float32
    """
    from tvm import te

    _, quarters, lanes, _ = map(int, weight.shape)
    pad = _padded(x, (*[(0, 0)] * (len(x.shape) - 1), (0, quarters * DEPTH - int(x.shape[-1]))), zero)
    q, k = te.reduce_axis((0, quarters), "q"), te.reduce_axis((0, DEPTH), "k")

    def sums(*at: Any) -> Any:
        o = at[-1]
        return te.sum(pad(*at[:-1], q * DEPTH + k).astype("int32") * weight[o // lanes, q, o % lanes, k].astype("int32"), [q, k])

    return _real(te.compute((*x.shape[:-1], scale.shape[0]), sums, name=SUM), scale, shift)


def _real(sums: Any, scale: Any, shift: Any) -> Any:
    from tvm import te

    return te.compute(sums.shape, lambda *at: sums(*at).astype("float32") * scale[at[-1]] + shift[at[-1]], name=REAL)


def _rows(x: Any, above: tuple[int, int], beside: tuple[int, int], zero: int) -> Any:
    """Pictures as rows of bytes with the grid's zero around them. Shapes: (N, H, W, I) → (N, H + …, W·I + …)."""
    from tvm import te

    n, height, width, inputs = x.shape
    rows = te.compute((n, height, width * inputs), lambda b, h, at: x[b, h, at // inputs, at % inputs], name=ROWS)
    return _padded(rows, ((0, 0), above, beside), zero)


def _padded(x: Any, widths: tuple[tuple[int, ...], ...], zero: int) -> Any:
    """Integers with the grid's zero around them, before and after on every axis; as they are where nothing is added."""
    from tvm import te, tirx

    widths = tuple(tuple(map(int, pair)) for pair in widths)
    if not any(map(any, widths)):
        return x

    def value(*at: Any) -> Any:
        bounds = [(i, before, size) for i, (before, after), size in zip(at, widths, x.shape) if before or after]
        inside = tirx.all(*(term for i, before, size in bounds for term in (i >= before, i < size + before)))
        return tirx.if_then_else(inside, x(*(i - before for i, (before, _) in zip(at, widths))), tirx.const(zero, x.dtype))

    return te.compute([size + before + after for size, (before, after) in zip(x.shape, widths)], value, name=PAD)
