"""The inspector: the small vision net that is passed along, trained here, later federated, quantized, compiled.

Shape legend: B pictures, H × W pixels, C classes, S sound parts, h × w cells of a grid over the picture.

A defect is a small place in a large picture, so the net says for every cell of a grid what it shows: a
defect, or a sound part of some kind. The picture's score gathers the cells. Synthetic labels know what
every pixel shows, and can teach it.

Plain 3 × 3 convolutions: on a CPU they are faster than the depthwise ones of a mobile net that needs a
third of their arithmetic. A stem of stride 4, because the first pixels take most of the time. Group
normalization: it keeps no running statistics, so that nothing of one factory's pictures is averaged
into another's, a batch of one gives what a batch of many does, and training and evaluation compute
the same function. Groups of one channel learn fastest by far.

Module 1's sparse layer can stand between the grid and its scores: `experts` puts it there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from breakthrough import artifacts, devices, files
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError, ConfigError, ShapeError, expected, unknown
from breakthrough.train import two_files
from breakthrough.train.mixture import Mixture, mixture_config

CLASSES = ("none", "missing_bolt", "raised_bolt", "misaligned_cap", "scratch")
SOUND = ("bracket", "bolt", "cap", "distractor")
NORMS = ("group", "batch")
MIXTURE = ("experts", "top_k", "hidden")  # written down only where there are experts
KIND, WEIGHTS, CONFIG = "inspector", "model.safetensors", "config.json"


@dataclass(frozen=True)
class InspectorConfig:
    """The shape of an inspector. The first class is that of parts without a defect.

    `sound` are the kinds of things without a defect that cells are told apart by, besides nothing at all.
    With `experts` above 0, the cells go through a sparse layer of so many, `top_k` of them a cell.

    Units:  a stage per width, each at half the resolution of the one before, with so many residual
            convolutions; the stem's stride is 2 or 4 pixels; group is the channels normalized together;
            hidden is the width of an expert
    Raises: ConfigError when the parts do not fit together; UnknownNameError for another norm
    """

    classes: tuple[str, ...] = CLASSES
    sound: tuple[str, ...] = SOUND
    widths: tuple[int, ...] = (32, 64)
    blocks: tuple[int, ...] = (2, 2)
    stride: int = 4
    norm: str = "group"
    group: int = 1
    experts: int = 0
    top_k: int = 1
    hidden: int = 64

    def __post_init__(self) -> None:
        """Refuse a shape that no net can have."""
        if len(set(self.classes)) < max(2, len(self.classes)):
            raise ConfigError(expected("two or more classes, each once", self.classes))
        if self.group < 1 or not self.widths or any(w < 1 or w % self.group for w in self.widths):
            raise ConfigError(expected(f"widths that are multiples of group = {self.group}", self.widths))
        if len(self.blocks) != len(self.widths) or min(self.blocks) < 0:
            raise ConfigError(expected(f"{len(self.widths)} numbers of blocks of at least 0", self.blocks))
        if self.stride not in (2, 4):
            raise ConfigError(expected("a stride of 2 or 4", self.stride))
        if self.norm not in NORMS:
            raise unknown("norm", self.norm, NORMS)
        if self.experts != 0:
            mixture_config(self.widths[-1], self.experts, self.top_k, self.hidden)

    @property
    def cell(self) -> int:
        """The side of a cell of the grid.

        Units:  pixels
        """
        return self.stride * 2 ** (len(self.widths) - 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        data = asdict(self)
        return data if self.experts else {name: x for name, x in data.items() if name not in MIXTURE}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> InspectorConfig:
        """The configuration that `to_dict` wrote."""
        plain: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in data.items()}
        return cls(**plain)


class Residual(nn.Module):
    """A convolution whose output is added to its input.

    Shapes: (B, width, H, W) → the same
    """

    def __init__(self, width: int, config: InspectorConfig) -> None:
        super().__init__()
        self.conv = _conv(width, width, 3, 1, config)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class Inspector(nn.Module):
    """A small convolutional net over RGB pictures.

    Shapes: (B, 3, H, W), values 0 to 1 → logits (B, C)
    """

    def __init__(self, config: InspectorConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before, kernel, stride = 3, config.stride + 2, config.stride
        for width, blocks in zip(config.widths, config.blocks):
            layers += [_conv(before, width, kernel, stride, config)]
            layers += [Residual(width, config) for _ in range(blocks)]
            before, kernel, stride = width, 3, 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(before, len(config.classes) + len(config.sound), 1)
        self.prior = nn.Parameter(torch.zeros(len(config.classes)))
        _initialize(self, generator)
        self.mixture: Mixture | None = None
        if config.experts:  # drawn last: the other weights are those of the net without experts
            sizes = mixture_config(before, config.experts, config.top_k, config.hidden)
            self.mixture = Mixture(sizes, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Scores for every class.

        Raises: ShapeError when x is not (B, 3, H, W)
        """
        return self.gather(self.cells(x))

    def cells(self, x: Tensor) -> Tensor:
        """What every cell of the grid shows: scores of nothing, of the defects, of the sound parts.

        Shapes: (B, 3, H, W) → (B, C + S, h, w)
        Raises: ShapeError when x is not (B, 3, H, W); InputError when it lies on another device
        """
        if x.ndim != 4 or x.shape[1] != 3:
            raise ShapeError(expected("pictures of shape (B, 3, H, W)", tuple(x.shape)))
        devices.check_same("the inspector is", devices.of(self), pictures=x)
        grid = self.features(4 * x - 2)  # about unit variance
        return self.head(grid if self.mixture is None else self.mixture(grid))

    def balance_loss(self) -> Tensor:
        """How uneven the experts' load was in the last forward pass of training: 1 is even; 0 without experts.

        Shapes: → (), with gradient
        Raises: InputError before the first forward pass of training
        """
        return self.prior.new_zeros(()) if self.mixture is None else self.mixture.balance_loss()

    def gather(self, cells: Tensor) -> Tensor:
        """Scores of whole pictures: a defect anywhere is a defect.

        Shapes: (B, C + S, h, w) → (B, C)
        """
        count = len(self.config.classes)
        sound = torch.cat((cells[:, :1], cells[:, count:]), 1).logsumexp(1, keepdim=True)  # (B, 1, h, w)
        against = (cells[:, 1:count] - sound).flatten(2).logsumexp(2)  # (B, C − 1): in any cell, softly
        return F.pad(against, (1, 0)) + self.prior

    def to_files(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The configuration as plain data and the weights: all that `from_files` needs."""
        return self.config.to_dict(), two_files.weights_of(self)

    @classmethod
    def from_files(
        cls, config: str | Path | Mapping[str, Any], tensors: str | Path | Mapping[str, Tensor]
    ) -> Inspector:
        """Rebuild an inspector from a JSON file and a safetensors file, or from what is in them.

        Raises: ArtifactError when the weights are not those of the configuration
        """
        data, weights = two_files.read(config, tensors)
        return two_files.filled(cls(InspectorConfig.from_dict(data)), weights)

    def save(self, path: str | Path) -> None:
        """Write weights and configuration as one safetensors file."""
        config, weights = self.to_files()
        with files.aside(Path(path)) as aside:
            save_file(weights, aside, metadata={"config": json.dumps(config)})

    @classmethod
    def load(cls, path: str | Path) -> Inspector:
        """Read what `save` wrote, on the CPU.

        Raises: ArtifactError when the file is not there, damaged, or not of an inspector
        """
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}
                return cls.from_files(json.loads(file.metadata()["config"]), tensors)
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise ArtifactError(expected(f"a trained inspector in {path}", repr(error))) from error


def save_inspector(
    model: Inspector,
    metrics: Mapping[str, Any],
    profile: str,
    *,
    parents: tuple[Artifact | str, ...] = (),
    staff: bool = False,
    kind: str = KIND,
) -> Artifact:
    """Save an inspector as an artifact: weights as safetensors, its shape as JSON."""
    config, weights = model.to_files()
    writers = {
        WEIGHTS: lambda path: save_file(weights, path),
        CONFIG: lambda path: path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8"),
    }
    return artifacts.save(kind, writers, metrics=metrics, parents=parents, profile=profile, staff=staff)


def load_inspector(artifact: Artifact | str | Path) -> Inspector:
    """Rebuild the inspector of an artifact, its files verified, on the CPU.

    Raises: ArtifactError when a file is missing, altered, or not of an inspector
    """
    found = artifacts.load(artifact.folder if isinstance(artifact, Artifact) else artifact)
    try:
        return Inspector.from_files(found.path(CONFIG), found.path(WEIGHTS))
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"the configuration and weights of an inspector in {found.folder}"
        raise ArtifactError(expected(what, repr(error), "saving it with save_inspector")) from error


def _conv(inputs: int, outputs: int, kernel: int, stride: int, config: InspectorConfig) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=False)
    return nn.Sequential(conv, _norm(outputs, config), nn.ReLU())


def _norm(width: int, config: InspectorConfig) -> nn.Module:
    if config.norm == "batch":
        return nn.BatchNorm2d(width)
    return nn.GroupNorm(width // config.group, width)


def _initialize(model: Inspector, generator: torch.Generator | None) -> None:
    for layer in model.features.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    nn.init.normal_(model.head.weight, std=model.head.in_channels**-0.5, generator=generator)
    if model.head.bias is not None:
        nn.init.zeros_(model.head.bias)
