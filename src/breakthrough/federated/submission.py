"""A run on a federation of processes: the apps are submitted to the SuperLink and followed to the end.

The apps are named, not sent: `breakthrough.federated.apps` is installed on every node, so what travels is
one pyproject.toml. A node that dies is told at once here, because its process is on this machine. The SuperLink
knows it after two heartbeats of 30 s each: until then messages to it stay pending, a round waits for them up
to the plan's timeout_s, and then they turn into errors ("Node Unavailable") and the node is no longer asked.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from breakthrough.errors import BreakthroughError, InputError, expected
from breakthrough.federated import processes, supernodes
from breakthrough.federated.federation import CONNECTION, Federation, asked, flwr, plain, quoted
from breakthrough.language import counted

APPS = "breakthrough.federated.apps"  # a module with a ClientApp `client` and a ServerApp `server`
GRACE_S = 10.0  # for a run whose last round is over when its nodes go
POLL_S = 0.5
COMPLETED, STOPPED = "completed", "stopped"
_TOLD = ("[ROUND", "aggregate_", "Received error", "Waiting for nodes", "Exit Code")  # of Flower's own lines


@dataclass(frozen=True)
class Outcome:
    """How a run ended: completed, failed or stopped; who answered how many messages, who was lost and why.

    Units:  duration_s from the submission to the last line
    """

    run: str
    status: str
    duration_s: float
    answered: dict[int, int]
    lost: dict[int, str]
    log: Path
    reason: str = ""

    @property
    def completed(self) -> bool:
        """Whether the ServerApp came to its end."""
        return self.status == COMPLETED

    def summary(self) -> str:
        """One line: how it ended, after how long, with how many nodes."""
        with_whom = f"{len(self.answered) - len(self.lost)} of {counted(len(self.answered), 'node')}"
        lost = f"; lost: {', '.join(f'node {number} ({why})' for number, why in self.lost.items())}" if self.lost else ""
        return f"run {self.run} {self.status} in {self.duration_s:.1f} s with {with_whom}{lost}" + (f": {self.reason}" if self.reason else "")


def run(
    federation: Federation,
    plan: str | Path,
    out: str | Path,
    *,
    apps: str = APPS,
    settings: Mapping[str, str] | None = None,
    say: Callable[[str], object] = str,
) -> Outcome:
    """Run the apps on a federation with the plan in a JSON file, and follow them to the end.

    The ServerApp is told the plan's path, `out` as its folder, the number of nodes online, and the settings.
    A node that is lost is said; when fewer are left than the plan's `least`, the run, which might wait for
    ever, is stopped.

    Raises: InputError for a plan that is none, or with too few nodes online for it;
            BreakthroughError when Flower refuses the apps or the SuperLink is lost
    """
    plan, out = Path(plan).resolve(), Path(out).resolve()
    least = _least(plan)
    lost = _lost(federation)
    if len(federation.members) - len(lost) < least:
        got = f"{len(federation.members) - len(lost)} of {len(federation.members)}"
        raise InputError(expected(f"{least} nodes online, the least of the plan", got, "breakthrough federate down, then up"))
    for node, why in lost.items():
        say(f"node {node} is not there: {why}")
    out.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    told: dict[str, str | int] = {"plan": str(plan), "folder": str(out), "nodes": len(federation.members) - len(lost), **(settings or {})}
    number = str(flwr(federation, "run", str(write_app(federation, apps, told)), CONNECTION)["run-id"])
    say(f"run {number} started: {plan.name}, {counted(len(federation.members) - len(lost), 'node')}, at least {least}")
    log = federation.folder / "runs" / f"{number}.log"
    reason = _follow(federation, number, log, least, lost, say)
    status = STOPPED if reason else _status(federation, number)
    reason = reason or ("" if status == COMPLETED else _why(log))
    return Outcome(number, status, time.monotonic() - begin, supernodes.answers(federation, number), lost, log, reason)


def _follow(federation: Federation, number: str, log: Path, least: int, lost: dict[int, str], say: Callable[[str], object]) -> str:
    """Say what happens until the run is over; returns why it was stopped, if it was."""
    short_since = None
    for line in _lines(federation, number, log):
        if shown := told(line):
            say(shown)
        for node, why in _lost(federation).items():
            if node not in lost:
                lost[node] = why
                say(f"node {node} lost: {why}; {len(federation.members) - len(lost)} of {counted(len(federation.members), 'node')} left")
        if len(federation.members) - len(lost) >= least:
            continue
        short_since = short_since or time.monotonic()
        if time.monotonic() - short_since > GRACE_S:
            try:
                flwr(federation, "stop", number, CONNECTION)
            except BreakthroughError:  # it has ended meanwhile: its log is read to the end
                continue
            return f"{counted(len(federation.members) - len(lost), 'node')} left, and the plan needs {least}"
    return ""


def _lines(federation: Federation, number: str, log: Path) -> Iterator[str]:
    """The lines of a run's log as they come, and "" from time to time, until the run has finished."""
    seen = 0
    while True:
        log.unlink(missing_ok=True)  # a stream begins with the first line
        child = processes.start([processes.program("flwr"), "log", number, CONNECTION, "--stream"], log, federation.environment(federation.folder / "flwr"))
        try:
            ended = False
            while not ended:
                ended = child.poll() is not None  # asked before the last read: nothing is missed
                text = plain(log.read_text(encoding="utf-8", errors="replace"))
                whole = text.splitlines() if ended else text.splitlines()[: text.count("\n")]
                yield from (one.rstrip() for one in whole[seen:])
                seen = max(seen, len(whole))
                yield ""
                if not ended:
                    _wait(child)
        finally:
            child.kill()
            child.wait()
        if not federation.running():
            raise BreakthroughError(expected("a SuperLink until the end of the run", "none: its process ended", str(federation.superlink / "log.txt")))
        if _status(federation, number) not in ("pending", "starting", "running"):
            return
        time.sleep(POLL_S)


def _wait(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(timeout=POLL_S)
    except subprocess.TimeoutExpired:
        return


def told(line: str) -> str:
    """What of a line to say: the ServerApp's own, and those of Flower that tell of rounds and failures."""
    level, colon, rest = line.partition(":")
    if colon and level.strip() in ("INFO", "WARNING", "ERROR", "DEBUG"):
        wanted = level.strip() == "ERROR" or any(one in rest for one in _TOLD)
        return rest.strip(" \t│├└─>") if wanted else ""
    return "" if line.startswith(("Successfully installed", "Using SuperLink", "╭", "│", "╰")) else line.strip()


def _lost(federation: Federation) -> dict[int, str]:
    gone = [node for node in federation.members if not processes.alive(node.pid, federation.token)]
    if not gone:
        return {}
    return {one.node.number: one.reason or one.status for one in supernodes.look(federation) if one.node in gone}


def _status(federation: Federation, number: str) -> str:
    runs = asked(federation, "list", CONNECTION, "--run-id", number)["runs"]
    return str(runs[0]["status"]).rpartition(":")[2]


def _why(log: Path) -> str:
    """The last error that a run's log tells."""
    lines = [one.strip() for one in plain(log.read_text(encoding="utf-8", errors="replace")).splitlines() if "Error" in one]
    return lines[-1] if lines else f"see {log}"


def _least(plan: Path) -> int:
    try:
        read = json.loads(plan.read_text(encoding="utf-8"))
        return int(read.get("least", 2))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(expected(f"a plan in JSON in {plan}", repr(error))) from error


def write_app(federation: Federation, apps: str, settings: Mapping[str, str | int]) -> Path:
    """The app that Flower is given: it names the apps, and where the plan and the results lie."""
    folder = federation.folder / "app"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "federation"\nversion = "1.0.0"\ndescription = "Apps of Breakthrough"\nlicense = "Apache-2.0"\ndependencies = []\n\n'
        '[tool.flwr.app]\npublisher = "breakthrough"\n\n'
        f"[tool.flwr.app.components]\nserverapp = {quoted(apps + ':server')}\nclientapp = {quoted(apps + ':client')}\n\n"
        "[tool.flwr.app.config]\n" + "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items()),
        encoding="utf-8",
    )
    return folder
