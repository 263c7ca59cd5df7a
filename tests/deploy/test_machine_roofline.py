"""The machine's roofs and a net's operators under them: what is counted, bounds, data, text and picture."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from breakthrough.deploy.operators import Operator, Profile, operators
from breakthrough.deploy.roofline import Level, Machine, Roof, cache_levels, measure_machine
from breakthrough.deploy.roofline_figures import draw_roofline
from breakthrough.errors import InputError, UnknownNameError

ROOF = Roof(1, {"float32": 100e9, "int8": 400e9}, (Level("L1", 1 << 15, 200e9), Level("L2", 1 << 20, 100e9), Level("memory", 0, 10e9)))
MACHINE = Machine("made", (ROOF,))


def test_a_roof_is_the_lower_of_arithmetic_and_reading():
    assert ROOF.rate(1) == 10e9 and ROOF.rate(1000) == 100e9 and ROOF.rate(1000, "int8") == 400e9 and ROOF.rate(0.5, level="L1") == 100e9
    assert ROOF.ridge() == 10 and ROOF.ridge("int8", "L2") == 4 and ROOF.bandwidth == 10e9
    assert ROOF.least_s(1e9, 1e6) == pytest.approx(0.01) and ROOF.least_s(1e6, 1e9) == pytest.approx(0.1)
    assert [ROOF.holding(size).name for size in (1, 1 << 15, 1 << 16, 1 << 21)] == ["L1", "L1", "L2", "memory"]


def test_a_machine_is_measured():
    found = measure_machine((1,), repeats=1, dtypes=("float32",))
    roof = found.roof(1)
    assert roof.peak() > 1e9 and [level.name for level in roof.levels] == [*cache_levels(), "memory"]
    assert all(level.bandwidth > 1e8 for level in roof.levels)
    assert Machine.from_dict(json.loads(json.dumps(found.to_dict()))) == found and "ridge" in str(found)


class Toy(nn.Module):
    """A convolution in groups, a linear layer with a bias, and what stands between them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2, bias=False)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.conv(x)).mean((2, 3)))


def test_operations_and_bytes_are_those_of_the_shapes():
    profile = operators(Toy().eval(), torch.ones(2, 4, 8, 8), timed=False)
    found = {one.name: one for one in profile.operators}
    conv, linear = found["convolution"], found["addmm"]
    assert conv.where == "conv" and conv.shape == (2, 8, 4, 4) and conv.flops == 2 * 9 * 2 * (2 * 8 * 4 * 4)
    assert conv.weight_bytes == 4 * 8 * 2 * 9 and conv.bytes == 4 * (2 * 4 * 64 + 8 * 2 * 9 + 2 * 8 * 16)
    assert linear.where == "head" and linear.flops == 2 * 2 * 8 * 5 and linear.weight_bytes == 4 * (40 + 5)  # the weight is transposed there
    assert found["relu"].flops == 2 * 8 * 16 and "t" not in found and profile.flops == sum(one.flops for one in profile.operators)
    assert profile.seconds == 0 and "–" in profile.table(MACHINE)


def test_the_bound_of_a_net_is_the_sum_of_its_operators():
    product, moving = Operator("mm", "", (1,), int(1e9), int(1e6), 0), Operator("add", "", (1,), int(1e6), int(1e9), 0)
    profile = Profile("made", 1, (product, moving))
    assert profile.least_s(ROOF) == pytest.approx(0.01 + 0.1) and profile.least_s(ROOF) > ROOF.least_s(profile.flops, profile.bytes)
    assert profile.nearest_s(ROOF) == pytest.approx(profile.least_s(ROOF), rel=0.01) and profile.nearest_s(ROOF, kind="mm") == pytest.approx(0.01)


def test_what_was_timed_as_data_text_and_picture():
    profile = operators(Toy().eval(), torch.ones(1, 4, 8, 8), name="toy", repeats=1)
    assert all(one.seconds > 0 for one in profile.operators) and profile.seconds > 0
    assert Profile.from_dict(json.loads(json.dumps(profile.to_dict()))) == profile
    kinds = profile.by_kind()
    assert list(kinds) == sorted(kinds, key=lambda name: -kinds[name][3]) and sum(row[0] for row in kinds.values()) == len(profile.operators)
    text = profile.table(MACHINE, most=2)
    assert "other kinds" in text and "100%" in text and "the pass as a whole" in text
    (axes,) = draw_roofline(MACHINE, profile).axes
    texts = " ".join(text.get_text() for text in axes.texts)
    assert "memory 10 GB/s" in texts and "int8: 400 GFLOP/s" in texts and "toy" in axes.get_title()
    assert len(axes.collections) == sum(1 for one in kinds if kinds[one][1])
    assert len(draw_roofline(MACHINE).axes[0].collections) == 0


def test_what_is_not_there():
    with pytest.raises(UnknownNameError, match="level"):
        ROOF.level("L9")
    with pytest.raises(UnknownNameError, match="dtype"):
        ROOF.peak("float64")
    with pytest.raises(InputError, match="threads out of"):
        MACHINE.roof(64)
    with pytest.raises(InputError, match="at least 1"):
        measure_machine((0,))
    with pytest.raises(UnknownNameError, match="dtype"):
        measure_machine((1,), repeats=1, dtypes=("float99",))
