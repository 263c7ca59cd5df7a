"""The ClientApp: what runs on a factory's node. The same in simulation and in deployment.

A node knows its number and where its data lie; the plan comes with every message. What leaves it
is a model, or an update that is masked or encrypted, and a few numbers about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.errors import InputError, expected
from breakthrough.federated import encryption, wire
from breakthrough.federated.ckks_release import released
from breakthrough.federated.fixed_point import Codec
from breakthrough.federated.flower import flower
from breakthrough.federated.local import load_state, train_round
from breakthrough.federated.masking import Member
from breakthrough.federated.privacy import clip
from breakthrough.federated.tasks import Data, load_data, task_of
from breakthrough.federated.vectors import Layout, State
from breakthrough.federated.wire import Order

if TYPE_CHECKING:
    from flwr.app import Context, Message
    from flwr.clientapp import ClientApp

MEMBER = "member"  # where a node keeps the secrets of a round between its phases


def client_app(data: str | Path | None = None, keys: str | Path | None = None) -> ClientApp:
    """A ClientApp. Without folders it finds its own file, and its keys, in the node's configuration.

    `data` is a folder of `node-<number>.npz`, for simulation; `keys` one of `secret.ckks` and `public.ckks`.
    """
    app = flower("clientapp").ClientApp()
    node = Node(None if data is None else str(data), None if keys is None else str(keys))
    app.query("hello")(node.hello)
    app.train()(node.train)
    app.evaluate()(node.evaluate)
    for phase in ("keys", "shares", "masked", "unmask", "encrypted", "decrypt"):
        app.train(phase)(getattr(node, phase))
    return app


class Node:
    """What a node does with a message. All state between messages is in Flower's context, on the node."""

    def __init__(self, data: str | None, keys: str | None) -> None:
        self.folder, self.key_folder = data, keys

    def hello(self, message: Message, context: Context) -> Message:
        """Say who this is, and what it would train."""
        order = wire.order_of(message)
        return wire.answer(message, order, {"name": name_of(context), "task": order.plan.task})

    def train(self, message: Message, context: Context) -> Message:
        """Train on the own data and send the weights as they are; clipped, if the plan says so."""
        order, sent = wire.order_of(message), wire.state(wire.part(message, wire.ARRAYS))
        mine, examples, loss = self._trained(order, sent, context)
        metrics = flower().MetricRecord({wire.EXAMPLES: examples, wire.LOSS: loss})
        return wire.answer(message, order, arrays=wire.arrays(mine), metrics=metrics)

    def evaluate(self, message: Message, context: Context) -> Message:
        """Score the weights that were sent on the own held-out data, if there are any, else on the own data."""
        order = wire.order_of(message)
        task, path = task_of(order.plan.task, order.plan.task_options), self._path(order, context)
        held = path.with_suffix(".test.npz")
        data = load_data(task, held if held.exists() else path)
        model = task.model(order.plan.seed)
        load_state(model, wire.state(wire.part(message, wire.ARRAYS)))
        model.eval()
        scores = {wire.EXAMPLES: len(data), **task.score(model, data)}
        return wire.answer(message, order, metrics=flower().MetricRecord(scores))

    def keys(self, message: Message, context: Context) -> Message:
        """Masking, first phase: new key pairs; the public halves go out."""
        order = wire.order_of(message)
        said = wire.part(message, wire.CONFIG)
        member = Member(name_of(context), int(said["parties"]), int(said["threshold"]), context=order.token.encode())
        reply = wire.answer(message, order, {"key": member.advertise()})
        return _keep(context, member, reply)

    def shares(self, message: Message, context: Context) -> Message:
        """Masking, second phase: shares of the own secrets, sealed for every peer."""
        order, member = wire.order_of(message), _member(context)
        sealed = member.share(wire.unblob(wire.part(message, wire.BLOBS)))
        return _keep(context, member, wire.answer(message, order, blobs=wire.blobs(sealed)))

    def masked(self, message: Message, context: Context) -> Message:
        """Masking, third phase: train, weigh, and send the update under the masks."""
        order, member = wire.order_of(message), _member(context)
        vector, loss = self._weighed(order, message, context)
        codec = Codec(order.plan.limit, int(wire.part(message, wire.CONFIG)["parties"]))
        codes = member.mask(codec.encode(vector), wire.unblob(wire.part(message, wire.BLOBS)))
        facts = {wire.LOSS: loss, "clipped": codec.clipped(vector)}
        return _keep(context, member, wire.answer(message, order, facts, arrays=wire.arrays({"masked": codes})))

    def unmask(self, message: Message, context: Context) -> Message:
        """Masking, last phase: shares of the self masks of those who answered, of the keys of those who did not."""
        order, member, said = wire.order_of(message), _member(context), wire.part(message, wire.CONFIG)
        reveal = member.reveal(set(said["survivors"]), set(said["dropped"]))
        context.state.pop(MEMBER, None)
        return wire.answer(message, order, {"reveal": reveal})

    def encrypted(self, message: Message, context: Context) -> Message:
        """Train, weigh, and send the update encrypted."""
        order = wire.order_of(message)
        vector, loss = self._weighed(order, message, context)
        vector = np.clip(vector, -order.plan.limit, order.plan.limit)
        chunks = encryption.encrypt(vector, (self._keys(context) / "public.ckks").read_bytes())
        return wire.answer(message, order, {wire.LOSS: loss}, blobs=wire.blobs(dict(enumerate(chunks))))

    def decrypt(self, message: Message, context: Context) -> Message:
        """The key holder's part: decrypt a sum, and put noise on it. One who holds no key refuses."""
        order, path = wire.order_of(message), self._secret(context)
        if not path.exists():
            raise InputError(expected("a node that holds the key", f"node {name_of(context)}", "another node"))
        size = int(wire.part(message, wire.CONFIG)["size"])
        chunks = wire.unblob(wire.part(message, wire.BLOBS))
        total = encryption.decrypt([chunks[i] for i in sorted(chunks)], path.read_bytes(), size)
        return wire.answer(message, order, arrays=wire.arrays({"sum": released(total, path.read_bytes())}))

    def _trained(self, order: Order, sent: State, context: Context) -> tuple[dict[str, np.ndarray], int, float]:
        """The own weights after a round's training, the number of examples, the mean loss."""
        plan, data = order.plan, self._data(order, context)
        mine, loss = train_round(plan, sent, data, name_of(context), order.number, order.proximal)
        if plan.clip is None:
            return mine, len(data), loss
        layout = Layout.of(sent)
        start = layout.flatten(sent)
        change, _ = clip(layout.flatten(mine) - start, plan.clip)
        return layout.restore(start + change), 1, loss  # all weigh the same: no node's weight is a secret

    def _weighed(self, order: Order, message: Message, context: Context) -> tuple[np.ndarray, float]:
        """The update times the node's weight, and the weight behind it.

        Shapes: → (D + 1,)
        Units:  the weight is the number of examples in parts of the plan's most, from 0 to 1
        """
        sent = wire.state(wire.part(message, wire.ARRAYS))
        mine, examples, loss = self._trained(order, sent, context)
        layout, most = Layout.of(sent), 1 if order.plan.clip else order.plan.most
        if examples > most:
            raise InputError(expected(f"at most {most} examples on a node", examples, "a plan with a larger most"))
        update = layout.flatten(mine) - layout.flatten(sent)
        return np.append(update, order.plan.limit) * (examples / most), loss

    def _path(self, order: Order, context: Context) -> Path:
        if self.folder is None:
            return Path(str(context.node_config["data"]))
        return Path(self.folder, order.plan.data, f"node-{name_of(context)}.npz")

    def _data(self, order: Order, context: Context) -> Data:
        return load_data(task_of(order.plan.task, order.plan.task_options), self._path(order, context))

    def _keys(self, context: Context) -> Path:
        return Path(self.key_folder or str(context.node_config["keys"]))

    def _secret(self, context: Context) -> Path:
        """In a simulation all nodes look into one folder, and only node 0 takes the key."""
        own = "secret.ckks" if self.key_folder is None else f"secret-{name_of(context)}.ckks"
        return self._keys(context) / own


def name_of(context: Context) -> int:
    """The number of a node."""
    return int(context.node_config["partition-id"])


def _keep(context: Context, member: Member, reply: Message) -> Message:
    context.state[MEMBER] = flower().ConfigRecord({"state": member.to_bytes()})
    return reply


def _member(context: Context) -> Member:
    kept: Mapping[str, Any] | None = context.state.get(MEMBER)
    if kept is None:
        raise InputError(expected("a round whose keys this node made", "none", "starting the round again"))
    return Member.from_bytes(kept["state"])
