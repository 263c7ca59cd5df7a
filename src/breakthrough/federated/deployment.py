"""A federation of real processes on this machine: one SuperLink, and a SuperNode for every data file.

All ports are on 127.0.0.1 and speak TLS. A node proves itself with a key that was registered before it came,
and is told of its own data file only. What ends a federation ends every process of it: `down`, Ctrl-C, a failure.

One user runs all of it here. So files are kept apart by what a node is told and not by a machine, and whoever
may use 127.0.0.1 may ask the SuperLink for a run: on real sites machines, a firewall and accounts stand there.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from breakthrough.errors import InputError, expected
from breakthrough.federated import processes, supernodes
from breakthrough.federated.federation import FOLDER, STATE, Federation, keep, quoted, read
from breakthrough.seeds import numpy_generator

OURS = (STATE, "superlink", "nodes", "flwr", "app")  # what `up` makes anew
STAYS = "runs"


def up(data: Sequence[str | Path], folder: str | Path = FOLDER, *, port: int | None = None,
       strangers: Sequence[str | Path] = (), say: Callable[[str], object] = str) -> Federation:
    """Start a SuperLink and a SuperNode for every data file, and wait until all are online.

    Every stranger gets a node whose key nobody registered, and is waited for until it is refused. When
    anything fails, or on Ctrl-C, what was started is ended again.

    Raises: InputError for fewer than two files, a missing one, a taken port, a federation that runs already;
            BreakthroughError when a process does not come up; MissingDependency without Flower
    """
    files = [(file, True) for file in _files(data, least=2)] + [(file, False) for file in _files(strangers)]
    processes.program("flower-superlink")
    folder = Path(folder).resolve()
    quoted(str(folder))
    _refuse_running(folder)
    port = processes.free_port() if port is None else processes.check_port(port)
    _clear(folder, say)
    federation = Federation(folder, secrets.token_hex(16), port)
    keep(federation)  # before the first process: by its token `down` finds them all, whatever happens here
    with ended_on_failure(federation, say):
        federation = supernodes.start_superlink(federation)
        say(f"SuperLink online at 127.0.0.1:{port}: TLS, nodes with registered keys only")
        federation = supernodes.start_nodes(federation, files)
        supernodes.wait_nodes(federation, say)
    return federation


def down(folder: str | Path = FOLDER) -> int:
    """End every process of a federation and of what it started; returns how many. Keys are removed, logs stay.

    Raises: InputError when the state cannot be read; BreakthroughError when a process survives
    """
    federation = read(folder)
    if federation is None:
        return 0
    with _undisturbed():
        ended = processes.end(federation.token)
        for secret in (*federation.folder.rglob("private.pem"), *federation.folder.glob("nodes/*/node.key")):
            secret.unlink(missing_ok=True)
        shutil.rmtree(federation.folder / "app", ignore_errors=True)
        for keys in federation.folder.glob("nodes/*/keys"):
            shutil.rmtree(keys, ignore_errors=True)
        (federation.folder / STATE).unlink(missing_ok=True)
    return ended


def data_files(folder: str | Path, nodes: int | None = None) -> list[Path]:
    """The data files of a folder in the order of their numbers: `node-0.npz`, `node-1.npz`…; only the first `nodes`.

    Files that end in `.test.npz` are a node's own held-out data, beside its file.

    Raises: InputError when there are too few
    """
    folder = Path(folder)
    found = {int(one.stem[5:]): one for one in folder.glob("node-*.npz") if one.stem[5:].isdecimal()}
    if len(found) < 2 or sorted(found) != list(range(len(found))):
        got = ", ".join(found[number].name for number in sorted(found)) or "none"
        raise InputError(expected(f"node-0.npz, node-1.npz… without gaps in {folder}", got))
    if nodes is not None and not 2 <= nodes <= len(found):
        raise InputError(expected(f"2 to {len(found)} nodes", nodes))
    return [found[number] for number in range(nodes or len(found))]


def share_digits(folder: str | Path, nodes: int, alpha: float, seed: int) -> list[str]:
    """Write a file of digits for every node, `test.npz` and a first `plan.json`; returns a line for each node.

    Raises: InputError for a folder that is not empty, or numbers that `partition.dirichlet` refuses
    """
    from breakthrough.federated.digits import digits
    from breakthrough.federated.partition import dirichlet
    from breakthrough.federated.plan import Plan

    folder = Path(folder)
    if nodes < 2:
        raise InputError(expected("2 nodes or more", nodes))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(expected("a new or empty folder", folder, "another one"))
    train, test = digits(seed)
    parts = dirichlet(train.y, nodes, alpha, numpy_generator(seed, "split"))
    lines = []
    for number, chosen in enumerate(parts.parts):
        part = train.take(chosen)
        part.save(folder / f"node-{number}.npz")
        counts = " ".join(f"{(part.y == label).sum():3d}" for label in range(10))
        lines.append(f"node {number}: {len(part):4d} digits; of 0 to 9: {counts}")
    test.save(folder / "test.npz")
    Plan(rounds=3, timeout_s=60.0).save(folder / "plan.json")
    return lines


@contextlib.contextmanager
def ended_on_failure(federation: Federation, say: Callable[[str], object] = str) -> Iterator[None]:
    """End the federation when the block raises, Ctrl-C included."""
    try:
        yield
    except BaseException:
        say(f"{down(federation.folder)} processes ended")
        raise


@contextlib.contextmanager
def ended_on_interrupt(federation: Federation, say: Callable[[str], object] = str) -> Iterator[None]:
    """End the federation on Ctrl-C, a request to terminate or a terminal that closes."""
    with processes.interrupts():
        try:
            yield
        except KeyboardInterrupt:
            say(f"interrupted: {down(federation.folder)} processes ended")
            raise


def _files(data: Sequence[str | Path], least: int = 0) -> list[Path]:
    files = [Path(one).resolve() for one in data]
    if len(files) < least:
        raise InputError(expected(f"data files for {least} nodes or more", len(files)))
    for file in files:
        if not file.is_file():
            raise InputError(expected("a data file for every node", f"{file}, which is not there"))
        quoted(str(file))
    return files


def _refuse_running(folder: Path) -> None:
    left = read(folder)
    if left is None:
        if folder.exists() and (not folder.is_dir() or {one.name for one in folder.iterdir()} - {*OURS, STAYS}):
            raise InputError(expected("a new or empty folder, or one of a federation", folder, "another folder"))
    elif running := processes.marked(left.token):
        raise InputError(expected(f"no running federation in {folder}", f"one of {len(running)} processes", "breakthrough federate down"))


def _clear(folder: Path, say: Callable[[str], object]) -> None:
    if (folder / STATE).exists():
        say(f"{folder}: a federation was here that ended without `down`; starting anew")
    for name in OURS:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not leave half of the processes behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *processes.REQUESTS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
