"""A call in a process of its own, with limits: whatever it does ends there.

A mutant may loop for ever inside a library, ask for all memory, or change a module for those after it.
The child is a fork, so that it starts with everything imported; it must not have been computed in before,
because a fork has none of the threads of the process that it is copied from.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

from breakthrough.errors import BreakthroughError, expected

MEMORY_BYTES = 6 << 30  # beyond what the process has already
TOO_LONG, DIED = "too long", "died"


def call_apart(function: Callable[[], Any], limit_s: float) -> Any:
    """What a function returns, as JSON carries it, called in a fork; `TOO_LONG` or `DIED` when it returns nothing.

    Raises: BreakthroughError on a system that cannot fork
    """
    if not hasattr(os, "fork"):
        raise BreakthroughError(expected("a system that can fork a process", os.name, "Linux, or WSL on Windows"))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(function, writing)
    os.close(writing)
    try:
        text, ended = _read(reading, time.monotonic() + limit_s)
    finally:
        os.close(reading)
        _end(child)
    if text:
        return json.loads(text)
    return DIED if ended else TOO_LONG


def _answer(function: Callable[[], Any], writing: int) -> None:
    """In the child: compute, write, and leave without what the parent's interpreter would do at its end."""
    try:
        os.setsid()  # with whatever it starts it can be stopped as a group
        _limit_memory()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.write(writing, json.dumps(function()).encode())
    finally:
        os._exit(0)


def _limit_memory() -> None:
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(reading: int, until: float) -> tuple[bytes, bool]:
    """All that comes until the other end is closed, and whether it was."""
    text = b""
    while select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
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
