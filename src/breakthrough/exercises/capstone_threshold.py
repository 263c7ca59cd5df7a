"""Module 6: the threshold at which a thousand inspections cost least on the real line."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.capstone_threshold_wrong import MISCONCEPTIONS, costs, looked
from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise


def threshold(scores: np.ndarray, faulty: np.ndarray, rate: float, miss_cost: float, alarm_cost: float) -> tuple[float, float]:
    """The score from which a part is stopped, so that a thousand inspections cost least, and what they cost.

    Why:    a validation set has as many faulty parts as we like, so that each defect is seen often; on the line one
            part in two hundred may be faulty, and each of the others can give a false alarm
    Shapes: scores (N,), faulty (N,) bool → two numbers
    Units:  a score is any number, the higher the more probably faulty; it need be no probability, and several pictures
            may have the same. A part is stopped when its score ≥ threshold. On the line the share `rate` of parts is
            faulty; of the faulty parts there, as of the sound ones, as large a share is stopped as of the faulty and of
            the sound pictures of the set (which has both). A faulty part that is not stopped costs miss_cost, a sound
            part that is stopped costs alarm_cost, anything else nothing; 0 < rate < 1, both costs are above 0.
            Candidates are all scores that occur, and math.inf, at which nothing is stopped. Of several candidates that
            cost least it is the largest. Returned: the threshold, and the expected cost of 1,000 inspections there
    """
    best, lowest = math.inf, math.inf
    for candidate in sorted({*np.asarray(scores).tolist(), math.inf}, reverse=True):
        stopped = scores >= candidate
        missed = 1 - stopped[faulty].mean()  # of the faulty
        alarmed = stopped[~faulty].mean()  # of the sound
        cost = 1000 * (rate * missed * miss_cost + (1 - rate) * alarmed * alarm_cost)
        if cost < lowest:
            best, lowest = candidate, float(cost)
    return best, lowest


def _swept(scores, faulty, rate, miss_cost, alarm_cost):
    """Sorted once, all candidates together."""
    values, place = np.unique(scores, return_inverse=True)
    hits, alarms = (np.cumsum(np.bincount(place[who], minlength=len(values))[::-1])[::-1] / who.sum() for who in (faulty, ~faulty))
    values, hits, alarms = np.append(values, np.inf), np.append(hits, 0.0), np.append(alarms, 0.0)
    cost = (rate * miss_cost * (1 - hits) + (1 - rate) * alarm_cost * alarms) * 1000
    best = len(cost) - 1 - np.argmin(cost[::-1])
    return values[best], cost[best]


def _by_faulty_scores(scores, faulty, rate, miss_cost, alarm_cost):
    """From one faulty score to the next above nothing changes but that false alarms end: the others need no trial."""
    bad, good = (sorted(float(s) for s, f in zip(scores, faulty) if bool(f) == kind) for kind in (True, False))
    tried = []
    for candidate in {*bad, float("inf")}:
        missed, alarmed = bisect_left(bad, candidate), len(good) - bisect_left(good, candidate)
        tried.append((1000 * rate * miss_cost * missed / len(bad) + 1000 * (1 - rate) * alarm_cost * alarmed / len(good), -candidate))
    cost, negative = min(tried)
    return -negative, cost


def _by_weights(scores, faulty, rate, miss_cost, alarm_cost):
    """Every picture stands for so many parts of the line; in tensors."""
    s, f = torch.as_tensor(np.array(scores)), torch.as_tensor(np.array(faulty))
    weight = torch.where(f, 1000 * rate * miss_cost / f.sum(), 1000 * (1 - rate) * alarm_cost / (~f).sum())
    candidates = torch.cat([s, torch.tensor([math.inf], dtype=s.dtype)])
    passed = s[None, :] < candidates[:, None]
    cost = ((passed == f) * weight).sum(1)
    least = cost.min()
    return candidates[cost <= least * (1 + 1e-9)].max().item(), least.item()


class _Set:
    """A validation set as a net may give it: scores of two kinds of parts that overlap."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def drawn(self, bad: int, good: int, apart: float = 2.2, digits: int = 4, logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Scores and labels, mixed. Few `digits` make many scores equal."""
        raw = 1.1 * torch.randn(bad + good, generator=self.generator, dtype=torch.float64) - 1.2
        raw[:bad] += apart
        scores = (raw if logits else raw.sigmoid()).numpy().round(digits)
        order = torch.randperm(bad + good, generator=self.generator).numpy()
        return scores[order], order < bad

    def clear(self, rate: float, miss: float, alarm: float, bad: int, good: int, where: str = "inside", **how: Any) -> tuple:
        """A set whose best candidate is clearly the best, and lies where it is wanted; with the line's numbers."""
        while True:
            scores, faulty = self.drawn(bad, good, **how)
            found = costs(scores, faulty, rate, miss, alarm)
            first, second = sorted(found.values())[:2]
            best = min(found, key=found.__getitem__)
            place = "none" if best == math.inf else "all" if best == min(found) else "inside"
            if place == where and second - first > 1e-6 * first:
                return scores, faulty, rate, miss, alarm

    def stepped(self, *steps: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """A set in steps of so many sound and then so many faulty pictures, from the highest score down.

        A step pays when a miss is dear enough against an alarm: with steps that pay less and less, whoever weighs
        the two otherwise stops at another one.
        """
        labels = torch.tensor([kind for sound, bad in steps for kind in [False] * sound + [True] * bad])
        values = (torch.randperm(9999, generator=self.generator)[: len(labels)].sort(descending=True).values + 1) / 10000
        order = torch.randperm(len(labels), generator=self.generator)
        return values.double()[order].numpy().round(4), labels[order].numpy()


def _array(*values: float) -> np.ndarray:
    return np.array(values)


def _torn(first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Half of the faulty and many sound ones at one score; which come first in the list is given."""
    same = [True] * 4 + [False] * 6
    return _array(0.9, 0.8, *[0.5] * 10, *[0.2] * 4, 0.1, 0.0), np.array([True, True, *(same if first else same[::-1]), *[False] * 4, True, True])


def _cases(generator: Generator) -> Iterator[Case]:
    make = _Set(generator)

    def case(label: str, *args: Any) -> Case:
        return Case(label, args, look=looked(*args))

    hand = _array(0.9, 0.6, 0.4, 0.7, 0.2, 0.1), np.array([True, True, True, False, False, False])
    yield case("3 faulty and 3 sound, 1 in 10 faulty, costs 30 and 2: 0.4 at 600 (0.6: 1600, 0.9: 2000)", *hand, 0.1, 30.0, 2.0)
    # quarters and eighths, so that the tie is exact however it is computed
    tie = _array(0.9, 0.8, 0.6, 0.55, 0.7, 0.5, 0.2, 0.1), np.array([True] * 4 + [False] * 4)
    yield case("a tie: at 0.8 and at 0.55 it costs 1000; the larger", *tie, 0.5, 4.0, 8.0)
    yield case("a balanced set, 1 in 200 faulty on the line", *make.clear(1 / 200, 60.0, 1.0, make.whole(40, 50), make.whole(40, 50)))
    # the right weights stop at the 3rd and the 5th step, those of another rate or cost at one before or after
    few = make.stepped((0, 6), (4, 3), (5, 2), (6, 1), (50, 1))
    yield case("a set with few faulty, 1 in 5 faulty on the line", *few, 0.2, 9.0, 4.0)
    half = make.stepped((0, 8), (8, 5), (20, 3), (26, 2), (27, 1), (9, 0))
    yield case("nearly every second part faulty on the line", *half, 0.48, 9.0, 1.0)
    yield case("logits for scores", *make.clear(0.03, 25.0, 2.0, make.whole(20, 30), make.whole(40, 50), logits=True))
    yield case("scores of two digits, many the same", *make.clear(0.04, 40.0, 3.0, make.whole(60, 80), make.whole(60, 80), digits=1, apart=2.6))
    yield case("ten pictures with the same score, faulty ones first", *_torn(True), 0.1, 9.0, 1.0 + 0.01 * make.whole(1, 20))
    yield case("ten pictures with the same score, sound ones first", *_torn(False), 0.1, 9.0, 1.0 + 0.01 * make.whole(1, 20))
    yield case("1 in 2,000 faulty, alarms are dear: nothing is stopped", *make.clear(1 / 2000, 3.0, 5.0, make.whole(20, 30), make.whole(20, 30), apart=0.6, where="none", digits=3))
    yield case("misses are very dear: everything is stopped", *make.clear(0.2, 5000.0, 1.0, make.whole(20, 30), make.whole(20, 30), apart=0.2, where="all", digits=3))


EXERCISES = (
    Exercise(
        name="capstone.threshold",
        title="A threshold under a cost",
        points=9,
        minutes=50,
        difficulty=2,
        reference=threshold,
        cases=_cases,
        compare=close(rtol=1e-6, atol=1e-9),
        alternatives=(_swept, _by_faulty_scores, _by_weights),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Two shares do not depend on how many faulty parts there are: of the faulty ones the share that is missed, and of the sound ones the share that is stopped. Learn these two from the set, each among its own kind, and let the line say how many of each kind there are in 1,000 inspections. Then money decides, not accuracy.",
            "candidates: the different scores and math.inf; for one: stopped = scores >= candidate, (N,) bool; missed = the share of False in stopped[faulty]; alarmed = the share of True in stopped[~faulty]; in 1,000 inspections there are 1000 · rate faulty and 1000 · (1 − rate) sound parts; returned: the candidate with the lowest cost, and that cost",
            "for every candidate, from the largest (math.inf) to the smallest score:\n    stopped = scores >= candidate\n    missed = share of the faulty pictures that are not stopped\n    alarmed = share of the sound pictures that are stopped\n    cost = 1000 · (rate · missed · miss_cost + (1 − rate) · alarmed · alarm_cost)\n    if it is lower than the lowest so far: keep candidate and cost\nreturn both",
        ),
    ),
)
