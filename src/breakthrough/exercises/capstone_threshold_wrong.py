"""Module 6: thresholds that cost more, for capstone.threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from breakthrough.exercises.exercise import Misconception

PARTS = ("the threshold", "the cost")


@dataclass(frozen=True)
class Tried:
    """What thresholds do to the set: how many of the bad each misses, how many of the good it stops; and the line."""

    missed: Any
    alarmed: Any
    bad: int
    good: int
    rate: float
    miss: float
    alarm: float


Loss = Callable[[Tried], Any]


def _right(t: Tried) -> Any:
    return 1000 * (t.rate * t.miss * t.missed / t.bad + (1 - t.rate) * t.alarm * t.alarmed / t.good)


def _tried(scores: np.ndarray, faulty: np.ndarray, at: Any, line: tuple[float, ...], above: bool = False) -> Tried:
    """One threshold, or an array of them."""
    each = np.asarray(at)[..., None]
    stopped = scores > each if above else scores >= each
    bad = int(faulty.sum())
    return Tried(bad - stopped[..., faulty].sum(-1), stopped[..., ~faulty].sum(-1), bad, len(faulty) - bad, *line)


def costs(scores: np.ndarray, faulty: np.ndarray, *line: float) -> dict[float, float]:
    """Every candidate and what a thousand inspections cost with it."""
    tried = np.append(np.unique(scores), math.inf)
    return dict(zip(tried.tolist(), _right(_tried(scores, faulty, tried, line)).tolist()))


def looked(scores: np.ndarray, faulty: np.ndarray, *line: float) -> Callable[[Any], Any]:
    """What makes the parts of an output by name. The cost hangs on the threshold: it is looked at where that is right."""
    found = costs(scores, faulty, *line)
    least = min(found.values())
    best = max(at for at, cost in found.items() if cost <= least * (1 + 1e-9))

    def look(output: Any) -> Any:
        if not isinstance(output, (tuple, list)) or len(output) != 2:
            return output
        right = isinstance(output[0], (int, float, np.generic)) and (output[0] == best or math.isclose(output[0], best, rel_tol=1e-6))
        return dict(zip(PARTS, (output[0], output[1] if right else "not looked at while the threshold differs")))

    return look


def _all(scores: np.ndarray, faulty: np.ndarray) -> Iterable[float]:
    return [*np.unique(scores).tolist(), math.inf]


def _wrong(loss: Loss = _right, candidates: Callable[[np.ndarray, np.ndarray], Iterable[float]] = _all, report: Loss | None = None, above: bool = False, smallest: bool = False) -> Callable[..., tuple[float, float]]:
    """An answer that differs in what is given; without `report` the cost is the lowest loss."""

    def answer(scores, faulty, rate, miss_cost, alarm_cost):
        at = np.sort(list(candidates(scores, faulty)))[:: 1 if smallest else -1]
        tried = _tried(scores, faulty, at, (rate, miss_cost, alarm_cost), above)
        values = loss(tried) + np.zeros(len(at))
        best = int(np.argmax(values <= values.min() + 1e-12))
        return float(at[best]), float(values[best] if report is None else (report(tried) + np.zeros(len(at)))[best])

    return answer


def _ways(*ways: dict[str, Any]) -> dict[str, Any]:
    answers = [_wrong(**way) for way in ways]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _losses(*losses: Loss) -> dict[str, Any]:
    """Wrong losses, with what they say themselves for the cost, and with the right one."""
    return _ways(*({"loss": loss, "report": report, "smallest": smallest} for loss in losses for report in (None, _right) for smallest in (False, True)))


def _of_set(t: Tried) -> float:
    return 1000 * (t.miss * t.missed + t.alarm * t.alarmed) / (t.bad + t.good)


def _f1(t: Tried) -> Any:
    hits = t.bad - t.missed
    return -2 * hits / (2 * hits + t.missed + t.alarmed)


def _of_alarms(t: Tried) -> Any:
    """The share of alarms that are false, in place of the share of sound parts that are stopped."""
    stopped = np.maximum(t.bad - t.missed + t.alarmed, 1)
    return 1000 * (t.rate * t.miss * t.missed / t.bad + (1 - t.rate) * t.alarm * t.alarmed / stopped)


def _one(at: Callable[[Tried], float]) -> Callable[..., tuple[float, float]]:
    """A threshold by a formula of the line, without the set."""

    def answer(scores, faulty, *line):
        found = at(_tried(scores, faulty, 0.0, line))
        return found, float(_right(_tried(scores, faulty, found, line)))

    return answer


def _least_stopped(share: float) -> Callable[..., tuple[float, float]]:
    """The largest threshold at which this share of the faulty is stopped."""

    def answer(scores, faulty, *line):
        at = np.sort(scores[faulty])[int((1 - share) * faulty.sum() + 1e-9)]
        return float(at), float(_right(_tried(scores, faulty, at, line)))

    return answer


def _between(scores: np.ndarray, faulty: np.ndarray) -> list[float]:
    values = np.unique(scores)
    return [*((values[1:] + values[:-1]) / 2).tolist(), math.inf, float(values[0])]


def _ends(values: np.ndarray) -> list[float]:
    return [*values.tolist(), math.inf]


def _torn(order: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[..., tuple[float, float]]:
    """Picture by picture in order of the scores, as if equal ones could be told apart."""

    def answer(scores, faulty, *line):
        best, missed, alarmed = (math.inf, math.inf), int(faulty.sum()), 0
        sizes = missed, len(faulty) - missed
        for at in [None, *order(scores, faulty).tolist()]:
            missed, alarmed = (missed, alarmed) if at is None else (missed - int(faulty[at]), alarmed + int(not faulty[at]))
            cost = _right(Tried(missed, alarmed, *sizes, *line))
            if cost < best[1] - 1e-12:
                best = (math.inf if at is None else float(scores[at])), cost
        return best

    return answer


def _of_scores(each: Callable[[np.ndarray], Any]) -> Callable[[float, np.ndarray], Any]:
    return lambda at, scores: each(scores)


def _cut(at: Callable[[float, np.ndarray], Any]) -> Callable[..., tuple[float, float]]:
    """The right threshold, but for infinity, in place of which something else is given."""

    def answer(scores, faulty, *line):
        found = costs(scores, faulty, *line)
        best = max(at for at, cost in found.items() if cost <= min(found.values()) * (1 + 1e-9))
        return at(best, scores) if best == math.inf else best, found[best]

    return answer


MISCONCEPTIONS = (
    Misconception(
        "half is the threshold",
        says="The threshold is 0.5 whatever it costs: a score need be no probability, and a miss may be dearer than a hundred alarms; try every score.",
        **_ways({"candidates": lambda scores, faulty: [0.5]}),
    ),
    Misconception(
        "the rate of the set",
        says="The pictures of the set were counted as they are, as if the line had as many faulty parts as the set: take the shares missed and stopped, each of its own kind, and weigh them by rate and 1 − rate.",
        **_losses(_of_set, lambda t: t.miss * t.missed + t.alarm * t.alarmed, lambda t: 1000 * (t.miss * t.missed + t.alarm * t.alarmed)),
    ),
    Misconception(
        "the shares alone",
        says="The two shares were weighed alike: of 1,000 parts on the line 1000 · rate are faulty and 1000 · (1 − rate) are sound, so `rate` belongs into the cost.",
        **_losses(lambda t: 1000 * (t.miss * t.missed / t.bad + t.alarm * t.alarmed / t.good), lambda t: 500 * (t.miss * t.missed / t.bad + t.alarm * t.alarmed / t.good)),
    ),
    Misconception(
        "the rate twice",
        says="Counts were divided by all pictures and then weighed by the rate, so the set's own share of faulty ones counts as well: divide the missed by the faulty, the stopped by the sound ones.",
        **_losses(lambda t: 1000 * (t.rate * t.miss * t.missed + (1 - t.rate) * t.alarm * t.alarmed) / (t.bad + t.good), lambda t: t.rate * t.miss * t.missed + (1 - t.rate) * t.alarm * t.alarmed, lambda t: 1000 * (t.rate * t.miss * t.missed + (1 - t.rate) * t.alarm * t.alarmed)),
    ),
    Misconception(
        "most are right",
        says="That threshold makes the fewest mistakes, as if a miss and a false alarm cost the same: minimise the cost.",
        **_losses(lambda t: t.missed + t.alarmed, lambda t: (t.missed + t.alarmed) / (t.bad + t.good), lambda t: 1000 * (t.rate * t.missed / t.bad + (1 - t.rate) * t.alarmed / t.good)),
    ),
    Misconception(
        "a score without money",
        says="The threshold is the best by F1 or by hits less false alarms, which know neither the rate nor what a mistake costs: minimise the cost of 1,000 inspections.",
        **_losses(_f1, lambda t: t.missed / t.bad + t.alarmed / t.good),
    ),
    Misconception(
        "the other cost",
        says="The costs are exchanged: miss_cost belongs to faulty parts that pass, alarm_cost to sound parts that are stopped.",
        **_losses(lambda t: 1000 * (t.rate * t.alarm * t.missed / t.bad + (1 - t.rate) * t.miss * t.alarmed / t.good)),
    ),
    Misconception(
        "the other rate",
        says="The rate is exchanged: `rate` is the share of faulty parts, which can be missed; 1 − rate are sound and can give false alarms.",
        **_losses(lambda t: 1000 * ((1 - t.rate) * t.miss * t.missed / t.bad + t.rate * t.alarm * t.alarmed / t.good)),
    ),
    Misconception(
        "every part may give an alarm",
        says="False alarms are weighed as if all 1,000 parts were sound: 1000 · (1 − rate) are.",
        **_losses(lambda t: 1000 * (t.rate * t.miss * t.missed / t.bad + t.alarm * t.alarmed / t.good)),
    ),
    Misconception(
        "the share of the alarms",
        says="What share of the alarms is false was taken: it depends on how many faulty parts the set has; take the share of the sound pictures that is stopped.",
        **_losses(_of_alarms),
    ),
    Misconception(
        "hits for misses",
        says="The faulty parts that are stopped were paid for, or sound ones that pass: a miss is a faulty part with a score below the threshold.",
        **_losses(
            lambda t: 1000 * (t.rate * t.miss * (1 - t.missed / t.bad) + (1 - t.rate) * t.alarm * t.alarmed / t.good),
            lambda t: 1000 * (t.rate * t.miss * t.missed / t.bad + (1 - t.rate) * t.alarm * (1 - t.alarmed / t.good)),
            lambda t: 1000 * (t.rate * t.miss * (1 - t.missed / t.bad) + (1 - t.rate) * t.alarm * (1 - t.alarmed / t.good)),
        ),
    ),
    Misconception(
        "a recall that sounds good",
        _least_stopped(1.0),
        "That threshold stops all of the faulty pictures, or 99 or 95 of 100, at any price: what a miss may cost is given, so weigh it against the false alarms.",
        variants=(*map(_least_stopped, (0.995, 0.99, 0.98, 0.95, 0.9)), _wrong(lambda t: 1000 * t.rate * t.miss * t.missed / t.bad)),
    ),
    Misconception(
        "a formula for probabilities",
        _one(lambda t: t.alarm / (t.alarm + t.miss)),
        "That is where a probability would break even: scores are none, and the set's share of faulty ones is in them; try every score that occurs.",
        variants=(_one(lambda t: (1 - t.rate) * t.alarm / ((1 - t.rate) * t.alarm + t.rate * t.miss)), _one(lambda t: 1 - t.rate), _one(lambda t: t.rate), _one(lambda t: t.miss / (t.alarm + t.miss))),
    ),
    Misconception(
        "a grid",
        says="Thresholds from a grid were tried: scores lie between its points or beyond 0 and 1; the candidates are the scores that occur, and math.inf.",
        **_ways(*({"candidates": lambda scores, faulty, grid=grid: grid.tolist()} for n in (11, 21, 100, 101, 201, 1000, 1001) for grid in (np.linspace(0, 1, n), np.linspace(0, 1, n)[:-1])), *({"candidates": lambda scores, faulty, grid=grid: _ends(grid)} for grid in (np.linspace(0, 1, 101), np.linspace(0, 1, 1001))), *({"candidates": lambda scores, faulty, n=n: np.linspace(scores.min(), scores.max(), n).tolist()} for n in (100, 101, 1000)), {"candidates": lambda scores, faulty: np.arange(0.01, 1, 0.01).tolist()}),
    ),
    Misconception(
        "between two scores",
        says="The threshold lies between two scores, or a little beside one: the same parts are stopped, but the candidates asked for are the scores themselves, with score ≥ threshold.",
        **_ways({"candidates": _between}, {"candidates": lambda scores, faulty: [*_between(scores, faulty)[:-2], math.inf, -math.inf]}, {"candidates": lambda scores, faulty: [*(np.unique(scores) - 1e-6).tolist(), math.inf]}, {"candidates": lambda scores, faulty: [*(np.unique(scores) - 1e-3).tolist(), math.inf]}),
    ),
    Misconception(
        "above, not at",
        says="A part was stopped only when its score is above the threshold: one at the threshold is stopped, too: score >= threshold.",
        **_ways({"above": True}, {"above": True, "candidates": lambda scores, faulty: [-math.inf, *_all(scores, faulty)]}, {"above": True, "candidates": lambda scores, faulty: np.unique(scores).tolist()}, {"above": True, "candidates": lambda scores, faulty: [-math.inf, *np.unique(scores).tolist()]}, {"above": True, "smallest": True}),
    ),
    Misconception(
        "something is always stopped",
        says="math.inf was not among the candidates: where faulty parts are rare and alarms dear it is cheapest to stop nothing.",
        **_ways({"candidates": lambda scores, faulty: np.unique(scores).tolist()}, {"candidates": lambda scores, faulty: np.unique(scores[faulty]).tolist()}),
    ),
    Misconception(
        "another number for infinity",
        _cut(lambda at, scores: float(scores.max()) + 1),
        "Where nothing is to be stopped the threshold is some other number: asked for is math.inf, which no score ever reaches.",
        variants=tuple(_cut(_of_scores(each)) for each in (lambda s: 1.0, lambda s: 1.1, lambda s: 2.0, lambda s: 1.01, lambda s: -1.0, lambda s: None, lambda s: math.nan, lambda s: float(s.max()) + 1e-3, lambda s: -math.inf)),
    ),
    Misconception(
        "not all is ever stopped",
        says="The smallest score is not among the candidates: where a miss is dear enough everything is stopped.",
        **_ways({"candidates": lambda scores, faulty: _ends(np.unique(scores)[1:])}),
    ),
    Misconception(
        "the smallest of the best",
        says="Of several candidates that cost the same the smallest was taken: the largest is asked for, which gives the fewest alarms.",
        **_ways({"smallest": True}),
    ),
    Misconception(
        "equal scores torn apart",
        _torn(lambda scores, faulty: np.argsort(-scores, kind="stable")),
        "Pictures with the same score were counted one after another, as if a threshold could fall between them: at a threshold all that have this score are stopped.",
        variants=(
            _torn(lambda scores, faulty: np.argsort(scores, kind="stable")[::-1]),
            _torn(lambda scores, faulty: np.argsort(scores)[::-1]),
            _torn(lambda scores, faulty: np.argsort(-scores)),
            _torn(lambda scores, faulty: np.lexsort((~faulty, -scores))),
        ),
    ),
    Misconception(
        "the cost of something else",
        says="The threshold is right, the cost is not that of 1,000 inspections: 1000 · (rate · share missed · miss_cost + (1 − rate) · share stopped · alarm_cost).",
        **_ways(*({"report": report} for report in (lambda t: _right(t) / 1000, lambda t: _right(t) / 10, lambda t: _right(t) * (t.bad + t.good) / 1000, _of_set, lambda t: t.miss * t.missed + t.alarm * t.alarmed, lambda t: t.missed + t.alarmed, lambda t: 1000 * t.rate * t.miss * t.missed / t.bad))),
    ),
)
