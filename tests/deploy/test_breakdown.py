"""Where the time of a pass goes: steps of every engine are found, sorted into kinds of work, laid side by side."""

import numpy as np
import pytest
import torch

from breakthrough.deploy import nets
from breakthrough.deploy.breakdown import ELEMENTS, KINDS, Breakdown, Step, of_eager, of_engine, of_onnx, side_by_side
from breakthrough.deploy.operators import operators
from breakthrough.deploy.variants import Job, of_torch, onnx_file
from breakthrough.errors import InputError

PRODUCTS, NORMS, MOVING = KINDS


@pytest.mark.parametrize(
    ("name", "kind"),
    [("FusedConv", PRODUCTS), ("fused_conv2d_add_relu", PRODUCTS), ("addmm", PRODUCTS), ("InstanceNormalization", NORMS), ("native_group_norm", NORMS),
     ("vm.builtin.alloc_tensor", MOVING), ("ReorderInput", MOVING), ("relu", ELEMENTS), ("Add", ELEMENTS), ("multiply", ELEMENTS)],
)
def test_a_step_is_of_the_kind_that_its_name_says(name, kind):
    assert Step(name, 1, 1.0).kind == kind


def test_kinds_add_up():
    found = Breakdown("made", (Step("conv", 2, 3.0), Step("relu", 1, 1.0), Step("vm.copy", 1, 0.5)), 4.0)
    assert found.seconds == 4.5 == sum(found.of(kind) for kind in (*KINDS, ELEMENTS)) and [step.name for step in found.top(2)] == ["conv", "relu"]
    text = side_by_side([found, found])
    assert text.count("made") == 2 and "4500000.0" in text and "4000000.0" in text and "conv" in str(found)
    with pytest.raises(InputError, match="a breakdown"):
        side_by_side([])


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    net = nets.net("inspector")
    x = net.draw(1, np.random.default_rng(0))
    return Job(net.model(), x, x, tmp_path_factory.mktemp("onnx"))


def test_every_convolution_is_found_in_every_engine(job):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tvm")
    from breakthrough.deploy.compile import build
    from breakthrough.deploy.export import to_relax

    x = torch.from_numpy(job.example)
    engine = build(to_relax(job.model, x)).engine()
    parts = [of_eager(operators(job.model, x, repeats=1)), of_onnx(onnx_file(job), job.example, repeats=5), of_engine(engine, job.example, repeats=2)]
    for part in parts:
        convolutions = [step for step in part.steps if "conv" in step.name.lower()]
        assert sum(step.calls for step in convolutions) == 7 and part.of(PRODUCTS) > 0 and part.whole_s > 0
    assert np.abs(engine(job.example) - of_torch(job.model)(job.example)).max() < 1e-5  # it answers as before
