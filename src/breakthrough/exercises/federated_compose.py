"""Module 3: what many noisy rounds cost together, by Rényi differential privacy.

Shapes: A orders
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception


def epsilon(multiplier: float, rounds: int, delta: float, orders: np.ndarray) -> float:
    """The ε of many rounds with Gaussian noise, at a δ.

    Why:    ε of single rounds, added up, soon says nothing; counted by Rényi orders, a hundred rounds cost
            a tenth of that sum, and whether a run is allowed may hang on it
    Shapes: orders α (A,), all above 1 → ε ()
    Units:  one round at noise `multiplier` σ (standard deviation over clipping norm, every client taking part)
            costs α / (2σ²) at order α; rounds add up at the same order; at order α that means
            ε = cost + ln(1/δ) / (α − 1), and the best of the orders counts
    Source: Mironov 2017, arXiv:1702.07476, corollary 3 and propositions 1 and 3
    """
    cost = rounds * orders / (2 * multiplier**2)  # (A,)
    return float((cost + math.log(1 / delta) / (orders - 1)).min())


def _one_by_one(multiplier, rounds, delta, orders):
    best = math.inf
    for order in orders:
        spent = sum(order / (2 * multiplier * multiplier) for _ in range(rounds))
        best = min(best, spent - math.log(delta) / (order - 1))
    return best


def _nearest_to_the_best(multiplier, rounds, delta, orders):
    rate, log = rounds / (2 * multiplier**2), np.log(1 / delta)
    best = 1 + np.sqrt(log / rate)  # where the derivative is 0; the curve falls before it and rises after it
    below, above = orders[orders <= best], orders[orders > best]
    ends = [*([below.max()] if below.size else []), *([above.min()] if above.size else [])]
    return np.min([order * rate + log / (order - 1) for order in ends])


def _all_rounds_in_a_table(multiplier, rounds, delta, orders):
    spent = np.add.accumulate(np.tile(0.5 * orders / np.square(multiplier), (rounds, 1)), axis=0)[-1]  # (A,)
    return sorted(spent + np.log1p(1 / delta - 1) / (orders - 1))[0]


Cost = Callable[[float, int, np.ndarray], np.ndarray]
Tail = Callable[[float, np.ndarray], np.ndarray]


def _rule(
    cost: Cost = lambda sigma, rounds, orders: rounds * orders / (2 * sigma**2),
    tail: Tail = lambda delta, orders: math.log(1 / delta) / (orders - 1),
    pick: Callable[[np.ndarray], float] = np.min,
) -> Callable[..., float]:
    """A composition that differs in one respect."""
    return lambda multiplier, rounds, delta, orders: float(pick(cost(multiplier, rounds, orders) + tail(delta, orders)))


def _added(multiplier, rounds, delta, orders):
    return rounds * epsilon(multiplier, 1, delta, orders)


def _added_with_split_delta(multiplier, rounds, delta, orders):
    return rounds * epsilon(multiplier, 1, delta / rounds, orders)


def _advanced(multiplier, rounds, delta, orders):
    return math.sqrt(rounds) * epsilon(multiplier, 1, delta, orders)


def _advanced_theorem(multiplier, rounds, delta, orders):
    one = epsilon(multiplier, 1, delta, orders)
    return one * math.sqrt(2 * rounds * math.log(1 / delta)) + rounds * one * math.expm1(min(one, 50))


def _textbook(power: float, scale: float = 1.25) -> Callable[..., float]:
    return lambda multiplier, rounds, delta, orders: rounds**power * math.sqrt(2 * math.log(scale / delta)) / multiplier


def _apart(multiplier, rounds, delta, orders):
    return float((rounds * orders / (2 * multiplier**2)).min() + (math.log(1 / delta) / (orders - 1)).min())


def _tighter(delta: float, orders: np.ndarray) -> np.ndarray:
    return np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)


def _cases(generator: Generator):
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    fine = np.concatenate([np.arange(1.1, 11, 0.1), np.arange(12, 257)])
    coarse = np.array([2.0, 3, 5, 8, 16, 32, 64, 128, 512])
    yield Case("100 rounds, σ = 10, δ = 1e-5", (10.0, 100, 1e-5, fine))
    yield Case("one round, σ = 4", (4.0, 1, 1e-6, coarse))
    yield Case("little noise, σ = 0.8", (0.8, 20, 1e-5, fine))
    yield Case("much noise: the largest order is the best", (300.0, 3, 1e-5, coarse))
    yield Case("orders in any order", (float(rng.uniform(2, 6)), int(rng.integers(5, 40)), 10 ** -float(rng.uniform(4, 8)), rng.permutation(fine)))
    yield Case("a δ of 0.3", (4.0, 10, 0.3, fine))
    yield Case("a single order", (float(rng.uniform(2, 6)), int(rng.integers(5, 40)), 1e-3, np.array([7.5])))


def _picks(*picks: Callable[[np.ndarray], float]) -> Sequence[Callable[..., float]]:
    return [_rule(pick=pick) for pick in picks]


EXERCISES = (
    Exercise(
        name="federated.compose",
        title="Composing ε",
        points=5,
        minutes=30,
        difficulty=2,
        reference=epsilon,
        cases=_cases,
        compare=close(rtol=1e-5, atol=1e-9),
        alternatives=(_one_by_one, _nearest_to_the_best, _all_rounds_in_a_table),
        misconceptions=(
            Misconception(
                "ε added up",
                _added,
                "ε was worked out for one round and multiplied by the rounds, so the δ term counts each time: add up the costs at one order first, and turn the sum into ε once.",
                variants=(_added_with_split_delta,),
            ),
            Misconception(
                "√rounds times one ε",
                _advanced,
                "The ε of one round was scaled by √rounds, as advanced composition roughly says: at an order the costs add up exactly, so multiply α/(2σ²) by rounds.",
                variants=(_advanced_theorem, _rule(lambda sigma, rounds, orders: math.sqrt(rounds) * orders / (2 * sigma**2))),
            ),
            Misconception(
                "one round",
                _rule(lambda sigma, rounds, orders: orders / (2 * sigma**2)),
                "The number of rounds has no effect: each round costs α/(2σ²) again.",
            ),
            Misconception(
                "σ not squared",
                _rule(lambda sigma, rounds, orders: rounds * orders / (2 * sigma)),
                "The cost is divided by 2σ: noise enters by its variance, 2σ².",
            ),
            Misconception(
                "squared twice",
                _rule(lambda sigma, rounds, orders: rounds * orders / (2 * sigma**4)),
                "The cost is divided by 2σ⁴: the multiplier is a standard deviation, so square it once.",
            ),
            Misconception(
                "without the 2",
                _rule(lambda sigma, rounds, orders: rounds * orders / sigma**2),
                "The cost of a round is α/(2σ²): the 2 is missing, or is not in the denominator; mind the brackets.",
                variants=(_rule(lambda sigma, rounds, orders: rounds * orders / 2 * sigma**2), _rule(lambda sigma, rounds, orders: rounds * orders * 2 / sigma**2)),
            ),
            Misconception(
                "δ without a logarithm",
                _rule(tail=lambda delta, orders: 1 / delta / (orders - 1)),
                "δ enters by its logarithm: ln(1/δ), 11.5 for 1e-5, divided by α − 1.",
                variants=(_rule(tail=lambda delta, orders: delta / (orders - 1)), _rule(tail=lambda delta, orders: delta + 0 * orders)),
            ),
            Misconception(
                "the sign of ln δ",
                _rule(tail=lambda delta, orders: math.log(delta) / (orders - 1)),
                "ln(δ) is negative, so a smaller δ would cost less: it is ln(1/δ) = −ln(δ) that is added.",
            ),
            Misconception(
                "another logarithm",
                _rule(tail=lambda delta, orders: math.log10(1 / delta) / (orders - 1)),
                "The logarithm is the natural one: math.log, not log10 or log2.",
                variants=(_rule(tail=lambda delta, orders: math.log2(1 / delta) / (orders - 1)),),
            ),
            Misconception(
                "divided by α",
                _rule(tail=lambda delta, orders: math.log(1 / delta) / orders),
                "ln(1/δ) is divided by α − 1, not by α: for orders near 1 the term grows without end.",
                variants=(_rule(tail=lambda delta, orders: math.log(1 / delta) / (orders + 1)),),
            ),
            Misconception(
                "one order only",
                _rule(pick=lambda values: values[0]),
                "A single order was looked at: every order gives a true bound, so compute them all and take the smallest.",
                variants=tuple(_picks(lambda values: values[-1], lambda values: values[len(values) // 2])),
            ),
            Misconception(
                "not the smallest",
                _rule(pick=np.max),
                "The largest, the sum or the mean over the orders is no better than each of them: all are true bounds, so the smallest counts.",
                variants=tuple(_picks(np.mean, np.median, np.sum)),
            ),
            Misconception(
                "two minima",
                _apart,
                "The two terms were minimised apart, at different orders: both belong to the same α, so add first and take the minimum of the sums.",
            ),
            Misconception(
                "the textbook's mechanism",
                _textbook(1),
                "That is the classical formula of one Gaussian mechanism, √(2 ln(1.25/δ))/σ, scaled up: use the orders, which compose without loss.",
                variants=(_textbook(0.5), _textbook(0), _textbook(0.5, 1.0)),
            ),
            Misconception(
                "the tighter conversion",
                _rule(tail=_tighter),
                "That is the tighter conversion of later papers, which opacus uses: right, and a little smaller; here the plain one is asked for, ln(1/δ)/(α − 1).",
            ),
        ),
        hints=(
            "Privacy loss is counted in a currency in which it adds up: Rényi divergence at an order α. Add the rounds in that currency, change the sum into ε once, and choose the α that gives the best rate.",
            "orders (A,) → cost (A,) = rounds · α / (2σ²); ln(1/δ) / (α − 1) (A,); their sum (A,) → its minimum ()",
            "for each order α:\n    cost = rounds · α / (2 · multiplier²)\n    candidate = cost + ln(1 / delta) / (α − 1)\nreturn the smallest candidate",
        ),
    ),
)
