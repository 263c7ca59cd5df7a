"""The nets that the room measures: the inspector with and without experts, a mobile net, the byte-level model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from breakthrough import seeds
from breakthrough.deploy.export import Plain
from breakthrough.errors import unknown
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.language import ByteLM, LanguageConfig
from breakthrough.train.mobile import MobileNet, MobileNetConfig

SIDE, LENGTH = 64, 64  # pixels, bytes


@dataclass(frozen=True)
class Net:
    """A net by name, its weights drawn, and what it takes.

    Shapes: draw(B, generator) → (B, 3, H, W) float32 from 0 to 1, or (B, T) int64 bytes
    """

    name: str
    make: Callable[[torch.Generator], nn.Module]
    draw: Callable[[int, np.random.Generator], np.ndarray]

    def model(self, seed: int = 0) -> nn.Module:
        """The net in evaluation mode, its answer tensors alone."""
        return Plain(self.make(seeds.torch_generator(seed, "net"))).eval()


def pictures(batch: int, generator: np.random.Generator) -> np.ndarray:
    """Random pictures. Shapes: → (B, 3, 64, 64)."""
    return generator.random((batch, 3, SIDE, SIDE), dtype=np.float32)


def texts(batch: int, generator: np.random.Generator) -> np.ndarray:
    """Random bytes. Shapes: → (B, 64)."""
    return generator.integers(0, 256, (batch, LENGTH), dtype=np.int64)


def net(name: str) -> Net:
    """A net by its name.

    Raises: UnknownNameError
    """
    if name not in NETS:
        raise unknown("net", name, NETS)
    return NETS[name]


NETS = {
    one.name: one
    for one in (
        Net("inspector", lambda generator: Inspector(InspectorConfig(), generator), pictures),
        Net("inspector_moe", lambda generator: Inspector(InspectorConfig(experts=4), generator), pictures),
        Net("mobile", lambda generator: MobileNet(MobileNetConfig(), generator), pictures),
        Net("language", lambda generator: ByteLM(LanguageConfig(), generator), texts),
    )
}
