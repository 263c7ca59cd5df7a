"""Module 5: whether a table of latencies shows what somebody says of it.

Shapes: n pairs of runs that count
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.deploy_table_wrong import MISCONCEPTIONS, PARTS
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.quant_inputs import Aside, coded

Row = dict[str, Any]


def read(one: dict[str, Any], other: dict[str, Any], what: str, tolerance: float) -> tuple[str, float | None]:
    """Whether two rows of a table of latencies show that `one` is faster than `other`, and how many times as fast.

    Why:    two numbers side by side always differ; whether that says anything depends on what else differed, and on
            how often it came out the same way
    Units:  a row: "seconds", one number for each call, in the order measured; "warmup", how many of the first calls
            only warmed up; "batch", pictures in a call; "threads"; "max_error", the largest error of its outputs
            against the reference. what is "latency" (seconds for a call) or "throughput" (seconds for a picture,
            which is a call's divided by its batch).
            The rows were measured in turns, one, other, one, other, …: call i of both makes a pair. A pair counts
            when it is no warm-up in either row.
            "unfair": threads differ; or what is "latency" and batches differ; or a max_error is not at most
            tolerance, which NaN never is; or the rows have different numbers of calls. Then the ratio is None.
            Otherwise the ratio is the median over the n pairs that count (at least 1) of other's seconds / one's;
            no two of a pair are equal. `one` wins a pair when its seconds are fewer. With W wins and B binomial,
            n throws of a fair coin:
            "holds" when P(B ≥ W) ≤ 0.025; "does not hold" when P(B ≤ W) ≤ 0.025; otherwise "not shown"
    """
    same_work = one["threads"] == other["threads"] and (what == "throughput" or one["batch"] == other["batch"])
    right = one["max_error"] <= tolerance and other["max_error"] <= tolerance
    if not (same_work and right and len(one["seconds"]) == len(other["seconds"])):
        return "unfair", None
    first = max(one["warmup"], other["warmup"])
    pictures = other["batch"] / one["batch"] if what == "throughput" else 1
    ratios = [b / a / pictures for a, b in zip(one["seconds"][first:], other["seconds"][first:])]
    n, wins = len(ratios), sum(ratio > 1 for ratio in ratios)
    coin = [math.comb(n, k) / 2**n for k in range(n + 1)]  # P(B = k)
    if sum(coin[wins:]) <= 0.025:
        return "holds", median(ratios)
    return "does not hold" if sum(coin[: wins + 1]) <= 0.025 else "not shown", median(ratios)


def _in_arrays(one, other, what, tolerance):
    comparable = one["threads"] == other["threads"] and len(one["seconds"]) == len(other["seconds"])
    if what == "latency":
        comparable = comparable and one["batch"] == other["batch"]
    if not comparable or not np.all(np.array([one["max_error"], other["max_error"]]) <= tolerance):
        return "unfair", None
    mine, theirs = (np.array(row["seconds"]) / (row["batch"] if what == "throughput" else 1) for row in (one, other))
    keep = np.arange(len(mine)) >= max(one["warmup"], other["warmup"])
    ratio = (theirs / mine)[keep]
    n = len(ratio)
    tails = np.cumsum([math.comb(n, k) for k in range(n + 1)]) / 2.0**n  # P(B ≤ k), and P(B ≥ n − k) as well
    losses = int((ratio < 1).sum())
    verdict = "holds" if tails[losses] <= 0.025 else "does not hold" if tails[n - losses] <= 0.025 else "not shown"
    return verdict, float(np.median(ratio))


def _by_ranks(one, other, what, tolerance):
    """As the interval of a median has it: does the interval of the paired ratios lie beyond 1?"""
    if one["threads"] != other["threads"] or what != "throughput" and one["batch"] != other["batch"]:
        return ("unfair", None)
    if not (one["max_error"] <= tolerance and other["max_error"] <= tolerance) or len(one["seconds"]) != len(other["seconds"]):
        return ("unfair", None)
    pairs = list(zip(one["seconds"], other["seconds"]))[max(one["warmup"], other["warmup"]) :]
    size = {"throughput": one["batch"] / other["batch"], "latency": 1.0}[what]
    ratios = sorted(theirs / mine * size for mine, theirs in pairs)
    n, rank, chance = len(ratios), 0, 0.0
    while rank < n and chance + math.comb(n, rank) / 2**n <= 0.025:
        chance += math.comb(n, rank) / 2**n
        rank += 1
    low, high = (ratios[rank - 1], ratios[n - rank]) if rank else (0.0, math.inf)
    middle = (ratios[(n - 1) // 2] + ratios[n // 2]) / 2
    return ("holds" if low > 1 else "does not hold" if high < 1 else "not shown"), middle


def _throw_by_throw(one, other, what, tolerance):
    """The coin's chances by Pascal's triangle; the middle of the ratios by logarithms."""
    same = ["threads", *(["batch"] if what == "latency" else [])]
    fair = all(one[name] == other[name] for name in same) and len(one["seconds"]) == len(other["seconds"])
    if not fair or any(not row["max_error"] <= tolerance for row in (one, other)):
        return "unfair", None
    gains, row = [], [1.0]
    for call, (mine, theirs) in enumerate(zip(one["seconds"], other["seconds"])):
        if call < one["warmup"] or call < other["warmup"]:
            continue
        if what == "throughput":
            mine, theirs = mine / one["batch"], theirs / other["batch"]
        gains.append(math.log(theirs) - math.log(mine))
        row = [(a + b) / 2 for a, b in zip([0.0, *row], [*row, 0.0])]
    wins = len([gain for gain in gains if gain > 0])
    at_least, at_most = sum(row[wins:]), sum(row[: wins + 1])
    gains.sort()
    ratio = (math.exp(gains[len(gains) // 2]) + math.exp(gains[(len(gains) - 1) // 2])) / 2
    return {(True, False): "holds", (False, True): "does not hold"}.get((at_least <= 0.025, at_most <= 0.025), "not shown"), ratio


def _looked(aside: str = "") -> Callable[[Any], Any]:
    """The parts by name. `aside` is said when the rows are not called unfair: a fault that says nothing of the rest."""

    def look(output: Any) -> Any:
        if not isinstance(output, (tuple, list)) or len(output) != 2:
            return output
        if aside and output[0] != "unfair":
            return Aside(aside)
        verdict = output[0] if isinstance(output[0], str) else repr(output[0])
        return dict(zip(PARTS, (verdict, "None" if output[1] is None else output[1])))

    return look


class _Table:
    """Rows as a machine may give them: every call with its own noise, and both of a pair slow together."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def _uniform(self, low: float, high: float, n: int = 1) -> list[float]:
        return (low + (high - low) * torch.rand(n, generator=self.generator, dtype=torch.float64)).tolist()

    def rows(self, n: int, losses: int, gain: float = 1.3, warmup: tuple[int, int] = (2, 2), batch: tuple[int, int] = (1, 1), drift: float = 1.0, errors: tuple[float, float] = (2e-6, 5e-6), stuck: int | None = None) -> list[Row]:
        """Rows with n pairs that count, of which `one` loses some by a little and wins the rest, `gain` times as fast a picture.

        `stuck` is the row in which one call takes forty times as long; of `one`'s, that is a pair more that it loses.
        """
        first, total = max(warmup), n + max(warmup)
        pace = [0.005 * (1 + (drift - 1) * i / total) * noise for i, noise in enumerate(self._uniform(0.97, 1.03, total))]
        lost = set((first + torch.randperm(n, generator=self.generator)[:losses]).tolist())
        ratios = [1 / r if i in lost else r for i, r in enumerate(self._uniform(1 + 0.6 * (gain - 1), 1 + 1.4 * (gain - 1), total))]
        seconds = [[p * batch[0] for p in pace], [p * r * batch[1] for p, r in zip(pace, ratios)]]
        if stuck is not None:
            place = next(i for i in range(first, total) if i not in lost)
            seconds[stuck][place] *= 40
        for row, cold in zip(seconds, warmup):  # the first calls compile, load and allocate
            row[:cold] = [value * slow for value, slow in zip(row, self._uniform(8, 30, cold))]
        return [
            {"seconds": row, "warmup": cold, "batch": size, "threads": 1, "max_error": error}
            for row, cold, size, error in zip(seconds, warmup, batch, errors)
        ]


def _cases(generator: Generator) -> Iterator[Case]:
    table = _Table(generator)

    def case(label: str, rows: list[Row], what: str = "latency", swap: bool = False, aside: str = "", **change: Any) -> Case:
        one, other = rows[::-1] if swap else rows
        return Case(label, ({**one, **change}, other, "".join(what), 1e-4), look=_looked(aside))  # a string of its own, as one that was read

    yield case("20 pairs, all won", table.rows(20, 0))
    yield case("20 pairs, 18 won; one call of `one` got stuck", table.rows(20, 1, stuck=0))
    yield case("16 pairs, all won; one call of `other` got stuck", table.rows(16, 0, stuck=1))
    yield case("12 pairs, 9 won: 299 / 4096 is more than 0.025", table.rows(12, 3))
    yield case("16 pairs, 11 won: a coin does that one time in ten", table.rows(16, 5))
    yield case("12 pairs, 10 won: 79 / 4096 is less than 0.025", table.rows(12, 2))
    yield case("13 pairs, 10 won: 378 / 8192 is more than 0.025", table.rows(13, 3))
    yield case("5 pairs, all won: 1 / 32 is more than 0.025", table.rows(5, 0, gain=2.0))
    yield case("12 pairs, 3 won: 299 / 4096 is more than 0.025", table.rows(12, 3), swap=True)
    yield case("a max_error that is the tolerance", table.rows(15, 0, errors=(1e-4, 1e-4)))
    yield case("15 pairs, all lost", table.rows(15, 0), swap=True)
    yield case("18 pairs, the machine gets twice as slow meanwhile", table.rows(18, 1, gain=1.015, drift=2.2))
    yield case("14 pairs, 6 and 1 calls of warm-up", table.rows(14, 0, gain=1.08, warmup=(6, 1), drift=1.5))
    yield case("14 pairs, 1 and 6 calls of warm-up", table.rows(14, 0, gain=1.08, warmup=(6, 1), drift=1.5), swap=True)
    yield case("14 pairs, 1 and 6 calls of warm-up", table.rows(14, 0, gain=1.08, warmup=(6, 1), drift=1.5), swap=True)
    yield case("batch 8 against 1, throughput", table.rows(15, 1, batch=(8, 1)), "throughput")
    yield case("batch 1 against 8, throughput", table.rows(15, 1, batch=(8, 1)), "throughput", swap=True)
    yield case("batch 8 against 1, latency", table.rows(15, 0, batch=(8, 1)), swap=True)
    yield case("batch 8 against 1, latency", table.rows(15, 0, batch=(8, 1)))
    yield case("batch 512 against 512", table.rows(15, 0, batch=(int("512"), int("512"))))  # two objects
    yield case("20 pairs, 5 won: 21,700 / 1,048,576 is less than 0.025", table.rows(20, 5), swap=True)
    yield case("3 pairs, all lost: 1 / 8 is more than 0.025", table.rows(3, 0), swap=True)
    yield case("302 calls, of which 12 pairs count", table.rows(12, 1, warmup=(290, 290)))
    one, other = table.rows(15, 0)
    yield case("1 thread against 4", [one, {**other, "threads": 4}])
    yield case("a call more in one row", table.rows(15, 0), seconds=table.rows(16, 0)[0]["seconds"])
    yield case("4 threads against 1", table.rows(15, 0), threads=4)
    yield case("the fast one computes something else", table.rows(15, 0, errors=(0.3, 5e-6)))
    yield case("the slow one computes something else", table.rows(15, 0, errors=(2e-6, 0.02)))
    yield case("a call fewer in one row", table.rows(15, 0), seconds=table.rows(14, 0)[0]["seconds"])
    yield case("outputs of NaN", table.rows(15, 0), aside="max_error is NaN, which is not at most the tolerance: unfair", max_error=np.float32(math.nan))


EXERCISES = (
    Exercise(
        name="deploy.table",
        title="Reading a latency table honestly",
        points=6,
        minutes=35,
        difficulty=2,
        reference=read,
        cases=_cases,
        compare=coded(rtol=1e-9),
        alternatives=(_in_arrays, _by_ranks, _throw_by_throw),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "First ask whether the rows may be compared at all: the same work, on the same threads, with right answers. Then compare what was measured side by side, pair by pair, since both of a pair met the same machine. If the two were equally fast, each pair would be the throw of a coin: would a coin do as well as `one`?",
            "first = the larger warm-up; ratios: a list of n numbers, other's seconds / one's, per picture for throughput (divide each by its row's batch); wins: an int; P(B = k) = C(n, k) / 2^n for k = 0 … n; returned: one of four strings, and statistics.median(ratios) or None",
            'if threads differ, or (latency and batches differ), or not (both max_error ≤ tolerance), or lengths differ: return "unfair", None\nfirst = the larger of both warm-ups\nratios = for each pair from `first` on: other / one (each divided by its batch for throughput)\nwins = how many ratios are above 1\ncoin[k] = C(n, k) / 2^n\nif sum(coin[wins:]) ≤ 0.025: "holds"\nelse if sum(coin[: wins + 1]) ≤ 0.025: "does not hold"\nelse "not shown"\nreturn that and the median of the ratios',
        ),
    ),
)
