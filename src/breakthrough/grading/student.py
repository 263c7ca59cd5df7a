"""Inside the sandbox: run a student's cells, and answer calls with plain data. Nothing here knows a test or a seed."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

from breakthrough.grading.frames import Limits
from breakthrough.grading.proxies import driver, make_proxy
from breakthrough.grading.remote import Peer
from breakthrough.grading.shell import Shell, make_shell

PREPARED: dict[str, Shell] = {}


def prepare() -> None:
    """Make the shell before the fork, so that each student gets it at once."""
    if "shell" in PREPARED:
        return
    shell = PREPARED["shell"] = make_shell()
    shell.run("%matplotlib inline\nimport torch\n1 / 0")  # all that is imported on first use
    shell.reset(new_session=True)
    _rehearse()


def _rehearse() -> None:
    """Let one call with gradients cross, and come back."""
    import numpy.random
    import torch
    import torch.fx.experimental.symbolic_shapes  # the first backward pass imports it

    numpy.random.default_rng(0)

    ours, theirs = socket.socketpair()
    peer = Peer(theirs, Limits(), trusted=True)
    handle = peer.handle(torch.mul) or []
    number = handle[2]
    x = torch.ones(2, requires_grad=True)
    peer.serve_one(["call", [number, (x, torch.ones(2)), {}, {"grad": True, "graph": True}]])
    peer.serve_one(["call", [number, (x, "wrong"), {}, {"grad": True, "graph": True}]])
    Peer(ours, Limits(), trusted=False)._receive()
    ours.close()
    theirs.close()


def main(connection: socket.socket) -> None:
    """Serve the examiner until it hangs up."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    prepare()
    os.chdir("/tmp")
    sys.path.insert(0, "/tmp")
    peer = Peer(connection, Limits(bytes=1 << 30, json_bytes=1 << 28, parts=50_000_000), trusted=True)
    peer.make_proxy = make_proxy
    shell = PREPARED["shell"]
    peer.extra = {"run": lambda source, limit_s: _run(shell, source, limit_s), "answer": shell.find, "there": driver}
    peer.serve()


def _run(shell: Shell, source: str, limit_s: float) -> list[dict[str, Any]]:
    """Run one cell, interrupted after a time; its outputs."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt(f"interrupted after {limit_s:g} s")

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, limit_s, 1.0)
    try:
        return shell.run(source)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
