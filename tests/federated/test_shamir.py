"""Shamir's shares: any threshold of them give the secret, and one fewer leave every secret equally possible."""

import contextlib
import itertools
import os
from collections import Counter

import numpy as np
import pytest

from breakthrough.errors import InputError
from breakthrough.federated.shamir import PRIME, SHARE_BYTES, Share, interpolate, recover, split, value_at


@pytest.mark.parametrize(("parties", "threshold"), [(1, 1), (2, 2), (5, 3), (6, 4), (7, 7)])
def test_any_threshold_of_the_shares_gives_the_secret(parties, threshold):
    secret = os.urandom(32)
    shares = split(secret, parties, threshold)
    assert list(shares) == list(range(1, parties + 1)) == [share.x for share in shares.values()]
    for some in itertools.combinations(shares.values(), threshold):
        assert recover(some, threshold) == secret
    assert recover(shares, threshold) == secret  # all of them, as a mapping


@pytest.mark.parametrize("secret", [b"\x00", b"\x00" * 32, b"\x00\x01", b"\xff" * 64, b"\x01" * 5])
def test_secrets_of_every_length_keep_their_zeros(secret):
    assert recover(split(secret, 3, 2), 2) == secret


def test_fewer_than_the_threshold_are_refused():
    shares = split(b"a secret", 5, 3)
    for some in itertools.combinations(shares.values(), 2):
        with pytest.raises(InputError, match="at least 3 shares, got 2"):
            recover(some, 3)


def test_fewer_taken_for_enough_do_not_give_the_secret():
    """Whoever says a lower threshold gets nothing either: the line through two points of a parabola ends elsewhere."""
    secret = os.urandom(32)
    shares = split(secret, 5, 3)
    for some in itertools.combinations(shares.values(), 2):
        with contextlib.suppress(InputError):  # most numbers are no secret at all
            assert recover(some, 2) != secret


@pytest.mark.parametrize(("parties", "threshold"), [(3, 2), (5, 3), (10, 6)])
def test_with_one_share_too_few_every_secret_is_as_possible(parties, threshold):
    """For every candidate there are shares of the others with which recovery gives just that candidate."""
    shares = split(os.urandom(32), parties, threshold)
    known = list(shares.values())[: threshold - 1]
    for candidate in [bytes(32), b"\xff" * 32, b"x", *(os.urandom(32) for _ in range(20))]:
        points = {0: int.from_bytes(b"\x01" + candidate, "big"), **{share.x: share.y for share in known}}
        others = [Share(x, interpolate(points, x)) for x in range(threshold, parties + 1)]
        assert recover([*known, *others], threshold) == candidate


def views(secret: int, points: tuple[int, ...], threshold: int, prime: int) -> Counter:
    """How often each view of some shares occurs, over every choice of the random coefficients."""
    choices = itertools.product(range(prime), repeat=threshold - 1)
    return Counter(tuple(value_at([secret, *chosen], x, prime) for x in points) for chosen in choices)


@pytest.mark.parametrize(("prime", "threshold"), [(5, 2), (5, 3), (7, 3), (5, 4)])
def test_exhaustively_one_share_too_few_says_nothing(prime, threshold):
    """Over a small field all views of threshold − 1 shares come equally often, whatever the secret is."""
    for points in itertools.combinations(range(1, prime), threshold - 1):
        seen = [views(secret, points, threshold, prime) for secret in range(prime)]
        assert all(one == seen[0] for one in seen)
        assert len(seen[0]) == prime ** (threshold - 1) and set(seen[0].values()) == {1}


def test_exhaustively_enough_shares_say_all():
    seen = [set(views(secret, (1, 2, 3), 3, 5)) for secret in range(5)]
    assert not any(a & b for a, b in itertools.combinations(seen, 2))


def test_shares_of_a_constant_secret_look_uniform():
    """The control for the coefficients that `split` draws: 256 bins of the top byte, chi-square within 6 sigma."""
    shares = [split(bytes(32), 2, 2)[1].y for _ in range(4096)]
    counts = np.bincount([y >> 513 for y in shares], minlength=256)
    assert abs(((counts - 16) ** 2 / 16).sum() - 255) < 6 * np.sqrt(2 * 255)


def test_a_changed_share_is_found_when_there_is_one_to_spare():
    shares = split(os.urandom(32), 5, 3)
    for x in shares:
        wrong = shares | {x: Share(x, (shares[x].y + 1) % PRIME)}
        with pytest.raises(InputError, match="of one secret"):
            recover(wrong, 3)


def test_shares_of_two_secrets_do_not_mix():
    one, two = split(os.urandom(32), 5, 3), split(os.urandom(32), 5, 3)
    with pytest.raises(InputError, match="of one secret"):
        recover([one[1], one[2], two[3], one[4]], 3)


def test_a_share_counts_once():
    shares = split(b"secret", 3, 2)
    with pytest.raises(InputError, match="different points"):
        recover([shares[1], shares[1]], 2)


def test_a_share_survives_its_bytes_and_hides_in_a_log():
    share = split(b"secret", 3, 2)[3]
    assert Share.from_bytes(share.to_bytes()) == share and len(share.to_bytes()) == SHARE_BYTES
    assert str(share.y) not in repr(share)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\x00", lambda b: b"", lambda b: b"\x00\x00" + b[2:], lambda b: b[:2] + b"\xff" * 66])
def test_bytes_that_are_no_share_are_refused(change):
    """Cut, too long, empty, at point 0 (where the secret itself lies), beyond the field."""
    with pytest.raises(InputError):
        Share.from_bytes(change(split(b"secret", 3, 2)[1].to_bytes()))


@pytest.mark.parametrize(("secret", "parties", "threshold"), [(b"", 3, 2), (b"x" * 65, 3, 2), (b"x", 3, 4), (b"x", 3, 0), (b"x", 0, 0), (b"x", 2**16, 2)])
def test_what_cannot_be_shared_is_refused(secret, parties, threshold):
    with pytest.raises(InputError):
        split(secret, parties, threshold)


def test_the_field_is_prime_and_large_enough():
    assert PRIME > 2**256
    s = 4  # Lucas and Lehmer: 2^521 − 1 is prime when this ends at 0
    for _ in range(519):
        s = (s * s - 2) % PRIME
    assert s == 0
