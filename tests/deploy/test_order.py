"""The order of a program, read from its loops: a schedule moves products, and makes none nor loses one."""

import itertools

import numpy as np
import pytest

pytest.importorskip("tvm")

from breakthrough.deploy.order import order
from breakthrough.deploy.schedule import STEPS, Tile, matmul, program
from breakthrough.errors import InputError

TILE = Tile(2, 4, 4, 2)


@pytest.mark.parametrize("name", [one.name for one in STEPS] + ["vectorize rows"])
def test_every_product_is_made_once(name):
    found = order(program(name, 6, 8, 4, TILE))
    assert sorted(map(tuple, found.products.tolist())) == list(itertools.product(range(6), range(8), range(4)))


def test_ragged_tiles_lose_nothing():
    found = order(program("unroll", 7, 9, 5, TILE))
    assert sorted(map(tuple, found.products.tolist())) == list(itertools.product(range(7), range(9), range(5)))


def test_the_order_and_the_addresses_are_those_of_the_loops():
    i, j, k = np.array([(i, j, k) for i in range(3) for k in range(4) for j in range(5)]).T
    found = order(program("reorder", 3, 5, 4))
    assert np.array_equal(found.products, np.stack([i, j, k], 1))
    for name, at in {"A": i * 4 + k, "B": k * 5 + j, "C": i * 5 + j}.items():
        assert np.array_equal(found.addresses[name], at)


def test_packing_makes_neighbours_of_what_is_read_in_turn():
    plain, packed = (order(program(name, 8, 8, 8, TILE)) for name in ("unroll", "pack"))
    assert np.array_equal(plain.products, packed.products)
    _, j, k = packed.products.T
    assert np.array_equal(packed.addresses["B"], j // 4 * 32 + k * 4 + j % 4)


def test_a_tile_touches_less_for_the_same_work():
    naive, tiled = (order(program(name, 8, 8, 8, TILE)) for name in ("naive", "tile"))
    assert naive.touched(32) == {"A": 8, "B": 32, "C": 4} and tiled.touched(32) == {"A": 8, "B": 16, "C": 8}
    first = tiled.first_touch("C", 32)
    assert first[0, 0] == 0 and first[1, 0] == 4 and first[2, 0] == -1


def test_what_cannot_be_read_is_said():
    with pytest.raises(InputError, match="smaller matmul"):
        order(matmul(512, 512, 512))
    with pytest.raises(InputError, match="when B is packed"):
        order(program("pack", 7, 9, 5, TILE))
