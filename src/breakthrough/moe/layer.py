"""The sparse layer, and the dense network it replaces.

Shapes: x (…, d) of T tokens in all, E experts, k experts a token, H hidden
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough import devices
from breakthrough.errors import DtypeError, ShapeError, expected
from breakthrough.moe import experts as networks
from breakthrough.moe.config import MoEConfig
from breakthrough.moe.dispatch import Plan, make_plan
from breakthrough.moe.losses import bias_update, load_balance_loss, z_loss
from breakthrough.moe.mixtral import read_block
from breakthrough.moe.routing import Routing, route

NETWORKS = {
    "sorted": networks.sorted_experts,
    "grouped": networks.grouped_experts,
    "dense": networks.dense_experts,
    "capacity": networks.capacity_experts,
}
HALF = (torch.bfloat16, torch.float16)
ALIGN = 16  # rows; CPU half-precision kernels are compiled per shape: few shapes, few compilations


class SwiGLU(nn.Module):
    """A dense feed-forward network: down(silu(gate(x)) · up(x)), without biases.

    Shapes: (…, d) → (…, d)
    Source: Shazeer 2020
    """

    def __init__(self, d_model: int, d_hidden: int, generator: torch.Generator | None = None):
        super().__init__()
        self.gate_up = nn.Parameter(torch.empty(2 * d_hidden, d_model))
        self.down = nn.Parameter(torch.empty(d_model, d_hidden))
        for weight in (self.gate_up, self.down):
            init_weight(weight, generator)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = F.linear(x, self.gate_up).chunk(2, dim=-1)
        return F.linear(F.silu(gate) * up, self.down)


def init_weight(weight: Tensor, generator: torch.Generator | None = None) -> None:
    """Uniform in ±1/√fan_in over the last axis, as nn.Linear does."""
    bound = weight.shape[-1] ** -0.5
    nn.init.uniform_(weight, -bound, bound, generator=generator)


@dataclass(frozen=True)
class RoutingStats:
    """What the router did in one forward pass. The losses are computed when asked for.

    Shapes: load (E,) int64 assignments kept per expert, dropped () int64 assignments over capacity
    """

    routing: Routing
    load: Tensor
    dropped: Tensor

    @property
    def balance_loss(self) -> Tensor:
        """`load_balance_loss` with gradient, over probabilities normalised per token."""
        probs = self.routing.probs
        tiny = torch.finfo(probs.dtype).tiny
        share = probs / probs.sum(-1, keepdim=True).clamp_min(tiny)
        return load_balance_loss(share, self.routing.experts)

    @property
    def z_loss(self) -> Tensor:
        """`z_loss` of the router's logits, with gradient."""
        return z_loss(self.routing.logits)

    @property
    def load_cv(self) -> float:
        """Standard deviation of the load over its mean: 0 is even, √(E−1) is one expert."""
        load = self.load.double()
        return float(load.std(correction=0) / load.mean()) if load.sum() else 0.0


class SparseMoE(nn.Module):
    """A feed-forward layer of E SwiGLU experts, k of them per token, and n_shared for every token.

    A dropped assignment adds nothing to its token; the other weights stay as they are.
    `routing_bias` is a buffer that `update_bias` moves: loss-free balancing.

    Shapes: (…, d) → (…, d), RoutingStats
    Raises: ShapeError, DtypeError for an input that does not fit the weights
    """

    routing_bias: Tensor

    def __init__(self, config: MoEConfig, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        d, hidden, n = config.d_model, config.d_hidden, config.n_experts
        self.router = nn.Parameter(torch.empty(n, d))
        self.gate_up = nn.Parameter(torch.empty(n, 2 * hidden, d))
        self.down = nn.Parameter(torch.empty(n, d, hidden))
        for weight in (self.router, self.gate_up, self.down):
            init_weight(weight, generator)
        shared = config.n_shared * hidden  # n networks side by side are one, n times as wide
        self.shared = SwiGLU(d, shared, generator) if shared else None
        self.register_buffer("routing_bias", torch.zeros(n))

    def forward(self, x: Tensor) -> tuple[Tensor, RoutingStats]:
        tokens = self._tokens(x)  # (T, d)
        routing = self.route(tokens)
        y, plan = self._mix(tokens, routing)
        if self.shared is not None:
            y = y + self.shared(tokens)
        return y.view(x.shape), RoutingStats(routing, plan.load, plan.dropped)

    def route(self, tokens: Tensor) -> Routing:
        """The router's choice for tokens (T, d)."""
        config = self.config
        logits = F.linear(tokens, self.router)
        return route(logits, config.top_k, config.gate, self.routing_bias, config.normalize)

    def dispatch_for(self, tokens: Tensor) -> str:
        """The dispatch used for these tokens; `auto` stands for the fastest.

        On a GPU "grouped", whose sizes never leave the device, where dtype and widths allow it.
        On a CPU "sorted": time of a step over a dense network's, on fresh tokens every step (one
        core of an AMD EPYC with AVX-512; `benchmarks/moe.py --dispatch sorted grouped capacity`):

            dtype  T     d    E   k   sorted  grouped  capacity
            fp32   4096  128  8   1   1.10    1.12     1.29
            fp32   4096  128  8   2   1.06    1.10     1.24
            fp32   4096  128  32  1   1.21    1.21     1.90
            fp32   4096  512  8   2   0.97    1.03     1.16
            fp32   4096  512  32  1   1.13    1.22     1.84
            bf16   4096  128  8   2   1.31    1.79     1.54
            bf16   4096  128  32  1   2.01    4.09     2.58
            bf16   4096  512  8   2   1.03    1.15     1.34
            bf16   4096  512  32  1   1.35    1.56     2.65
        """
        if self.config.dispatch != "auto":
            return self.config.dispatch
        on_gpu = tokens.device.type == "cuda"
        return "grouped" if on_gpu and networks.grouped_fits(tokens.dtype, self.down) else "sorted"

    def update_bias(self, load: Tensor, rate: float = 1e-3) -> None:
        """Move the routing bias one step against the load; after the optimizer's step."""
        self.routing_bias.copy_(bias_update(self.routing_bias, load, rate))

    @classmethod
    def from_mixtral(cls, block: nn.Module, dispatch: str = "auto") -> SparseMoE:
        """A layer with a copy of the weights of a Hugging Face Mixtral sparse block.

        Raises: ConfigError when the block is of another make
        """
        config, weights = read_block(block, dispatch)
        with torch.device("meta"):
            layer = cls(config)
        layer.load_state_dict(weights, assign=True)
        return layer

    def extra_repr(self) -> str:
        return str(self.config)

    def _tokens(self, x: Tensor) -> Tensor:
        if x.ndim < 1 or x.shape[-1] != self.config.d_model:
            raise ShapeError(expected(f"x (…, {self.config.d_model})", tuple(x.shape)))
        devices.check_same("the layer is", self.routing_bias.device, x=x)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        elif x.dtype != self.gate_up.dtype:
            raise DtypeError(expected(f"x of dtype {self.gate_up.dtype}", x.dtype, "x.to(…)"))
        return x.reshape(-1, x.shape[-1])

    def _mix(self, tokens: Tensor, routing: Routing) -> tuple[Tensor, Plan]:
        """The weighted sum of the chosen experts' outputs, without the shared ones."""
        capacity = self.config.capacity(len(tokens))
        plan = self._plan(routing.experts, self.config.n_experts, capacity, tokens)
        return self._run(tokens, routing.weights.to(tokens.dtype), plan), plan

    def _run(self, tokens: Tensor, weights: Tensor, plan: Plan) -> Tensor:
        gate_up, down = self.gate_up.to(tokens.dtype), self.down.to(tokens.dtype)
        return NETWORKS[self.dispatch_for(tokens)](tokens, weights, plan, gate_up, down)

    def _plan(self, experts: Tensor, n_experts: int, capacity: int | None, like: Tensor) -> Plan:
        dispatch = self.dispatch_for(like)
        half_cpu = dispatch == "sorted" and like.dtype in HALF and like.device.type == "cpu"
        pad = ALIGN if half_cpu else 1
        return make_plan(experts, n_experts, capacity, pad, pad_to_max=dispatch == "capacity")
