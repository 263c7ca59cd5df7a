"""Schedules by hand: every step keeps the answer, at ragged edges too, and what TVM refuses is said."""

import numpy as np
import pytest

pytest.importorskip("tvm")

from breakthrough.deploy.schedule import STEPS, WRONG, RefusedError, Tile, apply, build, host, matmul, path, program, step, text, tile_for
from breakthrough.errors import ConfigError, ShapeError, UnknownNameError
from breakthrough.seeds import numpy_generator

ACCEPTED = [one.name for one in STEPS] + ["vectorize rows"]
REFUSED = ["vectorize the sum", "parallel sum"]
SMALL = Tile(3, 8, 5, 4)


def loops(a, b):
    """The definition, by three loops in float64."""
    c = np.zeros((len(a), len(b[0])))
    for i in range(len(a)):
        for j in range(len(b[0])):
            for k in range(len(b)):
                c[i, j] += float(a[i, k]) * float(b[k, j])
    return c


def numbers(n, m, k):
    generator = numpy_generator(0, n, m, k)
    return generator.standard_normal((n, k), np.float32), generator.standard_normal((k, m), np.float32)


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize("sides", [(6, 16, 10), (7, 9, 11), (1, 3, 1)], ids=str)
def test_every_step_keeps_the_answer(name, sides):
    a, b = numbers(*sides)
    got = build(program(name, *sides, SMALL), name)(a, b)
    assert got.shape == sides[:2] and np.abs(got - loops(a, b)).max() < 1e-5


def test_whole_vectors_of_this_machine_at_a_ragged_edge():
    tile = tile_for(host())
    a, b = numbers(tile.rows + 3, 2 * tile.columns + 1, tile.depth + 5)
    assert np.abs(build(program("pack", len(a), len(b[0]), len(b), tile))(a, b) - a.astype(float) @ b).max() < 1e-4


def test_an_answer_that_was_there_before_is_overwritten():
    a, b = numbers(6, 16, 10)
    kernel = build(program("unroll", 6, 16, 10, SMALL))
    assert np.array_equal(kernel(a, b), kernel(a, b))


@pytest.mark.parametrize("name", REFUSED)
def test_a_step_that_would_change_the_answer_is_refused_with_tvms_reason(name):
    with pytest.raises(RefusedError, match=f"after '{name}', got TVM's .*not a data parallel block iter"):
        program(name, 8, 8, 8, SMALL)


def test_every_wrong_step_is_tried_here():
    assert {one.name for one in WRONG} == {*REFUSED, "vectorize rows"}
    assert [one.name for one in path("vectorize the sum")] == ["naive", "reorder", "tile", "vectorize the sum"]
    assert path("pack") == STEPS[:7] and all(one.what and one.why for one in (*STEPS, *WRONG))


def test_a_step_writes_what_it_says():
    found = {name: text(program(name, 16, 16, 16, SMALL)) for name in ACCEPTED}
    marks = {"vectorize": "T.vectorized(4)", "cache_write": 'scope="local"', "unroll": "T.unroll(", "pack": "B_global[", "parallel": "T.parallel("}
    for index, name in enumerate(ACCEPTED[:-1]):
        present = {mark for step_, mark in marks.items() if mark in found[name]}
        assert present == {mark for step_, mark in marks.items() if ACCEPTED.index(step_) <= index}
    assert "C_init" not in found["naive"] and "C_update" in found["reorder"]
    assert "T.reads" not in found["pack"] and "T.int64" not in found["pack"]


def test_a_module_of_ones_own_is_left_as_it_was():
    module = matmul(4, 8, 4)
    before = module.script()
    apply(module, "tile", SMALL)
    assert module.script() == before


def test_tiles_fit_the_registers_of_a_target():
    tvm = pytest.importorskip("tvm.target")
    for cpu, lanes, registers in (("skylake-avx512", 16, 32), ("haswell", 8, 16), ("x86-64", 4, 16)):
        tile = tile_for(tvm.Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": cpu}))
        assert tile.lanes == lanes and tile.registers < registers
    arm = tile_for(tvm.Target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"}))
    assert arm.lanes == 4 and 8 < arm.registers < 32
    assert Tile().within(5) == Tile(8, 4, 64, 4) and Tile().within(16) == Tile()


def test_what_cannot_be_is_said():
    with pytest.raises(UnknownNameError, match="cache_write"):
        step("cache_writ")
    with pytest.raises(ShapeError, match="at least 1"):
        matmul(0, 4, 4)
    with pytest.raises(ConfigError, match="multiple of lanes"):
        Tile(columns=24)
