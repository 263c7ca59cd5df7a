"""The small federated inspector that stands in for a learner's own, trained on demand in seconds."""

from __future__ import annotations

from dataclasses import replace

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.federated.handover import save_federated
from breakthrough.federated.training import PLANS, train_inspector
from breakthrough.scenes.handover import KIND as SCENES, load_scenes

SEEN = 4500  # pictures in all passes together: what fits into seconds, whatever the dataset's size


def inspector() -> Artifact:
    """Federate a small inspector on the newest dataset, or on the staff's, and save it."""
    scenes, plan = artifacts.latest(SCENES), PLANS["tiny"]
    train = int((load_scenes(scenes).part == 0).sum())
    epochs = min(plan.epochs, max(1, SEEN // (plan.rounds * train)))
    plan = replace(plan, epochs=epochs, batch_size=plan.batch_size if epochs == plan.epochs else 16)
    return save_federated(train_inspector(scenes, "tiny", engine="local", plan=plan, progress=False), staff=True)
