"""Where the nets that are compiled come from: an artifact of the course, by its kind or its folder.

Shape legend: B pictures or texts in a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.deploy.checking import tuple_of
from breakthrough.deploy.models import Logits, WithCells, random_like
from breakthrough.deploy.runtime import LIBRARY
from breakthrough.errors import ArtifactError, InputError, expected, type_of
from breakthrough.quant import loading, saving
from breakthrough.quant.handover import KIND as QUANTIZED, load_quantized_inspector
from breakthrough.quant.inspecting import calibration, dataset_of, pictures_of
from breakthrough.quant.weights import quantized_weights
from breakthrough.scenes.handover import load_scenes
from breakthrough.seeds import torch_generator
from breakthrough.train import corpus
from breakthrough.train.inspector import Inspector
from breakthrough.train.language import ByteLM
from breakthrough.train.mixture import every_expert
from breakthrough.train.sets import parents_side

KINDS = ("inspector", QUANTIZED, "moe_lm")
SIDE, LENGTH = 64, 64  # pixels of a picture whose dataset is not there; bytes of a text
TEXTS = 64  # for calibration
OUTPUTS = {"inspector": ("scores", "cells"), "language": ("logits",)}


class EveryExpert(nn.Module):
    """A sparse layer in a form that exports: sizes from the shapes alone, E/k times the work.

    Shapes: (…, d) → (…, d)
    """

    def __init__(self, moe: Any) -> None:
        super().__init__()
        self.moe = moe

    def forward(self, x: Tensor) -> Tensor:
        y = every_expert(self.moe, x)
        return y if self.moe.shared is None else y + self.moe.shared(x)


@dataclass(frozen=True, eq=False)
class Source:
    """A net to compile, in float32 and in evaluation mode, and what those who run it want to know.

    `model` is in the form that exports, `eager` as PyTorch runs it: the same function.

    Shapes: example (1, …)
    Units:  `parent` is the artifact with a dataset that an inspector learned from, or None; `inputs` are batches to
            calibrate with, where they are not to come from there
    """

    model: nn.Module
    eager: nn.Module
    name: str
    example: Tensor
    outputs: tuple[str, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    artifact: Artifact | None = None
    parent: Artifact | None = None
    inputs: tuple[Tensor, ...] = ()

    @property
    def origin(self) -> str:
        """What it was made from, by content where it is an artifact: the same whenever that was made."""
        return self.name if self.artifact is None else f"{self.artifact.kind} {self.artifact.digest[:12]}"

    @property
    def kind(self) -> str:
        """What the net is, without what it is wrapped in."""
        return "Inspector" if isinstance(self.model, WithCells) else "ByteLM"

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Random inputs: pictures of noise, texts of any bytes. Shapes: → (B, …)."""
        return random_like(self.example, batch, generator, corpus.VOCABULARY)

    def answer(self, x: Tensor) -> tuple[Tensor, ...]:
        """PyTorch's own outputs."""
        with torch.inference_mode():
            y = self.eager(x)
        return tuple_of(y)

    def calibration(self) -> tuple[Tensor, ...]:
        """Batches of what it was trained on: what ranges of activations are measured with.

        Raises: ArtifactError for an inspector whose dataset is not there
        """
        if self.inputs:
            return self.inputs
        if self.example.dtype.is_floating_point:
            if self.parent is None:
                raise ArtifactError(expected("training pictures to calibrate with", f"no dataset of {self.name}", "an artifact in its store"))
            return calibration(pictures_of(self.parent, "train"))
        stream = corpus.batches(corpus.to_tensor(corpus.load().train), TEXTS, self.example.shape[1], torch_generator(0, "calibration"))
        return (next(stream)[:, : self.example.shape[1]],)


def open_source(source: str | Path | Artifact) -> Source:
    """A net by the kind of an artifact ("inspector", "inspector_int8", "moe_lm": the latest), or by a folder.

    The weights of a quantized one are dequantized: a compiler puts what they say in codes of its own.

    Raises: InputError for what is none of these, or compiled already; ArtifactError for files that are missing,
            altered, or of another model
    """
    if isinstance(source, Artifact):
        return _of_artifact(artifacts.load(source.folder))
    if str(source) in KINDS:
        return _of_artifact(artifacts.latest(str(source)))
    folder = Path(source)
    if (folder / saving.FACTS).is_file():
        return of_model(saving.load(folder), str(folder))
    if (folder / LIBRARY).is_file() or any(folder.glob(f"*/{LIBRARY}")):
        raise InputError(expected("a net to compile", f"{folder}, which is compiled", "what it was compiled from"))
    if (folder / artifacts.MANIFEST).is_file():
        return _of_artifact(artifacts.load(folder))
    got = f"{folder}, which has no {artifacts.MANIFEST}" if folder.is_dir() else f"no such folder as {source}"
    raise InputError(expected("a net to compile", got, f"{', '.join(KINDS)}, or an artifact's folder"))


def of_model(model: nn.Module, name: str, artifact: Artifact | None = None, parent: Artifact | None = None) -> Source:
    """An inspector or a byte-level language model as a source.

    Raises: InputError for another model
    """
    model = floats(model).eval().cpu()
    if isinstance(model, Inspector):
        config, side = model.config, _side(parent)
        about = {"classes": list(config.classes), "sound": list(config.sound), "side": side, "cell": config.cell}
        both = WithCells(model).eval()
        return Source(both, both, name, torch.zeros(1, 3, side, side), OUTPUTS["inspector"], about, artifact, parent)
    if isinstance(model, ByteLM):
        length = min(LENGTH, model.config.context)
        about = {"vocabulary": corpus.VOCABULARY, "length": length}
        return Source(Logits(_plain_experts(model)).eval(), Logits(model).eval(), name, torch.zeros((1, length), dtype=torch.int64), OUTPUTS["language"], about, artifact)
    raise InputError(expected("an inspector or a byte-level language model", type_of(model)))


def floats(model: nn.Module) -> nn.Module:
    """A quantized model with the weights that its codes stand for; others as they are."""
    stored = dict(quantized_weights(model, every_place=True))
    if not stored or not isinstance(model, (Inspector, ByteLM)):
        return model
    fresh = Inspector(model.config) if isinstance(model, Inspector) else ByteLM(model.config)
    kept = model.state_dict()
    fresh.load_state_dict({name: stored[name]().detach().float() if name in stored else kept[name].float() for name in fresh.state_dict()})
    return fresh


def _plain_experts(model: ByteLM) -> ByteLM:
    """A copy whose sparse layers export."""
    model = copy.deepcopy(model)
    sparse = {id(layer) for layer in model.sparse_layers()}
    for block in model.blocks:
        if id(block.ffn) in sparse:
            block.ffn = EveryExpert(block.ffn)
    return model


def parent_of(quantized: Artifact) -> Artifact | None:
    """The inspector that a quantized one names among its parents: beside it in its store, or in this one."""
    place = artifacts.parent_folder(quantized, "inspector")
    return artifacts.load(place) if place else None


def _of_artifact(artifact: Artifact) -> Source:
    name = f"{artifact.kind}/{artifact.id}"
    if artifact.kind == QUANTIZED:
        return of_model(load_quantized_inspector(artifact), name, artifact, parent_of(artifact))
    found = loading.open_model(artifact.folder)
    return of_model(found.model, name, artifact, artifact if isinstance(found.model, Inspector) else None)


def _side(parent: Artifact | None) -> int:
    """The side of the pictures that an inspector learned from."""
    if parent is None:
        return SIDE
    try:
        if (side := parents_side(parent)) is not None:
            return side
        return load_scenes(dataset_of(parent)).dataset.settings.size
    except ArtifactError:
        return SIDE
