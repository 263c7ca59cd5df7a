"""Two processes that call each other: the examiner, and a student's process that is not trusted.

Both sides speak the same protocol; what they give away differs. Data is copied (see `wire`); anything else crosses
as a handle, by which the owner may be asked to call it, or for a part. A student's process gives handles for
whatever it has. The examiner gives them only for functions, and for objects whose class lists what may be asked of
them in `REMOTE`; nothing else of the examiner can be reached, whatever is written into the socket. A class that
lists such names may also say in `THERE` which class of the library stands for its objects in a student's process.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import select
import socket
import time
import types
from collections.abc import Callable
from typing import Any

from breakthrough.elsewhere import Elsewhere
from breakthrough.errors import BreakthroughError, expected
from breakthrough.grading import raised
from breakthrough.grading.frames import HEAD, Limits, WireError, head
from breakthrough.grading.wire import Node, Reader, Writer, opaque

FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
STEPS = 200_000  # requests that the other side may make while it answers one
CHUNK = 1 << 20


class GoneError(BreakthroughError):
    """The other process ended."""


class SilentError(BreakthroughError):
    """The other process did not answer in time."""


class Peer:
    """One end of the socket.

    Units: `deadline` is a time of time.monotonic(), None for none; `limits` are for what is received
    """

    def __init__(self, sock: socket.socket, limits: Limits, *, trusted: bool) -> None:
        self.sock, self.limits, self.trusted = sock, limits, trusted  # trusted: whether the other side is
        self.deadline: float | None = None
        self.owned: dict[int, Any] = {}
        self.known: dict[int, int] = {}  # id of an object → its handle
        self.graphs: dict[int, tuple[list, list]] = {}
        self.errors: dict[int, BaseException] = {}
        self.numbers = itertools.count(1)
        self.make_proxy: Callable[[Peer, list], Any] | None = None
        self.extra: dict[str, Callable[..., Any]] = {}  # what else the other side may ask of this one
        self.steps = 0

    def request(self, what: str, *data: Any) -> Any:
        """Ask the other side and give its answer, serving what it asks meanwhile.

        Raises: what was raised there; GoneError, SilentError; WireError for an answer that is none
        """
        outer = self.steps
        self._send([what, list(data)])
        self.steps = 0
        while True:
            message = self._receive()
            if message[0] == "ok":
                self.steps = outer
                return message[1]
            if message[0] == "err":
                self.steps = outer
                raise self._error(message[1])
            self.steps += 1
            if self.steps > STEPS:
                raise SilentError(expected(f"an answer after up to {STEPS:,} questions", "more of them"))
            self.serve_one(message)

    def serve(self) -> None:
        """Answer requests until the other side hangs up."""
        while True:
            try:
                message = self._receive()
            except GoneError:
                return
            self.serve_one(message)

    def serve_one(self, message: list) -> None:
        """Answer one request; whatever it raises goes back, except what ends the conversation."""
        from breakthrough.grading import served

        try:
            reply = ["ok", served.answer(self, str(message[0]), message[1])]
            data = self.frame(reply)
        except (GoneError, SilentError):
            raise
        except BaseException as error:  # noqa: BLE001 - also SystemExit: it is the other side's call
            data = self.frame(["err", raised.described(error, self._keep_error(error))])
        self._write(data)

    def handle(self, value: Any) -> Node | None:
        """The handle of something that is no data; None when nothing may be asked of it."""
        if isinstance(value, Elsewhere) and value.__dict__.get("_peer") is self:  # theirs: it goes home
            return ["H", not self.trusted, value.__dict__["_number"], "", False, None, ""]
        callable_, ops = self.allowed(value)
        if not callable_ and not ops:
            return None
        number = self.known.get(id(value))
        if number is None:
            number = next(self.numbers)
            self.known[id(value)], self.owned[number] = number, value
        there = "" if self.trusted else getattr(type(value), "THERE", "")
        return ["H", self.trusted, number, type(value).__name__[:80], callable_, _signature(value) if callable_ else None, there]

    def find(self, number: int) -> Any:
        """What a handle stands for.

        Raises: WireError for one that was not given away
        """
        if number not in self.owned:
            raise WireError(expected("a handle that was given", number))
        return self.owned[number]

    def allowed(self, value: Any) -> tuple[bool, frozenset[str]]:
        """Whether the other side may call a thing, and which of its names it may ask for; * for any."""
        if self.trusted:
            return callable(value), frozenset(("*",))
        if isinstance(value, FUNCTIONS):
            return True, frozenset(("__call__",))
        names = frozenset(getattr(type(value), "REMOTE", ()))
        return "__call__" in names, names

    def _found(self, node: list) -> Any:
        if node[0] != "H" or len(node) != 7:
            raise WireError(expected("a node of plain data", repr(node[0])[:40]))
        if node[1] is not self.trusted:  # the owner is on the other side: `trusted` is what its peer is to it
            return self.make_proxy(self, node) if self.make_proxy else opaque("object")
        return self.find(node[2])

    def _keep_error(self, error: BaseException) -> int:
        number = next(self.numbers)
        if len(self.errors) < 1000:
            self.errors[number] = error
        return number

    def _error(self, told: dict) -> BaseException:
        if type(told.get("home")) is int and told["home"] in self.errors:  # raised here first, and passed on there
            return raised.passed_on(self.errors[told["home"]], told)
        return raised.remade(told)

    def frame(self, value: Any) -> bytes:
        """The bytes of a value, with handles for what is no data."""
        return Writer(self.handle, trusting=self.trusted).frame(value)

    def _send(self, value: Any) -> None:
        self._write(self.frame(value))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                self._wait(select.POLLOUT)
                view = view[self.sock.send(view[:CHUNK], socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            self._write(bytes(view))
        except (BrokenPipeError, ConnectionError, OSError) as error:
            raise GoneError(expected("a process that listens", type(error).__name__)) from None

    def _receive(self) -> list:
        total, text = head(self._read(HEAD.size), self.limits)
        data = self._read(total)
        message = Reader(data[:text], memoryview(data)[text:], self.limits, self._found, trusting=self.trusted).value()
        if type(message) is not list or len(message) != 2:
            raise WireError(expected("a message of two parts", type(message).__name__))
        if (message[0] == "err" and type(message[1]) is not dict) or (message[0] not in ("ok", "err") and type(message[1]) is not list):
            raise WireError(expected("a message", repr(message[0])[:40]))
        return message

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            self._wait(select.POLLIN)
            try:
                part = self.sock.recv(min(size, CHUNK))
            except OSError:
                part = b""
            if not part:
                raise GoneError(expected("an answer", "none: the process ended"))
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self.sock, event)
        left = None if self.deadline is None else self.deadline - time.monotonic()
        if (left is not None and left <= 0) or not poll.poll(None if left is None else 1000 * left):
            raise SilentError(expected("an answer in time", "none"))


def _signature(value: Any) -> list | None:
    """Names, kinds and defaults of parameters: enough to tell whether arguments fit."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    return [[str(p.name), int(p.kind), p.default is not inspect.Parameter.empty] for p in list(parameters)[:50]]
