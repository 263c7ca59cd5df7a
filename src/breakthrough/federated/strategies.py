"""Flower's strategies as the server's step: they see the answers, or, where only a sum is known, the sum as one answer.

Ours around them: whole numbers stay whole, buffers are averaged and never stepped by a server's
optimizer (a negative variance is no variance), and the optimizer's state can be saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.errors import ConfigError, expected
from breakthrough.federated import wire
from breakthrough.federated.collect import Collected
from breakthrough.federated.flower import flower
from breakthrough.federated.plan import Plan
from breakthrough.federated.vectors import Layout, State

if TYPE_CHECKING:
    from flwr.app import Message

CLASSES = {"fedavg": "FedAvg", "fedprox": "FedProx", "fedavgm": "FedAvgM", "fedadam": "FedAdam", "fedyogi": "FedYogi"}
DEFAULTS = {
    "fedprox": {"proximal_mu": 0.01},
    "fedavgm": {"server_momentum": 0.7},
    "fedadam": {"eta": 0.01, "beta_1": 0.9, "beta_2": 0.99, "tau": 1e-3},
    "fedyogi": {"eta": 0.01, "beta_1": 0.9, "beta_2": 0.99, "tau": 1e-3},
}
KEPT = ("m_t", "v_t", "momentum_vector")  # what their optimizers remember


class _Everyone:
    """A grid of one node: the nodes are chosen before the strategy is asked."""

    def get_node_ids(self) -> list[int]:
        return [0]


class Step:
    """One of Flower's strategies, driven round by round.

    Raises: ConfigError for an option that the strategy does not have
    """

    def __init__(self, plan: Plan, parameters: set[str]) -> None:
        self.plan, self.parameters = plan, parameters
        options = DEFAULTS.get(plan.strategy, {}) | plan.options
        maker = getattr(flower("serverapp.strategy"), CLASSES[plan.strategy])
        try:
            self.strategy = maker(min_train_nodes=1, min_available_nodes=1, min_evaluate_nodes=1, **options)
        except TypeError as error:
            raise ConfigError(expected(f"options of {CLASSES[plan.strategy]}", error)) from error

    @property
    def proximal(self) -> float:
        """FedProx's μ, 0 for the others."""
        return float(getattr(self.strategy, "proximal_mu", 0.0))

    def begin(self, number: int, start: State) -> None:
        """Tell the strategy which weights the round begins with."""
        self.strategy.configure_train(number, wire.arrays(start), flower().ConfigRecord(), _Everyone())

    def advance(self, number: int, start: State, found: Collected) -> dict[str, np.ndarray]:
        """The next weights.

        Raises: errors of the strategy
        """
        replies = found.replies or [_as_reply(found)]
        record, _ = self.strategy.aggregate_train(number, replies)
        layout, stepped = Layout.of(start), wire.state(record)
        chosen = {name: stepped[name] if name in self.parameters else found.mean[name] for name in layout.names}
        return layout.restore(layout.flatten(chosen))

    def state(self) -> dict[str, np.ndarray]:
        """What the strategy's optimizer remembers, as arrays by name."""
        found: dict[str, np.ndarray] = {}
        for name in KEPT:
            value = getattr(self.strategy, name, None)
            pairs = value.items() if isinstance(value, Mapping) else enumerate(value or [])
            found |= {f"{name}/{key}": np.asarray(array) for key, array in pairs}
        return found

    def restore(self, state: State) -> None:
        """Put back what `state` gave."""
        for name in KEPT:
            mine = {key.partition("/")[2]: np.array(x) for key, x in state.items() if key.startswith(f"{name}/")}
            if mine:
                value: Any = [mine[key] for key in sorted(mine, key=int)] if name == "momentum_vector" else mine
                setattr(self.strategy, name, value)


def _as_reply(found: Collected) -> Message:
    app = flower()
    metrics = app.MetricRecord({wire.EXAMPLES: found.weight, wire.LOSS: found.loss})
    content = app.RecordDict({wire.ARRAYS: wire.arrays(found.mean), "metrics": metrics})
    return app.Message(content, dst_node_id=0, message_type=wire.TRAIN)
