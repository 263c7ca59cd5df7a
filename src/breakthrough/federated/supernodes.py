"""The processes of a federation: the SuperLink and the SuperNodes, how they are started, and how they are."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from breakthrough.errors import BreakthroughError, expected
from breakthrough.federated import certificates, processes
from breakthrough.federated.federation import CONNECTION, Federation, Node, flwr, keep, plain, quoted

START_S = 120.0  # interpreters that import Flower, on few and busy cores
AT_ONCE = 4  # nodes that are started side by side
ONLINE, STARTING, REFUSED, LEFT, FAILED, LOST = "online", "starting", "refused", "left", "failed", "lost"
_ID = re.compile(r"SuperNode ID: (\d+)")
_ENDED = re.compile(r"Exit Code: (\d+)\s+(.*?)(?:\n\s*\n|\Z)", re.DOTALL)
_REASON = re.compile(r"\[code: \d+\]\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Seen:
    """How a node is, from outside: online, starting, refused, left (it was asked to), failed or lost; and why."""

    node: Node
    status: str
    reason: str = ""


def start_superlink(federation: Federation) -> Federation:
    """Start the SuperLink and wait until it answers over TLS.

    Raises: BreakthroughError when it does not
    """
    home = federation.superlink
    tls = certificates.write_tls(home, "SuperLink")
    _write_connection(federation, tls.authority)
    command = [
        processes.program("flower-superlink"), *_serving(tls), "--enable-supernode-auth", "--disable-runtime-dependency-installation",
        "--host", certificates.HOST, "--port", str(federation.port),
    ]
    child = processes.start(command, home / "log.txt", federation.environment(home / "flwr"))
    started = replace(federation, pid=_watched(child))
    keep(started)
    deadline = time.monotonic() + START_S
    while not _answers(federation.port, tls.authority):
        if not started.running() or time.monotonic() > deadline:
            raise BreakthroughError(expected("a SuperLink that answers", _last_words(home / "log.txt"), str(home / "log.txt")))
        time.sleep(0.1)
    return started


def start_nodes(federation: Federation, files: Iterable[tuple[Path, bool]]) -> Federation:
    """Start a SuperNode for every data file, some at a time; `False` beside a file leaves its key unregistered.

    Raises: BreakthroughError when a key is not registered
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = [pool.submit(start_node, federation, number, data, register=known) for number, (data, known) in enumerate(files)]
        started = replace(federation, nodes=tuple(one.result() for one in begun))
    keep(started)
    return started


def start_node(federation: Federation, number: int, data: Path, *, register: bool = True, tls: bool = True) -> Node:
    """Start one SuperNode with a key of its own; without `tls` it speaks in plain and shows no key.

    Raises: InputError for a path that Flower's configuration cannot hold; BreakthroughError when it is not registered
    """
    home, port = federation.home(number), processes.free_port()
    key, serving = certificates.write_node_key(home), certificates.write_tls(home / "runtime", f"node {number}")
    (home / "keys").mkdir(mode=0o700, exist_ok=True)
    if register and tls:
        flwr(federation, "supernode", "register", str(key.public), CONNECTION)
    told: dict[str, str | int] = {"data": str(data), "keys": str(home / "keys"), "partition-id": number}
    proof = ["--root-certificates", str(federation.superlink / "authority.pem"), "--auth-supernode-private-key", str(key.private)]
    command = [
        processes.program("flower-supernode"), "--superlink", f"{certificates.HOST}:{federation.port}", *(proof if tls else ["--insecure", "--max-retries", "1"]),
        "--node-config", " ".join(f"{name}={quoted(value)}" for name, value in told.items()),
        "--host", certificates.HOST, "--port", str(port), *_serving(serving),
    ]
    child = processes.start(command, home / "log.txt", federation.environment(home / "flwr"))
    return Node(number, _watched(child), port, str(data), register and tls)


def wait_nodes(federation: Federation, say: Callable[[str], object]) -> None:
    """Wait until every registered node is online and every other one is refused.

    Raises: BreakthroughError when a node is not, with its last words
    """
    deadline, said = time.monotonic() + START_S, set()
    while True:
        seen = look(federation)
        for one in seen:
            if one.status != STARTING and one.node not in said:
                said.add(one.node)
                say(line(one))
            wanted = ONLINE if one.node.registered else REFUSED
            if one.status not in (STARTING, wanted) or time.monotonic() > deadline:
                log = federation.home(one.node.number) / "log.txt"
                raise BreakthroughError(expected(f"node {one.node.number} {wanted}", f"{one.status}: {one.reason or _last_words(log)}", str(log)))
        if len(said) == len(seen):
            return
        time.sleep(0.2)


def look(federation: Federation) -> list[Seen]:
    """How every node is, from its process and its log."""
    return [look_at(federation, node) for node in federation.nodes]


def look_at(federation: Federation, node: Node) -> Seen:
    """How one node is."""
    runs = processes.alive(node.pid, federation.token)  # asked before its log is read: what it said last is in there
    log = _read(federation.home(node.number) / "log.txt")
    joined = bool(_ID.search(log))
    if runs:
        return Seen(node, ONLINE if joined else STARTING)
    if "SuperNode terminated gracefully" in log:
        return Seen(node, LEFT, "it was asked to end")
    if joined:  # the log may hold errors of apps that it started: they are not its own end
        return Seen(node, LOST, "its process was killed")
    ended = _ENDED.search(log)
    if ended and (said := _REASON.search(ended.group(2))):
        return Seen(node, REFUSED, " ".join(said.group(1).split()))
    return Seen(node, FAILED, " ".join(ended.group(2).split())[:300] if ended else "its process ended before it was online")


def line(seen: Seen) -> str:
    """One node in one line."""
    reason = f": {seen.reason}" if seen.reason else ""
    return f"node {seen.node.number}  {seen.status:8}  {Path(seen.node.data).name}{reason}"


def answers(federation: Federation, run: str) -> dict[int, int]:
    """How many messages of a run each registered node has answered, from the nodes' own logs."""
    counted = {}
    for node in federation.members:
        parts = re.split(r"\[RUN (\d+)[^\]]*\]", _read(federation.home(node.number) / "log.txt"))
        counted[node.number] = sum("Sent successfully" in said for number, said in zip(parts[1::2], parts[2::2]) if number == run)
    return counted


def _write_connection(federation: Federation, authority: Path) -> None:
    folder = federation.folder / "flwr"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(
        f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\n'
        f'address = "{certificates.HOST}:{federation.port}"\nroot-certificates = {quoted(str(authority))}\n',
        encoding="utf-8",
    )


def _serving(tls: certificates.Tls) -> list[str]:
    return ["--ssl-certfile", str(tls.certificate), "--ssl-keyfile", str(tls.key), "--ssl-ca-certfile", str(tls.authority)]


def _answers(port: int, authority: Path) -> bool:
    """Whether a server that the authority vouches for listens on a port."""
    context = ssl.create_default_context(cafile=str(authority))
    try:
        with socket.create_connection((certificates.HOST, port), timeout=2) as plain, context.wrap_socket(plain, server_hostname=certificates.HOST):
            return True
    except OSError:
        return False


def _watched(child: subprocess.Popen[bytes]) -> int:
    """Take note of a child's end when it comes, so that it is no zombie as long as this process lives."""
    threading.Thread(target=child.wait, daemon=True).start()
    return child.pid


def _last_words(log: Path) -> str:
    lines = [one.strip() for one in _read(log).splitlines() if one.strip()]
    wrong = [one for one in lines if "rror" in one]
    return (wrong or lines or ["nothing said"])[-1][:300]


def _read(log: Path) -> str:
    try:
        return plain(log.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return ""
