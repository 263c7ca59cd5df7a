"""Module 2: judging random draws by their statistics.

Every limit is one that a right answer stays within all but once in a hundred million times. A check asks
up to some fifty times, so it is wrong about a right answer less than once in a million.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

FALSE_ALARM = 1e-8
Fact = tuple[str, Callable[[], object]]  # what should hold, and whether it does


def far_from_uniform(values: np.ndarray) -> bool:
    """Whether values do not look uniform in [0, 1]: too few up to some point, or too many.

    Source: Dvoretzky, Kiefer and Wolfowitz 1956, with Massart's constant
    """
    return above(values) > margin(len(values)) or below(values) > margin(len(values))


def above(values: np.ndarray) -> float:
    """By how much at most the share of values up to some point is higher than in a uniform draw."""
    values = np.sort(values)
    return float((np.arange(1, len(values) + 1) / len(values) - values.clip(0, 1)).max())


def below(values: np.ndarray) -> float:
    """By how much at most the share of values up to some point is lower than in a uniform draw."""
    values = np.sort(values)
    return float((values.clip(0, 1) - np.arange(len(values)) / len(values)).max())


def margin(n: int) -> float:
    """How far the shares of n draws may be from their chances."""
    return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n))


def linked(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two columns of uniform draws go together.

    Source: Hoeffding 1963 on the mean of products in [-1, 1]
    """
    products = (2 * one - 1) * (2 * other - 1)
    return abs(float(products.mean())) > 2 * margin(len(products))


def repeats(draw: Callable[[np.random.Generator], Any], seed: int) -> bool:
    """Whether equal generators give equal draws."""
    return alike(*(draw(np.random.default_rng(seed)) for _ in range(2)))


def alike(one: Any, other: Any) -> bool:
    """Whether two draws are equal: dicts, tuples and arrays by their content."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(alike(one[k], other[k]) for k in one)
    if isinstance(one, (tuple, list)):
        return isinstance(other, (tuple, list)) and len(one) == len(other) and all(map(alike, one, other))
    return bool(np.array_equal(one, other))


def is_false(fact: str) -> Callable[[Any, Any], bool]:
    """Recognises a misconception by one fact that does not hold, whatever else is wrong."""
    return lambda want, got: isinstance(got, dict) and got.get(fact) is False


def in_turn(facts: Iterable[Fact]) -> dict[str, bool]:
    """Facts, asked from the plainest on; after the first that does not hold the others are taken as true.

    So the fact that does not hold is what is wrong, and not a consequence of it.
    """
    found, sound = {}, True
    for name, holds in facts:
        found[name] = bool(holds()) if sound else True
        sound = sound and found[name]
    return found
