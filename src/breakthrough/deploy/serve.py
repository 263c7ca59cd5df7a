"""Serve a compiled model over HTTP: `serve(folder, …)` until it is told to end.

One process: Granian's HTTP server, written in Rust, on threads of its own; an event loop that reads requests; model threads
that compute batches outside Python's lock. No process can be orphaned, and nothing is copied between processes.

Why Granian: an inspector of 0.15 ms leaves no room for an engine that takes longer than the net. Answers a second on two
cores, wrk as the client on the same two, 48 KB of floats a request, the net in ONNX Runtime (0.149 ms alone, 0.126 ms a
picture in a batch of 32), 3 s each; p99 in ms. Batches of up to 32, and without:

    engine                      1 client       64 clients       64 clients without
    Granian RSGI + batching     3336           6322, p99  15    4452, p99  28
    mosec, wait of 1 ms          369           5007, p99  32    3266, p99  41
    mosec, its default of 10 ms   86           5733, p99  14    3500, p99  26
    Granian ASGI + batching     1847           4177, p99  31    1794, p99  41
    uvicorn + batching          1276           2268, p99  50    1439, p99  65
    LitServe                     859           1029, p99  86    1618, p99 116
    Ray Serve                    157            400, p99 283     374, p99 317

One run each, on a machine that others used too: differences below a third say nothing. Mosec's batcher waits for company
always; it shows no page and knows no readiness. LitServe (fed JSON) left workers behind when it was killed. Ray Serve is made for
many machines. What Granian does not have is batching: `batching` is that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from breakthrough.deploy import runtime
from breakthrough.deploy.capacity import Limits
from breakthrough.errors import ArtifactError, InputError, expected
from breakthrough.optional import require

HOST, PORT = "127.0.0.1", 8080
PACKAGES = {"granian": "the HTTP server", "msgspec": "typed answers", "prometheus_client": "metrics", "PIL": "pictures as PNG and JPEG"}
Say = Callable[[str], None]


def serve(folder: Path, limits: Limits, *, host: str = HOST, port: int = PORT, follow_stdin: bool = False, say: Say = print) -> int:
    """Serve the compiled model in a folder; returns 0 when every request that was in has been answered.

    Raises: ArtifactError for a folder without a compiled inspector; InputError for a port that is taken;
            MissingDependency
    """
    about = describe(folder)
    return run(lambda: runtime.Engine(folder), about, limits, host=host, port=port, follow_stdin=follow_stdin, say=say)


def run(load: Callable[[], Any], about: dict[str, Any], limits: Limits, *, host: str = HOST, port: int = PORT, follow_stdin: bool = False, say: Say = print) -> int:
    """Serve any model of the form of an Engine."""
    for name, purpose in PACKAGES.items():
        require(name, purpose)
    from breakthrough.deploy.service import Service

    port = free_port(host, port)
    service = Service(load, about, limits)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(service, host, port, follow_stdin, say))


def describe(folder: Path) -> dict[str, Any]:
    """What is said of a compiled inspector: classes, shape of the input, batch sizes, where it comes from.

    Raises: ArtifactError when the folder holds no compiled model, or one that takes no pictures
    """
    manifest = runtime.verified(folder)
    inputs, outputs = manifest["inputs"][0], manifest["outputs"]
    shape = inputs["shape"][1:]
    if len(shape) != 3 or shape[0] != 3 or inputs["dtype"] != "float32":
        got = f"one of {manifest['source']} with input {inputs['dtype']} (B, {', '.join(map(str, shape))})"
        raise ArtifactError(expected(f"a compiled net that takes pictures (B, 3, H, W) in {folder}", got, "a compiled inspector"))
    count = outputs[0]["shape"][1]
    classes = manifest.get("about", {}).get("classes") or [f"class {k}" for k in range(count)]
    sizes = sorted(size for size in manifest["functions"].values() if size)
    names = {name: manifest[name] for name in ("source", "source_sha256", "pipeline")}
    return {"classes": list(classes), "input_shape": list(shape), "batches": sizes, "target": manifest["target"]["name"], **names}


def free_port(host: str, port: int) -> int:
    """The port, once it is known that nobody listens there; 0 chooses a free one.

    Raises: InputError when it is taken, or the address is not of this machine
    """
    try:
        with socket.create_server((host, port)) as taken:
            return taken.getsockname()[1]
    except (OSError, OverflowError) as error:
        raise InputError(expected(f"a free port to listen at on {host}", f"{port}: {error}", "another --port; 0 finds a free one")) from None


async def _serve(service: Any, host: str, port: int, follow_stdin: bool, say: Say) -> int:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    loop, end = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    if follow_stdin:
        loop.add_reader(sys.stdin.fileno(), _at_end, loop, end)
    server = Server(service, host, port, interface=Interfaces.RSGI, websockets=False, log_enabled=False, backlog=1024, backpressure=4 * service.limits.open + 256)
    service.start(loop)
    listening = loop.create_task(server.serve())
    try:
        await _until_ready(service, host, port, end)
        if not end.is_set():
            say(f"ready: http://{host}:{port}/ (schema at /docs, metrics at /metrics; Ctrl-C ends)")
        await end.wait()
        return await _drain(service, end, say)
    finally:
        server.stop()
        await asyncio.wait([listening], timeout=2)


async def _until_ready(service: Any, host: str, port: int, end: asyncio.Event) -> None:
    while not (service.ready and await _listens(host, port)) and not end.is_set():
        if service.failure is not None:
            raise service.failure
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), 0.02)


async def _listens(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def _drain(service: Any, end: asyncio.Event, say: Say) -> int:
    """Answer what is in; a second signal ends at once."""
    end.clear()
    say(f"shutting down: {service.open} requests to answer")
    drained = asyncio.create_task(service.drain(service.limits.timeout_s + 1))
    await asyncio.wait([drained, asyncio.create_task(end.wait())], return_when=asyncio.FIRST_COMPLETED)
    return 0 if drained.done() and drained.result() else 1


def _at_end(loop: asyncio.AbstractEventLoop, end: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        loop.remove_reader(sys.stdin.fileno())
        end.set()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's event loop where it is installed: twice as fast as Python's."""
    try:
        from uvloop import new_event_loop
    except ModuleNotFoundError:
        return asyncio.new_event_loop
    return new_event_loop
