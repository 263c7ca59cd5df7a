import json
from dataclasses import replace

import pytest
import torch

from breakthrough import artifacts
from breakthrough.errors import ArtifactError, ConfigError, ShapeError, UnknownNameError
from breakthrough.seeds import torch_generator
from breakthrough.train.inspector import (
    CLASSES,
    CONFIG,
    WEIGHTS,
    Inspector,
    InspectorConfig,
    load_inspector,
    save_inspector,
)

SMALL = InspectorConfig(widths=(8, 16), blocks=(0, 1))


@pytest.fixture
def model():
    return Inspector(SMALL, torch_generator(0))


@pytest.fixture
def pictures():
    return torch.rand(4, 3, 64, 64, generator=torch_generator(1))


def test_the_classes_are_those_of_the_scenes():
    from breakthrough.scenes.spec import DEFECTS

    assert CLASSES == DEFECTS


@pytest.mark.parametrize("config", [SMALL, InspectorConfig(), replace(SMALL, stride=2), replace(SMALL, norm="batch")])
def test_the_grid_and_the_scores_have_their_shapes(config):
    model, side = Inspector(config, torch_generator(0)), 64 // config.cell
    x = torch.rand(2, 3, 64, 96, generator=torch_generator(1))
    assert model.cells(x).shape == (2, 9, side, 96 // config.cell) and model(x).shape == (2, 5)


def test_a_defect_in_any_cell_is_a_defect_of_the_picture(model):
    cells = torch.zeros(4, 9, 8, 8)
    cells[:, 0] = 10
    cells[1, 3, 6, 2] = 30
    cells[2, 4, 0, 0] = 30
    cells[3, 6, 1:3] = 50  # many bolts, all sound
    assert model.gather(cells).argmax(1).tolist() == [0, 3, 4, 0]
    moved = cells.roll((3, 5), (2, 3))
    torch.testing.assert_close(model.gather(moved), model.gather(cells))  # wherever it is
    each = cells[1].double().exp()
    expected = (each[3] / (each[0] + each[5:].sum(0))).sum().log().float()
    torch.testing.assert_close(model.gather(cells)[1, 3], expected)


def test_a_picture_is_judged_alone_and_alike_in_training(model, pictures):
    torch.testing.assert_close(model(pictures)[:1], model(pictures[:1]))
    with torch.no_grad():
        training = model.train()(pictures)
    torch.testing.assert_close(training, model.eval()(pictures))
    assert not list(model.buffers())
    batch = Inspector(replace(SMALL, norm="batch"), torch_generator(0))
    assert not torch.allclose(batch(pictures)[:1], batch(pictures[:1]), atol=1e-3)


def test_weights_come_from_the_generator_alone(pictures):
    models = [Inspector(SMALL, torch_generator(seed)) for seed in (0, 0, 1)]
    first, same, other = (model(pictures) for model in models)
    assert torch.equal(first, same) and not torch.allclose(first, other)
    assert 0.05 < first.std() < 20


def test_every_weight_gets_a_gradient(model, pictures):
    torch.nn.functional.cross_entropy(model(pictures), torch.tensor([0, 1, 2, 3])).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_it_exports_as_one_graph(model, pictures):
    program = torch.export.export(model.eval(), (pictures,))
    torch.testing.assert_close(program.module()(pictures), model(pictures))


@pytest.mark.parametrize("bad", [
    {"classes": ("none",)}, {"classes": ("a", "a")}, {"widths": ()}, {"widths": (8, 12), "group": 8}, {"group": 0},
    {"blocks": (1,)}, {"blocks": (1, -1)}, {"stride": 3},
])  # fmt: skip
def test_shapes_that_no_net_has_are_refused(bad):
    with pytest.raises(ConfigError, match="expected"):
        replace(SMALL, **bad)
    with pytest.raises(UnknownNameError, match="batch"):
        InspectorConfig(norm="bach")


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 64, 64, 3)])
def test_pictures_of_another_shape_are_refused(model, shape):
    with pytest.raises(ShapeError, match="expected pictures"):
        model(torch.zeros(shape))


def test_a_file_gives_the_same_inspector_back(model, pictures, tmp_path):
    model.save(tmp_path / "a.safetensors")
    again = Inspector.load(tmp_path / "a.safetensors")
    assert again.config == SMALL and torch.equal(again(pictures), model(pictures))
    config, weights = json.loads(json.dumps(model.to_files()[0])), model.to_files()[1]
    assert torch.equal(Inspector.from_files(config, weights)(pictures), model(pictures))
    with pytest.raises(ArtifactError, match="weights of this configuration"):
        Inspector.from_files({**config, "widths": [8, 8]}, weights)
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    for name in ("b", "c"):
        with pytest.raises(ArtifactError, match=f"{name}.safetensors"):
            Inspector.load(tmp_path / f"{name}.safetensors")


def test_an_artifact_gives_the_same_inspector_back(model, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path))
    artifact = save_inspector(model, {"accuracy": 0.5}, "tiny", staff=True)
    assert (artifact.kind, artifact.metrics, artifact.staff) == ("inspector", {"accuracy": 0.5}, True)
    assert set(artifact.files) == {WEIGHTS, CONFIG}
    for source in (artifact, artifact.folder, str(artifact.folder)):
        assert torch.equal(load_inspector(source)(pictures), model(pictures))
    wrong = artifacts.save("inspector", {name: lambda path: path.write_text("{}") for name in (WEIGHTS, CONFIG)})
    with pytest.raises(ArtifactError, match="save_inspector"):
        load_inspector(wrong)
