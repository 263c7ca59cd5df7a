"""How a round's updates reach the server: as they are, as a masked sum, as an encrypted sum.

Each way ends in the same: the weighted mean of the states, who is in it, who is not and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.errors import BreakthroughError, InputError, expected
from breakthrough.federated import checks, encryption, wire
from breakthrough.federated.asking import Asked, ask, facts_of
from breakthrough.federated.fixed_point import Codec
from breakthrough.federated.mask_messages import read_keys, read_shares
from breakthrough.federated.masking import check_reveal, unmask
from breakthrough.federated.vectors import Layout, State
from breakthrough.federated.wire import Order

if TYPE_CHECKING:
    from flwr.app import Message
    from flwr.serverapp import Grid

BLOB_BYTES = 65536  # keys and shares are small


@dataclass(frozen=True)
class Question:
    """One round: which nodes are asked, with which weights.

    `public` is the public part of the CKKS keys.
    """

    grid: Grid
    nodes: Mapping[int, int]
    order: Order
    start: State
    public: bytes | None = None

    @property
    def layout(self) -> Layout:
        """The layout of the weights."""
        return Layout.of(self.start)

    def ask(self, names: Mapping[int, int], kind: str, more: Mapping | None = None, check=None, **records) -> Asked:
        """Ask some of the nodes the same."""
        return ask(self.grid, names, kind, self.order, wire.question(self.order, more, **records), check)


@dataclass
class Collected:
    """What a round brought.

    Shapes: mean is a state
    Units:  weight is the number of examples in the mean, or of clients where all weigh the same; up_bytes
            is what the nodes sent, in one round; clipped the share of numbers cut at the plan's limit
    """

    mean: dict[str, np.ndarray]
    weight: float
    names: tuple[int, ...]
    lost: dict[int, str]
    loss: float
    up_bytes: int
    clipped: float = 0.0
    replies: list[Message] = field(default_factory=list)


def collect(question: Question) -> Collected:
    """Run the phases of the plan's protection.

    Raises: BreakthroughError when fewer nodes than the plan's `least` are left in any phase
    """
    return WAYS[question.order.plan.protection](question)


def plain(question: Question) -> Collected:
    """Every node sends its weights. The server sees each."""
    layout = question.layout

    def check(reply: Message) -> str | None:
        metrics = wire.part_if_any(reply, "metrics") or {}
        fault = checks.arrays_fault(wire.part_if_any(reply, wire.ARRAYS), layout)
        return fault or checks.weight_fault(metrics.get(wire.EXAMPLES)) or _loss_fault(metrics.get(wire.LOSS))

    asked = question.ask(question.nodes, wire.TRAIN, None, check, arrays=wire.arrays(question.start))
    enough(question, asked, "trained")
    weights = np.array([wire.part(reply, "metrics")[wire.EXAMPLES] for reply in asked.answers.values()], float)
    losses = np.array([wire.part(reply, "metrics")[wire.LOSS] for reply in asked.answers.values()])
    total = sum(w * layout.flatten(wire.state(wire.part(r, wire.ARRAYS))) for w, r in zip(weights, asked.answers.values()))
    loss, size = float(weights @ losses / weights.sum()), sum(_bytes(r) for r in asked.answers.values())
    mean = layout.restore(total / weights.sum())
    return Collected(mean, float(weights.sum()), tuple(asked.answers), asked.lost, loss, size, replies=list(asked.answers.values()))


def masked(question: Question) -> Collected:
    """Secure aggregation: four phases; the server sees the sum and who is in it.

    Source: Bonawitz et al. 2017
    """
    plan, layout = question.order.plan, question.layout
    parties = len(question.nodes)
    threshold = max(plan.least, parties // 2 + 1)
    sizes = {"parties": parties, "threshold": threshold}
    context = question.order.token.encode()
    first = question.ask(question.nodes, wire.KEYS, sizes, lambda r: _key_fault(facts_of(r).get("key")))
    _refuse(first, "bad keys", lambda name, reply: read_keys(facts_of(reply)["key"], name, context))
    lost = dict(first.lost)
    enough(question, first, "sent keys", threshold)
    keys = {name: facts_of(reply)["key"] for name, reply in first.answers.items()}

    second = question.ask(_only(question, keys), wire.SHARES, sizes, _blob_check, blobs=wire.blobs(keys))
    _refuse(second, "bad shares", lambda name, reply: _check_shares(name, reply, set(keys)))
    lost |= second.lost
    enough(question, second, "shared their secrets", threshold)
    sealed = {name: wire.unblob(wire.part(reply, wire.BLOBS)) for name, reply in second.answers.items()}

    third = _masked_updates(question, sizes, sealed)
    lost |= third.lost
    enough(question, third, "sent masked updates", threshold)
    vectors = {name: wire.part(reply, wire.ARRAYS)["masked"].numpy() for name, reply in third.answers.items()}

    told = {"survivors": sorted(vectors), "dropped": sorted(set(sealed) - set(vectors))}
    last = question.ask(_only(question, vectors), wire.UNMASK, told, lambda r: _key_fault(facts_of(r).get("reveal")))
    check = partial(check_reveal, keys=keys, roster=set(sealed), survivors=set(vectors), threshold=threshold, context=context)
    _refuse(last, "bad shares", lambda name, reply: check(facts_of(reply)["reveal"], name))
    enough(question, last, "helped to take the masks off", threshold)
    reveals = {name: facts_of(reply)["reveal"] for name, reply in last.answers.items()}
    total = unmask(vectors, keys, set(sealed), reveals, threshold, context)

    summed = Codec(plan.limit, parties).decode(total, len(vectors))
    size = sum(map(_bytes, [*first.answers.values(), *second.answers.values(), *third.answers.values(), *last.answers.values()]))
    return _from_sum(question, layout, summed, tuple(vectors), lost, third, size)


def encrypted(question: Question) -> Collected:
    """CKKS: the server adds ciphertexts it cannot read; the node that holds the key decrypts the sum.

    The others have the public key only. The key holder, together with the server, could read every update.
    """
    if question.public is None:
        raise BreakthroughError(expected("the public part of the CKKS keys for an encrypted run", "none", "encryption.make_keys"))
    layout, public = question.layout, question.public
    size = layout.size + 1
    most_bytes = int(2 * size * encryption.parameters_of(public).bits_a_value() // 8) + BLOB_BYTES

    def check(reply: Message) -> str | None:
        fault = checks.bytes_fault(wire.part_if_any(reply, wire.BLOBS), most_bytes)
        return fault or _loss_fault(facts_of(reply).get(wire.LOSS))

    asked = question.ask(question.nodes, wire.ENCRYPTED, None, check, arrays=wire.arrays(question.start))
    total = encryption.Sum(public, size)
    for name, reply in list(asked.answers.items()):
        try:
            total.add(_ordered(reply))
        except BreakthroughError as error:
            asked.refuse(name, f"unreadable: {error}")
    enough(question, asked, "sent encrypted updates")
    summed, lost = _decrypted(question, total.result(), size)
    return _from_sum(question, layout, summed, tuple(asked.answers), asked.lost | lost, asked, sum(map(_bytes, asked.answers.values())))


def enough(question: Question, asked: Asked, what: str, least: int | None = None) -> None:
    """Go on when enough nodes are left.

    Raises: BreakthroughError that names who is missing and why
    """
    least = least or question.order.plan.least
    if len(asked.answers) < least:
        why = "; ".join(f"node {name} {text}" for name, text in sorted(asked.lost.items())) or "too few were there"
        got = f"{len(asked.answers)} ({why})"
        what = f"at least {least} nodes that {what} in round {question.order.number}"
        raise BreakthroughError(expected(what, got, "starting again: the run goes on from its last round"))


def _masked_updates(question: Question, sizes: Mapping, sealed: Mapping[int, Mapping[int, bytes]]) -> Asked:
    layout, names = Layout(("masked",), ((question.layout.size + 1,),), ("uint32",)), _only(question, sealed)

    def content(name: int):
        inbox = {peer: sent[name] for peer, sent in sealed.items() if name in sent}
        return wire.question(question.order, sizes, arrays=wire.arrays(question.start), blobs=wire.blobs(inbox))

    def check(reply: Message) -> str | None:
        fault = checks.arrays_fault(wire.part_if_any(reply, wire.ARRAYS), layout)
        return fault or _loss_fault(facts_of(reply).get(wire.LOSS))

    return ask(question.grid, names, wire.MASKED, question.order, content, check)


def _decrypted(question: Question, total: list[bytes], size: int) -> tuple[np.ndarray, dict[int, str]]:
    layout = Layout(("sum",), ((size,),), ("float64",))
    lost: dict[int, str] = {}
    for name, node in question.nodes.items():  # the first that holds the key
        asked = question.ask(
            {name: node}, wire.DECRYPT, {"size": size}, lambda r: checks.arrays_fault(wire.part_if_any(r, wire.ARRAYS), layout),
            blobs=wire.blobs(dict(enumerate(total))),
        )  # fmt: skip
        if asked.answers:
            return wire.part(asked.answers[name], wire.ARRAYS)["sum"].numpy(), lost
        lost |= {} if "holds the key" in asked.lost[name] else asked.lost
    raise BreakthroughError(expected("a node that holds the key and answers", f"none of {len(question.nodes)}"))


def _from_sum(question, layout, summed, names, lost, asked, size) -> Collected:
    plan = question.order.plan
    weight = summed[-1] / plan.limit  # in parts of the plan's most
    if not weight > 0:
        raise BreakthroughError(expected("a sum with a weight above 0", weight))
    mean = layout.restore(layout.flatten(question.start) + summed[:-1] / weight)
    losses = [facts_of(reply)[wire.LOSS] for reply in asked.answers.values()]
    clipped = max(float(facts_of(reply).get("clipped", 0.0)) for reply in asked.answers.values())
    return Collected(mean, weight * (1 if plan.clip else plan.most), names, lost, float(np.mean(losses)), size, clipped)


def _refuse(asked: Asked, what: str, read: Callable[[int, Message], object]) -> None:
    """Refuse the answers that cannot be read."""
    for name, reply in list(asked.answers.items()):
        try:
            read(name, reply)
        except BreakthroughError as error:
            asked.refuse(name, f"{what}: {error}")


def _check_shares(name: int, reply: Message, peers: set[int]) -> None:
    sent = wire.unblob(wire.part(reply, wire.BLOBS))
    if set(sent) != peers - {name}:
        raise InputError(expected(f"shares for {sorted(peers - {name})}", f"for {sorted(sent)}"))
    for blob in sent.values():
        read_shares(blob, name)


def _only(question: Question, names: Mapping[int, object]) -> dict[int, int]:
    return {name: question.nodes[name] for name in names}


def _ordered(reply: Message) -> list[bytes]:
    chunks = wire.unblob(wire.part(reply, wire.BLOBS))
    return [chunks[i] for i in sorted(chunks)]


def _blob_check(reply: Message) -> str | None:
    return checks.bytes_fault(wire.part_if_any(reply, wire.BLOBS), BLOB_BYTES * 64)


def _key_fault(value: object) -> str | None:
    if isinstance(value, bytes) and 0 < len(value) <= BLOB_BYTES * 64:
        return None
    return f"bad keys: {expected('bytes', type(value).__name__)}"


def _loss_fault(value: object) -> str | None:
    if isinstance(value, (int, float)) and np.isfinite(value):
        return None
    return f"not finite: {expected('a finite loss', repr(value))}"


def _bytes(reply: Message) -> int:
    arrays = wire.part_if_any(reply, wire.ARRAYS) or {}
    found = sum(len(array.data) for array in arrays.values())
    for record in (wire.part_if_any(reply, wire.BLOBS) or {}, wire.part_if_any(reply, wire.FACTS) or {}):
        found += sum(len(value) for value in record.values() if isinstance(value, bytes))
    return found


WAYS = {"plain": plain, "masked": masked, "encrypted": encrypted}
