"""Module 1's sparse layer inside a vision net: every cell of the grid is a token that chooses its experts.

Shape legend: B pictures, h × w cells, d channels, T = B · h · w tokens, E experts, H hidden.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough.errors import InputError, expected
from breakthrough.moe.config import MoEConfig
from breakthrough.moe.layer import RoutingStats, SparseMoE


def mixture_config(width: int, experts: int, top_k: int, hidden: int) -> MoEConfig:
    """The sparse layer of a grid of so many channels.

    One expert's weight is its probability, for divided by their sum it would be 1, whatever the router says.

    Raises: ConfigError when the sizes do not fit together
    """
    return MoEConfig(width, hidden, experts, top_k, normalize=top_k > 1)


class Mixture(nn.Module):
    """A residual block of experts over the cells: x + experts(norm(x)).

    The load is balanced by a loss, not by the layer's bias. The bias is moved by rule, from one factory's
    load, outside of every gradient: the mean of four factories' biases balances none of them, and a
    protection that clips and masks gradients' work would have to protect it apart. The loss keeps no
    state: all that was learned from it is in the weights. The bias stays 0.

    Shapes: (B, d, h, w) → the same
    """

    def __init__(self, config: MoEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.d_model)
        self.moe = SparseMoE(config, generator)
        self._stats: RoutingStats | None = None

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x.permute(0, 2, 3, 1))  # (B, h, w, d)
        return x + self._experts(tokens).permute(0, 3, 1, 2)

    def balance_loss(self) -> Tensor:
        """How uneven the experts' load was in the last forward pass of training, with gradient: 1 is even.

        Raises: InputError before the first forward pass of training
        """
        if self._stats is None:
            raise InputError(expected("a last forward pass in training mode", "none", "model.train() before it"))
        return self._stats.balance_loss

    @property
    def load(self) -> Tensor | None:
        """The cells each expert got in the last forward pass of training; None before it.

        Shapes: → (E,)
        """
        return None if self._stats is None else self._stats.load

    def _experts(self, tokens: Tensor) -> Tensor:
        if torch.compiler.is_exporting():  # a graph for other runtimes: no sorting, sizes from the shapes alone
            return every_expert(self.moe, tokens)
        y, stats = self.moe(tokens)
        self._stats = stats if self.training else None
        return y

    def __getstate__(self) -> dict[str, Any]:
        # a copy starts anew: what is kept for the loss belongs to one graph
        return self.__dict__ | {"_stats": None}


def every_expert(moe: SparseMoE, tokens: Tensor) -> Tensor:
    """A sparse layer's answer by plain products: every expert on every token, weighted, E/k times the work.

    Shapes: (…, d) → (…, d)
    """
    flat = tokens.flatten(0, -2)  # (T, d)
    routing = moe.route(flat)
    shares = torch.zeros_like(routing.probs).scatter(1, routing.experts, routing.weights)  # (T, E)
    gate, up = torch.matmul(flat, moe.gate_up.transpose(1, 2)).chunk(2, dim=-1)  # (E, T, H)
    out = torch.matmul(F.silu(gate) * up, moe.down.transpose(1, 2))  # (E, T, d)
    return (out * shares.transpose(0, 1)[:, :, None]).sum(0).view(tokens.shape)
