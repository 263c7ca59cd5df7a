"""What a message between server and nodes holds, and how it is read.

A question carries `config` (plan, round, phase, token) and what the phase needs; an answer carries `facts`,
with the token given back, and arrays or bytes. Records of Flower; no pickle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.errors import InputError, expected
from breakthrough.federated.flower import flower
from breakthrough.federated.plan import Plan
from breakthrough.federated.vectors import State

if TYPE_CHECKING:
    from flwr.app import ArrayRecord, Message, RecordDict

ARRAYS, CONFIG, FACTS, BLOBS = "arrays", "config", "facts", "blobs"
EXAMPLES, LOSS = "num-examples", "train-loss"

# phases of a round, as Flower's message types
HELLO = "query.hello"
TRAIN, ENCRYPTED, DECRYPT = "train", "train.encrypted", "train.decrypt"
KEYS, SHARES, MASKED, UNMASK = "train.keys", "train.shares", "train.masked", "train.unmask"
EVALUATE = "evaluate"


@dataclass(frozen=True)
class Order:
    """What the server asks for: under which plan, in which round, with which token to give back."""

    plan: Plan
    number: int
    token: str
    proximal: float = 0.0


def part(message: Message, name: str) -> Any:
    """A record of a message, by its name."""
    return message.content[name]


def part_if_any(message: Message, name: str) -> Any:
    """A record of a message, by its name; None where it has none."""
    return message.content.get(name)


def arrays(state: State) -> ArrayRecord:
    """A state as a record."""
    app = flower()
    return app.ArrayRecord({name: app.Array(np.asarray(x)) for name, x in state.items()})


def state(record: ArrayRecord) -> dict[str, np.ndarray]:
    """The state in a record."""
    return {name: array.numpy() for name, array in record.items()}


def question(order: Order, more: Mapping[str, Any] | None = None, **records: Any) -> RecordDict:
    """The content of a message to a node; `more` are further facts in its config."""
    app = flower()
    said = {"plan": order.plan.to_json(), "server-round": order.number, "token": order.token, "proximal-mu": order.proximal}
    said |= more or {}
    return app.RecordDict({CONFIG: app.ConfigRecord(said), **records})


def order_of(message: Message) -> Order:
    """What a message orders.

    Raises: InputError when it holds no order
    """
    try:
        said = part(message, CONFIG)
        plan = Plan.from_dict(json.loads(said["plan"]))
        return Order(plan, int(said["server-round"]), str(said["token"]), float(said["proximal-mu"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(expected("a message with a plan, a round and a token", repr(error))) from error


def answer(message: Message, order: Order, facts: Mapping[str, Any] | None = None, **records: Any) -> Message:
    """A node's answer: the facts, the order's token, and records."""
    app = flower()
    told = app.ConfigRecord({"token": order.token, "server-round": order.number, **(facts or {})})
    return app.Message(app.RecordDict({FACTS: told, **records}), reply_to=message)


def blobs(named: Mapping[int, bytes]) -> Any:
    """Bytes by the number of the node they are of, or for, as a record."""
    return flower().ConfigRecord({str(name): value for name, value in named.items()})


def unblob(record: Mapping[str, Any]) -> dict[int, bytes]:
    """What `blobs` packed.

    Raises: InputError when it is something else
    """
    try:
        found = {int(name): value for name, value in record.items()}
    except ValueError as error:
        raise InputError(expected("bytes by number", repr(error))) from error
    if not all(isinstance(value, bytes) for value in found.values()):
        raise InputError(expected("bytes by number", {name: type(x).__name__ for name, x in found.items()}))
    return found
