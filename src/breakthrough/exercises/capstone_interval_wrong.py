"""Module 6: wrong intervals for a share, for capstone.interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import product
from statistics import NormalDist
from typing import Any

from breakthrough.exercises.exercise import Misconception

PARTS = ("low", "high", "enough")
Bounds = Callable[[float, float, float], tuple[float, float]]  # right, n, z
Enough = Callable[[float, float, float, float], float]  # z, claim, the seen share, confidence


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _wilson(right: float, n: float, z: float, inner: float = 1.0, shift: float = 1.0, outer: bool = True) -> tuple[float, float]:
    """Wilson's bounds; `inner`, `shift` and `outer` are how much of its three corrections is kept."""
    s, scale = right / n, 1 + z * z / n if outer else 1.0
    middle = (s + shift * z * z / (2 * n)) / scale
    half = z * math.sqrt(s * (1 - s) / n + inner * (z / (2 * n)) ** 2) / scale
    return middle - half, middle + half


def _enough(z: float, claim: float, share: float, confidence: float) -> float:
    return math.floor(claim * z * z / (1 - claim)) + 1


def _wald(right: float, n: float, z: float, less: float = 0.0) -> tuple[float, float]:
    s = right / n
    half = z * math.sqrt(s * (1 - s) / (n - less)) if n > less else 0.0
    return s - half, s + half


def _worst(right: float, n: float, z: float) -> tuple[float, float]:
    return right / n - z * 0.5 / math.sqrt(n), right / n + z * 0.5 / math.sqrt(n)


def _clipped(bounds: Bounds) -> Bounds:
    def held(right, n, z):
        low, high = bounds(right, n, z)
        return max(low, 0.0), min(high, 1.0)

    return held


def _both(*bounds: Bounds) -> tuple[Bounds, ...]:
    return tuple(each for one in bounds for each in (one, _clipped(one)))


def _half(right: float, n: float, z: float) -> float:
    low, high = _wilson(right, n, z)
    return (high - low) / 2


def _half_undivided(right: float, n: float, z: float) -> tuple[float, float]:
    middle, half = sum(_wilson(right, n, z)) / 2, _half(right, n, z) * (1 + z * z / n)
    return middle - half, middle + half


def _middle_undivided(right: float, n: float, z: float) -> tuple[float, float]:
    middle, half = sum(_wilson(right, n, z)) / 2 * (1 + z * z / n), _half(right, n, z)
    return middle - half, middle + half


def _z_in_places(right: float, n: float, z: float) -> tuple[float, float]:
    """z for z² outside the root alone."""
    middle = (right / n + z / (2 * n)) / (1 + z / n)
    half = z * math.sqrt(right / n * (1 - right / n) / n + (z / (2 * n)) ** 2) / (1 + z / n)
    return middle - half, middle + half


def _of_added(each: Callable[[float], float], less: float = 0.0) -> Bounds:
    """The usual formula with some right and as many wrong pictures added."""
    return lambda right, n, z: _wald(right + each(z), n + 2 * each(z), z, less)


def _continuous(right: float, n: float, z: float) -> tuple[float, float]:
    """Wilson with a correction of half a picture."""
    s, scale = right / n, 2 * (n + z * z)
    low = (2 * right + z * z - 1 - z * math.sqrt(max(z * z - 2 - 1 / n + 4 * s * (n - right + 1), 0.0))) / scale
    high = (2 * right + z * z + 1 + z * math.sqrt(max(z * z + 2 - 1 / n + 4 * s * (n - right - 1), 0.0))) / scale
    return (max(low, 0.0) if right else 0.0), (min(high, 1.0) if right < n else 1.0)


@lru_cache(maxsize=4096)
def _at_most(k: int, n: int, p: float) -> float:
    """P(N ≤ k), N binomial; summed from the shorter side."""
    if 2 * k > n:
        return 1 - _at_most(n - k - 1, n, 1 - p)
    logs = (math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p) for i in range(k + 1))
    return math.fsum(map(math.exp, logs))


def _exact(right: float, n: float, z: float) -> tuple[float, float]:
    """Clopper's and Pearson's bounds, from the binomial's own tails."""
    risk = 1 - NormalDist().cdf(z)

    def border(above: Callable[[float], bool]) -> float:
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if above(middle) else (middle, high)
        return (low + high) / 2

    low = border(lambda p: 1 - _at_most(int(right) - 1, int(n), p) > risk) if right else 0.0
    return low, border(lambda p: _at_most(int(right), int(n), p) < risk) if right < n else 1.0


def _wrong(bounds: Bounds = _wilson, z: Callable[[float], float] = _z, enough: Enough = _enough) -> Callable[..., tuple[float, float, float]]:
    """An answer that differs in what is given."""

    def answer(right, n, confidence=0.95, claim=0.995):
        z_here = z(confidence)
        return (*bounds(right, n, z_here), enough(z_here, claim, right / n, confidence))

    return answer


def _ways(*ways: dict[str, Any]) -> dict[str, Any]:
    answers = [_wrong(**way) for way in ways]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _between(*bounds: Bounds) -> dict[str, Any]:
    return _ways(*({"bounds": each} for each in bounds))


def _for_claim(*enough: Enough) -> dict[str, Any]:
    return _ways(*({"enough": each} for each in enough))


def _as(change: Callable[[float, float, float, float], tuple[float, float]]) -> Bounds:
    """Wilson's bounds in another form: change gets low, high, the seen share and n."""
    return lambda right, n, z: change(*_wilson(right, n, z), right / n, n)


CONSTANT = tuple((lambda c, z=z: z) for z in (1.96, 1.959963984540054, 2.0, 1.645, 2.576, 3.0))
ONE_SIDED = (NormalDist().inv_cdf, lambda c: abs(NormalDist().inv_cdf(1 - c)))
USUAL = _both(_wald, partial(_wald, less=1.0))

MISCONCEPTIONS = (
    Misconception(
        "the usual formula",
        says="That is s ± z · √(s · (1 − s) / n), the error of the seen share in place of p's: where all are right it is a point, as if nothing could go wrong any more; solve |s − p| = z · √(p · (1 − p) / n) for p.",
        **_ways(*({"bounds": bounds, "z": z} for bounds, z in product(USUAL, (_z, *CONSTANT, *ONE_SIDED, lambda c: 1.0)))),
    ),
    Misconception(
        "always 95%",
        says="`confidence` has no effect: z is 1.96 at 95% only; at 99% it is 2.58, at 90% 1.64: NormalDist().inv_cdf((1 + confidence) / 2).",
        **_ways(*({"z": z} for z in CONSTANT)),
    ),
    Misconception(
        "the whole risk on each side",
        says="z leaves the whole risk 1 − confidence above it, so that both ends together err twice as often: each side has half of it, inv_cdf((1 + confidence) / 2).",
        **_ways(*({"z": z} for z in ONE_SIDED)),
    ),
    Misconception(
        "the confidence for z",
        says="The confidence itself was used as z: z is the point of the normal curve that belongs to it, 1.96 for 0.95.",
        **_ways({"z": lambda c: c}, {"z": lambda c: 1 - c}, {"z": lambda c: (1 + c) / 2}, {"z": lambda c: NormalDist().cdf(c)}),
    ),
    Misconception(
        "half of it again",
        says="The risk was halved once too often: with a chance of (1 − confidence) / 2 above z, each end has its half already.",
        **_ways({"z": lambda c: NormalDist().inv_cdf(1 - (1 - c) / 4)}, {"z": lambda c: NormalDist().inv_cdf(0.5 + c / 4)}, {"z": lambda c: NormalDist().inv_cdf(max(c / 2, 1e-9))}),
    ),
    Misconception(
        "low above high",
        says="low lies above high: z came out negative, or the two were returned the wrong way round.",
        **_between(_as(lambda low, high, s, n: (high, low))),
    ),
    Misconception(
        "pictures added",
        says="Some right and some wrong pictures were added and the usual formula applied: that resembles Wilson's interval in the middle, and still reaches beyond 1 at the end; solve the quadratic itself.",
        **_between(*_both(_of_added(lambda z: 2.0), _of_added(lambda z: z * z / 2), _of_added(lambda z: 1.0))),
    ),
    Misconception(
        "the middle not moved",
        says="The middle is still the seen share: z² / 2n belongs to it, as the interval is longer on the side away from the nearer end.",
        **_between(*_both(partial(_wilson, shift=0.0), lambda right, n, z: (right / n - _half(right, n, z), right / n + _half(right, n, z)))),
    ),
    Misconception(
        "without z² / 4n² under the root",
        says="Under the root there is only s · (1 − s) / n, which is zero where all are right: (z / 2n)² belongs to it.",
        **_between(*_both(partial(_wilson, inner=0.0), partial(_wilson, inner=0.0, outer=False))),
    ),
    Misconception(
        "not divided by 1 + z² / n",
        says="Middle and half width were not divided by 1 + z² / n, the factor before p² in the quadratic.",
        **_between(*_both(partial(_wilson, outer=False), _half_undivided, _middle_undivided)),
    ),
    Misconception(
        "the worst error everywhere",
        says="The error is that of p = 1/2, √(1 / 4n), whatever was seen: near 1 far too wide.",
        **_between(*_both(_worst)),
    ),
    Misconception(
        "z not squared",
        says="z stands where z² belongs: (s − p)² = z² · p · (1 − p) / n, so that is what the quadratic has.",
        **_between(lambda right, n, z: _wilson(right, n, math.sqrt(z)), _z_in_places),
    ),
    Misconception(
        "the exact tails",
        says="That is Clopper's and Pearson's interval, from the binomial's own tails: a good one, and wider; asked for is Wilson's, the p with |s − p| ≤ z · √(p · (1 − p) / n).",
        **_between(_exact),
    ),
    Misconception(
        "half a picture",
        says="The interval has a correction of half a picture (for continuity): asked for is Wilson's without one, |s − p| ≤ z · √(p · (1 − p) / n).",
        **_between(_continuous),
    ),
    Misconception(
        "middle and half width",
        says="Returned are the middle and half the width: asked for are the two ends, middle − half and middle + half.",
        **_between(_as(lambda low, high, s, n: ((low + high) / 2, (high - low) / 2)), _as(lambda low, high, s, n: (s, (high - low) / 2))),
    ),
    Misconception(
        "per cent",
        says="Those are per cent: shares from 0 to 1 are asked for.",
        **_between(_as(lambda low, high, s, n: (100 * low, 100 * high))),
    ),
    Misconception(
        "counts of pictures",
        says="Those are numbers of pictures: divide by n for shares.",
        **_between(_as(lambda low, high, s, n: (n * low, n * high))),
    ),
    Misconception(
        "the errors' share",
        says="That is the interval of the share of wrong answers: asked for is that of the right ones.",
        **_between(_as(lambda low, high, s, n: (1 - high, 1 - low))),
    ),
    Misconception(
        "any run is enough",
        says="The bounds are right, `enough` is not: a faultless run has a low of m / (m + z²), not of 1, so it takes many pictures until that is above the claim.",
        **_for_claim(lambda z, claim, s, c: 1),
    ),
    Misconception(
        "the rule of three",
        says="`enough` is by 3 / (1 − claim), which is about a one-sided 95% from the binomial: asked for is the first m with m / (m + z²) above the claim.",
        **_for_claim(*(lambda z, claim, s, c, of=of, less=less: of(3 / (1 - claim) - less) for less in (1e-9, 0.0, -1e-9) for of in (math.ceil, math.floor, round, lambda x: math.floor(x) + 1))),
    ),
    Misconception(
        "enough by the binomial",
        says="`enough` is the m for which claim^m falls below a risk: sound, but not this interval's; asked for is the first m whose own low, m / (m + z²), is above the claim.",
        **_for_claim(*(lambda z, claim, s, c, part=part, more=more: math.floor(math.log((1 - c) / part) / math.log(claim)) + more for part in (1, 2) for more in (0, 1))),
    ),
    Misconception(
        "one too few",
        says="`enough` is one too small or too large: m has to be above claim · z² / (1 − claim), and it is the first whole number there.",
        **_for_claim(*(lambda z, claim, s, c, more=more: max(_enough(z, claim, s, c) + more, 0) for more in (-1, 1)), lambda z, claim, s, c: max(_enough(z, claim, s, c) - 1, 1), lambda z, claim, s, c: claim * z * z / (1 - claim), lambda z, claim, s, c: round(claim * z * z / (1 - claim))),
    ),
    Misconception(
        "enough without the claim's share",
        says="`enough` was rounded from z² / (1 − claim), which gives m + z²: from m / (m + z²) > claim follows m > claim · z² / (1 − claim).",
        **_for_claim(lambda z, claim, s, c: math.ceil(z * z / (1 - claim)), lambda z, claim, s, c: math.floor(z * z / (1 - claim))),
    ),
    Misconception(
        "enough for what was seen",
        says="`enough` hangs on the share that was seen, or is the number for an error as small as 1 − claim: it asks only how long a run without any mistake has to be.",
        **_for_claim(*(lambda z, claim, s, c, of=of: math.ceil(z * z * of(s) / (1 - claim) ** 2 - 1e-9) for of in (lambda s: s * (1 - s), lambda s: 0.25)), lambda z, claim, s, c: math.ceil(z * z * claim / (1 - claim) * (1 / s if s else 1.0)), lambda z, claim, s, c: math.ceil(z * z * claim * (1 - claim) / (1 - claim) ** 2 * 4)),
    ),
    Misconception(
        "enough always at 95%",
        says="The bounds are right, `enough` is that of 95% or of 99.5%, whatever confidence and claim say.",
        **_for_claim(lambda z, claim, s, c: _enough(_z(0.95), claim, s, c), lambda z, claim, s, c: _enough(1.96, claim, s, c), lambda z, claim, s, c: _enough(z, 0.995, s, c), lambda z, claim, s, c: _enough(_z(0.95), 0.995, s, c), lambda z, claim, s, c: 765),
    ),
)
