"""What a sparse layer is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

from breakthrough.errors import ConfigError, expected

GATES = ("softmax", "sigmoid")
DISPATCHES = ("auto", "sorted", "grouped", "dense", "capacity")


@dataclass(frozen=True)
class MoEConfig:
    """Sizes and choices of a Mixture-of-Experts layer with SwiGLU experts.

    `capacity_factor` bounds the assignments an expert accepts (see `capacity`); None drops nothing.
    `dispatch` changes speed and memory, never the answer; see `SparseMoE.dispatch_for`.

    Raises: ConfigError when a size is not positive, top_k > n_experts, or a name is unknown
    """

    d_model: int
    d_hidden: int
    n_experts: int
    top_k: int
    n_shared: int = 0
    capacity_factor: float | None = None
    gate: str = "softmax"
    dispatch: str = "auto"
    normalize: bool = True

    def __post_init__(self) -> None:
        for name in ("d_model", "d_hidden", "n_experts", "top_k"):
            _integer(name, getattr(self, name), least=1)
        _integer("n_shared", self.n_shared, least=0)
        if self.top_k > self.n_experts:
            raise ConfigError(expected(f"top_k ≤ n_experts = {self.n_experts}", self.top_k))
        factor = self.capacity_factor
        if factor is not None and not (math.isfinite(factor) and factor > 0):
            raise ConfigError(expected("capacity_factor > 0", factor, "None to drop nothing"))
        _choice("gate", self.gate, GATES)
        _choice("dispatch", self.dispatch, DISPATCHES)

    def capacity(self, tokens: int) -> int | None:
        """Assignments each expert accepts out of those of `tokens` tokens; None when unbounded.

        Units:  ceil(capacity_factor · T · k / E) assignments
        Source: Switch Transformer, Fedus et al. 2021, eq. 3 (with k assignments a token)
        """
        if self.capacity_factor is None:
            return None
        return math.ceil(self.capacity_factor * tokens * self.top_k / self.n_experts)


def _integer(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(expected(f"{name} to be an integer ≥ {least}", repr(value)))


def _choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(expected(f"{name} out of {', '.join(known)}", repr(value)))
