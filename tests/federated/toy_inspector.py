"""A small dataset of module 2 as an artifact, and a plan that is federated over it in a second."""

from __future__ import annotations

import numpy as np

from breakthrough.federated.plan import Plan
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.handover import save_scenes

PART = np.repeat([0, 2, 0, 1], 12)
TINY = {"experts": 2, "widths": [8], "blocks": [0], "hidden": 8}
PLAN = Plan(task="inspector", rounds=3, epochs=1, batch_size=6, lr=0.3, least=2, task_options={"config": TINY})


def toy_scenes(folder):
    """48 pictures: 24 for training, 12 for validation, 12 for the test."""
    return save_scenes(make(folder / "made", Settings(n=48, size=24, ranges="all", shard_images=24)), PART, "tiny")
