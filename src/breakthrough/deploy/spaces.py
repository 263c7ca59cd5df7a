"""The design space of a loop nest: how it may be tiled, vectorized and unrolled, best guess first.

A candidate is a rule's name and a few numbers, so that a record of it is one short line. `candidates` lists
them in the order that a simple model of the machine gives; the first is the schedule of a task that was
never tuned. Loop nests that no rule fits have no candidates: MetaSchedule's own search takes those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakthrough import optional
from breakthrough.deploy import blocks, rules
from breakthrough.errors import UnknownNameError, unknown


@dataclass(frozen=True)
class Candidate:
    """One way to schedule a loop nest: a rule and its numbers."""

    rule: str
    params: Mapping[str, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The candidate's name among those of its task."""
        return " ".join((self.rule, *(f"{name}={value}" for name, value in sorted(self.params.items()))))


@dataclass(frozen=True)
class Machine:
    """What the model of the machine knows: the floats in a vector register, and how many registers there are."""

    lanes: int
    registers: int


# rule → (the numbers that it may take, best guess first; the schedule that they make)
RULES: dict[str, tuple[Callable[..., Iterable[Mapping[str, int]]], Callable[..., None]]] = {
    "winograd": (rules.winograd_params, rules.winograd),
    "contraction": (rules.contraction_params, rules.contraction),
    "depthwise": (rules.depthwise_params, rules.depthwise),
    "channel_norm": (rules.channel_norm_params, rules.channel_norm),
    "elementwise": (rules.elementwise_params, rules.elementwise),
    "tiny": (rules.tiny_params, rules.tiny),
}


def machine(target: Any) -> Machine:
    """Vector registers of a target."""
    from tvm.target import codegen

    if codegen.target_has_features("avx512f", target):
        return Machine(lanes=16, registers=32)
    if codegen.target_has_features("avx2", target):
        return Machine(lanes=8, registers=16)
    arm = "aarch64" in str(target.attrs.get("mtriple", ""))
    return Machine(lanes=4, registers=32 if arm else 16)


def candidates(function: Any, target: Any) -> list[Candidate]:
    """The ways to schedule a loop nest, best guess first; none where no rule fits."""
    schedule = _fresh(function)
    name = rules.rule_of(schedule) if blocks.is_plain(schedule) else None
    if name is None:
        return []
    return [Candidate(name, params) for params in RULES[name][0](schedule, machine(target))]


def schedule(function: Any, candidate: Candidate) -> Any:
    """The loop nest after a candidate's schedule.

    Raises: UnknownNameError for an unknown rule; tvm's ScheduleError when the rule does not fit
    """
    if candidate.rule not in RULES:
        raise unknown("schedule rule", candidate.rule, RULES)
    found = _fresh(function)
    RULES[candidate.rule][1](found, **candidate.params)
    return found.mod["main"]


def _fresh(function: Any) -> Any:
    s_tir = optional.require("tvm.s_tir", "scheduling")
    return s_tir.Schedule(function.with_attr("global_symbol", "main"))


__all__ = ["RULES", "Candidate", "Machine", "UnknownNameError", "candidates", "machine", "schedule"]
