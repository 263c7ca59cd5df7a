"""QLoRA: a base that is stored in 4 bits and not trained, and small adapters beside it that are.

Shape legend: I inputs, O outputs, r the rank, E experts, H hidden, T tokens, P rows in expert order

What is adapted: every nn.Linear, and the raw weights of SwiGLU networks and of sparse layers' experts, each expert
with an adapter of its own. All else is frozen as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough.errors import ConfigError, InputError, ShapeError, expected
from breakthrough.moe import SparseMoE, SwiGLU
from breakthrough.moe.dispatch import Plan
from breakthrough.quant.frozen import FrozenWeight
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.quantized import Format


@dataclass(frozen=True)
class LoraConfig:
    """How a model is adapted. Without a format the base keeps its dtype: plain LoRA.

    Units:  an adapter adds alpha / rank · B A to a weight; with rank 0 there are none, and the base is stored alone;
            targets and leave are patterns of modules' names, as in a shell; a module is adapted that fits a target
            and nothing to leave
    Raises: ConfigError for a rank below 0, or an alpha that is not above 0
    Source: Hu et al. 2021, LoRA; Dettmers et al. 2023, QLoRA
    """

    rank: int = 8
    alpha: float = 16.0
    format: Format | None = FourBit()
    targets: tuple[str, ...] = ("*",)
    leave: tuple[str, ...] = ("*head*", "*router*", "*classifier*")

    def __post_init__(self) -> None:
        if self.rank < 0 or not 0 < self.alpha < float("inf"):
            raise ConfigError(expected("a rank of at least 0 and an alpha above 0", f"{self.rank} and {self.alpha}"))

    def chosen(self, name: str) -> bool:
        """Whether a module of this name is adapted."""
        return any(fnmatch(name, one) for one in self.targets) and not any(fnmatch(name, one) for one in self.leave)


class LoraLinear(nn.Module):
    """A frozen weight, and beside it B A, of which A starts small and B at zero: nothing is changed at first.

    Shapes: (…, I) → (…, O); a (r, I), b (O, r), or None both
    """

    bias: Tensor | None

    def __init__(self, weight: Tensor, config: LoraConfig, generator: torch.Generator, bias: Tensor | None = None) -> None:
        super().__init__()
        self.base = FrozenWeight(weight, config.format)
        self.register_buffer("bias", None if bias is None else bias.detach())
        self.a: nn.Parameter | None = None
        self.b: nn.Parameter | None = None
        if config.rank:
            (outputs, inputs), bound = weight.shape, weight.shape[1] ** -0.5
            start = torch.empty(config.rank, inputs).uniform_(-bound, bound, generator=generator)
            self.a = nn.Parameter(start.to(weight.device, weight.dtype))
            self.b = nn.Parameter(weight.new_zeros(outputs, config.rank).detach())
            self.scale = config.alpha / config.rank

    def forward(self, x: Tensor) -> Tensor:
        y = self.base(x)
        if self.a is not None and self.b is not None:
            y = y + F.linear(self.scale * F.linear(x, self.a), self.b)
        return y if self.bias is None else y + self.bias

    @torch.no_grad()
    def merged(self) -> Tensor:
        """The weight with its adapter added. Shapes: → (O, I)."""
        weight = self.base.dequantize(torch.float32)
        if self.a is not None and self.b is not None:
            weight = weight + self.scale * self.b.float() @ self.a.float()
        return weight.to(self.base.dtype)

    def fold(self, format: Format | None) -> None:
        """Put the adapter into the base, stored in a format, and drop it."""
        self.base = FrozenWeight(self.merged(), format)
        self.a = self.b = None


class AdaptedSwiGLU(nn.Module):
    """A SwiGLU network on adapted weights. Shapes: (…, d) → (…, d)."""

    def __init__(self, layer: SwiGLU, config: LoraConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.gate_up = LoraLinear(layer.gate_up, config, generator)
        self.down = LoraLinear(layer.down, config, generator)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)

    def merged(self) -> SwiGLU:
        """The network with its adapters added to its weights."""
        width, hidden = self.down.base.shape
        with torch.device("meta"):
            layer = SwiGLU(width, hidden)
        layer.gate_up, layer.down = nn.Parameter(self.gate_up.merged()), nn.Parameter(self.down.merged())
        return layer


class AdaptedMoE(SparseMoE):
    """A sparse layer on adapted experts, a slice of the sorted rows each. The router is frozen, in its own dtype.

    Shapes: (…, d) → (…, d), RoutingStats
    """

    shared: Any  # an AdaptedSwiGLU or None, where the layer that is adapted has a SwiGLU

    def __init__(self, layer: SparseMoE, config: LoraConfig, generator: torch.Generator) -> None:
        nn.Module.__init__(self)  # the dense experts are not made again
        self.config, self.router = layer.config, layer.router
        self.experts = nn.ModuleList(_Expert(*weights, config, generator) for weights in zip(layer.gate_up, layer.down))
        self.shared = layer.shared and AdaptedSwiGLU(layer.shared, config, generator)
        self.register_buffer("routing_bias", layer.routing_bias)

    def dispatch_for(self, tokens: Tensor) -> str:
        """Sorted slices, always: every expert reads its weights when its turn comes."""
        return "sorted"

    def merged(self) -> SparseMoE:
        """The layer with its adapters added to its experts' weights."""
        with torch.device("meta"):
            layer = SparseMoE(self.config)
        layer.router, layer.routing_bias = self.router, self.routing_bias
        experts = [cast(_Expert, expert) for expert in self.experts]
        layer.gate_up = nn.Parameter(torch.stack([expert.gate_up.merged() for expert in experts]))
        layer.down = nn.Parameter(torch.stack([expert.down.merged() for expert in experts]))
        layer.shared = self.shared and self.shared.merged()
        return layer

    def _tokens(self, x: Tensor) -> Tensor:
        if x.ndim < 1 or x.shape[-1] != self.config.d_model:
            raise ShapeError(expected(f"x (…, {self.config.d_model})", tuple(x.shape)))
        return x.reshape(-1, x.shape[-1])

    def _run(self, tokens: Tensor, weights: Tensor, plan: Plan) -> Tensor:
        rows = plan.split(tokens.index_select(0, plan.tokens))  # E times (n, d)
        out = torch.cat([expert(part) for expert, part in zip(self.experts, rows)])  # (P, d)
        shares = weights.flatten()[plan.slots]
        shares = shares if plan.valid is None else shares * plan.valid
        return torch.zeros_like(tokens).index_add(0, plan.tokens, out * shares[:, None])


class _Expert(AdaptedSwiGLU):
    def __init__(self, gate_up: Tensor, down: Tensor, config: LoraConfig, generator: torch.Generator) -> None:
        nn.Module.__init__(self)
        self.gate_up = LoraLinear(gate_up.detach().clone(), config, generator)
        self.down = LoraLinear(down.detach().clone(), config, generator)


def adapt(model: nn.Module, config: LoraConfig, generator: torch.Generator) -> nn.Module:
    """Freeze a model in place, and put adapters beside the weights that are chosen, which are stored in the format.

    Raises: InputError when nothing is chosen, or the model is adapted already
    """
    if any(isinstance(module, LoraLinear) for module in model.modules()):
        raise InputError(expected("a model without adapters", "one that has them", "merge(model) first"))
    # of nn.Linear itself: what derives from it may be read by others than its own forward pass
    found = [(name, module) for name, module in model.named_modules()
             if type(module) is nn.Linear or isinstance(module, (SwiGLU, SparseMoE))]
    inside = tuple(f"{name}." for name, module in found if isinstance(module, SparseMoE))  # their shared networks
    chosen = [(name, module) for name, module in found if name and config.chosen(name) and not name.startswith(inside)]
    if not chosen:
        kinds = "a nn.Linear, SwiGLU or SparseMoE whose name fits the targets"
        raise InputError(expected(kinds, f"{config.targets} without {config.leave}", ", ".join(name for name, _ in found[:4]) or None))
    model.requires_grad_(False)
    for name, module in chosen:
        model.set_submodule(name, _adapted(module, config, generator))
    return model


def _adapted(module: nn.Module, config: LoraConfig, generator: torch.Generator) -> nn.Module:
    if isinstance(module, nn.Linear):
        return LoraLinear(module.weight, config, generator, module.bias)
    if isinstance(module, SparseMoE):
        return AdaptedMoE(module, config, generator)
    return AdaptedSwiGLU(cast(SwiGLU, module), config, generator)


def trained(model: nn.Module) -> list[nn.Parameter]:
    """The weights of a model's adapters: what an optimizer gets."""
    return [weight for _, layer in layers(model) for weight in (layer.a, layer.b) if weight is not None]


def layers(model: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """The adapted weights of a model, by name."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLinear))


def merge(model: nn.Module, format: Format | None = None) -> nn.Module:
    """Add a model's adapters to its weights, in place.

    Without a format its modules are what they were, with weights in their own dtype, to be trained again or not; with
    one the merged weights are stored in it, frozen, and read when they are used.

    Raises: InputError when there are no adapters
    """
    if not any(True for _ in layers(model)):
        raise InputError(expected("a model with adapters", "one without", "adapt(model, …)"))
    if format is not None:
        for _, layer in layers(model):
            layer.fold(format)
        return model
    outer = [(name, module) for name, module in model.named_modules() if isinstance(module, (LoraLinear, AdaptedSwiGLU, AdaptedMoE))]
    names = {name for name, _ in outer}
    for name, module in outer:
        if not any(name.startswith(f"{other}.") for other in names):
            model.set_submodule(name, _linear(module) if isinstance(module, LoraLinear) else module.merged())
    return model.requires_grad_(True)


def _linear(layer: LoraLinear) -> nn.Linear:
    outputs, inputs = layer.base.shape
    with torch.device("meta"):
        linear = nn.Linear(inputs, outputs, bias=layer.bias is not None)
    linear.weight = nn.Parameter(layer.merged())
    if layer.bias is not None:
        linear.bias = nn.Parameter(layer.bias)
    return linear
