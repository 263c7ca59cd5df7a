"""Module 3's sums: what the cases promise, beside what the gate asks of every exercise."""

from __future__ import annotations

import numpy as np
import pytest

from breakthrough.exercises import card, judge, load
from breakthrough.exercises.federated_clip import private_mean
from breakthrough.exercises.federated_fixed import Codec
from breakthrough.exercises.federated_mask import mask
from breakthrough.exercises.federated_shamir import Shamir

EVERY_SEED = range(40)
NAMES = ["federated.mask", "federated.shamir", "federated.fixed", "federated.clip"]  # ckks takes longer: the gate has it


def _stream(seed, size):
    return np.random.default_rng(seed).integers(2**32, size=size, dtype=np.uint32)


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_pass_whatever_is_drawn(name):
    exercise = load(name)
    for seed in EVERY_SEED:
        for answer in (exercise.reference, *exercise.alternatives):
            verdict = judge(exercise, answer, seed)
            assert verdict.status == "passed", card.plain(verdict, 1)


def test_masks_by_hand():
    def counting(seed, size):
        return (seed + np.arange(size)).astype(np.uint32)

    masked = mask(np.array([5, 7], np.uint32), 2, [2, 3, 1], 1, {1: 100, 3: 30}, counting)
    assert masked.tolist() == [2**32 - 64, 2**32 - 61]


def test_pairwise_masks_cancel_over_all_members_and_over_no_fewer():
    rng, names = np.random.default_rng(0), [4, 0, 9, 12]
    codes = {name: rng.integers(2**20, size=6, dtype=np.uint32) for name in names}
    seeds = {frozenset((a, b)): int(rng.integers(2**40)) for a in names for b in names if a < b}
    masked = {
        me: mask(codes[me], me, names, 77 + me, {peer: seeds[frozenset((me, peer))] for peer in names if peer != me}, _stream)
        for me in names
    }
    own = {name: _stream(77 + name, 6) for name in names}

    def total(values, members):
        return np.sum([values[name] for name in members], axis=0, dtype=np.uint32)

    assert (total(masked, names) - total(own, names) == total(codes, names)).all()
    assert (total(masked, names[1:]) - total(own, names[1:]) != total(codes, names[1:])).any()


def test_shares_by_hand():
    shamir = Shamir(17)
    shares = shamir.share(6, [3, 2], [0, 1, 2, 3])
    assert shares == {0: 11, 1: 3, 2: 16, 3: 16}
    assert {shamir.recover({name: shares[name] for name in some}) for some in ([0, 1, 2], [3, 1, 0], [2, 3, 1, 0])} == {6}


def test_one_share_too_few_leaves_every_secret_as_likely():
    prime = 13
    seen = {secret: set() for secret in range(prime)}
    for secret in seen:
        for c1 in range(prime):
            for c2 in range(prime):
                shares = Shamir(prime).share(secret, [c1, c2], [0, 1])
                seen[secret].add((shares[0], shares[1]))
    assert all(pairs == seen[0] and len(pairs) == prime**2 for pairs in seen.values())
    assert Shamir(prime).recover(Shamir(prime).share(5, [7], [3, 8])) == 5


def test_codes_by_hand():
    codec = Codec(6.3, 2, 8)
    codes = [codec.encode(np.array(x)) for x in ([0.0, 0.12, -6.28, 9.0], [0.09, 0.28, 0.52, -0.17])]
    assert [code.tolist() for code in codes] == [[63, 64, 0, 126], [64, 66, 68, 61]]
    assert codec.decode(codes[0] + codes[1], 2) == pytest.approx([0.1, 0.4, -5.8, 6.1])


@pytest.mark.parametrize(("parties", "bits"), [(1, 8), (4, 8), (3, 16), (10, 32), (128, 32), (1000, 32)])
def test_no_sum_of_codes_wraps_and_one_code_more_would(parties, bits):
    codec = Codec(1.0, parties, bits)
    largest = int(codec.encode(np.array([7.0]))[0])
    assert parties * largest < 2**bits <= parties * (largest + 2)


def test_no_client_moves_the_private_mean_by_more_than_its_share():
    rng = np.random.default_rng(0)
    results = [({"w": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}, 10) for _ in range(5)]
    none = {"w": np.zeros((3, 2)), "b": np.zeros(4)}

    def flat(results):
        return np.concatenate([part.ravel() for part in private_mean(results, 0.5, 0.0, none).values()])

    huge = ({name: 1e6 * part for name, part in results[0][0].items()}, 10**6)
    absent = (none, 10)
    assert np.linalg.norm(flat([huge, *results[1:]]) - flat([absent, *results[1:]])) == pytest.approx(0.5 / 5)


def test_what_is_no_class_and_what_is_no_bytes_is_said():
    said = card.plain(judge(load("federated.shamir"), Shamir(17), 0), 1)
    assert "the class itself" in said

    class Vectors(load("federated.ckks").reference):
        def encrypt(self, update, samples, public):
            import tenseal as ts

            return [ts.ckks_vector(public, update, 2.0**40)]

    assert "a list of CKKSVector" in card.plain(judge(load("federated.ckks"), Vectors, 0), 1)


@pytest.mark.parametrize("power", [30, 36, 42])
def test_every_scale_that_fits_is_right(power):
    assert _at_scale(power).status == "passed", card.plain(_at_scale(power), 1)


@pytest.mark.parametrize(("power", "fault"), [(12, "small"), (22, "small"), (43, "large"), (45, "large"), (55, "large")])
def test_scales_beyond_are_named(power, fault):
    assert _at_scale(power).diagnosis.name == f"scale too {fault}"


def _at_scale(power):
    class Scaled(load("federated.ckks").reference):
        def encrypt(self, update, samples, public):
            import tenseal as ts

            weighted = samples * update
            parts = [weighted[i : i + self.slots] for i in range(0, len(weighted), self.slots)]
            return [ts.ckks_vector(public, part, 2.0**power).serialize() for part in parts]

    return judge(load("federated.ckks"), Scaled, 0)
