"""In which order a program touches memory, read from its loops: nothing is run.

Shapes: P = n · m · k products, in the order in which the program makes them
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from breakthrough import optional
from breakthrough.errors import InputError, expected

MOST = 1 << 22  # products: of each a few numbers are kept


@dataclass(frozen=True)
class Order:
    """The products of a matmul in the order of a program, and where each finds its three numbers.

    Shapes: products (P, 3) of i, j, k; addresses of A, B, C (P,), in numbers from the start of the buffer it reads
    """

    products: np.ndarray
    addresses: dict[str, np.ndarray]
    sides: tuple[int, int, int]

    def first_touch(self, matrix: str, shown: int) -> np.ndarray:
        """When each element is first touched within the first `shown` products; -1 where it is not.

        Shapes: A (n, k), B (k, m), C (n, m)
        """
        row, column = {"A": (0, 2), "B": (2, 1), "C": (0, 1)}[matrix]
        found = np.full((self.sides[row], self.sides[column]), -1)
        for time in range(min(shown, len(self.products)) - 1, -1, -1):  # backwards: the first one stays
            found[self.products[time, row], self.products[time, column]] = time
        return found

    def touched(self, shown: int) -> dict[str, int]:
        """How many different numbers of each matrix the first `shown` products touch."""
        return {matrix: int((self.first_touch(matrix, shown) >= 0).sum()) for matrix in "ABC"}


def order(module: Any) -> Order:
    """Read the order of a module with one matmul, scheduled or not.

    Raises: InputError for one with more than MOST products, or with a panel of B that is padded
    """
    loops, realize = _find(module)
    extents = [int(loop.extent) for loop in loops]
    if np.prod(extents, dtype=float) > MOST:
        raise InputError(expected(f"at most {MOST} products", int(np.prod(extents, dtype=float)), "a smaller matmul"))
    values = dict(zip((loop.loop_var for loop in loops), np.indices(extents).reshape(len(extents), -1)))
    kept = np.broadcast_to(_value(realize.predicate, values), values[loops[0].loop_var].shape).astype(bool)
    values = {variable: index[kept] for variable, index in values.items()}
    bound = [np.broadcast_to(_value(one, values), kept.sum()) for one in realize.iter_values]
    inside = dict(zip((one.var for one in realize.block.iter_vars), bound))
    store = realize.block.body
    product = getattr(store.value, "b", None)  # C = C + A * B
    if product is None:
        raise InputError(expected("a sum of products in the inner loop", type(store.value).__name__, "sides that the tile divides, when B is packed"))
    reads = dict(zip("AB", (product.a, product.b)))
    addresses = {name: _address(load.source, load.indices, inside) for name, load in reads.items()}
    addresses["C"] = _address(store.buffer, store.indices, inside)
    i, j, k = (int(one.dom.extent) for one in realize.block.iter_vars)
    return Order(np.stack(bound, axis=1), addresses, (i, j, k))


def _address(buffer: Any, indices: Any, values: dict[Any, np.ndarray]) -> np.ndarray:
    shape = [int(side) for side in buffer.shape]
    places = np.broadcast_arrays(*(np.asarray(_value(one, values)) for one in indices), *values.values())[: len(shape)]
    return np.ravel_multi_index(places, shape)


def _find(module: Any) -> tuple[list[Any], Any]:
    """The block that adds to the sum, and the loops around it, outermost first."""
    tvm = optional.require("tvm", "the compiler")
    (variable,) = module.get_global_vars()

    def walk(node: Any, loops: list[Any]) -> tuple[list[Any], Any] | None:
        if isinstance(node, tvm.tirx.For):
            return walk(node.body, [*loops, node])
        if isinstance(node, tvm.tirx.SeqStmt):
            return next((found for one in node.seq if (found := walk(one, loops))), None)
        if not isinstance(node, tvm.s_tir.SBlockRealize):
            return None
        if len(node.block.iter_vars) == 3 and isinstance(node.block.body, tvm.tirx.BufferStore):
            return loops, node
        return walk(node.block.body, loops)

    found = walk(module[variable].body, [])
    if not found:
        raise InputError(expected("a program with one matmul", "none", "schedule.matmul"))
    return found


def _value(node: Any, values: dict[Any, np.ndarray]) -> Any:
    """An index or a condition on numpy arrays of its variables."""
    tirx = optional.require("tvm.tirx", "the compiler")
    if isinstance(node, tirx.Var):
        return values[node]
    if isinstance(node, tirx.IntImm):
        return int(node)
    binary = {tirx.Add: np.add, tirx.Sub: np.subtract, tirx.Mul: np.multiply, tirx.FloorDiv: np.floor_divide, tirx.FloorMod: np.mod, tirx.LT: np.less, tirx.And: np.logical_and}
    if type(node) not in binary:
        raise InputError(expected("an index of sums, products and quotients", type(node).__name__))
    return binary[type(node)](_value(node.a, values), _value(node.b, values))
