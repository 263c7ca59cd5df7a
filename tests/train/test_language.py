import json

import pytest
import torch
from safetensors.torch import save_file

from breakthrough.errors import ArtifactError, ConfigError, ShapeError
from breakthrough.moe import MoEConfig
from breakthrough.seeds import torch_generator
from breakthrough.train import ByteLM, LanguageConfig

DENSE = LanguageConfig(d_model=16, n_layers=2, n_heads=2, context=12, ffn=24)
SPARSE = LanguageConfig(d_model=16, n_layers=2, n_heads=2, context=12, ffn=MoEConfig(16, 12, 4, 2))
BOTH = pytest.mark.parametrize("config", [DENSE, SPARSE], ids=["dense", "sparse"])


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, generator=torch_generator(5))


@BOTH
def test_a_later_byte_changes_no_earlier_score(config):
    model = ByteLM(config, torch_generator(0)).eval()
    before = tokens(3, 12)
    for position in range(1, 12):
        after = before.clone()
        after[:, position] = (after[:, position] + 1) % 256
        difference = (model(before)[0] - model(after)[0]).abs().amax(dim=(0, 2))
        assert difference[:position].max() < 1e-5
        assert difference[position] > 1e-3  # the byte itself does count


@BOTH
def test_shapes_and_one_stats_per_sparse_block(config):
    logits, routed = ByteLM(config, torch_generator(0))(tokens(3, 7))
    assert logits.shape == (3, 7, 256)
    assert len(routed) == (2 if config is SPARSE else 0)
    assert all(int(stats.load.sum()) == 3 * 7 * 2 for stats in routed)


def test_the_loss_at_the_start_is_near_that_of_guessing():
    loss, _ = ByteLM(LanguageConfig(), torch_generator(0)).loss(tokens(8, 33))
    assert 5.0 < loss.item() < 7.0  # log 256 = 5.55


def test_positions_matter():
    model = ByteLM(DENSE, torch_generator(0))
    ordered = torch.tensor([[1, 2, 3, 4]])
    swapped = torch.tensor([[2, 1, 3, 4]])
    assert (model(ordered)[0][0, -1] - model(swapped)[0][0, -1]).abs().max() > 1e-3


@BOTH
def test_the_generator_decides_the_weights(config):
    states = [ByteLM(config, torch_generator(seed)).state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["embedding.weight"], states[2]["embedding.weight"])
    torch.manual_seed(0)
    one = ByteLM(config, torch_generator(1)).state_dict()
    assert all(torch.equal(states[0][name], one[name]) for name in one)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_generate_gives_n_bytes_and_repeats_itself(temperature):
    model = ByteLM(SPARSE, torch_generator(0))
    texts = [model.generate(b"def ", 20, torch_generator(7), temperature) for _ in range(2)]
    assert texts[0] == texts[1] and len(texts[0]) == 20  # 20 > context: the window slides
    assert model.generate(b"def ", 0, torch_generator(7)) == b""
    if temperature:
        assert model.generate(b"def ", 20, torch_generator(8)) != texts[0]
    else:
        first = model(model.encode(b"def "))[0][0, -1].argmax()
        assert texts[0][0] == int(first)


def test_experts_of_names_an_expert_for_every_byte():
    model = ByteLM(SPARSE, torch_generator(0))
    experts = model.experts_of(b"import os")
    assert experts.shape == (2, 9, 2)
    _, routed = model(model.encode(b"import os"))
    assert torch.equal(experts[1], routed[1].routing.experts)
    assert ByteLM(DENSE).experts_of(b"import os").shape == (0, 9, 0)


@pytest.mark.parametrize("tied", [True, False])
@BOTH
def test_files_give_the_same_model(config, tied, tmp_path):
    model = ByteLM(LanguageConfig.from_dict(config.to_dict() | {"tied": tied}), torch_generator(0))
    data, weights = model.to_files()
    (tmp_path / "config.json").write_text(json.dumps(data))
    save_file(weights, tmp_path / "weights.safetensors")
    again = ByteLM.from_files(tmp_path / "config.json", tmp_path / "weights.safetensors")
    batch = tokens(4, 13)
    assert torch.equal(model.loss(batch)[0], again.loss(batch)[0])
    assert again.config == model.config


def test_the_weights_of_another_model_are_refused():
    with pytest.raises(ArtifactError, match="weights of this configuration"):
        ByteLM.from_files(DENSE.to_dict(), ByteLM(SPARSE).to_files()[1])


@pytest.mark.parametrize(
    "change",
    [{"n_layers": 0}, {"d_model": 18}, {"ffn": 0}, {"ffn": MoEConfig(8, 8, 4, 1)}, {"context": 0}],
)
def test_shapes_that_do_not_fit_are_refused(change):
    with pytest.raises(ConfigError, match="expected"):
        LanguageConfig(**{"d_model": 16, "n_heads": 2, **change})


def test_bad_inputs_are_refused():
    model = ByteLM(DENSE)
    with pytest.raises(ShapeError, match="T ≤ 12"):
        model(tokens(1, 13))
    with pytest.raises(ConfigError, match="prompt"):
        model.generate(b"", 1, torch_generator(0))
