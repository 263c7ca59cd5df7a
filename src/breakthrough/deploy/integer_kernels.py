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
PAD, SUM, REAL = "integer_pad", "integer_sum", "integer_real"  # blocks that the schedule knows by name
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


def quantized(x: Any, grid: Grid, channels: int, dtype: str) -> Any:
    """Real numbers on a grid; channels that were not there are the grid's zero.

    Shapes: (…, I) → (…, channels)
    """
    from tvm import te, tirx

    real = lambda value: tirx.const(float(value), "float32")  # noqa: E731
    known = int(x.shape[-1])

    def integer(*at: Any) -> Any:
        q = tirx.nearbyint(x(*at) * real(np.float32(1 / grid.scale))) + real(grid.zero)
        cut = tirx.max(tirx.min(q, real(grid.high)), real(grid.low))
        return tirx.Cast(dtype, tirx.Cast("int32", cut))  # through 32 bits: that is a vector instruction

    def value(*at: Any) -> Any:
        return integer(*at) if channels == known else tirx.if_then_else(at[-1] < known, integer(*at), tirx.const(grid.zero, dtype))

    return te.compute((*x.shape[:-1], channels), value, name="quantized")


def convolution(x: Any, weight: Any, scale: Any, shift: Any, *, zero: int, stride: tuple[int, int], padding: tuple[int, ...]) -> Any:
    """Sums of integer products over channels-last pictures, then real numbers.

    Shapes: x (N, H, W, I), weight (O/L, kh, kw, I/4, L, 4), scale and shift (O,) → (N, h, w, O) float32
    """
    from tvm import te

    _, kh, kw, quarters, lanes, _ = map(int, weight.shape)
    pad = _padded(x, padding, zero)
    n, height, width, _ = pad.shape
    shape = (n, (height - kh) // stride[0] + 1, (width - kw) // stride[1] + 1, scale.shape[0])
    i, j, q, k = (te.reduce_axis((0, e), a) for e, a in ((kh, "i"), (kw, "j"), (quarters, "q"), (DEPTH, "k")))

    def sums(b: Any, y: Any, z: Any, o: Any) -> Any:
        pixel = pad[b, y * stride[0] + i, z * stride[1] + j, q * DEPTH + k].astype("int32")
        return te.sum(pixel * weight[o // lanes, i, j, q, o % lanes, k].astype("int32"), [i, j, q, k])

    return _real(te.compute(shape, sums, name=SUM), scale, shift)


def linear(x: Any, weight: Any, scale: Any, shift: Any) -> Any:
    """Sums of integer products of rows, then real numbers.

    Shapes: x (…, I), weight (O/L, I/4, L, 4), scale and shift (O,) → (…, O) float32
    """
    from tvm import te

    _, quarters, lanes, _ = map(int, weight.shape)
    q, k = te.reduce_axis((0, quarters), "q"), te.reduce_axis((0, DEPTH), "k")

    def sums(*at: Any) -> Any:
        o = at[-1]
        return te.sum(x(*at[:-1], q * DEPTH + k).astype("int32") * weight[o // lanes, q, o % lanes, k].astype("int32"), [q, k])

    return _real(te.compute((*x.shape[:-1], scale.shape[0]), sums, name=SUM), scale, shift)


def _real(sums: Any, scale: Any, shift: Any) -> Any:
    from tvm import te

    return te.compute(sums.shape, lambda *at: sums(*at).astype("float32") * scale[at[-1]] + shift[at[-1]], name=REAL)


def _padded(x: Any, padding: tuple[int, ...], zero: int) -> Any:
    from tvm import te, tirx

    top, left, bottom, right = padding
    if not any(padding):
        return x
    n, height, width, channels = x.shape

    def value(b: Any, h: Any, w: Any, c: Any) -> Any:
        inside = tirx.all(h >= top, h < height + top, w >= left, w < width + left)
        return tirx.if_then_else(inside, x[b, h - top, w - left, c], tirx.const(zero, x.dtype))

    return te.compute((n, height + top + bottom, width + left + right, channels), value, name=PAD)
