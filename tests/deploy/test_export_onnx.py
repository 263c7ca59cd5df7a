import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("tvm")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

sys.path.insert(0, str(Path(__file__).parent))
import export_toys as toys  # noqa: E402

from breakthrough.deploy import onnx_file  # noqa: E402
from breakthrough.deploy.checking import check, compare  # noqa: E402
from breakthrough.deploy.export import source_sha256, together  # noqa: E402
from breakthrough.deploy.models import NETS, WithCells, lookups, net  # noqa: E402
from breakthrough.deploy.onnx_file import from_onnx, session, to_onnx  # noqa: E402
from breakthrough.deploy.refusals import ExportError, UnsupportedOpError  # noqa: E402
from breakthrough.deploy.steps import NOT_TAKEN, path, table  # noqa: E402
from breakthrough.errors import ArtifactError, ConfigError  # noqa: E402
from breakthrough.quant.apply import quantize  # noqa: E402
from breakthrough.seeds import torch_generator  # noqa: E402


@pytest.fixture(scope="module")
def inspector():
    return net("inspector", torch_generator(0), small=True)


@pytest.fixture(scope="module")
def written(inspector, tmp_path_factory):
    return to_onnx(inspector.model, inspector.example, tmp_path_factory.mktemp("onnx") / "net.onnx", batch="dynamic", upto=8)


@pytest.mark.parametrize("name", NETS)
def test_a_dynamic_batch_answers_as_the_model_does_in_onnx_runtime(name):
    one = net(name, torch_generator(0), small=True)
    found = compare(one.model, one.example, torch_generator(1), batch="dynamic", upto=6, steps=["ONNX Runtime"])
    assert {error.batch for error in found} == {1, 2, 5, 6} and max(error.error for error in found) <= 1e-5


@pytest.mark.parametrize(("scheme", "codes"), [("int8", "int8"), ("nf4", "uint8")])
def test_a_quantized_inspector_with_its_map_keeps_its_codes_in_the_file(scheme, codes, tmp_path):
    one = net("inspector", torch_generator(0))
    model = lookups(quantize(WithCells(one.model), scheme))
    file = to_onnx(model, one.example, tmp_path / "quantized.onnx")
    assert check(file, model, torch_generator(1)) <= 1e-5
    stored = [part for part in onnx.load(str(file)).graph.initializer if onnx.helper.tensor_dtype_to_np_dtype(part.data_type) == np.dtype(codes)]
    assert stored and file.stat().st_size < 0.75 * sum(4 * p.numel() for p in one.model.parameters())


def test_the_way_through_onnx_to_relax_gives_the_same_answers():
    one = net("language", torch_generator(0), small=True)
    found = compare(one.model, one.example, torch_generator(1), batch="dynamic", upto=6, steps=["ONNX to Relax"])
    assert max(error.error for error in found) <= 1e-5 and len(found) == 4


def test_the_file_is_one_with_names_that_mean_something(written, inspector):
    running = session(written)
    assert [(i.name, i.shape) for i in running.get_inputs()] == [("x", ["batch", 3, 32, 32])]
    assert [(o.name, o.shape) for o in running.get_outputs()] == [("y0", ["batch", 5])]
    assert [file.name for file in written.parent.iterdir()] == ["net.onnx"]
    made = from_onnx(written, inspector.model)
    assert made.functions == {"main": None} and made.inputs[0].shape == (None, 3, 32, 32) and made.outputs[0].shape == (None, 5)
    assert made.source_sha256 == source_sha256(inspector.model) and made.source == "Inspector" and from_onnx(written).source == "net"


def test_check_sees_a_single_wrong_weight(written):
    model = net("inspector", torch_generator(0), small=True).model
    assert check(written, model, torch_generator(1), tolerance=1e-5) <= 1e-5
    with torch.no_grad():
        model.head.weight[1, 0] += 0.5
    with pytest.raises(ExportError, match="within 1e-05, got an error of"):
        check(written, model, torch_generator(1), tolerance=1e-5)


def test_batch_sizes_from_onnx_stand_together_though_their_helpers_share_a_name(inspector, tmp_path):
    parts = [from_onnx(to_onnx(inspector.model, inspector.inputs(n, torch_generator(n)), tmp_path / f"{n}.onnx"), inspector.model) for n in (1, 3)]
    whole = together(parts)
    names = [var.name_hint for var in whole.module.get_global_vars()]
    assert whole.functions == {"batch_1": 1, "batch_3": 3} and len(names) == len(set(names)) > 2
    assert check(whole, inspector.model, torch_generator(1)) <= 1e-5


def test_operators_that_onnx_does_not_have_are_all_named_and_nothing_is_left(tmp_path):
    class Both(toys.Unknown):
        def forward(self, x):
            return super().forward(x) + torch.linalg.svdvals(x[:, 0]).sum(1)

    with pytest.raises(UnsupportedOpError, match=r"ONNX's exporter knows, got 2") as caught:
        to_onnx(toys.Outer(Both()), torch.rand(2, 3, 8, 8), tmp_path / "no.onnx")
    places = {place.op: place for place in caught.value.places}
    assert set(places) == {"_cdist_forward.default", "_linalg_svd.default"} and places["_cdist_forward.default"].module == "inner"
    assert "torch.cdist" in places["_cdist_forward.default"].code and list(tmp_path.iterdir()) == []


def test_a_file_that_fails_its_check_replaces_nothing(inspector, tmp_path, monkeypatch):
    file = tmp_path / "net.onnx"
    file.write_bytes(b"what was there")

    def refuse(path):
        raise ArtifactError("no")

    monkeypatch.setattr(onnx_file, "session", refuse)
    with pytest.raises(ArtifactError, match="no"):
        to_onnx(inspector.model, inspector.example, file)
    assert file.read_bytes() == b"what was there" and list(tmp_path.iterdir()) == [file]


def test_files_that_are_no_nets_are_refused(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a protobuf")
    with pytest.raises(ArtifactError, match="ONNX Runtime takes"):
        session(broken)
    with pytest.raises(ArtifactError, match="an ONNX file"):
        from_onnx(broken)
    with pytest.raises(ArtifactError, match="none at"):
        session(tmp_path / "absent.onnx")
    with pytest.raises(ConfigError, match="threads"):
        session(broken, 0)


def test_the_path_is_told_step_by_step_with_what_was_not_taken(inspector):
    steps = {step.name: step for step in path(inspector.model, inspector.example, torch_generator(1))}
    done = ["PyTorch", "torch.export", "ONNX", "ONNX to TVM", "torch.export to TVM"]
    assert list(steps) == ["PyTorch Lightning", *done, "NAS / AutoML"]
    assert all(steps[name].done and steps[name].size_bytes > 0 for name in done) and all(steps[name].error <= 1e-5 for name in done[1:])
    assert all(not steps[name].done and steps[name].note == why for name, why in NOT_TAKEN.items())
    assert len(table(steps.values()).splitlines()) == 8


def test_a_step_that_fails_says_why_and_the_others_go_on():
    steps = {step.name: step for step in path(toys.Unknown(), torch.rand(2, 3, 8, 8), torch_generator(1))}
    assert steps["torch.export"].done and steps["torch.export"].error == 0
    for name in ("ONNX", "ONNX to TVM", "torch.export to TVM"):
        assert not steps[name].done and steps[name].note.startswith("expected ")
