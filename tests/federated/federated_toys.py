"""Small federations that run in a second, and nodes that misbehave."""

from __future__ import annotations

import numpy as np

from breakthrough.federated import wire
from breakthrough.federated.client import client_app
from breakthrough.federated.digits import digits
from breakthrough.federated.grids import LocalGrid
from breakthrough.federated.plan import Plan
from breakthrough.federated.simulation import place

PLAN = Plan(rounds=3, epochs=1, lr=0.1, data="toy", least=2, most=240, timeout_s=5)


def toy_data(folder, nodes=4, per_node=60):
    """Digits for some nodes, in the folders a simulation looks at; the test set."""
    train, test = digits()
    place(folder, {"toy": [train.take(np.arange(k * per_node, (k + 1) * per_node)) for k in range(nodes)]})
    return test


class Faulty(LocalGrid):
    """A grid on which some nodes misbehave: `faults` maps (node's number, phase) to what is done with its answer."""

    def __init__(self, folder, nodes=4, faults=None):
        super().__init__(client_app(folder, folder / "keys"), nodes)
        self.faults, self.seen = faults or {}, []

    def answer(self, message):
        kind, name = message.metadata.message_type, self.contexts[message.metadata.dst_node_id].node_config["partition-id"]
        self.seen.append((name, kind, message))
        fault = self.faults.get((name, kind))
        if fault is dies:
            self.online.discard(message.metadata.dst_node_id)
            return None
        reply = super().answer(message)
        return fault(message, reply) if fault else reply


def dies(message, reply):
    """The node is gone before it answers."""


def with_arrays(change):
    """The node sends other arrays."""
    def fault(message, reply):
        state = change(wire.state(reply.content[wire.ARRAYS]))
        reply.content[wire.ARRAYS] = wire.arrays(state)
        return reply

    return fault
