"""Module 3: wrong ways to mask, for federated.mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from breakthrough.exercises.exercise import Misconception

MODULUS = 2**32


def _whole_stream(stream, seed, size):
    return stream(seed, size).astype(np.int64)


def _first_number(stream, seed, size):
    return int(stream(seed, max(size, 1))[0])


def _lower_adds(me, peer, names):
    return 1 if me < peer else -1


def _those_here(me, names, pair_seeds):
    return [name for name in names if name != me]


def _of_the_pair(peer, own_seed, pair_seeds):
    return pair_seeds[peer]


def _wrapped(total):
    return (total % MODULUS).astype(np.uint32)


def _made(sign=_lower_adds, own=1, peers=_those_here, seed=_of_the_pair, draw=_whole_stream, finish=_wrapped) -> Any:
    """A wrong answer: the right one but for what is given."""

    def answer(codes, me, names, own_seed, pair_seeds, stream):
        total = codes.astype(np.int64) + own * _whole_stream(stream, own_seed, codes.size)
        for peer in peers(me, names, pair_seeds):
            total = total + sign(me, peer, names) * draw(stream, seed(peer, own_seed, pair_seeds), codes.size)
        return finish(total)

    return answer


def _times_sign(skip_me: bool) -> Any:
    """The sign multiplied in, within uint32, which has no −1."""

    def answer(codes, me, names, own_seed, pair_seeds, stream):
        masked = codes + stream(own_seed, codes.size)
        for peer in names:
            if peer != me or not skip_me:
                masked = masked + stream(pair_seeds[peer], codes.size) * (1 if me < peer else -1)
        return masked

    return answer


def _by_place(me, peer, names):
    return 1 if list(names).index(me) < list(names).index(peer) else -1


def _by_text(me, peer, names):
    return 1 if str(me) < str(peer) else -1


def _one_seed(peer, own_seed, pair_seeds):
    return next(iter(pair_seeds.values()))


def _xor(codes, me, names, own_seed, pair_seeds, stream):
    masked = codes ^ stream(own_seed, codes.size)
    for peer in names:
        masked = masked if peer == me else masked ^ stream(pair_seeds[peer], codes.size)
    return masked


def _codes(output: Any) -> np.ndarray:
    return np.asarray(output["the masked codes"] if isinstance(output, Mapping) else output)


def _has_left_the_range(want: Any, got: Any) -> bool:
    masked = _codes(got)
    return masked.dtype.kind in "iu" and np.array_equal(masked.astype(np.uint32), _codes(want))


MISCONCEPTIONS = (
    Misconception(
        "all added",
        _made(sign=lambda *_: 1),
        "Every mask was added, on both sides of a pair, so in the sum it stands twice: one of the two has to subtract it, and the names say which.",
        variants=(_made(sign=lambda *_: -1),),
    ),
    Misconception(
        "signs reversed",
        _made(sign=lambda me, peer, names: 1 if me > peer else -1),
        "Here the higher name adds: masks of two such members cancel, but not with members that keep to the rule, in which the lower name adds.",
    ),
    Misconception(
        "sign by place",
        _made(sign=_by_place),
        "The sign was taken from the place in the list, and each member may have the list in another order: compare the names, which are the same everywhere.",
    ),
    Misconception(
        "names as text",
        _made(sign=_by_text),
        'The names were compared as text, where "10" comes before "9": compare them as numbers.',
    ),
    Misconception(
        "not modulo 2^32",
        _made(finish=lambda total: total),
        "The result left the range of 32 bits: what is larger than one mask can be tells the server something; reduce modulo 2^32, or stay in uint32, which wraps by itself.",
        seen=_has_left_the_range,
        variants=(_made(finish=np.abs), _made(finish=lambda total: total.astype(np.uint64))),
    ),
    Misconception(
        "in floats",
        _made(finish=lambda total: total.astype(np.float64)),
        "These are floats: masks cancel exactly only in whole numbers that wrap; a float rounds, and float32 keeps 24 of the 32 bits.",
        seen=lambda want, got: _codes(got).dtype.kind == "f",
        variants=(
            _made(finish=lambda total: total.astype(np.float32)),
            _made(finish=lambda total: (total % MODULUS).astype(np.float64)),
            _made(finish=lambda total: (total % MODULUS).astype(np.float32)),
        ),
    ),
    Misconception(
        "held at the ends",
        _made(finish=lambda total: total.clip(0, MODULUS - 1).astype(np.uint32)),
        "What went below 0 or above 2^32 − 1 was cut off there, and cannot come back in the sum: wrap around instead, modulo 2^32.",
    ),
    Misconception(
        "modulo 2^32 − 1",
        _made(finish=lambda total: (total % (MODULUS - 1)).astype(np.uint32)),
        "This is modulo 2^32 − 1, the largest code; there are 2^32 codes with 0, and uint32 wraps at 2^32.",
    ),
    Misconception(
        "own mask forgotten",
        _made(own=0),
        "The own mask is missing: if this vector comes too late, the server has already asked the others for its pairwise masks, and would read it.",
    ),
    Misconception(
        "own mask subtracted",
        _made(own=-1),
        "The own mask was subtracted: it is in no pair, so everyone adds it; did the loop over the names take me for a peer?",
        variants=(_made(own=0, peers=lambda me, names, seeds: names, seed=lambda peer, own, seeds: seeds.get(peer, own)),),
    ),
    Misconception(
        "a pair with oneself",
        _made(peers=lambda me, names, seeds: names),
        "The loop also meets yourself: you stand among the names, and there is no seed for a pair with oneself; skip the name that is yours.",
        variants=(_times_sign(skip_me=False),),
    ),
    Misconception(
        "minus one in uint32",
        _times_sign(skip_me=True),
        "uint32 has no −1 to multiply by: where the peer's name is the lower one, subtract the mask of the pair; the difference wraps by itself.",
    ),
    Misconception(
        "pairs with the absent",
        _made(peers=lambda me, names, seeds: seeds),
        "There are masks for peers that are not in the round: nobody takes them off again, so go through `names`, not through all of pair_seeds.",
    ),
    Misconception(
        "one stream for all",
        _made(seed=_one_seed),
        "The same stream was used for every peer: each pair has a seed of its own, or one member who knows it unmasks everybody.",
        variants=(_made(seed=lambda peer, own, seeds: own),),
    ),
    Misconception(
        "one number for all entries",
        _made(draw=_first_number),
        "One number masks all entries: differences between entries stay readable; draw as many numbers as there are codes.",
    ),
    Misconception(
        "xor",
        _xor,
        "XOR hides the codes, but it does not cancel in a sum: add and subtract modulo 2^32.",
    ),
)
