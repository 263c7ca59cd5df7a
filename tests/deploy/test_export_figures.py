import pytest
import torch

pytest.importorskip("tvm")

from breakthrough.deploy.export import to_relax
from breakthrough.deploy.export_figures import KINDS, Op, graph_text, graphs, ops_of_relax, ops_of_torch
from breakthrough.errors import InputError
from breakthrough.seeds import torch_generator
from breakthrough.train.inspector import Inspector, InspectorConfig


@pytest.fixture(scope="module")
def exported():
    model = Inspector(InspectorConfig(widths=(8,), blocks=(1,)), torch_generator(0))
    return to_relax(model, torch.rand(2, 3, 32, 32), batch="dynamic")


def test_torchs_graph_has_the_models_operators_in_order_with_shapes_and_weights(exported):
    ops = ops_of_torch(exported.program)
    names = [op.name for op in ops]
    assert names[0] == "input" and names[-1] == "output" and names.count("conv2d") == 3 and names.count("logsumexp") == 2
    stem = ops[names.index("conv2d")]
    assert (stem.shape, stem.weight, stem.kind) == ("B×8×8×8", "8×3×6×6", "product")
    residual = ops[names.index("add")]
    assert len(residual.inputs) == 2 and residual.kind == "element by element"
    assert all(before < i for i, op in enumerate(ops) for before in op.inputs)


def test_relaxs_graph_is_connected_and_ends_in_the_same_shape(exported):
    ops, other = ops_of_relax(exported), ops_of_torch(exported.program)
    assert [op.name for op in ops].count("nn.conv2d") == 3 and len(ops) > len(other)  # logsumexp in its parts
    last = ops[ops[-1].inputs[0]]
    assert last.shape == other[other[-1].inputs[0]].shape == "B×5"
    used = {before for op in ops for before in op.inputs}
    assert used == set(range(len(ops) - 1))


def test_the_figure_has_a_box_for_each_operator_and_the_text_a_line(exported):
    ops = ops_of_torch(exported.program)
    figure = graphs({"torch.export": ops, "Relax": ops_of_relax(exported)})
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert f"torch.export: {len(ops) - 2} operators" in texts and texts.count("conv2d") == 3 and texts.count("nn.conv2d") == 3
    figure.canvas.draw()
    width, height = figure.get_size_inches() * figure.dpi
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert -1 <= box.x0 and box.x1 <= width + 1 and -1 <= box.y0 and box.y1 <= height + 1
    assert len(graph_text(ops).splitlines()) == len(ops) + 1
    with pytest.raises(InputError, match="graphs with operators"):
        graphs({})


def test_operators_are_of_the_kinds_of_the_legend():
    wanted = {"conv2d": "product", "nn.relu": "element by element", "maximum": "element by element", "amax": "reduction", "strided_slice": "moves numbers"}
    assert {name: Op(name, "").kind for name in wanted} == wanted and set(wanted.values()) < set(KINDS)
