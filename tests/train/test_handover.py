"""The model as an artifact: what comes back is what was saved."""

from __future__ import annotations

import pytest
import torch

from breakthrough import artifacts
from breakthrough.errors import ArtifactError
from breakthrough.seeds import torch_generator
from breakthrough.train import PROFILES, ByteLM
from breakthrough.train.handover import load_model, save_model


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path))


def test_a_saved_model_comes_back_the_same():
    model = ByteLM(PROFILES["tiny"].model, torch_generator(0))
    artifact = save_model(model, {"valid_loss": 2.5}, "tiny")
    assert (artifact.kind, artifact.profile, artifact.metrics) == ("moe_lm", "tiny", {"valid_loss": 2.5})
    tokens = torch.randint(256, (2, 16), generator=torch_generator(1))
    for source in (artifact, artifact.folder, str(artifact.folder)):
        assert torch.equal(load_model(source)(tokens)[0], model(tokens)[0])


def test_files_that_are_no_model_are_refused(tmp_path):
    def write(path):
        path.write_text("{}")

    artifact = artifacts.save("moe_lm", {"model.safetensors": write, "config.json": write})
    with pytest.raises(ArtifactError, match="save_model"):
        load_model(artifact)
