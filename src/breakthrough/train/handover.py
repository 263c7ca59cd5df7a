"""The language model as an artifact: what module 1 hands to the modules after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError, expected
from breakthrough.train.language import ByteLM

KIND = "moe_lm"
WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_model(
    model: ByteLM, metrics: Mapping[str, Any], profile: str, staff: bool = False, kind: str = KIND
) -> Artifact:
    """Save a model as an artifact: weights as safetensors, its shape as JSON.

    Units:  metrics["valid_loss"] is nats per byte on validation windows
    """
    config, weights = model.to_files()
    files = {
        WEIGHTS: lambda path: save_file(weights, path),
        CONFIG: lambda path: path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8"),
    }
    return artifacts.save(kind, files, metrics=metrics, profile=profile, staff=staff)


def load_model(artifact: Artifact | str | Path) -> ByteLM:
    """Rebuild the model of an artifact, its files verified, on the CPU.

    Raises: ArtifactError when a file is missing, altered, or not of a model like this
    """
    found = artifacts.load(artifact.folder if isinstance(artifact, Artifact) else artifact)
    try:
        return ByteLM.from_files(found.path(CONFIG), found.path(WEIGHTS))
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"the configuration and weights of a byte model in {found.folder}"
        raise ArtifactError(expected(what, repr(error), "saving it with save_model")) from error
