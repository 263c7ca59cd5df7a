"""Module 3: pairwise masks that cancel in the sum.

Shapes: D entries of an update
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Generator

from breakthrough.exercises.compare import Difference, close
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.federated_mask_wrong import MISCONCEPTIONS, MODULUS
from breakthrough.exercises.scenes_inputs import numpy_from

Stream = Callable[[int, int], np.ndarray]


def mask(
    codes: np.ndarray, me: int, names: Sequence[int], own_seed: int, pair_seeds: Mapping[int, int], stream: Stream
) -> np.ndarray:
    """Hide a member's codes: add its own mask, and one for every other member that cancels in the sum.

    Why:    the server needs the sum and nothing else; with these masks what it gets from one member is noise,
            and yet the sum is exact to the last bit: no accuracy is paid for it
    Shapes: codes (D,) uint32 → (D,) uint32
    Units:  modulo 2^32. stream(seed, size) → (size,) uint32 is the mask of a seed. `names` are the members of
            the round, me among them, in any order. pair_seeds has the seed shared with each peer, also with
            peers that left before the round. Of two members the one with the lower name adds the mask of
            the pair, the other subtracts it; everyone adds its own
    """
    masked = codes + stream(own_seed, codes.size)  # uint32 wraps, which is the modulo
    for peer in names:
        if peer != me:
            pair = stream(pair_seeds[peer], codes.size)
            masked = masked + pair if me < peer else masked - pair
    return masked


def _with_signs(codes, me, names, own_seed, pair_seeds, stream):
    peers = [name for name in names if name != me]
    total = codes.astype(np.int64) + stream(own_seed, len(codes))
    for peer in peers:
        total += np.sign(peer - me) * stream(pair_seeds[peer], len(codes)).astype(np.int64)
    return (total % MODULUS).astype(np.uint32)


def _entry_by_entry(codes, me, names, own_seed, pair_seeds, stream):
    masks = [(1, stream(own_seed, len(codes)))]
    masks += [(1 if me < peer else -1, stream(pair_seeds[peer], len(codes))) for peer in sorted(set(names) - {me})]
    out = []
    for i, code in enumerate(codes.tolist()):
        out.append((code + sum(sign * int(one[i]) for sign, one in masks)) % MODULUS)
    return np.array(out, dtype=np.uint32)


def _added_then_subtracted(codes, me, names, own_seed, pair_seeds, stream):
    def total(seeds):
        rows = [np.zeros_like(codes), *(stream(seed, codes.size) for seed in seeds)]
        return np.sum(rows, axis=0, dtype=np.uint32)

    above, below = (pair_seeds[name] for name in names if name > me), (pair_seeds[name] for name in names if name < me)
    return np.subtract(codes + total([own_seed, *above]), total(below))


def _bit_by_bit(want: Any, got: Any) -> Difference | None:
    """Codes as they are; a wrong dtype is named as such only where the codes are right in it."""
    difference = close(rtol=0, atol=0.5)(want, got)
    if difference and difference.kind == "dtype":
        return close(rtol=0, atol=0.5, dtype=False)(want, got) or difference
    return difference


def _stream(seed: int, size: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(MODULUS, size=size, dtype=np.uint32)


def _counting(seed: int, size: int) -> np.ndarray:
    """A stream to compute with by hand: the seed, and on from there."""
    return (seed + np.arange(size)).astype(np.uint32)


def _seeds(rng: np.random.Generator, names: Sequence[int]) -> dict[int, dict[int, int]]:
    """A seed for every pair, in each member's book, in a random order."""
    drawn = {frozenset(pair): int(rng.integers(2**40)) for pair in ((a, b) for a in names for b in names if a < b)}
    return {a: {b: drawn[frozenset((a, b))] for b in rng.permutation(names).tolist() if b != a} for a in names}


def _with_the_others(others: np.ndarray) -> Callable[[Any], Any]:
    """What is judged of a member's vector: the vector, and the sum with all others' vectors."""

    def look(masked: Any) -> Any:
        if not isinstance(masked, np.ndarray) or masked.shape != others.shape or masked.dtype.kind not in "iuf":
            return {"the sum of all members": masked, "the masked codes": masked}
        total = (masked.astype(np.float64) + others.astype(np.int64)) % MODULUS
        return {"the sum of all members": total, "the masked codes": masked}

    return look


def _whole_round(label: str, rng: np.random.Generator, names: list[int], size: int, gone: tuple[int, ...] = ()) -> Case:
    """One member's part in a round; the others' vectors are there to be summed with it."""
    book, own = _seeds(rng, [*names, *gone]), {name: int(rng.integers(2**40)) for name in names}
    codes = {name: rng.integers(MODULUS, size=size, dtype=np.uint32) for name in names}
    me = sorted(names)[len(names) // 2]
    others = np.zeros(size, np.uint32)
    for name in names:
        others -= _stream(own[name], size)  # the server takes these off, once it may know the seeds
        if name != me:
            others += mask(codes[name], name, names, own[name], book[name], _stream)
    one = int(str(me))  # equal to its name in the list, and another object: as names are that came by message
    return Case(label, (codes[me], one, names, own[me], book[me], _stream), look=_with_the_others(others))


def _cases(generator: Generator):
    rng = numpy_from(generator)
    yield Case("three members, by hand", (np.array([5, 7], np.uint32), 2, [2, 3, 1], 1, {1: 100, 3: 30}, _counting))
    yield _whole_round("five members, their sum", rng, [4, 0, 2, 1, 3], 6)
    yield _whole_round("names 2, 9, 10 and 33", rng, [10, 2, 33, 9], 5)
    yield _whole_round("names beyond 256", rng, [900, 300, 1200, 301], 4)
    yield _whole_round("two have left", rng, [3, 1, 6, 4], 4, gone=(0, 5))
    yield _whole_round("two members", rng, [8, 7], 3)
    last = np.array([0, 1, MODULUS - 1, MODULUS - 1], np.uint32)
    yield Case("the largest codes", (last, 1, [0, 1], int(rng.integers(2**40)), {0: int(rng.integers(2**40))}, _stream))
    yield Case("alone", (last[::-1].copy(), 4, [4], int(rng.integers(2**40)), {0: 5}, _stream))
    yield Case("no entries", (last[:0], 0, [1, 0], 3, {1: 4}, _stream))


EXERCISES = (
    Exercise(
        name="federated.mask",
        title="Pairwise masks that cancel",
        points=7,
        minutes=45,
        difficulty=2,
        reference=mask,
        cases=_cases,
        compare=_bit_by_bit,
        alternatives=(_with_signs, _entry_by_entry, _added_then_subtracted),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Two members know a number that nobody else knows. One adds it, the other subtracts it: each vector alone is noise, and in the sum the number is gone. To agree on who adds without talking, compare names.",
            "codes (D,) uint32 + stream(own_seed, D) (D,) → for each peer in names but me: stream(pair_seeds[peer], D) (D,), added if me < peer, else subtracted → (D,) uint32, wrapped",
            "masked = codes + stream of own_seed\nfor each peer in names, without me:\n    pair = stream of the seed shared with this peer\n    masked = masked + pair if me < peer, else masked − pair\nreturn masked, all in uint32",
        ),
    ),
)
