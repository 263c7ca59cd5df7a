"""A grid without processes: the same apps and messages, one node after the other, in this process.

For controls and experiments of many runs, where starting Ray would take longer than the training, and for
tests that make nodes fail. Nothing is measured on it that needs several processes.
"""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from breakthrough.errors import ConfigError, expected
from breakthrough.federated.flower import flower, identify

if TYPE_CHECKING:
    from flwr.app import Message
    from flwr.clientapp import ClientApp

FIRST_ID = 1000  # node ids are no node numbers
FAILED = 2  # Flower's code for an app that raised


class LocalGrid:
    """The part of Flower's `Grid` that the server uses, over a ClientApp called in this process.

    Units:  nodes are numbered from 0; `online` may be changed between messages
    Raises: ConfigError for fewer than one node
    """

    def __init__(self, app: ClientApp, nodes: int, run_id: int = 1) -> None:
        if nodes < 1:
            raise ConfigError(expected("at least one node", nodes))
        core = flower()
        identify(run_id)
        self.app, self.run_id = app, run_id
        self.contexts = {FIRST_ID + name: self._context(core, name, nodes) for name in range(nodes)}
        self.online = set(self.contexts)
        self._replies: dict[str, Message] = {}

    def get_node_ids(self) -> list[int]:
        """The ids of the nodes that are there."""
        return sorted(self.online)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver messages; each is answered at once."""
        return [self._deliver(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The answers to messages, each once."""
        return [self._replies.pop(one) for one in list(message_ids) if one in self._replies]

    def answer(self, message: Message) -> Message | None:
        """What a node answers; None when it says nothing. Tests make nodes misbehave here."""
        return self.app(message, self.contexts[message.metadata.dst_node_id])

    def _deliver(self, message: Message) -> str:
        one = str(uuid.uuid4())
        message.metadata.__dict__["_message_id"] = one  # as Flower's own grid does
        if message.metadata.dst_node_id not in self.online:
            return one
        try:
            reply = self.answer(message)
        except Exception as error:  # noqa: BLE001 - a node's failure is its reply
            reply = self._failure(message, error)
        if reply is not None:
            self._replies[one] = reply
        return one

    def _failure(self, message: Message, error: Exception) -> Message:
        core = flower()
        last = traceback.format_exception_only(error)[-1].strip()
        return core.Message(core.Error(code=FAILED, reason=last), reply_to=message)

    def _context(self, core: Any, name: int, nodes: int) -> Any:
        where = {"partition-id": name, "num-partitions": nodes}
        return core.Context(run_id=self.run_id, node_id=FIRST_ID + name, node_config=where, state=core.RecordDict(), run_config={})
