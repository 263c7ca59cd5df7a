"""The inspector: the small vision net that is passed along, trained here, later federated, quantized, compiled.

Shape legend: B pictures, H × W pixels, C classes.

Plain 3 × 3 convolutions, because on a CPU they are faster than the depthwise ones of a mobile net that
needs a third of their arithmetic. A stem of stride 4, because most of the time goes into the first
pixels. Group normalization, because it keeps no running statistics: nothing of one factory's pictures
would be averaged into another's, a batch of one gives what a batch of many does, and training and
evaluation compute the same function.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError, ConfigError, ShapeError, expected, unknown

CLASSES = ("none", "missing_bolt", "raised_bolt", "misaligned_cap", "scratch")
NORMS = ("group", "batch")
KIND, WEIGHTS, CONFIG = "inspector", "model.safetensors", "config.json"


@dataclass(frozen=True)
class InspectorConfig:
    """The shape of an inspector.

    Units:  one stage per width, each at half the resolution of the one before; `blocks` residual
            convolutions a stage; the stem's stride is 2 or 4
    Raises: ConfigError when the parts do not fit together; UnknownNameError for another norm
    """

    classes: tuple[str, ...] = CLASSES
    widths: tuple[int, ...] = (32, 64, 96)
    blocks: int = 1
    stride: int = 4
    norm: str = "group"
    group: int = 8

    def __post_init__(self) -> None:
        """Refuse a shape that no net can have."""
        if len(set(self.classes)) < max(2, len(self.classes)):
            raise ConfigError(expected("two or more classes, each once", self.classes))
        if not self.widths or any(width < 1 or width % self.group for width in self.widths):
            raise ConfigError(expected(f"widths that are multiples of group = {self.group}", self.widths))
        if self.blocks < 0 or self.stride not in (2, 4):
            raise ConfigError(expected("blocks ≥ 0 and a stride of 2 or 4", f"{self.blocks} and {self.stride}"))
        if self.norm not in NORMS:
            raise unknown("norm", self.norm, NORMS)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> InspectorConfig:
        """The configuration that `to_dict` wrote."""
        return cls(**{**data, "classes": tuple(data["classes"]), "widths": tuple(data["widths"])})


class Residual(nn.Module):
    """A convolution whose output is added to its input. Shapes: (B, width, H, W) → the same"""

    def __init__(self, width: int, config: InspectorConfig) -> None:
        super().__init__()
        self.conv = _conv(width, width, 3, 1, config)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class Inspector(nn.Module):
    """A small convolutional net over RGB pictures.

    Shapes: (B, 3, H, W), values 0 to 1 → logits (B, C); H and W at least 16
    """

    def __init__(self, config: InspectorConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        stem = _conv(3, config.widths[0], config.stride + 2, config.stride, config)
        layers = [stem, *_residuals(config.widths[0], config)]
        for before, width in zip(config.widths, config.widths[1:]):
            layers += [_conv(before, width, 3, 2, config), *_residuals(width, config)]
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(config.widths[-1], len(config.classes))
        _initialize(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Scores for every class.

        Raises: ShapeError when x is not (B, 3, H, W)
        """
        if x.ndim != 4 or x.shape[1] != 3:
            raise ShapeError(expected("pictures of shape (B, 3, H, W)", tuple(x.shape)))
        return self.head(self.pool(self.features(4 * x - 2)).flatten(1))  # about unit variance

    def to_files(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The configuration as plain data and the weights: all that `from_files` needs."""
        weights = {name: x.detach().cpu().contiguous() for name, x in self.state_dict().items()}
        return self.config.to_dict(), weights

    @classmethod
    def from_files(
        cls, config: str | Path | Mapping[str, Any], tensors: str | Path | Mapping[str, Tensor]
    ) -> Inspector:
        """Rebuild an inspector from a JSON file and a safetensors file, or from what is in them.

        Raises: ArtifactError when the weights are not those of the configuration
        """
        if isinstance(config, (str, Path)):
            config = json.loads(Path(config).read_text(encoding="utf-8"))
        weights = load_file(tensors) if isinstance(tensors, (str, Path)) else dict(tensors)
        model = cls(InspectorConfig.from_dict(config))
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise ArtifactError(expected("the weights of this configuration", error)) from error
        return model


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
    files = {
        WEIGHTS: lambda path: save_file(weights, path),
        CONFIG: lambda path: path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8"),
    }
    return artifacts.save(kind, files, metrics=metrics, parents=parents, profile=profile, staff=staff)


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


def _residuals(width: int, config: InspectorConfig) -> list[Residual]:
    return [Residual(width, config) for _ in range(config.blocks)]


def _initialize(model: nn.Module, generator: torch.Generator | None) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)
