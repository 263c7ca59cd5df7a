"""Processes that belong together: each carries a mark in its environment, and so does whatever it starts.

Flower's processes start others, some in sessions of their own, so neither a list of pids nor a process
group holds them all. The mark does, whoever started them and whoever is their parent by now.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from breakthrough.errors import BreakthroughError, InputError, expected
from breakthrough.federated.flower import QUIET
from breakthrough.optional import require

MARK = "BREAKTHROUGH_FEDERATION"
HOST = "127.0.0.1"
REQUESTS = (signal.SIGTERM, signal.SIGHUP)  # to end: from another process, or because the terminal closes
KILLED_S = 20.0  # a killed process is gone by then, unless the machine holds it


def program(name: str) -> str:
    """The path of a program that a package brought: beside this Python.

    Raises: MissingDependency when Flower is not installed; BreakthroughError when its programs are elsewhere
    """
    path = Path(sys.executable).parent / name
    if not path.exists():
        require("flwr", "federated learning in processes of its own")
        raise BreakthroughError(expected(f"the program {name} beside {sys.executable}", "none", "pip install --force-reinstall flwr"))
    return str(path)


def start(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process of its own session, so that no Ctrl-C of a terminal reaches it; what it says goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(environment), start_new_session=True)


def alive(pid: int, token: str) -> bool:
    """Whether a process runs and carries the mark: a pid is given out again after its process has ended."""
    try:
        return _marked(psutil.Process(pid), token)
    except psutil.NoSuchProcess:
        return False


def marked(token: str) -> list[psutil.Process]:
    """All other processes of this machine that carry the mark, and run."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _marked(process, token)]


def end(token: str, patience_s: float = 6.0) -> int:
    """End every process that carries the mark: asked first, killed when it stays. Returns how many there were.

    Raises: BreakthroughError when one survives
    """
    asked: set[int] = set()
    deadline = time.monotonic() + patience_s
    while left := marked(token):  # again and again: what is asked to end may still start something
        late = time.monotonic() > deadline
        if time.monotonic() > deadline + KILLED_S:
            raise BreakthroughError(expected("every process ended", f"{[one.pid for one in left]} still there"))
        for one in left:
            if late or one.pid not in asked:  # asked once: a second signal would cut the clean-up short
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGKILL if late else signal.SIGTERM)
        asked |= {one.pid for one in left}
        psutil.wait_procs(left, timeout=0.2)
    return len(asked)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def check_port(port: int) -> int:
    """The port, when it can be listened on.

    Raises: InputError when it is taken, or is none
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closed connection holds no port
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise InputError(expected("a free port", f"{port} ({error})", "without --port: one is chosen")) from error
    return port


def environment(token: str, home: Path, **more: str) -> dict[str, str]:
    """The environment of a marked process: Flower quiet, its files in `home`, this package importable."""
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    programs = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]  # Flower starts its own programs by name
    return {
        **os.environ,
        "PATH": os.pathsep.join(filter(None, programs)),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
        "FLWR_HOME": str(home),
        **QUIET,
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        MARK: token,
        **more,
    }


@contextlib.contextmanager
def interrupts() -> Iterator[None]:
    """Take a request to terminate, or a terminal that closes, as Ctrl-C: what was started is then ended."""
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in REQUESTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _marked(process: psutil.Process, token: str) -> bool:
    try:
        return process.environ().get(MARK) == token and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):  # another user's, or gone meanwhile
        return False
