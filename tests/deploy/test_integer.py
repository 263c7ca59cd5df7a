"""The integer products against plain sums of integers, and the pipeline "int8" as a whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

tvm = pytest.importorskip("tvm", reason="needs apache-tvm")

from tvm import te  # noqa: E402
from tvm.target import Target, codegen  # noqa: E402

from breakthrough.deploy import instructions, integer, integer_kernels, quantized, sites, targets  # noqa: E402
from breakthrough.deploy.calibration import Grid, Scales, calibrate  # noqa: E402
from breakthrough.deploy.compile import build  # noqa: E402
from breakthrough.deploy.export import to_relax  # noqa: E402
from breakthrough.errors import ConfigError, InputError, UnknownNameError  # noqa: E402
from breakthrough.quant.apply import quantize  # noqa: E402
from breakthrough.quant.table import codes_and_scales  # noqa: E402
from breakthrough.train.inspector import Inspector, InspectorConfig  # noqa: E402

VNNI, NARROW, DOT = instructions.INSTRUCTIONS
CPUS = {"avx512_vnni": "znver5", "avx_vnni": "alderlake"}
SMALL = dict(widths=(16, 16), blocks=(1, 0))


def here(instruction: instructions.Instruction) -> None:
    if not codegen.target_has_features(instruction.feature, targets.choose("cpu").target):
        pytest.skip(f"this processor has no {instruction.feature}")


def sums(x: np.ndarray, codes: np.ndarray, stride: tuple[int, int], padding: tuple[int, ...], zero: int) -> np.ndarray:
    """A convolution in 64-bit integers. Shapes: x (N, H, W, I), codes (kh, kw, I, O)."""
    top, left, bottom, right = padding
    x = np.pad(x.astype(np.int64), ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=zero)
    kh, kw, _, outputs = codes.shape
    h, w = (x.shape[1] - kh) // stride[0] + 1, (x.shape[2] - kw) // stride[1] + 1
    y = np.zeros((len(x), h, w, outputs), np.int64)
    for i, j in itertools.product(range(kh), range(kw)):
        y += x[:, i : i + stride[0] * h : stride[0], j : j + stride[1] * w : stride[1]][:, :h, :w] @ codes[i, j].astype(np.int64)
    return y


def compiled(function, instruction, cpu=None):
    scheduled = integer.schedule(function, instruction)
    assert scheduled is not None
    target = targets.choose("cpu", cpu=cpu).target
    return tvm.compile(tvm.IRModule({"main": scheduled.with_attr("global_symbol", "main")}), target=target)


def convolve(x, codes, instruction, *, stride=(1, 1), padding=(0, 0, 0, 0), zero=0):
    """The kernel's sums: scales of one and shifts of zero, so that real numbers are the integers."""
    kh, kw, _, outputs = codes.shape
    full = outputs + -outputs % instruction.lanes
    weight = integer_kernels.packed(integer_kernels.rows_of(codes), instruction)
    places = [te.placeholder(a.shape, str(a.dtype)) for a in (x, weight, np.ones(full, np.float32), np.zeros(full, np.float32))]
    y = integer_kernels.convolution(*places, zero=zero, window=(kh, kw), stride=stride, padding=padding)
    run = compiled(te.create_prim_func([*places, y]), instruction)
    out = np.zeros([int(n) for n in y.shape], np.float32)
    arguments = [tvm.runtime.tensor(a) for a in (x, weight, np.ones(full, np.float32), np.zeros(full, np.float32), out)]
    run["main"](*arguments)
    return arguments[-1].numpy()[..., :outputs]


@pytest.mark.parametrize(
    ("picture", "window", "outputs", "stride", "padding", "zero"),
    [
        ((1, 6, 8, 8), (3, 3), 32, (1, 1), (1, 1, 1, 1), 0),
        ((2, 7, 5, 3), (3, 3), 16, (2, 2), (1, 1, 1, 1), 128),  # RGB, odd sides, a zero that is not 0
        ((1, 9, 8, 3), (6, 6), 24, (4, 4), (1, 1, 1, 1), 77),  # the inspector's stem
        ((1, 5, 6, 4), (1, 1), 9, (1, 1), (0, 0, 0, 0), 3),  # outputs that fill no vector
        ((1, 6, 7, 6), (2, 3), 16, (1, 2), (0, 2, 1, 0), 200),  # nothing symmetric
    ],
)
def test_sums_are_those_of_integers_bit_for_bit(picture, window, outputs, stride, padding, zero):
    here(VNNI)
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, picture, dtype=np.uint8)
    codes = draw.integers(-127, 128, (*window, picture[3], outputs), dtype=np.int8)
    found = convolve(x, codes, VNNI, stride=stride, padding=padding, zero=zero)
    np.testing.assert_array_equal(found, sums(x, codes, stride, padding, zero))


def test_another_zero_in_the_padding_is_seen():
    here(VNNI)
    x, codes = np.full((1, 4, 4, 4), 9, np.uint8), np.ones((3, 3, 4, 16), np.int8)
    found = convolve(x, codes, VNNI, padding=(1, 1, 1, 1), zero=5)
    assert (found != sums(x, codes, (1, 1), (1, 1, 1, 1), 0)).any()


@pytest.mark.parametrize(("activation", "code"), [(255, 127), (255, -128), (0, -128), (255, -127)])
def test_extremes_do_not_saturate(activation, code):
    here(VNNI)
    x, codes = np.full((1, 3, 3, 64), activation, np.uint8), np.full((3, 3, 64, 16), code, np.int8)
    assert (convolve(x, codes, VNNI) == activation * code * 9 * 64).all()


def test_eight_lanes_say_the_same():
    here(NARROW)
    draw = np.random.default_rng(1)
    x, codes = draw.integers(0, 256, (1, 4, 6, 8), dtype=np.uint8), draw.integers(-127, 128, (3, 3, 8, 16), dtype=np.int8)
    np.testing.assert_array_equal(convolve(x, codes, NARROW, padding=(1, 1, 1, 1)), sums(x, codes, (1, 1), (1, 1, 1, 1), 0))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_instruction_is_in_the_machine_code(index):
    instruction = instructions.INSTRUCTIONS[index]
    x, weight = te.placeholder((2, 8, 32), instruction.activation), te.placeholder((32 // instruction.lanes, 8, instruction.lanes, 4), "int8")
    real = [te.placeholder((32,), "float32") for _ in range(2)]
    function = te.create_prim_func([x, weight, *real, integer_kernels.linear(x, weight, *real, zero=0)])
    triple = {"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a76"} if index == 2 else {"mtriple": "x86_64-linux-gnu", "mcpu": CPUS[instruction.name]}
    module = tvm.IRModule({"main": integer.schedule(function, instruction).with_attr("global_symbol", "main")})
    made = tvm.compile(module, target=Target({"kind": "llvm", **triple}))
    assert sum(instructions.uses(made, instruction).values()) >= 8


@pytest.mark.parametrize(("cpu", "name"), [("znver5", "avx512_vnni"), ("alderlake", "avx_vnni"), ("haswell", None)])
def test_an_instruction_is_found_by_the_target(cpu, name):
    found, why = instructions.instruction_of(Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": cpu}))
    assert (found and found.name) == name and cpu in why


def test_linear_layers_of_odd_sizes():
    here(VNNI)
    draw = np.random.default_rng(2)
    x, codes = draw.integers(0, 256, (3, 5, 10), dtype=np.uint8), draw.integers(-127, 128, (10, 20), dtype=np.int8)
    weight = integer_kernels.packed(codes, VNNI)
    places = [te.placeholder(a.shape, str(a.dtype)) for a in (x, weight, np.ones(32, np.float32), np.zeros(32, np.float32))]
    run = compiled(te.create_prim_func([*places, integer_kernels.linear(*places, zero=0)]), VNNI)
    arguments = [tvm.runtime.tensor(a) for a in (x, weight, np.ones(32, np.float32), np.zeros(32, np.float32), np.zeros((3, 5, 32), np.float32))]
    run["main"](*arguments)
    np.testing.assert_array_equal(arguments[-1].numpy()[..., :20], x.astype(np.int64) @ codes)


def test_the_bound_holds_and_is_reached():
    codes = np.random.default_rng(3).integers(-127, 128, (3, 3, 8, 16), dtype=np.int8)
    grid = Grid(0.1, 0, 0, 255)
    worst = np.where(codes[..., :1] > 0, 255, 0)
    assert integer_kernels.largest_sum(codes, grid) >= abs(int((worst * codes[..., :1].astype(np.int64)).sum()))
    ones = np.full((4, 16), 127, np.int8)
    assert integer_kernels.largest_sum(ones, grid) == 4 * 127 * 255


def test_sums_that_may_overflow_are_refused():
    codes = np.full((66_400, 1), 127, np.int8)
    with pytest.raises(InputError, match="linear3 within 32 bits.*66,400 products"):
        integer_kernels.check_sums("linear3", codes, Grid(1.0, 0, 0, 255))
    assert integer_kernels.check_sums("linear3", codes[:66_000], Grid(1.0, 0, 0, 255)) <= integer_kernels.LIMIT


def test_codes_are_those_of_module_4():
    model = Inspector(InspectorConfig(**SMALL), torch.Generator().manual_seed(0)).eval()
    stored = codes_and_scales(quantize(model, "int8"))
    assert stored
    for codes, scales in stored.values():
        real = (codes.float() * scales.view(-1, *[1] * (codes.ndim - 1))).numpy()
        found, steps = integer_kernels.codes_of(real.transpose(2, 3, 1, 0))
        np.testing.assert_array_equal(found.transpose(3, 2, 0, 1), codes.numpy())
        np.testing.assert_allclose(steps, scales.numpy(), rtol=1e-6)


def test_packing_puts_every_code_in_its_place():
    codes = np.random.default_rng(4).integers(-127, 128, (2, 3, 5, 20), dtype=np.int8)
    found = integer_kernels.packed(codes, VNNI)
    assert found.shape == (2, 2, 3, 2, 16, 4)
    for i, j, c, o in itertools.product(*map(range, codes.shape)):
        assert found[o // 16, i, j, c // 4, o % 16, c % 4] == codes[i, j, c, o]
    assert np.abs(found.astype(int)).sum() == np.abs(codes.astype(int)).sum()  # zeros in the rest


def small(norm="group"):
    model = Inspector(InspectorConfig(**SMALL, norm=norm), torch.Generator().manual_seed(0)).eval()
    draw = torch.Generator().manual_seed(1)
    return model, torch.rand(1, 3, 32, 32, generator=draw), torch.rand(8, 3, 32, 32, generator=draw)


@pytest.fixture(scope="module")
def net():
    model, x, inputs = small()
    exported = to_relax(model, x)
    return model, x, exported, calibrate(exported, [inputs])


def test_a_whole_net_in_integers(net):
    here(VNNI)
    model, x, exported, scales = net
    made = build(exported, "cpu", "int8", calibration=scales)
    with torch.no_grad():
        wanted = model(x).numpy()
    close = np.abs(made.engine()(x.numpy()) - wanted).max()
    far = np.abs(build(exported, "cpu", "int8", calibration=scales.times(1 / 8)).engine()(x.numpy()) - wanted).max()
    assert close < 0.1 < far  # scores go up to 10: a scale that is wrong shows
    record = made.manifest["quantized"]
    ways = {one["site"]: one["way"] for one in record["products"]}
    assert list(ways.values()) == ["int8", "int8", "int8", "float32"] and "vpdpbusd" in record["found"]
    assert all(0 < one["largest_sum"] <= integer_kernels.LIMIT for one in record["products"] if one["way"] == "int8")
    assert Scales.from_dict(record["scales"]) == scales
    assert {str(w.dtype) for w in made.weights.values()} >= {"int8"}
    counted = instructions.uses(made.executable, VNNI)
    assert sum("conv2d_int8" in name for name in counted) >= 3


def test_a_processor_without_integer_products_gets_weights_and_the_reason(net):
    made = integer.integer(net[2].module, None, targets.choose("cpu", cpu="x86-64-v3").target)
    assert made.instruction is None
    assert {one.way for one in made.chosen} == {"int8 weights", "float32"}
    assert all("none of avx512vnni" in one.why for one in made.chosen if one.way == "int8 weights")


def test_what_cannot_be_quantized_is_named():
    model = nn.Sequential(nn.Conv2d(16, 16, 3, groups=16), nn.Conv2d(16, 16, 1)).eval()
    exported = to_relax(model, torch.rand(1, 16, 6, 6))
    scales = Scales({"conv2d0": (0.0, 1.0)})
    made = integer.integer(exported.module, scales, targets.choose("cpu", cpu="znver5").target)
    assert [(one.site, one.way) for one in made.chosen] == [("conv2d0", "int8"), ("other conv2d0", "float32")]
    assert "by groups" in made.chosen[1].why


def test_int8_wants_scales(net):
    target = targets.choose("cpu", cpu="znver5").target
    with pytest.raises(InputError, match="calibration="):
        quantized.lower(net[2].module, target)
    with pytest.raises(UnknownNameError, match="conv2d0"):
        integer.integer(net[2].module, Scales({"conv2d7": (0.0, 1.0)}), target)


def test_scales_measure_what_enters(net):
    _, _, exported, scales = net
    low, high = scales.ranges["conv2d0"]
    assert -2 <= low < -1.9 and 1.9 < high <= 2  # pixels, centred
    assert all(low == 0 < high for name, (low, high) in scales.ranges.items() if name != "conv2d0")  # after ReLU
    narrow = calibrate(exported, [small()[2]], method="percentile", percentile=90)
    assert all(narrow.ranges[name][1] < scales.ranges[name][1] for name in scales.ranges)
    assert scales.inputs == 8
    assert list(sites.sites(sites.canonical(exported.module)["batch_1"])) == list(scales.ranges)


@pytest.mark.parametrize("index", [0, 2])
def test_a_grid_has_zero_and_both_ends(index):
    instruction = instructions.INSTRUCTIONS[index]
    grid = Scales({"a": (-1.0, 3.0)}).grid("a", instruction)
    found = grid.integers(np.array([-1.0, 0.0, 3.0, -50.0, 50.0]))
    assert found[1] == grid.zero and found[0] == found[3] == instruction.low and found[2] == found[4] == instruction.high
    assert abs(float(found[2] - grid.zero) * grid.scale - 3.0) <= grid.scale


def test_ranges_that_are_none_are_refused(net):
    with pytest.raises(ConfigError, match="zero in it"):
        Scales({"a": (0.5, 1.0)})
    with pytest.raises(InputError, match="at least a batch"):
        calibrate(net[2], [])
    with pytest.raises(UnknownNameError, match="percentile"):
        calibrate(net[2], [net[1]], method="percentil")  # codespell:ignore percentil
