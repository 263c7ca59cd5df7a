"""The process that students' processes are forked from: it has imported what they need, and nothing else.

It runs in bubblewrap's sandbox, takes its orders over a socket (one JSON text a message), and never runs a
student's code itself. Each student gets a fork in namespaces of its own, with an empty /tmp and limits; how much
memory all of a student's processes have is looked at while they run.
"""

from __future__ import annotations

import array
import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from breakthrough.grading import spaces
from breakthrough.grading.spaces import Caps

MESSAGE = 1 << 16
LOOK_S = 0.05


class Zygote:
    """Orders from one socket; the numbers of students' processes, with what each may use."""

    def __init__(self, orders: socket.socket) -> None:
        self.orders = orders
        self.students: dict[int, Caps] = {}
        self.killed: dict[int, str] = {}

    def serve(self) -> None:
        """Do what is ordered until the other side hangs up."""
        poll = select.poll()
        poll.register(self.orders, select.POLLIN)
        while True:
            if not poll.poll(1000 * LOOK_S if self.students else None):
                self._look()
                continue
            data, passed, _, _ = self.orders.recvmsg(MESSAGE, socket.CMSG_SPACE(4))
            if not data:
                return
            order = json.loads(data)
            numbers = array.array("i")
            for _, _, part in passed:
                numbers.frombytes(part[:4])
            try:
                reply = getattr(self, f"do_{order.pop('do')}")(*numbers, **order)
            except Exception as error:  # noqa: BLE001 - told to the grader
                reply = {"error": f"{type(error).__name__}: {error}"}
            self.orders.send(json.dumps(reply).encode())

    def do_warm(self, modules: list[str]) -> dict[str, Any]:
        """Import what students will."""
        missing = {}
        for name in modules:
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001 - the cell that imports it will say so
                missing[name] = f"{type(error).__name__}: {error}"[:200]
        from breakthrough.grading import student

        student.prepare()
        return {"missing": missing, "threads": len(os.listdir("/proc/self/task"))}

    def do_fork(self, connection: int, caps: dict[str, int], apart: bool = True) -> dict[str, Any]:
        """Fork a student's process that talks over a connection; without namespaces where there is no sandbox."""
        limits = Caps(**caps)

        def main() -> None:
            from breakthrough.grading import student

            student.main(socket.socket(fileno=connection))

        try:
            number = (spaces.fork_apart if apart else spaces.fork_here)(main, limits, {connection})
        finally:
            os.close(connection)
        self.students[number] = limits
        return {"number": number}

    def do_look(self, number: int) -> dict[str, Any]:
        """Why a student's process was ended, now that its memory was looked at once more; empty while it goes on."""
        self._look()
        return {"how": self.killed.get(number, "")}

    def do_end(self, number: int) -> dict[str, Any]:
        """End a student's process and all that it started; how it ended."""
        if self.students.pop(number, None) is None:
            return {"how": "unknown"}
        _kill(number)
        _, status = os.waitpid(number, 0)
        return {"how": self.killed.pop(number, "") or _in_words(status)}

    def _look(self) -> None:
        """End students whose processes have more memory together than they may."""
        used = _memory(self.students)
        for number, caps in self.students.items():
            # forks share most pages with this process: what each has of them is counted only when it may matter
            if used.get(number, 0) > caps.all_memory_bytes and _memory({number: caps}, exactly=True)[number] > caps.all_memory_bytes:
                self.killed[number] = f"more than {caps.all_memory_bytes >> 20} MiB of memory in all"
                _kill(number)


def _kill(number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)  # where it has no namespace, what it started is in its group
    os.kill(number, signal.SIGKILL)


def _memory(students: dict[int, Caps], exactly: bool = False) -> dict[int, int]:
    """Memory of each student's processes, in bytes; with `exactly` what is shared is divided by those who share it."""
    used: dict[int, int] = dict.fromkeys(students, 0)
    own = _space("self")
    spaces_of = {_space(str(number)): number for number in students if Path(f"/proc/{number}/ns").exists()}
    page = os.sysconf("SC_PAGE_SIZE")
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            space = _space(name)  # where there is no sandbox all of the machine's processes are in this one's
            owner = spaces_of.get(space) if space != own else os.getsid(int(name))
            if owner in used:
                used[owner] += _share(name) if exactly else int(Path(f"/proc/{name}/statm").read_text().split()[1]) * page
        except OSError:  # gone meanwhile
            continue
    return used


def _space(name: str) -> int:
    """The number of a process's namespace of processes."""
    return os.stat(f"/proc/{name}/ns/pid").st_ino


def _share(name: str) -> int:
    for line in Path(f"/proc/{name}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return 1024 * int(line.split()[1])
    return 0


def _in_words(status: int) -> str:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return {"SIGKILL": "", "SIGXCPU": "more CPU time than it may use", "SIGSEGV": "a segmentation fault"}.get(name, name)
    return "it ended by itself"


def main() -> None:
    """Serve the socket whose number is the first argument."""
    spaces.control(spaces.SUBREAPER)
    spaces.control(spaces.DUMPABLE, 0)
    Zygote(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
