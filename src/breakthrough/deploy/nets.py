"""The course's nets as they are measured: made from a seed, with random inputs of any batch as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from breakthrough import seeds
from breakthrough.deploy import models
from breakthrough.errors import unknown


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
        return self.make(seeds.torch_generator(seed, "net")).eval()


def pictures(batch: int, generator: np.random.Generator) -> np.ndarray:
    """Random pictures. Shapes: → (B, 3, 64, 64)."""
    return generator.random((batch, 3, models.SIDE, models.SIDE), dtype=np.float32)


def texts(batch: int, generator: np.random.Generator) -> np.ndarray:
    """Random bytes. Shapes: → (B, 64)."""
    return generator.integers(0, 256, (batch, models.CONTEXT), dtype=np.int64)


def net(name: str) -> Net:
    """A net by its name.

    Raises: UnknownNameError
    """
    if name not in NETS:
        raise unknown("net", name, NETS)
    return NETS[name]


def _of_course(name: str) -> Net:
    return Net(name, lambda generator: models.net(name, generator).model, texts if name == "language" else pictures)


NETS = {name: _of_course(name) for name in models.NETS}
