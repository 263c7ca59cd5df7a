"""Module 1: is an answer to moe.dispatch a loop over tokens?

Shapes: T tokens, E experts, k experts a token, d the width
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from breakthrough.devices import threads
from breakthrough.elsewhere import Elsewhere
from breakthrough.exercises.compare import Difference
from breakthrough.seeds import torch_generator

# T, E, k, d: many tokens and little else, and every tensor still in a processor's cache, so that what
# Python does once a token weighs most. An honest answer takes a sixth of the loop's time or less
TIMED = (8192, 3, 1, 1)
LIMIT = 1 / 2  # of the time of a quick loop over tokens
REPEATS, PLAIN = 10, 2  # an answer that is far too slow after PLAIN of them need not go on
ATTEMPTS = 3  # nobody is told "slow" for one bad moment of a busy machine


def choices(n_tokens: int, n_experts: int, k: int, generator: Generator) -> Tensor:
    """Random choices of k different experts.

    Shapes: → (T, k)
    """
    return torch.rand(n_tokens, n_experts, generator=generator).argsort(-1)[:, :k]


def loop_over_tokens(x: Tensor, experts: Tensor, n_experts: int) -> tuple[Tensor, Tensor, Tensor]:
    """The quickest plain loop over tokens: over a list, not over a tensor.

    Shapes: x (T, d), experts (T, k) → rows (T·k, d), tokens (T·k,), load (n_experts,)
    """
    of: list[list[int]] = [[] for _ in range(n_experts)]
    for token, chosen in enumerate(experts.tolist()):
        for expert in chosen:
            of[expert].append(token)
    tokens = torch.tensor([t for mine in of for t in mine], dtype=torch.int64, device=x.device)
    return x[tokens], tokens, torch.tensor([len(mine) for mine in of], device=x.device)


def too_slow(answer: Callable) -> Difference | None:
    """Whether an answer takes more than `LIMIT` of the time of a loop over tokens, with both times.

    Both are timed here, so that the machine's speed does not matter.
    """
    timed = answer.there("breakthrough.exercises.moe_there:speed") if isinstance(answer, Elsewhere) else times_s
    for _ in range(ATTEMPTS):
        answer_s, loop_s = timed(answer)
        if answer_s <= LIMIT * loop_s:
            return None
    text = f"{TIMED[0]:,} tokens took {1e3 * answer_s:.2f} ms; a Python loop over them takes {1e3 * loop_s:.2f} ms"
    limit = f"{1e3 * LIMIT * loop_s:.2f} ms or less, half of the loop's time"
    return Difference("slow", text, limit, f"{1e3 * answer_s:.2f} ms")


def times_s(answer: Callable) -> tuple[float, float]:
    """CPU seconds of an answer and of a loop over tokens, by turns; the fastest run of each."""
    n_tokens, n_experts, k, d = TIMED
    generator = torch_generator(0, "moe.dispatch", "timing")
    x = torch.randn(n_tokens, d, generator=generator)
    inputs = x, choices(n_tokens, n_experts, k, generator), n_experts
    loop_s, answer_s = math.inf, math.inf
    for turn in range(1, REPEATS + 1):
        for _ in range(2):  # the first run fills the cache for the second
            loop_s = min(loop_s, _time_s(loop_over_tokens, inputs))
        for _ in range(2):
            answer_s = min(answer_s, _time_s(answer, inputs))
        if turn >= PLAIN and answer_s > 2 * loop_s:
            break
    return answer_s, loop_s


def _time_s(answer, inputs) -> float:
    # this thread's own CPU time, on one thread: a second one spins while it waits, and that counts
    with threads(1):
        started = time.thread_time()
        answer(*inputs)
        return time.thread_time() - started
