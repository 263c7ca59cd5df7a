"""Module 2: choosing which shots to make when there is not money for all.

Shapes: N shots that could be made, d features of each
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator

from breakthrough.errors import type_of
from breakthrough.exercises.compare import Difference
from breakthrough.exercises.exercise import Case, Exercise, Misconception


def choose(features: np.ndarray, scene: np.ndarray, cost_scene: int, cost_shot: int, budget: int) -> list[int]:
    """Choose shots one by one, each time the one that adds the most for its cost.

    Shapes: features (N, d), scene (N,) int64 the scene of each shot → indices in the order of choice
    Units:  a shot costs cost_shot, and the first of a scene cost_scene more (it must be built and
            settled). It adds its distance to the nearest shot chosen so far; the first choice is shot 0,
            if the budget is enough for it. Equal shares: the lower index. The end: no shot that is
            affordable adds anything
    Source: Gonzalez 1985, farthest-point clustering, here per cost
    """
    distance = np.full(len(features), np.inf)
    paid: set[int] = set()
    chosen: list[int] = []
    while True:
        cost = np.array([cost_shot if s in paid else cost_scene + cost_shot for s in scene.tolist()])
        share = np.where((cost <= budget) & (distance > 0), distance / cost, -1.0)
        if not len(share) or share.max() < 0:
            return chosen
        best = int(share.argmax())  # the first of equal ones
        chosen.append(best)
        budget -= int(cost[best])
        paid.add(int(scene[best]))
        distance = np.minimum(distance, np.linalg.norm(features - features[best], axis=1))


def _one_by_one(features, scene, cost_scene, cost_shot, budget):
    between = np.sqrt(((features[:, None] - features[None]) ** 2).sum(-1)).tolist()
    chosen: list[int] = []
    paid: set[int] = set()

    def cost(i):
        return cost_shot + (int(scene[i]) not in paid) * cost_scene

    while True:
        best, most = None, 0.0
        for i in range(len(scene)):
            adds = min((between[i][j] for j in chosen), default=float("inf"))
            if cost(i) <= budget and adds / cost(i) > most:
                best, most = i, adds / cost(i)
        if best is None:
            return np.array(chosen, dtype=np.int64)
        budget -= cost(best)
        paid.add(int(scene[best]))
        chosen.append(best)


def _sorted_candidates(features, scene, cost_scene, cost_shot, budget):
    if len(scene) == 0 or cost_scene + cost_shot > budget:
        return ()
    chosen, spent = [0], cost_scene + cost_shot
    while True:
        paid = {int(scene[i]) for i in chosen}
        rows = []
        for i in range(len(scene)):
            price = cost_shot if int(scene[i]) in paid else cost_shot + cost_scene
            adds = min(float(np.linalg.norm(features[i] - features[j])) for j in chosen)
            if adds > 0 and spent + price <= budget:
                rows.append((-adds / price, i, price))
        if not rows:
            return tuple(chosen)
        _, best, price = min(rows)
        chosen.append(best)
        spent += price


def _by_recursion(features, scene, cost_scene, cost_shot, budget):
    places, scenes = features.tolist(), scene.tolist()

    def go_on(chosen, left, near):
        paid = {scenes[i] for i in chosen}
        prices = [cost_shot + (0 if s in paid else cost_scene) for s in scenes]
        possible = [i for i in range(len(places)) if near[i] > 0 and prices[i] <= left]
        if not possible:
            return chosen
        best = max(possible, key=lambda i: (near[i] / prices[i], -i))
        return go_on([*chosen, best], left - prices[best], [min(d, math.dist(p, places[best])) for d, p in zip(near, places)])

    return go_on([], budget, [math.inf] * len(places))


def _greedy(
    adds: Callable[[np.ndarray], np.ndarray] = lambda between: between.min(axis=1),
    share: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda adds, cost: adds / cost,
    first: bool = True,
    stop: bool = False,
    zeros: bool = False,
    pay: Callable[[np.ndarray, int, int], np.ndarray] = lambda paid, scene, shot: np.where(paid, shot, scene + shot),
    over: bool = False,
) -> Callable[..., list[int]]:
    """A greedy choice that differs in one respect. `adds` looks at distances (N, chosen), in order of choice."""

    def answer(features, scene, cost_scene, cost_shot, budget):
        chosen: list[int] = []
        while len(scene):
            cost = pay(np.isin(scene, scene[chosen]), cost_scene, cost_shot)
            between = np.linalg.norm(features[:, None] - features[None, chosen], axis=-1)  # (N, chosen)
            gain = adds(between) if chosen else np.where(np.arange(len(scene)) == 0, np.inf, 1.0)
            open_ = ~np.isin(np.arange(len(scene)), chosen) & (zeros | (gain > 0))
            fits = (cost <= budget) | ((budget > 0) & over)
            score = np.where(open_ if stop else open_ & fits, share(gain, cost), -np.inf)
            best = int(score.argmax()) if first else len(score) - 1 - int(score[::-1].argmax())
            if score[best] == -np.inf or not fits[best]:
                break
            chosen.append(best)
            budget -= int(cost[best])
        return chosen

    return answer


def _nearest(adds: np.ndarray, cost: np.ndarray) -> np.ndarray:
    return np.where(np.isinf(adds), 1e9, -adds / cost)


def _in_order(features, scene, cost_scene, cost_shot, budget):
    chosen, paid = [], set()
    for i, s in enumerate(scene.tolist()):
        cost = cost_shot + (s not in paid) * cost_scene
        if cost <= budget:
            chosen.append(i)
            paid.add(s)
            budget -= cost
    return chosen


def _first_for_nothing(features, scene, cost_scene, cost_shot, budget):
    return choose(features, scene, cost_scene, cost_shot, budget) or [0][: len(scene)]


def _sorted(features, scene, cost_scene, cost_shot, budget):
    return sorted(choose(features, scene, cost_scene, cost_shot, budget))


def same_choices(want: Sequence[int], got: Any) -> Difference | None:
    """Compare two lists of shots: the first choice that differs is what matters."""
    if got is None:
        return Difference("missing", "the output is None: is there a `return`?", f"{len(want)} indices", "None")
    given = got.tolist() if isinstance(got, (np.ndarray, torch.Tensor)) else got
    if not isinstance(given, (list, tuple)) or any(isinstance(i, bool) or not isinstance(i, (int, np.integer)) for i in given):
        return Difference("type", f"the output is {type_of(got)}, not a list of indices", _shown(want), repr(got)[:60])
    for turn, (theirs, mine) in enumerate(zip(want, given), 1):
        if theirs != mine:
            return Difference("value", f"choice {turn} is shot {mine}, not shot {theirs}", _shown(want), _shown(given))
    if len(given) != len(want):
        return Difference("value", f"the number of shots is {len(given)}, not {len(want)}", _shown(want), _shown(given))
    return None


def _shown(chosen: Sequence[int]) -> str:
    text = ", ".join(map(str, chosen[:12]))
    return f"[{text}, …], {len(chosen)} shots" if len(chosen) > 12 else f"[{text}]"


def _line(*places: float) -> np.ndarray:
    return np.array(places, dtype=float).reshape(-1, 1)


def _cases(generator: Generator):
    draw = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))

    def shots(scenes, each, d, spread=0.4):
        middle = draw.normal(size=(scenes, 1, d))
        features = (middle + spread * draw.normal(size=(scenes, each, d))).reshape(-1, d)
        order = draw.permutation(scenes * each)
        return features[order], np.repeat(np.arange(scenes), each)[order]

    yield Case("four shots on a line", (_line(0, 10, 4, 9), np.array([0, 0, 1, 1]), 3, 1, 9))
    yield Case("far and dear, or near and cheap", (_line(0, 12, 5, 13), np.array([0, 1, 0, 1]), 5, 1, 9))
    yield Case("the best is too dear, another is not", (_line(0, 30, 1, 2), np.array([0, 1, 0, 0]), 4, 1, 8))
    yield Case("equal shares", (_line(0, 2, -2, 4, -4, 3), np.array([0, 0, 0, 1, 1, 0]), 1, 1, 7))
    yield Case("twice the same picture", (_line(0, 5, 5, 0, 7), np.array([0, 0, 1, 1, 1]), 2, 2, 40))
    yield Case("40 shots of 10 scenes", (*shots(10, 4, 3), 4, 1, 42))
    yield Case("60 shots, scenes cost much", (*shots(12, 5, 2, 1.0), 20, 1, 115))
    yield Case("scenes cost nothing", (*shots(8, 3, 4), 0, 3, 31))
    yield Case("money for everything", (*shots(5, 3, 2), 3, 1, 1000))
    yield Case("money for nothing", (*shots(3, 2, 2), 5, 2, 6))
    yield Case("no shots", (np.zeros((0, 2)), np.zeros(0, dtype=np.int64), 3, 1, 10))


EXERCISES = (
    Exercise(
        name="scenes.budget",
        title="An informative set under a budget",
        points=5,
        minutes=30,
        difficulty=3,
        reference=choose,
        cases=_cases,
        compare=same_choices,
        alternatives=(_one_by_one, _sorted_candidates, _by_recursion),
        misconceptions=(
            Misconception(
                "cost ignored in the choice",
                _greedy(share=lambda adds, cost: adds),
                "The farthest shot is taken whatever it costs: divide what a shot adds by its cost, for three cheap shots may add more than a dear one.",
            ),
            Misconception(
                "scene paid every time",
                _greedy(pay=lambda paid, scene, shot: np.full(len(paid), scene + shot)),
                "Every shot pays for its scene: it is built and settled once, so a further shot of it costs cost_shot only.",
            ),
            Misconception(
                "scene never paid",
                _greedy(pay=lambda paid, scene, shot: np.full(len(paid), shot)),
                "The scenes cost nothing here: the first shot of a scene costs cost_scene + cost_shot.",
            ),
            Misconception(
                "distance to the last",
                _greedy(adds=lambda between: between[:, -1]),
                "Distances are those to the shot chosen last, so the choice jumps to and fro: take the distance to the nearest of all chosen so far.",
            ),
            Misconception(
                "distance to the first",
                _greedy(adds=lambda between: between[:, 0]),
                "Distances are those to shot 0 all the time: after each choice they shrink, to the minimum of the old one and that to the new shot.",
            ),
            Misconception(
                "mean distance",
                _greedy(adds=lambda between: between.mean(axis=1)),
                "Distances to all chosen shots were averaged or added up: a copy of a chosen shot would still look far; take the nearest one.",
                variants=(_greedy(adds=lambda between: between.sum(axis=1)), _greedy(adds=lambda between: between.max(axis=1))),
            ),
            Misconception(
                "the nearest",
                _greedy(share=_nearest),
                "The nearest shot is chosen each time, which adds the least: take the largest distance per cost.",
            ),
            Misconception(
                "squared distance",
                _greedy(share=lambda adds, cost: adds**2 / cost),
                "The squared distance was divided by the cost, which favours far and dear shots: take the root.",
            ),
            Misconception(
                "stops too early",
                _greedy(stop=True),
                "It ends when the best shot is too dear, with money left: look for the best among those that are affordable.",
            ),
            Misconception(
                "over budget",
                _greedy(over=True),
                "The last shot costs more than what is left: compare a shot's own cost with the money left before you take it.",
            ),
            Misconception(
                "the first for nothing",
                _first_for_nothing,
                "Shot 0 is bought without money for it: it costs cost_scene + cost_shot like any first shot of a scene, and when that is more than the budget the list is empty.",
            ),
            Misconception(
                "takes copies",
                _greedy(zeros=True),
                "Shots that add nothing (distance 0 to one that is chosen) are bought as long as there is money: stop when none adds anything.",
            ),
            Misconception(
                "last of equals",
                _greedy(first=False),
                "Among equal shares the highest index wins here: the lowest does, so that two people choose the same.",
            ),
            Misconception(
                "as they come",
                _in_order,
                "Shots are taken in the order of the list while there is money: look each time for the one that adds the most for its cost.",
            ),
            Misconception(
                "order lost",
                _sorted,
                "The indices come out sorted: give them in the order of choice, so that any beginning of the list is a good smaller set.",
            ),
        ),
        hints=(
            "A picture much like one you have teaches little. So ask of every candidate how far it is from its nearest neighbour in the set so far, and what it costs, and buy the best bargain; then ask again, for both have changed.",
            "features (N, d) → distance to the nearest chosen (N,), at first ∞; cost (N,): cost_shot, + cost_scene where the scene is not paid yet; distance / cost (N,) → argmax over those with cost ≤ budget and distance > 0",
            "distance = ∞ for every shot; nothing is paid\nrepeat:\n    cost of each shot, from what is paid\n    candidates = affordable, and distance > 0; none: stop\n    best = the largest distance / cost, the first of equals\n    choose it, pay, mark its scene as paid\n    distance = the smaller of distance and that to the new shot",
        ),
    ),
)
