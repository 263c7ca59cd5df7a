"""How an inspector is trained: the recipe, its schedule and its optimizer."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from breakthrough.errors import ConfigError, expected
from breakthrough.train.inspector import Inspector
from breakthrough.train.muon import Muon
from breakthrough.train.pictures import Augmentation


@dataclass(frozen=True)
class Recipe:
    """How to train an inspector: Muon and AdamW, one cycle of their rates, the weights averaged.

    Units:  lr is Muon's, for convolutions, lr_rest AdamW's, for all else; warm is the share of the steps
            in which the rates rise; average is the decay of the running mean of the weights, 0 for none;
            clip bounds the norm of the gradient; cells weighs the loss of the cells against that of the
            pictures, where it is known what the pixels show; balance weighs that of the experts' load
    Raises: ConfigError for a number out of range
    Source: Smith and Topin 2018 (one cycle); Szegedy et al. 2016 (label smoothing)
    """

    steps: int = 500
    batch_size: int = 32
    lr: float = 0.3
    lr_rest: float = 0.01
    warm: float = 0.2
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    average: float = 0.98
    clip: float = 1.0
    cells: float = 10.0
    balance: float = 0.01
    save_every: int = 250
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name in ("steps", "batch_size", "lr", "lr_rest", "clip", "save_every"):
            if getattr(self, name) <= 0:
                raise ConfigError(expected(f"{name} above 0", getattr(self, name)))
        for name in ("cells", "balance"):
            if getattr(self, name) < 0:
                raise ConfigError(expected(f"{name} of at least 0", getattr(self, name)))
        for name in ("warm", "weight_decay", "label_smoothing", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(expected(f"{name} from 0 to less than 1", getattr(self, name)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """The recipe that `to_dict` wrote."""
        return cls(**{**data, "augmentation": Augmentation(**data["augmentation"])})


# `quick` takes 7 to 11 CPU seconds, `full` a few minutes
RECIPES = {
    "tiny": Recipe(steps=30, save_every=15),
    "quick": Recipe(),
    "full": Recipe(steps=4000, batch_size=64, lr=0.4, average=0.998, save_every=500),
}


def one_cycle(step: int, recipe: Recipe) -> float:
    """The share of the learning rates in a step, counted from 1: up in a line, down along a cosine."""
    rise = max(1, round(recipe.warm * recipe.steps))
    if step <= rise:
        return step / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / (recipe.steps - rise)))


def make_optimizer(model: Inspector, recipe: Recipe) -> Muon:
    """Muon for the convolutions, AdamW for norms, biases, experts and the last layer."""
    convolutions = [weight for weight in model.features.parameters() if weight.ndim == 4]
    taken = set(map(id, convolutions))
    rest = [weight for weight in model.parameters() if id(weight) not in taken]
    return Muon(convolutions, rest, recipe.lr, recipe.lr_rest, weight_decay=recipe.weight_decay)
