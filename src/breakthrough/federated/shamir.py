"""Shamir's secret sharing: any `threshold` shares give the secret, fewer say nothing about it.

A secret is the value at 0 of a polynomial of degree threshold − 1 whose other coefficients are drawn at
random; a share is its value at one other point. Through threshold − 1 points and any value at 0 goes
exactly one such polynomial, so to whoever holds only those points every secret is equally possible.

Source: Shamir 1979, How to share a secret
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from breakthrough.errors import InputError, expected

PRIME = 2**521 - 1  # a Mersenne prime, the first one above 2^256: a secret of 32 bytes is one number
PRIME_BYTES = 66
SECRET_BYTES = 64  # one byte of the number marks where the secret begins
SHARE_BYTES = 2 + PRIME_BYTES
MOST_PARTIES = 2**16 - 1


@dataclass(frozen=True)
class Share:
    """One point of the polynomial: x from 1, y its value there."""

    x: int
    y: int

    def __post_init__(self) -> None:
        if not 1 <= self.x <= MOST_PARTIES:
            raise InputError(expected(f"a share at a point 1 to {MOST_PARTIES}", self.x))
        if not 0 <= self.y < PRIME:
            raise InputError(expected("a share below 2^521 − 1", "a larger number"))

    def __repr__(self) -> str:
        return f"Share(x={self.x}, y=…)"  # a log is no place for secrets

    def to_bytes(self) -> bytes:
        """The share in SHARE_BYTES bytes."""
        return self.x.to_bytes(2, "big") + self.y.to_bytes(PRIME_BYTES, "big")

    @staticmethod
    def from_bytes(blob: bytes) -> Share:
        """A share from its bytes.

        Raises: InputError for another length, or a point that is none
        """
        if len(blob) != SHARE_BYTES:
            raise InputError(expected(f"a share of {SHARE_BYTES} bytes", len(blob)))
        return Share(int.from_bytes(blob[:2], "big"), int.from_bytes(blob[2:], "big"))


def split(secret: bytes, parties: int, threshold: int) -> dict[int, Share]:
    """Share a secret: `parties` shares by their points 1…parties, any `threshold` of which give it back.

    Raises: InputError for a secret of 0 or over 64 bytes, or a threshold beyond 1…parties
    """
    if not 1 <= len(secret) <= SECRET_BYTES:
        raise InputError(expected(f"a secret of 1 to {SECRET_BYTES} bytes", len(secret)))
    if not 1 <= threshold <= parties <= MOST_PARTIES:
        raise InputError(expected(f"1 ≤ threshold ≤ parties ≤ {MOST_PARTIES}", f"threshold {threshold}, parties {parties}"))
    marked = int.from_bytes(b"\x01" + secret, "big")
    coefficients = [marked, *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return {x: Share(x, value_at(coefficients, x)) for x in range(1, parties + 1)}


def recover(shares: Mapping[int, Share] | Iterable[Share], threshold: int) -> bytes:
    """The secret, from at least `threshold` of its shares; shares beyond those are checked against them.

    Raises: InputError for fewer, for two at one point, and for shares that do not fit together
    """
    known = list(shares.values() if isinstance(shares, Mapping) else shares)
    points = {share.x: share.y for share in known}
    if len(points) < len(known):
        raise InputError(expected("shares at different points", f"points {sorted(share.x for share in known)}"))
    if threshold < 1 or len(points) < threshold:
        raise InputError(expected(f"at least {threshold} shares", len(points), "more of the parties: fewer say nothing"))
    enough = dict(list(points.items())[:threshold])
    if wrong := [x for x, y in points.items() if x not in enough and interpolate(enough, x) != y]:
        raise InputError(expected("shares of one secret", f"shares {wrong} that do not fit shares {sorted(enough)}"))
    number = interpolate(enough, 0)
    marked = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if not 2 <= len(marked) <= SECRET_BYTES + 1 or marked[0] != 1:
        raise InputError(expected("shares of one secret", f"shares {sorted(enough)} that give none", "the threshold they were made with"))
    return marked[1:]


def value_at(coefficients: Sequence[int], x: int, prime: int = PRIME) -> int:
    """A polynomial's value, by Horner's rule: coefficients from the constant one up."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % prime
    return value


def interpolate(points: Mapping[int, int], at: int, prime: int = PRIME) -> int:
    """The value of the one polynomial of degree below len(points) that goes through them, by Lagrange's formula."""
    total = 0
    for x, y in points.items():
        above = below = 1
        for other in points:
            if other != x:
                above = above * (at - other) % prime
                below = below * (x - other) % prime
        total += y * above * pow(below, -1, prime)
    return total % prime
