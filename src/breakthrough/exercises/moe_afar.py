"""Module 1: a layer of this process, tested by a test of another one, which sees a router, experts, and what comes out.

Shapes: T tokens, d the width
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from breakthrough.elsewhere import Elsewhere, changes_nothing
from breakthrough.errors import BreakthroughError


class _Part(nn.Module):
    """A router or an expert that is elsewhere, with the weights it is to be called with."""

    name: str
    part: Callable[..., Tensor]
    given: dict[str, Tensor]

    def __init__(self, name: str, part: Callable, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.__dict__.update(name=name, part=part, given=weights)

    def forward(self, rows: Tensor) -> Tensor:
        return self.part(self.name, self.given, rows)


def tested(test: Elsewhere, layer: nn.Module) -> str:
    """What a test of another process does to a layer of this one; router and experts are there, the rest is here."""
    inner: Any = copy.deepcopy(layer)
    state, n_experts = inner.state_dict(), len(inner.experts)
    sizes = (inner.router.in_features, inner.experts[0].gate.out_features, n_experts, inner.top_k)

    @changes_nothing
    def ask(x: Tensor, weights: dict[str, Tensor], part: Callable) -> tuple[Tensor, Tensor]:
        def mine(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}

        inner.router = _Part("router", part, mine("router."))
        inner.experts = nn.ModuleList(_Part(str(e), part, mine(f"experts.{e}.")) for e in range(n_experts))
        return inner(x)

    try:
        value = test.there("breakthrough.exercises.moe_there:shell")(sizes, state, ask)(test)
    except AssertionError:
        return "asserted"
    except BreakthroughError:  # the process ended, or does not answer
        raise
    except Exception as error:  # noqa: BLE001 - a learner's code may raise anything
        return f"crashed with {type(error).__name__}: {error}"
    return "passed" if value is None else "returned"
