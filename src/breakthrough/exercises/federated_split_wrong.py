"""Module 3: how a Dirichlet partition goes wrong.

Shapes: N samples of C classes, K parts
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from breakthrough.exercises.exercise import Misconception


def _cumulative(mine: np.ndarray, shares: np.ndarray) -> list[np.ndarray]:
    return np.split(mine, np.round(np.cumsum(shares)[:-1] * len(mine)).astype(int))


def _truncated(mine, shares):
    sizes = (shares * len(mine)).astype(int)
    ends = np.cumsum(sizes)
    return [mine[end - size : end] for size, end in zip(sizes, ends)]


def _rounded(mine, shares):
    sizes = np.round(shares * len(mine)).astype(int)
    ends = np.cumsum(sizes)
    return [mine[end - size : end] for size, end in zip(sizes, ends)]


def _rest_to_the_last(mine, shares):
    ends = np.cumsum((shares * len(mine)).astype(int))
    return np.split(mine, ends[:-1])


def _split(
    cut: Callable[[np.ndarray, np.ndarray], Iterable[np.ndarray]] = _cumulative,
    kinds: Callable[[np.ndarray], Iterable[int]] = np.unique,
    shares: Callable | None = None,
    shuffle: bool = True,
    join: Callable = lambda hand: np.concatenate(hand).astype(np.int64),
    change: Callable = lambda generator: generator,
) -> Callable[..., list[np.ndarray]]:
    """A partition that differs in one respect. `shares` draws a matrix (C, K) at once."""

    def answer(labels, parts, alpha, generator):
        generator = change(generator)
        classes = list(kinds(labels))
        draw = shares or (lambda g, n, k, a: g.dirichlet(np.full(k, a), size=n))
        table = draw(generator, len(classes), parts, alpha)
        dealt = [[np.empty(0, np.int64)] for _ in range(parts)]
        for row, kind in zip(table, classes):
            mine = np.flatnonzero(labels == kind)
            mine = generator.permutation(mine) if shuffle else mine
            for hand, some in zip(dealt, cut(mine, row)):
                hand.append(some)
        return [join(hand) for hand in dealt]

    return answer


def _per_part(generator, n, parts, alpha):
    mix = generator.dirichlet(np.full(max(n, 1), alpha), size=parts).T + 1e-12  # (C, K): each part's own mix of classes
    return (mix / mix.sum(axis=1, keepdims=True))[:n]


def _lists(hand):
    return np.array([i for some in hand for i in some.tolist()])


def _choices(labels, parts, alpha, generator):
    dealt: list[list[Any]] = [[] for _ in range(parts)]
    for kind in np.unique(labels):
        mine = np.flatnonzero(labels == kind)
        for hand, share in zip(dealt, generator.dirichlet(np.full(parts, alpha))):
            hand.extend(generator.choice(mine, round(share * len(mine))).tolist())
    return dealt


def _mixes(labels, parts, alpha, generator):
    """As many samples for each part, of a mix of classes of its own, drawn with replacement."""
    classes = np.unique(labels)
    dealt = []
    for _ in range(parts):
        mix = generator.dirichlet(np.full(len(classes), alpha)) if len(classes) else []
        drawn = [generator.choice(np.flatnonzero(labels == generator.choice(classes, p=mix))) for _ in range(len(labels) // parts)]
        dealt.append(np.array(drawn, dtype=np.int64))
    return dealt


def _labels_dealt(labels, parts, alpha, generator):
    right = _split()
    return [labels[indices] for indices in right(labels, parts, alpha, generator)]


def _even(generator, n, parts, alpha):
    return np.full((n, parts), 1 / parts)


def _random_numbers(generator, n, parts, alpha):
    raw = generator.random((n, parts))
    return raw / raw.sum(axis=1, keepdims=True)


MISCONCEPTIONS = (
    Misconception(
        "cut one by one",
        _split(_truncated),
        "Samples are lost: each share was rounded for itself, and the pieces do not add up to the class; round the running sum, so that one piece ends where the next begins.",
        variants=(_split(_rounded),),
    ),
    Misconception(
        "the rest to the last",
        _split(_rest_to_the_last),
        "Every share is cut down to a whole number and the last part gets all that is left, so it grows with the number of parts: cut at the rounded running sum of the shares.",
    ),
    Misconception(
        "in several parts",
        _choices,
        "Parts draw for themselves, so a sample can be in two of them: shuffle the class once and cut it into pieces that do not overlap.",
        variants=(_mixes,),
    ),
    Misconception(
        "classes of a part",
        _split(shares=_per_part),
        "The Dirichlet draw here is a mix of classes for each part: draw for each class its shares over the parts, K numbers that sum to 1, so that nothing need be scaled afterwards.",
    ),
    Misconception(
        "one draw for all classes",
        _split(shares=lambda g, n, k, a: np.tile(g.dirichlet(np.full(k, a)), (n, 1))),
        "All classes are cut at the same shares, so parts differ in size and not in their mix: draw new shares for each class.",
    ),
    Misconception(
        "not shuffled",
        _split(shuffle=False),
        "Each part gets a stretch of neighbours: samples next to each other are often of one shift or one scene, so shuffle the class's indices with the generator before you cut.",
    ),
    Misconception(
        "α not used",
        _split(shares=_even),
        "The shares are equally uneven whatever α is: give the Dirichlet draw K times alpha.",
        variants=(_split(shares=_random_numbers), _split(shares=lambda g, n, k, a: g.dirichlet(np.ones(k), size=n))),
    ),
    Misconception(
        "α shared out",
        _split(shares=lambda g, n, k, a: g.dirichlet(np.full(k, a / k), size=n)),
        "The shares are more unequal than asked for: α was divided by the number of parts, but here each of the K parameters is α itself.",
    ),
    Misconception(
        "α upside down",
        _split(shares=lambda g, n, k, a: g.dirichlet(np.full(k, 1 / a), size=n)),
        "A large α gives unequal parts here: it is the other way round, so give the Dirichlet draw alpha itself, not 1 / alpha.",
    ),
    Misconception(
        "classes counted",
        _split(kinds=lambda labels: range(len(set(labels.tolist())))),
        "Whole classes are missing: their names need not be 0 to C − 1, so go through `np.unique(labels)`.",
    ),
    Misconception(
        "labels instead of indices",
        _labels_dealt,
        "The parts hold labels: return where the samples stand, so that pictures can be looked up with it too.",
    ),
    Misconception(
        "float when empty",
        _split(join=_lists),
        "A part without samples became an array of floats, as np.array([]) is, and cannot index: give it dtype=np.int64.",
    ),
    Misconception(
        "nothing to join",
        _split(join=lambda hand: np.concatenate(hand[1:])),  # the first piece is the empty one
        "Without samples there is no class and no piece, and np.concatenate of an empty list fails: let each part begin with np.empty(0, dtype=np.int64).",
    ),
    Misconception(
        "global random",
        _split(change=lambda generator: np.random),
        "The same generator gave two different splits: draw everything from the generator that is handed in, not from np.random.",
        variants=(_split(change=lambda generator: np.random.default_rng()),),
    ),
    Misconception(
        "own seed",
        _split(change=lambda generator: np.random.default_rng(42)),
        "Another generator gave the same split: draw from the one that is handed in and make none of your own.",
    ),
)
