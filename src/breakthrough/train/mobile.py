"""A MobileNetV3-class net over pictures: what phones run, and what a compiler is measured on beside the inspector.

Shape legend: B pictures, H × W pixels, C classes.

Layer by layer it is MobileNetV3-small: inverted residuals (a 1 × 1 convolution widens, a depthwise one looks
around, another 1 × 1 narrows), squeeze-and-excitation in most of them, hardswish where it pays. Depthwise
convolutions do little arithmetic for each byte that they move, and normalization and gates between them are
small operators that a compiler can fuse: a net of few FLOPs whose time depends on who runs it.

Source: Howard et al. 2019, table 2; Sandler et al. 2018 for the residuals; Hu et al. 2018 for the gates
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough.errors import ConfigError, ShapeError, expected, unknown
from breakthrough.train import two_files
from breakthrough.train.inspector import CLASSES

ACTIVATIONS = {"relu": nn.ReLU, "hardswish": nn.Hardswish}
MULTIPLE = 8  # of which all widths are: whole vector registers
SETTLING, SIDE, COARSE = 64, 64, 8  # random pictures for the first statistics, their side, the side of their patches


@dataclass(frozen=True)
class Stage:
    """One inverted residual: its kernel, the width inside, the width after it, a gate or none, and its stride.

    Raises: UnknownNameError for another activation
    """

    kernel: int
    expanded: int
    width: int
    gated: bool
    activation: str
    stride: int

    def __post_init__(self) -> None:
        """Refuse an activation that is not known."""
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)


SMALL = (
    Stage(3, 16, 16, True, "relu", 2),
    Stage(3, 72, 24, False, "relu", 2),
    Stage(3, 88, 24, False, "relu", 1),
    Stage(5, 96, 40, True, "hardswish", 2),
    Stage(5, 240, 40, True, "hardswish", 1),
    Stage(5, 240, 40, True, "hardswish", 1),
    Stage(5, 120, 48, True, "hardswish", 1),
    Stage(5, 144, 48, True, "hardswish", 1),
    Stage(5, 288, 96, True, "hardswish", 2),
    Stage(5, 576, 96, True, "hardswish", 1),
    Stage(5, 576, 96, True, "hardswish", 1),
)


@dataclass(frozen=True)
class MobileNetConfig:
    """The shape of a mobile net; `multiplier` scales every width, as the paper's 0.75 and 1.0 do.

    Units:  stem, last and hidden are channels before the stages, after them, and in the classifier
    Raises: ConfigError when the parts do not fit together
    """

    classes: tuple[str, ...] = CLASSES
    multiplier: float = 1.0
    stages: tuple[Stage, ...] = SMALL
    stem: int = 16
    last: int = 576
    hidden: int = 1024

    def __post_init__(self) -> None:
        """Refuse a shape that no net can have."""
        if len(set(self.classes)) < max(2, len(self.classes)):
            raise ConfigError(expected("two or more classes, each once", self.classes))
        if not self.multiplier > 0:
            raise ConfigError(expected("a multiplier above 0", self.multiplier))
        if not self.stages:
            raise ConfigError(expected("at least one stage", "none"))

    def scaled(self, width: int) -> int:
        """A width times the multiplier, to the nearest multiple of 8 and never a tenth below."""
        wanted = width * self.multiplier
        rounded = max(MULTIPLE, int(wanted + MULTIPLE / 2) // MULTIPLE * MULTIPLE)
        return rounded + MULTIPLE if rounded < 0.9 * wanted else rounded

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MobileNetConfig:
        """The configuration that `to_dict` wrote."""
        plain: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in data.items()}
        stages = (stage if isinstance(stage, Stage) else Stage(**stage) for stage in plain["stages"])
        return cls(**plain | {"stages": tuple(stages)})


class Gate(nn.Module):
    """Squeeze-and-excitation: each channel times a number from 0 to 1 that all channels' means decide.

    Shapes: (B, width, H, W) → the same
    Source: Hu et al. 2018
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        reduced = max(MULTIPLE, width // 4)
        self.reduce = nn.Conv2d(width, reduced, 1)
        self.expand = nn.Conv2d(reduced, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)  # (B, width, 1, 1)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(means))))


class InvertedResidual(nn.Module):
    """Widen, look around in every channel, gate, narrow; added to its input where the shapes allow.

    Shapes: (B, before, H, W) → (B, after, ⌈H / stride⌉, ⌈W / stride⌉)
    Source: Sandler et al. 2018
    """

    def __init__(self, before: int, inside: int, after: int, stage: Stage) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if inside != before:
            layers += [_conv(before, inside, 1, 1, activation=stage.activation)]
        layers += [_conv(inside, inside, stage.kernel, stage.stride, groups=inside, activation=stage.activation)]
        layers += [Gate(inside)] if stage.gated else []
        self.layers = nn.Sequential(*layers, _conv(inside, after, 1, 1))
        self.adds = stage.stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.adds else y


class MobileNet(nn.Module):
    """A net of inverted residuals over RGB pictures, its first statistics and scores' scale those of random ones.

    An untrained net with a mean of 0 and a variance of 1 written into every normalization does not keep its
    values of order 1, and then no comparison of two runtimes says anything. They hold for pictures of 64 × 64.

    Shapes: (B, 3, H, W), values 0 to 1 → logits (B, C)
    """

    def __init__(self, config: MobileNetConfig = MobileNetConfig(), generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        before = config.scaled(config.stem)
        layers: list[nn.Module] = [_conv(3, before, 3, 2, activation="hardswish")]
        for stage in config.stages:
            inside, after = config.scaled(stage.expanded), config.scaled(stage.width)
            layers += [InvertedResidual(before, inside, after, stage)]
            before = after
        last, hidden = config.scaled(config.last), config.scaled(config.hidden)
        self.features = nn.Sequential(*layers, _conv(before, last, 1, 1, activation="hardswish"))
        self.head = nn.Sequential(nn.Linear(last, hidden), nn.Hardswish(), nn.Linear(hidden, len(config.classes)))
        _initialize(self, generator)
        _settle(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Scores for every class.

        Raises: ShapeError when x is not (B, 3, H, W)
        """
        if x.ndim != 4 or x.shape[1] != 3:
            raise ShapeError(expected("pictures of shape (B, 3, H, W)", tuple(x.shape)))
        return self.head(self.features(x).mean((2, 3)))

    @torch.no_grad()
    def settle(self, pictures: Tensor) -> None:
        """Set every normalization's statistics to those of these pictures.

        Shapes: pictures (B, 3, H, W), B of at least 2
        """
        norms = [layer for layer in self.modules() if isinstance(layer, nn.BatchNorm2d)]
        kept, training = [norm.momentum for norm in norms], self.training
        for norm in norms:
            norm.momentum = 1.0  # the last batch alone
        self.train()
        self(pictures)
        self.train(training)
        for norm, momentum in zip(norms, kept):
            norm.momentum = momentum

    def to_files(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The configuration as plain data and the weights: all that `from_files` needs."""
        return self.config.to_dict(), two_files.weights_of(self)

    @classmethod
    def from_files(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> MobileNet:
        """Rebuild a net from what `to_files` gave.

        Raises: ArtifactError when the weights are not those of the configuration
        """
        return two_files.filled(cls(MobileNetConfig.from_dict(config), torch.Generator().manual_seed(0)), tensors)


def _conv(before: int, after: int, kernel: int, stride: int, *, groups: int = 1, activation: str | None = None) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(after)
    return nn.Sequential(conv, norm, ACTIVATIONS[activation]()) if activation else nn.Sequential(conv, norm)


def _initialize(model: MobileNet, generator: torch.Generator | None) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu", generator=generator)
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def _settle(model: MobileNet, generator: torch.Generator | None) -> None:
    """Statistics of random pictures, then a last layer whose scores of others have a variance of 1, however wide the net is."""
    model.settle(_pictures(generator))
    model.eval()
    model.head[-1].weight /= model(_pictures(generator)).std()
    model.train()


def _pictures(generator: torch.Generator | None) -> Tensor:
    """From patches alone to noise alone: features of all sizes. Shapes: → (B, 3, H, W), values 0 to 1."""
    patches = torch.rand(SETTLING, 3, COARSE, COARSE, generator=generator)
    noise = torch.rand(SETTLING, 3, SIDE, SIDE, generator=generator)
    return torch.lerp(F.interpolate(patches, (SIDE, SIDE)), noise, torch.linspace(0, 1, SETTLING)[:, None, None, None])
