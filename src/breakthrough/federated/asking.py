"""Asking nodes, and what comes back: answers by the node's number, and by name who gave none and why.

Works on any of Flower's grids: a node that fails, goes offline or says nothing costs its own answer only.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from breakthrough.federated import checks, wire
from breakthrough.federated.flower import flower
from breakthrough.federated.plan import Plan
from breakthrough.federated.wire import Order

if TYPE_CHECKING:
    from flwr.app import Message, RecordDict
    from flwr.serverapp import Grid

FIRST_WAIT_S, LAST_WAIT_S = 0.01, 0.5
ONLINE_EVERY_S = 3.0


@dataclass
class Asked:
    """Answers by node number, and the reason for every one that is missing or refused."""

    answers: dict[int, Message] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)

    def refuse(self, name: int, why: str) -> None:
        """Take an answer away, and say why."""
        self.answers.pop(name, None)
        self.lost[name] = why


def new_order(plan: Plan, number: int, proximal: float = 0.0) -> Order:
    """An order with a token that nobody has seen."""
    return Order(plan, number, secrets.token_hex(16), proximal)


def ask(
    grid: Grid,
    nodes: Mapping[int, int],
    kind: str,
    order: Order,
    content: RecordDict | Callable[[int], RecordDict],
    check: Callable[[Message], str | None] | None = None,
) -> Asked:
    """Send every node a message and wait for the answers, each checked.

    `nodes` maps a node's number to its id on the grid; `content` is for all, or made for each.
    """
    message = flower().Message
    sent = {}
    for name, node in nodes.items():
        what = content(name) if callable(content) else content
        one = message(what, dst_node_id=node, message_type=kind, group_id=str(order.number))
        ids = list(grid.push_messages([one]))
        if ids:
            sent[ids[0]] = name
    found = Asked(lost={name: "could not be reached" for name in nodes if name not in sent.values()})
    _receive(grid, nodes, sent, order.plan.timeout_s, found)
    for name, reply in sorted(found.answers.items()):
        why = checks.failure(reply) or checks.token_fault(reply, order.token) or (check(reply) if check else None)
        if why:
            found.refuse(name, why)
    found.answers = dict(sorted(found.answers.items()))  # one order, whoever was first: sums are the same again
    return found


def _receive(grid: Grid, nodes: Mapping[int, int], sent: dict[str, int], timeout_s: float, found: Asked) -> None:
    pending, begin, wait_s = dict(sent), time.monotonic(), FIRST_WAIT_S
    looked = begin
    while pending:
        replies = list(grid.pull_messages(list(pending)))
        for reply in replies:
            name = pending.pop(reply.metadata.reply_to_message_id, None)
            if name is not None:
                found.answers[name] = reply
        now = time.monotonic()
        if not pending or now - begin > timeout_s:
            break
        if now - looked > ONLINE_EVERY_S:
            looked, online = now, set(grid.get_node_ids())
            for one, name in list(pending.items()):
                if nodes[name] not in online:
                    del pending[one]
                    found.lost[name] = f"went offline after {now - begin:.0f} s"
        wait_s = FIRST_WAIT_S if replies else min(LAST_WAIT_S, wait_s * 1.3)
        time.sleep(wait_s)
    for name in pending.values():
        found.lost[name] = f"no answer within {timeout_s:g} s"


def roll_call(grid: Grid, plan: Plan, known: Mapping[int, int]) -> tuple[dict[int, int], dict[int, str]]:
    """The nodes there are, by number, and those refused. Only new ones are asked.

    A number that is taken stays with the first who had it: the other is refused.
    """
    online = set(grid.get_node_ids())
    nodes = {name: node for name, node in known.items() if node in online}
    fresh = {node: node for node in online - set(nodes.values())}
    order = new_order(plan, 0)
    asked = ask(grid, fresh, wire.HELLO, order, wire.question(order)) if fresh else Asked()
    refused = dict(asked.lost)
    for node, reply in asked.answers.items():
        name = reply.content[wire.FACTS].get("name")
        if not isinstance(name, int) or name < 0:
            refused[node] = f"bad name: {name!r}"
        elif name in nodes:
            refused[node] = f"the number {name} is taken"
        else:
            nodes[name] = node
    return dict(sorted(nodes.items())), refused


def facts_of(message: Message) -> Mapping[str, Any]:
    """The facts of an answer."""
    return message.content[wire.FACTS]
