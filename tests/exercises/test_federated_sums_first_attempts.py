"""First attempts at sums, secret and private, as a beginner writes them: each is named for its main mistake."""

from __future__ import annotations

import math

import numpy as np
import pytest

from breakthrough.exercises import card, judge, load

# masks


def int64_everywhere(codes, me, names, own_seed, pair_seeds, stream):
    out = codes.astype(int) + stream(own_seed, len(codes)).astype(int)
    for peer in names:
        if peer > me:
            out = out + stream(pair_seeds[peer], len(codes)).astype(int)
        elif peer < me:
            out = out - stream(pair_seeds[peer], len(codes)).astype(int)
    return out


def floats(codes, me, names, own_seed, pair_seeds, stream):
    out = codes.astype(np.float32) + stream(own_seed, len(codes))
    for peer in names:
        if peer != me:
            sign = 1.0 if peer > me else -1.0
            out = out + (sign * stream(pair_seeds[peer], len(codes))).astype(np.float32)
    return out


def over_the_book(codes, me, names, own_seed, pair_seeds, stream):
    out = codes + stream(own_seed, len(codes))
    for peer, seed in pair_seeds.items():
        out = out + stream(seed, len(codes)) if me < peer else out - stream(seed, len(codes))
    return out


def enumerated(codes, me, names, own_seed, pair_seeds, stream):
    out, mine = codes + stream(own_seed, len(codes)), names.index(me)
    for i, peer in enumerate(names):
        if i > mine:
            out = out + stream(pair_seeds[peer], len(codes))
        elif i < mine:
            out = out - stream(pair_seeds[peer], len(codes))
    return out


def only_pairs(codes, me, names, own_seed, pair_seeds, stream):
    out = codes.copy()
    for peer in names:
        if peer > me:
            out += stream(pair_seeds[peer], len(codes))
        if peer < me:
            out -= stream(pair_seeds[peer], len(codes))
    return out


# shares


class NameIsX:
    def __init__(self, prime):
        self.p = prime

    def share(self, secret, coefficients, names):
        return {x: (secret + sum(c * x ** (k + 1) for k, c in enumerate(coefficients))) % self.p for x in names}

    def recover(self, shares):
        total = 0
        for i, yi in shares.items():
            term = yi
            for j in shares:
                if j != i:
                    term = term * (0 - j) * pow(i - j, -1, self.p)
            total += term
        return total % self.p


class Divides:
    def __init__(self, prime):
        self.p = prime

    def share(self, secret, coefficients, names):
        return {n: (secret + sum(c * (n + 1) ** (k + 1) for k, c in enumerate(coefficients))) % self.p for n in names}

    def recover(self, shares):
        total = 0
        for i, yi in shares.items():
            others = [j for j in shares if j != i]
            total += yi * math.prod(j + 1 for j in others) / math.prod(j - i for j in others)
        return total


class Mixed(Divides):
    def recover(self, shares):
        total = 0
        for i, yi in shares.items():
            for j in shares:
                if j != i:
                    yi = yi * (j + 1) * pow(i - j, -1, self.p) % self.p
            total += yi
        return total % self.p


class Unreduced(Divides):
    def share(self, secret, coefficients, names):
        return {n: secret + sum(c * (n + 1) ** (k + 1) for k, c in enumerate(coefficients)) for n in names}

    def recover(self, shares):
        return Mixed(self.p).recover(shares)


# fixed point


class AllBits:
    def __init__(self, limit, parties, bits):
        self.n = 2 ** (bits - 1) - 1
        self.step = limit / self.n

    def encode(self, x):
        return (np.rint(np.clip(x.astype(float) / self.step, -self.n, self.n)) + self.n).astype(np.uint32)

    def decode(self, total, count):
        return (total.astype(float) - count * self.n) * self.step


class Ready(AllBits):
    def __init__(self, limit, parties, bits):
        self.parties, self.n = parties, (2**bits - 1) // (2 * parties)
        self.step = limit / self.n


class Cast(Ready):
    def encode(self, x):
        return (np.clip(x.astype(float) / self.step, -self.n, self.n) + self.n).astype(np.uint32)


class Unclipped(Ready):
    def encode(self, x):
        return (np.round(x.astype(float) / self.step) + self.n).astype(np.int64).astype(np.uint32)


class Single(Ready):
    def encode(self, x):
        return (np.rint(np.clip(x / self.step, -self.n, self.n)) + self.n).astype(np.int64).astype(np.uint32)


class OnceOff(Ready):
    def decode(self, total, count):
        return (total.astype(float) - self.n) * self.step


class AllOff(Ready):
    def decode(self, total, count):
        return (total.astype(float) - self.parties * self.n) * self.step


class Wraps(Ready):
    def decode(self, total, count):
        return (total - count * self.n) * self.step


class WrapsInSingle(Wraps):
    def encode(self, x):
        return (np.round(np.clip(x, -self.n * self.step, self.n * self.step) / self.step) + self.n).astype(np.uint32)


# encrypted sums


class Whole:
    """Right, and taken apart below."""

    scale = 2**40

    def __init__(self, slots):
        self.slots = slots

    def weigh(self, update, samples):
        return update * samples

    def encrypt(self, update, samples, public):
        import tenseal as ts

        x = self.weigh(update, samples)
        parts = [x[i : i + self.slots] for i in range(0, len(x), self.slots)]
        return [ts.ckks_vector(public, part, self.scale).serialize() for part in parts]

    def add(self, parts, public):
        import tenseal as ts

        out = [ts.ckks_vector_from(public, blob) for blob in parts[0]]
        for part in parts[1:]:
            out = [a + ts.ckks_vector_from(public, blob) for a, blob in zip(out, part)]
        return [vector.serialize() for vector in out]

    def decrypt(self, chunks, secret, size, samples):
        import tenseal as ts

        return np.concatenate([ts.ckks_vector_from(secret, blob).decrypt() for blob in chunks]) / samples


class Tutorial(Whole):
    scale = 2**21


class Exponent(Whole):
    scale = 42


class Generous(Whole):
    scale = 2**52


class Each(Whole):
    def encrypt(self, update, samples, public):
        import tenseal as ts

        return [ts.ckks_vector(public, [value], self.scale).serialize() for value in update * samples]


class ServerDecrypts(Whole):
    def add(self, parts, public):
        import tenseal as ts

        return [sum(np.array(ts.ckks_vector_from(public, blob).decrypt()) for blob in place) for place in zip(*parts)]


class TimesSamples(Whole):
    def encrypt(self, update, samples, public):
        import tenseal as ts

        return [(ts.ckks_vector(public, update, self.scale) * samples).serialize()]


class Unweighted(Whole):
    def weigh(self, update, samples):
        return update


class Undivided(Whole):
    def decrypt(self, chunks, secret, size, samples):
        return super().decrypt(chunks, secret, size, 1)


# clipping and noise


def size_of(update):
    return math.sqrt(sum(float((part**2).sum()) for part in update.values()))


def per_tensor(results, limit, multiplier, normal):
    out = {name: np.zeros(draws.shape) for name, draws in normal.items()}
    for update, _ in results:
        for name, part in update.items():
            out[name] += part * min(1.0, limit / max(np.linalg.norm(part), 1e-12)) / len(results)
    return {name: out[name] + multiplier * limit / len(results) * normal[name] for name in out}


def weighted(results, limit, multiplier, normal):
    total = sum(n for _, n in results)
    out = {name: multiplier * limit / len(results) * draws for name, draws in normal.items()}
    for update, n in results:
        scale = min(1.0, limit / max(size_of(update), 1e-12))
        out = {name: out[name] + scale * update[name] * n / total for name in out}
    return out


def noisy_clients(results, limit, multiplier, normal):
    out = {name: 0.0 for name in normal}
    for update, _ in results:
        scale = min(1.0, limit / max(size_of(update), 1e-12))
        out = {name: out[name] + scale * update[name] + multiplier * limit * normal[name] for name in out}
    return {name: out[name] / len(results) for name in out}


def always_to_the_limit(results, limit, multiplier, normal):
    out = {name: multiplier * limit / len(results) * draws for name, draws in normal.items()}
    for update, _ in results:
        scale = limit / size_of(update) if size_of(update) > 0 else 1.0
        out = {name: out[name] + scale * update[name] / len(results) for name in out}
    return out


def crashes_at_zero(results, limit, multiplier, normal):
    out = {name: multiplier * limit / len(results) * draws for name, draws in normal.items()}
    for update, _ in results:
        scale = min(1, limit / size_of(update))
        out = {name: out[name] + scale * update[name] / len(results) for name in out}
    return out


def clamped(results, limit, multiplier, normal):
    return {
        name: np.mean([np.clip(update[name], -limit, limit) for update, _ in results], axis=0)
        + multiplier * limit / len(results) * normal[name]
        for name in normal
    }


ATTEMPTS = [
    ("federated.mask", int64_everywhere, "not modulo 2^32"),
    ("federated.mask", floats, "in floats"),
    ("federated.mask", over_the_book, "pairs with the absent"),
    ("federated.mask", enumerated, "sign by place"),
    ("federated.mask", only_pairs, "own mask forgotten"),
    ("federated.shamir", NameIsX, "the secret handed out"),
    ("federated.shamir", Divides, "divided as real numbers"),
    ("federated.shamir", Mixed, "a sign"),
    ("federated.shamir", Unreduced, "shares not reduced"),
    ("federated.fixed", AllBits, "room for one party"),
    ("federated.fixed", Cast, "cut off"),
    ("federated.fixed", Unclipped, "not clipped"),
    ("federated.fixed", Single, "in float32"),
    ("federated.fixed", OnceOff, "offset of one"),
    ("federated.fixed", AllOff, "offset of all parties"),
    ("federated.fixed", Wraps, "unsigned minus"),
    ("federated.fixed", WrapsInSingle, "unsigned minus"),
    ("federated.ckks", Tutorial, "scale too small"),
    ("federated.ckks", Exponent, "scale too small"),
    ("federated.ckks", Generous, "scale too large"),
    ("federated.ckks", Each, "not packed"),
    ("federated.ckks", ServerDecrypts, "decrypted by the server"),
    ("federated.ckks", TimesSamples, "multiplied under encryption"),
    ("federated.ckks", Unweighted, "not weighted"),
    ("federated.ckks", Undivided, "a sum"),
    ("federated.clip", per_tensor, "each array on its own"),
    ("federated.clip", weighted, "weighted by samples"),
    ("federated.clip", noisy_clients, "noise not divided"),
    ("federated.clip", always_to_the_limit, "scaled up"),
    ("federated.clip", crashes_at_zero, "zero divided by zero"),
    ("federated.clip", clamped, "each number on its own"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_at_a_sum_is_named_for_its_main_mistake(name, answer, mistake):
    for seed in range(3):
        verdict = judge(load(name), answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else None
        assert found == mistake, card.plain(verdict, 1)


def test_answers_that_are_taken_apart_above_are_right_when_whole():
    assert judge(load("federated.fixed"), Ready, 0).status == "passed"
    assert judge(load("federated.ckks"), Whole, 0).status == "passed"


class HalfMean(Whole):
    def decrypt(self, chunks, secret, size, samples):
        return super().decrypt(chunks, secret, size, samples) / 2.5


class Shifted(Divides):
    def recover(self, shares):
        return (Mixed(self.p).recover(shares) + 3) % self.p


class Stretched(Ready):
    def decode(self, total, count):
        return super().decode(total, count) * 1.37


UNRELATED = {
    "federated.mask": lambda codes, me, names, own_seed, pair_seeds, stream: codes // 2,
    "federated.shamir": Shifted,
    "federated.fixed": Stretched,
    "federated.ckks": HalfMean,
    "federated.clip": lambda results, limit, multiplier, normal: {name: 1.37 * draws for name, draws in normal.items()},
}


@pytest.mark.parametrize("name", UNRELATED)
def test_a_wrong_sum_that_shares_no_misconception_gets_no_name(name):
    for seed in range(3):
        verdict = judge(load(name), UNRELATED[name], seed)
        assert verdict.status == "wrong" and verdict.diagnosis is None, card.plain(verdict, 1)
