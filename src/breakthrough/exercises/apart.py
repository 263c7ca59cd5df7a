"""A call in a process of its own, with limits: whatever it does ends there.

A mutant may loop for ever inside a library, ask for all memory, or change a module for those after it.
The child is a fork, so that it starts with everything imported; it must not have been computed in before,
because a fork has none of the threads of the process that it is copied from.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from breakthrough.errors import BreakthroughError, expected

PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
TOO_LONG, DIED = "too long", "died"


def call_apart(function: Callable[[], Any], limit_s: float | None = None, memory_bytes: int | None = None) -> Any:
    """What a function returns, as JSON carries it, called in a fork; `TOO_LONG` or `DIED` when it returns nothing.

    Units:  memory_bytes is what the child may take beyond what this process has
    Raises: BreakthroughError with the traceback of what it raised, and on a system that cannot fork
    """
    if not hasattr(os, "fork"):
        raise BreakthroughError(expected("a system that can fork a process", os.name, "Linux, or WSL on Windows"))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(function, writing, memory_bytes)
    os.close(writing)
    try:
        text, ended = _read(reading, None if limit_s is None else time.monotonic() + limit_s)
    finally:
        os.close(reading)
        _end(child)
    if not text:
        return DIED if ended else TOO_LONG
    reply = json.loads(text)
    if "raised" in reply:
        raise BreakthroughError(expected("a call that returns", reply["raised"]))
    return reply["value"]


def _answer(function: Callable[[], Any], writing: int, memory_bytes: int | None) -> None:
    """In the child: compute, write, and leave without what the parent's interpreter would do at its end."""
    try:
        os.setsid()  # with whatever it starts it can be stopped as a group
        _die_with_parent()
        if memory_bytes is not None:
            _limit_memory(memory_bytes)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        _send(writing, {"value": function()})
    except Exception:  # noqa: BLE001 - the parent says what it was
        _send(writing, {"raised": traceback.format_exc()})
    finally:
        os._exit(0)


def _send(writing: int, reply: dict[str, Any]) -> None:
    with os.fdopen(writing, "wb", closefd=False) as pipe:
        pipe.write(json.dumps(reply).encode())


def _die_with_parent() -> None:
    """Ask Linux for a signal when the parent ends; elsewhere a child whose parent was killed runs to its end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_memory(memory_bytes: int) -> None:
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + memory_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(reading: int, until: float | None) -> tuple[bytes, bool]:
    """All that comes until the other end is closed, and whether it was."""
    text = b""
    while select.select([reading], [], [], None if until is None else max(0.0, until - time.monotonic()))[0]:
        more = os.read(reading, 1 << 16)
        if not more:
            return text, True
        text += more
    return b"", False


def _end(child: int) -> None:
    for stop in (os.killpg, os.kill):  # before its setsid the child is no group yet
        try:
            stop(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    os.waitpid(child, 0)
