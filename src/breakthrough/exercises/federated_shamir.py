"""Module 3: a secret shared among members, and recovered from enough of them.

Numbers are Python's own, which have no largest one; everything is modulo a prime.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from torch import Generator

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.federated_shamir_wrong import MISCONCEPTIONS
from breakthrough.exercises.scenes_inputs import numpy_from


class Shamir:
    """Share a secret so that enough members recover it, and fewer learn nothing at all.

    Why:    a member that drops out takes its masks with it, and the sum stays noise; with shares of its secret
            the others give the masks back, and no few of them can do it behind its back
    Units:  whole numbers modulo a prime. The secret and the coefficients c₁, c₂, … are those of
            f(x) = secret + c₁·x + c₂·x² + …; the share of the member `name` is f(name + 1), as names
            start at 0 and f(0) is the secret itself. Recovering takes one share more than there are
            coefficients, or any more than that
    """

    def __init__(self, prime: int) -> None:
        self.prime = prime

    def share(self, secret: int, coefficients: Sequence[int], names: Sequence[int]) -> dict[int, int]:
        """The share of each name, 0 … prime − 1."""
        terms = list(enumerate([secret, *coefficients]))
        return {name: sum(c * pow(name + 1, power, self.prime) for power, c in terms) % self.prime for name in names}

    def recover(self, shares: Mapping[int, int]) -> int:
        """The secret, f(0), by Lagrange from shares by name."""
        secret = 0
        for name, share in shares.items():
            others = [other + 1 for other in shares if other != name]
            above, below = prod(others), prod(x - (name + 1) for x in others)
            secret += share * above * pow(below, -1, self.prime)
        return secret % self.prime


class _Horner:
    """From the highest coefficient down, and the inverse by Fermat."""

    def __init__(self, prime):
        self.prime = prime

    def share(self, secret, coefficients, names):
        shares = {}
        for name in names:
            value = 0
            for coefficient in reversed([secret, *coefficients]):
                value = (value * (name + 1) + coefficient) % self.prime
            shares[name] = value
        return shares

    def recover(self, shares):
        points, total = [(name + 1, share) for name, share in shares.items()], 0
        for i, (xi, yi) in enumerate(points):
            for j, (xj, _) in enumerate(points):
                if i != j:
                    yi = yi * (0 - xj) % self.prime * pow(xi - xj, self.prime - 2, self.prime) % self.prime
            total = (total + yi) % self.prime
        return total


class _Interpolated:
    """Neville's scheme: lines through neighbours, then through their lines."""

    def __init__(self, p):
        self.p = p

    def share(self, secret, coefficients, names):
        return {n: (secret + sum(c * (n + 1) ** (i + 1) for i, c in enumerate(coefficients))) % self.p for n in names}

    def recover(self, shares):
        xs, values = [name + 1 for name in shares], list(shares.values())
        for width in range(1, len(xs)):
            for i in range(len(xs) - width):
                left, right = xs[i], xs[i + width]
                values[i] = (right * values[i] - left * values[i + 1]) * pow(right - left, -1, self.p) % self.p
        return values[0]


class _Solved:
    """Shares by recursion, and the coefficients as the solution of a system of linear equations."""

    def __init__(self, prime):
        self.prime = prime

    def share(self, secret, coefficients, names):
        def value(x, numbers):
            return (numbers[0] + x * value(x, numbers[1:])) % self.prime if numbers else 0

        return {name: value(name + 1, [secret, *coefficients]) for name in names}

    def recover(self, shares):
        rows = [[*((name + 1) ** i % self.prime for i in range(len(shares))), share] for name, share in shares.items()]
        for i in range(len(rows)):
            inverse = pow(rows[i][i], -1, self.prime)
            pivot = [number * inverse % self.prime for number in rows[i]]
            rows = [pivot if j == i else [(a - row[i] * b) % self.prime for a, b in zip(row, pivot)] for j, row in enumerate(rows)]
        return rows[0][-1]


def _call(answer: Any, case: Case) -> Any:
    """The shares of a secret, or the secret of shares; those to recover from were shared rightly.

    Raises: InputError for an answer that is no class with both methods
    """
    if isinstance(answer, Shamir) or not callable(answer):
        raise InputError(expected("the class itself", type_of(answer), "passing it without calling it"))
    prime, what, *args = case.args
    made = answer(prime)
    if made is None or not all(hasattr(made, name) for name in ("share", "recover")):
        raise InputError(expected("a class with the methods share and recover", type_of(made)))
    output = getattr(made, what)(*args)
    return {f"the share of {name}": share for name, share in output.items()} if isinstance(output, Mapping) else output


def _pair(label: str, rng: random.Random, prime: int, secret: int, threshold: int, names: list[int], left: list[int]):
    coefficients = [rng.randrange(prime) for _ in range(threshold - 1)]
    shares = Shamir(prime).share(secret, coefficients, names)
    yield Case(f"shares: {label}", (prime, "share", secret, coefficients, names))
    yield Case(f"recovered: {label}", (prime, "recover", {name: shares[name] for name in left}))


def _cases(generator: Generator):
    seeds = numpy_from(generator)
    rng = random.Random(int(seeds.integers(2**62)))
    yield Case("shares: by hand, modulo 17", (17, "share", 6, [3, 2], [0, 1, 2, 3]))
    yield Case("recovered: by hand, modulo 17", (17, "recover", {0: 11, 1: 3, 2: 16}))
    small, large, largest = 2**31 - 1, 2**127 - 1, 2**521 - 1
    yield from _pair("4 of 6 members", rng, small, rng.randrange(small), 4, [5, 0, 3, 1, 4, 2], [4, 1, 2, 5])
    yield from _pair("3 of 5, all five came", rng, large, rng.randrange(large), 3, [0, 1, 2, 3, 4], [3, 0, 4, 2, 1])
    yield from _pair("2 of 3, 256 bits", rng, largest, rng.randrange(2**256), 2, [7, 11, 40], [40, 7])
    yield from _pair("one is enough", rng, small, rng.randrange(small), 1, [2, 0], [2])
    yield from _pair("the secret 0", rng, large, 0, 3, [1, 0, 2, 9], [9, 1, 0])


EXERCISES = (
    Exercise(
        name="federated.shamir",
        title="Share a secret, recover it",
        points=7,
        minutes=45,
        difficulty=2,
        reference=Shamir,
        cases=_cases,
        compare=close(rtol=0, atol=0),
        call=_call,
        alternatives=(_Horner, _Interpolated, _Solved),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Two points fix a line, three a parabola. The secret is where the curve meets x = 0; every share is another point of it, and with one point too few every secret still fits. Modulo a prime the same algebra holds, and nothing is rounded.",
            "share: [secret, c₁, c₂, …], name → x = name + 1 → Σ cᵢ·xⁱ mod prime, a number for each name; recover: n shares → n fractions, each Π x_j / Π (x_j − x_i) over the n − 1 others → Σ share · fraction mod prime",
            "share: for each name: x = name + 1; sum of coefficient · x^power, from the secret · x^0 on, modulo the prime\nrecover: for each name with its share:\n    above = product of the other x_j;  below = product of (x_j − x_i)\n    total += share · above · inverse of below modulo the prime\nreturn total modulo the prime",
        ),
    ),
)
