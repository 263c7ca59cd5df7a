"""Load on an HTTP service, from a process of its own: every request is counted, none is left out.

Closed loop: so many clients, each with one connection that is kept; it sends its next request when the last is answered.
Open loop: requests come at times that do not ask how the service is, and wait for a free client of the bounded number;
latency counts from the time they should have been sent, so that a service that stalls is not spared.

A request ends as answered (200), refused (429, 503), failed (another status) or lost (no whole response).
The generator itself is far from the bottleneck: `limit` measures it, on a service that does nothing (67,000 requests a second
on two busy Zen 5 cores).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from breakthrough.errors import BreakthroughError, ConfigError, expected

REFUSED = (429, 503)
AGAIN_S = 0.01  # before a connection that broke is made anew


@dataclass(frozen=True)
class Load:
    """What is sent.

    Units:  seconds of sending; rate requests a second, None for a closed loop; limit_s until a request is lost
    Raises: ConfigError for numbers that are no load
    """

    url: str
    body: Path
    content_type: str = "application/octet-stream"
    clients: int = 8
    seconds: float = 2.0
    rate: float | None = None
    seed: int = 0
    limit_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what is no bounded load."""
        if self.clients < 1 or not 0 < self.seconds <= 600 or (self.rate is not None and self.rate <= 0):
            got = f"{self.clients} clients, {self.seconds} s, rate {self.rate}"
            raise ConfigError(expected("at least 1 client, up to 600 s and a rate above 0", got))


@dataclass(frozen=True)
class Outcome:
    """What became of the requests: sent = answered + refused + failed + lost.

    Units:  percentiles in ms, of the answered; throughput answered a second; cpu_ms of the service for each of the answered,
            where it was measured
    """

    clients: int
    sent: int
    answered: int
    refused: int
    failed: int
    lost: int
    throughput: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    statuses: Mapping[str, int] = field(default_factory=dict)
    cpu_ms: float = math.nan

    def __str__(self) -> str:
        times = f"p50 {self.p50_ms:.2f}, p90 {self.p90_ms:.2f}, p99 {self.p99_ms:.2f} ms"
        ends = f"{self.sent} sent: {self.answered} answered, {self.refused} refused, {self.failed} failed, {self.lost} lost"
        return f"{self.clients:3} clients: {self.throughput:7.0f} a second, {times}; {ends}"


def generate(load: Load) -> Outcome:
    """Put a load on a service, from another process.

    Raises: BreakthroughError when that process fails
    """
    given = json.dumps({**asdict(load), "body": str(load.body)})
    done = subprocess.run([sys.executable, "-m", __name__, given], capture_output=True, text=True, timeout=load.seconds + load.limit_s + 30)
    if done.returncode:
        raise BreakthroughError(expected("the load generator to finish", done.stderr.strip()[-500:]))
    return Outcome(**json.loads(done.stdout))


def limit(seconds: float = 1.0, clients: int = 8) -> Outcome:
    """How much the generator itself manages, on a service that does nothing but answer."""
    code = f"from {__name__} import _idle; _idle()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    try:
        port = process.stdout.readline().strip() if process.stdout else ""
        return generate(Load(f"http://127.0.0.1:{port}/", Path(__file__), clients=clients, seconds=seconds))
    finally:
        process.kill()
        process.communicate()


class _Sending:
    """One load under way."""

    def __init__(self, load: Load, loop: asyncio.AbstractEventLoop) -> None:
        self.load, self.loop = load, loop
        parts = urlsplit(load.url)
        body = load.body.read_bytes()
        head = f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {load.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.request = head.encode() + body
        self.address = parts.hostname or "", parts.port or 80
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.sent = self.lost = self.busy = 0
        self.free: deque[_Client] = deque()
        self.due: deque[float] = deque()  # times of requests that found no free client
        self.over = False
        self.last_s = 0.0

    def next(self, client: _Client) -> None:
        """Give a client that is free its next request, where there is one."""
        if self.load.rate is not None:
            client.send(self.due.popleft()) if self.due else self.free.append(client)
        elif not self.over:
            client.send(time.perf_counter())

    def arrive(self) -> None:
        """One request of an open loop."""
        now = time.perf_counter()
        if self.free:
            self.free.popleft().send(now)
        else:
            self.due.append(now)

    def done(self, status: int, since_s: float) -> None:
        """Count an answer."""
        self.last_s = time.perf_counter()
        self.statuses[str(status)] += 1
        if status == 200:
            self.latencies.append(self.last_s - since_s)

    async def run(self) -> Outcome:
        """Send for the given time, then wait for what is under way."""
        began_s = time.perf_counter()
        await asyncio.gather(*(self.connect() for _ in range(self.load.clients)))
        began_s = time.perf_counter() if self.load.rate is not None else began_s
        await self._last_for(began_s)
        self.over = True
        until = time.perf_counter() + self.load.limit_s
        while (self.busy or self.due) and time.perf_counter() < until:
            await asyncio.sleep(0.005)
        unsent = len(self.due)
        self.lost += self.busy + unsent
        return self._outcome(max(self.last_s - began_s, 1e-9), unsent)

    async def _last_for(self, began_s: float) -> None:
        draw, at, end = random.Random(self.load.seed), began_s, began_s + self.load.seconds
        if self.load.rate is None:
            await asyncio.sleep(self.load.seconds)
        while self.load.rate is not None and (at := at + draw.expovariate(self.load.rate)) < end:
            wait_s = at - time.perf_counter()
            if wait_s > 0.001:  # below that the loop is as late as the wait is long
                await asyncio.sleep(wait_s)
            self.arrive()

    async def connect(self) -> None:
        """A client's connection."""
        try:
            await self.loop.create_connection(lambda: _Client(self), *self.address)
        except OSError:
            self.sent, self.lost = self.sent + 1, self.lost + 1
            self.reconnect()

    def reconnect(self) -> None:
        """A new connection, a moment later."""
        if not self.over or self.due:
            self.loop.call_later(AGAIN_S, lambda: self.loop.create_task(self.connect()))

    def _outcome(self, seconds: float, unsent: int) -> Outcome:
        answered, refused = self.statuses["200"], sum(self.statuses[str(s)] for s in REFUSED)
        failed = sum(self.statuses.values()) - answered - refused
        p50, p90, p99 = (1000 * np.percentile(self.latencies, (50, 90, 99))).round(4).tolist() if self.latencies else (0.0, 0.0, 0.0)
        return Outcome(self.load.clients, self.sent + unsent, answered, refused, failed, self.lost, answered / seconds, p50, p90, p99, dict(self.statuses))


class _Client(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, sending: _Sending) -> None:
        self.sending, self.buffer, self.since_s = sending, b"", 0.0
        self.whole: int | None = None  # the length of the response, once its head is there
        self.waits = False

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self.transport = transport
        self.sending.next(self)

    def send(self, since_s: float) -> None:
        """Send a request that should have been sent at a time."""
        self.since_s, self.waits = since_s, True
        self.sending.sent += 1
        self.sending.busy += 1
        self.transport.write(self.sending.request)

    def data_received(self, data: bytes) -> None:
        """Read on, to the end of a response."""
        self.buffer += data
        if self.whole is None and (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            self.whole = end + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            self.closes = b"connection: close" in head
        if self.whole is None or len(self.buffer) < self.whole:
            return
        status, self.buffer, self.whole, self.waits = int(self.buffer[9:12]), b"", None, False
        self.sending.busy -= 1
        self.sending.done(status, self.since_s)
        self.transport.close() if self.closes else self.sending.next(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Count what was not answered, and connect anew."""
        if self.waits:
            self.sending.busy -= 1
            self.sending.lost += 1
        if self in self.sending.free:
            self.sending.free.remove(self)
        self.sending.reconnect()


class _Answering(asyncio.Protocol):
    """A service that answers at once: what is measured on it is the generator."""

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self.transport, self.left = transport, 0

    def data_received(self, data: bytes) -> None:
        """Answer when a request is whole."""
        if not self.left:
            head, _, rest = data.partition(b"\r\n\r\n")
            self.left = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            data = rest
        self.left -= len(data)
        if not self.left:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")


def _runner() -> asyncio.Runner:
    try:
        from uvloop import new_event_loop
    except ModuleNotFoundError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=new_event_loop)


def _idle() -> None:
    async def answer() -> None:
        server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # ends with its parent

    with _runner() as runner:
        runner.run(answer())


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load", help="a Load as JSON")
    given = json.loads(parser.parse_args().load)
    load = Load(**{**given, "body": Path(given["body"])})

    async def run() -> Outcome:
        return await _Sending(load, asyncio.get_running_loop()).run()

    with _runner() as runner:
        print(json.dumps(asdict(runner.run(run()))))


if __name__ == "__main__":
    _main()
