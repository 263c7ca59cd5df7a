"""The course's nets in the form that exports: tensors in, tensors out, and no kernel that only torch has.

Shape legend: B pictures or texts, C classes, S sound parts, h × w cells, G blocks that share a scale, N numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough.errors import InputError, expected, type_of, unknown
from breakthrough.quant.linear import QuantLinear
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.weights import SUFFIX, QuantWeight, quantized_weights
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.language import ByteLM, LanguageConfig
from breakthrough.train.mobile import SMALL, MobileNet, MobileNetConfig, Stage

SIDE, CONTEXT = 64, 64  # of the course's pictures, in pixels; of the texts, in bytes


class WithCells(nn.Module):
    """An inspector that gives its map too: scores of the picture, and of every cell of the grid.

    Shapes: (B, 3, H, W) → logits (B, C), cells (B, C + S, h, w)
    """

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        if not callable(getattr(inspector, "cells", None)) or not callable(getattr(inspector, "gather", None)):
            raise InputError(expected("an inspector, with cells and gather", type_of(inspector)))
        self.inspector, self.config = inspector, inspector.config

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        cells = self.inspector.cells(x)
        return self.inspector.gather(cells), cells


class Logits(nn.Module):
    """A language model's scores alone, without its routing.

    Shapes: tokens (B, T) → (B, T, 256)
    """

    def __init__(self, model: ByteLM) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(tokens)[0]


class LookedUp(nn.Module):
    """A weight in 4-bit codes, dequantized by plain operators: a row of two levels for each byte, times a scale.

    The scales are kept in float32, double quantization resolved: 4.5 bits a weight in blocks of 64.

    Shapes: () → the weight's own shape; stored: codes (⌈N / 2⌉,) uint8, scales (G,), levels (256, 2)
    """

    codes: Tensor
    scales: Tensor
    levels: Tensor

    def __init__(self, weight: QuantWeight) -> None:
        super().__init__()
        parts, self.format, self.layout = weight.stored.parts, cast(FourBit, weight.stored.format), weight.layout
        levels = self.format.codebook()
        self.register_buffer("codes", parts["codes"].flatten())
        self.register_buffer("scales", self.format.absmax(parts).float())
        self.register_buffer("levels", torch.stack((levels.repeat_interleave(16), levels.repeat(16)), 1))  # first code in the high bits

    def forward(self) -> Tensor:
        pairs = F.embedding(self.codes.to(torch.int32), self.levels)  # (⌈N / 2⌉, 2)
        rows, columns = self.layout.matrix_shape
        flat = pairs.flatten()[: rows * columns]
        ragged = -len(flat) % self.format.block
        whole = F.pad(flat, (0, ragged)).view(-1, self.format.block) * self.scales[:, None]  # (G, block)
        return self.layout.weight(whole.flatten()[: rows * columns].view(rows, columns))


def lookups(model: nn.Module) -> nn.Module:
    """A copy of a quantized model whose 4-bit weights are dequantized by plain operators; other models as they are."""
    named = [(name, weight) for name, weight in quantized_weights(model, every_place=True) if isinstance(weight.format, FourBit)]
    if not named:
        return model
    made, looked = copy.deepcopy(model), {id(weight): LookedUp(weight) for _, weight in named}
    for name, weight in named:
        owner, _, last = name.rpartition(".")
        holder = made.get_submodule(owner)
        holder._modules[last + SUFFIX] = looked[id(weight)]
        if isinstance(holder, QuantLinear):
            holder.product = None
    return made.eval()


@dataclass(frozen=True)
class Net:
    """A net with an input that it takes. Shapes: example (1, …)."""

    name: str
    model: nn.Module
    example: Tensor

    def inputs(self, batch: int, generator: torch.Generator) -> Tensor:
        """Random inputs like the example. Shapes: → (batch, …)."""
        return random_like(self.example, batch, generator, vocabulary(self.model))


NETS = ("inspector", "inspector_experts", "mobilenet", "language")


def net(name: str, generator: torch.Generator, *, small: bool = False) -> Net:
    """One of the course's nets, untrained: as it is measured, or small for a quick try.

    Raises: UnknownNameError
    """
    if name not in NETS:
        raise unknown("net", name, NETS)
    if name == "language":
        language = LanguageConfig(d_model=16, n_layers=1, n_heads=2, context=16, ffn=32) if small else LanguageConfig()
        length = 16 if small else CONTEXT
        return Net(name, Logits(ByteLM(language, generator)).eval(), torch.randint(0, 256, (1, length), generator=generator))
    picture = torch.rand(1, 3, 32 if small else SIDE, 32 if small else SIDE, generator=generator)
    if name == "mobilenet":
        mobile = MobileNetConfig(multiplier=0.25, stages=(SMALL[0], Stage(5, 96, 16, True, "hardswish", 1)), last=64, hidden=32) if small else MobileNetConfig()
        return Net(name, MobileNet(mobile, generator).eval(), picture)
    sizes: dict[str, Any] = {"widths": (8, 16), "blocks": (0, 1), "hidden": 16} if small else {}
    experts = 4 if name.endswith("experts") else 0
    return Net(name, Inspector(InspectorConfig(experts=experts, **sizes), generator).eval(), picture)


def nets(generator: torch.Generator, *, small: bool = False) -> Mapping[str, Net]:
    """All of the course's nets, by name."""
    return {name: net(name, generator, small=small) for name in NETS}


def vocabulary(model: nn.Module) -> int:
    """The smallest table that a model's whole numbers are looked up in; 2 without one."""
    return min((layer.num_embeddings for layer in model.modules() if isinstance(layer, nn.Embedding)), default=2)


def random_like(example: Tensor, batch: int, generator: torch.Generator, below: int = 2) -> Tensor:
    """Random inputs: floats from 0 to 1 as pictures are, whole numbers below `below`. Shapes: example (B, …) → (batch, …)."""
    shape = (batch, *example.shape[1:])
    if example.dtype.is_floating_point:
        return torch.rand(shape, generator=generator).to(example.dtype)
    return torch.randint(0, below, shape, generator=generator).to(example.dtype)
