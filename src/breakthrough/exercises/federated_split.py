"""Module 3: Dirichlet label skew. Judged by what it does, not by the numbers it draws.

Shapes: N samples of C classes, K parts
"""

from __future__ import annotations

import numpy as np
from torch import Generator

from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.federated_split_trial import try_out
from breakthrough.exercises.federated_split_wrong import MISCONCEPTIONS
from breakthrough.exercises.scenes_inputs import numpy_from


def split(labels: np.ndarray, parts: int, alpha: float, generator: np.random.Generator) -> list[np.ndarray]:
    """Deal out samples to parts, each class by shares of its own that are drawn from a Dirichlet distribution.

    Why:    factories do not see the same defects equally often; α says how unequal: at 100 all parts look
            alike, at 0.1 most classes sit nearly whole in one part, and averaging models gets hard
    Shapes: labels (N,) int64, N ≥ 0 → parts index arrays, together every index from 0 to N − 1 exactly once
    Units:  for each class that occurs: shares of the parts ~ Dir(α, …, α), parts numbers that sum to 1, drawn
            anew; a part gets its share of the class's samples, to within a sample. Which ones is drawn as well.
            Everything from the generator; a part may be empty
    Source: Hsu, Qi, Brown 2019, arXiv:1909.06335; the shares over parts for each class, as in Yurochkin et al. 2019
    """
    dealt: list[list[np.ndarray]] = [[np.empty(0, np.int64)] for _ in range(parts)]
    for kind in np.unique(labels):
        mine = generator.permutation(np.flatnonzero(labels == kind))
        shares = generator.dirichlet(np.full(parts, alpha))
        # rounded where two parts meet: what one loses the next one gets
        cuts = np.round(np.cumsum(shares)[:-1] * len(mine)).astype(int)
        for hand, some in zip(dealt, np.split(mine, cuts)):
            hand.append(some)
    return [np.concatenate(hand) for hand in dealt]


def _by_lots(labels, parts, alpha, generator):
    """Each sample draws its part by the shares of its class."""
    shares = {kind: generator.dirichlet([alpha] * parts) for kind in sorted(set(labels.tolist()))}
    part = np.array([generator.choice(parts, p=shares[kind]) for kind in labels.tolist()], dtype=np.int64)
    return [np.flatnonzero(part == k) for k in range(parts)]


def _by_gamma(labels, parts, alpha, generator):
    """Dirichlet by gamma variates, cut downwards, in plain lists."""
    hands: list[list[int]] = [[] for _ in range(parts)]
    for kind in np.unique(labels).tolist():
        mine = [i for i, label in enumerate(labels.tolist()) if label == kind]
        generator.shuffle(mine)
        sizes = generator.gamma(alpha, size=parts)
        ends = (sizes.cumsum() / sizes.sum() * len(mine)).astype(int).tolist()
        ends[-1] = len(mine)
        for hand, start, end in zip(hands, [0, *ends], ends):
            hand += mine[start:end]
    return hands


def _by_breaking_a_stick(labels, parts, alpha, generator):
    """Dirichlet by beta variates, each of what is left; a sample's part by where its drawn rank falls."""
    owner = np.empty(len(labels), dtype=np.int64)
    for kind in set(labels.tolist()):
        left, ends = 1.0, []
        for k in range(parts - 1):
            left *= 1 - generator.beta(alpha, alpha * (parts - k - 1))
            ends.append(1 - left)
        mine = np.nonzero(labels == kind)[0]
        rank = np.argsort(generator.random(len(mine)))
        owner[mine] = np.searchsorted(ends, (rank + 0.5) / len(mine))
    return [np.arange(len(labels))[owner == k] for k in range(parts)]


def outcome(answer, case: Case) -> Outcome:
    """How a split does.

    Raises: InputError for what is no split at all
    """
    return try_out(answer, *case.args)


def _cases(generator: Generator):
    rng = numpy_from(generator)
    seed = int(rng.integers(2**31))
    yield Case("300 samples of 5 classes, 4 parts, α = 1", (rng.integers(0, 5, 300), 4, (1.0,), seed, 20))
    yield Case("classes 2, 5 and 9 only", (rng.choice([2, 5, 9], 120), 3, (1.0,), seed, 20))
    yield Case("α = 0.5 and 4, 100 draws each", (rng.permutation(np.arange(160) % 4), 4, (0.5, 4.0), seed, 100))
    yield Case("10 parts, 10 samples of each class", (rng.permutation(np.arange(100) % 10), 10, (1.0,), seed, 100))
    yield Case("3 samples, 5 parts", (np.array([1, 0, 1]), 5, (0.5,), seed, 1))
    yield Case("one part", (rng.integers(0, 3, 20), 1, (0.5,), seed, 1))
    yield Case("no samples", (np.zeros(0, np.int64), 3, (0.5,), seed, 1))


EXERCISES = (
    Exercise(
        name="federated.split",
        title="Dirichlet partition",
        points=6,
        minutes=30,
        difficulty=1,
        reference=split,
        cases=_cases,
        call=outcome,
        expected=Outcome(),
        compare=by_fault,
        alternatives=(_by_lots, _by_gamma, _by_breaking_a_stick),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Take one class at a time, shuffle it like a deck of cards and cut the deck in K places. Where the cuts fall is drawn: K shares from a Dirichlet distribution, new ones for each class.",
            "labels (N,) → for each class of `np.unique`: its indices (n,) shuffled; shares (K,) from `generator.dirichlet`; their running sum (K,) × n, rounded: the first K − 1 are the cuts for `np.split` → K pieces; K arrays in the end, one piece of each class joined",
            "hands = K lists, each with an empty int64 array to begin with\nfor each class that occurs:\n    mine = its indices, in an order from the generator\n    shares = generator.dirichlet(K times alpha)\n    cuts = round(running sum of shares · len(mine)), without the last\n    the k-th piece of mine, cut there, goes to hand k\nreturn K whole-number arrays, each hand joined",
        ),
    ),
)
