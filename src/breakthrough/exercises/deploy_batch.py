"""Module 5: a batcher that respects size, deadline and a full queue, on a simulated clock."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator

from breakthrough.exercises.deploy_batch_trial import alike, looked
from breakthrough.exercises.deploy_batch_wrong import MISCONCEPTIONS
from breakthrough.exercises.exercise import Case, Exercise


def batches(
    arrivals_ms: list[int], max_size: int, max_wait_ms: int, max_queue: int, service_ms: dict[int, int]
) -> tuple[list[tuple[int, list[int]]], list[int]]:
    """When each batch of requests starts, who is in it, and who is turned away.

    Why:    a batch of 8 takes hardly longer than one request, so waiting a little for others serves more of them;
            but whoever came first must not wait for ever, and a queue without a limit grows until nobody is served
    Shapes: → a list of (start, numbers of the requests) by start, numbers ascending; and a list of those refused
    Units:  whole milliseconds. Request i arrives at arrivals_ms[i] (ascending, several may arrive at once). If max_queue
            requests are waiting already, it is refused; else it waits. Requests that are being served do not wait.
            The engine serves one batch at a time; a batch of b takes service_ms[b], so the next can start at
            start + service_ms[b], not before. It is free from 0 on.
            A batch starts as soon as the engine is free and either max_size requests are waiting, or the one that has
            waited longest has waited max_wait_ms since its arrival (while the engine is busy, too). It takes those that
            have waited longest, up to max_size of all that wait at its start.
            At one and the same moment, first all requests of that moment arrive, then a batch may start.
            1 ≤ max_size ≤ max_queue; service_ms has every size from 1 to max_size, all above 0; max_wait_ms ≥ 0
    """
    waiting: list[int] = []
    served: list[tuple[int, list[int]]] = []
    refused: list[int] = []
    free_ms = 0
    for number, now in [*enumerate(arrivals_ms), (None, math.inf)]:
        while waiting:
            full: Any = arrivals_ms[waiting[max_size - 1]] if len(waiting) >= max_size else math.inf
            start = max(free_ms, min(full, arrivals_ms[waiting[0]] + max_wait_ms))
            if start >= now:  # whoever arrives now comes first
                break
            served.append((start, waiting[:max_size]))
            free_ms = start + service_ms[len(waiting[:max_size])]
            waiting = waiting[max_size:]
        if number is not None:
            (waiting if len(waiting) < max_queue else refused).append(number)
    return served, refused


def _tick_by_tick(arrivals_ms, max_size, max_wait_ms, max_queue, service_ms):
    coming, served, refused = deque(enumerate(arrivals_ms)), [], []
    waiting: deque[tuple[int, int]] = deque()
    now = free = 0
    while coming or waiting:
        while coming and coming[0][1] == now:
            request = coming.popleft()
            if len(waiting) == max_queue:
                refused.append(request[0])
            else:
                waiting.append(request)
        due = waiting and (len(waiting) >= max_size or now - waiting[0][1] >= max_wait_ms)
        if due and now >= free:
            batch = [waiting.popleft()[0] for _ in range(min(max_size, len(waiting)))]
            served.append((now, batch))
            free = now + service_ms[len(batch)]
        now += 1
    return served, refused


def _by_events(arrivals_ms, max_size, max_wait_ms, max_queue, service_ms):
    """A heap of moments: arrivals before what the engine does at the same moment."""
    events = [(at, 0, i) for i, at in enumerate(arrivals_ms)]
    heapq.heapify(events)
    queue: list[int] = []
    found, away, free = [], [], 0
    while events:
        now, kind, i = heapq.heappop(events)
        if kind == 0:
            if len(queue) >= max_queue:
                away.append(i)
                continue
            queue.append(i)
            heapq.heappush(events, (now + max_wait_ms, 1, -1))
            heapq.heappush(events, (now, 1, -1))
        elif now >= free and queue and (len(queue) >= max_size or arrivals_ms[queue[0]] + max_wait_ms <= now):
            batch, queue = queue[:max_size], queue[max_size:]
            found.append((now, batch))
            free = now + service_ms[len(batch)]
            heapq.heappush(events, (free, 1, -1))
    return found, away


def _by_jumps(arrivals_ms, max_size, max_wait_ms, max_queue, service_ms):
    """From one moment at which something can happen to the next."""
    requests, started, now, free = list(enumerate(arrivals_ms)), [], 0, 0
    turned_away: list[tuple[int, int]] = []
    queue: list[tuple[int, int]] = []
    while requests or queue:
        while requests and requests[0][1] <= now:
            (queue if len(queue) < max_queue else turned_away).append(requests.pop(0))
        if queue and now >= free and (len(queue) >= max_size or now >= queue[0][1] + max_wait_ms):
            taken = [queue.pop(0) for _ in queue[:max_size]]
            started.append((now, [number for number, _ in taken]))
            free = now + service_ms[len(taken)]
            continue
        moments = [free, *(at for _, at in requests[:1]), *(at + max_wait_ms for _, at in queue[:1])]
        now = min((moment for moment in moments if moment > now), default=now)
    return started, [number for number, _ in turned_away]


def _arrivals(generator: Generator, n: int, gap_ms: float) -> list[int]:
    """As they come at random: gaps of `gap_ms` on average, now and then several at once."""
    gaps = -gap_ms * torch.log1p(-torch.rand(n, generator=generator, dtype=torch.float64))
    return gaps.cumsum(0).floor().int().add(1).tolist()


def _cost(size: int, fixed: int, each: int) -> dict[int, int]:
    return {b: fixed + each * b for b in range(1, size + 1)}


def _shifted(moments: list[int], by: int) -> list[int]:
    return [moment + by for moment in moments]


MANY = 1000  # a queue that is never full


def _cases(generator: Generator) -> Iterator[Case]:
    def case(label: str, arrivals: list[int], *how: int, fixed: int = 4, each: int = 1) -> Case:
        args: tuple[Any, ...] = (arrivals, *how, _cost(how[0], fixed, each))
        return Case(label, args, look=looked(*args))

    def begin(low: int = 5, high: int = 60) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    yield case("five requests, by hand: batches at 9 and 30", [2, 5, 9, 20, 26], 3, 10, MANY)
    yield case("a burst of seven at once, size 4", [begin()] * 7, 4, 10, MANY, fixed=8)
    yield case("few requests: each deadline alone", _shifted([0, 31, 35, 70, 79, 118], begin()), 8, 9, MANY)
    yield case("arrivals at a deadline and one moment after", _shifted([0, 10, 11, 40, 48, 50], begin(20)), 4, 10, MANY)
    yield case("a long batch before: who arrives while it runs", _shifted([0, 1, 2, 12, 13, 15, 22, 45], begin(20)), 4, 3, MANY, fixed=16)
    yield case("one left over, with time to wait", _shifted([0, 0, 0, 0, 1, 2, 3, 4, 5, 80], begin()), 4, 30, MANY, fixed=12)
    yield case("at random, moderate load", _arrivals(generator, 60, 4.0), 4, 9, MANY, fixed=5)
    yield case("at random, more than the engine can do", _arrivals(generator, 60, 1.6), 4, 6, MANY, fixed=6)
    yield case("no waiting allowed", _arrivals(generator, 30, 5.0), 4, 0, MANY)
    yield case("a full queue, at random", _arrivals(generator, 70, 1.3), 4, 7, 6, fixed=7)
    yield case("a full queue at the moment of a start", _shifted([0, 0, 0, 0, 1, 2, 6, 6, 7, 30], begin()), 2, 4, 2)
    yield case("from the first moment on", [0, 0, 0, 2, 9], 2, 0, MANY)
    yield case("320 at once, a queue of 300", [begin()] * 320, 8, 5, int("300"))
    yield case("no requests", [], 4, 10, 8)


EXERCISES = (
    Exercise(
        name="deploy.batch",
        title="A batcher that respects size and deadline",
        points=8,
        minutes=50,
        difficulty=3,
        reference=batches,
        cases=_cases,
        compare=alike,
        patience_s=10,  # a simulated clock that stands still is the likeliest slip
        alternatives=(_tick_by_tick, _by_events, _by_jumps),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Between two arrivals nothing new can happen: the next batch's start is already known. So go from arrival to arrival. Before you let a request in, start all batches that are due before it; then look whether there is room for it.",
            "waiting: a list of request numbers, the longest waiting first; free_ms: when the engine can start next; a batch is due at max(free_ms, min(arrival of waiting[max_size − 1] if there are so many, arrival of waiting[0] + max_wait_ms)); it takes waiting[:max_size]",
            "waiting, served, refused empty; free = 0\nfor each arrival, and once more at the end of time:\n    while anybody waits:\n        due = when the longest waiting reaches its deadline, or when the max_size-th arrived, if earlier\n        start = the later of due and free\n        if start is not before this arrival: leave the loop\n        serve waiting[:max_size] at start; free = start + its service time; keep the rest waiting\n    let the request wait, or refuse it if max_queue wait\nreturn served, refused",
        ),
    ),
)
