"""The most multiply-adds a second: a loop of independent FMAs on registers, in which memory has no part."""

from __future__ import annotations

import numpy as np

from breakthrough import optional
from breakthrough.deploy.ladder import on_threads, seconds_a_call
from breakthrough.deploy.schedule import Kernel, Tile, apply, build, host, tensor, tile_for
from breakthrough.errors import ConfigError, expected

TERMS = 1 << 15  # of each sum


def fma_peak(threads: int = 1, repeats: int = 9) -> float:
    """Operations a second of vector FMAs on registers, an FMA counted as two: the best of the repeats.

    Raises: ConfigError for fewer than 1 thread or repeat
    """
    if threads < 1 or repeats < 1:
        raise ConfigError(expected("threads and repeats of at least 1", f"{threads} and {repeats}"))
    tile = tile_for(host())
    kernel = fma_kernel(threads, tile)
    a, b = tensor(np.full((threads * tile.rows, 1), 0.5)), tensor(np.full((1, tile.columns), 0.5))
    c = tensor(np.zeros((threads * tile.rows, tile.columns)))

    def run() -> None:
        kernel.call(a, b, c)

    def work() -> list[float]:
        seconds_a_call(run, 3)
        return [seconds_a_call(run, 10) for _ in range(repeats)]

    return 2 * threads * tile.rows * tile.columns * TERMS / min(on_threads(threads, work))


def fma_kernel(threads: int, tile: Tile) -> Kernel:
    """C = TERMS times A's column by B's row, added up one by one: the matmul's inner block without its reads.

    Shapes: A (rows, 1), B (1, columns) → C (rows, columns); so many rows for each thread
    """
    te, tvm = optional.require("tvm.te", "the compiler"), optional.require("tvm", "the compiler")
    a, b = te.placeholder((threads * tile.rows, 1), name="A"), te.placeholder((1, tile.columns), name="B")
    axis = te.reduce_axis((0, TERMS), name="k")
    c = te.compute((threads * tile.rows, tile.columns), lambda i, j: te.sum(a[i, 0] * b[0, j], axis=axis), name="C")
    return build(apply(tvm.IRModule({"main": te.create_prim_func([a, b, c])}), "parallel", tile), "peak")
