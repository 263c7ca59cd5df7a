"""The study's base models: trained once, kept, found again."""

import pytest
import torch
from study_toys import PLAN

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.quant.models import BASES, base_model, base_models, plan_of, train_bases
from breakthrough.train.profiles import model_cost


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    train_bases(PLAN, (0, 1), folder=home, workers=1, progress=False)
    return home


def test_each_model_is_trained_once_and_kept(folder):
    paths = train_bases(PLAN, (0, 1), folder=folder, workers=1, progress=False)
    assert set(paths) == {(a, s) for a in ("dense", "moe") for s in (0, 1)}
    before = {path: path.stat().st_mtime_ns for path in paths.values()}
    models = base_models(PLAN, (0, 1), folder=folder, progress=False)
    assert {path: path.stat().st_mtime_ns for path in paths.values()} == before
    assert not any(model.training for model in models.values())
    assert not torch.equal(models["dense", 0].embedding.weight, models["dense", 1].embedding.weight)


def test_a_model_has_learned_and_is_the_same_again(folder, tmp_path):
    model = base_model(PLAN, "dense", 0, folder=folder, progress=False)
    again = base_model(PLAN, "dense", 0, folder=tmp_path, progress=False)
    tokens = torch.tensor([list(b"def f(self, x):\n ")])
    assert model.loss(tokens)[0] < 5.0 < torch.log(torch.tensor(256.0))  # 5.55 is what knowing nothing gives
    for a, b in zip(model.state_dict().values(), again.state_dict().values()):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", BASES)
def test_both_models_do_as_much_arithmetic_but_for_the_router(name):
    dense, sparse = (model_cost(plan_of(name).config(kind)) for kind in ("dense", "moe"))
    assert dense["active_params"] <= sparse["active_params"] <= 1.12 * dense["active_params"]
    assert sparse["total_params"] > 1.5 * dense["total_params"]


def test_what_is_no_model(tmp_path):
    with pytest.raises(UnknownNameError, match="profile"):
        base_model("huge", folder=tmp_path)
    with pytest.raises(UnknownNameError, match="architecture"):
        base_model(PLAN, "mamba", folder=tmp_path, progress=False)
    with pytest.raises(ConfigError, match="one seed"):
        base_models(PLAN, (), folder=tmp_path)
