"""Module 5: wrong batchers, for deploy.batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from breakthrough.exercises.exercise import Misconception


@dataclass
class Now:
    """A batcher at work: its requests and limits, who waits, since when the engine is free, when it began last."""

    arrivals: list[int]
    max_size: int
    max_wait: int
    max_queue: int
    service: dict[int, int]
    waiting: list[int] = field(default_factory=list)
    free: float = 0
    began: float = 0
    running: int = 0

    @property
    def first(self) -> float:
        """When the one that has waited longest arrived."""
        return self.arrivals[self.waiting[0]]

    @property
    def full(self) -> float:
        """When the batch became full; never, if it is not."""
        return self.arrivals[self.waiting[self.max_size - 1]] if len(self.waiting) >= self.max_size else math.inf

    @property
    def last(self) -> float:
        """When the one that came last arrived."""
        return self.arrivals[self.waiting[-1]]


def _due(now: Now) -> float:
    return min(now.full, now.first + now.max_wait)


def _oldest(now: Now, start: float, due: float) -> list[int]:
    return now.waiting[: now.max_size]


def _of_its_size(now: Now, size: int) -> float:
    return now.service[size]


def _room(now: Now, at: float) -> bool:
    return len(now.waiting) < now.max_queue


@dataclass(frozen=True)
class Rules:
    """How a batcher works; the defaults are right.

    `ties`: a batch starts before those of its moment arrive. `once`: at most one batch between two arrivals.
    `end`: what becomes of those that still wait when nobody comes any more: "due", "lost" or "at once".
    """

    due: Callable[[Now], float] = _due
    take: Callable[[Now, float, float], list[int]] = _oldest
    cost: Callable[[Now, int], float] = _of_its_size
    room: Callable[[Now, float], bool] = _room
    start: Callable[[Now, float], float] = lambda now, due: max(now.free, due)
    ties: bool = False
    once: bool = False
    end: str = "due"


def _wrong(rules: Rules) -> Callable[..., tuple[list, list]]:
    """A batcher with these rules."""

    def answer(arrivals_ms, max_size, max_wait_ms, max_queue, service_ms):
        now, served, refused = Now(arrivals_ms, max_size, max_wait_ms, max_queue, service_ms), [], list[int]()
        for number, at in [*enumerate(arrivals_ms), (None, math.inf)]:
            while now.waiting:
                due = rules.due(now)
                start = rules.start(now, due)
                if number is None and rules.end != "due":
                    if rules.end == "lost":
                        break
                    start = due = max(now.free, now.last)
                if start > at or (start == at and not rules.ties) or start == math.inf:
                    break
                batch = rules.take(now, start, due)
                served.append((start, sorted(batch)))
                now.began, now.running, now.free = start, len(batch), start + rules.cost(now, len(batch))
                now.waiting = [i for i in now.waiting if i not in batch]
                if rules.once:
                    break
            if number is not None:
                (now.waiting if rules.room(now, at) else refused).append(number)
        return served, refused

    return answer


def _ways(*ways: dict[str, Any], queue: bool = True) -> dict[str, Any]:
    """The answer and variants of a misconception: with the queue's limit kept, and without one."""
    rules = [Rules(**way) for way in ways]
    if queue:
        rules += [replace(each, room=lambda now, at: True) for each in rules]
    answers = [_wrong(each) for each in rules]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _all(now: Now, start: float, due: float) -> list[int]:
    return list(now.waiting)


def _newest(now: Now, start: float, due: float) -> list[int]:
    return now.waiting[-now.max_size :]


def _by_the_deadline(now: Now, start: float, due: float) -> list[int]:
    return [i for i in now.waiting if now.arrivals[i] <= due][: now.max_size]


def _of_the_full_size(now: Now, size: int) -> float:
    return now.service[now.max_size]


def _of_any_size(now: Now, size: int) -> float:
    return now.service[min(size, now.max_size)]


def _one_by_one(now: Now, size: int) -> float:
    return size * now.service[1]


def _as_one(now: Now, size: int) -> float:
    return now.service[1]


def _with_the_running(now: Now, at: float) -> bool:
    return len(now.waiting) + (now.running if now.free > at else 0) < now.max_queue


def _left_over(now: Now) -> float:
    return min(now.full, max(now.first, now.began) + now.max_wait)


def _since_free(now: Now) -> float:
    return min(max(now.full, now.free), max(now.first, now.free) + now.max_wait)


def _since_the_last_batch(now: Now) -> float:
    return min(now.full, max(now.first, now.began + now.max_wait))


def _seen_a_moment_later(now: Now) -> float:
    """As a clock notices that looks at the queue before it lets in who arrives."""
    return min(now.full + 1, max(now.first + now.max_wait, now.first + 1))


def _full_at(count: Callable[[Now], int]) -> Callable[[Now], float]:
    """Due at the deadline, or when so many wait."""

    def due(now: Now) -> float:
        size = count(now)
        return min(now.first + now.max_wait, now.arrivals[now.waiting[size - 1]] if len(now.waiting) >= size else math.inf)

    return due


def _told_by_the_end(arrivals_ms, max_size, max_wait_ms, max_queue, service_ms):
    served, refused = _wrong(Rules())(arrivals_ms, max_size, max_wait_ms, max_queue, service_ms)
    return [(start + service_ms[len(batch)], batch) for start, batch in served], refused


MISCONCEPTIONS = (
    Misconception(
        "only full batches",
        says="A batch starts only when it is full: without company a request would wait for ever; it starts too when the longest waiting has waited max_wait_ms.",
        **_ways({"due": lambda now: now.full}, {"due": lambda now: now.full, "end": "at once"}),
    ),
    Misconception(
        "only at the deadline",
        says="A full batch still waits for its deadline: nobody else can join it, so it starts as soon as max_size are waiting and the engine is free.",
        **_ways({"due": lambda now: now.first + now.max_wait}),
    ),
    Misconception(
        "another size for full",
        says="A batch was held to be full at another number than max_size: so many waiting are enough, neither one more nor as many as the queue holds.",
        **_ways({"due": _full_at(lambda now: now.max_size + 1)}, {"due": _full_at(lambda now: now.max_queue)}),
    ),
    Misconception(
        "ends for starts",
        _told_by_the_end,
        "The time given for a batch is when it was done: asked for is when it starts.",
    ),
    Misconception(
        "not waiting at all",
        says="A batch starts as soon as the engine is free, with whoever is there: while it is not full, wait for others until the longest waiting has waited max_wait_ms.",
        **_ways({"due": lambda now: now.first}),
    ),
    Misconception(
        "the engine does two batches at once",
        says="A batch starts while the engine is still busy with the one before: the next start is start + service_ms[b] at the earliest.",
        **_ways({"start": lambda now, due: due}),
    ),
    Misconception(
        "a batch without limit",
        says="A batch takes all that wait: max_size is the most it may hold; the rest keep waiting, longest first.",
        **_ways({"take": _all, "cost": _of_any_size}, {"take": _all}),
    ),
    Misconception(
        "the timer restarts with each arrival",
        says="The deadline is counted from the last arrival: under steady traffic it would never come; count from the arrival of the one that has waited longest.",
        **_ways({"due": lambda now: min(now.full, now.last + now.max_wait)}),
    ),
    Misconception(
        "a new timer for those left over",
        says="Those for whom the last batch had no room got a new timer: their deadline still counts from their own arrival, so it may be over already.",
        **_ways({"due": _left_over}),
    ),
    Misconception(
        "the timer waits for the engine",
        says="The deadline is counted from when the engine is free: a request has been waiting since it arrived, while the engine was busy too.",
        **_ways({"due": _since_free}),
    ),
    Misconception(
        "the timer of the last batch",
        says="The deadline is counted from the start of the batch before: what counts is how long the longest waiting request has waited.",
        **_ways({"due": _since_the_last_batch}),
    ),
    Misconception(
        "closed before it starts",
        says="The batch was closed at its deadline although the engine was busy: whoever arrives until it does start may still join it, up to max_size.",
        **_ways({"take": _by_the_deadline}),
    ),
    Misconception(
        "arrivals miss the start",
        says="A batch started before those who arrive at that very moment: first all requests of a moment arrive, then a batch may start.",
        **_ways({"ties": True}, {"due": _seen_a_moment_later, "ties": True}),
    ),
    Misconception(
        "a moment late",
        says="The batch starts when somebody has waited longer than max_wait_ms: it starts when exactly max_wait_ms are over.",
        **_ways({"due": lambda now: min(now.full, now.first + now.max_wait + 1)}),
    ),
    Misconception(
        "the last ones lost",
        says="When no more requests come, those still waiting are never served: after the last arrival go on until the queue is empty.",
        **_ways({"end": "lost"}),
    ),
    Misconception(
        "the end is known",
        says="The last batch starts at once, as if the batcher knew that nobody else will come: it has to wait for its deadline like any other.",
        **_ways({"end": "at once"}),
    ),
    Misconception(
        "one batch between two arrivals",
        says="After a batch the next one was not looked at before the next arrival: several may be due in between, so repeat until none is (while, not if).",
        **_ways({"once": True}),
    ),
    Misconception(
        "the newest first",
        says="The batch takes those that came last: those that have waited longest go first, or some would never be served.",
        **_ways({"take": _newest}),
    ),
    Misconception(
        "always the time of a full batch",
        says="Every batch was charged the time of a full one: a batch of b takes service_ms[b].",
        **_ways({"cost": _of_the_full_size}),
    ),
    Misconception(
        "one by one",
        says="A batch of b was charged b times the time of one request: then batching would save nothing; it takes service_ms[b].",
        **_ways({"cost": _one_by_one}),
    ),
    Misconception(
        "the time of one",
        says="Every batch was charged the time of a single request: a batch of b takes service_ms[b].",
        **_ways({"cost": _as_one}),
    ),
    Misconception(
        "a queue without limit",
        says="Nobody is refused: when max_queue requests are waiting at an arrival, the new one is turned away.",
        **_ways({"room": lambda now, at: True}, queue=False),
    ),
    Misconception(
        "one too many in the queue",
        says="The queue took one more than max_queue: refuse when max_queue are waiting already.",
        **_ways({"room": lambda now, at: len(now.waiting) <= now.max_queue}, queue=False),
    ),
    Misconception(
        "the running batch counted as waiting",
        says="Requests that are being served were counted among those waiting: the queue's limit is about those that still wait.",
        **_ways({"room": _with_the_running}, queue=False),
    ),
)
