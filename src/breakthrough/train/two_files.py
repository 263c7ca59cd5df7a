"""A model as two files: what builds it as JSON, and what it has learned as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load_file
from torch import Tensor, nn

from breakthrough.errors import ArtifactError, expected

Model = TypeVar("Model", bound=nn.Module)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """All weights by name, on the CPU, as safetensors takes them."""
    return {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}


def read(
    config: str | Path | Mapping[str, Any], tensors: str | Path | Mapping[str, Tensor]
) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """What is in a JSON file and in a safetensors file; what was read already comes back as it is."""
    data = json.loads(Path(config).read_text(encoding="utf-8")) if isinstance(config, (str, Path)) else config
    return data, load_file(tensors) if isinstance(tensors, (str, Path)) else dict(tensors)


def filled(model: Model, weights: Mapping[str, Tensor]) -> Model:
    """The model, with these weights in it.

    Raises: ArtifactError when they are not those of its configuration
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ArtifactError(expected("the weights of this configuration", error)) from error
    return model
