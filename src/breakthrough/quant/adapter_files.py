"""Adapters in a file of their own: a few kilobytes, of use only beside the base that they were trained on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from breakthrough import files
from breakthrough.errors import ArtifactError, InputError, expected
from breakthrough.quant.lora import layers
from breakthrough.quant.quantized import described

KIND, VERSION = "adapters", 1


def save_adapters(model: nn.Module, path: str | Path) -> None:
    """Write a model's adapters as one safetensors file, with what they fit: ranks, scale, format and digest of the base.

    Raises: InputError when the model has none
    """
    tensors = _adapters(model)
    if not tensors:
        raise InputError(expected("a model with adapters", "one without", "adapt(model, …)"))
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with files.aside(Path(path)) as aside:
        save_file(stored, aside, metadata={KIND: json.dumps(_facts(model))})


def load_adapters(model: nn.Module, path: str | Path) -> None:
    """Put the adapters of a file into a model that was adapted in the same way.

    Raises: ArtifactError when the file is not there or damaged, or its adapters are of another base; nothing is changed
    """
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}
            facts = json.loads((file.metadata() or {})[KIND])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ArtifactError(expected(f"adapters in {path}", repr(error), "the file that save_adapters wrote")) from error
    own = _adapters(model)
    for name, value in _facts(model).items():
        if facts.get(name) != value:
            raise ArtifactError(expected(f"adapters whose {name} is {value}", facts.get(name), "the model that they were trained on"))
    sizes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    if sizes != (got := {name: tuple(tensor.shape) for name, tensor in found.items()}):
        odd = sorted(name for name in sizes.keys() | got.keys() if sizes.get(name) != got.get(name))
        raise ArtifactError(expected("adapters of the model's shapes", f"others at {', '.join(odd[:4])}"))
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(found[name])


def base_digest(model: nn.Module) -> str:
    """SHA-256 of all that a model's frozen weights store."""
    digest = hashlib.sha256()
    for name, layer in layers(model):
        for part, tensor in sorted(layer.base.stored.parts.items()):
            digest.update(f"{name}.{part} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _facts(model: nn.Module) -> dict[str, Any]:
    found = list(layers(model))
    formats = [layer.base.format and described(layer.base.format) for _, layer in found]
    scales = sorted({layer.scale for _, layer in found if layer.a is not None})
    return {"version": VERSION, "scales": scales, "format": json.loads(json.dumps(formats[0])) if formats else None,
            "base": base_digest(model)}


def _adapters(model: nn.Module) -> dict[str, Tensor]:
    return {f"{name}.{part}": getattr(layer, part) for name, layer in layers(model) for part in "ab" if layer.a is not None}
