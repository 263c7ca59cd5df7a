"""The tensor expressions that the tuned pipeline puts in the place of TVM's own for convolutions and norms.

Shape legend: N pictures, H × W pixels, I channels in, O out, channels last.

TVM's stock expressions make copies where nothing is padded, and normalize through five-dimensional views
that no schedule can vectorize. These compute the same numbers in the form that `spaces` can schedule.
"""

from __future__ import annotations

from typing import Any

from breakthrough.deploy import winograd


def convolution(x: Any, weight: Any, stride: tuple[int, ...], padding: tuple[int, ...]) -> Any:
    """A convolution over channels-last pictures.

    Shapes: x (N, H, W, I), weight (kh, kw, I, O) → (N, h, w, O)
    """
    from tvm import te

    kh, kw, inputs, outputs = weight.shape
    pad = winograd.padded(x, padding)
    n, height, width, _ = pad.shape
    shape = (n, (height - kh) // stride[0] + 1, (width - kw) // stride[1] + 1, outputs)
    i, j, c = te.reduce_axis((0, kh), "i"), te.reduce_axis((0, kw), "j"), te.reduce_axis((0, inputs), "c")
    return te.compute(
        shape,
        lambda b, y, z, o: te.sum(pad[b, y * stride[0] + i, z * stride[1] + j, c] * weight[i, j, c, o], axis=[i, j, c]),
        name="conv",
    )


def depthwise(x: Any, weight: Any, stride: tuple[int, ...], padding: tuple[int, ...]) -> Any:
    """A convolution of every channel by itself.

    Shapes: x (N, H, W, C), weight (kh, kw, 1, C) → (N, h, w, C)
    """
    from tvm import te

    kh, kw, _, channels = weight.shape
    pad = winograd.padded(x, padding)
    n, height, width, _ = pad.shape
    shape = (n, (height - kh) // stride[0] + 1, (width - kw) // stride[1] + 1, channels)
    i, j = te.reduce_axis((0, kh), "i"), te.reduce_axis((0, kw), "j")
    return te.compute(
        shape,
        lambda b, y, z, c: te.sum(pad[b, y * stride[0] + i, z * stride[1] + j, c] * weight[i, j, 0, c], axis=[i, j]),
        name="depthwise",
    )


def channel_norm(x: Any, scale: Any, shift: Any, epsilon: float) -> Any:
    """Group normalization with groups of one channel: mean and variance over a channel's pixels.

    The variance is that of deviations from the mean (two passes): E[x²] − E[x]² loses digits in fp32.

    Shapes: x (N, H, W, C), scale and shift (C,) → (N, H, W, C)
    """
    from tvm import te, tirx

    n, height, width, channels = x.shape
    count = tirx.Cast("float32", height * width)
    h, w, h2, w2 = (te.reduce_axis((0, e), a) for e, a in zip((height, width) * 2, ("h", "w", "h2", "w2")))
    total = te.compute((n, channels), lambda b, c: te.sum(x[b, h, w, c], axis=[h, w]), name="total")
    mean = te.compute((n, channels), lambda b, c: total[b, c] / count, name="mean")

    def squared(b: Any, i: Any, j: Any, c: Any) -> Any:
        deviation = x[b, i, j, c] - mean[b, c]
        return deviation * deviation

    spread = te.compute((n, channels), lambda b, c: te.sum(squared(b, h2, w2, c), axis=[h2, w2]), name="spread")
    factor = te.compute(
        (n, channels), lambda b, c: scale[c] / tirx.sqrt(spread[b, c] / count + epsilon), name="factor"
    )
    return te.compute(
        (n, height, width, channels),
        lambda b, i, j, c: (x[b, i, j, c] - mean[b, c]) * factor[b, c] + shift[c],
        name="normalized",
    )


def padded_product(x: Any, weight: Any, columns: int) -> Any:
    """The first columns of a matrix product.

    Shapes: x (…, K), weight (K, wider) → (…, columns)
    """
    from tvm import te

    k = te.reduce_axis((0, weight.shape[0]), "k")
    *rows, _ = x.shape
    product = te.compute(
        (*rows, weight.shape[1]), lambda *at: te.sum(x[(*at[:-1], k)] * weight[k, at[-1]], axis=k), name="matmul"
    )
    return te.compute((*rows, columns), lambda *at: product[at], name="columns")


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(−x)) with an exp that vectorizes."""
    from tvm import te, tirx, topi

    power = topi.fast_exp(topi.negative(x))
    return te.compute(x.shape, lambda *at: tirx.const(1.0, x.dtype) / (tirx.const(1.0, x.dtype) + power(*at)))
