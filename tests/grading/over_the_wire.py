"""Answers of the bank in a process of their own, so that an exercise can be judged over the wire without a sandbox."""

import multiprocessing
import socket
import time
from contextlib import contextmanager
from functools import partial

import torch

from breakthrough.exercises import load
from breakthrough.grading.frames import Limits
from breakthrough.grading.proxies import driver, make_proxy
from breakthrough.grading.remote import Peer

LIMITS = Limits()


def answers(name):
    """Every answer of an exercise that the bank has, by what it is."""
    exercise = load(name)
    found = {"reference": exercise.reference}
    found |= {f"alternative {i}": one for i, one in enumerate(exercise.alternatives)}
    found |= {f"{m.name} {i}": one for m in exercise.misconceptions for i, one in enumerate((m.answer, *m.variants))}
    return found


def _serve(sock, make):
    torch.set_num_threads(1)  # the threads of whoever forked this process are not here, and would be waited for
    peer = Peer(sock, Limits(), trusted=True)
    peer.make_proxy = make_proxy
    peer.extra = {"answer": make, "there": driver}
    peer.serve()


@contextmanager
def other_process(deadline_s=300, make=lambda name, which: answers(name)[which]):
    """A peer whose other side has the bank's answers, or others that are made there."""
    with examining(partial(_serve, make=make), deadline_s) as peer:
        yield peer


@contextmanager
def examining(serve, deadline_s, limits=LIMITS):
    """The examiner's end of a socket whose other end is served by a function in another process, which may do as it likes."""
    ours, theirs = socket.socketpair()
    process = multiprocessing.get_context("fork").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    peer = Peer(ours, limits, trusted=False)
    peer.make_proxy, peer.deadline = make_proxy, time.monotonic() + deadline_s
    try:
        yield peer
    finally:
        ours.close()
        process.kill()
        process.join()
