"""Every rule keeps the answer, at ragged edges too: its first, middle and last candidates against the plain loops."""

import numpy as np
import pytest

from breakthrough.deploy import blocks, kernels, rules, spaces
from breakthrough.errors import UnknownNameError

tvm = pytest.importorskip("tvm")
te, topi = tvm.te, tvm.topi


def place(*shape, name="x"):
    return te.placeholder(shape, name=name)


def conv(n, h, w, i, o, k, stride, pad, after=None):
    x, weight = place(n, h, w, i), place(k, k, i, o, name="w")
    y = kernels.convolution(x, weight, (stride, stride), (pad,) * 4)
    return [x, weight, after(y) if after else y]


def depthwise(n, h, w, c, k, stride):
    x, weight = place(n, h, w, c), place(k, k, 1, c, name="w")
    return [x, weight, topi.nn.relu(kernels.depthwise(x, weight, (stride, stride), (k // 2,) * 4))]


def hardswish(y):
    return topi.divide(topi.multiply(y, topi.minimum(topi.maximum(topi.add(y, 3.0), 0.0), 6.0)), 6.0)


def gate(y):  # larger than the convolution's own result
    return topi.multiply(y, te.compute((1, 4, 4, 24), lambda n, h, w, c: te.const(1.5, "float32") + h.astype("float32"), name="big"))


def norm():
    x, scale, shift = place(2, 4, 4, 24), place(24, name="scale"), place(24, name="shift")
    return [x, scale, shift, topi.nn.relu(kernels.channel_norm(x, scale, shift, 1e-5))]


def winograd_nest(n, h, w, i, o):
    from breakthrough.deploy import winograd

    x, weight = place(n, h, w, i), place(6, 6, i, o, name="w")
    return [x, weight, topi.nn.relu(winograd.convolution(x, weight, 4))]


def product(rows, k, columns):
    x, weight = place(rows, k), place(k, columns, name="w")
    return [x, weight, topi.nn.matmul(x, weight)]


def wider():
    x, weight = place(3, 8), place(8, 32, name="w")
    return [x, weight, kernels.padded_product(x, weight, 30)]


def chain():
    x = place(2, 3, 4, 5)
    return [x, topi.transpose(topi.nn.relu(topi.add(x, 1.0)), (0, 2, 3, 1))]


def tiny():
    x = place(2, 7)
    return [x, topi.subtract(x, topi.max(x, axis=1, keepdims=True))]


CASES = {
    "conv 3x3": ("contraction", lambda: conv(2, 5, 6, 3, 9, 3, 2, 1)),
    "conv hardswish": ("contraction", lambda: conv(1, 4, 4, 8, 40, 1, 1, 0, hardswish)),
    "conv gate": ("contraction", lambda: conv(1, 1, 1, 8, 24, 1, 1, 0, gate)),
    "depthwise": ("depthwise", lambda: depthwise(2, 6, 5, 24, 5, 2)),
    "norm": ("channel_norm", norm),
    "winograd": ("winograd", lambda: winograd_nest(2, 4, 8, 16, 24)),
    "matmul": ("contraction", lambda: product(7, 13, 20)),
    "padded matmul": ("contraction", wider),
    "elementwise": ("elementwise", chain),
    "tiny": ("tiny", tiny),
}


def answer(function, arrays, shape):
    arguments = [tvm.runtime.tensor(array) for array in (*arrays, np.zeros(shape, "float32"))]
    tvm.compile(tvm.IRModule({"main": function.with_attr("global_symbol", "main")}), target="llvm")["main"](*arguments)
    return arguments[-1].numpy()


@pytest.mark.parametrize("name", CASES)
def test_candidates_keep_the_answer(name):
    rule, make = CASES[name]
    places = make()
    function = te.create_prim_func(places)
    found = spaces.candidates(function, tvm.target.Target({"kind": "llvm", "mcpu": "x86-64-v3", "mtriple": "x86_64-linux-gnu"}))
    assert found and {candidate.rule for candidate in found} == {rule}
    assert len({candidate.key for candidate in found}) == len(found)
    generator = np.random.default_rng(0)
    shapes = [[int(e) for e in place.shape] for place in places]
    arrays = [generator.standard_normal(shape).astype("float32") for shape in shapes[:-1]]
    want = answer(function, arrays, shapes[-1])
    for candidate in {c.key: c for c in (found[0], found[len(found) // 2], found[-1])}.values():
        got = answer(spaces.schedule(function, candidate), arrays, shapes[-1])
        assert np.abs(got - want).max() < 1e-4, candidate.key


def test_longer_registers_change_the_guess():
    function = te.create_prim_func(conv(1, 8, 8, 16, 64, 1, 1, 0))
    targets = [tvm.target.Target({"kind": "llvm", "mcpu": cpu, "mtriple": "x86_64-linux-gnu"}) for cpu in ("x86-64-v4", "x86-64-v3")]
    machines = [spaces.machine(target) for target in targets]
    assert [(m.lanes, m.registers) for m in machines] == [(16, 32), (8, 16)]
    assert [spaces.candidates(function, target)[0].params["vec"] for target in targets] == [16, 8]


def test_blocks_of_outputs_fit_the_registers():
    function = te.create_prim_func(conv(1, 8, 8, 16, 64, 1, 1, 0))
    schedule = tvm.s_tir.Schedule(function)
    for params in rules.contraction_params(schedule, spaces.Machine(16, 32)):
        assert params["rows"] * params["pixels"] * params["vecs"] * -(-params["vec"] // 16) <= 30


def test_a_hand_written_nest_and_a_large_reduction_have_no_rule():
    x = place(64, 512)
    softmax = te.create_prim_func([x, topi.nn.softmax(x)])
    assert spaces.candidates(softmax, tvm.target.Target("llvm")) == []


def test_an_unknown_rule_is_named():
    with pytest.raises(UnknownNameError, match="contraction"):
        spaces.schedule(te.create_prim_func(chain()), spaces.Candidate("contractoin"))


def test_vectors_leave_no_rest():
    for extent in (1, 3, 9, 24, 40, 340, 352):
        assert all(extent % vec == 0 for vec in blocks.vectors(extent, 16))
    assert blocks.vectors(64, 16)[0] == 16 and rules.vectors(40, 16)[0] == 8
