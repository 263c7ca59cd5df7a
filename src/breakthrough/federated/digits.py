"""Handwritten digits: 1,797 real pictures that come with scikit-learn, and a net small enough for a hundred rounds.

Shape legend: N samples, B in a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough import files
from breakthrough.errors import ArtifactError, ShapeError, expected
from breakthrough.optional import require
from breakthrough.seeds import numpy_generator, torch_generator

CLASSES = tuple("0123456789")
TEST_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Samples:
    """Pictures and labels.

    Shapes: x (N, 1, 8, 8) float32 from 0 to 1, y (N,) int64
    Raises: ShapeError when they do not fit together
    """

    x: np.ndarray
    y: np.ndarray

    def __post_init__(self) -> None:
        if self.x.ndim != 4 or self.y.shape != self.x.shape[:1]:
            raise ShapeError(expected("x (N, 1, 8, 8) and y (N,)", f"{self.x.shape} and {self.y.shape}"))

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: np.ndarray) -> Samples:
        """The samples at some indices."""
        return Samples(self.x[indices], self.y[indices])

    def save(self, path: str | Path) -> None:
        """Write the samples as npz."""
        with files.aside(Path(path)) as aside:
            np.savez(aside, x=self.x, y=self.y)

    @classmethod
    def load(cls, path: str | Path) -> Samples:
        """Read what `save` wrote.

        Raises: ArtifactError when the file is not there or holds something else
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                return cls(data["x"], data["y"])
        except (OSError, KeyError, ValueError, BadZipFile) as error:
            raise ArtifactError(expected(f"samples in {path}", repr(error))) from error


def digits(seed: int = 0) -> tuple[Samples, Samples]:
    """The digits, shuffled and parted: three quarters to train on, the rest to test."""
    bunch = require("sklearn.datasets", "real digits").load_digits()
    x, y = (bunch.images / 16).astype(np.float32)[:, None], bunch.target.astype(np.int64)
    order = numpy_generator(seed, "digits").permutation(len(y))
    count = round(TEST_SHARE * len(y))
    every = Samples(x, y)
    return every.take(order[count:]), every.take(order[:count])


class DigitsNet(nn.Module):
    """Two convolutions and two linear layers, about 38,000 parameters.

    Shapes: (B, 1, 8, 8) → logits (B, 10)
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.hidden = nn.Linear(512, 64)
        self.head = nn.Linear(64, 10)
        for layer in (self.first, self.second, self.hidden, self.head):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.second(F.relu(self.first(x))))
        return self.head(F.relu(self.hidden(x.flatten(1))))


@dataclass(frozen=True)
class DigitsTask:
    """Train `DigitsNet` on `Samples`."""

    def model(self, seed: int) -> nn.Module:
        """A new net; equal seeds give equal weights."""
        return DigitsNet(torch_generator(seed, "model"))

    def optimizer(self, model: nn.Module, lr: float, momentum: float) -> torch.optim.Optimizer:
        """Stochastic gradient descent with momentum."""
        return torch.optim.SGD(model.parameters(), lr, momentum)

    def load(self, path: str | Path) -> Samples:
        """The samples in a file."""
        return Samples.load(path)

    def loss(self, model: nn.Module, data: Samples, chosen: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross-entropy of a batch.

        Units:  nats
        """
        device = next(model.parameters()).device
        x, y = torch.from_numpy(data.x)[chosen], torch.from_numpy(data.y)[chosen]
        return F.cross_entropy(model(x.to(device)), y.to(device))

    @torch.no_grad()
    def score(self, model: nn.Module, data: Samples) -> dict[str, float]:
        """Accuracy from 0 to 1, and the mean loss in nats."""
        device = next(model.parameters()).device
        logits, y = model(torch.from_numpy(data.x).to(device)), torch.from_numpy(data.y).to(device)
        right = (logits.argmax(1) == y).float().mean()
        return {"accuracy": float(right), "loss": float(F.cross_entropy(logits, y))}
