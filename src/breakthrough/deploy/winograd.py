"""Winograd's minimal filtering for 3 × 3 convolutions of stride 1: fewer multiplications for more additions.

Shape legend: N pictures, H × W pixels, I channels in, O out, P tiles of m × m outputs, a = m + 2 the side of
a tile's input.

Every tile of m × m outputs is Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ x B) ] A: a² multiplications where a direct convolution
has 9 m². Over channels the product is a² small matrix products, which is where a CPU is fast. The price is
rounding: with m = 2 the error is that of a direct convolution, with m = 4 about twenty times more.

Source: Lavin & Gray 2016, arXiv:1509.09308
"""

from __future__ import annotations

from typing import Any

import numpy as np

# m → (Aᵀ, Bᵀ, G)
MATRICES = {
    2: (
        ((1, 1, 1, 0), (0, 1, -1, -1)),
        ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    ),
    4: (
        ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
        (
            (4, 0, -5, 0, 1, 0),
            (0, -4, -4, 1, 1, 0),
            (0, 4, -4, -1, 1, 0),
            (0, -2, -1, 2, 1, 0),
            (0, 2, -1, -2, 1, 0),
            (0, 4, 0, -5, 0, 1),
        ),
        (
            (1 / 4, 0, 0),
            (-1 / 6, -1 / 6, -1 / 6),
            (-1 / 6, 1 / 6, -1 / 6),
            (1 / 24, 1 / 12, 1 / 6),
            (1 / 24, -1 / 12, 1 / 6),
            (0, 0, 1),
        ),
    ),
}


def weights(kernel: np.ndarray, m: int) -> np.ndarray:
    """G w Gᵀ of every pair of channels, computed once, when the net is compiled.

    Shapes: kernel (3, 3, I, O) → (a, a, I, O)
    """
    g = np.array(MATRICES[m][2], dtype="float64")
    return np.einsum("ak,klio,bl->abio", g, kernel.astype("float64"), g).astype("float32")


def convolution(x: Any, weight: Any, m: int) -> Any:
    """A 3 × 3 convolution of stride 1 and padding 1 as a tensor expression.

    Shapes: x (N, H, W, I), weight (a, a, I, O) → (N, H, W, O), H and W multiples of m
    """
    from tvm import te, tirx

    n, height, width, _ = x.shape
    side, outputs = m + 2, weight.shape[3]
    down, across = height // m, width // m
    tiles = n * down * across
    at, bt, _ = (np.array(matrix) for matrix in MATRICES[m])
    channels = x.shape[3]
    pad = padded(x, (1, 1, 1, 1))
    k, k2, r, r2 = (te.reduce_axis((0, side), name) for name in ("k", "k2", "r", "r2"))
    c = te.reduce_axis((0, channels), "c")

    def tile(q: Any, i: Any, j: Any, ch: Any) -> Any:
        return pad[q // (down * across), q // across % down * m + i, q % across * m + j, ch]

    rows = te.compute(
        (tiles, side, side, channels),
        lambda q, a, b, ch: te.sum(tile(q, k, b, ch) * _entry(bt, a, k), axis=k),
        name="input_rows",
    )
    data = te.compute(
        (side, side, tiles, channels),
        lambda a, b, q, ch: te.sum(rows[q, a, k2, ch] * _entry(bt, b, k2), axis=k2),
        name="input_tiles",
    )
    product = te.compute(
        (side, side, tiles, outputs),
        lambda a, b, q, o: te.sum(data[a, b, q, c] * weight[a, b, c, o], axis=c),
        name="winograd",
    )
    back = te.compute(
        (tiles, m, side, outputs),
        lambda q, a, b, o: te.sum(product[r, b, q, o] * _entry(at, a, r), axis=r),
        name="output_rows",
    )
    out = te.compute(
        (tiles, m, m, outputs),
        lambda q, a, b, o: te.sum(back[q, a, r2, o] * _entry(at, b, r2), axis=r2),
        name="output_tiles",
    )
    return te.compute(
        (n, height, width, outputs),
        lambda i, h, w, o: out[(i * down + h // m) * across + w // m, tirx.floormod(h, m), tirx.floormod(w, m), o],
        name="picture",
    )


def padded(x: Any, padding: tuple[int, ...], name: str = "pad") -> Any:
    """Zeros around pictures, as a tensor expression; the pictures themselves where there are none.

    Shapes: (N, H, W, C) → (N, top + H + bottom, left + W + right, C)
    """
    from tvm import te, tirx

    top, left, bottom, right = padding
    if not any(padding):
        return x
    n, height, width, channels = x.shape

    def value(i: Any, h: Any, w: Any, c: Any) -> Any:
        inside = tirx.all(h >= top, h < height + top, w >= left, w < width + left)
        return tirx.if_then_else(inside, x[i, h - top, w - left, c], tirx.const(0, x.dtype))

    return te.compute((n, height + top + bottom, width + left + right, channels), value, name=name)


def _entry(matrix: np.ndarray, i: Any, j: Any) -> Any:
    """The entry (i, j) of a constant matrix: a chain of choices that vanishes when the loops are unrolled."""
    from tvm import tirx

    found = tirx.const(0.0, "float32")
    for a, b in zip(*matrix.nonzero()):
        found = tirx.Select(tirx.all(i == int(a), j == int(b)), tirx.const(float(matrix[a, b]), "float32"), found)
    return found
