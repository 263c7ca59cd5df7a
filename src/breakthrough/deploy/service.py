"""The service as Granian calls it: routes, limits, timeouts, and the way from a request to its answer.

    POST /v1/inspect   a picture or numbers → class, confidence, map
    GET  /v1/model     what is served
    GET  /             the page; /docs and /openapi.json the schema
    GET  /healthz /readyz /metrics
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from breakthrough.deploy import answers
from breakthrough.deploy.batching import Batcher, Item
from breakthrough.deploy.capacity import Limits
from breakthrough.deploy.intake import SMALL_BYTES, Intake, Refusal
from breakthrough.deploy.meters import CONTENT_TYPE, Meters
from breakthrough.errors import expected

PAGE = Path(__file__).parent / "page"
PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
SAFE = [("content-security-policy", "default-src 'self'; img-src 'self' blob: data:"), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")]
JSON = ("content-type", "application/json")
HELD_BODIES = 16  # so many of the greatest length may be read at a time: memory is bounded, whoever sends
LOOK_S = 0.05  # between two looks for requests that have waited too long


class Model(Protocol):
    """What is served: a compiled net's engine."""

    batches: tuple[int, ...]
    manifest: dict[str, Any]

    def __call__(self, x: np.ndarray) -> Any:
        """Scores (B, C), or scores and cells (B, C + S, h, w)."""


class Service:
    """A model behind HTTP, for Granian's RSGI.

    `load` gives a model, loaded; it is called in every model thread, and each is warmed up with every batch size.
    """

    def __init__(self, load: Callable[[], Model], about: dict[str, Any], limits: Limits) -> None:
        self.limits, self._about = limits, about
        self._load = load
        self.classes = tuple(about["classes"])
        self.shape = tuple(about["input_shape"])
        self._intake = Intake(self.shape)
        self._batcher = Batcher(
            self._answerer, workers=limits.workers, max_batch=limits.max_batch, max_wait_s=limits.max_wait_ms / 1000, sizes=about["batches"], told=self._computed
        )
        self.meters = Meters(tuple(about["batches"]) or (1, 2, 4, 8, 16, 32), lambda: self._batcher.depth, lambda: self.open)
        self._decoder = ThreadPoolExecutor(1, "decoder")
        self._waiting: deque[Item] = deque()
        self.open, self.draining, self._held_bytes = 0, False, 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the model threads and the look for requests that have waited too long."""
        self._loop = loop
        self._batcher.start(loop)
        self._watch = loop.create_task(self._expire())

    async def drain(self, limit_s: float) -> bool:
        """Refuse new requests and answer those that are in; whether all were answered in time."""
        self.draining = True
        until = time.monotonic() + limit_s
        while self.open and time.monotonic() < until:
            await asyncio.sleep(0.01)
        self._batcher.stop()
        self._watch.cancel()
        self._decoder.shutdown(wait=False, cancel_futures=True)
        return not self.open

    @property
    def failure(self) -> BaseException | None:
        """Why the model did not load."""
        return self._batcher.failure

    @property
    def ready(self) -> bool:
        """Whether a picture would be answered now."""
        return self._batcher.ready and not self.draining

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one HTTP request."""
        if scope.proto != "http":
            protocol.close(None)
        elif scope.path == "/v1/inspect" and scope.method == "POST":
            await self._inspect(scope, protocol)
        else:
            status, headers, body = self._plain(scope.method, scope.path)
            send(protocol, status, headers, b"" if scope.method == "HEAD" else body)

    async def _inspect(self, scope: Any, protocol: Any) -> None:
        began_s = time.monotonic()
        self.open += 1
        try:
            answer = await self._answer(scope, protocol)
            send(protocol, 200, [JSON], answer)
            self.meters.answered(time.monotonic() - began_s)
        except Refusal as refusal:
            self._refuse(protocol, refusal)
        except Exception as error:  # noqa: BLE001 - the client is told, and the service goes on
            self._refuse(protocol, Refusal(500, expected("an answer of the net", repr(error)[:200]), reason="failed"))
        finally:
            self.open -= 1

    async def _answer(self, scope: Any, protocol: Any) -> bytes:
        late = self.draining  # one whose body is being read when the end comes is in already
        body = await self._body(scope, protocol)  # of those that are refused too: a client that still sends hears nothing
        self._admit(late)
        kind = scope.headers.get("content-type") or ""
        if len(body) <= SMALL_BYTES:
            x = self._intake.read(body, kind)
        else:
            x = await self._loop.run_in_executor(self._decoder, self._intake.read, body, kind)
        item = self._batcher.put(x)
        self._waiting.append(item)
        return await item.future

    def _admit(self, late: bool) -> None:
        if late:
            raise Refusal(503, expected("a service that takes requests", "one that shuts down", "another instance"), reason="draining", retry_s=5)
        if not self._batcher.ready:
            raise Refusal(503, expected("a model that is loaded", self.failure or "one that warms up", "again in a moment"), reason="warming", retry_s=1)
        if self.open > self.limits.open:
            raise Refusal(429, expected(f"at most {self.limits.queue} requests waiting", "more", "again after Retry-After seconds"), reason="queue", retry_s=1)

    async def _body(self, scope: Any, protocol: Any) -> bytes:
        headers, most = scope.headers, self.limits.max_body_bytes
        if headers.get("content-encoding", "identity") != "identity":
            raise Refusal(415, expected("a body without content-encoding", headers.get("content-encoding")), reason="type")
        length = headers.get("content-length")
        declared = int(length) if length and length.isdecimal() else most  # hyper has refused what is no number
        held = min(declared, most)
        if self._held_bytes + held > HELD_BODIES * most:
            raise Refusal(429, expected(f"bodies of {HELD_BODIES * most} bytes in all", "more", "again after Retry-After seconds"), reason="bodies", retry_s=1)
        self._held_bytes += held
        task = cast("asyncio.Task[Any]", asyncio.current_task())  # a coroutine runs in one
        timer = self._loop.call_later(self.limits.timeout_s, task.cancel)
        try:
            return await protocol() if length and declared <= most else await bounded(protocol, most)
        except asyncio.CancelledError:
            task.uncancel()
            raise Refusal(408, expected(f"the whole body within {self.limits.timeout_s:g} s", "a part of it"), reason="slow") from None
        except RuntimeError:
            raise Refusal(400, expected("a whole body", "one that breaks off"), reason="broken") from None
        finally:
            timer.cancel()
            self._held_bytes -= held

    def _refuse(self, protocol: Any, refusal: Refusal) -> None:
        self.meters.refuse(refusal.status, refusal.reason)
        status, headers, body = problem(refusal.status, refusal.sentence)
        if refusal.retry_s is not None:
            headers.append(("retry-after", str(refusal.retry_s)))
        send(protocol, status, headers, body)

    def _plain(self, method: str, path: str) -> tuple[int, list[tuple[str, str]], bytes]:
        if path == "/v1/inspect":
            status, headers, body = problem(405, expected("POST to /v1/inspect", method))
            return status, [*headers, ("allow", "POST")], body
        known = {"/healthz": self._health, "/readyz": self._readiness, "/metrics": self._metrics, "/openapi.json": self._openapi, "/v1/model": self._model}
        if path not in known and path not in PAGES:
            paths = ", ".join(["/", "/docs", "POST /v1/inspect", *known])
            return problem(404, expected("a path of the service", path[:80], paths))
        if method not in ("GET", "HEAD"):
            status, headers, body = problem(405, expected(f"GET of {path}", method))
            return status, [*headers, ("allow", "GET, HEAD")], body
        if path in PAGES:
            return 200, [("content-type", PAGES[path][1]), *SAFE], self._pages[path]
        return known[path]()

    def _health(self) -> tuple[int, list[tuple[str, str]], bytes]:
        if self.failure is not None:
            return problem(503, expected("a model that loads", self.failure))
        if self._batcher.stuck_s > 2 * self.limits.timeout_s:
            return problem(503, expected("a batch within the timeout", f"one under way for {self._batcher.stuck_s:.0f} s", "a restart"))
        return 200, [JSON], answers.encode(answers.State("alive"))

    def _readiness(self) -> tuple[int, list[tuple[str, str]], bytes]:
        if self.ready:
            return 200, [JSON], answers.encode(answers.State("ready"))
        got = "shutting down" if self.draining else self.failure or "warming up"
        status, headers, body = problem(503, expected("ready", got))
        return status, [*headers, ("retry-after", "1")], body

    def _metrics(self) -> tuple[int, list[tuple[str, str]], bytes]:
        return 200, [("content-type", CONTENT_TYPE)], self.meters.text()

    def _openapi(self) -> tuple[int, list[tuple[str, str]], bytes]:
        return 200, [JSON], json.dumps(answers.openapi(self.shape, self.limits.max_body_bytes)).encode()

    def _model(self) -> tuple[int, list[tuple[str, str]], bytes]:
        limits = {"max_body_bytes": self.limits.max_body_bytes, "timeout_s": self.limits.timeout_s}
        return 200, [JSON], answers.encode(answers.About(**{**self._about, **limits}))

    @cached_property
    def _pages(self) -> dict[str, bytes]:
        return {path: (PAGE / name).read_bytes() for path, (name, _) in PAGES.items()}

    def _answerer(self) -> Callable[[np.ndarray], list[bytes]]:
        model = self._load()
        for size in self._about["batches"] or (1, self.limits.max_batch):
            answers.inspections(model(np.zeros((size, *self.shape), np.float32)), self.classes)
        return lambda x: answers.inspections(model(x), self.classes)

    def _computed(self, size: int, took_s: float) -> None:
        self.meters.computed(size, took_s)

    async def _expire(self) -> None:
        sentence = expected(f"an answer within {self.limits.timeout_s:g} s", "none yet", "again later")
        while True:
            old = time.monotonic() - self.limits.timeout_s
            while self._waiting and (self._waiting[0].future.done() or self._waiting[0].born_s < old):
                future = self._waiting.popleft().future
                if not future.done():
                    future.set_exception(Refusal(504, sentence, reason="timeout"))
            await asyncio.sleep(LOOK_S)


def send(protocol: Any, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    """Answer, where the client is still there."""
    with contextlib.suppress(RuntimeError):  # Granian's, for a connection that has gone
        protocol.response_bytes(status, headers, body)


async def bounded(protocol: Any, most: int) -> bytes:
    """A body of unknown or too great a length: read to its end, and kept up to the limit.

    What is too long is read on, for as long as a request may take, because a client that still sends hears no answer.
    """
    kept, length = bytearray(), 0
    async for chunk in protocol:
        length += len(chunk)
        if length <= most:
            kept += chunk
    if length > most:
        raise Refusal(413, expected(f"a body of at most {most} bytes", f"{length} bytes"), reason="size")
    return bytes(kept)


def problem(status: int, sentence: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """A refusal as an HTTP answer."""
    return status, [JSON], answers.encode(answers.Problem(sentence, status))
