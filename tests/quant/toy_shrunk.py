"""A small inspector whose dataset lies in the store, untrained: what is measured here needs no skill."""

from __future__ import annotations

import numpy as np

from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.handover import save_scenes
from breakthrough.seeds import torch_generator
from breakthrough.train.inspector import Inspector, InspectorConfig, save_inspector

PART = np.repeat([0, 2, 0, 1], 12)
TINY = InspectorConfig(widths=(16,), blocks=(1,), experts=2, hidden=16)


def toy_inspector(folder):
    """An inspector over 24 pictures for training, 12 for validation, 12 for the test."""
    dataset = make(folder / "made", Settings(n=48, size=24, ranges="all", shard_images=24))
    scenes = save_scenes(dataset, PART, "tiny")
    return save_inspector(Inspector(TINY, torch_generator(0)), {}, "tiny", parents=(scenes,))
