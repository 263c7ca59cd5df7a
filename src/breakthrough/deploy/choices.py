"""What became of a net's products in a quantized pipeline, each with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from breakthrough.deploy import sites
from breakthrough.deploy.instructions import Instruction


@dataclass(frozen=True)
class Chosen:
    """What became of one product.

    Units:  `way` is "int8", "int8 weights", … or "float32"; `largest_sum` bounds the sums of an integer product
    """

    site: str
    shape: tuple[int, ...]
    way: str
    why: str
    largest_sum: int = 0
    weight_bytes: int = 0


@dataclass(frozen=True, eq=False)
class Quantized:
    """A module with products quantized for a target, and what was chosen for each and why.

    Units:  `found` says which instruction the target has, and how that was found
    """

    module: Any
    instruction: Instruction | None
    found: str
    chosen: tuple[Chosen, ...]


def untouched(module: Any) -> tuple[Chosen, ...]:
    """The products that have no form in integers here, with the reasons."""
    left = {name: why for function in sites.entries(module).values() for name, why in sites.others(function).items()}
    return tuple(Chosen(name, (), "float32", why) for name, why in left.items())
