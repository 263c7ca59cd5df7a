"""First attempts at module 5's latencies and batches as a beginner writes them: each is named for its main mistake."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from breakthrough.exercises import card, judge, load

# percentiles


def _tails(n, p):
    pmf = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    return pmf


def numpys_own(latencies_s, percent, confidence=0.95):
    x = np.sort(latencies_s)
    n, risk = len(x), (1 - confidence) / 2
    pmf = _tails(n, percent / 100)
    low = max([r for r in range(1, n + 1) if sum(pmf[:r]) <= risk], default=None)
    high = min([r for r in range(1, n + 1) if sum(pmf[r:]) <= risk], default=None)
    return np.percentile(x, percent), x[low - 1] if low else 0.0, x[high - 1] if high else np.inf


def index_for_rank(latencies_s, percent, confidence=0.95):
    x = sorted(latencies_s)
    _, low, high = numpys_own(latencies_s, percent, confidence)
    return x[min(int(len(x) * percent / 100), len(x) - 1)], low, high


def always_a_bound(latencies_s, percent, confidence=0.95):
    x = sorted(latencies_s)
    n, risk, pmf = len(x), (1 - confidence) / 2, _tails(len(x), percent / 100)
    low, high = 1, n
    for r in range(1, n + 1):
        if sum(pmf[:r]) <= risk:
            low = r
    for r in range(n, 0, -1):
        if sum(pmf[r:]) <= risk:
            high = r
    return x[math.ceil(n * percent / 100) - 1], x[low - 1], x[high - 1]


def cumulative_off_by_one(latencies_s, percent, confidence=0.95):
    x = sorted(latencies_s)
    n, risk = len(x), (1 - confidence) / 2
    cdf = np.cumsum(_tails(n, percent / 100))
    low = [r for r in range(1, n + 1) if cdf[r] <= risk]  # P(N <= r), not P(N < r)
    high = [r for r in range(1, n + 1) if 1 - cdf[r - 1] <= risk]
    return x[math.ceil(n * percent / 100) - 1], x[max(low) - 1] if low else 0.0, x[min(high) - 1] if high else math.inf


def two_sided_forgotten(latencies_s, percent, confidence=0.95):
    return always_or_none(latencies_s, percent, 1 - confidence)


def always_or_none(latencies_s, percent, risk):
    x, n = sorted(latencies_s), len(latencies_s)
    pmf = _tails(n, percent / 100)
    lows = [r for r in range(1, n + 1) if sum(pmf[:r]) <= risk]
    highs = [r for r in range(1, n + 1) if sum(pmf[r:]) <= risk]
    return x[math.ceil(n * percent / 100) - 1], x[lows[-1] - 1] if lows else 0.0, x[highs[0] - 1] if highs else math.inf


def bell_shaped(latencies_s, percent, confidence=0.95):
    z = statistics.NormalDist().inv_cdf(percent / 100)
    _, low, high = numpys_own(latencies_s, percent, confidence)
    return np.mean(latencies_s) + z * np.std(latencies_s), low, high


def order_statistics_by_the_bell(latencies_s, percent, confidence=0.95):
    x, n, p = sorted(latencies_s), len(latencies_s), percent / 100
    z = statistics.NormalDist().inv_cdf(1 - (1 - confidence) / 2)
    half = z * (n * p * (1 - p)) ** 0.5
    low, high = max(1, math.floor(n * p - half)), min(n, math.ceil(n * p + half))
    return x[math.ceil(n * percent / 100) - 1], x[low - 1], x[high - 1]


def bootstrapped(latencies_s, percent, confidence=0.95):
    x, rng = np.sort(latencies_s), np.random.default_rng(7)
    rank = math.ceil(len(x) * percent / 100) - 1
    found = [np.sort(rng.choice(x, len(x)))[rank] for _ in range(200)]
    return x[rank], np.quantile(found, (1 - confidence) / 2), np.quantile(found, (1 + confidence) / 2)


# batches


def loop(arrivals_ms, max_size, max_wait_ms, max_queue, service_ms, full=True, wait=True, busy=True, limit=True, strict=False):
    """Tick by tick, as a beginner writes it, with something missing."""
    queue, batches, refused, now, free = [], [], [], 0, 0
    coming = list(range(len(arrivals_ms)))
    while coming or queue:
        if strict and _start(queue, batches, arrivals_ms, now, free, max_size, max_wait_ms, full, wait, busy):
            free = now + service_ms[len(batches[-1][1])]
        while coming and arrivals_ms[coming[0]] == now:
            number = coming.pop(0)
            if limit and len(queue) >= max_queue:
                refused.append(number)
            else:
                queue.append(number)
        if not strict and _start(queue, batches, arrivals_ms, now, free, max_size, max_wait_ms, full, wait, busy):
            free = now + service_ms[len(batches[-1][1])]
        now += 1
    return batches, refused


def _start(queue, batches, arrivals_ms, now, free, max_size, max_wait_ms, full, wait, busy):
    if not queue or (busy and now < free):
        return False
    due = now - arrivals_ms[queue[0]] >= max_wait_ms if wait else True
    if not due and not (full and len(queue) >= max_size):
        return False
    batches.append((now, queue[:max_size]))
    del queue[:max_size]
    return True


def greedy(*args):
    return loop(*args, wait=False)


def never_early(*args):
    return loop(*args, full=False)


def unlimited(*args):
    return loop(*args, limit=False)


def start_before_arrivals(*args):
    return loop(*args, strict=True)


def while_traffic_lasts(arrivals_ms, max_size, max_wait_ms, max_queue, service_ms):
    waiting, served, refused, free = [], [], [], 0
    for i, t in enumerate(arrivals_ms):
        while waiting:
            due = arrivals_ms[waiting[0]] + max_wait_ms
            if len(waiting) >= max_size:
                due = min(due, arrivals_ms[waiting[max_size - 1]])
            start = max(due, free)
            if start >= t:
                break
            served.append((start, waiting[:max_size]))
            free = start + service_ms[len(served[-1][1])]
            waiting = waiting[max_size:]
        if len(waiting) >= max_queue:
            refused.append(i)
        else:
            waiting.append(i)
    return served, refused


def groups_of_arrivals(arrivals_ms, max_size, max_wait_ms, max_queue, service_ms):
    """Batches formed from the arrivals alone; the engine only delays them."""
    groups, current = [], []
    for i, t in enumerate(arrivals_ms):
        if current and (t > arrivals_ms[current[0]] + max_wait_ms or len(current) == max_size):
            groups.append(current)
            current = []
        current.append(i)
    if current:
        groups.append(current)
    served, free = [], 0
    for group in groups:
        ready = arrivals_ms[group[-1]] if len(group) == max_size else arrivals_ms[group[0]] + max_wait_ms
        start = max(ready, free)
        served.append((start, group))
        free = start + service_ms[len(group)]
    return served, []


# tables


def medians_compared(one, other, what, tolerance):
    if one["threads"] != other["threads"] or (what == "latency" and one["batch"] != other["batch"]):
        return "unfair", None
    if one["max_error"] > tolerance or other["max_error"] > tolerance or len(one["seconds"]) != len(other["seconds"]):
        return "unfair", None
    a = np.median(one["seconds"][one["warmup"] :]) / (one["batch"] if what == "throughput" else 1)
    b = np.median(other["seconds"][other["warmup"] :]) / (other["batch"] if what == "throughput" else 1)
    return ("holds" if a < b else "does not hold"), b / a


def just_compare(one, other, what, tolerance):
    ratio = np.mean(other["seconds"]) / np.mean(one["seconds"])
    return ("holds" if ratio > 1 else "does not hold"), ratio


def _fair(one, other, what, tolerance):
    ok = one["max_error"] <= tolerance and other["max_error"] <= tolerance
    return ok and one["threads"] == other["threads"] and len(one["seconds"]) == len(other["seconds"]) and (what != "latency" or one["batch"] == other["batch"])


def _coin(ratios, risk=0.025):
    n, wins = len(ratios), sum(r > 1 for r in ratios)
    pmf = [math.comb(n, k) * 0.5**n for k in range(n + 1)]
    return "holds" if sum(pmf[wins:]) <= risk else "does not hold" if sum(pmf[: wins + 1]) <= risk else "not shown"


def own_warmups(one, other, what, tolerance):
    if not _fair(one, other, what, tolerance):
        return "unfair", None
    a, b = ([s / (row["batch"] if what == "throughput" else 1) for s in row["seconds"][row["warmup"] :]] for row in (one, other))
    ratios = [y / x for x, y in zip(a, b)]
    return _coin(ratios), statistics.median(ratios)


def all_calls(one, other, what, tolerance):
    if not _fair(one, other, what, tolerance):
        return "unfair", None
    ratios = np.array(other["seconds"]) / np.array(one["seconds"])
    if what == "throughput":
        ratios = ratios * one["batch"] / other["batch"]
    return _coin(ratios.tolist()), float(np.median(ratios))


def _kept(one, other):
    first = max(one["warmup"], other["warmup"])
    return np.array(one["seconds"][first:]), np.array(other["seconds"][first:])


def calls_not_pictures(one, other, what, tolerance):
    if not _fair(one, other, what, tolerance):
        return "unfair", None
    a, b = _kept(one, other)
    return _coin((b / a).tolist()), np.median(b / a)


def five_percent(one, other, what, tolerance):
    if not _fair(one, other, what, tolerance):
        return "unfair", None
    a, b = _kept(one, other)
    ratios = (b / other["batch"]) / (a / one["batch"])
    return _coin(ratios.tolist(), 0.05), np.median(ratios)


def nan_slips_through(one, other, what, tolerance):
    if one["max_error"] > tolerance or other["max_error"] > tolerance:
        return "unfair", None
    return all_right({**one, "max_error": 0.0}, {**other, "max_error": 0.0}, what, tolerance)


def all_right(one, other, what, tolerance):
    if not _fair(one, other, what, tolerance):
        return "unfair", None
    a, b = _kept(one, other)
    ratios = (b / other["batch"]) / (a / one["batch"])
    return _coin(ratios.tolist()), np.median(ratios)


ATTEMPTS = [
    ("deploy.percentile", numpys_own, "between two runs"),
    ("deploy.percentile", index_for_rank, "one rank too far"),
    ("deploy.percentile", always_a_bound, "a bound where there is none"),
    ("deploy.percentile", cumulative_off_by_one, "one rank aside"),
    ("deploy.percentile", two_sided_forgotten, "the whole risk on each side"),
    ("deploy.percentile", bell_shaped, "mean and deviations"),
    ("deploy.percentile", order_statistics_by_the_bell, "the normal curve"),
    ("deploy.percentile", bootstrapped, "from resampling"),
    ("deploy.batch", greedy, "not waiting at all"),
    ("deploy.batch", never_early, "only at the deadline"),
    ("deploy.batch", unlimited, "a queue without limit"),
    ("deploy.batch", start_before_arrivals, "arrivals miss the start"),
    ("deploy.batch", while_traffic_lasts, "the last ones lost"),
    ("deploy.batch", groups_of_arrivals, "closed before it starts"),
    ("deploy.table", medians_compared, "two averages side by side"),
    ("deploy.table", just_compare, "two averages side by side"),
    ("deploy.table", own_warmups, "pairs pulled apart"),
    ("deploy.table", all_calls, "warm-up counted"),
    ("deploy.table", calls_not_pictures, "seconds for a call"),
    ("deploy.table", five_percent, "5% on each side"),
    ("deploy.table", nan_slips_through, "NaN passes"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_at_serving_is_named_for_its_main_mistake(name, answer, mistake):
    for seed in range(3):
        verdict = judge(load(name), answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else None
        assert found == mistake, card.plain(verdict, 1)


UNRELATED = {
    "deploy.percentile": lambda latencies_s, percent, confidence=0.95: (0.37, 0.3, 0.4),
    "deploy.batch": lambda arrivals_ms, *how: ([(2 * t + 50 * i, [i]) for i, t in enumerate(arrivals_ms)], []),
    "deploy.table": lambda one, other, what, tolerance: ("not shown", 0.37),
}


@pytest.mark.parametrize("name", UNRELATED)
def test_what_is_like_no_known_mistake_in_serving_is_not_named_after_one(name):
    verdict = judge(load(name), UNRELATED[name], 0)
    assert verdict.status == "wrong" and verdict.diagnosis is None, verdict.diagnosis
