"""Module 6: whether a new model may take over, asked after every inspection without deceiving oneself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.capstone_canary_wrong import MISCONCEPTIONS, peeking
from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise

PARTS = ("the verdict", "the number of inspections")


def canary(stream: list[tuple[str, str, bool]], share: dict[str, float], alpha: float, ratio: float = 2.0) -> tuple[str, int]:
    """Whether the new model is better or worse than the old one, decided as soon as the errors prove it.

    Why:    whoever tests at 5% again after every picture finds a difference sooner or later where there is none; and
            rates of all factories together deceive, when the new model gets more of the pictures of a hard factory
    Units:  stream: inspections in the order in which they came, each (factory, "new" or "old", whether the answer was right).
            share: by factory, the chance that an inspection is given to the new model, by lot, 0 ≤ share ≤ 1, known in
            advance. 0 < alpha < 1; ratio > 1.
            Right answers prove nothing here; each error does. Let s be the share of its factory. If both models
            err equally often there, the error is the new model's with the chance s. If the new one errs t times as often,
            it is the new model's with the chance s · t / (s · t + 1 − s).
            The evidence for t is the product, over all errors of all factories so far, of the chance of what
            happened (the error was the new model's, or the old one's) with t, divided by its chance if both err equally
            often; 1 before the first error. After each inspection: "promote" when the evidence for t = 1 / ratio
            is 1 / alpha or more; "roll back" when the evidence for t = ratio is 1 / alpha or more. The first that
            happens counts, nothing after it is looked at. If neither happens: "go on". (They never happen at once, and no
            evidence is exactly 1 / alpha.)
            Returned: the verdict, and how many inspections it took, counted from 1; all of them for "go on"
    Source: Wald 1945 (the likelihood ratio as evidence); Ville 1939 (where there is no difference, the evidence ever reaches
            1 / alpha with a chance of alpha at the most, however often one looks)
    """
    evidence = {1 / ratio: 1.0, ratio: 1.0}
    for number, (factory, model, right) in enumerate(stream, 1):
        if right:
            continue
        s = share[factory]
        for t in evidence:  # (s · t / (s · t + 1 − s)) / s, or ((1 − s) / (s · t + 1 − s)) / (1 − s)
            evidence[t] *= (t if model == "new" else 1.0) / (s * t + 1 - s)
        if evidence[1 / ratio] >= 1 / alpha:
            return "promote", number
        if evidence[ratio] >= 1 / alpha:
            return "roll back", number
    return "go on", len(stream)


def _in_arrays(stream, share, alpha, ratio=2.0):
    s = np.array([share[factory] for factory, _, _ in stream])
    new = np.array([model == "new" for _, model, _ in stream], dtype=bool)
    error = np.array([not right for *_, right in stream], dtype=bool)
    first = {}
    for verdict, t in (("promote", 1 / ratio), ("roll back", ratio)):
        steps = np.where(error, np.where(new, math.log(t), 0.0) - np.log(s * t + 1 - s), 0.0)
        crossed = np.flatnonzero(np.cumsum(steps) >= -math.log(alpha))
        if crossed.size:
            first[int(crossed[0]) + 1] = verdict
    return (first[min(first)], min(first)) if first else ("go on", len(stream))


def _by_counting(stream, share, alpha, ratio=2.0):
    """From counts of errors by factory and model, as far as the stream has come."""

    def evidence(errors: Counter, t: float) -> float:
        total = 1.0
        for (factory, model), count in errors.items():
            s = share[factory]
            chance = s * t / (s * t + 1 - s)
            total *= (chance / s if model == "new" else (1 - chance) / (1 - s)) ** count
        return total

    counts: Iterator[Counter[tuple[str, str]]] = accumulate(stream, lambda errors, one: errors + Counter([] if one[2] else [one[:2]]), initial=Counter())
    for number, errors in enumerate(counts):
        for verdict, t in {"promote": 1 / ratio, "roll back": ratio}.items():
            if evidence(errors, t) * alpha >= 1:
                return [verdict, number]
    return ["go on", len(stream)]


def _in_fractions(stream, share, alpha, ratio=2.0):
    """Exactly, in whole numbers; the chance of what happened is asked for by name."""

    def chance(model: str, s: Fraction, t: Fraction) -> Fraction:
        new = s * t / (s * t + 1 - s)
        return new if model == "new" else 1 - new

    likely = {"promote": 1 / Fraction(ratio), "roll back": Fraction(ratio)}
    evidence = dict.fromkeys(likely, Fraction(1))
    for i in range(len(stream)):
        factory, model, right = stream[i]
        s = Fraction(share[factory])
        for verdict, t in likely.items() if not right else ():
            evidence[verdict] *= chance(model, s, t) / chance(model, s, Fraction(1))
            if evidence[verdict] * Fraction(alpha) >= 1:
                return verdict, i + 1
    return "go on", len(stream)


FACTORIES = ("north", "east", "south", "west")
RATES = dict(zip(FACTORIES, (0.04, 0.06, 0.3, 0.36)))  # how often the old model errs: two easy factories, two hard ones
EVEN = dict.fromkeys(FACTORIES, 0.5)
HARD = dict(zip(FACTORIES, (0.1, 0.15, 0.85, 0.8)))  # the new model gets most of the hard pictures
EASY = dict(zip(FACTORIES, (0.9, 0.85, 0.15, 0.2)))
Stream = list[tuple[str, str, bool]]


class _Line:
    """Inspections as they come, at random."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def _rand(self, n: int) -> list[float]:
        return torch.rand(n, generator=self.generator, dtype=torch.float64).tolist()

    def inspect(self, n: int, share: dict[str, float], times: float) -> Stream:
        """n inspections, of which the new model's err `times` as often as the old one's."""
        factories = [FACTORIES[int(4 * x)] for x in self._rand(n)]
        models = ["new" if x < share[factory] else "old" for factory, x in zip(factories, self._rand(n))]
        chances = [RATES[factory] * (times if model == "new" else 1) for factory, model in zip(factories, models)]
        return [(factory, model, x >= chance) for factory, model, chance, x in zip(factories, models, chances, self._rand(n))]

    def errors(self, *models: tuple[str, int]) -> Stream:
        """As many errors of a model, one after the other, in the north, with right answers of both between them."""
        found = []
        for model in (model for model, count in models for _ in range(count)):
            found += [("north", "new" if x < 0.5 else "old", True) for x in self._rand(int(4 * self._rand(1)[0]))]
            found.append(("north", model, False))
        return found

    def until(self, wanted: Callable[[Stream], bool], n: int, share: dict[str, float], times: float) -> Stream:
        """Inspections that come out as wanted."""
        while not wanted(stream := self.inspect(n, share, times)):
            pass
        return stream


def _cases(generator: Generator) -> Iterator[Case]:
    line = _Line(generator)

    def case(label: str, stream: Stream, share: dict[str, float], alpha: float = 0.05, *ratio: float) -> Case:
        own = [(factory, "".join(model), right) for factory, model, right in stream]  # strings of their own, as from a log
        return Case(label, (own, dict(share), alpha, *ratio))

    def verdict(want: str, share: dict[str, float], alpha: float = 0.05, ratio: float = 2.0, but: str = "", late: int = 1) -> Callable[[Stream], bool]:
        def fits(stream: Stream) -> bool:
            found, number = canary(stream, share, alpha, ratio)
            plain = ratio != 2 and canary(stream, share, alpha) == (found, number)
            return found == want and number >= late and not plain and (not but or peeking(stream, share, 0.05)[0] == but)

        return fits

    def drawn(want: str, n: int, share: dict[str, float], times: float, alpha: float = 0.05, ratio: float = 2.0, **how: Any) -> Stream:
        return line.until(verdict(want, share, alpha, ratio, **how), n, share, times)

    answers = (("new", True), ("new", True), ("new", True), ("old", False), ("old", False), ("old", True), ("old", False), ("new", False))
    hand = [("north", model, right) for model, right in answers]
    yield case("by hand: the evidence grows by 4/3 with each of the old model's errors; 1 / alpha is 2", hand, {"north": 0.5}, 0.5)
    yield case("by hand: 4/3 with each of the new model's errors; 1 / alpha is 5/3", [("north", "new", False)] * 3, {"north": 0.5}, 0.6)
    yield case("the new model is better, and gets the easy pictures", drawn("promote", 700, EASY, 0.4, late=60), EASY)
    yield case("the new model is better, and gets the hard pictures", drawn("promote", 700, HARD, 0.4, late=60), HARD)
    yield case("no difference, but the new model gets the hard pictures", drawn("go on", 300, HARD, 1.0, but="roll back"), HARD)
    yield case("the new model is worse, but gets the easy pictures", drawn("roll back", 700, EASY, 1.9, but="promote"), EASY)
    yield case("no difference; somewhere on the way it looks like one", drawn("go on", 500, EVEN, 1.0, but="roll back"), EVEN)
    yield case("the new model is worse, shares are even, at 1%", drawn("roll back", 700, EVEN, 2.0, alpha=0.01), EVEN, 0.01)
    yield case("three times as many errors, at 20%", drawn("roll back", 400, EVEN, 2.5, 0.2, 3.0, late=20), EVEN, 0.2, 3.0)
    none = {"north": 0.0, "east": 1.0, "south": 0.3, "west": 0.6}
    yield case("a factory without the new model, and one without the old", drawn("promote", 600, none, 0.35, late=40), none)
    yield case("proof, and then the contrary", line.errors(("old", 14), ("new", 20)), {"north": 0.5})
    yield case("a lead, and then the contrary, at 1%", line.errors(("old", 12), ("new", 18)), {"north": 0.5}, 0.01)
    yield case("nothing was inspected", [], EVEN)


EXERCISES = (
    Exercise(
        name="capstone.canary",
        title="The new model as a canary",
        points=13,
        minutes=80,
        difficulty=3,
        reference=canary,
        cases=_cases,
        compare=close(rtol=0, atol=0, parts=PARTS),
        alternatives=(_in_arrays, _by_counting, _in_fractions),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "The lot decides which model gets a picture. So if both err equally often, an error belongs to the new one as often as the lot gave it pictures of that factory: a coin whose bias you know. Bet on this coin, once as if the new model were better, once as if it were worse. Who bets on a fair game seldom gets rich: if you do, the game was not fair.",
            "two numbers, both 1.0 at first: evidence for t = 1 / ratio and for t = ratio; s = share[factory]; chance = s · t / (s · t + 1 − s); an error of the new model multiplies by chance / s, one of the old by (1 − chance) / (1 − s); both together are t / (s · t + 1 − s) and 1 / (s · t + 1 − s), which never divide by 0; number: inspections from 1",
            'better = worse = 1\nfor number, (factory, model, right), counting from 1:\n    if right: go on with the next\n    s = share[factory]\n    for both t: multiply its evidence by (t if the error is the new model\'s, else 1) / (s · t + 1 − s)\n    if better ≥ 1 / alpha: return "promote", number\n    if worse ≥ 1 / alpha: return "roll back", number\nreturn "go on", the length of the stream',
        ),
    ),
)
