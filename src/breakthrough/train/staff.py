"""The small model that stands in for a learner's own, trained on demand in seconds."""

from __future__ import annotations

from breakthrough.artifacts import Artifact
from breakthrough.seeds import torch_generator
from breakthrough.train import corpus
from breakthrough.train.handover import save_model
from breakthrough.train.language import ByteLM
from breakthrough.train.loop import train
from breakthrough.train.profiles import PROFILES


def moe_lm() -> Artifact:
    """Train the sparse model of the profile `tiny` and save it."""
    plan = PROFILES["tiny"]
    model = ByteLM(plan.model, torch_generator(0, "model"))
    text = corpus.load(with_tests=plan.with_tests)
    history = train(model, text, plan.training, torch_generator(0, "batches"))
    return save_model(model, {"valid_loss": history.last.valid_loss}, plan.name, staff=True)
