"""Secure aggregation of a 1M-parameter update from 10 clients, all of it in one process and one thread.

1. Seconds by phase (keys, shares, encode, mask, reveal, unmask with decode) when all clients answer, and when
   3 of 10 drop out after their shares: medians and the range over the rounds. Goal: 2 s in all.
2. The bare limit: the key streams that must be made and added, nothing else. Ours over that.
3. One mask of that size by Flower's SecAgg+ generator, over one of ours.
4. Bytes that a client sends and gets, by message.

Run: OMP_NUM_THREADS=1 python benchmarks/_federated_masking.py [--rounds 5] [--size 1000000] [--clients 10]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

from breakthrough.federated.fixed_point import Codec
from breakthrough.federated.key_agreement import add_mask
from breakthrough.federated.masking import Member, unmask
from breakthrough.seeds import numpy_generator

GOAL_S = 2.0
PHASES = ("keys", "shares", "encode", "mask", "reveal", "unmask")
CONTEXT = b"benchmark"


class Clock:
    """Seconds since the last look, by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def mark(self, phase: str) -> None:
        """End a phase."""
        now = time.perf_counter()
        self.seconds[phase], self.last = now - self.last, now


def one_round(updates: np.ndarray, dropouts: int) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds of each phase of a round whose last clients drop out after their shares, and bytes of each message.

    Shapes: updates (K, D)
    """
    clients = len(updates)
    threshold, left = clients // 2 + 1, set(range(clients - dropouts))
    codec, clock = Codec(0.5, clients), Clock()
    members = [Member(name, clients, threshold, CONTEXT) for name in range(clients)]
    keys = {member.name: member.advertise() for member in members}
    clock.mark("keys")
    boxes = {member.name: member.share(keys) for member in members}
    clock.mark("shares")
    codes = {name: codec.encode(updates[name]) for name in left}
    clock.mark("encode")
    masked = {name: members[name].mask(codes[name], {peer: boxes[peer][name] for peer in boxes if peer != name}) for name in left}
    clock.mark("mask")
    reveals = {name: members[name].reveal(left, set(boxes) - left) for name in left}
    clock.mark("reveal")
    total = unmask(masked, keys, set(boxes), reveals, threshold, CONTEXT)
    decoded = codec.decode(total, len(left))
    clock.mark("unmask")
    check(codec, codes, total, decoded, updates)
    sizes = {"keys": len(keys[0]), "shares for one peer": len(boxes[0][1]), "masked vector": masked[0].nbytes, "reveal": len(reveals[0])}
    return clock.seconds, sizes


def check(codec: Codec, codes: dict[int, np.ndarray], total: np.ndarray, decoded: np.ndarray, updates: np.ndarray) -> None:
    """Stop when what was timed is not the sum."""
    true = updates[sorted(codes)].astype(np.float64).sum(axis=0)
    if not np.array_equal(total, sum(codes.values(), np.zeros_like(total))) or abs(decoded - true).max() > codec.error(len(codes)):
        raise SystemExit("the unmasked total is not the sum: no figures")


def bare_s(size: int, streams: int) -> float:
    """Seconds of making and adding so many masks."""
    total, started = np.zeros(size, np.uint32), time.perf_counter()
    for _ in range(streams):
        add_mask(total, bytes(32), +1)
    return time.perf_counter() - started


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median time of a call."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def line(name: str, values: list[float]) -> str:
    """A median with its range."""
    return f"  {name:<8} {statistics.median(values):8.4f} s   ({min(values):.4f} to {max(values):.4f})"


def measure(updates: np.ndarray, dropouts: int, rounds: int) -> None:
    """Print a case: phases, the whole, its goal, and the bare limit."""
    one_round(updates, dropouts)  # the first one pays for imports
    runs, bare = [], []
    left = len(updates) - dropouts
    streams = left * len(updates) + left * (1 + dropouts)  # by the clients, by the server
    for _ in range(rounds):
        times, sizes = one_round(updates, dropouts)
        runs.append(times)
        bare.append(bare_s(updates.shape[1], streams))
    print(f"{len(updates)} clients, {updates.shape[1]:,} parameters, {dropouts} dropped out after their shares")
    for phase in PHASES:
        print(line(phase, [run[phase] for run in runs]))
    whole = [sum(run.values()) for run in runs]
    print(line("all", whole), f"  goal ≤ {GOAL_S:g} s: {'met' if statistics.median(whole) <= GOAL_S else 'MISSED'}")
    print(line("bare", bare), f"  {streams} masks; ours over bare {statistics.median(whole) / statistics.median(bare):.2f}")
    print("  bytes:", ", ".join(f"{name} {size:,}" for name, size in sizes.items()), "\n")


def compare_generators(size: int, rounds: int) -> None:
    """Print the time of one mask by Flower's SecAgg+ and by ours."""
    from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen

    total = np.zeros(size, np.uint32)
    ours = seconds(lambda: add_mask(total, bytes(32), +1), rounds)
    flower = seconds(lambda: pseudo_rand_gen(bytes(32), 2**32, [(size,)]), rounds)
    print(f"one mask of {size:,}: ours {1000 * ours:.2f} ms (made and added), Flower's {1000 * flower:.2f} ms (made): {flower / ours:.1f} times ours")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=10)
    options = parser.parse_args()
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    updates = numpy_generator(0, "masking").normal(0, 0.05, (options.clients, options.size)).astype(np.float32)
    for dropouts in (0, 3):
        measure(updates, dropouts, options.rounds)
    compare_generators(options.size, options.rounds)


if __name__ == "__main__":
    main()
