"""What a scheme leaves in floating point, and why: rules as data, the first that covers a weight counts.

Rules look at a weight's name, the class of the module it belongs to and its shape, never at a model's
own class: they hold for the course's nets and for any model of Hugging Face's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import Tensor, nn

from breakthrough.errors import unknown

# what is the right-hand side of a product: modules by class, raw parameters by name
PRODUCTS = frozenset({"Linear", "Conv1d", "Conv2d", "Conv3d", "Conv1D"})
RAW = re.compile(r"(^|\.)(gate_up|down|w[123]|(gate_up|down|up|gate)_proj)$")


@dataclass(frozen=True)
class Keep:
    """One kind of weight that stays as it is. It covers what fits all of its conditions that are set.

    Units:  `names` is a regular expression over the weight's full name, `owners` the classes of the
            module it belongs to, `dims_below` a bound on its dimensions, `channels` on a convolution's inputs
    """

    why: str
    names: str = ""
    owners: tuple[str, ...] = ()
    dims_below: int | None = None
    channels: int | None = None

    def covers(self, name: str, owner: nn.Module, weight: Tensor) -> bool:
        """Whether the weight is of this kind."""
        return (
            (not self.names or re.search(self.names, name) is not None)
            and (not self.owners or bool(classes(owner) & set(self.owners)))
            and (self.dims_below is None or weight.ndim < self.dims_below)
            and (self.channels is None or (weight.ndim > 1 and weight.shape[1] <= self.channels))
        )


KEEP = {
    "vector": Keep(
        "a norm's gain or a bias: hardly any bytes, and every activation passes through it",
        dims_below=2,
    ),
    "embedding": Keep(
        "looked up, a row for a token, not multiplied; where it is tied it is the head too",
        owners=("Embedding",),
    ),
    "head": Keep(
        "the last product: its errors go straight into the answer's scores",
        names=r"(^|\.)(head|lm_head|embed_out|score|classifier)\.weight$",
    ),
    "router": Keep(
        "a score that is a little off sends a token to another expert, for few bytes saved",
        names=r"(^|\.)(router|gate|shared_expert_gate)(\.weight)?$",
    ),
    "first conv": Keep(
        "sees the pixels themselves: few weights, and what is lost here no layer finds again",
        owners=("Conv1d", "Conv2d", "Conv3d"),
        channels=4,
    ),
}
NO_PRODUCT = "not known as the weight of a product"


def classes(module: nn.Module) -> set[str]:
    """The names of a module's class and its bases."""
    return {one.__name__ for one in type(module).__mro__}


def rule(name: str) -> Keep:
    """A rule by name.

    Raises: UnknownNameError
    """
    if name not in KEEP:
        raise unknown("rule of what to keep", name, KEEP)
    return KEEP[name]


def reason_to_keep(name: str, owner: nn.Module, weight: Tensor, rules: tuple[str, ...]) -> str:
    """Why a weight stays as it is under these rules, or "" when it is to be quantized."""
    for one in rules:
        if rule(one).covers(name, owner, weight):
            return f"{one}: {rule(one).why}"
    multiplied = weight.ndim > 1 and (classes(owner) & PRODUCTS or RAW.search(name))
    return "" if multiplied else NO_PRODUCT
