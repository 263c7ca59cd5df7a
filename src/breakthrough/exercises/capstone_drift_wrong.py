"""Module 6: monitors that cry too often, too late or for the wrong reason, for capstone.drift."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from breakthrough.exercises.exercise import Misconception

Side = Literal["left", "right"]
PARTS = ("the distances", "the limit", "the alarm")


def _shares(values: ndarray, x: ndarray, side: Side = "right") -> ndarray:
    return np.searchsorted(np.sort(values), x, side=side) / len(values)


def _both(old: ndarray, new: ndarray) -> ndarray:
    return np.concatenate([old, new])


def _evenly(m: int) -> Callable[[ndarray, ndarray], ndarray]:
    return lambda old, new: np.linspace(min(old.min(), new.min()), max(old.max(), new.max()), m)


def _stairs(
    at: Callable[[ndarray, ndarray], ndarray] = _both, sides: tuple[Side, Side] = ("right", "right"), most: Callable[[ndarray], float] = lambda gap: np.abs(gap).max()
) -> Callable[[ndarray, ndarray], float]:
    """A distance of two stairs: at which values, counted how, and what is made of the gaps."""

    def distance(old: ndarray, new: ndarray) -> float:
        x = at(old, new)
        return float(most(_shares(old, x, sides[0]) - _shares(new, x, sides[1])))

    return distance


def _means(old: ndarray, new: ndarray) -> float:
    return abs(new.mean() - old.mean()) / old.std()


def _errors(old: ndarray, new: ndarray) -> float:
    return abs(new.mean() - old.mean()) / (old.std() * math.sqrt(1 / len(old) + 1 / len(new)))


def _place_by_place(old: ndarray, new: ndarray) -> float:
    return float(np.abs(_shares(old, np.sort(new)) - np.arange(len(new)) / len(new)).max())


def _histograms(old: ndarray, new: ndarray) -> float:
    edges = np.histogram_bin_edges(np.concatenate([old, new]), 10)
    shares = [np.histogram(values, edges)[0] / len(values) for values in (old, new)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _bound(looks: Callable[[int, int], float] = lambda k, features: k * features, sides: float = 2.0, spread: Callable[[int, int], float] = lambda w, n: 1 / w + 1 / n) -> Callable[..., float]:
    """The limit of Smirnov's bound, or a wrong one."""
    return lambda alpha, w, n, k, features: math.sqrt(math.log(sides * looks(k, features) / alpha) / 2 * spread(w, n))


def _cut(stream: ndarray, w: int) -> list[ndarray]:
    return [stream[i : i + w] for i in range(0, len(stream) // w * w, w)]


def _count(row: ndarray, above: ndarray, streak: int) -> ndarray:
    return np.where(above, row + 1, 0)


@dataclass(frozen=True)
class Rules:
    """How somebody watches; the defaults are right."""

    distance: Callable[[ndarray, ndarray], float] = _stairs()
    limit: Callable[..., float] = _bound()
    cut: Callable[[ndarray, int], list[ndarray]] = _cut
    count: Callable[[ndarray, ndarray, int], ndarray] = _count
    needed: Callable[[int], int] = lambda streak: streak
    pictures: Callable[[int, int, int], int] = lambda k, w, streak: k * w  # after the k-th window
    feature: Callable[[ndarray, ndarray], int] = lambda held, distances: int(np.argmax(np.where(held, distances, -1)))
    first: bool = True
    stops: bool = False
    grows: bool = False
    no_window: Any = math.inf


def _watch(rules: Rules, reference: ndarray, stream: ndarray, window: int, alpha: float, streak: int = 2) -> tuple[ndarray, float, Any]:
    parts, (n, features) = rules.cut(stream, window), reference.shape
    k = len(parts)
    limit = rules.limit(alpha, window, n, k, features) if k else rules.no_window
    rows, row, alarm = [], np.zeros(features, dtype=int), None
    for i, part in enumerate(parts, 1):
        distances = np.array([rules.distance(reference[:, f], part[:, f]) for f in range(features)])
        rows.append(distances)
        row = rules.count(row, distances > limit, streak)
        held = row >= rules.needed(streak)
        if held.any() and (alarm is None or not rules.first):
            alarm = rules.pictures(i, window, streak), rules.feature(held, distances)
            if rules.stops:
                break
        if rules.grows:
            reference = np.concatenate([reference, part])
    return np.array(rows).reshape(-1, features), limit, alarm


def fires_often(args: tuple) -> bool:
    """Whether a monitor that gives each look all of alpha fires in these pictures."""
    return _watch(Rules(limit=_bound(looks=lambda k, features: 1)), *args)[2] is not None


def _ways(*ways: dict[str, Any]) -> dict[str, Any]:
    answers = [partial(_watch, replace(Rules(), **way)) for way in ways]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _together(row: ndarray, above: ndarray, streak: int) -> ndarray:
    """A row of windows in which any feature was above the limit."""
    longest = row.max() + 1 if above.any() else 0
    return np.where(above, longest, 0) if above.any() else np.zeros_like(row)


MISCONCEPTIONS = (
    Misconception(
        "each look by itself",
        says="Each look has all of alpha: with 8 windows and 4 features that are 32 chances to cry for nothing in a shift; divide alpha by windows · features.",
        **_ways({"limit": _bound(looks=lambda k, features: 1)}),
    ),
    Misconception(
        "features not counted",
        says="alpha was divided by the windows alone: each feature is a look of its own; divide by windows · features.",
        **_ways({"limit": _bound(looks=lambda k, features: k)}),
    ),
    Misconception(
        "windows not counted",
        says="alpha was divided by the features alone: each window is another chance to cry for nothing; divide by windows · features.",
        **_ways({"limit": _bound(looks=lambda k, features: features)}),
    ),
    Misconception(
        "every picture counted as a look",
        says="alpha was divided by more looks than there are: there are K · F, whole windows times features.",
        **_ways(*({"limit": lambda alpha, w, n, k, features, by=by: _bound(looks=lambda k, features: k * features * (w if by else n))(alpha, w, n, k, features)} for by in (True, False))),
    ),
    Misconception(
        "the reference taken for the truth",
        says="The limit has only 1 / w: the reference is a sample as well, of N pictures; take 1/w + 1/N.",
        **_ways({"limit": _bound(spread=lambda w, n: 1 / w)}, {"limit": _bound(spread=lambda w, n: 1 / n)}, {"limit": _bound(spread=lambda w, n: 1 / (w + n))}, {"limit": _bound(spread=lambda w, n: w * n / (w + n))}),
    ),
    Misconception(
        "the bound solved otherwise",
        says="The distances are right, the limit is not: solve 2 · exp(−2 · d² / (1/w + 1/N)) = alpha / (K · F) for d; mind both twos and the root.",
        **_ways(
            {"limit": _bound(sides=1.0)},
            {"limit": lambda *a: _bound()(*a) ** 2},
            {"limit": lambda *a: _bound()(*a) * math.sqrt(2)},
            {"limit": lambda *a: _bound()(*a) * 2},
            {"limit": lambda *a: _bound(sides=1.0)(*a) * math.sqrt(2)},
            {"limit": _bound(sides=0.5)},
            {"limit": _bound(sides=4.0)},
        ),
    ),
    Misconception(
        "alpha for a distance",
        says="A distance was compared with a chance: alpha, or alpha / looks, is no distance; turn the chance into a distance by the bound.",
        **_ways({"limit": lambda alpha, w, n, k, features: alpha}, {"limit": lambda alpha, w, n, k, features: alpha / (k * features)}, {"limit": lambda alpha, w, n, k, features: 1 - alpha}),
    ),
    Misconception(
        "means alone",
        says="Only means were compared: a feature may get wider, or split in two, with its mean where it was; compare the shares at most x, at every x.",
        **_ways({"distance": _means}, {"distance": _errors}, {"distance": lambda old, new: abs(new.mean() - old.mean())}, {"distance": lambda old, new: abs(new.mean() - old.mean()) / np.std(old, ddof=1)}),
    ),
    Misconception(
        "one direction",
        says="Only one direction was looked at: the share may be larger or smaller than the reference's; take the absolute difference.",
        **_ways({"distance": _stairs(most=np.max)}, {"distance": _stairs(most=np.min)}, {"distance": _stairs(most=lambda gap: (-gap).max())}, {"distance": _stairs(most=lambda gap: abs(gap.max()))}),
    ),
    Misconception(
        "not at every value",
        says="The shares were compared at the values of one side only: the stairs may be furthest apart at a value of the other; take the values of both.",
        **_ways({"distance": _stairs(at=lambda old, new: new)}, {"distance": _stairs(at=lambda old, new: old)}),
    ),
    Misconception(
        "on a grid",
        says="The shares were compared on a grid, or in bins: between its points the stairs may be further apart; take all values of both sides.",
        **_ways(*({"distance": _stairs(at=_evenly(m))} for m in (10, 20, 50, 100)), {"distance": _histograms}),
    ),
    Misconception(
        "equal values counted apart",
        says="\"At most x\" on one side and \"below x\" on the other: where values are equal the stairs are compared half way up a step; use side=\"right\" for both.",
        **_ways({"distance": _stairs(sides=("right", "left"))}, {"distance": _stairs(sides=("left", "right"))}, {"distance": _place_by_place}),
    ),
    Misconception(
        "the gaps averaged",
        says="The distance is the largest difference, not the average or the sum of the differences.",
        **_ways({"distance": _stairs(most=lambda gap: np.abs(gap).mean())}, {"distance": _stairs(most=lambda gap: np.abs(gap).sum())}, {"distance": _stairs(most=lambda gap: np.sqrt((gap**2).mean()))}),
    ),
    Misconception(
        "one window is enough",
        says="It cried after the first window above the limit: a moment's glare is no drift; wait for `streak` windows in a row.",
        **_ways({"needed": lambda streak: 1}),
    ),
    Misconception(
        "one window too many",
        says="It waited for one window more than `streak`: the window that makes them `streak` is the one that cries.",
        **_ways({"needed": lambda streak: streak + 1}),
    ),
    Misconception(
        "not in a row",
        says="Windows above the limit were counted over the whole shift: after a quiet one, counting begins at 0 again.",
        **_ways({"count": lambda row, above, streak: row + above}),
    ),
    Misconception(
        "any feature goes on with the row",
        says="One row was counted for all features: glare of one and then of another is no drift of either; each feature has its own row.",
        **_ways({"count": _together}),
    ),
    Misconception(
        "the beginning of the row",
        says="The alarm was dated back: the monitor knows only at the end of the window that completes the row, k · w pictures after the beginning.",
        **_ways(
            {"pictures": lambda k, w, streak: (k - 1) * w}, {"pictures": lambda k, w, streak: (k - streak) * w}, {"pictures": lambda k, w, streak: (k - streak + 1) * w},
            {"pictures": lambda k, w, streak: k}, {"pictures": lambda k, w, streak: k - 1}, {"pictures": lambda k, w, streak: k * w - 1},
        ),
    ),
    Misconception(
        "another feature",
        says="The alarm has the right time but another feature: of those that were above the limit long enough, it is the one with the largest distance in this window.",
        **_ways(
            {"feature": lambda held, distances: int(np.argmax(held))}, {"feature": lambda held, distances: int(np.argmax(distances))},
            {"feature": lambda held, distances: int(np.flatnonzero(held)[-1])}, {"feature": lambda held, distances: int(np.argmax(held)) + 1},
            {"feature": lambda held, distances: int(np.argmin(np.where(held, distances, 2)))},
        ),
    ),
    Misconception(
        "the last alarm",
        says="A later alarm was returned: the first one counts, keep it.",
        **_ways({"first": False}),
    ),
    Misconception(
        "stopped at the alarm",
        says="The distances end at the alarm: give those of all K windows.",
        **_ways({"stops": True}),
    ),
    Misconception(
        "the rest looked at",
        says="The pictures left over at the end were taken for a window: they are fewer than w, and the limit is not theirs; look at whole windows only.",
        **_ways({"cut": lambda stream, w: [stream[i : i + w] for i in range(0, len(stream), w)]}),
    ),
    Misconception(
        "overlapping windows",
        says="The windows overlap: they lie one after the other, the next begins where the last one ended.",
        **_ways({"cut": lambda stream, w: [stream[i : i + w] for i in range(0, len(stream) - w + 1, w // 2)]}, {"cut": lambda stream, w: [stream[i : i + w] for i in range(0, len(stream) - w + 1, max(w // 5, 1))]}),
    ),
    Misconception(
        "a reference that follows",
        says="Windows were added to the reference: then it learns the drift that it should show; compare each with the reference as it was given.",
        **_ways({"grows": True}),
    ),
    Misconception(
        "no window, another limit",
        says="Without a whole window nothing is looked at: the limit is math.inf.",
        **_ways({"no_window": 0.0}, {"no_window": math.nan}, {"no_window": None}, {"no_window": 1.0}),
    ),
)
