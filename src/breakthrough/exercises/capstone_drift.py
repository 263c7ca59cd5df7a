"""Module 6: a drift monitor that cries only when something is there.

Shapes: N pictures of reference, M pictures of a shift, F features, K = M // window whole windows
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Generator

from breakthrough.exercises.capstone_drift_wrong import MISCONCEPTIONS, PARTS, fires_often
from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise


def monitor(reference: np.ndarray, stream: np.ndarray, window: int, alpha: float, streak: int = 2) -> tuple[np.ndarray, float, tuple[int, int] | None]:
    """Watch the pictures of a shift for features that are no longer distributed as in the reference.

    Why:    a lamp that ages spoils a model without any label to show it; but a monitor that looks at many features many
            times, each time at 5%, cries every shift, and soon nobody listens
    Shapes: reference (N, F), stream (M, F) → distances (K, F), limit, alarm
    Units:  the stream is cut into K = M // w windows of w pictures, one after the other, where w is the argument window;
            what is left over at the end is not looked at. A distance is the largest difference, at any number x, between
            the share of the reference's N values that are at most x and the share of the window's w values that are at
            most x (one feature, one window; values may be equal).
            If nothing has changed, a distance exceeds d with a chance of at most 2 · exp(−2 · d² / (1/w + 1/N)). limit is
            the d at which this chance is alpha / (K · F): so that in the whole shift, over all windows and features,
            a quiet line has any distance above it with a chance of alpha at the most. math.inf if K = 0.
            alarm: None, or (pictures, feature) of the first window at whose end some feature has been above
            limit in `streak` windows in a row, this one the last of them; pictures: k · w after the k-th window, k from 1;
            feature from 0: of several, the one with the largest distance in this window. streak ≥ 1.
            No distance is exactly the limit. Distances are those of all K windows, also after the alarm
    Source: Smirnov 1939 (the distance of two samples and its chance); Bonferroni 1936 (alpha divided by the looks)
    """
    (n, features), k = reference.shape, len(stream) // window
    limit = math.sqrt(math.log(2 * k * features / alpha) / 2 * (1 / window + 1 / n)) if k else math.inf
    distances, in_a_row, alarm = np.zeros((k, features)), np.zeros(features, dtype=int), None
    for i in range(k):
        part = stream[i * window : (i + 1) * window]
        for f in range(features):
            x = np.concatenate([reference[:, f], part[:, f]])
            shares = [np.searchsorted(np.sort(values[:, f]), x, side="right") / len(values) for values in (reference, part)]
            distances[i, f] = np.abs(shares[0] - shares[1]).max()
        in_a_row = np.where(distances[i] > limit, in_a_row + 1, 0)
        if alarm is None and in_a_row.max() >= streak:
            alarm = (i + 1) * window, int(np.argmax(np.where(in_a_row >= streak, distances[i], -1)))
    return distances, limit, alarm


def _in_loops(reference, stream, window, alpha, streak=2):
    n, features, k = len(reference), len(reference[0]), len(stream) // window
    distances = []
    for start in range(0, k * window, window):
        row = []
        for f in range(features):
            old, new = sorted(reference[:, f].tolist()), sorted(stream[start : start + window, f].tolist())
            row.append(max(abs(bisect_right(old, x) / n - bisect_right(new, x) / window) for x in old + new))
        distances.append(row)
    if not k:
        return np.empty((0, features)), math.inf, None
    limit = math.sqrt(-0.5 * (1 / n + 1 / window) * math.log(alpha / (2 * k * features)))
    for i in range(streak - 1, k):
        long = [f for f in range(features) if all(distances[j][f] > limit for j in range(i - streak + 1, i + 1))]
        if long:
            return distances, limit, ((i + 1) * window, max(long, key=lambda f: distances[i][f]))
    return distances, limit, None


def _all_at_once(reference, stream, window, alpha, streak=2):
    n, k, features = len(reference), len(stream) // window, stream.shape[1]
    parts = stream[: k * window].reshape(k, window, features)
    x = np.concatenate([reference[None].repeat(k, 0), parts], axis=1)  # (K, N + w, F)
    order = np.argsort(x, axis=1, kind="stable")
    values = np.take_along_axis(x, order, axis=1)
    steps = np.where(order < n, 1 / n, -1 / window).cumsum(axis=1)
    last = np.ones_like(steps, dtype=bool)  # of equal values only the last counts
    last[:, :-1] = values[:, 1:] != values[:, :-1]
    distances = np.abs(np.where(last, steps, 0)).max(axis=1) if k else np.zeros((0, features))
    limit = np.sqrt(np.log(2 * k * features / alpha) * (window + n) / (2 * window * n)) if k else np.inf
    found = []
    for f in range(features):
        for above, together in groupby(range(k), key=(distances[:, f] > limit).tolist().__getitem__):
            run = list(together)
            if above and len(run) >= streak:
                found.append(run[streak - 1])
                break
    if not found:
        return distances, limit, None
    i = min(found)
    held = (distances[i - streak + 1 : i + 1] > limit).all(axis=0)
    return distances, limit, ((i + 1) * window, np.flatnonzero(held)[distances[i][held].argmax()])


def _by_comparing(reference, stream, window, alpha, streak=2):
    """Every value with every value; a run of windows as a product of shifted tables."""
    (n, features), looks = reference.shape, len(stream) // window
    table = np.zeros((looks, features))
    for i, f in np.ndindex(looks, features):
        old, new = reference[:, f], stream[i * window : (i + 1) * window, f]
        points = np.concatenate([new, old])[:, None]
        table[i, f] = max(abs((old <= points).mean(axis=1) - (new <= points).mean(axis=1)))
    if looks == 0:
        return table, float("inf"), None
    limit = ((1 / window + 1 / n) * (math.log(2) + math.log(looks) + math.log(features) - math.log(alpha)) / 2) ** 0.5
    above = np.vstack([np.zeros((streak - 1, features), dtype=bool), table > limit])
    held = np.prod([above[j : j + looks] for j in range(streak)], axis=0)  # (K, F)
    for i in np.flatnonzero(held.any(axis=1))[:1]:
        return table, limit, (window * (int(i) + 1), int((held[i] * table[i]).argmax()))
    return table, limit, None


def _looked(features: int) -> Callable[[Any], Any]:
    """The parts by name, the alarm in words."""

    def look(output: Any) -> Any:
        if not isinstance(output, (tuple, list)) or len(output) != len(PARTS):
            return output
        distances, limit, alarm = output
        if isinstance(distances, list):
            distances = np.array(distances, dtype=float)
        if isinstance(distances, ndarray) and not distances.size:
            distances = distances.reshape(0, features)
        pair = isinstance(alarm, (tuple, list)) and len(alarm) == 2
        said = "none" if alarm is None else f"after {alarm[0]} pictures, feature {alarm[1]}" if pair else repr(alarm)
        return dict(zip(PARTS, (distances, limit, said)))

    return look


SCALES, LEVELS = (1.0, 40.0, 1e-3, 6.0), (0.0, 120.0, 0.01, 0.0)


class _Shift:
    """Features of pictures: a normal one, one with a long tail, a uniform one, and whole numbers."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def quiet(self, n: int) -> ndarray:
        normal = torch.randn(n, 2, generator=self.generator, dtype=torch.float64).numpy()
        uniform = torch.rand(n, 2, generator=self.generator, dtype=torch.float64).numpy()
        columns = [normal[:, 0], np.exp(normal[:, 1] / 2), uniform[:, 0], np.floor(uniform[:, 1] * 4) / 6]
        return np.stack(columns, axis=1) * SCALES + LEVELS  # (n, 4)

    def changed(self, k: int, window: int, *changes: tuple[int, list[int], float, float], rest: int = 0) -> ndarray:
        """k windows; a change is a feature, the windows it has, by how many scales it moves, and how much wider it gets."""
        stream = self.quiet(k * window + rest)
        for f, windows, by, wider in changes:
            for i in windows:
                part = stream[i * window : (i + 1) * window, f]
                part[:] = (part - part.mean()) * wider + part.mean() + by * SCALES[f]
        return stream

    def until(self, fits: Callable[..., bool], n: int, window: int, alpha: float, streak: int, *how: Any, **rest: int) -> tuple:
        """Pictures in which nothing hangs on a rounding error, and that come out as wanted."""
        while True:
            args = self.quiet(n), self.changed(how[0], window, *how[1:], **rest), window, alpha, streak
            distances, limit, alarm = monitor(*args)
            best = np.sort(distances, axis=1)[:, -2:]
            if (np.abs(distances - limit) > 1e-6).all() and (best[:, 1] - best[:, 0] > 1e-6).all() and fits(args, alarm):
                return args


def _cases(generator: Generator) -> Iterator[Case]:
    shift = _Shift(generator)

    def case(label: str, want: Any, *how: Any, fits: Callable[..., bool] = lambda args: True, **rest: int) -> Case:
        args = shift.until(lambda args, alarm: alarm == want and fits(args), *how, **rest)
        return Case(label, args, look=_looked(4))

    hand = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[2.0], [5.0], [5.0], [6.0], [5.0], [7.0], [9.0]]), 2, 0.5, 2
    yield Case("by hand: distances 1/2, 1 and 1, limit 0.965", hand, look=_looked(1))
    yield Case("by hand, the streak as it is unless given", hand[:4], look=_looked(1))
    yield case("a quiet shift, in which single looks at 5% see something", None, 300, 50, 0.05, 1, 10, fits=fires_often)
    yield case("the first feature moves up in the fourth window", (250, 0), 300, 50, 0.05, 2, 8, (0, [3, 4, 5, 6, 7], 1.4, 1))
    yield case("it moves down", (150, 1), 300, 50, 0.05, 2, 8, (1, list(range(1, 8)), -1.2, 1))
    yield case("its mean stays, it gets wider", (240, 0), 400, 80, 0.05, 2, 6, (0, [1, 2, 3, 4, 5], 0.0, 4.5))
    yield case("one window of glare", None, 300, 50, 0.05, 2, 8, (2, [4], 2.0, 1))
    yield case("one window of glare, streak 1", (250, 2), 300, 50, 0.05, 1, 8, (2, [4], 2.0, 1))
    yield case("glare in two windows, of two features", None, 300, 50, 0.05, 2, 8, (2, [4], 2.0, 1), (0, [5], 2.5, 1))
    yield case("two windows, a quiet one, two windows; streak 3", None, 300, 50, 0.05, 3, 9, (1, [1, 2, 4, 5], 2.0, 1))
    yield case("two features at once; one moves further", (200, 2), 200, 40, 0.05, 2, 7, (0, [3, 4, 5, 6], 1.8, 1), (2, [3, 4, 5, 6], 1.5, 1))
    yield case("two features at once; the other one moves further", (200, 1), 200, 40, 0.05, 2, 7, (1, [3, 4, 5, 6], 2.5, 1), (2, [3, 4, 5, 6], 0.7, 1))
    yield case("one feature already long there, another far but new", (120, 0), 200, 40, 0.05, 2, 6, (0, [1, 2, 3], 1.6, 1), (1, [2], 3.0, 1))
    yield case("whole numbers, one more each", (180, 3), 200, 60, 0.01, 2, 5, (3, [1, 2, 3, 4], 2 / 6, 1))
    yield case("a reference smaller than the window", (160, 0), 60, 80, 0.01, 2, 5, (0, [0, 1, 2, 3, 4], 1.8, 1))
    yield case("the change comes in the rest that is no window", None, 200, 60, 0.05, 1, 4, (0, [4], 3.0, 1), rest=45)
    yield Case("fewer pictures than a window", (shift.quiet(90), shift.quiet(20), 30, 0.05, 2), look=_looked(4))


EXERCISES = (
    Exercise(
        name="capstone.drift",
        title="A drift monitor that cries only when something is there",
        points=12,
        minutes=75,
        difficulty=3,
        reference=monitor,
        cases=_cases,
        compare=close(rtol=1e-9, atol=1e-12),
        alternatives=(_in_loops, _all_at_once, _by_comparing),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Draw two stairs: each climbs from 0 to 1, the reference's in N steps and the window's in w. Where they lie furthest apart is the distance, and it sees a change of any kind: of the mean, of the spread, of the shape. It can only be at a value that one of them has. How far apart is too far depends on how often you look.",
            'x: all N + w values of one feature; share at most x: np.searchsorted(np.sort(values), x, side="right") / len(values); distances: float array (K, F); limit: solve 2 · exp(−2 · d² / (1/w + 1/N)) = alpha / (K · F) for d, with math.log and math.sqrt; in_a_row: (F,) whole numbers, one more where above the limit, else 0 again',
            "K = len(stream) // window\nlimit = √(ln(2 · K · F / alpha) / 2 · (1/w + 1/N)), or infinity\nin_a_row = zeros (F,); alarm = None\nfor each window: for each feature: distance = max |share of the reference ≤ x − share of the window ≤ x| over all x of both\n    in_a_row = in_a_row + 1 where distance > limit, else 0\n    if no alarm yet and some in_a_row ≥ streak: alarm = pictures so far, and of those features the one with the largest distance\nreturn distances, limit, alarm",
        ),
    ),
)
