"""Who reviews whom: by lot, balanced, nobody their own work, no pair twice. Those who come late or leave are worked in.

Works are handed out in rounds: the neediest works meet the reviewers with the fewest, in an order drawn by lot. Where a round
pairs somebody with their own work, or a pair a second time, the works of two reviewers are exchanged.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from breakthrough.errors import InputError, expected

K = 3
_TRIES = 400  # exchanges looked for, for one pair that must not be
Pair = tuple[str, str]  # reviewer, author
Given = dict[str, tuple[str, ...]]  # the authors whose works a reviewer reads
Fits = Callable[[str, str], bool]  # whether a reviewer may read an author's work


def assign(reviewers: Sequence[str], authors: Sequence[str], *, k: int = K, seed: int = 0, before: Collection[Pair] = (),
           given: Mapping[str, Sequence[str]] | None = None) -> Given:
    """Give every work k reviews, and every reviewer the same number of works or one more.

    What is `given` already stays, as far as reviewer and author are still there: so a second call works in who came late, and
    spreads the works of those who left over the rest; only where nobody free may take a work does one of the given change
    hands. Pairs of `before`, earlier modules say, are not made again; when that cannot be (few learners, many modules), such
    a pair is made rather than a review left out.

    Raises: InputError for fewer than two learners, or a k below 1
    """
    people, works = sorted(set(reviewers)), sorted(set(authors))
    if k < 1 or len(people) < 2 or len(works) < 2:
        raise InputError(expected("two learners with works at least, and a k of 1 at least", f"{len(people)} reviewers, {len(works)} works, k = {k}"))
    k = min(k, len(people) - 1)
    there = set(works)
    held = {one: [work for work in (given or {}).get(one, ()) if work in there and work != one] for one in people}
    lot = random.Random(f"exchange {seed}")  # by lot, not a secret
    for forbidden in (frozenset(before), frozenset()):
        while _round(held, works, k, forbidden, lot):
            pass
    return {one: tuple(held[one]) for one in people}


def _round(held: dict[str, list[str]], works: Sequence[str], k: int, before: Collection[Pair], lot: random.Random) -> int:
    """Give each needy work one more reviewer, as far as reviewers reach; how many were given."""
    had = Counter(work for many in held.values() for work in many)
    needy = sorted(works, key=lambda work: (had[work], lot.random()))
    needy = [work for work in needy if had[work] < k]
    most = math.ceil(k * len(works) / len(held))
    free = [one for one in sorted(held, key=lambda one: (len(held[one]), lot.random())) if len(held[one]) < most]
    pairs = [[one, work] for one, work in zip(free, needy, strict=False)]

    def fits(one: str, work: str) -> bool:
        return one != work and work not in held[one] and (one, work) not in before

    _mend(pairs, fits, lot)
    good = [(one, work) for one, work in pairs if fits(one, work)]
    for one, work in good:
        held[one].append(work)
    return len(good) or _exchanged(held, needy, free, fits)


def _mend(pairs: list[list[str]], fits: Fits, lot: random.Random) -> None:
    """Exchange works between pairs, where one of them may not be."""
    for pair in pairs:
        one, work = pair
        if fits(one, work):
            continue
        for _ in range(_TRIES):
            other = lot.choice(pairs)
            if other is not pair and fits(one, other[1]) and fits(other[0], work):
                pair[1], other[1] = other[1], work
                break


def _exchanged(held: dict[str, list[str]], needy: Sequence[str], free: Sequence[str], fits: Fits) -> int:
    """For a work that no free reviewer may take: somebody else takes it and gives theirs to the free one."""
    for work in needy:
        for one in free:
            for other, theirs in held.items():
                if other == one or not fits(other, work):
                    continue
                for place, swapped in enumerate(theirs):
                    if fits(one, swapped):
                        theirs[place] = work
                        held[one].append(swapped)
                        return 1
    return 0
