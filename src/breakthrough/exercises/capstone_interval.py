"""Module 6: an interval for a share that was counted, and how many pictures a claim takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.capstone_interval_wrong import MISCONCEPTIONS, PARTS
from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise


def interval(right: int, n: int, confidence: float = 0.95, claim: float = 0.995) -> tuple[float, float, int]:
    """Wilson's interval for the share of pictures that are answered rightly, and how many it takes to show a claim.

    Why:    300 right of 300 is no proof of 100%: a line that errs once in a hundred does as well one time in twenty;
            the usual share ± error shrinks to a point there, with 3 pictures as with 300
    Units:  `right` of n pictures are answered rightly, 0 ≤ right ≤ n, n ≥ 1; the seen share is s = right / n. If the
            true share is p, the seen one scatters about it with a standard error of √(p · (1 − p) / n). Believable
            is every p from 0 to 1 with |s − p| ≤ z · √(p · (1 − p) / n): the error is that of p, not of s. low and high
            are the smallest and the largest believable p. z is the point of the standard normal curve that is exceeded
            with the chance (1 − confidence) / 2. claim is a share between 0 and 1; enough is the smallest m ≥ 1 for
            which m right of m pictures would have a low above claim (whatever right and n are).
            Returned: low, high, enough; shares, not per cent
    Source: Wilson 1927, Probable inference, the law of succession, and statistical inference
    """
    from statistics import NormalDist

    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    share = right / n
    # (s − p)² = z² · p · (1 − p) / n has two solutions in p
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * share * (1 - share) / n + (z2 / (2 * n)) ** 2) / (1 + z2 / n)
    enough = math.floor(claim * z2 / (1 - claim)) + 1  # low of m of m is m / (m + z²)
    return max(middle - half, 0.0), min(middle + half, 1.0), enough


def _by_roots(right, n, confidence=0.95, claim=0.995):
    """The quadratic's coefficients to numpy; enough by trying."""
    z = NormalDist().inv_cdf(1 - (1 - confidence) / 2)

    def bounds(k, m):
        return np.sort(np.roots([m + z * z, -(2 * k + z * z), k * k / m]).real)

    enough = 1
    while bounds(enough, enough)[0] <= claim:
        enough += max(1, int(0.001 * enough)) if bounds(2 * enough, 2 * enough)[0] <= claim else 1
    low, high = bounds(right, n)
    return low, high, enough


def _by_halving(right, n, confidence=0.95, claim=0.995):
    """From the definition alone: halve until the border of what is believable is found."""
    z = -NormalDist().inv_cdf((1 - confidence) / 2)

    def believable(p, k, m):
        return abs(k / m - p) <= z * math.sqrt(p * (1 - p) / m)

    def border(inside, outside, k, m):
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if believable(middle, k, m) else (inside, middle)
        return inside

    enough, step = 0, 1 << 16
    while step:
        enough, step = (enough + step if border(1.0, 0.0, enough + step, enough + step) <= claim else enough), step // 2
    share = right / n
    return border(share, 0.0, right, n) if right else 0.0, border(share, 1.0, right, n) if right < n else 1.0, enough + 1


def _in_tensors(right, n, confidence=0.95, claim=0.995):
    """Counts in place of shares, signs in a tensor."""
    z = torch.special.ndtri(torch.tensor((1 + confidence) / 2, dtype=torch.float64))
    wrong = n - right
    spread = z * torch.tensor([-1.0, 1.0], dtype=torch.float64) * torch.sqrt(torch.tensor(right * wrong / n) + z**2 / 4)
    low, high = ((right + z**2 / 2 + spread) / (n + z**2)).clamp(0, 1).tolist()
    return low, high, int(torch.ceil(claim / (1 - claim) * z**2))


def _looked(right: int, n: int, confidence: float = 0.95, claim: float = 0.995) -> Callable[[Any], Any]:
    """The parts by name. `enough` hangs on the bounds: it is looked at only where they are right."""
    bounds = interval(right, n, confidence, claim)[:2]

    def look(output: Any) -> Any:
        if not isinstance(output, (tuple, list)) or len(output) != 3:
            return output
        found = dict(zip(PARTS, output))
        if COMPARE(dict(zip(PARTS, bounds)), dict(zip(PARTS, output[:2]))):
            found["enough"] = "not looked at while low and high differ"
        return found

    return look


COMPARE = close(rtol=2e-5, atol=1e-5)  # 1.96 is as good as 1.959964


def _claim(generator: Generator, low: float, high: float, confidence: float) -> float:
    """A claim for which no rounding error decides how many are enough."""
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    while True:
        claim = round(low + (high - low) * float(torch.rand((), generator=generator)), 4)
        if 0.05 < (claim / (1 - claim) * z2) % 1 < 0.95:
            return claim


def _cases(generator: Generator) -> Iterator[Case]:
    def whole(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    def case(label: str, right: int, n: int, *how: float) -> Case:
        return Case(label.format(right=right, n=n), (right, n, *how), look=_looked(right, n, *how))

    yield case("12 right of 12 at 95.45%, where z is 2: 12 / 16, 1, and 30 for 88%", 12, 12, 0.9545, 0.88)
    n = whole(280, 420)
    yield case("all {n} right, at 95%, for 99.5%", n, n)
    n = whole(20, 60)
    yield case("{right} of {n} right, at 90%", n // 2 + whole(2, 5), n, 0.9, _claim(generator, 0.9, 0.98, 0.9))
    n = whole(9, 19)
    yield case("none of {n} right, at 99%", 0, n, 0.99, _claim(generator, 0.9, 0.99, 0.99))
    yield case("one picture, which is right, at 80%", 1, 1, 0.8, _claim(generator, 0.7, 0.95, 0.8))
    n = whole(4000, 6000)
    yield case("{right} of {n} right, at 99%, for more than 99.8%", n - whole(4, 9), n, 0.99, _claim(generator, 0.998, 0.9992, 0.99))
    n = whole(70, 120)
    yield case("{right} of {n} right, at 98%", whole(3, 8), n, 0.98, _claim(generator, 0.5, 0.9, 0.98))
    yield case("{right} of {n} right, at 90%, for 30%", whole(5, 9), 12, 0.9, 0.3)
    yield case("{right} of {n} right, at 50%: one picture is enough for a tenth", whole(5, 9), 14, 0.5, 0.1)


EXERCISES = (
    Exercise(
        name="capstone.interval",
        title="An interval for a proportion",
        points=7,
        minutes=40,
        difficulty=1,
        reference=interval,
        cases=_cases,
        compare=COMPARE,
        alternatives=(_by_roots, _by_halving, _in_tensors),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Do not ask how far the share that you saw may be off: ask of every true share p whether it could well have given what you saw. For p near 1 the scatter is small, so p = 1 explains only a faultless run, while p = 0.99 explains a faultless run of 300, too. The borders of what is believable are where |s − p| is just z standard errors: square it, and it is a quadratic equation for p.",
            "statistics.NormalDist().inv_cdf(chance) gives the point with that chance below it: for z ask for (1 + confidence) / 2. (s − p)² = (z² / n) · p · (1 − p), in order: (1 + z²/n) · p² − (2s + z²/n) · p + s² = 0; its two solutions are low and high. For m of m, s = 1: one solution is 1, the other m / (m + z²); enough: an int.",
            "z = NormalDist().inv_cdf((1 + confidence) / 2)\ns = right / n\nmiddle = (s + z² / 2n) / (1 + z² / n)\nhalf = sqrt(z² · s · (1 − s) / n + (z² / 2n)²) / (1 + z² / n)\nlow, high = middle − half, middle + half\nenough = the first whole m with m / (m + z²) > claim, which is m > claim · z² / (1 − claim)\nreturn low, high, enough",
        ),
    ),
)
