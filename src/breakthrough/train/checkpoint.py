"""One file that holds a whole training run: weights, optimizer, generator, history.

The tensors are safetensors and the rest is JSON in the header of the same file. One file, written
aside and renamed, so that a run stopped while saving leaves the checkpoint before it, whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from breakthrough import files
from breakthrough.errors import ArtifactError, expected


def save(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    facts: dict[str, Any],
) -> None:
    """Write a run. `facts` is plain data that comes back from `restore`."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    tensors["generator"] = generator.get_state()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with files.aside(Path(path)) as aside:
        save_file(tensors, aside, metadata={"facts": json.dumps(facts)})


def restore(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    same: dict[str, Any],
) -> dict[str, Any]:
    """Put a run back as it was, and return its facts.

    Raises: ArtifactError when the file is damaged, or is of a run that differs in `same`
    """
    tensors, facts = _read(Path(path))
    for name, value in same.items():
        if facts.get(name) != value:
            what = f"a checkpoint with the same {name} in {path}"
            raise ArtifactError(expected(what, "another", "another path, or delete the file"))
    model.load_state_dict(_part(tensors, "model."))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _part(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    generator.set_state(tensors["generator"])
    return facts


def load_model(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The model's configuration and weights alone: what `ByteLM.from_files` takes.

    Raises: ArtifactError when the file is not there or damaged
    """
    tensors, facts = _read(Path(path))
    return facts["model"], _part(tensors, "model.")


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return tensors, json.loads((file.metadata() or {})["facts"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ArtifactError(expected(f"a checkpoint in {path}", error, "deleting it")) from error


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
