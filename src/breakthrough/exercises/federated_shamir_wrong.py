"""Module 3: wrong ways to share a secret and to recover it, for federated.shamir."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

from breakthrough.exercises.exercise import Misconception

# wrong ways to share: prime, secret, coefficients, names → shares


def _points(names):
    return [name + 1 for name in names]


def _shared(points=_points, terms=lambda secret, rest: [secret, *rest], reduce=True):
    """Another way to share: other points, other coefficients, or nothing reduced."""

    def share(prime, secret, coefficients, names):
        values = [sum(c * x**i for i, c in enumerate(terms(secret, coefficients))) for x in points(names)]
        return {name: value % prime if reduce else value for name, value in zip(names, values)}

    return share


def _in_64_bits(prime, secret, coefficients, names):
    wrap = 2**64

    def fit(number):
        return (number + wrap // 2) % wrap - wrap // 2

    return {n: fit(sum(c * (n + 1) ** i for i, c in enumerate([secret, *coefficients]))) % prime for n in names}


# wrong ways to recover: prime, shares → secret


def _lagrange(prime, shares, at=0, flip=False, inverse=lambda a, p: pow(a, -1, p), point=lambda i, name: name + 1):
    """Lagrange's sum, not reduced; at another place, with another sign, inverse or points."""
    total, xs = 0, [point(i, name) for i, name in enumerate(shares)]
    for x, y in zip(xs, shares.values()):
        others = [other for other in xs if other != x]
        above = prod((other if flip else at - other) for other in others)
        total += y * above * inverse(prod(x - other for other in others), prime)
    return total


def _at_one(prime, shares):
    return _lagrange(prime, shares, at=1) % prime


def _sign(prime, shares):
    return _lagrange(prime, shares, flip=True) % prime


def _divided(prime, shares):
    return _lagrange(prime, shares, inverse=lambda a, p: 1 / a)


def _divided_and_rounded(prime, shares):
    return round(_divided(prime, shares)) % prime


def _whole_division(prime, shares):
    total, xs = 0, [name + 1 for name in shares]
    for x, y in zip(xs, shares.values()):
        others = [other for other in xs if other != x]
        total += y * prod(-other for other in others) // prod(x - other for other in others)
    return total % prime


def _whole_factors(sign: int, reduced: bool, together: bool) -> Any:
    """By whole division, above and below reduced first or not, the share multiplied in before or after."""

    def recover(prime, shares):
        total, xs = 0, [name + 1 for name in shares]
        for x, y in zip(xs, shares.values()):
            others = [other for other in xs if other != x]
            above, below = prod(sign * other for other in others), prod(sign * (other - x) for other in others)
            if reduced:
                above, below = above % prime, below % prime
            total += y * above // below if together else y * (above // below)
        return total % prime

    return recover


WHOLE_FACTORS = tuple(_whole_factors(*ways) for ways in product((1, -1), (True, False), (True, False)))


def _float_modulo(prime, shares):
    return _divided(prime, shares) % prime


def _fermat_short(prime, shares):
    return _lagrange(prime, shares, inverse=lambda a, p: pow(a, p - 1, p)) % prime


def _never_inverted(prime, shares):
    return _lagrange(prime, shares, inverse=lambda a, p: a) % prime


def _not_reduced(prime, shares):
    return _lagrange(prime, shares)


def _name_is_the_point(prime, shares):
    return _lagrange(prime, shares, point=lambda i, name: name) % prime


def _place_is_the_point(prime, shares):
    return _lagrange(prime, shares, point=lambda i, name: i + 1) % prime


def _added(prime, shares):
    return sum(shares.values()) % prime


def _right_recover(prime, shares):
    return _lagrange(prime, shares) % prime


def _made(share: Any = _shared(), recover: Any = _right_recover) -> type:
    """A class of a way to share and a way to recover."""

    class Wrong:
        def __init__(self, prime):
            self.prime = prime

        def share(self, secret, coefficients, names):
            return share(self.prime, secret, coefficients, names)

        def recover(self, shares):
            return recover(self.prime, shares)

    return Wrong


RECOVERIES: tuple[Callable[[Any, Any], Any], ...] = (_divided, _divided_and_rounded, _whole_division, _at_one, _sign, _fermat_short, _not_reduced, _added)
RECOVERIES += (_name_is_the_point, _place_is_the_point, _never_inverted)


def _sharing(*ways: Any) -> dict[str, Any]:
    """The answer and variants of a misconception in sharing, with a right way to recover and every wrong one."""
    pairs = [_made(share, recover) for share, recover in product(ways, (_right_recover, *RECOVERIES))]
    return {"answer": pairs[0], "variants": tuple(pairs[1:])}


def _recovering(*ways: Any) -> dict[str, Any]:
    """The answer and variants of a misconception in recovering."""
    return {"answer": _made(recover=ways[0]), "variants": tuple(_made(recover=way) for way in ways[1:])}


MISCONCEPTIONS = (
    Misconception(
        "the secret handed out",
        says="Member 0 gets f(0), which is the secret itself: names start at 0, so the share of a name is the value at name + 1.",
        **_sharing(_shared(points=lambda names: names)),
    ),
    Misconception(
        "place in the list",
        says="The point of a share was taken from its place in the list: later only some members are there, in another order, so the point has to come from the name.",
        **_sharing(_shared(points=lambda names: range(1, len(names) + 1)), _shared(points=lambda names: range(len(names)))),
    ),
    Misconception(
        "shares not reduced",
        says="The shares were not reduced modulo the prime: how large a share is then tells something about the secret.",
        **_sharing(_shared(reduce=False)),
    ),
    Misconception(
        "the secret is not the constant",
        says="The secret has to be the constant of the polynomial, its value at 0; here it stands before the highest power of x.",
        **_sharing(
            _shared(terms=lambda secret, rest: [*rest, secret]),
            _shared(terms=lambda secret, rest: [*reversed(rest), secret]),
        ),
    ),
    Misconception(
        "powers one too low",
        says="The coefficients start one power too low, c₁ beside the secret without an x: c₁ goes with x, c₂ with x².",
        **_sharing(_shared(terms=lambda secret, rest: [secret + (rest[0] if rest else 0), *rest[1:]])),
    ),
    Misconception(
        "coefficients reversed",
        says="The coefficients are in the reverse order: c₁ goes with x, c₂ with x², and the secret stands alone.",
        **_sharing(_shared(terms=lambda secret, rest: [secret, *reversed(rest)])),
    ),
    Misconception(
        "64 bits",
        says="The products left 64 bits and wrapped: stay with Python's int, which has no largest number, instead of numpy's.",
        **_sharing(_in_64_bits),
    ),
    Misconception(
        "divided as real numbers",
        says="This divides as ordinary numbers do, with / or //: modulo a prime a / b is a times the inverse of b, pow(b, -1, prime), which is exact.",
        seen=lambda want, got: isinstance(got, float),
        **_recovering(_divided, _divided_and_rounded, _whole_division, _float_modulo, *WHOLE_FACTORS),
    ),
    Misconception(
        "not at 0",
        says="This is the value at 1, the share of member 0, and the secret is the value at 0: either x = 1 was put in, or the points were the names, not name + 1.",
        **_recovering(_at_one, _name_is_the_point),
    ),
    Misconception(
        "a sign",
        says="The sign is wrong for an even number of shares: above stands 0 − x_j and below x_i − x_j, or x_j above and x_j − x_i below; do not mix them.",
        **_recovering(_sign),
    ),
    Misconception(
        "Fermat's exponent",
        says="b to the power prime − 1 is 1 for every b: the inverse is one power less, pow(b, prime - 2, prime), or pow(b, -1, prime).",
        **_recovering(_fermat_short),
    ),
    Misconception(
        "multiplied instead of divided",
        says="The differences below the fraction were multiplied in: take their inverse modulo the prime first.",
        **_recovering(_never_inverted),
    ),
    Misconception(
        "secret not reduced",
        says="The sum is the secret plus some multiple of the prime: reduce it modulo the prime at the end.",
        **_recovering(_not_reduced),
    ),
    Misconception(
        "points by place",
        says="Recovering takes other points than sharing did: the share of a name is the value at name + 1, whichever members came and in whatever order.",
        **_recovering(_place_is_the_point),
    ),
    Misconception(
        "shares added",
        says="The shares were added up: that recovers a secret that was cut into summands, for which nobody may be missing; here a polynomial goes through the points.",
        **_recovering(_added),
    ),
)
