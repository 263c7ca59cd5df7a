"""A small inspector, trained by nobody, in float32 and in int8, its dataset in the store beside it."""

from __future__ import annotations

import numpy as np

from breakthrough import artifacts
from breakthrough.moe import MoEConfig
from breakthrough.quant.handover import save_quantized
from breakthrough.quant.inspecting import shrink_inspector
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.handover import save_scenes
from breakthrough.seeds import torch_generator
from breakthrough.train.handover import save_model
from breakthrough.train.inspector import Inspector, InspectorConfig, save_inspector
from breakthrough.train.language import ByteLM, LanguageConfig

PART = np.repeat([0, 2, 0, 1], 12)
TINY = InspectorConfig(widths=(16,), blocks=(1,))
SIDE = 24


def fill_store() -> None:
    """An inspector over 24 pictures for training and 12 for the test, the same in int8, a language model with experts."""
    dataset = make(artifacts.store() / "made", Settings(n=48, size=SIDE, ranges="all", shard_images=24))
    scenes = save_scenes(dataset, PART, "tiny")
    inspector = save_inspector(Inspector(TINY, torch_generator(0)), {}, "tiny", parents=(scenes,))
    save_quantized(shrink_inspector(inspector))
    language = LanguageConfig(d_model=16, n_layers=1, n_heads=2, context=16, ffn=MoEConfig(16, 16, 2, 1, n_shared=1))
    save_model(ByteLM(language, torch_generator(0)), {}, "tiny")
