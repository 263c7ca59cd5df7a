"""Mixture-of-Experts: a router sends every token to k of E experts."""

from breakthrough.moe.config import MoEConfig
from breakthrough.moe.convert import upcycle
from breakthrough.moe.cost import Cost, cost
from breakthrough.moe.layer import RoutingStats, SparseMoE, SwiGLU
from breakthrough.moe.losses import bias_update, load_balance_loss, z_loss
from breakthrough.moe.routing import ExpertChoice, Routing, expert_choice, route

__all__ = [
    "Cost",
    "ExpertChoice",
    "MoEConfig",
    "Routing",
    "RoutingStats",
    "SparseMoE",
    "SwiGLU",
    "bias_update",
    "cost",
    "expert_choice",
    "load_balance_loss",
    "route",
    "upcycle",
    "z_loss",
]
