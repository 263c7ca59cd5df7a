"""Module 1: what the judges of layers and of their tests do where the answer is, when that is another process.

A layer's experts stay with the examiner, who counts the rows they get; a layer that is tested is a shell here, whose
routing and mixing are computed there. So neither can be told from what it is by looking inside.

Shapes: T tokens, E experts, d the width
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough.elsewhere import changes_nothing
from breakthrough.exercises.moe_building import build, check_class
from breakthrough.exercises.moe_layers import Expert
from breakthrough.exercises.moe_speed import times_s
from breakthrough.exercises.moe_trial import tried

State = Mapping[str, Tensor]
Asked = Callable[..., tuple[Tensor, Tensor]]
speed = times_s


class _Given(nn.Module):
    """An expert whose weights are elsewhere."""

    ask: Callable[[Tensor], Tensor]

    def __init__(self, ask: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.__dict__["ask"] = ask

    def forward(self, rows: Tensor) -> Tensor:
        return self.ask(rows)


def run(answer: Any, sizes: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]], router: Tensor, experts: list[Callable], x: Tensor) -> Any:
    """Build a learner's layer, give it experts that are elsewhere, and call it with a router's weights.

    Shapes: router (E, d), x (T, d)
    Raises: InputError when the layer has other parameters
    """
    check_class(answer)
    layer: Any = build(answer, sizes, {name: torch.zeros(tuple(shape)) for name, shape in shapes.items()})
    for e, ask in enumerate(experts):
        layer.experts[e] = _Given(ask)
    return torch.func.functional_call(layer, {"router.weight": router}, (x,))


def told(answer: Any, seed: int) -> tuple[str, str, str, str]:
    """What a learner's tests do on layers that are here."""
    found = tried(answer, seed)
    return found.fault, found.text, found.expected, found.got


class Layer(nn.Module):
    """A layer to be tested: its router and its experts are here, what it does with them is asked for."""

    _ask: Asked

    def __init__(self, sizes: tuple[int, ...], state: State, ask: Asked) -> None:
        super().__init__()
        d_model, d_hidden, n_experts, top_k = sizes
        self.router = nn.Linear(d_model, n_experts, bias=False)
        self.experts = nn.ModuleList(Expert(d_model, d_hidden) for _ in range(n_experts))
        self.top_k = top_k
        self.load_state_dict(dict(state))
        self.__dict__["_ask"] = ask

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y (T, d) and the balance loss ()."""

        @changes_nothing
        def part(name: str, weights: dict[str, Tensor], rows: Tensor) -> Tensor:
            module = self.router if name == "router" else self.experts[int(name)]
            return torch.func.functional_call(module, weights, (rows,))

        return self._ask(x, dict(self.named_parameters()), part)


def shell(sizes: tuple[int, ...], state: State, ask: Asked) -> Callable[[Callable], Any]:
    """A function that lets a test judge a layer whose inside is elsewhere."""
    with torch.random.fork_rng(devices=[]):
        layer = Layer(sizes, state, ask)
    return lambda test: test(layer)
