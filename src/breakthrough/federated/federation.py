"""What is known of a federation of processes: its folder, its SuperLink, its nodes. Kept as JSON, found again by any command.

    state.json            the token that marks the processes, and who they are
    superlink/  nodes/0/  certificates, keys, Flower's own files, log.txt
    nodes/0/keys/         for keys that a protection needs on the node
    flwr/                 how the `flwr` command reaches this SuperLink
    app/  runs/           the app as it was submitted; what each run said
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from breakthrough.errors import BreakthroughError, InputError, expected
from breakthrough.federated import processes
from breakthrough.files import write_text

FOLDER = Path("build/federation")
STATE = "state.json"
CONNECTION = "federation"  # the name under which the `flwr` command knows the SuperLink
ANSWER_S = 120.0
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Node:
    """One SuperNode: its number, its process, the one data file it is told of, whether its key is registered."""

    number: int
    pid: int
    port: int
    data: str
    registered: bool = True


@dataclass(frozen=True)
class Federation:
    """A federation that was started: where it lies, its SuperLink, its nodes."""

    folder: Path
    token: str
    port: int
    pid: int = 0
    nodes: tuple[Node, ...] = ()

    @property
    def superlink(self) -> Path:
        """The folder of the SuperLink."""
        return self.folder / "superlink"

    @property
    def members(self) -> tuple[Node, ...]:
        """The nodes whose keys are registered."""
        return tuple(node for node in self.nodes if node.registered)

    def home(self, number: int) -> Path:
        """The folder of a node."""
        return self.folder / "nodes" / str(number)

    def running(self) -> bool:
        """Whether the SuperLink is there."""
        return bool(self.pid) and processes.alive(self.pid, self.token)

    def environment(self, home: Path) -> dict[str, str]:
        """The environment of one of its processes; what Flower writes goes to `home`."""
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // max(1, len(self.nodes))))
        return processes.environment(self.token, home, OMP_NUM_THREADS=threads)


def keep(federation: Federation) -> None:
    """Write the state, for commands to come."""
    kept = asdict(federation)
    kept.pop("folder")
    write_text(federation.folder / STATE, json.dumps(kept, indent=1))


def read(folder: str | Path = FOLDER) -> Federation | None:
    """The federation whose state lies in a folder, running or not; None when none does.

    Raises: InputError when the state cannot be read
    """
    folder = Path(folder).resolve()
    path = folder / STATE
    if not path.exists():
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        nodes = tuple(Node(**one) for one in kept.pop("nodes"))
        return Federation(folder=folder, nodes=nodes, **kept)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(expected(f"the state of a federation in {path}", repr(error), f"removing {folder}")) from error


def load(folder: str | Path = FOLDER) -> Federation:
    """The federation that was started in a folder, and runs.

    Raises: InputError when there is none, or its SuperLink has ended
    """
    federation = read(folder)
    hint = "breakthrough federate up DIR"
    if federation is None:
        raise InputError(expected(f"a federation in {folder}", "none", hint))
    if not federation.running():
        raise InputError(expected(f"a running federation in {folder}", "one whose SuperLink has ended", hint))
    return federation


def flwr(federation: Federation, *arguments: str) -> dict[str, Any]:
    """Run the `flwr` command on this SuperLink and return what it answers as JSON.

    Raises: BreakthroughError when it fails, with what it said
    """
    command = [processes.program("flwr"), *arguments, "--format", "json"]
    environment = federation.environment(federation.folder / "flwr")
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              start_new_session=True, timeout=ANSWER_S)
    except subprocess.TimeoutExpired as error:
        raise BreakthroughError(expected(f"an answer to flwr {arguments[0]}", f"none in {ANSWER_S:.0f} s", str(federation.superlink / "log.txt"))) from error
    try:
        answer = json.loads(done.stdout[done.stdout.find("{"):])
    except ValueError:
        answer = {}
    if done.returncode or not answer.get("success"):
        said = str(answer.get("error-message") or done.stderr or done.stdout)[-400:]
        raise BreakthroughError(expected(f"an answer to flwr {arguments[0]}", " ".join(plain(said).split()) or f"exit code {done.returncode}"))
    return answer


def asked(federation: Federation, *arguments: str, tries: int = 3) -> dict[str, Any]:
    """`flwr`, for questions: what goes unanswered once on a busy machine is asked again.

    Raises: BreakthroughError when it is never answered
    """
    for left in reversed(range(tries)):
        try:
            return flwr(federation, *arguments)
        except BreakthroughError:
            if not left or not federation.running():
                raise
            time.sleep(1.0)
    raise BreakthroughError(expected("at least one try", tries))


def plain(text: str) -> str:
    """A text without a terminal's colours."""
    return _COLOURS.sub("", text)


def quoted(value: str | int) -> str:
    """A value as Flower's configuration holds it.

    Raises: InputError for a text that it cannot hold
    """
    if isinstance(value, str) and any(one in value for one in "\"\\\n\r"):
        raise InputError(expected("a path without quotes, backslashes and line ends", repr(value), "another folder"))
    return json.dumps(value, ensure_ascii=False)
