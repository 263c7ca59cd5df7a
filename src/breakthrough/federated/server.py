"""The ServerApp: chooses nodes, asks them, takes the step of the strategy, measures, keeps. The same in simulation and in deployment.

A round goes on without the nodes that fail, down to the plan's `least`; who was left out and why stands
in the history. After every round the run is on the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.errors import BreakthroughError, expected
from breakthrough.federated import checkpoint, checks, wire
from breakthrough.federated.asking import ask, new_order, roll_call
from breakthrough.federated.collect import Collected, Question, collect
from breakthrough.federated.history import History, Round
from breakthrough.federated.local import initial_state
from breakthrough.federated.plan import Plan
from breakthrough.federated.privacy import noise
from breakthrough.federated.strategies import Step
from breakthrough.federated.tasks import task_of
from breakthrough.federated.vectors import Layout, State
from breakthrough.seeds import numpy_generator

if TYPE_CHECKING:
    from flwr.serverapp import Grid

POLL_S = 0.2
Score = Callable[[State], dict[str, float]]


@dataclass(frozen=True)
class Trained:
    """What a federated run ends with."""

    weights: dict[str, np.ndarray]
    history: History


def federate(
    grid: Grid,
    plan: Plan,
    *,
    score: Score | None = None,
    folder: str | Path | None = None,
    start: State | None = None,
    public: bytes | None = None,
    on_round: Callable[[Round], None] | None = None,
    expect: int | None = None,
) -> Trained:
    """Run a plan on a grid, or go on with what its folder holds.

    `expect` nodes are waited for at the start, as long as the plan's timeout. `public` is the public part
    of the CKKS keys.

    Raises: BreakthroughError when fewer nodes than the plan's `least` are left; ArtifactError when the
            folder holds another plan's run
    """
    weights = dict(start) if start is not None else initial_state(plan)
    step, history = Step(plan, _parameters(plan)), History()
    before = checkpoint.restore(Path(folder), plan) if folder else None
    if before:
        kept, memory, history = before
        weights = {name: kept[name] for name in weights}  # strategies go by the order of the arrays
        step.restore(memory)
    nodes = wait_for(grid, plan, expect or plan.least) if len(history) < plan.rounds else {}
    for number in range(len(history) + 1, plan.rounds + 1):
        begin = time.perf_counter()
        nodes, refused = roll_call(grid, plan, nodes)
        order = new_order(plan, number, step.proximal)
        step.begin(number, weights)
        found = collect(Question(grid, choose(nodes, plan, number), order, weights, public))
        weights = step.advance(number, weights, noised(plan, number, weights, found))
        local = local_scores(grid, nodes, plan, number, weights)
        seconds = round(time.perf_counter() - begin, 4)
        lost = {str(name): why for name, why in sorted((found.lost | refused).items())}
        scores = score(weights) if score else {}
        one = Round(number, found.names, lost, found.loss, found.weight, found.up_bytes, seconds, scores, local, found.clipped)
        history = history.add(one)
        if folder:
            checkpoint.save(Path(folder), plan, weights, step.state(), history)
            history.save(Path(folder) / "history.json")
        if on_round:
            on_round(one)
    return Trained(weights, history)


def wait_for(grid: Grid, plan: Plan, count: int) -> dict[int, int]:
    """Wait until so many nodes are there, at most the plan's timeout, then go on with those that are.

    Raises: BreakthroughError when there are fewer than the plan's `least`
    """
    nodes: dict[int, int] = {}
    end = time.monotonic() + plan.timeout_s
    while True:
        nodes, refused = roll_call(grid, plan, nodes)
        if len(nodes) >= count or (time.monotonic() > end and len(nodes) >= plan.least):
            return nodes
        if time.monotonic() > end:
            why = f"{len(nodes)} within {plan.timeout_s:g} s" + "".join(f"; {name}: {text}" for name, text in refused.items())
            raise BreakthroughError(expected(f"at least {plan.least} nodes to begin with", why, "starting more nodes"))
        time.sleep(POLL_S)


def choose(nodes: Mapping[int, int], plan: Plan, number: int) -> dict[int, int]:
    """The nodes of a round: a fraction of those there are, drawn by the plan's seed and the round's number."""
    count = max(min(plan.least, len(nodes)), round(plan.fraction * len(nodes)))
    if count >= len(nodes):
        return dict(nodes)
    drawn = numpy_generator(plan.seed, "nodes", number).choice(sorted(nodes), count, replace=False)
    return {name: nodes[name] for name in sorted(drawn.tolist())}


def noised(plan: Plan, number: int, start: State, found: Collected) -> Collected:
    """Differential privacy's noise on the mean, if the plan asks for it.

    It is drawn from the plan's seed, so that a run can be repeated: who knows the seed can take it off.
    """
    if not plan.clip or not plan.noise:
        return found
    layout = Layout.of(start)
    drawn = noise(layout.size, plan.clip, plan.noise, len(found.names), numpy_generator(plan.seed, "noise", number))
    mean = layout.restore(layout.flatten(found.mean) + drawn)
    return Collected(mean, found.weight, found.names, found.lost, found.loss, found.up_bytes, found.clipped)


def local_scores(grid: Grid, nodes: Mapping[int, int], plan: Plan, number: int, weights: State) -> dict[str, float]:
    """The nodes' own scores of the new weights, every `evaluate_every` rounds: weighted means, and each node's accuracy."""
    if not plan.evaluate_every or number % plan.evaluate_every:
        return {}
    order = new_order(plan, number)
    asked = ask(grid, nodes, wire.EVALUATE, order, wire.question(order, arrays=wire.arrays(weights)), _score_fault)
    metrics = {name: dict(wire.part(reply, "metrics")) for name, reply in asked.answers.items()}
    total = sum(one[wire.EXAMPLES] for one in metrics.values())
    found = {f"accuracy of {name}": one["accuracy"] for name, one in metrics.items()}
    for key in ("accuracy", "loss"):
        found |= {key: sum(one[wire.EXAMPLES] * one[key] for one in metrics.values()) / total} if metrics else {}
    return found


def _score_fault(reply) -> str | None:
    metrics = wire.part_if_any(reply, "metrics") or {}
    fault = checks.weight_fault(metrics.get(wire.EXAMPLES))
    wanted = all(isinstance(metrics.get(key), float) and np.isfinite(metrics[key]) for key in ("accuracy", "loss"))
    return fault or (None if wanted else expected("a finite accuracy and loss", dict(metrics)))


def _parameters(plan: Plan) -> set[str]:
    return {name for name, _ in task_of(plan.task, plan.task_options).model(plan.seed).named_parameters()}
