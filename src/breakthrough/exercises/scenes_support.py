"""Module 2: penetration and support, from a list of contacts.

Shapes: N bodies, of which body 0 is the tray; C contacts between them
Units:  metres
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception

TOLERANCE_M = 5e-4
Support = tuple[float, np.ndarray]


def support(a: np.ndarray, b: np.ndarray, gap_m: np.ndarray, n_bodies: int, tolerance_m: float = TOLERANCE_M) -> Support:
    """How deep bodies are inside each other, and which of them stand on the tray, directly or on others.

    Shapes: a (C,), b (C,) int64 the two bodies of each contact, in either order; gap_m (C,) between
            them, negative inside each other → the deepest penetration (), supported (n_bodies,) bool
    Units:  the penetration is positive, and 0 when nothing penetrates. Bodies touch where the gap is at
            most tolerance_m; supported is what a chain of touching bodies joins to body 0, itself included
    """
    deepest_m = max(0.0, float(-gap_m.min())) if len(gap_m) else 0.0
    touching = gap_m <= tolerance_m
    pairs = list(zip(a[touching].tolist(), b[touching].tolist()))
    supported = np.zeros(n_bodies, dtype=bool)
    supported[0] = True
    found = True
    while found:  # support spreads by one body at least, or is complete
        found = False
        for one, other in pairs:
            if supported[one] != supported[other]:
                supported[one] = supported[other] = found = True
    return deepest_m, supported


def _by_groups(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    group = np.arange(n_bodies)
    for one, other, gap in zip(a, b, gap_m):
        if gap <= tolerance_m:
            group[group == group[other]] = group[one]
    depth = (-gap_m).clip(min=0.0)
    return depth.max(initial=0.0), group == group[0]


def _by_powers(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    reach = np.eye(n_bodies, dtype=np.int64)
    near = ~(gap_m > tolerance_m)
    reach[a[near], b[near]] = reach[b[near], a[near]] = 1
    for _ in range(n_bodies):
        reach = np.minimum(reach @ reach, 1)
    return -min([0.0, *gap_m.tolist()]), reach[0].astype(bool)


def _from_the_tray_upwards(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    neighbours: dict[int, set[int]] = {body: set() for body in range(n_bodies)}
    for one, other, gap in zip(a.tolist(), b.tolist(), gap_m.tolist()):
        if gap <= tolerance_m:
            neighbours[one].add(other)
            neighbours[other].add(one)
    seen, waiting = {0}, [0]
    while waiting:
        new = neighbours[waiting.pop()] - seen
        seen |= new
        waiting.extend(new)
    return float(np.fmax(-gap_m, 0).max()) if gap_m.size else 0.0, np.isin(np.arange(n_bodies), list(seen))


def _smallest_gap(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    supported = support(a, b, gap_m, n_bodies, tolerance_m)[1]
    return float(gap_m.min()) if len(gap_m) else 0.0, supported


def _negative(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    deepest, supported = support(a, b, gap_m, n_bodies, tolerance_m)
    return -deepest, supported


def _not_clipped(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    supported = support(a, b, gap_m, n_bodies, tolerance_m)[1]
    return float(-gap_m.min()) if len(gap_m) else 0.0, supported


def _largest_gap(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    supported = support(a, b, gap_m, n_bodies, tolerance_m)[1]
    return max(0.0, float(gap_m.max())) if len(gap_m) else 0.0, supported


def _largest_size(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    supported = support(a, b, gap_m, n_bodies, tolerance_m)[1]
    return float(np.abs(gap_m).max()) if len(gap_m) else 0.0, supported


def _mean_depth(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    inside = -gap_m[gap_m < 0]
    return float(inside.mean()) if len(inside) else 0.0, support(a, b, gap_m, n_bodies, tolerance_m)[1]


def _mean_of_all(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    depth = (-gap_m).clip(min=0)
    return float(depth.mean()) if len(depth) else 0.0, support(a, b, gap_m, n_bodies, tolerance_m)[1]


def _summed(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    return float((-gap_m).clip(min=0).sum()), support(a, b, gap_m, n_bodies, tolerance_m)[1]


def _one_hop(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    supported = np.arange(n_bodies) == 0
    for one, other, gap in zip(a, b, gap_m):
        if gap <= tolerance_m and 0 in (one, other):
            supported[[one, other]] = True
    return support(a, b, gap_m, n_bodies)[0], supported


def _one_pass(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    supported = np.arange(n_bodies) == 0
    for one, other, gap in zip(a, b, gap_m):
        if gap <= tolerance_m and (supported[one] or supported[other]):
            supported[[one, other]] = True
    return support(a, b, gap_m, n_bodies)[0], supported


def _touches_anything(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    supported = np.arange(n_bodies) == 0
    near = gap_m <= tolerance_m
    supported[a[near]] = supported[b[near]] = True
    return support(a, b, gap_m, n_bodies)[0], supported


def _one_way(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    supported = np.arange(n_bodies) == 0
    for _ in range(n_bodies):
        for one, other, gap in zip(a, b, gap_m):
            if gap <= tolerance_m and supported[one]:
                supported[other] = True
    return support(a, b, gap_m, n_bodies)[0], supported


def _other_way(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    return _one_way(b, a, gap_m, n_bodies, tolerance_m)


def _any_gap(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    return support(a, b, gap_m, n_bodies)[0], support(a, b, np.zeros_like(gap_m), n_bodies)[1]


def _only_inside(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    return support(a, b, gap_m, n_bodies)[0], support(a, b, gap_m, n_bodies, 0.0)[1]


def _either_side(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    near = np.abs(gap_m) <= tolerance_m
    return support(a, b, gap_m, n_bodies)[0], support(a[near], b[near], gap_m[near], n_bodies, tolerance_m)[1]


def _without_the_tray(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    deepest, supported = support(a, b, gap_m, n_bodies, tolerance_m)
    return deepest, supported & (np.arange(n_bodies) > 0)


def _upside_down(a, b, gap_m, n_bodies, tolerance_m=TOLERANCE_M):
    deepest, supported = support(a, b, gap_m, n_bodies, tolerance_m)
    return deepest, ~supported


def _contacts(*rows: tuple[int, int, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contacts from rows of two bodies and the gap between them in millimetres."""
    a, b, gap_mm = zip(*rows) if rows else ((), (), ())
    return np.array(a, dtype=np.int64), np.array(b, dtype=np.int64), 1e-3 * np.array(gap_mm, dtype=float)


def _pile(draw: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pile of half of the bodies on the tray, a heap in the air of the others, in any order."""
    order = np.concatenate(([0], 1 + draw.permutation(n - 1)))
    rows = []
    for i in range(1, n):
        first = 0 if i < n // 2 else n // 2
        below = int(draw.integers(max(first, i - 3), i)) if i > first else None
        if below is not None:
            rows.append((order[i], order[below], draw.uniform(-0.4, 0.4)))
    rows += [(*draw.choice(n, 2, replace=False), draw.uniform(0.6, 3.0)) for _ in range(n)]  # near, not touching
    rows = [row if draw.random() < 0.5 else (row[1], row[0], row[2]) for row in rows]
    return _contacts(*(rows[i] for i in draw.permutation(len(rows))))


def _cases(generator: Generator):
    draw = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    yield Case("a block on the tray, another one on it", (*_contacts((0, 1, -0.02), (1, 2, 0.01)), 3))
    yield Case("two blocks in the air that touch", (*_contacts((1, 2, -0.3), (3, 0, 0.1)), 4))
    yield Case("a tower whose contacts come from the top", (*_contacts((3, 4, 0.1), (3, 2, 0.2), (2, 1, 0.0), (1, 0, 0.1)), 5))
    yield Case("a block just over the tray, and its own load", (*_contacts((0, 1, 0.8), (1, 2, 0.1)), 3))
    yield Case("a wider tolerance", (*_contacts((0, 1, 0.8), (1, 2, 0.1), (2, 3, 1.5)), 4, 1e-3))
    yield Case("a gap of just the tolerance", (*_contacts((0, 1, 0.25), (1, 2, 0.3)), 3, 1e-3 * 0.25))
    yield Case("a bolt deep in a plate", (*_contacts((0, 1, -0.1), (1, 2, -2.5), (0, 3, 4.0)), 4))
    yield Case("a pile and a heap in the air", (*_pile(draw, 14), 14))
    yield Case("thirty bodies", (*_pile(draw, 30), 30))
    yield Case("no contacts", (*_contacts(), 3))


EXERCISES = (
    Exercise(
        name="scenes.support",
        title="Penetration and support",
        points=6,
        minutes=40,
        difficulty=2,
        reference=support,
        cases=_cases,
        compare=close(atol=1e-9, parts=("the deepest penetration", "supported")),
        alternatives=(_by_groups, _by_powers, _from_the_tray_upwards),
        misconceptions=(
            Misconception(
                "one hop",
                _one_hop,
                "Only what touches the tray itself is supported here: a block on a block on the tray stands too, so let support spread until nothing new is found.",
            ),
            Misconception(
                "one pass",
                _one_pass,
                "One pass over the contacts is not enough: when a tower's contacts come from the top, support reaches the next body only in the next pass; repeat until nothing changes.",
            ),
            Misconception(
                "touches anything",
                _touches_anything,
                "Whatever touches anything is supported here: two blocks in the air that touch each other fall all the same; a chain of contacts must lead to body 0.",
            ),
            Misconception(
                "one way only",
                _one_way,
                "Support spreads only from a to b: the two bodies of a contact come in either order, so look at both directions.",
                variants=(_other_way,),
            ),
            Misconception(
                "gap ignored",
                _any_gap,
                "Every pair in the list counts as touching: an engine lists near pairs too; bodies touch where the gap is at most the tolerance.",
            ),
            Misconception(
                "tolerance ignored",
                _only_inside,
                "Bodies touch here only where they penetrate: a solver leaves gaps of some tenths of a millimetre under what rests, so compare with tolerance_m, not with 0.",
            ),
            Misconception(
                "deep is not touching",
                _either_side,
                "A deep penetration does not count as touching here: the tolerance bounds the gap from above only, without abs().",
            ),
            Misconception(
                "sign",
                _smallest_gap,
                "The penetration comes out with the wrong sign: gaps are negative inside, and a depth is their positive size, max(0, −gap).",
                variants=(_negative,),
            ),
            Misconception(
                "below zero",
                _not_clipped,
                "Where nothing penetrates, the depth comes out negative: it is 0 then.",
            ),
            Misconception(
                "largest gap",
                _largest_gap,
                "That is the widest gap, not the deepest penetration: penetrations are the negative gaps, so look for the smallest.",
                variants=(_largest_size,),
            ),
            Misconception(
                "mean penetration",
                _mean_depth,
                "The depths were averaged (or added up): one bolt deep in a plate must not hide among a hundred light contacts, so take the deepest.",
                variants=(_mean_of_all, _summed),
            ),
            Misconception(
                "tray left out",
                _without_the_tray,
                "Body 0, the tray, is not supported here: it carries everything, so it counts as supported.",
            ),
            Misconception(
                "upside down",
                _upside_down,
                "True and False have changed places: True means that a body is supported.",
            ),
        ),
        hints=(
            "Support is inherited: what touches something supported is supported, and the tray is where it begins. Two bodies in the air may hold hands as firmly as they like.",
            "gap_m (C,) → touching (C,) bool, gap ≤ tolerance; supported (N,) bool, at first only [0]; over the touching pairs: supported[a] or supported[b] → both; deepest: max(0, −gap_m.min()), and 0.0 for C = 0",
            "supported = only body 0\nrepeat until nothing changes:\n    for each touching pair: if one of the two is supported, both are\ndeepest = the largest of 0 and all −gap\nreturn deepest, supported",
        ),
    ),
)
